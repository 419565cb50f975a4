//! Writes that are on their way to a service.

use sync_core::{
    Counts, ErrorKind, Marker, Operation, PushMode, RecordFailure, RecordId, RunError,
    store::{Feed, Intent, IntentFilter, IntentState, PushCommit, PushLink, PushMemory, Settled, Shape},
};

use super::{
    Check,
    check::Looked,
    scene::{Pull, Scene, at, feed, plain},
};
use crate::suite::Finding;

pub(super) const CHECKS: &[Check] = &[
    check!(an_intent_is_kept_as_it_is, "An intent is kept with everything it says, from before it leaves"),
    check!(an_intent_keeps_its_mode, "An intent keeps the mode it was begun in"),
    check!(a_key_has_one_intent, "At most one intent of a key in a feed: the later replaces the earlier"),
    check!(an_accepted_write_becomes_a_link, "What the service accepted ends the intent and is known by its link, both ways"),
    check!(a_confirmed_removal_ends_the_link, "What is gone at the service ends intent and link"),
    check!(a_dropped_write_keeps_its_link, "What was left out ends the intent and keeps the link"),
    check!(an_open_write_stays_listed, "What is not confirmed stays an intent, as it is now"),
    check!(a_removal_is_an_intent_too, "Removals are kept like writes"),
    check!(intents_are_filtered, "Intents are listed by feed, connection, state and key"),
    check!(intents_are_paged, "Intents are listed by feed and key, page by page, without losing any"),
    check!(journalled_counts_are_the_runs, "Counts, failures and events of a push stand in its run, unsettled ones included"),
    check!(journalling_again_changes_nothing, "The same steps again change nothing but the counts"),
];

pub(super) fn intent(run: &Pull, key: &str) -> Intent {
    Intent {
        key: key.into(),
        marker: Marker::from(format!("marker-of-{key}")),
        operation: Operation::Upsert,
        mode: PushMode::Upsert,
        fields: r#"{"name":"Zoë","n":12345678901234567890}"#.into(),
        hash: u64::MAX - 1,
        id: None,
        version: None,
        state: IntentState::Sending,
        attempts: 1,
        sent_at: at(1),
        looks: 0,
        looked_at: None,
        next_at: None,
        handle: None,
        error: None,
        run: run.fence.run,
    }
}

pub(super) fn link(id: &str, hash: u64) -> PushLink {
    PushLink { id: Some(id.into()), hash: Some(hash), version: Some("v1".into()) }
}

pub(super) fn empty(run: &Pull) -> PushCommit {
    PushCommit {
        fence: run.fence,
        feed: run.feed.clone(),
        begun: Vec::new(),
        settled: Vec::new(),
        counts: Counts::default(),
        failures: Vec::new(),
        events: Vec::new(),
        memory: None,
        at: at(1),
    }
}

/// A step of every kind.
pub(super) fn steps(run: &Pull) -> PushCommit {
    PushCommit {
        begun: vec![intent(run, "begun")],
        settled: vec![Settled::Accepted { key: "done".into(), link: link("id-done", 1) }],
        counts: Counts { read: 1, created: 1, ..Counts::default() },
        failures: vec![RecordFailure::warning("odd")],
        events: vec!["{}".into()],
        memory: Some(PushMemory { version: Some("5".into()), shape: None }),
        ..empty(run)
    }
}

/// Looks that nothing of [`steps`] was written.
pub(super) async fn nothing_of_steps(run: &Pull) -> Looked {
    same!(all(run).await?, [], "intents");
    same!(run.store.push_links(&run.feed, &["done".into()]).await?, [None], "links");
    same!(run.store.push_memory(&run.feed).await?, PushMemory::default(), "the memory");
    same!(run.store.failures(run.fence.run, 9).await?, [], "failures");
    same!(run.store.events(0, 9).await?, [], "events");
    let counts = run.store.run(run.fence.run).await?.map(|run| run.counts);
    same!(counts, Some(Counts::default()), "counts of the run");
    Ok(())
}

async fn push(scene: &Scene, connection: &str) -> Result<Pull, Finding> {
    scene.begin(&feed(connection, "s"), &plain("x_s")).await
}

