//! Plans, seen by the checks that need storages to keep them.

use syncline::core::store::ItemState;

use crate::{faults::Fault, harm::Harm};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "keeps no items",
        harm: Harm::Plan(|_, items| items.clear()),
        fails: &[
            "old_plans_go_with_their_items",
            "a_plan_is_kept_as_it_was_made",
            "items_come_in_order_and_in_pages",
            "a_plan_is_settled_from_where_it_stands",
            "an_erased_entity_is_in_no_table",
        ],
    },
    Fault { name: "forgets the key", harm: Harm::Plan(|plan, _| plan.key.clear()), fails: &["a_plan_is_kept_as_it_was_made"] },
    Fault {
        name: "loses planned nulls",
        harm: Harm::Items(|items| items.iter_mut().flat_map(|item| &mut item.changes).for_each(|change| change.old = None)),
        fails: &["a_plan_is_kept_as_it_was_made"],
    },
    Fault {
        name: "mixes the items up",
        harm: Harm::Items(|items| items.reverse()),
        fails: &["a_plan_is_kept_as_it_was_made", "items_come_in_order_and_in_pages", "a_plan_is_settled_from_where_it_stands"],
    },
    Fault {
        name: "lists the oldest first",
        harm: Harm::Plans(|plans| plans.reverse()),
        fails: &["old_plans_go_with_their_items", "plans_are_listed_newest_first"],
    },
    Fault { name: "settles whatever stands", harm: Harm::SettlesBlindly, fails: &["a_plan_is_settled_from_where_it_stands"] },
    Fault {
        name: "forgets what became of items",
        harm: Harm::Settling(|settle| settle.items.clear()),
        fails: &["a_plan_is_settled_from_where_it_stands"],
    },
    Fault {
        name: "takes every item for applied",
        harm: Harm::Settling(|settle| settle.items.iter_mut().for_each(|(_, state)| *state = ItemState::Applied)),
        fails: &["a_plan_is_settled_from_where_it_stands"],
    },
    Fault {
        name: "forgets which run applied it",
        harm: Harm::Settling(|settle| settle.run = None),
        fails: &["a_plan_is_settled_from_where_it_stands"],
    },
    Fault { name: "shows another workspace's plan", harm: Harm::Leaks("plan"), fails: &["plans_are_of_one_workspace"] },
    Fault { name: "lists another workspace's plans", harm: Harm::Leaks("plans"), fails: &["plans_are_of_one_workspace"] },
    Fault { name: "shows another workspace's items", harm: Harm::Leaks("plan_items"), fails: &["plans_are_of_one_workspace"] },
    Fault { name: "settles another workspace's plan", harm: Harm::Leaks("settle_plan"), fails: &["plans_are_of_one_workspace"] },
];
