//! Connections, runs and their owners.

use syncline::core::store::ConnectionStatus;

use crate::{faults::Fault, harm::Harm};

pub(super) const FAULTS: &[Fault] = &[
    Fault { name: "forgets who connected", harm: Harm::Connection(|c| c.connected_by = None), fails: &[] },
    Fault {
        name: "never knows an account again",
        harm: Harm::Connect(|new| new.account_id = format!("{}{}", new.account_id, new.id).into()),
        fails: &[],
    },
    Fault {
        name: "keeps the old settings when healing",
        harm: Harm::Connect(|new| new.settings = serde_json::json!({"channels": ["a"]})),
        fails: &[],
    },
    Fault { name: "tells whose an id is", harm: Harm::Refusal(|error| error.at("workspace", "acme")), fails: &[] },
    Fault { name: "ignores a part of a patch", harm: Harm::Patch(|patch| patch.sync_enabled = None), fails: &[] },
    Fault {
        name: "clears errors with any patch",
        harm: Harm::Connection(|c| {
            if c.status == ConnectionStatus::Error {
                c.error_count = 0
            }
        }),
        fails: &[],
    },
    Fault { name: "swaps credentials whatever their version", harm: Harm::SwapsBlindly, fails: &[] },
    Fault { name: "lists the newest connection first", harm: Harm::Connections(|all| all.reverse()), fails: &[] },
    Fault { name: "is never busy", harm: Harm::NeverBusy, fails: &[] },
    Fault { name: "takes no run for exclusive", harm: Harm::Begin(|new| new.exclusive = false), fails: &[] },
    Fault { name: "takes every run for exclusive", harm: Harm::Begin(|new| new.exclusive = true), fails: &[] },
    Fault { name: "gives every run one token", harm: Harm::OneToken, fails: &[] },
    Fault { name: "ignores the fence of commits", harm: Harm::IgnoresFence("commit"), fails: &[] },
    Fault { name: "ignores the fence of sweeps", harm: Harm::IgnoresFence("sweep"), fails: &[] },
    Fault { name: "ignores the fence of ends", harm: Harm::IgnoresFence("end_run"), fails: &[] },
    Fault { name: "ignores the fence of a push", harm: Harm::IgnoresFence("journal"), fails: &[] },
    Fault { name: "journals a half of what it refuses", harm: Harm::HalfJournals, fails: &[] },
    Fault { name: "ends a run twice", harm: Harm::EndsTwice, fails: &[] },
    Fault { name: "forgets who asked for a run", harm: Harm::Run(|run| run.triggered_by = "".into()), fails: &[] },
    Fault { name: "lists the oldest run first", harm: Harm::Runs(|runs| runs.reverse()), fails: &[] },
    Fault {
        name: "keeps the message of a failure",
        harm: Harm::Connection(|c| {
            if c.last_sync_at.is_some() {
                c.error_message = Some("old".into())
            }
        }),
        fails: &[],
    },
    Fault { name: "counts every failure", harm: Harm::RunEnd(|end| end.counts_against_connection = true), fails: &[] },
    Fault { name: "counts no failure", harm: Harm::RunEnd(|end| end.counts_against_connection = false), fails: &[] },
    Fault { name: "ignores that a grant was revoked", harm: Harm::RunEnd(|end| end.revoked = false), fails: &[] },
    Fault {
        name: "switches on what was paused",
        harm: Harm::Connection(|c| {
            if c.status == ConnectionStatus::Paused && c.sync_status.is_some() {
                c.status = ConnectionStatus::Error
            }
        }),
        fails: &[],
    },
    Fault { name: "does not tell how a run ended", harm: Harm::Connection(|c| c.sync_status = None), fails: &[] },
    Fault { name: "has a world for each handle", harm: Harm::HandlesShareNothing, fails: &[] },
    Fault { name: "takes owners that are gone for alive", harm: Harm::OwnersNeverEnd, fails: &[] },
    Fault { name: "never reaps", harm: Harm::NeverReaps, fails: &[] },
];