async fn begun(run: &Pull, intents: Vec<Intent>) -> Looked {
    run.store.journal(PushCommit { begun: intents, ..empty(run) }).await?;
    Ok(())
}

async fn settled(run: &Pull, settled: Vec<Settled>) -> Looked {
    run.store.journal(PushCommit { settled, ..empty(run) }).await?;
    Ok(())
}

async fn all(run: &Pull) -> Result<Vec<Intent>, Finding> {
    let found = run.store.intents(IntentFilter { feed: Some(run.feed.clone()), ..IntentFilter::default() }).await?;
    Ok(found.into_iter().map(|(_, intent)| intent).collect())
}

async fn links(run: &Pull, keys: &[&str]) -> Result<Vec<Option<PushLink>>, Finding> {
    let keys: Vec<Box<str>> = keys.iter().map(|key| Box::from(*key)).collect();
    Ok(run.store.push_links(&run.feed, &keys).await?)
}

async fn linked(run: &Pull, ids: &[&str]) -> Result<Vec<Option<Box<str>>>, Finding> {
    let ids: Vec<RecordId> = ids.iter().map(|id| RecordId::from(*id)).collect();
    Ok(run.store.linked_keys(&run.feed, &ids).await?)
}

async fn an_intent_is_kept_as_it_is(scene: Scene) -> Looked {
    let run = push(&scene, "c1").await?;
    let kind = ErrorKind::RateLimited;
    let full = Intent {
        id: Some("id \"1\"/ü".into()),
        version: Some("etag".into()),
        state: IntentState::Failed,
        attempts: 3,
        sent_at: at(5),
        looks: 2,
        looked_at: Some(at(6)),
        next_at: Some(at(7)),
        handle: Some("job-9".into()),
        error: Some(RunError { kind, message: "slow down".into(), hint: kind.hint().into(), partition: None }),
        ..intent(&run, "full")
    };
    let bare = Intent { hash: 0, fields: "{}".into(), ..intent(&run, "bare") };
    begun(&run, vec![full.clone(), bare.clone()]).await?;
    same!(all(&run).await?, [bare, full], "the intents");
    Ok(())
}

async fn an_intent_keeps_its_mode(scene: Scene) -> Looked {
    let run = push(&scene, "c1").await?;
    let modes = [PushMode::Insert, PushMode::Mirror, PushMode::Update, PushMode::Upsert];
    let each: Vec<Intent> = modes.into_iter().map(|mode| Intent { mode, ..intent(&run, mode.as_str()) }).collect();
    begun(&run, each.clone()).await?;
    same!(all(&run).await?, each, "the intents as they were begun");
    let open: Vec<Intent> = each.into_iter().map(|intent| Intent { state: IntentState::Unknown, ..intent }).collect();
    settled(&run, open.iter().cloned().map(|intent| Settled::Open(Box::new(intent))).collect()).await?;
    same!(all(&run).await?, open, "the intents once they are open");
    Ok(())
}

