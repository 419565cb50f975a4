//! Connections.

use serde_json::json;
use sync_core::{
    ConnectionId,
    store::{NewConnection, SealedCredentials, Storage as _},
};

use crate::{
    push_support::at,
    support::{builder, fresh},
};

pub(crate) fn connection(id: &str, account: &str) -> NewConnection {
    NewConnection {
        id: id.into(),
        provider: "slack".into(),
        subject_id: None,
        account_id: account.into(),
        account_name: Some("Account".into()),
        connected_by: None,
        oauth_provider: None,
        settings: json!({"channels": ["a"]}),
        sync_frequency_minutes: 60,
        credentials: None,
        over: None,
        at: at(0),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_many_connect_at_once_is_one_connection() {
    let (database, one) = fresh().await;
    let two = builder(&database).open().await.expect("opens");
    let connected = futures_util::future::join_all((0..16).map(|n| {
        let store = if n % 2 == 0 { &one } else { &two }.workspace(&"acme".into());
        async move { store.connect(connection(&format!("c{n}"), "acc")).await.expect("connected").id }
    }));
    let ids = connected.await;
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(one.workspace(&"acme".into()).connections().await.expect("a list").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_replace_one_version_of_the_credentials_one_does() {
    let (database, one) = fresh().await;
    let two = builder(&database).open().await.expect("opens");
    let id = ConnectionId::from("c1");
    one.workspace(&"acme".into()).connect(connection("c1", "acc")).await.expect("connected");
    let replaced = futures_util::future::join_all((0..16u8).map(|n| {
        let store = if n % 2 == 0 { &one } else { &two }.workspace(&"acme".into());
        let (id, sealed) = (
            id.clone(),
            SealedCredentials {
                access: vec![n],
                refresh: None,
                grant: None,
                scopes: None,
                client_id: None,
                issued_at: None,
                expires_at: None,
                version: 1,
            },
        );
        async move { (n, store.replace_credentials(&id, 0, sealed, at(1)).await.expect("an answer")) }
    }));
    let won: Vec<u8> = replaced.await.into_iter().filter(|(_, replaced)| *replaced).map(|(n, _)| n).collect();
    assert_eq!(won.len(), 1, "{won:?}");
    let kept = one.workspace(&"acme".into()).credentials(&id).await.expect("read").expect("there");
    assert_eq!((kept.access, kept.version), (won, 1));
}
