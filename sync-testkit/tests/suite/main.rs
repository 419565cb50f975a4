//! The suites themselves: what does everything right passes, and each planted fault is found by the checks that are there for it.

mod depot;
mod fixture;
mod planted;
mod platform;
mod reference;
mod writing;

use std::collections::BTreeSet;

use sync_testkit::suite::{Report, provider};

use self::{fixture::Fixture, planted::TABLE, reference::Style};

async fn report(style: Style, planted: Option<planted::Planted>) -> Report {
    provider::run(&Fixture { style, planted }).await
}

#[tokio::test]
async fn a_provider_that_does_everything_right_passes_in_every_style() {
    let mut run = BTreeSet::new();
    for style in [Style::Ids, Style::Keyed, Style::Blind, Style::ReadOnly] {
        let report = report(style, None).await;
        report.assert_passed();
        run.extend(report.passed());
    }
    let skipped: Vec<_> = provider::catalogue().iter().map(|rule| rule.name).filter(|name| !run.contains(name)).collect();
    assert!(skipped.is_empty(), "no style meets {skipped:?}");
}

#[tokio::test]
async fn each_planted_fault_turns_exactly_its_checks_red() {
    let mut wrong = String::new();
    for (planted, style, expected) in TABLE {
        let report = report(*style, Some(*planted)).await;
        if report.failed() != *expected {
            wrong.push_str(&format!("{planted:?}: expected {expected:?}, red were {:?}\n", report.failed()));
            if std::env::var("SUITE_SHOW").is_ok() {
                wrong.push_str(&report.to_string());
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn every_check_has_a_planted_fault_that_turns_it_red() {
    let red: BTreeSet<&str> = TABLE.iter().flat_map(|(_, _, checks)| checks.iter().copied()).collect();
    let all: BTreeSet<&str> = provider::catalogue().iter().map(|rule| rule.name).collect();
    assert_eq!(all.difference(&red).collect::<Vec<_>>(), Vec::<&&str>::new(), "checks nobody has seen fail");
    assert_eq!(red.difference(&all).collect::<Vec<_>>(), Vec::<&&str>::new(), "checks that are not there");
}
