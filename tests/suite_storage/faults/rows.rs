//! Commits, positions and values.

use serde_json::Value;
use syncline::core::{Counts, Cursor, Duplicates, Operation, Place};

use crate::{
    faults::Fault,
    harm::{Harm, rebuild, target, values},
};

/// Lines of lineage that are kept where more are dropped; more than most checks write.
const WRITTEN_AT_ONCE: usize = 50;

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "takes updates for creations",
        harm: Harm::Report(|done| {
            let c = &mut done.counts;
            if c.updated > 0 && c.created > 0 {
                c.created += c.updated;
                c.updated = 0
            }
        }),
        fails: &[
            "rows_are_told_apart",
            "a_preview_says_what_the_commit_does",
            "an_expected_commit_is_whole_or_not_at_all",
            "many_writers_at_once_lose_nothing",
        ],
    },
    Fault {
        name: "writes every row of a page",
        harm: Harm::Entities(|rows| {
            let last = rows.iter().filter_map(|row| row.last_synced_at).max();
            rows.iter_mut().for_each(|row| row.last_synced_at = last)
        }),
        fails: &["unchanged_rows_are_not_written"],
    },
    Fault {
        name: "loses the last record of a page",
        harm: Harm::Commit(|page| {
            let last = page.batches.iter().map(|part| part.batch.len()).sum::<usize>();
            let mut n = 0;
            if last > 1 {
                rebuild(page, |_, _| {
                    n += 1;
                    n < last
                });
                page.before.read += 1;
                page.before.unchanged += 1
            }
        }),
        fails: &[
            "a_run_keeps_its_books",
            "rows_are_told_apart",
            "unchanged_rows_are_not_written",
            "the_same_page_again_changes_nothing",
            "deletions_take_rows_away",
            "of_duplicates_the_last_wins",
            "of_duplicates_the_first_wins",
            "failures_are_kept_in_order",
            "a_bad_value_fails_its_row_alone",
            "many_partitions_are_one_commit",
            "a_nul_is_kept_or_refused_alone",
            "a_reference_never_writes",
            "a_record_without_key_is_left_out",
            "a_preview_says_what_the_commit_does",
            "a_preview_names_old_and_new",
            "a_trial_goes_on_from_what_it_tried",
            "an_expected_commit_is_whole_or_not_at_all",
            "a_preview_writes_nothing",
            "a_complete_scan_deletes_what_it_did_not_show",
            "another_partition_is_untouched",
            "too_many_deletes_wait",
            "rows_that_failed_count_as_shown",
            "records_that_are_present_count_as_shown",
            "a_scan_goes_on_in_the_next_run",
            "a_new_scan_begins_anew",
            "a_mapped_row_is_swept_with_its_last_record",
            "pages_of_rows_lose_none",
            "rows_are_found_by_key_and_connection",
            "entity_types_are_those_with_rows",
            "many_writers_at_once_lose_nothing",
            "rows_that_differ_are_handed_over",
            "all_rows_can_be_asked_for",
            "changed_rows_are_paged",
            "rows_can_be_asked_for_by_key",
            "what_a_pull_brought_is_not_sent_back",
            "what_another_source_changed_is_sent",
            "a_row_that_went_has_no_link",
        ],
    },
    Fault {
        name: "tells every change twice",
        harm: Harm::Lineage(|entries| *entries = entries.iter().flat_map(|entry| [entry.clone(), entry.clone()]).collect()),
        fails: &[
            "the_same_page_again_changes_nothing",
            "a_bad_value_fails_its_row_alone",
            "a_preview_writes_nothing",
            "every_changed_field_has_one_entry",
            "unchanged_fields_have_no_entry",
            "lineage_names_its_source",
            "a_deletion_ends_every_field",
            "equal_keys_of_two_workspaces_are_two_rows",
            "many_writers_at_once_lose_nothing",
        ],
    },
    Fault {
        name: "ignores deletions",
        harm: Harm::Commit(|page| {
            let mut n = 0;
            rebuild(page, |head, _| {
                let keep = head.operation != Operation::Delete;
                n += u64::from(!keep);
                keep
            });
            page.before.read += n;
            page.before.unchanged += n
        }),
        fails: &[
            "deletions_take_rows_away",
            "connections_have_rows_of_their_own",
            "an_entity_goes_with_its_last_record",
            "a_preview_says_what_the_commit_does",
            "an_expected_commit_is_whole_or_not_at_all",
            "a_deletion_ends_every_field",
            "entity_types_are_those_with_rows",
            "a_row_that_went_has_no_link",
        ],
    },
    Fault {
        name: "lets the first duplicate win",
        harm: Harm::Commit(|page| target(page).duplicates = Duplicates::FirstWins),
        fails: &["of_duplicates_the_last_wins"],
    },
    Fault {
        name: "lets the last duplicate win",
        harm: Harm::Commit(|page| target(page).duplicates = Duplicates::LastWins),
        fails: &["of_duplicates_the_first_wins", "failures_are_kept_in_order"],
    },
    Fault {
        name: "throws the rows of all connections together",
        harm: Harm::Commit(|page| {
            if page.target.place == Place::Stream && page.cursors.is_empty() {
                page.feed.connection = "one".into()
            }
        }),
        fails: &[
            "connections_have_rows_of_their_own",
            "a_preview_says_what_the_commit_does",
            "a_preview_names_old_and_new",
            "a_trial_goes_on_from_what_it_tried",
            "an_expected_commit_is_whole_or_not_at_all",
            "a_complete_scan_deletes_what_it_did_not_show",
            "another_partition_is_untouched",
            "another_feed_is_untouched",
            "too_many_deletes_wait",
            "rows_that_failed_count_as_shown",
            "records_that_are_present_count_as_shown",
            "a_moved_record_is_not_gone",
            "a_scan_goes_on_in_the_next_run",
            "a_new_scan_begins_anew",
            "pages_of_rows_lose_none",
            "rows_are_found_by_key_and_connection",
            "rows_tell_where_they_are_from",
        ],
    },
    Fault {
        name: "does not count what never reached a batch",
        harm: Harm::Commit(|page| page.before = Counts::default()),
        fails: &["counts_add_up", "counts_that_do_not_add_up_are_refused"],
    },
    Fault {
        name: "makes counts add up",
        harm: Harm::Commit(|page| {
            let c = &mut page.before;
            c.skipped += c.read.saturating_sub(c.created + c.updated + c.unchanged + c.skipped + c.failed + c.deleted)
        }),
        fails: &["counts_that_do_not_add_up_are_refused"],
    },
    Fault { name: "keeps failures in any order", harm: Harm::Failures(|all| all.reverse()), fails: &["failures_are_kept_in_order"] },
    Fault {
        name: "takes a bad value for none",
        harm: Harm::Commit(|page| {
            rebuild(page, |_, cells| {
                cells.retain(|(_, json)| serde_json::from_str::<Value>(json).is_ok());
                true
            })
        }),
        fails: &["a_bad_value_fails_its_row_alone", "rows_that_failed_count_as_shown"],
    },
    Fault { name: "refuses to commit nothing", harm: Harm::RefusesNothing, fails: &["an_empty_commit_is_a_commit"] },
    Fault {
        name: "takes 32 partitions at most",
        harm: Harm::Commit(|page| page.batches.truncate(32)),
        fails: &["many_partitions_are_one_commit"],
    },
    Fault {
        name: "keeps scan numbers in 32 bits",
        harm: Harm::States(|all| all.iter_mut().for_each(|state| state.scan &= u64::from(u32::MAX))),
        fails: &["cursors_move_with_their_rows"],
    },
    Fault {
        name: "trims cursors",
        harm: Harm::States(|all| {
            all.iter_mut().for_each(|state| {
                if let Some(cursor) = &mut state.cursor {
                    cursor.state = cursor.state.trim_end_matches(char::is_numeric).into()
                }
            })
        }),
        fails: &[
            "cursors_move_with_their_rows",
            "cursors_stay_without_their_rows",
            "a_move_without_cursor_keeps_it",
            "resetting_forgets_positions_alone",
            "gone_partitions_are_marked",
        ],
    },
    Fault { name: "moves a cursor without rows", harm: Harm::CursorsWithoutRows, fails: &["cursors_stay_without_their_rows"] },
    Fault {
        name: "takes no cursor for an empty one",
        harm: Harm::Commit(|page| {
            page.cursors.iter_mut().for_each(|moved| {
                moved.cursor.get_or_insert_with(|| Cursor::new(0, ""));
            })
        }),
        fails: &["a_move_without_cursor_keeps_it", "page_tokens_are_kept_with_their_end"],
    },
    Fault {
        name: "forgets page tokens",
        harm: Harm::States(|all| all.iter_mut().for_each(|state| state.page = None)),
        fails: &["page_tokens_are_kept_with_their_end"],
    },
    Fault {
        name: "has one position for all mappings",
        harm: Harm::Commit(|page| {
            if page.batches.is_empty() {
                page.feed.mapping = "".into()
            }
        }),
        fails: &["feeds_have_positions_of_their_own"],
    },
    Fault { name: "resets nothing", harm: Harm::ResetsNothing, fails: &["resetting_forgets_positions_alone"] },
    Fault { name: "forgets which partitions are gone", harm: Harm::RunEnd(|end| end.gone.clear()), fails: &["gone_partitions_are_marked"] },
    Fault {
        name: "forgets what runs saw",
        harm: Harm::RunEnd(|end| end.look = None),
        fails: &["a_look_is_kept_with_the_end_of_its_run", "feeds_have_looks_of_their_own", "another_workspace_sees_nothing"],
    },
    Fault {
        name: "counts what runs saw in 32 bits",
        harm: Harm::Look(|look| look.records = look.records.map(|records| records & u64::from(u32::MAX))),
        fails: &["a_look_is_kept_with_the_end_of_its_run"],
    },
    Fault { name: "takes another feed's look", harm: Harm::LooksOfAnyFeed, fails: &["feeds_have_looks_of_their_own"] },
    Fault {
        name: "replays events backwards",
        harm: Harm::Events(|all| all.reverse()),
        fails: &["events_are_replayed_in_order", "journalled_counts_are_the_runs"],
    },
    Fault {
        name: "takes null for an empty text",
        harm: Harm::Commit(|page| {
            rebuild(page, |_, cells| {
                cells.iter_mut().for_each(|(_, json)| {
                    if json == "null" {
                        *json = "\"\"".into()
                    }
                });
                true
            })
        }),
        fails: &["absent_null_and_empty_stay_apart"],
    },
    Fault {
        name: "drops NUL characters",
        harm: Harm::Commit(|page| {
            rebuild(page, |_, cells| {
                cells.iter_mut().for_each(|(_, json)| *json = json.replace("\\u0000", ""));
                true
            })
        }),
        fails: &["a_nul_is_kept_or_refused_alone"],
    },
    Fault {
        name: "reads large integers as doubles",
        harm: Harm::Entities(|rows| {
            values(rows, |value| {
                if value.as_f64().is_some_and(|n| n.abs() > 9e15) {
                    *value = value.as_f64().into()
                }
            })
        }),
        fails: &["integers_are_exact"],
    },
    Fault {
        name: "cuts long decimals",
        harm: Harm::Entities(|rows| {
            values(rows, |value| {
                if let Some(n) = value.as_str().filter(|text| text.len() > 20).and_then(|text| text.parse::<f64>().ok()) {
                    *value = n.into()
                }
            })
        }),
        fails: &["long_decimals_are_exact"],
    },
    Fault {
        name: "takes texts of digits for numbers",
        harm: Harm::Entities(|rows| {
            values(rows, |value| {
                if let Some(n) = value.as_str().filter(|text| text.len() > 2).and_then(|text| text.parse::<u64>().ok()) {
                    *value = n.into()
                }
            })
        }),
        fails: &["ids_are_exact"],
    },
    Fault {
        name: "drops control characters",
        harm: Harm::Entities(|rows| {
            values(rows, |value| {
                if let Some(text) = value.as_str().filter(|text| text.contains('\n')) {
                    *value = text.replace('\n', " ").into()
                }
            })
        }),
        fails: &["texts_are_exact"],
    },
    Fault {
        name: "cuts texts at 64 KiB",
        harm: Harm::Entities(|rows| {
            values(rows, |value| {
                if value.as_str().is_some_and(|text| text.len() > 65_536) {
                    *value = "cut".into()
                }
            })
        }),
        fails: &["long_texts_are_kept"],
    },
    Fault {
        name: "keeps a thousand fields",
        harm: Harm::Entities(|rows| {
            rows.iter_mut().for_each(|row| row.fields = std::mem::take(&mut row.fields).into_iter().take(1000).collect())
        }),
        fails: &["many_fields_are_kept"],
    },
    Fault {
        name: "turns times into those of Greenwich",
        harm: Harm::Entities(|rows| {
            values(rows, |value| {
                if let Some(text) = value.as_str().filter(|text| text.ends_with("+05:30")) {
                    *value = text.replace("17:30:00", "12:00:00").replace("+05:30", "Z").into()
                }
            })
        }),
        fails: &["times_are_kept_as_written"],
    },
    Fault {
        name: "loses lines of lineage of rows that many write",
        harm: Harm::Lineage(|entries| entries.truncate(WRITTEN_AT_ONCE)),
        fails: &["many_writers_at_once_lose_nothing"],
    },
    Fault {
        name: "makes the names of fields lower case",
        harm: Harm::Entities(|rows| {
            rows.iter_mut().for_each(|row| {
                row.fields = std::mem::take(&mut row.fields).into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect()
            })
        }),
        fails: &["fields_of_any_name_are_kept"],
    },
    Fault {
        name: "shows lists as text",
        harm: Harm::Entities(|rows| {
            values(rows, |value| {
                if value.is_array() {
                    *value = value.to_string().into()
                }
            })
        }),
        fails: &["structured_values_are_kept", "a_column_takes_values_of_any_kind"],
    },
    Fault {
        name: "shows booleans as numbers",
        harm: Harm::Entities(|rows| {
            values(rows, |value| {
                if let Some(flag) = value.as_bool() {
                    *value = u64::from(flag).into()
                }
            })
        }),
        fails: &["structured_values_are_kept", "a_column_takes_values_of_any_kind"],
    },
    Fault {
        name: "takes keys of another case for one",
        harm: Harm::Commit(|page| {
            rebuild(page, |head, _| {
                head.id = head.id.to_lowercase();
                true
            })
        }),
        fails: &["keys_of_any_text_stay_apart"],
    },
    Fault {
        name: "tries out the first commit alone",
        harm: Harm::Trial(|trial| trial.commits.truncate(1)),
        fails: &["a_trial_goes_on_from_what_it_tried"],
    },
    Fault { name: "tries no sweep", harm: Harm::Trial(|trial| trial.sweep = None), fails: &["a_trial_goes_on_from_what_it_tried"] },
    Fault {
        name: "writes whatever is expected",
        harm: Harm::Commit(|page| page.expects = None),
        fails: &["an_expected_commit_is_whole_or_not_at_all"],
    },
];
