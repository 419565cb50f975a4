//! Tables of the host.

use std::sync::Arc;

use syncline::core::Place;

use crate::{
    faults::Fault,
    harm::{Harm, rebuild, target},
};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "cuts the names of the host's rows",
        harm: Harm::Commit(|page| {
            if matches!(page.target.place, Place::Host(_)) {
                rebuild(page, |_, cells| {
                    cells.retain(|(name, _)| name != "name");
                    true
                })
            }
        }),
        fails: &["host_rows_are_written", "host_rows_of_others_are_left_alone"],
    },
    Fault {
        name: "shows the workspace as a field",
        harm: Harm::Entities(|rows| rows.iter_mut().for_each(|row| drop(row.fields.insert("tenant".into(), "acme".into())))),
        fails: &["host_rows_of_others_are_left_alone"],
    },
    Fault {
        name: "does not name the row the host refused",
        harm: Harm::Report(|done| done.failures.iter_mut().for_each(|failure| failure.record = None)),
        fails: &["a_row_the_host_refuses_fails_alone"],
    },
    Fault {
        name: "lets the host's rows go",
        harm: Harm::Commit(|page| {
            if let Place::Host(table) = &mut target(page).place {
                Arc::make_mut(table).delete_rows = true
            }
        }),
        fails: &["host_rows_stay_unless_let_go"],
    },
    Fault {
        name: "registers any table",
        harm: Harm::RegistersBlindly,
        fails: &["host_rows_of_others_are_left_alone", "host_tables_are_checked"],
    },
    Fault {
        name: "leaks register_table",
        harm: Harm::Leaks("register_table"),
        fails: &["host_rows_of_others_are_left_alone", "a_trial_of_host_rows_leaves_no_trace"],
    },
    Fault {
        name: "hands over no row of the host's",
        harm: Harm::ChangedQuery(|query| query.keys = Some(vec!["c".into()])),
        fails: &[
            "changed_host_rows_are_handed_over",
            "a_trial_of_host_rows_leaves_no_trace",
            "host_rows_are_found_by_version",
            "what_a_pull_brought_into_a_host_table_is_not_sent_back",
        ],
    },
    Fault {
        name: "registers what it tries",
        harm: Harm::ChangedQuery(|query| query.trial = false),
        fails: &["a_trial_of_host_rows_leaves_no_trace"],
    },
    Fault { name: "looks at no version", harm: Harm::ChangedQuery(|query| query.since = None), fails: &["host_rows_are_found_by_version"] },
    Fault {
        name: "sends back what a pull brought into the host's table",
        harm: Harm::Commit(|page| target(page).pushes = Arc::default()),
        fails: &["what_a_pull_brought_into_a_host_table_is_not_sent_back"],
    },
];
