//! Each method of each store, gone to another workspace.

use crate::{faults::Fault, harm::Harm};

pub(super) const FAULTS: &[Fault] = &[
    Fault { name: "leaks connect", harm: Harm::Leaks("connect"), fails: &["accounts_are_unique", "an_account_is_found"] },
    Fault { name: "leaks connection", harm: Harm::Leaks("connection"), fails: &["another_workspace_sees_nothing"] },
    Fault {
        name: "leaks connections",
        harm: Harm::Leaks("connections"),
        fails: &["accounts_are_unique", "another_workspace_sees_nothing"],
    },
    Fault { name: "leaks account", harm: Harm::Leaks("account"), fails: &["another_workspace_sees_nothing"] },
    Fault { name: "leaks update_connection", harm: Harm::Leaks("update_connection"), fails: &["another_workspace_changes_nothing"] },
    Fault { name: "leaks credentials", harm: Harm::Leaks("credentials"), fails: &["another_workspace_sees_nothing"] },
    Fault { name: "leaks replace_credentials", harm: Harm::Leaks("replace_credentials"), fails: &["another_workspace_changes_nothing"] },
    Fault {
        name: "leaks begin_run",
        harm: Harm::Leaks("begin_run"),
        fails: &[
            "a_stream_has_one_run_at_a_time",
            "exclusive_runs_exclude_each_other",
            "another_workspace_changes_nothing",
            "equal_keys_of_two_workspaces_are_two_rows",
            "workspaces_under_load_stay_apart",
        ],
    },
    Fault {
        name: "leaks end_run",
        harm: Harm::Leaks("end_run"),
        fails: &["another_workspace_changes_nothing", "equal_keys_of_two_workspaces_are_two_rows"],
    },
    Fault { name: "leaks run", harm: Harm::Leaks("run"), fails: &["another_workspace_sees_nothing"] },
    Fault { name: "leaks runs", harm: Harm::Leaks("runs"), fails: &["another_workspace_sees_nothing"] },
    Fault { name: "leaks failures", harm: Harm::Leaks("failures"), fails: &["another_workspace_sees_nothing"] },
    Fault { name: "leaks partition_states", harm: Harm::Leaks("partition_states"), fails: &["another_workspace_sees_nothing"] },
    Fault { name: "leaks last_look", harm: Harm::Leaks("last_look"), fails: &["another_workspace_sees_nothing"] },
    Fault { name: "leaks reset_cursors", harm: Harm::Leaks("reset_cursors"), fails: &["another_workspace_changes_nothing"] },
    Fault { name: "leaks events", harm: Harm::Leaks("events"), fails: &["another_workspace_sees_nothing"] },
    Fault {
        name: "leaks commit",
        harm: Harm::Leaks("commit"),
        fails: &["another_workspace_changes_nothing", "equal_keys_of_two_workspaces_are_two_rows", "workspaces_under_load_stay_apart"],
    },
    Fault { name: "leaks preview", harm: Harm::Leaks("preview"), fails: &["another_workspace_sees_nothing"] },
    Fault {
        name: "leaks sweep",
        harm: Harm::Leaks("sweep"),
        fails: &["another_workspace_changes_nothing", "equal_keys_of_two_workspaces_are_two_rows"],
    },
    Fault { name: "leaks entity_types", harm: Harm::Leaks("entity_types"), fails: &["another_workspace_sees_nothing"] },
    Fault { name: "leaks count_entities", harm: Harm::Leaks("count_entities"), fails: &["another_workspace_sees_nothing"] },
    Fault {
        name: "leaks entities",
        harm: Harm::Leaks("entities"),
        fails: &["another_workspace_sees_nothing", "equal_keys_of_two_workspaces_are_two_rows", "workspaces_under_load_stay_apart"],
    },
    Fault {
        name: "leaks lineage",
        harm: Harm::Leaks("lineage"),
        fails: &["another_workspace_sees_nothing", "equal_keys_of_two_workspaces_are_two_rows", "workspaces_under_load_stay_apart"],
    },
    Fault { name: "leaks changed_rows", harm: Harm::Leaks("changed_rows"), fails: &["another_workspace_sees_nothing"] },
    Fault { name: "leaks push_links", harm: Harm::Leaks("push_links"), fails: &["another_workspace_sees_nothing"] },
    Fault { name: "leaks linked_keys", harm: Harm::Leaks("linked_keys"), fails: &["another_workspace_sees_nothing"] },
    Fault { name: "leaks push_memory", harm: Harm::Leaks("push_memory"), fails: &["another_workspace_sees_nothing"] },
    Fault { name: "leaks intents", harm: Harm::Leaks("intents"), fails: &["another_workspace_sees_nothing"] },
    Fault { name: "leaks journal", harm: Harm::Leaks("journal"), fails: &["another_workspace_changes_nothing"] },
    Fault { name: "leaks log_activity", harm: Harm::Leaks("log_activity"), fails: &["another_workspace_changes_nothing"] },
    Fault { name: "leaks activities", harm: Harm::Leaks("activities"), fails: &["another_workspace_sees_nothing"] },
    Fault {
        name: "leaks note_renewal",
        harm: Harm::Leaks("note_renewal"),
        fails: &["authorizations_clients_and_leases_are_of_one_workspace"],
    },
    Fault { name: "leaks disconnect", harm: Harm::Leaks("disconnect"), fails: &["authorizations_clients_and_leases_are_of_one_workspace"] },
    Fault {
        name: "leaks keep_authorization",
        harm: Harm::Leaks("keep_authorization"),
        fails: &["authorizations_long_past_are_forgotten", "authorizations_clients_and_leases_are_of_one_workspace"],
    },
    Fault {
        name: "leaks take_authorization",
        harm: Harm::Leaks("take_authorization"),
        fails: &["authorizations_long_past_are_forgotten", "authorizations_clients_and_leases_are_of_one_workspace"],
    },
    Fault {
        name: "leaks oauth_client",
        harm: Harm::Leaks("oauth_client"),
        fails: &["authorizations_clients_and_leases_are_of_one_workspace"],
    },
    Fault {
        name: "leaks set_oauth_client",
        harm: Harm::Leaks("set_oauth_client"),
        fails: &["authorizations_clients_and_leases_are_of_one_workspace"],
    },
    Fault {
        name: "leaks remove_oauth_client",
        harm: Harm::Leaks("remove_oauth_client"),
        fails: &["authorizations_clients_and_leases_are_of_one_workspace"],
    },
    Fault { name: "leaks lease", harm: Harm::Leaks("lease"), fails: &["authorizations_clients_and_leases_are_of_one_workspace"] },
    Fault { name: "leaks release", harm: Harm::Leaks("release"), fails: &["authorizations_clients_and_leases_are_of_one_workspace"] },
];
