//! What a report says, and what becomes of checks that do not end as checks should.

use super::{Report, Verdict, attempt, differs};

fn report() -> Report {
    let mut report = Report::new("depot");
    report.add("first_check", "The first rule.", Verdict::Passed);
    report.add("second", "The second rule.", Verdict::Failed(differs("one", "two")));
    report.add("third", "The third rule.", Verdict::Skipped("nothing to look at".into()));
    report
}

#[test]
fn a_report_is_a_table_with_what_was_expected_and_seen() {
    let table = report().to_string();
    for line in [
        "depot: 1 passed, 1 failed, 1 skipped",
        "  passed   first_check",
        "  FAILED   second       The second rule.",
        "expected: one",
        "seen:     two",
        "  skipped  third        nothing to look at",
    ] {
        assert!(table.contains(line), "{line:?} is missing in\n{table}");
    }
    assert_eq!((report().passed(), report().failed(), report().skipped()), (vec!["first_check"], vec!["second"], vec!["third"]));
}

#[test]
#[should_panic(expected = "FAILED   second")]
fn a_failed_check_fails_the_test() {
    report().assert_passed();
}

#[tokio::test]
async fn a_check_that_panics_has_failed_with_its_words() {
    let verdict = attempt(Box::pin(async { panic!("out of {}", "range") })).await;
    assert_eq!(verdict, Verdict::Failed(differs("no panic", "out of range")));
    assert_eq!(attempt(Box::pin(async { panic!("plain") })).await, Verdict::Failed(differs("no panic", "plain")));
    assert_eq!(attempt(Box::pin(async { Ok(()) })).await, Verdict::Passed);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_hangs_has_failed() {
    let verdict = attempt(Box::pin(std::future::pending())).await;
    assert_eq!(verdict, Verdict::Failed(differs("an end", "nothing in 120 s of real time")));
}
