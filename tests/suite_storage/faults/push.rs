//! Pushes.

use std::sync::Arc;

use syncline::core::{Error, Operation, PushMode, store::Settled};

use crate::{
    faults::Fault,
    harm::{Harm, target},
};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "forgets how often it looked",
        harm: Harm::Journal(|steps| steps.begun.iter_mut().for_each(|intent| intent.looks = 0)),
        fails: &["an_intent_is_kept_as_it_is"],
    },
    Fault {
        name: "forgets the mode of a write",
        harm: Harm::Journal(|steps| steps.begun.iter_mut().for_each(|intent| intent.mode = PushMode::Upsert)),
        fails: &["an_intent_keeps_its_mode"],
    },
    Fault { name: "keeps the first intent of a key", harm: Harm::KeepsFirstIntents, fails: &["a_key_has_one_intent"] },
    Fault {
        name: "drops an intent",
        harm: Harm::Journal(|steps| drop(steps.begun.pop())),
        fails: &[
            "another_workspace_sees_nothing",
            "an_intent_is_kept_as_it_is",
            "an_intent_keeps_its_mode",
            "a_key_has_one_intent",
            "an_accepted_write_becomes_a_link",
            "a_removal_is_an_intent_too",
            "intents_are_filtered",
            "intents_are_paged",
            "journalling_again_changes_nothing",
            "an_intent_outlives_its_run",
        ],
    },
    Fault {
        name: "forgets a link",
        harm: Harm::Journal(|steps| {
            steps.settled.iter_mut().for_each(|settled| {
                if let Settled::Accepted { key, .. } = settled {
                    *settled = Settled::Dropped { key: key.clone() }
                }
            })
        }),
        fails: &[
            "an_accepted_write_becomes_a_link",
            "a_confirmed_removal_ends_the_link",
            "a_dropped_write_keeps_its_link",
            "an_open_write_stays_listed",
            "journalling_again_changes_nothing",
            "an_intent_outlives_its_run",
            "rows_that_differ_are_handed_over",
            "the_fields_of_a_push_alone_count",
            "all_rows_can_be_asked_for",
            "changed_rows_are_paged",
            "a_row_without_hash_is_handed_over",
        ],
    },
    Fault {
        name: "answers links in any order",
        harm: Harm::Links(|links| links.reverse()),
        fails: &["a_confirmed_removal_ends_the_link", "a_dropped_write_keeps_its_link", "a_row_that_went_has_no_link"],
    },
    Fault {
        name: "answers keys in any order",
        harm: Harm::Keys(|keys| keys.reverse()),
        fails: &["an_accepted_write_becomes_a_link", "a_confirmed_removal_ends_the_link", "what_a_pull_brought_is_not_sent_back"],
    },
    Fault {
        name: "keeps the link of what is gone",
        harm: Harm::Journal(|steps| {
            steps.settled.iter_mut().for_each(|settled| {
                if let Settled::Deleted { key } = settled {
                    *settled = Settled::Dropped { key: key.clone() }
                }
            })
        }),
        fails: &["a_confirmed_removal_ends_the_link"],
    },
    Fault {
        name: "takes what was left out for gone",
        harm: Harm::Journal(|steps| {
            steps.settled.iter_mut().for_each(|settled| {
                if let Settled::Dropped { key } = settled {
                    *settled = Settled::Deleted { key: key.clone() }
                }
            })
        }),
        fails: &["a_dropped_write_keeps_its_link"],
    },
    Fault {
        name: "takes what is open for done",
        harm: Harm::Journal(|steps| {
            steps.settled.iter_mut().for_each(|settled| {
                if let Settled::Open(intent) = settled {
                    *settled = Settled::Dropped { key: intent.key.clone() }
                }
            })
        }),
        fails: &["an_intent_keeps_its_mode", "an_open_write_stays_listed"],
    },
    Fault {
        name: "keeps no removals",
        harm: Harm::Journal(|steps| steps.begun.retain(|intent| intent.operation == Operation::Upsert)),
        fails: &["a_removal_is_an_intent_too"],
    },
    Fault {
        name: "lists intents in any state",
        harm: Harm::IntentFilter(|filter| filter.states.clear()),
        fails: &["intents_are_filtered"],
    },
    Fault {
        name: "lists intents from the beginning",
        harm: Harm::IntentFilter(|filter| filter.after = None),
        fails: &["intents_are_paged"],
    },
    Fault {
        name: "does not count what is unsettled",
        harm: Harm::Journal(|steps| {
            steps.counts.read -= steps.counts.unsettled;
            steps.counts.unsettled = 0
        }),
        fails: &["journalled_counts_are_the_runs"],
    },
    Fault {
        name: "forgets the memory of a push",
        harm: Harm::Journal(|steps| {
            steps.memory.get_or_insert_default();
        }),
        fails: &["push_memory_is_kept"],
    },
    Fault {
        name: "forgets the shape of a stream",
        harm: Harm::Memory(|memory| memory.shape = None),
        fails: &["journalling_again_changes_nothing", "push_memory_is_kept", "an_intent_outlives_its_run"],
    },
    Fault { name: "links a record for every feed", harm: Harm::LinksOfAnyFeed, fails: &["feeds_push_on_their_own"] },
    Fault {
        name: "counts no unchanged rows",
        harm: Harm::Changed(|rows| rows.unchanged = 0),
        fails: &[
            "rows_that_differ_are_handed_over",
            "changed_rows_are_paged",
            "what_a_pull_brought_is_not_sent_back",
            "what_another_source_changed_is_sent",
        ],
    },
    Fault { name: "pushes fields that are not pushed", harm: Harm::PushesMore, fails: &["the_fields_of_a_push_alone_count"] },
    Fault {
        name: "never hands over unchanged rows",
        harm: Harm::ChangedQuery(|query| query.all = false),
        fails: &["all_rows_can_be_asked_for", "what_a_pull_brought_is_not_sent_back"],
    },
    Fault { name: "hands over one page", harm: Harm::Changed(|rows| rows.after = None), fails: &["changed_rows_are_paged"] },
    Fault {
        name: "does not say which keys are missing",
        harm: Harm::Changed(|rows| rows.missing.clear()),
        fails: &["rows_can_be_asked_for_by_key"],
    },
    Fault {
        name: "takes a link without hash for none",
        harm: Harm::Journal(|steps| {
            steps.settled.iter_mut().for_each(|settled| {
                if let Settled::Accepted { link, .. } = settled {
                    link.hash.get_or_insert(0);
                    link.version = None
                }
            })
        }),
        fails: &[
            "an_accepted_write_becomes_a_link",
            "a_confirmed_removal_ends_the_link",
            "a_dropped_write_keeps_its_link",
            "an_open_write_stays_listed",
            "journalling_again_changes_nothing",
            "an_intent_outlives_its_run",
            "a_row_without_hash_is_handed_over",
        ],
    },
    Fault {
        name: "sends back what a pull brought",
        harm: Harm::Commit(|page| target(page).pushes = Arc::default()),
        fails: &["what_a_pull_brought_is_not_sent_back", "what_another_source_changed_is_sent", "a_row_that_went_has_no_link"],
    },
    Fault { name: "agrees to what it did not take", harm: Harm::AlwaysAgrees, fails: &["what_another_source_changed_is_sent"] },
    Fault {
        name: "does not say which column is missing",
        harm: Harm::Refusal(|error| {
            if error.operation() == "changed_rows" { Error::config("changed_rows", "something is missing") } else { error }
        }),
        fails: &["an_unknown_column_is_named"],
    },
    Fault { name: "keeps the link of a row that went", harm: Harm::KeepsDeadLinks, fails: &["a_row_that_went_has_no_link"] },
];
