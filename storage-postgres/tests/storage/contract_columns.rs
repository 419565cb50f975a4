//! Names other programs rely on: those of docs/contracts.md.

use crate::support::fresh;

#[tokio::test]
async fn tables_and_views_have_the_columns_programs_rely_on() {
    let (database, _storage) = fresh().await;
    let mut connection = database.connection().await;
    for (table, columns) in [
        (
            "integration_connections",
            "id provider subject_id account_id account_name connected_by credentials_encrypted refresh_token_encrypted expires_at \
             token_version oauth_provider settings status sync_enabled sync_frequency_minutes last_sync_at sync_status error_message \
             error_count created_at updated_at grant_kind granted_scopes renewal_failing_since renewal_not_before renewal_underway_since \
             renewal_refused_at token_issued_at renewal_failed_at renewal_failures renewal_error_kind error_kind grant_client_id",
        ),
        ("integration_activity", "id integration_name action success records_affected error_message metadata created_at"),
        (
            "integration_sync_logs",
            "id connection_id direction records_created records_updated records_failed errors duration_ms started_at completed_at",
        ),
        (
            "sync_runs",
            "id data_source_id tab_mapping_id connection_id status outcome lease_token lease_until started_at completed_at rows_processed \
             rows_created rows_updated rows_skipped rows_unchanged rows_deleted rows_failed rows_unsettled exclusive errors triggered_by \
             created_at",
        ),
        (
            "field_lineage",
            "id entity_type entity_id field_name source_type source_id source_ref previous_value new_value sync_run_id changed_by changed_at rule",
        ),
        ("lineage_rules", "id rule mapping"),
        ("oauth_states", "nonce provider browser_hash verifier_encrypted redirect_uri request begun_at expires_at client_id"),
        ("oauth_clients", "authority client_id secret_encrypted redirect_uri updated_at"),
        ("leases", "name holder until"),
        ("sensitive_fields", "entity_type field"),
        ("lineage_keys", "inner_pad outer_pad"),
        ("clients", "id name industry status website created_at updated_at"),
        ("client_accounts", "client_id provider account_id name"),
        ("onboarding_progress", "user_id services_connected current_step first_sync_completed completed_at updated_at"),
        ("sync_looks", "connection_id stream mapping header records run_id seen_at"),
        ("config_versions", "kind id version body changed_by changed_at action"),
        ("push_intents", "feed_no entity_id marker operation fields content_hash external_id version state attempts run_id"),
    ] {
        let there =
            "SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass('syncline.' || $1) AND attnum > 0 AND NOT attisdropped";
        let there: Vec<String> = sqlx::query_scalar(there).bind(table).fetch_all(&mut connection).await.expect("columns");
        for column in columns.split_whitespace().chain(["workspace_id"]) {
            assert!(there.iter().any(|name| name == column), "{table} has no {column}: {there:?}");
        }
    }
}
