//! What a commit writes and counts.

use serde_json::json;
use sync_core::{
    Counts, Duplicates, RecordFailure, Severity, Target,
    store::{Entity, PageCommit},
};

use super::{
    Check,
    check::Looked,
    scene::{Pull, Row, Scene, at, batch, feed, gone, mapped, part, people, plain, raw, rows, six, up},
};
use crate::suite::Finding;

pub(super) const CHECKS: &[Check] = &[
    check!(rows_are_told_apart, "Created, updated and unchanged rows are counted as what they are"),
    check!(unchanged_rows_are_not_written, "A row that is already so is not written, and keeps the time of its last sync"),
    check!(the_same_page_again_changes_nothing, "Pages that are delivered again, in whatever order, change neither rows nor lineage"),
    check!(deletions_take_rows_away, "A record that says its row is gone takes it away; one that was never there is unchanged"),
    check!(of_duplicates_the_last_wins, "Where the last of two records with one key wins, its values stand and the first is skipped"),
    check!(
        of_duplicates_the_first_wins,
        "Where the first wins, the others of the whole scan are skipped, each with a warning that names it"
    ),
    check!(connections_have_rows_of_their_own, "Equal keys of two connections in a stream's own table are two rows"),
    check!(counts_add_up, "Read is the sum of what became of the records, those that never reached a batch included"),
    check!(counts_that_do_not_add_up_are_refused, "A commit whose counts do not add up is refused, and nothing of it is written"),
    check!(
        failures_are_kept_in_order,
        "Failures and warnings are kept with all they say, in their order, those of writing after those of reading"
    ),
    check!(a_bad_value_fails_its_row_alone, "A row that cannot be taken fails alone, names itself and keeps what was stored"),
    check!(an_empty_commit_is_a_commit, "A commit without records goes through, first of all or later"),
    check!(many_partitions_are_one_commit, "Rows of many partitions are written by one commit"),
];

async fn both(scene: &Scene) -> Result<[Pull; 2], Finding> {
    Ok([scene.begin(&feed("c1", "own"), &plain("x_own")).await?, scene.begin(&mapped("c1"), &people()).await?])
}

fn person<'a>(id: &'a str, name: &str) -> Row<'a> {
    up(id, json!({"email": id, "name": name}))
}

async fn rows_are_told_apart(scene: Scene) -> Looked {
    for run in both(&scene).await? {
        same!(run.counts(&[person("a", "Ann"), person("b", "Bea")]).await?, [2, 0, 0, 0, 0, 0], "two new rows");
        same!(run.counts(&[person("a", "Ann"), person("b", "Bo"), person("c", "Cy")]).await?, [1, 1, 1, 0, 0, 0], "one of each");
        same!(run.row("b").await?, json!({"email": "b", "name": "Bo"}), "the row that changed");
        same!(run.table().await?.len(), 3, "rows");
    }
    Ok(())
}

async fn unchanged_rows_are_not_written(scene: Scene) -> Looked {
    for run in both(&scene).await? {
        run.commit(&[person("a", "Ann"), person("b", "Bea")]).await?;
        let later = PageCommit { at: at(9), ..run.rows_page(&[person("a", "Ann"), person("b", "Bo")]) };
        run.store.commit(later).await?;
        let times: Vec<_> = rows(&*run.store, run.target.entity.as_str()).await?.iter().map(|row: &Entity| row.last_synced_at).collect();
        same!(times, [Some(at(1)), Some(at(9))], "when the row that stayed and the one that changed were written");
    }
    Ok(())
}

async fn the_same_page_again_changes_nothing(scene: Scene) -> Looked {
    for run in both(&scene).await? {
        let pages = [vec![person("a", "Ann"), person("b", "Bea")], vec![person("c", "Cy")], vec![person("d", "Di"), person("e", "Ed")]];
        for page in &pages {
            run.commit(page).await?;
        }
        let stored = rows(&*run.store, run.target.entity.as_str()).await?;
        for again in [[0, 1, 2], [2, 0, 1], [1, 1, 0]] {
            for page in again {
                let done = run.counts(&pages[page]).await?;
                same!(done, [0, 0, pages[page].len() as u64, 0, 0, 0], "a page that came again");
            }
        }
        same!(rows(&*run.store, run.target.entity.as_str()).await?, stored, "the rows");
        for key in ["a", "b", "c", "d", "e"] {
            same!(run.history(key).await?.len(), 2, "entries of lineage of {key:?}");
        }
    }
    Ok(())
}