async fn a_key_has_one_intent(scene: Scene) -> Looked {
    let (run, other) = (push(&scene, "c1").await?, push(&scene, "c2").await?);
    begun(&run, vec![intent(&run, "a")]).await?;
    begun(&other, vec![intent(&other, "a")]).await?;
    let later = Intent { attempts: 2, marker: "later".into(), fields: r#"{"name":"New"}"#.into(), hash: 7, ..intent(&run, "a") };
    begun(&run, vec![later.clone()]).await?;
    same!(all(&run).await?, [later], "intents of the key");
    same!(all(&other).await?, [intent(&other, "a")], "intents of the key in another feed");
    Ok(())
}

async fn an_accepted_write_becomes_a_link(scene: Scene) -> Looked {
    let run = push(&scene, "c1").await?;
    begun(&run, vec![intent(&run, "a"), intent(&run, "b")]).await?;
    settled(&run, vec![Settled::Accepted { key: "a".into(), link: link("id-a", u64::MAX) }]).await?;
    same!(all(&run).await?, [intent(&run, "b")], "intents that are left");
    same!(links(&run, &["b", "a", "nope"]).await?, [None, Some(link("id-a", u64::MAX)), None], "links in the order of the keys");
    same!(linked(&run, &["nope", "id-a"]).await?, [None, Some("a".into())], "keys in the order of the ids");
    let open = PushLink { id: Some("id-2".into()), hash: None, version: None };
    settled(&run, vec![Settled::Accepted { key: "a".into(), link: open.clone() }]).await?;
    same!(links(&run, &["a"]).await?, [Some(open)], "a link that was replaced");
    same!(linked(&run, &["id-a", "id-2"]).await?, [None, Some("a".into())], "keys by the old and the new id");
    Ok(())
}

async fn a_confirmed_removal_ends_the_link(scene: Scene) -> Looked {
    let run = push(&scene, "c1").await?;
    settled(&run, ["a", "b"].map(|key| Settled::Accepted { key: key.into(), link: link(&format!("id-{key}"), 1) }).into()).await?;
    begun(&run, vec![Intent { operation: Operation::Delete, ..intent(&run, "a") }]).await?;
    settled(&run, vec![Settled::Deleted { key: "a".into() }]).await?;
    same!(all(&run).await?, [], "intents");
    same!(links(&run, &["a", "b"]).await?, [None, Some(link("id-b", 1))], "links");
    same!(linked(&run, &["id-a", "id-b"]).await?, [None, Some("b".into())], "keys");
    Ok(())
}

async fn a_dropped_write_keeps_its_link(scene: Scene) -> Looked {
    let run = push(&scene, "c1").await?;
    settled(&run, vec![Settled::Accepted { key: "a".into(), link: link("id-a", 1) }]).await?;
    begun(&run, vec![intent(&run, "a"), intent(&run, "b")]).await?;
    settled(&run, vec![Settled::Dropped { key: "a".into() }, Settled::Dropped { key: "b".into() }]).await?;
    same!(all(&run).await?, [], "intents");
    same!(links(&run, &["a", "b"]).await?, [Some(link("id-a", 1)), None], "links");
    Ok(())
}

async fn an_open_write_stays_listed(scene: Scene) -> Looked {
    let run = push(&scene, "c1").await?;
    settled(&run, vec![Settled::Accepted { key: "a".into(), link: link("id-a", 1) }]).await?;
    begun(&run, vec![intent(&run, "a")]).await?;
    for state in [IntentState::Unknown, IntentState::Pending, IntentState::Failed, IntentState::Conflict] {
        let open = Intent { state, looks: 1, looked_at: Some(at(9)), next_at: Some(at(10)), ..intent(&run, "a") };
        settled(&run, vec![Settled::Open(Box::new(open.clone()))]).await?;
        same!(all(&run).await?, [open], "the intent when it is {}", state.as_str());
    }
    same!(links(&run, &["a"]).await?, [Some(link("id-a", 1))], "the link");
    Ok(())
}

async fn a_removal_is_an_intent_too(scene: Scene) -> Looked {
    let run = push(&scene, "c1").await?;
    let removal = Intent { operation: Operation::Delete, id: Some("id-a".into()), fields: "{}".into(), ..intent(&run, "a") };
    begun(&run, vec![removal.clone()]).await?;
    same!(all(&run).await?, [removal], "the intent");
    Ok(())
}

async fn intents_are_filtered(scene: Scene) -> Looked {
    let runs = [push(&scene, "c1").await?, push(&scene, "c2").await?];
    for run in &runs {
        let unknown = Intent { state: IntentState::Unknown, ..intent(run, "b") };
        begun(run, vec![intent(run, "a"), unknown, Intent { state: IntentState::Failed, ..intent(run, "c") }]).await?;
    }
    let found = async |filter| {
        let found = runs[0].store.intents(filter).await?;
        Ok::<_, Finding>(found.into_iter().map(|(feed, intent)| format!("{} {}", feed.connection, intent.key)).collect::<Vec<_>>())
    };
    let filter = IntentFilter::default;
    same!(found(filter()).await?, ["c1 a", "c1 b", "c1 c", "c2 a", "c2 b", "c2 c"], "all");
    same!(found(IntentFilter { feed: Some(runs[1].feed.clone()), ..filter() }).await?, ["c2 a", "c2 b", "c2 c"], "of a feed");
    same!(found(IntentFilter { connection: Some("c1".into()), ..filter() }).await?, ["c1 a", "c1 b", "c1 c"], "of a connection");
    let states = vec![IntentState::Unknown, IntentState::Failed];
    same!(found(IntentFilter { states, ..filter() }).await?, ["c1 b", "c1 c", "c2 b", "c2 c"], "in two states");
    let keys = vec!["c".into(), "a".into(), "nope".into()];
    let of = Some(runs[0].feed.clone());
    same!(found(IntentFilter { keys, feed: of, ..filter() }).await?, ["c1 a", "c1 c"], "of two keys");
    Ok(())
}

async fn intents_are_paged(scene: Scene) -> Looked {
    let runs = [push(&scene, "c1").await?, push(&scene, "c2").await?];
    let keys: Vec<String> = (0..60).map(|n| format!("k{n:02}")).collect();
    for run in &runs {
        begun(run, keys.iter().map(|key| intent(run, key)).collect()).await?;
    }
    let mut expected: Vec<(Feed, Box<str>)> = Vec::new();
    for run in &runs {
        expected.extend(keys.iter().map(|key| (run.feed.clone(), Box::from(key.as_str()))));
    }
    for limit in [1, 7, 60, 500] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = runs[0].store.intents(IntentFilter { after: after.clone(), limit, ..IntentFilter::default() }).await?;
            holds!(page.len() <= limit as usize, "a page of {} where {limit} were asked for", page.len());
            let Some((feed, last)) = page.last() else { break };
            let here = Some((feed.clone(), last.key.clone()));
            holds!(after != here, "a page that does not go on after {after:?}");
            after = here;
            seen.extend(page.into_iter().map(|(feed, intent)| (feed, intent.key)));
        }
        same!(seen, expected, "intents in pages of {limit}");
    }
    same!(runs[0].store.intents(IntentFilter::default()).await?.len(), 100, "intents of a page when no limit is named");
    Ok(())
}

