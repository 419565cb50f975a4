//! What a feed's pushes know of the service, from one run to the next.

use sync_core::{
    RecordId,
    store::{PushCommit, PushMemory, Settled, Shape},
};

use super::{
    Check,
    check::Looked,
    intents::{empty, intent, link},
    scene::{Scene, feed, mapped, people, plain},
};

pub(super) const CHECKS: &[Check] = &[
    check!(push_memory_is_kept, "What a feed's pushes remember is kept as it is, and stays when a step says nothing of it"),
    check!(feeds_push_on_their_own, "Links, memory and intents belong to one feed alone"),
    check!(an_intent_outlives_its_run, "Intents, links and memory are there for the next run", needs Reopen),
];

fn memory(version: &str) -> PushMemory {
    let shape = Shape { fingerprint: "print".into(), fields: vec!["Name".into(), "Zoë / \"x\"".into()], key: vec!["Name".into()] };
    PushMemory { shape: Some(shape), version: Some(version.into()) }
}

async fn push_memory_is_kept(scene: Scene) -> Looked {
    let run = scene.begin(&feed("c1", "s"), &plain("x_s")).await?;
    same!(run.store.push_memory(&run.feed).await?, PushMemory::default(), "the memory at first");
    run.store.journal(PushCommit { memory: Some(memory("\"2026\"")), ..empty(&run) }).await?;
    run.store.journal(empty(&run)).await?;
    same!(run.store.push_memory(&run.feed).await?, memory("\"2026\""), "the memory");
    let less = PushMemory { shape: None, ..memory("7") };
    run.store.journal(PushCommit { memory: Some(less.clone()), ..empty(&run) }).await?;
    same!(run.store.push_memory(&run.feed).await?, less, "the memory that replaced it");
    Ok(())
}

async fn feeds_push_on_their_own(scene: Scene) -> Looked {
    let run = scene.begin(&mapped("c1"), &people()).await?;
    let settled = vec![Settled::Accepted { key: "a".into(), link: link("id-a", 1) }];
    let memory = Some(memory("1"));
    run.store.journal(PushCommit { begun: vec![intent(&run, "b")], settled, memory, ..empty(&run) }).await?;
    for other in [feed("c1", "s"), mapped("c2"), feed("c1", "t")] {
        same!(run.store.push_links(&other, &["a".into()]).await?, [None], "links of {other:?}");
        same!(run.store.linked_keys(&other, &[RecordId::from("id-a")]).await?, [None], "keys of {other:?}");
        same!(run.store.push_memory(&other).await?, PushMemory::default(), "the memory of {other:?}");
    }
    Ok(())
}

async fn an_intent_outlives_its_run(scene: Scene) -> Looked {
    let Scene { database, storage } = scene;
    let kept = {
        let run = super::scene::begin(storage.workspace(&"acme".into()), &feed("c1", "s"), &plain("x_s")).await?;
        let settled = vec![Settled::Accepted { key: "a".into(), link: link("id-a", 1) }];
        run.store.journal(PushCommit { begun: vec![intent(&run, "b")], settled, memory: Some(memory("1")), ..empty(&run) }).await?;
        intent(&run, "b")
    };
    drop(storage);
    database.settle().await?;
    let acme = database.open().await?.workspace(&"acme".into());
    let feed = feed("c1", "s");
    let found = acme.intents(sync_core::store::IntentFilter::default()).await?;
    same!(found, [(feed.clone(), kept)], "intents");
    same!(acme.push_links(&feed, &["a".into()]).await?, [Some(link("id-a", 1))], "links");
    same!(acme.push_memory(&feed).await?, memory("1"), "the memory");
    Ok(())
}
