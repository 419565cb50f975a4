//! A sheet whose columns change under a mapping: what people read of it.

use syncline::providers::sheets::simulator::SimCell;

use crate::house::{House, Said, said};

const STAFF: &str = r#"
name = "staff"
stream = "Staff"
entity = "person"
columns = [{ source = "id", target = "id", key = true }, { source = "name", target = "name" }, { source = "hired", target = "hired_on", optional = true }]
[contract]
columns = "evolve"
"#;

/// The lines of a text that say what they say at any time.
fn lines(said: &Said) -> Vec<&str> {
    said.out.lines().map(str::trim_end).filter(|line| line.starts_with("  ")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_that_changed_are_told_once_and_with_what_they_are_probably_called() {
    let house = House::new().await;
    house.connect();
    house.write("staff.toml", STAFF);
    let pull = || said(house.syncline(&["pull", "sheets", "Staff", "--mapping", "staff.toml"]));
    let first = pull();
    assert_eq!((first.code, lines(&first).len()), (0, 1), "{}{}", first.out, first.err);
    let sim = house.google.sim();
    sim.rename_header("Staff", "hired", "Hired");
    sim.set_cell("Staff", 1, 4, SimCell::imported("office"));

    let told = [
        "  ! Column C: the column \"hired\" is gone and is probably called \"Hired\" now; what is stored of it stays",
        "  ! Column D: the column \"office\" is new; the mapping neither reads nor ignores it",
    ];
    let plan = said(house.syncline(&["plan", "sheets", "Staff", "--mapping", "staff.toml"]));
    assert!(plan.code == 0 && told.iter().all(|line| lines(&plan).contains(line)), "{}{}", plan.out, plan.err);
    let changed = pull();
    assert_eq!((changed.code, &lines(&changed)[1..]), (0, &told[..]), "{}{}", changed.out, changed.err);
    let again = pull();
    assert_eq!((again.code, lines(&again).len()), (0, 1), "once: {}{}", again.out, again.err);

    sim.rename_header("Staff", "name", "Full name");
    let stopped = pull();
    let words =
        "column \"name\" is missing; it is probably called \"Full name\" now; columns seen: \"id\", \"Full name\", \"Hired\", \"office\"";
    assert!(stopped.code != 0 && stopped.err.contains(words), "{} {}{}", stopped.code, stopped.out, stopped.err);
}