async fn journalled_counts_are_the_runs(scene: Scene) -> Looked {
    let run = push(&scene, "c1").await?;
    let counts = Counts { read: 5, created: 1, updated: 1, failed: 1, unsettled: 2, ..Counts::default() };
    let failure = RecordFailure::error("refused").of_record("a");
    for n in 0..2 {
        let events = vec![format!(r#"{{"type":"pushed","n":{n}}}"#).into()];
        run.store.journal(PushCommit { counts, failures: vec![failure.clone()], events, ..empty(&run) }).await?;
    }
    same!(run.store.failures(run.fence.run, 9).await?, [failure.clone(), failure], "failures");
    let events: Vec<_> = run.store.events(0, 9).await?.into_iter().map(|event| (event.run, event.body)).collect();
    let event = |n| (Some(run.fence.run), Box::from(format!(r#"{{"type":"pushed","n":{n}}}"#)));
    same!(events, [event(0), event(1)], "events");
    let twice = Counts { read: 10, created: 2, updated: 2, failed: 2, unsettled: 4, ..Counts::default() };
    same!(run.end().await?.counts, twice, "counts of the run");
    Ok(())
}

async fn journalling_again_changes_nothing(scene: Scene) -> Looked {
    let run = push(&scene, "c1").await?;
    let memory =
        PushMemory { version: Some("5".into()), shape: Some(Shape { fingerprint: "f".into(), fields: vec!["a".into()], key: Vec::new() }) };
    let once = PushCommit { memory: Some(memory.clone()), events: Vec::new(), failures: Vec::new(), ..steps(&run) };
    for _ in 0..3 {
        run.store.journal(once.clone()).await?;
        same!(all(&run).await?, [intent(&run, "begun")], "intents");
        same!(links(&run, &["done"]).await?, [Some(link("id-done", 1))], "links");
        same!(run.store.push_memory(&run.feed).await?, memory, "the memory");
    }
    Ok(())
}