async fn deletions_take_rows_away(scene: Scene) -> Looked {
    for run in both(&scene).await? {
        run.commit(&[person("a", "Ann"), person("b", "Bea")]).await?;
        same!(run.counts(&[gone("a"), gone("never")]).await?, [0, 0, 1, 0, 0, 1], "one that was there and one that was not");
        same!(run.table().await?.into_keys().collect::<Vec<_>>(), ["b"], "keys that are left");
        same!(run.counts(&[gone("a")]).await?, [0, 0, 1, 0, 0, 0], "one that is gone already");
        same!(run.counts(&[person("a", "Anew")]).await?, [1, 0, 0, 0, 0, 0], "one that comes back");
    }
    Ok(())
}

async fn of_duplicates_the_last_wins(scene: Scene) -> Looked {
    for run in both(&scene).await? {
        let done = run.commit(&[person("a", "One"), person("b", "Bea"), person("a", "Two")]).await?;
        same!(six(&done.counts), [2, 0, 0, 1, 0, 0], "the counts");
        same!(run.row("a").await?["name"], json!("Two"), "the value that stands");
        run.scan("", 1, &[person("a", "Three")]).await?;
        same!(six(&run.scan("", 1, &[person("a", "Four")]).await?.counts), [0, 1, 0, 0, 0, 0], "one on a later page");
        same!(run.row("a").await?["name"], json!("Four"), "the value of the later page");
    }
    Ok(())
}

async fn of_duplicates_the_first_wins(scene: Scene) -> Looked {
    for (stream, place) in [("own", plain("x_own")), ("s", people())] {
        let target = Target { duplicates: Duplicates::FirstWins, ..place };
        let run = scene.begin(&feed("c1", stream), &target).await?;
        let done = run.scan("", 1, &[person("a", "One"), person("b", "Bea"), person("a", "Two")]).await?;
        same!(six(&done.counts), [2, 0, 0, 1, 0, 0], "the counts");
        let named: Vec<_> = done.failures.iter().map(|warning| (warning.severity, warning.row, warning.record.as_deref())).collect();
        same!(named, [(Severity::Warning, Some(4), Some("a"))], "the warning");
        same!(six(&run.scan("", 1, &[person("a", "Three")]).await?.counts), [0, 0, 0, 1, 0, 0], "one on a later page");
        same!(run.row("a").await?["name"], json!("One"), "the value that stands");
        same!(six(&run.scan("", 2, &[person("a", "Next")]).await?.counts), [0, 1, 0, 0, 0, 0], "one of the next scan");
        run.end().await?;
    }
    Ok(())
}

async fn connections_have_rows_of_their_own(scene: Scene) -> Looked {
    let one = scene.begin(&feed("c1", "s"), &plain("x_s")).await?;
    let two = scene.begin(&feed("c2", "s"), &plain("x_s")).await?;
    same!(one.counts(&[up("a", json!({"v": 1}))]).await?, [1, 0, 0, 0, 0, 0], "the first");
    same!(two.counts(&[up("a", json!({"v": 2}))]).await?, [1, 0, 0, 0, 0, 0], "the second");
    two.commit(&[gone("a")]).await?;
    let left: Vec<_> = rows(&*one.store, "x_s").await?.into_iter().map(|row| (row.connection, row.fields["v"].clone())).collect();
    same!(left, [(Some("c1".into()), json!(1))], "what is left when the second is gone");
    Ok(())
}

async fn counts_add_up(scene: Scene) -> Looked {
    for run in both(&scene).await? {
        let before = Counts { read: 3, skipped: 1, failed: 2, ..Counts::default() };
        let failures = vec![RecordFailure::error("one"), RecordFailure::error("two"), RecordFailure::warning("left out")];
        let page = PageCommit { before, failures, ..run.rows_page(&[person("a", "Ann"), person("a", "Ann"), gone("z")]) };
        let done = run.store.commit(page).await?;
        let expected = Counts { read: 6, created: 1, unchanged: 1, skipped: 2, failed: 2, ..Counts::default() };
        same!(done.counts, expected, "the counts of the commit");
        same!(run.end().await?.counts, expected, "the counts of the run");
    }
    Ok(())
}

