//! Pruning.

use syncline::core::store::Log;

use crate::{faults::Fault, harm::Harm};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "prunes nothing",
        harm: Harm::Prune(|_, _, limit| *limit = 0),
        fails: &[
            "old_activity_goes",
            "old_events_go",
            "old_runs_go_with_their_failures",
            "what_lineage_was_pruned_of_is_not_claimed",
            "old_plans_go_with_their_items",
            "pruning_goes_in_batches",
        ],
    },
    Fault {
        name: "prunes activity whatever its age",
        harm: Harm::Prune(|log, before, _| {
            if *log == Log::Activity {
                *before += chrono::Duration::days(1);
            }
        }),
        fails: &["old_activity_goes"],
    },
    Fault {
        name: "prunes events whatever their age",
        harm: Harm::Prune(|log, before, _| {
            if *log == Log::Events {
                *before += chrono::Duration::days(1);
            }
        }),
        fails: &["old_events_go"],
    },
    Fault {
        name: "prunes runs whatever their age",
        harm: Harm::Prune(|log, before, _| {
            if *log == Log::Runs {
                *before += chrono::Duration::days(1);
            }
        }),
        fails: &["old_runs_go_with_their_failures"],
    },
    Fault {
        name: "prunes lineage whatever its age",
        harm: Harm::Prune(|log, before, _| {
            if *log == Log::Lineage {
                *before += chrono::Duration::days(1);
            }
        }),
        fails: &["what_lineage_was_pruned_of_is_not_claimed"],
    },
    Fault {
        name: "prunes plans whatever their age",
        harm: Harm::Prune(|log, before, _| {
            if *log == Log::Plans {
                *before += chrono::Duration::days(1);
            }
        }),
        fails: &["old_plans_go_with_their_items"],
    },
    Fault {
        name: "keeps plans that somebody has changed",
        harm: Harm::Settling(|settle| settle.at += chrono::Duration::days(1)),
        fails: &["old_plans_go_with_their_items"],
    },
    Fault {
        name: "prunes all there is at once",
        harm: Harm::Prune(|_, _, limit| *limit = u32::MAX),
        fails: &["old_plans_go_with_their_items", "pruning_goes_in_batches"],
    },
    Fault {
        name: "forgets what changed after",
        harm: Harm::Lineage(|entries| entries.retain(|entry| entry.previous_value.is_none())),
        fails: &["old_runs_go_with_their_failures", "what_lineage_was_pruned_of_is_not_claimed"],
    },
    Fault { name: "takes positions along", harm: Harm::PrunesPositions, fails: &["pruning_leaves_rows_alone"] },
];
