//! How far users have come: moved by connections and runs, told once.

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::Value;
use sync_core::{
    ErrorKind,
    store::{NewConnection, Onboarding, OnboardingStep, RunStatus, SealedCredentials, WorkspaceStore},
};

use super::{
    Check,
    check::{Looked, broken, refused, there},
    scene::{Scene, at, begin, connection, ending, feed, plain},
};
use crate::suite::Finding;

pub(super) const CHECKS: &[Check] = &[
    check!(who_is_unknown_has_no_onboarding, "Of a user nothing happened to nothing is stored, also when somebody asks", needs Onboarding),
    check!(seeing_the_first_page_begins_an_onboarding, "Beginning moves a user from welcome to connect_services, once, and nobody back", needs Onboarding),
    check!(connecting_moves_to_the_first_sync, "A new connection counts for whoever made it and moves them to first_sync", needs Onboarding),
    check!(healing_counts_nothing_anew, "Connecting an account again counts only if it was disconnected, and for one user", needs Onboarding),
    check!(disconnecting_counts_one_less, "Disconnecting counts a connection no more, once, and moves nobody back", needs Onboarding),
    check!(the_first_sync_completes, "The first run that completes completes an onboarding; failed and later ones change nothing", needs Onboarding),
    check!(each_advance_leaves_one_event, "Each advance leaves one event of no run, with user, step and count, in the order of the advances", needs Onboarding),
    check!(who_arrived_is_told_of_no_more, "Connections made after completion are counted and leave no event", needs Onboarding),
    check!(what_is_refused_moves_nobody, "A connection or an end of a run that is refused moves nobody and leaves no event", needs Onboarding),
    check!(an_advance_is_told_to_whoever_made_it, "Connecting, beginning and ending a run tell the advance they made, and only that", needs Onboarding),
    check!(of_many_first_syncs_one_completes, "Of any number of connections and first runs at once each is counted and one completes", needs Onboarding, Owners),
    check!(onboardings_are_of_one_workspace, "Another workspace neither sees nor moves an onboarding of an equal user", needs Onboarding),
];

fn by(id: &str, user: &str) -> NewConnection {
    NewConnection { connected_by: Some(user.into()), ..connection(id, id) }
}

/// Step, count and whether a sync went through.
type Stood = (OnboardingStep, u32, bool);

async fn stands(store: &dyn WorkspaceStore, user: &str) -> Result<Stood, Finding> {
    Ok(stood(&there(store.onboarding(user).await?, &format!("the onboarding of {user}"))?))
}

fn stood(of: &Onboarding) -> Stood {
    (of.current_step, of.services_connected, of.first_sync_completed)
}

