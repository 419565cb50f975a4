//! Versions of the configuration, seen by the checks that need storages to keep them.

use syncline::core::store::{APP, ConfigAction};

use crate::{faults::Fault, harm::Harm};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "says that nobody connected",
        harm: Harm::Connect(|new| new.connected_by = None),
        fails: &[
            "connecting_makes_the_first_version",
            "what_changes_nothing_makes_no_version",
            "going_and_coming_back_are_versions",
            "naming_a_client_is_a_change",
        ],
    },
    Fault {
        name: "says that nobody changed it",
        harm: Harm::Patch(|patch| patch.changed_by = None),
        fails: &["each_change_is_a_version", "an_earlier_version_is_put_in_force", "a_change_is_told_by_its_fields"],
    },
    Fault { name: "says that nobody disconnected", harm: Harm::SaysNobody, fails: &["going_and_coming_back_are_versions"] },
    Fault {
        name: "forgets that a version was put in force again",
        harm: Harm::Patch(|patch| patch.restores = None),
        fails: &["an_earlier_version_is_put_in_force"],
    },
    Fault {
        name: "keeps names that an earlier version has not",
        harm: Harm::Patch(|patch| {
            if let Some(config) = &mut patch.config {
                config.account_name = Some("Name".into());
            }
        }),
        fails: &["an_earlier_version_is_put_in_force"],
    },
    Fault {
        name: "makes a version of everything",
        harm: Harm::Patch(|patch| patch.sync_frequency_minutes = Some(patch.sync_frequency_minutes.unwrap_or(61) + 1)),
        fails: &["what_changes_nothing_makes_no_version", "an_earlier_version_is_put_in_force", "a_change_is_told_by_its_fields"],
    },
    Fault {
        name: "counts what fails as configured",
        harm: Harm::Patch(|patch| {
            if patch.status == Some(syncline::core::store::ConnectionStatus::Error) {
                patch.status = Some(syncline::core::store::ConnectionStatus::Paused);
            }
        }),
        fails: &["what_changes_nothing_makes_no_version"],
    },
    Fault {
        name: "keeps the first version alone",
        harm: Harm::Versions(|versions| versions.retain(|version| version.version == 1)),
        fails: &[
            "each_change_is_a_version",
            "going_and_coming_back_are_versions",
            "an_earlier_version_is_put_in_force",
            "versions_are_listed_newest_first",
            "naming_a_client_is_a_change",
            "what_lives_nowhere_else_has_versions",
            "a_version_is_made_over_the_latest_alone",
        ],
    },
    Fault {
        name: "keeps no version of what goes",
        harm: Harm::Versions(|versions| versions.retain(|version| version.action != ConfigAction::Disconnected)),
        fails: &["going_and_coming_back_are_versions"],
    },
    Fault {
        name: "lists the oldest version first",
        harm: Harm::Versions(|versions| versions.reverse()),
        fails: &[
            "each_change_is_a_version",
            "going_and_coming_back_are_versions",
            "an_earlier_version_is_put_in_force",
            "versions_are_listed_newest_first",
            "naming_a_client_is_a_change",
            "a_version_is_made_over_the_latest_alone",
        ],
    },
    Fault {
        name: "finds the latest version whatever the number",
        harm: Harm::FindsTheLatest,
        fails: &["an_earlier_version_is_put_in_force", "versions_are_listed_newest_first"],
    },
    Fault {
        name: "tells values in the activity log",
        harm: Harm::Activities(|rows| {
            for row in rows {
                row.metadata["settings"] = serde_json::json!({"secret place": 1});
            }
        }),
        fails: &["a_change_is_told_by_its_fields"],
    },
    Fault {
        name: "tells of each change twice",
        harm: Harm::Activities(|rows| rows.extend(rows.clone())),
        fails: &["a_change_is_told_by_its_fields", "naming_a_client_is_a_change"],
    },
    Fault {
        name: "tells of no change",
        harm: Harm::Activities(|rows| rows.clear()),
        fails: &["a_change_is_told_by_its_fields", "naming_a_client_is_a_change"],
    },
    Fault {
        name: "forgets who put it",
        harm: Harm::NewConfig(|new| new.by = Some(APP.into())),
        fails: &["what_lives_nowhere_else_has_versions"],
    },
    Fault {
        name: "keeps the body of what is deleted",
        harm: Harm::NewConfig(|new| new.body = Some(new.body.take().unwrap_or_else(|| serde_json::json!({})))),
        fails: &["what_lives_nowhere_else_has_versions", "what_cannot_be_put_is_refused"],
    },
    Fault { name: "puts over whatever version there is", harm: Harm::PutsBlindly, fails: &["a_version_is_made_over_the_latest_alone"] },
    Fault {
        name: "takes versions of connections",
        harm: Harm::NewConfig(|new| {
            if &*new.kind == "connection" {
                new.kind = "mapping".into();
            }
        }),
        fails: &["what_cannot_be_put_is_refused"],
    },
    Fault { name: "lists the versions of others", harm: Harm::Leaks("config_versions"), fails: &["versions_are_of_one_workspace"] },
    Fault { name: "finds the versions of others", harm: Harm::Leaks("config_version"), fails: &["versions_are_of_one_workspace"] },
    Fault { name: "counts on from the versions of others", harm: Harm::Leaks("put_config"), fails: &["versions_are_of_one_workspace"] },
];