async fn counts_that_do_not_add_up_are_refused(scene: Scene) -> Looked {
    let run = scene.begin(&feed("c1", "s"), &plain("x_s")).await?;
    let page = PageCommit { before: Counts { read: 1, ..Counts::default() }, ..run.rows_page(&[up("a", json!({"v": 1}))]) };
    holds!(run.store.commit(page).await.is_err(), "one record too many was read, and nobody noticed");
    same!(rows(&*run.store, "x_s").await?, [], "rows that were written all the same");
    same!(run.end().await?.counts, Counts::default(), "the counts of the run");
    Ok(())
}

async fn failures_are_kept_in_order(scene: Scene) -> Looked {
    let run = scene.begin(&feed("c1", "s"), &Target { duplicates: Duplicates::FirstWins, ..plain("x_s") }).await?;
    let told: Vec<RecordFailure> = (0..5)
        .map(|n| match n % 2 {
            0 => RecordFailure::error(format!("failure {n}")).at_row(Some(n)).of_record(format!("r{n}")).in_column("Column B"),
            _ => RecordFailure::warning(format!("warning {n}")),
        })
        .collect();
    let before = Counts { read: 3, failed: 3, ..Counts::default() };
    let page = PageCommit { failures: told.clone(), before, ..run.rows_page(&[up("a", json!({})), up("a", json!({}))]) };
    let found = run.store.commit(page).await?.failures;
    same!(found.len(), 1, "warnings found while writing");
    let mut all = told;
    all.extend(found);
    same!(run.store.failures(run.fence.run, 100).await?, all, "all of them");
    same!(run.store.failures(run.fence.run, 2).await?, all[..2], "the first two");
    Ok(())
}

async fn a_bad_value_fails_its_row_alone(scene: Scene) -> Looked {
    // Half of a surrogate pair is JSON, but no text there is.
    let broken = || raw("b", "name", r#""\ud800""#);
    let run = scene.begin(&feed("c1", "s"), &plain("x_s")).await?;
    let page = run.page(vec![part("", batch(&[person("a", "Ann")])), part("", broken()), part("", batch(&[person("c", "Cy")]))]);
    let done = run.store.commit(page).await?;
    same!(six(&done.counts), [2, 0, 0, 0, 1, 0], "the counts");
    let named: Vec<_> = done.failures.iter().map(|f| (f.severity, f.row, f.record.as_deref(), f.column.as_deref())).collect();
    same!(named, [(Severity::Error, Some(2), Some("b"), Some("name"))], "the failure");
    run.commit(&[person("b", "Bea")]).await?;
    same!(six(&run.store.commit(run.page(vec![part("", broken())])).await?.counts), [0, 0, 0, 0, 1, 0], "an update that cannot be taken");
    same!(run.row("b").await?["name"], json!("Bea"), "the value that was stored before");
    same!(run.history("b").await?.len(), 2, "entries of lineage");
    Ok(())
}

async fn an_empty_commit_is_a_commit(scene: Scene) -> Looked {
    for run in both(&scene).await? {
        for _ in 0..2 {
            for batches in [vec![], vec![part("p", batch(&[]))]] {
                same!(run.store.commit(run.page(batches)).await?.counts, Counts::default(), "the counts");
            }
            run.commit(&[person("a", "Ann")]).await?;
        }
    }
    Ok(())
}

async fn many_partitions_are_one_commit(scene: Scene) -> Looked {
    for run in both(&scene).await? {
        let names: Vec<String> = (0..40).map(|n| format!("p{n:02}")).collect();
        let parts = names.iter().map(|name| part(name, batch(&[person(name, "Same")]))).collect();
        same!(six(&run.store.commit(run.page(parts)).await?.counts), [40, 0, 0, 0, 0, 0], "the counts");
        same!(run.table().await?.into_keys().collect::<Vec<_>>(), names, "the keys");
    }
    Ok(())
}
