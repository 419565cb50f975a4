//! Edits by hand and histories of runs, seen by the checks that need storages to have them.

use std::sync::Arc;

use syncline::core::{Target, WriteMode, store::PageCommit};

use crate::{faults::Fault, harm::Harm};

fn as_if(page: &mut PageCommit, from: WriteMode, to: WriteMode) {
    if page.target.mode == from {
        page.target = Arc::new(Target { mode: to, ..(*page.target).clone() });
    }
}

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "takes edits by hand for a source's",
        harm: Harm::Commit(|page| as_if(page, WriteMode::ByHand, WriteMode::ByAuthority)),
        fails: &[
            "by_hand_a_row_is_known_by_its_key",
            "by_hand_no_priority_is_kept",
            "by_hand_nothing_is_linked",
            "by_hand_a_row_goes_whatever_stands_behind_it",
            "lineage_names_the_rule",
        ],
    },
    Fault {
        name: "forces nothing",
        harm: Harm::Commit(|page| as_if(page, WriteMode::Forced, WriteMode::ByAuthority)),
        fails: &["force_overwrites_but_keeps_priorities", "lineage_names_the_rule"],
    },
    Fault { name: "knows a place for everything", harm: Harm::NoPlace, fails: &["places_are_told"] },
    Fault {
        name: "writes nothing down",
        harm: Harm::Recorded(|record| record.changes.clear()),
        fails: &["changes_are_written_down", "lineage_names_the_rule"],
    },
    Fault { name: "writes down under any fence", harm: Harm::IgnoresFence("record_changes"), fails: &["changes_are_written_down"] },
    Fault {
        name: "does not say what decided",
        harm: Harm::Lineage(|entries| entries.iter_mut().for_each(|entry| entry.rule = None)),
        fails: &["lineage_names_the_rule"],
    },
    Fault {
        name: "forgets the mappings of runs",
        harm: Harm::Rules(|rules| rules.iter_mut().for_each(|rules| rules.mapping = None)),
        fails: &["lineage_names_the_rule"],
    },
    Fault { name: "tells the rules of another workspace's runs", harm: Harm::Leaks("run_rules"), fails: &["lineage_names_the_rule"] },
    Fault {
        name: "tells lines of one run alone",
        harm: Harm::Histories(|rows| rows.iter_mut().for_each(|row| row.lines.truncate(1))),
        fails: &["a_runs_rows_are_told_with_their_histories"],
    },
    Fault {
        name: "tells rows without lines of none",
        harm: Harm::Histories(|rows| rows.retain(|row| !row.lines.is_empty())),
        fails: &["a_runs_rows_are_told_with_their_histories"],
    },
    Fault {
        name: "tells no row that is gone",
        harm: Harm::Histories(|rows| rows.retain(|row| row.live.is_some())),
        fails: &["a_runs_rows_are_told_with_their_histories", "what_a_run_made_is_told_after_it_is_gone"],
    },
    Fault {
        name: "forgets who had made a row",
        harm: Harm::Histories(|rows| rows.iter_mut().flat_map(|row| &mut row.lines).for_each(|line| line.created = None)),
        fails: &["what_a_run_made_is_told_after_it_is_gone"],
    },
    Fault {
        name: "forgets a row of a run",
        harm: Harm::RunRows(|rows| drop(rows.keys.pop())),
        fails: &["a_runs_rows_are_told_with_their_histories", "what_a_run_made_is_told_after_it_is_gone"],
    },
    Fault {
        name: "tells of another workspace's runs",
        harm: Harm::Leaks("run_rows"),
        fails: &["a_runs_rows_are_told_with_their_histories"],
    },
];
