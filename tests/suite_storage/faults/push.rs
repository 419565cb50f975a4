//! Pushes.

use std::sync::Arc;

use syncline::core::{Error, Operation, store::Settled};

use crate::{
    faults::Fault,
    harm::{Harm, target},
};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "forgets how often it looked",
        harm: Harm::Journal(|steps| steps.begun.iter_mut().for_each(|intent| intent.looks = 0)),
        fails: &[],
    },
    Fault { name: "keeps the first intent of a key", harm: Harm::KeepsFirstIntents, fails: &[] },
    Fault { name: "drops an intent", harm: Harm::Journal(|steps| drop(steps.begun.pop())), fails: &[] },
    Fault {
        name: "forgets a link",
        harm: Harm::Journal(|steps| {
            steps.settled.iter_mut().for_each(|settled| {
                if let Settled::Accepted { key, .. } = settled {
                    *settled = Settled::Dropped { key: key.clone() }
                }
            })
        }),
        fails: &[],
    },
    Fault { name: "answers links in any order", harm: Harm::Links(|links| links.reverse()), fails: &[] },
    Fault { name: "answers keys in any order", harm: Harm::Keys(|keys| keys.reverse()), fails: &[] },
    Fault {
        name: "keeps the link of what is gone",
        harm: Harm::Journal(|steps| {
            steps.settled.iter_mut().for_each(|settled| {
                if let Settled::Deleted { key } = settled {
                    *settled = Settled::Dropped { key: key.clone() }
                }
            })
        }),
        fails: &[],
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
        fails: &[],
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
        fails: &[],
    },
    Fault {
        name: "keeps no removals",
        harm: Harm::Journal(|steps| steps.begun.retain(|intent| intent.operation == Operation::Upsert)),
        fails: &[],
    },
    Fault { name: "lists intents in any state", harm: Harm::IntentFilter(|filter| filter.states.clear()), fails: &[] },
    Fault { name: "lists intents from the beginning", harm: Harm::IntentFilter(|filter| filter.after = None), fails: &[] },
    Fault {
        name: "does not count what is unsettled",
        harm: Harm::Journal(|steps| {
            steps.counts.read -= steps.counts.unsettled;
            steps.counts.unsettled = 0
        }),
        fails: &[],
    },
    Fault {
        name: "forgets the memory of a push",
        harm: Harm::Journal(|steps| {
            steps.memory.get_or_insert_default();
        }),
        fails: &[],
    },
    Fault { name: "forgets the shape of a stream", harm: Harm::Memory(|memory| memory.shape = None), fails: &[] },
    Fault { name: "links a record for every feed", harm: Harm::LinksOfAnyFeed, fails: &[] },
    Fault { name: "counts no unchanged rows", harm: Harm::Changed(|rows| rows.unchanged = 0), fails: &[] },
    Fault { name: "pushes fields that are not pushed", harm: Harm::PushesMore, fails: &[] },
    Fault { name: "never hands over unchanged rows", harm: Harm::ChangedQuery(|query| query.all = false), fails: &[] },
    Fault { name: "hands over one page", harm: Harm::Changed(|rows| rows.after = None), fails: &[] },
    Fault { name: "does not say which keys are missing", harm: Harm::Changed(|rows| rows.missing.clear()), fails: &[] },
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
        fails: &[],
    },
    Fault { name: "sends back what a pull brought", harm: Harm::Commit(|page| target(page).pushes = Arc::default()), fails: &[] },
    Fault { name: "agrees to what it did not take", harm: Harm::AlwaysAgrees, fails: &[] },
    Fault {
        name: "does not say which column is missing",
        harm: Harm::Refusal(|error| {
            if error.operation() == "changed_rows" { Error::config("changed_rows", "something is missing") } else { error }
        }),
        fails: &[],
    },
];
