//! Commits, positions and values.

use serde_json::Value;
use syncline::core::{Counts, Cursor, Duplicates, Operation, Place};

use crate::{
    faults::Fault,
    harm::{Harm, rebuild, target, values},
};

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
        fails: &[],
    },
    Fault {
        name: "writes every row of a page",
        harm: Harm::Entities(|rows| {
            let last = rows.iter().filter_map(|row| row.last_synced_at).max();
            rows.iter_mut().for_each(|row| row.last_synced_at = last)
        }),
        fails: &[],
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
        fails: &[],
    },
    Fault {
        name: "tells every change twice",
        harm: Harm::Lineage(|entries| *entries = entries.iter().flat_map(|entry| [entry.clone(), entry.clone()]).collect()),
        fails: &[],
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
        fails: &[],
    },
    Fault { name: "lets the first duplicate win", harm: Harm::Commit(|page| target(page).duplicates = Duplicates::FirstWins), fails: &[] },
    Fault { name: "lets the last duplicate win", harm: Harm::Commit(|page| target(page).duplicates = Duplicates::LastWins), fails: &[] },
    Fault {
        name: "throws the rows of all connections together",
        harm: Harm::Commit(|page| {
            if page.target.place == Place::Stream && page.cursors.is_empty() {
                page.feed.connection = "one".into()
            }
        }),
        fails: &[],
    },
    Fault { name: "does not count what never reached a batch", harm: Harm::Commit(|page| page.before = Counts::default()), fails: &[] },
    Fault {
        name: "makes counts add up",
        harm: Harm::Commit(|page| {
            let c = &mut page.before;
            c.skipped += c.read.saturating_sub(c.created + c.updated + c.unchanged + c.skipped + c.failed + c.deleted)
        }),
        fails: &[],
    },
    Fault { name: "keeps failures in any order", harm: Harm::Failures(|all| all.reverse()), fails: &[] },
    Fault {
        name: "takes a bad value for none",
        harm: Harm::Commit(|page| {
            rebuild(page, |_, cells| {
                cells.retain(|(_, json)| serde_json::from_str::<Value>(json).is_ok());
                true
            })
        }),
        fails: &[],
    },
    Fault { name: "refuses to commit nothing", harm: Harm::RefusesNothing, fails: &[] },
    Fault { name: "takes 32 partitions at most", harm: Harm::Commit(|page| page.batches.truncate(32)), fails: &[] },
    Fault {
        name: "keeps scan numbers in 32 bits",
        harm: Harm::States(|all| all.iter_mut().for_each(|state| state.scan &= u64::from(u32::MAX))),
        fails: &[],
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
        fails: &[],
    },
    Fault { name: "moves a cursor without rows", harm: Harm::CursorsWithoutRows, fails: &[] },
    Fault {
        name: "takes no cursor for an empty one",
        harm: Harm::Commit(|page| {
            page.cursors.iter_mut().for_each(|moved| {
                moved.cursor.get_or_insert_with(|| Cursor::new(0, ""));
            })
        }),
        fails: &[],
    },
    Fault { name: "forgets page tokens", harm: Harm::States(|all| all.iter_mut().for_each(|state| state.page = None)), fails: &[] },
    Fault {
        name: "has one position for all mappings",
        harm: Harm::Commit(|page| {
            if page.batches.is_empty() {
                page.feed.mapping = "".into()
            }
        }),
        fails: &[],
    },
    Fault { name: "resets nothing", harm: Harm::ResetsNothing, fails: &[] },
    Fault { name: "forgets which partitions are gone", harm: Harm::RunEnd(|end| end.gone.clear()), fails: &[] },
    Fault { name: "replays events backwards", harm: Harm::Events(|all| all.reverse()), fails: &[] },
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
        fails: &[],
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
        fails: &[],
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
        fails: &[],
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
        fails: &[],
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
        fails: &[],
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
        fails: &[],
    },
    Fault {
        name: "keeps a thousand fields",
        harm: Harm::Entities(|rows| {
            rows.iter_mut().for_each(|row| row.fields = std::mem::take(&mut row.fields).into_iter().take(1000).collect())
        }),
        fails: &[],
    },
    Fault {
        name: "makes the names of fields lower case",
        harm: Harm::Entities(|rows| {
            rows.iter_mut().for_each(|row| {
                row.fields = std::mem::take(&mut row.fields).into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect()
            })
        }),
        fails: &[],
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
        fails: &[],
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
        fails: &[],
    },
    Fault {
        name: "takes keys of another case for one",
        harm: Harm::Commit(|page| {
            rebuild(page, |head, _| {
                head.id = head.id.to_lowercase();
                true
            })
        }),
        fails: &[],
    },
];
