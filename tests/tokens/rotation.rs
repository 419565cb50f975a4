//! Keys that are changed while everything goes on (reliability: TS6).

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use syncline::{
    Connection, ConnectionStatus, ErrorKind, Keyring, Pull, Syncline,
    core::ExposeSecret as _,
    testkit::{
        VirtualClock,
        crash::{Crash, order},
    },
};

use crate::{
    scene::{Scene, Site},
    support::{On, clean},
};

const HOUR: Duration = Duration::from_secs(3600);

mod on_sqlite {
    use super::On;

    #[tokio::test(flavor = "multi_thread")]
    async fn keys_are_rotated_under_load_and_no_token_is_lost() {
        super::keys_are_rotated_under_load_and_no_token_is_lost(On::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_rotation_that_was_killed_goes_on_where_it_was() {
        super::a_rotation_that_was_killed_goes_on_where_it_was(On::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_process_without_the_new_key_says_which_one_is_missing_and_harms_nothing() {
        super::a_process_without_the_new_key_says_which_one_is_missing_and_harms_nothing(On::Sqlite).await;
    }
}

mod on_postgres {
    use super::On;

    #[tokio::test(flavor = "multi_thread")]
    async fn keys_are_rotated_under_load_and_no_token_is_lost() {
        super::keys_are_rotated_under_load_and_no_token_is_lost(On::Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_rotation_that_was_killed_goes_on_where_it_was() {
        super::a_rotation_that_was_killed_goes_on_where_it_was(On::Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_process_without_the_new_key_says_which_one_is_missing_and_harms_nothing() {
        super::a_process_without_the_new_key_says_which_one_is_missing_and_harms_nothing(On::Postgres).await;
    }
}

/// The key `k2` alone, and in front of the world's `k1`.
fn newer(scene: &Scene) -> (String, String) {
    let new = Keyring::generate("k2").to_string();
    (new.clone(), format!("{new},{}", scene.world.keys))
}

async fn sealed(syncline: &Syncline) -> Vec<(String, u64)> {
    syncline.keys().await.expect("keys").into_iter().map(|key| (key.id.into(), key.sealed)).collect()
}

/// Every connection of these workspaces works, and can be renewed.
async fn works(scene: &Scene, syncline: &Syncline, workspaces: &BTreeSet<String>) {
    for workspace in workspaces {
        let rows = syncline.workspace(workspace.as_str()).connections().await.expect("a list");
        let connection = syncline.workspace(workspace.as_str()).connection(rows[0].id.clone()).await.expect("there");
        assert!(connection.is_valid().await, "{workspace}");
        connection.refresh_oauth_token().await.expect("its refresh token is good");
    }
    assert_eq!(scene.server.grants(), workspaces.len(), "no grant was taken back, and none was begun twice");
}

async fn keys_are_rotated_under_load_and_no_token_is_lost(on: On) {
    let scene = Arc::new(Scene::new(on, HOUR).await);
    let (new, both) = newer(&scene);
    let old = scene.open().await;
    let mut workspaces = BTreeSet::new();
    for n in 0..16 {
        scene.connect(&old, &format!("w{n}")).await;
        workspaces.insert(format!("w{n}"));
    }
    drop(old);
    // Every process has the new key in front, as it has to before a rotation begins.
    let rotating = scene.engine(&both).await;
    assert_eq!(sealed(&rotating).await, [("k2".to_owned(), 0), ("k1".to_owned(), 32)]);
    let (stop, turns) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut tasks = Vec::new();
    for task in 0..8 {
        let (scene, stop, turns, both) = (Arc::clone(&scene), Arc::clone(&stop), Arc::clone(&turns), both.clone());
        tasks.push(tokio::spawn(async move {
            let syncline = scene.engine(&both).await;
            let mut made = Vec::new();
            while !stop.load(SeqCst) {
                for own in [task, task + 8] {
                    let workspace = syncline.workspace(format!("w{own}"));
                    let id = workspace.connections().await.expect("a list")[0].id.clone();
                    workspace.connection(id).await.expect("there").refresh_oauth_token().await.expect("renewed");
                }
                if made.len() < 3 {
                    let workspace = format!("new{task}-{}", made.len());
                    scene.connect(&syncline, &workspace).await;
                    made.push(workspace);
                }
                turns.fetch_add(1, SeqCst);
            }
            made
        }));
    }
    // In the middle of it, and until nothing is left: what is sealed with the old key was written before.
    while turns.load(SeqCst) < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let rotated = rotating.rotate_keys(|_| {}).await.expect("it goes through");
    assert!(rotated.failed.is_empty(), "{:?}", rotated.failed);
    let after = turns.load(SeqCst);
    while turns.load(SeqCst) < after + 8 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop.store(true, SeqCst);
    for task in tasks {
        workspaces.extend(task.await.expect("no call failed"));
    }
    let all = workspaces.len() as u64 * 2;
    assert_eq!(sealed(&rotating).await, [("k2".to_owned(), all), ("k1".to_owned(), 0)]);
    rotating.retire_key("k1").await.expect("nothing is under it");
    drop(rotating);
    works(&scene, &scene.engine(&new).await, &workspaces).await;
}

#[derive(Debug, Deserialize, Serialize)]
struct Order {
    site: Site,
    keys: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let Some(order) = order() else { return };
    let order: Order = serde_json::from_str(&order).expect("an order");
    let syncline = order.site.engine(&order.keys, VirtualClock::new(order.site.now)).await;
    syncline.rotate_keys(|_| {}).await.expect("it goes through");
}

async fn a_rotation_that_was_killed_goes_on_where_it_was(on: On) {
    let scene = Scene::new(on, HOUR).await;
    let (new, both) = newer(&scene);
    let mut workspaces = BTreeSet::new();
    let old = scene.open().await;
    for n in 0..5 {
        scene.connect(&old, &format!("w{n}")).await;
        workspaces.insert(format!("w{n}"));
    }
    drop(old);
    let order = serde_json::to_string(&Order { site: scene.site(), keys: both.clone() }).expect("JSON");
    // Twice: the second goes on behind the first.
    for left in [7, 4] {
        Crash::child("rotation::child").kill_at(&order, "k1", 4).await;
        let syncline = scene.engine(&both).await;
        assert_eq!(sealed(&syncline).await, [("k2".to_owned(), 10 - left), ("k1".to_owned(), left)]);
        assert_eq!(syncline.retire_key("k1").await.expect_err("in use").kind(), ErrorKind::Conflict);
        for workspace in &workspaces {
            let rows = syncline.workspace(workspace.as_str()).connections().await.expect("a list");
            let connection = syncline.workspace(workspace.as_str()).connection(rows[0].id.clone()).await.expect("there");
            assert!(connection.is_valid().await, "{workspace}: in the middle of it everything works");
        }
    }
    Crash::child("rotation::child").finish(&order).await;
    let syncline = scene.engine(&both).await;
    assert_eq!(sealed(&syncline).await, [("k2".to_owned(), 10), ("k1".to_owned(), 0)]);
    syncline.retire_key("k1").await.expect("nothing is under it");
    works(&scene, &scene.engine(&new).await, &workspaces).await;
}

async fn a_process_without_the_new_key_says_which_one_is_missing_and_harms_nothing(on: On) {
    let scene = Scene::new(on, HOUR).await;
    let (new, both) = newer(&scene);
    let (behind, ahead) = (scene.open().await, scene.engine(&both).await);
    let connection = scene.connect(&behind, "acme").await;
    let of =
        async |syncline: &Syncline| -> Connection { syncline.workspace("acme").connection(connection.id().clone()).await.expect("there") };
    // A process that was started anew has begun to write with the new key.
    of(&ahead).await.refresh_oauth_token().await.expect("renewed");
    scene.world.clock.advance(Duration::from_secs(50 * 60));
    let (before, asked) = (connection.load_config().await.expect("a row"), scene.asked());
    let missing = |error: syncline::Error| {
        let text = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Key, "{text}");
        assert!(text.contains("\"k2\"") && text.contains("k1") && text.contains(connection.id().as_str()), "{text}");
    };
    missing(connection.ensure_valid_token().await.expect_err("it cannot be opened"));
    missing(connection.refresh_oauth_token().await.expect_err("nor renewed"));
    assert!(!connection.is_valid().await && !connection.has_valid_tokens().await);
    let result = connection.sync_from_external(Pull::stream("users")).await.expect("a result");
    assert_eq!(result.errors[0].kind, ErrorKind::Key, "{:?}", result.errors);
    let ticked = behind.renew_due(Duration::from_secs(900)).await.expect("the database answers");
    assert_eq!((ticked.renewed, ticked.failed), (0, 1));
    assert_eq!(scene.asked(), asked, "the service was not asked: what it gives could be good once");
    let row = connection.load_config().await.expect("a row");
    assert_eq!((row.status, row.token_version, row.renewal), (ConnectionStatus::Active, before.token_version, before.renewal));
    // It rotates nothing it cannot open, and says so.
    let rotated = behind.rotate_keys(|_| {}).await.expect("it goes through");
    assert_eq!((rotated.resealed, rotated.failed.len()), (0, 2));
    rotated.failed.into_iter().for_each(|(_, error)| missing(error));
    assert_eq!(sealed(&ahead).await, [("k2".to_owned(), 2), ("k1".to_owned(), 0)]);

    // With the key added, behind its own, it works; and what it writes the other opens.
    let caught_up = scene.engine(&format!("{},{new}", scene.world.keys)).await;
    clean(&of(&caught_up).await.sync_from_external(Pull::stream("users")).await.expect("it runs, and renews"));
    assert_eq!(sealed(&ahead).await, [("k2".to_owned(), 0), ("k1".to_owned(), 2)]);
    let token = of(&ahead).await.ensure_valid_token().await.expect("it opens both");
    assert_eq!(token.secret.expose_secret(), of(&caught_up).await.ensure_valid_token().await.expect("a token").secret.expose_secret());
    assert_eq!(scene.server.grants(), 1);
}
