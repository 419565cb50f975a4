//! What complete scans prove.

use serde_json::{Value, json};
use sync_core::store::{PageCommit, PartitionBatch};

use super::{
    Check,
    check::Looked,
    scene::{Pull, Row, Scene, batch, feed, mapped, part, people, plain, raw, swept, up},
};
use crate::suite::Finding;

pub(super) const CHECKS: &[Check] = &[
    check!(a_complete_scan_deletes_what_it_did_not_show, "A sweep deletes exactly what the scan did not show, and counts it apart"),
    check!(another_partition_is_untouched, "A sweep of one partition leaves the rows of others alone"),
    check!(another_feed_is_untouched, "A sweep of one connection's stream leaves another's rows alone"),
    check!(too_many_deletes_wait, "A sweep that would delete more than its share deletes nothing until it is confirmed"),
    check!(rows_that_failed_count_as_shown, "Records that could not be taken count as shown"),
    check!(records_that_are_present_count_as_shown, "Records that never reached a batch but are known to be there count as shown"),
    check!(a_moved_record_is_not_gone, "A record that moved to another partition is not gone"),
    check!(a_scan_goes_on_in_the_next_run, "A scan that goes on in another run keeps what it has shown"),
    check!(a_new_scan_begins_anew, "What an earlier scan showed proves nothing about a later one"),
    check!(a_sweep_concludes_once, "A sweep that went through concludes nothing more when it is repeated"),
    check!(
        a_changed_key_leaves_its_old_row_to_the_sweep,
        "The old row of a record whose key field changed goes with the next complete scan"
    ),
    check!(a_mapped_row_is_swept_with_its_last_record, "A row that records of two feeds stand behind is not swept with the first of them"),
];

async fn both(scene: &Scene) -> Result<[Pull; 2], Finding> {
    Ok([scene.begin(&feed("c1", "own"), &plain("x_own")).await?, scene.begin(&mapped("c1"), &people()).await?])
}

fn keys(n: usize) -> Vec<String> {
    (0..n).map(|n| format!("k{n:02}")).collect()
}

fn people_of(keys: &[String]) -> Vec<Row<'_>> {
    keys.iter().map(|key| up(key, json!({"email": key}))).collect()
}

async fn left(run: &Pull) -> Result<Vec<String>, Finding> {
    Ok(run.table().await?.into_keys().collect())
}

async fn a_complete_scan_deletes_what_it_did_not_show(scene: Scene) -> Looked {
    for run in both(&scene).await? {
        let keys = keys(10);
        run.scan("", 1, &people_of(&keys)).await?;
        same!(run.sweep(&[("", 1)]).await?, swept(10, 0, 0), "a scan that showed everything");
        run.scan("", 2, &people_of(&keys[..5])).await?;
        run.scan("", 2, &people_of(&keys[5..9])).await?;
        same!(run.store.sweep(run.sweep_of(&[("", 2)])).await?, swept(10, 1, 1), "a scan that missed one of ten");
        same!(left(&run).await?, keys[..9], "the rows");
        same!(run.history(&keys[9]).await?.last().and_then(|entry| entry.2.clone()), None, "the last value in lineage");
        let counts = run.end().await?.counts;
        same!((counts.swept, counts.deleted), (1, 0), "counts of the run");
        holds!(counts.balanced(), "the counts of the run do not add up: {counts:?}");
    }
    Ok(())
}

async fn another_partition_is_untouched(scene: Scene) -> Looked {
    for run in both(&scene).await? {
        run.scan("p1", 1, &[up("a", json!({"email": "a"})), up("b", json!({"email": "b"}))]).await?;
        run.scan("p2", 1, &[up("c", json!({"email": "c"}))]).await?;
        run.scan("p1", 2, &[up("a", json!({"email": "a"}))]).await?;
        same!(run.sweep(&[("p1", 2)]).await?, swept(2, 1, 1), "the sweep");
        same!(left(&run).await?, ["a", "c"], "the rows");
    }
    Ok(())
}

async fn another_feed_is_untouched(scene: Scene) -> Looked {
    let one = scene.begin(&feed("c1", "s"), &plain("x_s")).await?;
    let two = scene.begin(&feed("c2", "s"), &plain("x_s")).await?;
    for run in [&one, &two] {
        run.scan("", 1, &[up("a", json!({"v": 1}))]).await?;
    }
    one.scan("", 2, &[]).await?;
    same!(one.sweep(&[("", 2)]).await?, swept(1, 1, 1), "the sweep");
    let rows = super::scene::rows(&*one.store, "x_s").await?;
    same!(rows.into_iter().map(|row| row.connection).collect::<Vec<_>>(), [Some("c2".into())], "whose rows are left");
    Ok(())
}

async fn too_many_deletes_wait(scene: Scene) -> Looked {
    for run in both(&scene).await? {
        let keys = keys(10);
        run.scan("", 1, &people_of(&keys)).await?;
        run.scan("", 2, &people_of(&keys[..7])).await?;
        let stopped = run.store.sweep(run.sweep_of(&[("", 2)])).await?;
        same!(stopped, swept(10, 3, 0), "three of ten, with a share of a fifth");
        holds!(stopped.needs_confirmation(), "the sweep does not ask to be confirmed");
        same!(left(&run).await?.len(), 10, "rows before it is confirmed");
        same!(run.sweep(&[("", 2)]).await?, swept(10, 3, 3), "when it is confirmed");
        same!(left(&run).await?.len(), 7, "rows afterwards");
        same!(run.store.sweep(run.sweep_of(&[("", 3)])).await?, swept(7, 7, 0), "a scan that showed nothing at all");
    }
    Ok(())
}

