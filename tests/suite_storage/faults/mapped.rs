//! Mapped tables, previews, sweeps, lineage and reading.

use std::sync::Arc;

use serde_json::Value;
use syncline::core::{Error, Severity, mapping::Authority};

use crate::{
    faults::Fault,
    harm::{Harm, rebuild, target},
};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "lets the last source win",
        harm: Harm::Commit(|page| target(page).rules = Arc::default()),
        fails: &[
            "higher_priority_wins_in_any_order",
            "a_confirmed_value_is_defended",
            "a_reference_never_writes",
            "a_derived_field_is_never_written",
            "what_another_source_changed_is_sent",
        ],
    },
    Fault { name: "forgets who confirmed a value", harm: Harm::ForgetsConfirmations, fails: &["a_confirmed_value_is_defended"] },
    Fault {
        name: "writes references",
        harm: Harm::Commit(|page| {
            Arc::make_mut(&mut target(page).rules).values_mut().for_each(|rule| {
                if rule.authority == Authority::Reference {
                    rule.authority = Authority::SourceOfTruth
                }
            })
        }),
        fails: &["a_reference_never_writes"],
    },
    Fault {
        name: "writes derived fields",
        harm: Harm::Commit(|page| {
            Arc::make_mut(&mut target(page).rules).values_mut().for_each(|rule| {
                if rule.authority == Authority::Derived {
                    rule.authority = Authority::SourceOfTruth
                }
            })
        }),
        fails: &["a_derived_field_is_never_written"],
    },
    Fault {
        name: "replaces whole rows",
        harm: Harm::ReplacesRows,
        fails: &[
            "absent_null_and_empty_stay_apart",
            "many_fields_are_kept",
            "sources_fill_one_row",
            "every_changed_field_has_one_entry",
            "the_fields_of_a_push_alone_count",
        ],
    },
    Fault {
        name: "does not say which key is missing",
        harm: Harm::Report(|done| {
            done.failures.iter_mut().for_each(|failure| {
                if failure.severity == Severity::Warning {
                    failure.column = None
                }
            })
        }),
        fails: &["a_record_without_key_is_left_out"],
    },
    Fault {
        name: "joins keys without care",
        harm: Harm::Entities(|rows| rows.iter_mut().for_each(|row| row.key = row.key.replace("\\/", "/").into())),
        fails: &["keys_of_any_text_stay_apart", "keys_of_many_fields_stay_apart"],
    },
    Fault { name: "mixes ways of keying", harm: Harm::MixesKeys, fails: &["an_entity_type_keeps_its_keys"] },
    Fault {
        name: "shows one change too few",
        harm: Harm::Preview(|shown| drop(shown.changes.pop())),
        fails: &[
            "a_preview_says_what_the_commit_does",
            "a_preview_names_old_and_new",
            "a_trial_goes_on_from_what_it_tried",
            "an_expected_commit_is_whole_or_not_at_all",
        ],
    },
    Fault {
        name: "shows no old values",
        harm: Harm::Preview(|shown| shown.changes.iter_mut().for_each(|change| change.old = None)),
        fails: &["a_preview_names_old_and_new", "a_trial_goes_on_from_what_it_tried", "an_expected_commit_is_whole_or_not_at_all"],
    },
    Fault {
        name: "writes what it previews",
        harm: Harm::PreviewsCommit,
        fails: &[
            "a_preview_says_what_the_commit_does",
            "a_trial_goes_on_from_what_it_tried",
            "an_expected_commit_is_whole_or_not_at_all",
            "a_preview_writes_nothing",
            "another_workspace_changes_nothing",
        ],
    },
    Fault {
        name: "counts swept rows as deleted",
        harm: Harm::Run(|run| {
            run.counts.deleted += run.counts.swept;
            run.counts.swept = 0
        }),
        fails: &["a_complete_scan_deletes_what_it_did_not_show"],
    },
    Fault {
        name: "never sweeps",
        harm: Harm::NeverSweeps,
        fails: &[
            "a_complete_scan_deletes_what_it_did_not_show",
            "another_partition_is_untouched",
            "another_feed_is_untouched",
            "too_many_deletes_wait",
            "records_that_are_present_count_as_shown",
            "a_scan_goes_on_in_the_next_run",
            "a_new_scan_begins_anew",
            "a_sweep_concludes_once",
            "a_changed_key_leaves_its_old_row_to_the_sweep",
            "a_mapped_row_is_swept_with_its_last_record",
            "a_row_that_went_has_no_link",
        ],
    },
    Fault {
        name: "sweeps other partitions too",
        harm: Harm::Sweep(|sweep| sweep.scans.push(("p2".into(), 99))),
        fails: &["another_partition_is_untouched", "a_moved_record_is_not_gone"],
    },
    Fault { name: "forgets the sweep guard", harm: Harm::Sweep(|sweep| sweep.confirmed = true), fails: &["too_many_deletes_wait"] },
    Fault {
        name: "takes rows that failed for gone",
        harm: Harm::Commit(|page| {
            let mut n = 0;
            rebuild(page, |_, cells| {
                let good = cells.iter().all(|(_, json)| serde_json::from_str::<Value>(json).is_ok());
                n += u64::from(!good);
                good
            });
            page.before.read += n;
            page.before.failed += n
        }),
        fails: &["a_bad_value_fails_its_row_alone", "rows_that_failed_count_as_shown"],
    },
    Fault {
        name: "takes records that are present for gone",
        harm: Harm::Commit(|page| page.batches.iter_mut().for_each(|part| part.present.clear())),
        fails: &["records_that_are_present_count_as_shown"],
    },
    Fault {
        name: "takes moved records for gone",
        harm: Harm::Commit(|page| {
            if page.batches.iter().any(|part| part.partition.as_str() == "p2") {
                page.scan = None
            }
        }),
        fails: &["a_moved_record_is_not_gone"],
    },
    Fault { name: "forgets a scan with its run", harm: Harm::ScansEndWithRuns, fails: &["a_scan_goes_on_in_the_next_run"] },
    Fault {
        name: "takes every scan for the first",
        harm: Harm::Commit(|page| page.scan = page.scan.map(|_| 1)),
        fails: &[
            "of_duplicates_the_first_wins",
            "a_complete_scan_deletes_what_it_did_not_show",
            "another_partition_is_untouched",
            "too_many_deletes_wait",
            "rows_that_failed_count_as_shown",
            "records_that_are_present_count_as_shown",
            "a_moved_record_is_not_gone",
            "a_scan_goes_on_in_the_next_run",
            "a_new_scan_begins_anew",
            "a_changed_key_leaves_its_old_row_to_the_sweep",
            "a_row_that_went_has_no_link",
        ],
    },
    Fault { name: "sweeps again", harm: Harm::SweepsAgain, fails: &["a_sweep_concludes_once"] },
    Fault {
        name: "does not say where a value is from",
        harm: Harm::Lineage(|entries| entries.iter_mut().for_each(|entry| entry.source_ref = None)),
        fails: &["lineage_names_its_source"],
    },
    Fault {
        name: "does not tell of deletions",
        harm: Harm::Lineage(|entries| entries.retain(|entry| entry.new_value.is_some())),
        fails: &["a_complete_scan_deletes_what_it_did_not_show", "a_deletion_ends_every_field"],
    },
    Fault {
        name: "tells the history of whole rows",
        harm: Harm::LineageOfWholeRows,
        fails: &[
            "every_changed_field_has_one_entry",
            "unchanged_fields_have_no_entry",
            "lineage_names_its_source",
            "a_deletion_ends_every_field",
            "lineage_of_one_field",
        ],
    },
    Fault { name: "always keeps lineage", harm: Harm::Commit(|page| target(page).lineage = true), fails: &["lineage_can_be_switched_off"] },
    Fault {
        name: "never keeps lineage",
        harm: Harm::Commit(|page| target(page).lineage = false),
        fails: &[
            "the_same_page_again_changes_nothing",
            "a_bad_value_fails_its_row_alone",
            "an_expected_commit_is_whole_or_not_at_all",
            "a_preview_writes_nothing",
            "every_changed_field_has_one_entry",
            "unchanged_fields_have_no_entry",
            "lineage_names_its_source",
            "a_deletion_ends_every_field",
            "lineage_of_one_field",
            "another_workspace_sees_nothing",
            "equal_keys_of_two_workspaces_are_two_rows",
            "many_writers_at_once_lose_nothing",
        ],
    },
    Fault {
        name: "leaves out a row between pages",
        harm: Harm::Query(|query| {
            query.after =
                query.after.take().map(|after| format!("{after}\u{10ffff}").replace("9\u{10ffff}", "9z").replace("0\u{10ffff}", "1").into())
        }),
        fails: &["pages_of_rows_lose_none"],
    },
    Fault {
        name: "reads the rows of every connection",
        harm: Harm::Query(|query| query.connection = None),
        fails: &["rows_are_found_by_key_and_connection"],
    },
    Fault {
        name: "does not say which connection a row is from",
        harm: Harm::Entities(|rows| rows.iter_mut().for_each(|row| row.connection = None)),
        fails: &["connections_have_rows_of_their_own", "another_feed_is_untouched", "rows_tell_where_they_are_from"],
    },
    Fault {
        name: "lists types that have no rows",
        harm: Harm::Types(|types| types.push("nobody".into())),
        fails: &["entity_types_are_those_with_rows"],
    },
    Fault {
        name: "does not say which types there are",
        harm: Harm::Refusal(|error| if error.operation() == "entities" { Error::new(error.kind(), "entities", "unknown") } else { error }),
        fails: &["an_unknown_entity_type_is_named"],
    },
    Fault {
        name: "lists the oldest activity first",
        harm: Harm::Activities(|all| all.reverse()),
        fails: &["activity_is_listed_newest_first"],
    },
];
