//! Many writers at once.

use std::sync::Arc;

use futures_util::future::{join_all, try_join_all};
use serde_json::json;
use sync_core::Counts;

use super::{
    Check,
    check::Looked,
    scene::{Pull, Scene, begin, feed, mapped, people, plain, six, up},
};
use crate::suite::Finding;

pub(super) const CHECKS: &[Check] = &[
    check!(many_writers_at_once_lose_nothing, "Of many writers at once every row, every count and every line of lineage is kept"),
    check!(workspaces_under_load_stay_apart, "Workspaces that write equal keys at once see their own rows alone, in every answer"),
];

/// Writers at once.
const WRITERS: usize = 64;

async fn many_writers_at_once_lose_nothing(scene: Scene) -> Looked {
    let names: Vec<String> = (0..WRITERS).map(|n| format!("w{n:02}")).collect();
    let target = people();
    let begun = names.iter().map(|name| (scene.acme(), mapped(name)));
    let runs = try_join_all(begun.map(|(store, feed)| {
        let target = &target;
        async move { begin(store, &feed, target).await }
    }));
    let runs = runs.await?;
    // Each writes a row of its own, and all of them write one more, to which each gives another value.
    let pages = runs.iter().zip(&names).map(|(run, name)| async move {
        run.counts(&[up("own", json!({"email": name, "v": name})), up("shared", json!({"email": "shared", "v": name}))]).await
    });
    let mut total = [0; 6];
    for counts in join_all(pages).await {
        total.iter_mut().zip(counts?).for_each(|(total, count)| *total += count);
    }
    let (writers, rows) = (WRITERS as u64, WRITERS as u64 + 1);
    same!(total, [rows, writers - 1, 0, 0, 0, 0], "what {WRITERS} writers of a row each and of one together did");
    let table = runs[0].table().await?;
    same!(table.len() as u64, rows, "rows");
    let lost: Vec<_> = names.iter().filter(|name| table.get(*name).is_none_or(|row| row["v"] != json!(name))).collect();
    holds!(lost.is_empty(), "rows of writers that were lost: {lost:?}");
    let history = runs[0].history("shared").await?;
    let mut values: Vec<_> = history.iter().filter(|(field, ..)| field == "v").collect();
    same!(values.len(), WRITERS, "changes of the row that all wrote");
    // Whatever the order they are told in: each change but the first starts from what another one made.
    let mut made: Vec<_> = values.iter().filter_map(|(_, _, new)| new.as_ref().map(ToString::to_string)).collect();
    let mut replaced: Vec<_> = values.iter().filter_map(|(_, old, _)| old.as_ref().map(ToString::to_string)).collect();
    replaced.push(table["shared"]["v"].to_string());
    made.sort();
    replaced.sort();
    values.clear();
    same!(made, replaced, "values that were replaced, and the one that stands");
    for run in &runs {
        let Counts { read, .. } = run.end().await?.counts;
        same!(read, 2, "records of each run");
    }
    Ok(())
}

async fn workspaces_under_load_stay_apart(scene: Scene) -> Looked {
    async fn work(run: Arc<Pull>, of: &'static str) -> Result<[u64; 6], Finding> {
        let mut total = [0; 6];
        for page in 0..4 {
            let keys: Vec<String> = (0..5).map(|n| format!("k{}", page * 5 + n)).collect();
            let rows: Vec<_> = keys.iter().map(|key| up(key, json!({"email": key, "of": of}))).collect();
            total.iter_mut().zip(six(&run.commit(&rows).await?.counts)).for_each(|(total, count)| *total += count);
            let table = run.table().await?;
            holds!(table.values().all(|row| row["of"] == json!(of)), "rows of another workspace: {table:?}");
            let history = run.history(&keys[0]).await?;
            let foreign = history.iter().find(|(field, _, new)| field == "of" && *new != Some(json!(of)));
            holds!(foreign.is_none(), "a change in another workspace: {foreign:?}");
        }
        Ok(total)
    }
    for (feeds, target) in
        [(["c1", "c2", "c3", "c4"].map(|id| feed(id, "own")), plain("x_own")), (["c1", "c2", "c3", "c4"].map(mapped), people())]
    {
        let mut runs = Vec::new();
        for (workspace, of) in [(scene.acme(), "acme"), (scene.globex(), "globex")] {
            for feed in &feeds {
                runs.push((Arc::new(begin(Arc::clone(&workspace), feed, &target).await?), of));
            }
        }
        let done = try_join_all(runs.iter().map(|(run, of)| work(Arc::clone(run), of))).await?;
        for totals in done.chunks(feeds.len()) {
            let created: u64 = totals.iter().map(|total| total[0]).sum();
            same!(created, runs[0].0.store.count_entities(&target.entity).await?, "rows that each workspace was told it created");
        }
    }
    Ok(())
}
