//! Leases by name, and that authorizations, clients and leases are of one workspace.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use sync_core::{
    ErrorKind,
    store::{Renewal, StoredClient, WorkspaceStore},
};

use super::{
    Check,
    authorizations::{client, pending},
    check::{Looked, refused},
    connections::sealed,
    scene::{Scene, at, connection},
};
use crate::suite::Finding;

pub(super) const CHECKS: &[Check] = &[
    check!(a_lease_is_held_by_one, "A lease is refused to others while somebody holds it", needs OAuth),
    check!(a_lease_ends_by_itself, "A lease whose time is over by the storage's clock is given to the next who asks", needs OAuth),
    check!(a_holder_prolongs_its_lease, "Who holds a lease and asks again holds it for the new time from then on", needs OAuth),
    check!(a_lease_is_given_back_by_its_holder_alone, "A lease that is given back is free at once; others cannot give it back", needs OAuth),
    check!(a_race_gives_one_lease, "Of any number of callers at once one is given a lease", needs OAuth, Owners),
    check!(
        authorizations_clients_and_leases_are_of_one_workspace,
        "Another workspace neither sees nor changes renewals, authorizations, clients and leases",
        needs OAuth
    ),
];

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(10);

/// Asks again and again until the lease is given.
async fn until_given(store: &dyn WorkspaceStore, name: &str, holder: &str) -> Looked {
    let begun = Instant::now();
    while !store.lease(name, holder, LONG).await? {
        holds!(begun.elapsed() < Duration::from_secs(3), "{name:?} is held long after its time was over");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

async fn given(store: &dyn WorkspaceStore, name: &str, holder: &str) -> Looked {
    holds!(store.lease(name, holder, LONG).await?, "{name:?} was refused to {holder:?} although nobody held it");
    Ok(())
}

async fn held(store: &dyn WorkspaceStore, name: &str, others: &str) -> Looked {
    holds!(!store.lease(name, others, LONG).await?, "{name:?} was given to {others:?} although somebody held it");
    Ok(())
}

async fn a_lease_is_held_by_one(scene: Scene) -> Looked {
    let acme = scene.acme();
    given(&*acme, "renew c1", "one").await?;
    held(&*acme, "renew c1", "two").await?;
    held(&*acme, "renew c1", "").await?;
    given(&*acme, "renew c2", "two").await?;
    held(&*acme, "renew c2", "one").await
}

async fn a_lease_ends_by_itself(scene: Scene) -> Looked {
    let acme = scene.acme();
    holds!(acme.lease("renew c1", "one", SHORT).await?, "a lease that nobody held was refused");
    until_given(&*acme, "renew c1", "two").await?;
    held(&*acme, "renew c1", "one").await
}

async fn a_holder_prolongs_its_lease(scene: Scene) -> Looked {
    let acme = scene.acme();
    holds!(acme.lease("renew c1", "one", SHORT).await?, "a lease that nobody held was refused");
    given(&*acme, "renew c1", "one").await?;
    tokio::time::sleep(SHORT * 2).await;
    held(&*acme, "renew c1", "two").await?;
    // From then on, so it can be shortened too.
    holds!(acme.lease("renew c1", "one", SHORT).await?, "the holder was refused");
    until_given(&*acme, "renew c1", "two").await
}

async fn a_lease_is_given_back_by_its_holder_alone(scene: Scene) -> Looked {
    let acme = scene.acme();
    acme.release("renew c1", "one").await?;
    given(&*acme, "renew c1", "one").await?;
    given(&*acme, "renew c2", "one").await?;
    acme.release("renew c1", "two").await?;
    held(&*acme, "renew c1", "three").await?;
    acme.release("renew c1", "one").await?;
    given(&*acme, "renew c1", "two").await?;
    // Who gives back late gives back nothing.
    acme.release("renew c1", "one").await?;
    held(&*acme, "renew c1", "three").await?;
    held(&*acme, "renew c2", "two").await
}

async fn a_race_gives_one_lease(scene: Scene) -> Looked {
    let second = scene.database.open().await?.workspace(&"acme".into());
    let first = scene.acme();
    for round in 0..4 {
        let name = format!("renew {round}");
        let holders: Vec<String> = (0..16).map(|n| format!("holder {n}")).collect();
        let asked = holders.iter().enumerate().map(|(n, holder)| {
            let store = if n % 2 == 0 { &first } else { &second };
            store.lease(&name, holder, LONG)
        });
        let mut holding = 0;
        for one in join_all(asked).await {
            holding += u32::from(one?);
        }
        same!(holding, 1, "who holds the lease");
    }
    Ok(())
}

/// Something of everything in a workspace.
async fn filled(store: &dyn WorkspaceStore) -> Result<(), Finding> {
    store.connect(connection("c1", "acc")).await?;
    store.replace_credentials(&"c1".into(), 0, sealed(1), at(1)).await?;
    store.keep_authorization(pending("nonce", b"of acme")).await?;
    store.set_oauth_client(client("google", Some(b"of acme"))).await?;
    given(store, "renew c1", "one").await
}

async fn authorizations_clients_and_leases_are_of_one_workspace(scene: Scene) -> Looked {
    let (acme, globex) = (scene.acme(), scene.globex());
    filled(&*acme).await?;
    let before = acme.connection(&"c1".into()).await?;
    let failing = Renewal { failing_since: Some(at(5)), ..Renewal::default() };
    refused(globex.note_renewal(&"c1".into(), 1, failing, None, at(5)).await, ErrorKind::NotFound, "another workspace's note")?;
    refused(globex.disconnect(&"c1".into(), at(5)).await, ErrorKind::NotFound, "another workspace's disconnecting")?;
    same!(globex.take_authorization("nonce").await?, None, "what another workspace takes");
    same!(globex.oauth_client("google").await?, None, "the client another workspace sees");
    holds!(!globex.remove_oauth_client("google").await?, "another workspace removed a client");
    globex.release("renew c1", "one").await?;
    held(&*acme, "renew c1", "two").await?;
    same!(acme.oauth_client("google").await?, Some(client("google", Some(b"of acme"))), "the client of the workspace itself");
    // Equal names are two of them.
    given(&*globex, "renew c1", "two").await?;
    globex.keep_authorization(pending("nonce", b"of globex")).await?;
    globex.set_oauth_client(StoredClient { client_id: "other".into(), ..client("google", None) }).await?;
    same!(acme.connection(&"c1".into()).await?, before, "the connection of the workspace itself");
    same!(acme.oauth_client("google").await?, Some(client("google", Some(b"of acme"))), "its client, when another workspace has one");
    same!(acme.take_authorization("nonce").await?, Some(pending("nonce", b"of acme")), "its authorization");
    same!(globex.take_authorization("nonce").await?, Some(pending("nonce", b"of globex")), "that of another workspace");
    Ok(())
}
