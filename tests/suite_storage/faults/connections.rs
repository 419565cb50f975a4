//! Connections, runs and their owners.

use syncline::core::store::ConnectionStatus;

use crate::{faults::Fault, harm::Harm};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "forgets who connected",
        harm: Harm::Connection(|c| c.connected_by = None),
        fails: &["a_new_connection_is_as_it_was_asked_for"],
    },
    Fault {
        name: "never knows an account again",
        harm: Harm::Connect(|new| new.account_id = format!("{}{}", new.account_id, new.id).into()),
        fails: &[
            "a_new_connection_is_as_it_was_asked_for",
            "connecting_again_heals",
            "an_account_is_found",
            "another_workspace_sees_nothing",
            "connecting_without_credentials_keeps_those_there_are",
            "credentials_sealed_for_another_id_are_refused",
        ],
    },
    Fault {
        name: "switches on what was paused when it is connected again",
        harm: Harm::ResumesPaused,
        fails: &["what_was_paused_is_healed_and_stays_paused"],
    },
    Fault {
        name: "keeps the old settings when healing",
        harm: Harm::Connect(|new| new.settings = serde_json::json!({"channels": ["a"]})),
        fails: &["connecting_again_heals", "what_was_paused_is_healed_and_stays_paused"],
    },
    Fault {
        name: "tells whose an id is",
        harm: Harm::Refusal(|error| error.at("workspace", "acme")),
        fails: &["accounts_are_unique", "another_workspace_sees_nothing"],
    },
    Fault {
        name: "ignores a part of a patch",
        harm: Harm::Patch(|patch| patch.sync_enabled = None),
        fails: &["what_was_paused_is_healed_and_stays_paused", "a_patch_changes_what_it_names"],
    },
    Fault {
        name: "ignores the message of a patch",
        harm: Harm::Patch(|patch| patch.error_message = None),
        fails: &["a_patch_changes_what_it_names"],
    },
    Fault {
        name: "forgets how often a connection failed",
        harm: Harm::Connection(|c| {
            if c.status == ConnectionStatus::Error {
                c.error_count = 0
            }
        }),
        fails: &["three_counted_failures_are_an_error"],
    },
    Fault {
        name: "swaps credentials whatever their version",
        harm: Harm::SwapsBlindly,
        fails: &["credentials_are_compared_and_swapped", "new_credentials_end_a_renewal", "the_same_credentials_once_more_change_nothing"],
    },
    Fault {
        name: "lists the newest connection first",
        harm: Harm::Connections(|all| all.reverse()),
        fails: &["connections_are_listed_oldest_first"],
    },
    Fault {
        name: "is never busy",
        harm: Harm::NeverBusy,
        fails: &[
            "a_stream_has_one_run_at_a_time",
            "a_race_starts_one_run",
            "exclusive_runs_exclude_each_other",
            "owners_share_one_state",
            "another_workspace_changes_nothing",
        ],
    },
    Fault {
        name: "takes no run for exclusive",
        harm: Harm::Begin(|new| new.exclusive = false),
        fails: &["exclusive_runs_exclude_each_other"],
    },
    Fault {
        name: "gives every run one token",
        harm: Harm::OneToken,
        fails: &["every_claim_has_a_fresh_token", "a_trial_goes_on_from_what_it_tried"],
    },
    Fault {
        name: "ignores the fence of commits",
        harm: Harm::IgnoresFence("commit"),
        fails: &["a_stale_fence_commits_nothing", "cursors_stay_without_their_rows"],
    },
    Fault { name: "ignores the fence of sweeps", harm: Harm::IgnoresFence("sweep"), fails: &["a_stale_fence_sweeps_nothing"] },
    Fault {
        name: "ignores the fence of ends",
        harm: Harm::IgnoresFence("end_run"),
        fails: &["a_stale_fence_ends_nothing", "a_look_is_kept_with_the_end_of_its_run"],
    },
    Fault { name: "ignores the fence of a push", harm: Harm::IgnoresFence("journal"), fails: &["a_stale_fence_journals_nothing"] },
    Fault { name: "journals a half of what it refuses", harm: Harm::HalfJournals, fails: &["a_stale_fence_journals_nothing"] },
    Fault { name: "ends a run twice", harm: Harm::EndsTwice, fails: &["an_ended_run_stays_as_it_ended"] },
    Fault { name: "forgets who asked for a run", harm: Harm::Run(|run| run.triggered_by = "".into()), fails: &["a_run_keeps_its_books"] },
    Fault {
        name: "cuts an error at a NUL",
        harm: Harm::RunEnd(|end| {
            for error in &mut end.errors {
                error.message = error.message.split('\0').next().unwrap_or_default().into()
            }
        }),
        fails: &["an_error_that_holds_a_nul_ends_its_run"],
    },
    Fault { name: "lists the oldest run first", harm: Harm::Runs(|runs| runs.reverse()), fails: &["runs_are_listed_newest_first"] },
    Fault {
        name: "keeps the message of a failure",
        harm: Harm::Connection(|c| {
            if c.last_sync_at.is_some() {
                c.error_message = Some("old".into())
            }
        }),
        fails: &["success_clears_the_errors"],
    },
    Fault {
        name: "counts every failure",
        harm: Harm::RunEnd(|end| end.counts_against_connection = true),
        fails: &["three_counted_failures_are_an_error"],
    },
    Fault {
        name: "counts no failure",
        harm: Harm::RunEnd(|end| end.counts_against_connection = false),
        fails: &["three_counted_failures_are_an_error"],
    },
    Fault {
        name: "ignores that a grant was revoked",
        harm: Harm::RunEnd(|end| end.revoked = false),
        fails: &["a_revoked_grant_is_an_error_at_once"],
    },
    Fault {
        name: "switches on what was paused",
        harm: Harm::Connection(|c| {
            if c.status == ConnectionStatus::Paused && c.sync_status.is_some() {
                c.status = ConnectionStatus::Error
            }
        }),
        fails: &["what_was_switched_off_stays_off"],
    },
    Fault {
        name: "does not tell how a run ended",
        harm: Harm::Connection(|c| c.sync_status = None),
        fails: &["a_connection_tells_of_its_run"],
    },
    Fault {
        name: "has a world for each handle",
        harm: Harm::HandlesShareNothing,
        fails: &[
            "owners_share_one_state",
            "a_run_without_owner_is_taken_over",
            "the_reaper_ends_runs_without_owner_alone",
            "what_was_committed_outlives_its_owner",
            "an_intent_outlives_its_run",
            "uses_of_a_key_add_up",
            "sealing_and_retiring_take_turns",
            "secrets_that_were_taken_away_are_nowhere",
            "an_authorization_is_taken_once",
            "a_race_gives_one_lease",
        ],
    },
    Fault {
        name: "takes owners that are gone for alive",
        harm: Harm::OwnersNeverEnd,
        fails: &["a_run_without_owner_is_taken_over", "the_reaper_ends_runs_without_owner_alone"],
    },
    Fault { name: "never reaps", harm: Harm::NeverReaps, fails: &["the_reaper_ends_runs_without_owner_alone"] },
];
