//! What is kept beside fields.

use std::sync::Arc;

use syncline::core::{
    mapping::{Authority, ConflictState},
    store::Conflicts,
};

use crate::{
    faults::Fault,
    harm::{Harm, target},
};

pub(super) const FAULTS: &[Fault] = &[
    Fault { name: "drops references", harm: Harm::References(Vec::clear), fails: &[] },
    Fault {
        name: "writes references",
        harm: Harm::Commit(|page| {
            Arc::make_mut(&mut target(page).rules).values_mut().for_each(|rule| {
                if rule.authority == Authority::Reference {
                    rule.authority = Authority::SourceOfTruth
                }
            })
        }),
        fails: &[],
    },
    Fault { name: "keeps references for ever", harm: Harm::NeverForgetsReferences, fails: &[] },
    Fault {
        name: "says of every reference that it is new",
        harm: Harm::References(|values| values.iter_mut().for_each(|value| value.at += chrono::Duration::seconds(1))),
        fails: &[],
    },
    Fault { name: "drops conflicts", harm: Harm::Conflicts(Vec::clear), fails: &[] },
    Fault {
        name: "swaps winner and loser",
        harm: Harm::Conflicts(|all| all.iter_mut().for_each(|conflict| std::mem::swap(&mut conflict.value, &mut conflict.winning))),
        fails: &[],
    },
    Fault { name: "lets the last source win", harm: Harm::Commit(|page| target(page).rules = Arc::default()), fails: &[] },
    Fault {
        name: "never settles",
        harm: Harm::Conflicts(|all| {
            all.iter_mut().for_each(|conflict| {
                if conflict.state == ConflictState::Settled {
                    conflict.state = ConflictState::Open
                }
            })
        }),
        fails: &[],
    },
    Fault {
        name: "forgets who decided",
        harm: Harm::Conflicts(|all| all.iter_mut().for_each(|conflict| conflict.resolved_by = None)),
        fails: &[],
    },
    Fault { name: "decides about what nobody has seen", harm: Harm::SettlesBlindly, fails: &[] },
    Fault { name: "accepts what was taken", harm: Harm::Settling(|settle| settle.state = ConflictState::Accepted), fails: &[] },
    Fault {
        name: "decides about one of all",
        harm: Harm::Settling(|settle| {
            if let Conflicts::Alike { .. } = settle.which {
                settle.which = Conflicts::Each(Vec::new())
            }
        }),
        fails: &[],
    },
    Fault { name: "lists conflicts of any field", harm: Harm::ConflictFilter(|filter| filter.field = None), fails: &[] },
    Fault { name: "lists conflicts of any loser", harm: Harm::ConflictFilter(|filter| filter.loser = None), fails: &[] },
    Fault { name: "lists conflicts from the beginning", harm: Harm::ConflictFilter(|filter| filter.after = None), fails: &[] },
    Fault { name: "writes what it previews", harm: Harm::PreviewsCommit, fails: &[] },
    Fault { name: "lists conflicts of another workspace", harm: Harm::Leaks("conflicts"), fails: &[] },
    Fault { name: "lists references of another workspace", harm: Harm::Leaks("reference_values"), fails: &[] },
    Fault { name: "decides in another workspace", harm: Harm::Leaks("settle_conflicts"), fails: &[] },
    Fault {
        name: "opens what was accepted when the winner changes",
        harm: Harm::Conflicts(|all| {
            all.iter_mut().for_each(|conflict| {
                if conflict.state == ConflictState::Accepted && conflict.resolved_at.is_some_and(|at| conflict.at != at) {
                    conflict.state = ConflictState::Open
                }
            })
        }),
        fails: &[],
    },
    Fault {
        name: "writes derived fields by hand",
        harm: Harm::Commit(|page| {
            if page.target.by_hand {
                target(page).rules = Arc::default()
            }
        }),
        fails: &[],
    },
];
