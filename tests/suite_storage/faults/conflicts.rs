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
    Fault {
        name: "drops references",
        harm: Harm::References(Vec::clear),
        fails: &[
            "a_reference_is_kept_beside_the_field",
            "a_reference_may_come_before_its_row",
            "a_reference_goes_with_what_stands_behind_it",
            "nothing_stays_beside_of_what_was_not_committed",
        ],
    },
    Fault {
        name: "writes references",
        harm: Harm::Commit(|page| {
            Arc::make_mut(&mut target(page).rules).values_mut().for_each(|rule| {
                if rule.authority == Authority::Reference {
                    rule.authority = Authority::SourceOfTruth
                }
            })
        }),
        fails: &[
            "a_reference_is_kept_beside_the_field",
            "a_reference_may_come_before_its_row",
            "a_reference_goes_with_what_stands_behind_it",
            "nothing_stays_beside_of_what_was_not_committed",
            "what_is_beside_belongs_to_a_workspace",
        ],
    },
    Fault {
        name: "keeps references for ever",
        harm: Harm::NeverForgetsReferences,
        fails: &["a_reference_may_come_before_its_row", "a_reference_goes_with_what_stands_behind_it"],
    },
    Fault {
        name: "says of every reference that it is new",
        harm: Harm::References(|values| values.iter_mut().for_each(|value| value.at += chrono::Duration::seconds(1))),
        fails: &["a_reference_is_kept_beside_the_field"],
    },
    Fault {
        name: "drops conflicts",
        harm: Harm::Conflicts(Vec::clear),
        fails: &[
            "what_loses_is_a_conflict_in_any_order",
            "a_conflict_follows_both_values",
            "a_decision_is_about_what_was_seen",
            "one_decision_for_all_alike",
            "an_accepted_conflict_opens_with_its_loser",
            "a_taken_value_stays_until_the_winner_changes",
            "conflicts_are_found_by_what_is_asked",
            "nothing_stays_beside_of_what_was_not_committed",
            "what_is_beside_belongs_to_a_workspace",
        ],
    },
    Fault {
        name: "swaps winner and loser",
        harm: Harm::Conflicts(|all| all.iter_mut().for_each(|conflict| std::mem::swap(&mut conflict.value, &mut conflict.winning))),
        fails: &[
            "what_loses_is_a_conflict_in_any_order",
            "a_conflict_follows_both_values",
            "a_decision_is_about_what_was_seen",
            "one_decision_for_all_alike",
            "an_accepted_conflict_opens_with_its_loser",
            "a_taken_value_stays_until_the_winner_changes",
        ],
    },
    Fault {
        name: "lets the last source win",
        harm: Harm::Commit(|page| target(page).rules = Arc::default()),
        fails: &[
            "a_reference_is_kept_beside_the_field",
            "a_reference_may_come_before_its_row",
            "a_reference_goes_with_what_stands_behind_it",
            "what_loses_is_a_conflict_in_any_order",
            "a_conflict_follows_both_values",
            "a_decision_is_about_what_was_seen",
            "one_decision_for_all_alike",
            "an_accepted_conflict_opens_with_its_loser",
            "a_taken_value_stays_until_the_winner_changes",
            "conflicts_are_found_by_what_is_asked",
            "nothing_stays_beside_of_what_was_not_committed",
            "what_is_beside_belongs_to_a_workspace",
            "owners_of_fields_are_told",
            "derived_is_not_written_by_hand_either",
        ],
    },
    Fault {
        name: "never settles",
        harm: Harm::Conflicts(|all| {
            all.iter_mut().for_each(|conflict| {
                if conflict.state == ConflictState::Settled {
                    conflict.state = ConflictState::Open
                }
            })
        }),
        fails: &["a_conflict_follows_both_values"],
    },
    Fault {
        name: "forgets who decided",
        harm: Harm::Conflicts(|all| all.iter_mut().for_each(|conflict| conflict.resolved_by = None)),
        fails: &["a_decision_is_about_what_was_seen", "an_accepted_conflict_opens_with_its_loser"],
    },
    Fault { name: "decides about what nobody has seen", harm: Harm::DecidesBlindly, fails: &["a_decision_is_about_what_was_seen"] },
    Fault {
        name: "accepts what was taken",
        harm: Harm::Deciding(|settle| settle.state = ConflictState::Accepted),
        fails: &["a_taken_value_stays_until_the_winner_changes"],
    },
    Fault {
        name: "decides about one of all",
        harm: Harm::Deciding(|settle| {
            if let Conflicts::Alike { .. } = settle.which {
                settle.which = Conflicts::Each(Vec::new())
            }
        }),
        fails: &["one_decision_for_all_alike"],
    },
    Fault {
        name: "lists conflicts of any field",
        harm: Harm::ConflictFilter(|filter| filter.field = None),
        fails: &["conflicts_are_found_by_what_is_asked"],
    },
    Fault {
        name: "lists conflicts of any loser",
        harm: Harm::ConflictFilter(|filter| filter.loser = None),
        fails: &["conflicts_are_found_by_what_is_asked"],
    },
    Fault {
        name: "lists conflicts from the beginning",
        harm: Harm::ConflictFilter(|filter| filter.after = None),
        fails: &["conflicts_are_found_by_what_is_asked"],
    },
    Fault { name: "writes what it previews", harm: Harm::PreviewsCommit, fails: &["nothing_stays_beside_of_what_was_not_committed"] },
    Fault {
        name: "lists conflicts of another workspace",
        harm: Harm::Leaks("conflicts"),
        fails: &["what_is_beside_belongs_to_a_workspace"],
    },
    Fault {
        name: "lists references of another workspace",
        harm: Harm::Leaks("reference_values"),
        fails: &["what_is_beside_belongs_to_a_workspace"],
    },
    Fault {
        name: "knows owners by their first priority",
        harm: Harm::Owners(|owners| owners.iter_mut().for_each(|(_, owner)| owner.priority = 1)),
        fails: &["owners_of_fields_are_told"],
    },
    Fault { name: "tells owners of another workspace", harm: Harm::Leaks("field_owners"), fails: &["owners_of_fields_are_told"] },
    Fault {
        name: "decides in another workspace",
        harm: Harm::Leaks("settle_conflicts"),
        fails: &["what_is_beside_belongs_to_a_workspace"],
    },
    Fault {
        name: "opens what was accepted when the winner changes",
        harm: Harm::Conflicts(|all| {
            all.iter_mut().for_each(|conflict| {
                if conflict.state == ConflictState::Accepted && conflict.resolved_at.is_some_and(|at| conflict.at != at) {
                    conflict.state = ConflictState::Open
                }
            })
        }),
        fails: &["an_accepted_conflict_opens_with_its_loser"],
    },
    Fault {
        name: "writes derived fields by hand",
        harm: Harm::Commit(|page| {
            if page.target.by_hand() {
                target(page).rules = Arc::default()
            }
        }),
        fails: &["derived_is_not_written_by_hand_either"],
    },
];
