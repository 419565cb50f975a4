//! Names of tables that Syncline keeps for itself, made already or later on.

/// Tables of the books, campaigns and settings. Entity types may be called so all the same: their table gets another name. Those that
/// mappings fill by contract, such as `communication` and `ad_performance`, are entity types themselves and not listed.
const TABLES: &[&str] = &[
    "ad_accounts",
    "ad_groups",
    "ads",
    "api_keys",
    "breakers",
    "campaign_conflicts",
    "campaign_sets",
    "client_accounts",
    "clients",
    "column_mappings",
    "computed_fields",
    "config_versions",
    "data_sources",
    "field_lineage",
    "generated_campaigns",
    "integration_activity",
    "integration_connections",
    "integration_sync_logs",
    "key_ring",
    "keywords",
    "leases",
    "lineage_keys",
    "lineage_rules",
    "mapping_conflicts",
    "oauth_states",
    "onboarding_progress",
    "plans",
    "platform_calls",
    "push_intents",
    "quota_buckets",
    "record_links",
    "reference_values",
    "schedules",
    "sensitive_fields",
    "sync_cursors",
    "sync_events",
    "sync_jobs",
    "sync_looks",
    "sync_records",
    "sync_runs",
    "tab_mappings",
    "webhook_deliveries",
];

/// Whether a table name, without any prefix, is kept for a table of Syncline's own, which a later version may be the first to make. A
/// storage gives the table of an entity type of that name another one.
#[must_use]
pub fn is_reserved_table(name: &str) -> bool {
    TABLES.iter().any(|table| table.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_in_whatever_case_and_only_as_a_whole() {
        for (name, kept) in
            [("ads", true), ("Clients", true), ("sync_jobs", true), ("adverts", false), ("ads_2", false), ("communication", false)]
        {
            assert_eq!(is_reserved_table(name), kept, "{name}");
        }
    }
}
