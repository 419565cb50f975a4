//! Mapped tables, previews, sweeps, lineage and reading.

use std::sync::Arc;

use serde_json::Value;
use syncline::core::{Error, Severity, mapping::Authority};

use crate::{
    faults::Fault,
    harm::{Harm, rebuild, target},
};

pub(super) const FAULTS: &[Fault] = &[
    Fault { name: "lets the last source win", harm: Harm::Commit(|page| target(page).rules = Arc::default()), fails: &[] },
    Fault { name: "forgets who confirmed a value", harm: Harm::ForgetsConfirmations, fails: &[] },
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
    Fault {
        name: "writes derived fields",
        harm: Harm::Commit(|page| {
            Arc::make_mut(&mut target(page).rules).values_mut().for_each(|rule| {
                if rule.authority == Authority::Derived {
                    rule.authority = Authority::SourceOfTruth
                }
            })
        }),
        fails: &[],
    },
    Fault { name: "replaces whole rows", harm: Harm::ReplacesRows, fails: &[] },
    Fault {
        name: "does not say which key is missing",
        harm: Harm::Report(|done| {
            done.failures.iter_mut().for_each(|failure| {
                if failure.severity == Severity::Warning {
                    failure.column = None
                }
            })
        }),
        fails: &[],
    },
    Fault {
        name: "joins keys without care",
        harm: Harm::Entities(|rows| rows.iter_mut().for_each(|row| row.key = row.key.replace("\\/", "/").into())),
        fails: &[],
    },
    Fault { name: "mixes ways of keying", harm: Harm::MixesKeys, fails: &[] },
    Fault { name: "shows one change too few", harm: Harm::Preview(|shown| drop(shown.changes.pop())), fails: &[] },
    Fault {
        name: "shows no old values",
        harm: Harm::Preview(|shown| shown.changes.iter_mut().for_each(|change| change.old = None)),
        fails: &[],
    },
    Fault { name: "writes what it previews", harm: Harm::PreviewsCommit, fails: &[] },
    Fault {
        name: "counts swept rows as deleted",
        harm: Harm::Run(|run| {
            run.counts.deleted += run.counts.swept;
            run.counts.swept = 0
        }),
        fails: &[],
    },
    Fault { name: "never sweeps", harm: Harm::NeverSweeps, fails: &[] },
    Fault { name: "sweeps other partitions too", harm: Harm::Sweep(|sweep| sweep.scans.push(("p2".into(), 99))), fails: &[] },
    Fault { name: "forgets the sweep guard", harm: Harm::Sweep(|sweep| sweep.confirmed = true), fails: &[] },
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
        fails: &[],
    },
    Fault {
        name: "takes records that are present for gone",
        harm: Harm::Commit(|page| page.batches.iter_mut().for_each(|part| part.present.clear())),
        fails: &[],
    },
    Fault {
        name: "takes moved records for gone",
        harm: Harm::Commit(|page| {
            if page.batches.iter().any(|part| part.partition.as_str() == "p2") {
                page.scan = None
            }
        }),
        fails: &[],
    },
    Fault { name: "forgets a scan with its run", harm: Harm::ScansEndWithRuns, fails: &[] },
    Fault { name: "takes every scan for the first", harm: Harm::Commit(|page| page.scan = page.scan.map(|_| 1)), fails: &[] },
    Fault { name: "sweeps again", harm: Harm::SweepsAgain, fails: &[] },
    Fault {
        name: "does not say where a value is from",
        harm: Harm::Lineage(|entries| entries.iter_mut().for_each(|entry| entry.source_ref = None)),
        fails: &[],
    },
    Fault {
        name: "does not tell of deletions",
        harm: Harm::Lineage(|entries| entries.retain(|entry| entry.new_value.is_some())),
        fails: &[],
    },
    Fault { name: "tells the history of whole rows", harm: Harm::LineageOfWholeRows, fails: &[] },
    Fault { name: "always keeps lineage", harm: Harm::Commit(|page| target(page).lineage = true), fails: &[] },
    Fault { name: "never keeps lineage", harm: Harm::Commit(|page| target(page).lineage = false), fails: &[] },
    Fault {
        name: "leaves out a row between pages",
        harm: Harm::Query(|query| {
            query.after =
                query.after.take().map(|after| format!("{after}\u{10ffff}").replace("9\u{10ffff}", "9z").replace("0\u{10ffff}", "1").into())
        }),
        fails: &[],
    },
    Fault { name: "reads the rows of every connection", harm: Harm::Query(|query| query.connection = None), fails: &[] },
    Fault {
        name: "does not say which connection a row is from",
        harm: Harm::Entities(|rows| rows.iter_mut().for_each(|row| row.connection = None)),
        fails: &[],
    },
    Fault { name: "lists types that have no rows", harm: Harm::Types(|types| types.push("nobody".into())), fails: &[] },
    Fault {
        name: "does not say which types there are",
        harm: Harm::Refusal(|error| if error.operation() == "entities" { Error::new(error.kind(), "entities", "unknown") } else { error }),
        fails: &[],
    },
    Fault { name: "lists the oldest activity first", harm: Harm::Activities(|all| all.reverse()), fails: &[] },
];
