//! Hiding and erasing, seen by the checks that need these.

use std::sync::Arc;

use syncline::core::{sensitive::is_hidden, store::ErasedEntity};

use crate::{faults::Fault, harm::Harm};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "marks no field",
        harm: Harm::Commit(|page| {
            let fields = page.target.fields.iter().cloned().map(|field| syncline::core::Field { sensitive: false, ..field });
            let fields = fields.collect();
            Arc::make_mut(&mut page.target).fields = fields;
        }),
        fails: &[
            "sensitive_values_are_told_as_hashes",
            "a_field_once_marked_stays_hidden",
            "a_sensitive_value_stands_in_its_row_alone",
            "hashes_of_two_workspaces_have_nothing_in_common",
        ],
    },
    Fault {
        name: "answers other hashes than lineage has",
        harm: Harm::Hidden(|hidden| hidden.iter_mut().for_each(|hidden| *hidden = hidden.replace('a', "b").into())),
        fails: &["sensitive_values_are_told_as_hashes"],
    },
    Fault {
        name: "hashes null",
        harm: Harm::Hidden(|hidden| {
            hidden.iter_mut().filter(|hidden| &***hidden == "null").for_each(|hidden| *hidden = r#"{"hidden":null}"#.into());
        }),
        fails: &["sensitive_values_are_told_as_hashes"],
    },
    Fault {
        name: "hashes everything alike",
        harm: Harm::Lineage(|entries| {
            let values = entries.iter_mut().flat_map(|entry| [&mut entry.previous_value, &mut entry.new_value]).flatten();
            values.filter(|value| is_hidden(&value.to_string())).for_each(|value| *value = serde_json::json!({ "hidden": null }));
        }),
        fails: &["sensitive_values_are_told_as_hashes", "hashes_of_two_workspaces_have_nothing_in_common"],
    },
    Fault {
        name: "erases nothing",
        harm: Harm::ErasesNothing,
        fails: &[
            "an_erased_entity_is_in_no_table",
            "an_entity_is_erased_between_runs",
            "an_entity_is_erased_of_one_workspace",
            "an_erased_entity_may_come_again",
        ],
    },
    Fault {
        name: "counts what it erased twice",
        harm: Harm::Erased(|erased| *erased = ErasedEntity { rows: erased.rows * 2, ..*erased }),
        fails: &["an_erased_entity_is_in_no_table", "an_entity_is_erased_between_runs", "an_entity_is_erased_of_one_workspace"],
    },
    Fault { name: "says nothing of runs that are under way", harm: Harm::ErasesBlindly, fails: &["an_entity_is_erased_between_runs"] },
];