async fn rows_that_failed_count_as_shown(scene: Scene) -> Looked {
    let run = scene.begin(&feed("c1", "s"), &plain("x_s")).await?;
    run.scan("", 1, &[up("bad", json!({"name": "Ann"})), up("good", json!({"name": "Bea"}))]).await?;
    let broken = part("", raw("bad", "name", r#""\ud800""#));
    let page = PageCommit { scan: Some(2), ..run.page(vec![broken, part("", batch(&[up("good", json!({"name": "Bea"}))]))]) };
    same!(run.store.commit(page).await?.counts.failed, 1, "records that could not be taken");
    same!(run.sweep(&[("", 2)]).await?, swept(2, 0, 0), "the sweep");
    Ok(())
}

async fn records_that_are_present_count_as_shown(scene: Scene) -> Looked {
    for run in both(&scene).await? {
        run.scan("", 1, &[up("unread", json!({"email": "unread"})), up("gone", json!({"email": "gone"}))]).await?;
        let present = PartitionBatch { present: vec!["unread".into(), "never-seen".into()], ..part("", batch(&[])) };
        run.store.commit(PageCommit { scan: Some(2), ..run.page(vec![present]) }).await?;
        same!(run.sweep(&[("", 2)]).await?, swept(2, 1, 1), "the sweep");
        same!(left(&run).await?, ["unread"], "the rows");
    }
    Ok(())
}

async fn a_moved_record_is_not_gone(scene: Scene) -> Looked {
    for run in both(&scene).await? {
        let row = || [up("moved", json!({"email": "moved"}))];
        run.scan("p1", 1, &row()).await?;
        run.scan("p2", 1, &row()).await?;
        run.scan("p1", 2, &[]).await?;
        run.scan("p2", 2, &row()).await?;
        same!(run.sweep(&[("p1", 2), ("p2", 2)]).await?, swept(1, 0, 0), "the sweep");
        same!(left(&run).await?, ["moved"], "the rows");
    }
    Ok(())
}

async fn a_scan_goes_on_in_the_next_run(scene: Scene) -> Looked {
    let keys = keys(10);
    let (first, target) = (feed("c1", "s"), plain("x_s"));
    for (scan, shown) in [(1, 0..10), (2, 0..5), (2, 5..9)] {
        let run = scene.begin(&first, &target).await?;
        run.scan("", scan, &people_of(&keys[shown])).await?;
        run.end().await?;
    }
    let run = scene.begin(&first, &target).await?;
    same!(run.sweep(&[("", 2)]).await?, swept(10, 1, 1), "the sweep");
    Ok(())
}

async fn a_new_scan_begins_anew(scene: Scene) -> Looked {
    for run in both(&scene).await? {
        let keys = keys(3);
        run.scan("", 1, &people_of(&keys)).await?;
        run.scan("", 2, &people_of(&keys[..1])).await?;
        run.scan("", 3, &people_of(&keys[1..])).await?;
        same!(run.sweep(&[("", 3)]).await?, swept(3, 1, 1), "the sweep");
        same!(left(&run).await?, keys[1..], "the rows");
    }
    Ok(())
}

async fn a_sweep_concludes_once(scene: Scene) -> Looked {
    for run in both(&scene).await? {
        run.scan("", 1, &people_of(&keys(3))).await?;
        run.sweep(&[("", 1)]).await?;
        // A row that came by another way since is not what the scan was about.
        run.commit(&[up("late", json!({"email": "late"}))]).await?;
        let again = run.sweep(&[("", 1)]).await?;
        same!((again.missing, again.deleted), (0, 0), "what the same sweep concludes again");
        same!(run.table().await?.get("late").cloned().map(|row: Value| row["email"].clone()), Some(json!("late")), "the late row");
    }
    Ok(())
}

async fn a_changed_key_leaves_its_old_row_to_the_sweep(scene: Scene) -> Looked {
    let run = scene.begin(&mapped("c1"), &people()).await?;
    run.scan("", 1, &[up("r1", json!({"email": "old"}))]).await?;
    run.scan("", 2, &[up("r1", json!({"email": "new"}))]).await?;
    same!(left(&run).await?, ["new", "old"], "rows before the sweep");
    same!(run.sweep(&[("", 2)]).await?, swept(2, 1, 1), "the sweep");
    same!(left(&run).await?, ["new"], "rows after it");
    Ok(())
}

async fn a_mapped_row_is_swept_with_its_last_record(scene: Scene) -> Looked {
    let (one, two) = (scene.begin(&mapped("c1"), &people()).await?, scene.begin(&mapped("c2"), &people()).await?);
    one.scan("", 1, &[up("r1", json!({"email": "a"})), up("r2", json!({"email": "b"}))]).await?;
    two.scan("", 1, &[up("q1", json!({"email": "a"}))]).await?;
    one.scan("", 2, &[]).await?;
    same!(one.sweep(&[("", 2)]).await?, swept(2, 2, 2), "the first sweep");
    same!(left(&two).await?, ["a"], "rows that another record stands behind");
    two.scan("", 2, &[]).await?;
    same!(two.sweep(&[("", 2)]).await?, swept(1, 1, 1), "the second sweep");
    same!(left(&two).await?.len(), 0, "rows");
    Ok(())
}