/// User, step and count of the events of no run.
async fn told(store: &dyn WorkspaceStore) -> Result<Vec<String>, Finding> {
    let mut told = Vec::new();
    for event in store.events(0, 1_000).await? {
        let body: Value = serde_json::from_str(&event.body).map_err(|_| broken(format!("an event that is no JSON: {}", event.body)))?;
        if body["type"] == "onboarding-advanced" {
            holds!(event.run.is_none(), "an advance as an event of run {:?}", event.run);
            told.push(format!("{} {} {}", text(&body["user"]), text(&body["step"]), body["services_connected"]));
        }
    }
    Ok(told)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

async fn run(store: &Arc<dyn WorkspaceStore>, connection: &str, status: RunStatus) -> Result<Option<Onboarding>, Finding> {
    let run = begin(Arc::clone(store), &feed(connection, "s"), &plain("x_s")).await?;
    Ok(store.end_run_onboarding(run.fence, ending(status)).await?.1)
}

async fn who_is_unknown_has_no_onboarding(scene: Scene) -> Looked {
    let acme = scene.acme();
    for _ in 0..2 {
        same!(acme.onboarding("ada").await?, None, "the onboarding of somebody unknown");
    }
    acme.connect(NewConnection { connected_by: None, ..connection("c1", "c1") }).await?;
    same!(acme.onboarding("").await?, None, "an onboarding for a connection nobody made");
    same!(told(&*acme).await?, [""; 0], "events");
    Ok(())
}

async fn seeing_the_first_page_begins_an_onboarding(scene: Scene) -> Looked {
    let acme = scene.acme();
    let begun = Onboarding { current_step: OnboardingStep::ConnectServices, updated_at: Some(at(3)), ..Onboarding::welcome("ada") };
    same!(acme.begin_onboarding("ada", at(3)).await?, (begun.clone(), true), "what beginning answers");
    same!(acme.begin_onboarding("ada", at(4)).await?, (begun.clone(), false), "what beginning again answers");
    same!(acme.onboarding("ada").await?, Some(begun), "what is stored");
    acme.connect(by("c1", "ada")).await?;
    let (after, moved) = acme.begin_onboarding("ada", at(5)).await?;
    same!((stood(&after), moved), ((OnboardingStep::FirstSync, 1, false), false), "where beginning leaves who is further");
    same!(told(&*acme).await?, ["ada connect_services 0", "ada first_sync 1"], "events");
    Ok(())
}

async fn connecting_moves_to_the_first_sync(scene: Scene) -> Looked {
    let acme = scene.acme();
    acme.connect(by("c1", "ada")).await?;
    let first = there(acme.onboarding("ada").await?, "the onboarding")?;
    let expected = Onboarding {
        current_step: OnboardingStep::FirstSync,
        services_connected: 1,
        updated_at: Some(at(0)),
        ..Onboarding::welcome("ada")
    };
    same!(first, expected, "the onboarding after the first connection");
    acme.connect(by("c2", "ada")).await?;
    acme.connect(by("c3", "bob")).await?;
    same!(stands(&*acme, "ada").await?, (OnboardingStep::FirstSync, 2, false), "after the second");
    same!(stands(&*acme, "bob").await?, (OnboardingStep::FirstSync, 1, false), "of somebody else");
    Ok(())
}

async fn healing_counts_nothing_anew(scene: Scene) -> Looked {
    let acme = scene.acme();
    acme.connect(by("c1", "ada")).await?;
    acme.connect(by("c1", "ada")).await?;
    acme.connect(NewConnection { connected_by: None, ..by("c1", "ada") }).await?;
    same!(stands(&*acme, "ada").await?.1, 1, "connections when one was healed twice");
    acme.disconnect(&"c1".into(), at(2)).await?;
    acme.connect(by("c1", "ada")).await?;
    same!(stands(&*acme, "ada").await?.1, 1, "connections when it was disconnected and connected again");
    acme.connect(by("c1", "bob")).await?;
    same!((stands(&*acme, "ada").await?.1, stands(&*acme, "bob").await?.1), (0, 1), "connections when another user heals it");
    same!(told(&*acme).await?, ["ada first_sync 1", "ada first_sync 1", "bob first_sync 1"], "events");
    Ok(())
}

async fn disconnecting_counts_one_less(scene: Scene) -> Looked {
    let acme = scene.acme();
    for id in ["c1", "c2"] {
        acme.connect(by(id, "ada")).await?;
    }
    for (id, left) in [("c1", 1), ("c1", 1), ("c2", 0), ("c2", 0)] {
        acme.disconnect(&id.into(), at(5)).await?;
        same!(stands(&*acme, "ada").await?, (OnboardingStep::FirstSync, left, false), "after disconnecting {id}");
    }
    same!(told(&*acme).await?, ["ada first_sync 1", "ada first_sync 2"], "events");
    Ok(())
}

async fn the_first_sync_completes(scene: Scene) -> Looked {
    let acme = scene.acme();
    acme.connect(by("c1", "ada")).await?;
    acme.connect(NewConnection { connected_by: None, ..by("c2", "") }).await?;
    for status in [RunStatus::Failed, RunStatus::Cancelled] {
        run(&acme, "c1", status).await?;
    }
    run(&acme, "c2", RunStatus::Completed).await?;
    same!(stands(&*acme, "ada").await?, (OnboardingStep::FirstSync, 1, false), "after runs that failed, and one of nobody's connection");
    run(&acme, "c1", RunStatus::Completed).await?;
    let done = there(acme.onboarding("ada").await?, "the onboarding")?;
    same!((stood(&done), done.completed_at), ((OnboardingStep::Completed, 1, true), Some(at(59))), "after the first that completed");
    let later = begin(Arc::clone(&acme), &feed("c1", "s"), &plain("x_s")).await?;
    acme.end_run(later.fence, sync_core::store::RunEnd { at: at(90), ..ending(RunStatus::Completed) }).await?;
    same!(acme.onboarding("ada").await?, Some(done), "after the second");
    Ok(())
}

async fn each_advance_leaves_one_event(scene: Scene) -> Looked {
    let acme = scene.acme();
    acme.begin_onboarding("ada", at(0)).await?;
    acme.connect(by("c1", "ada")).await?;
    acme.connect(by("c2", "ada")).await?;
    run(&acme, "c1", RunStatus::Completed).await?;
    run(&acme, "c2", RunStatus::Completed).await?;
    same!(
        told(&*acme).await?,
        ["ada connect_services 0", "ada first_sync 1", "ada first_sync 2", "ada completed 2"],
        "events in their order"
    );
    let events = acme.events(0, 1_000).await?;
    holds!(events.is_sorted_by(|a, b| a.seq < b.seq), "events out of order: {events:?}");
    Ok(())
}

async fn who_arrived_is_told_of_no_more(scene: Scene) -> Looked {
    let acme = scene.acme();
    acme.connect(by("c1", "ada")).await?;
    run(&acme, "c1", RunStatus::Completed).await?;
    acme.connect(by("c2", "ada")).await?;
    acme.begin_onboarding("ada", at(9)).await?;
    same!(stands(&*acme, "ada").await?, (OnboardingStep::Completed, 2, true), "after one more connection");
    same!(told(&*acme).await?, ["ada first_sync 1", "ada completed 1"], "events");
    Ok(())
}

async fn what_is_refused_moves_nobody(scene: Scene) -> Looked {
    let acme = scene.acme();
    acme.connect(by("c1", "ada")).await?;
    acme.disconnect(&"c1".into(), at(1)).await?;
    let sealed = SealedCredentials {
        access: vec![1],
        refresh: None,
        grant: None,
        scopes: None,
        client_id: None,
        issued_at: None,
        expires_at: None,
        version: 1,
    };
    let foreign = NewConnection { account_id: "c1".into(), credentials: Some(sealed), ..by("c9", "bob") };
    refused(acme.connect(foreign).await, ErrorKind::Conflict, "credentials sealed for another id")?;
    refused(acme.connect(NewConnection { account_id: "c9".into(), ..by("c1", "bob") }).await, ErrorKind::Conflict, "an id that is in use")?;
    let held = begin(Arc::clone(&acme), &feed("c1", "s"), &plain("x_s")).await?;
    let stale = sync_core::store::Fence { token: held.fence.token.wrapping_add(1), ..held.fence };
    refused(acme.end_run(stale, ending(RunStatus::Completed)).await, ErrorKind::LeaseLost, "the end of somebody else's run")?;
    same!(acme.onboarding("bob").await?, None, "the onboarding of whom everything was refused");
    same!(stands(&*acme, "ada").await?, (OnboardingStep::FirstSync, 0, false), "the onboarding of the other");
    same!(told(&*acme).await?, ["ada first_sync 1"], "events");
    Ok(())
}

async fn an_advance_is_told_to_whoever_made_it(scene: Scene) -> Looked {
    let acme = scene.acme();
    let (made, first) = acme.connect_onboarding(by("c1", "ada")).await?;
    same!(acme.connection(&"c1".into()).await?, Some(made), "the connection");
    same!(first, acme.onboarding("ada").await?, "what connecting tells");
    same!(acme.connect_onboarding(by("c1", "ada")).await?.1, None, "what healing tells");
    same!(run(&acme, "c1", RunStatus::Failed).await?, None, "what a run that failed tells");
    same!(run(&acme, "c1", RunStatus::Completed).await?, acme.onboarding("ada").await?, "what the first run that completed tells");
    same!(run(&acme, "c1", RunStatus::Completed).await?, None, "what the second tells");
    same!(acme.connect_onboarding(by("c2", "ada")).await?.1, None, "what connecting tells of somebody who arrived");
    Ok(())
}

async fn of_many_first_syncs_one_completes(scene: Scene) -> Looked {
    let other = scene.database.open().await?;
    let both = [scene.acme(), other.workspace(&"acme".into())];
    let each = (0..16).map(|n| {
        let store = Arc::clone(&both[n % 2]);
        async move {
            let id = format!("c{n}");
            let joined = store.connect_onboarding(by(&id, "ada")).await?.1;
            let done = run(&store, &id, RunStatus::Completed).await?;
            Ok::<_, Finding>([joined, done])
        }
    });
    let mut completed = 0;
    for advances in join_all(each).await {
        completed += advances?.into_iter().flatten().filter(|advance| advance.current_step == OnboardingStep::Completed).count();
    }
    same!(completed, 1, "completions that were told");
    same!(stands(&*both[0], "ada").await?, (OnboardingStep::Completed, 16, true), "the onboarding");
    let told = told(&*both[0]).await?;
    let completions = told.iter().filter(|told| told.contains(" completed ")).count();
    same!(completions, 1, "events of completion among {told:?}");
    let counts: Vec<String> = (1..told.len()).map(|n| format!("ada first_sync {n}")).collect();
    same!(told[..told.len() - 1], counts[..], "the events before it");
    Ok(())
}

async fn onboardings_are_of_one_workspace(scene: Scene) -> Looked {
    let (acme, globex) = (scene.acme(), scene.globex());
    acme.connect(by("c1", "ada")).await?;
    same!(globex.onboarding("ada").await?, None, "what another workspace sees");
    same!(stood(&globex.begin_onboarding("ada", at(1)).await?.0), (OnboardingStep::ConnectServices, 0, false), "an equal user there");
    run(&acme, "c1", RunStatus::Completed).await?;
    same!(stands(&*globex, "ada").await?, (OnboardingStep::ConnectServices, 0, false), "the equal user after a sync here");
    same!(stands(&*acme, "ada").await?, (OnboardingStep::Completed, 1, true), "the user here");
    same!(told(&*globex).await?, ["ada connect_services 0"], "events there");
    Ok(())
}
