//! Authorizations under way, and the clients of workspaces.

use chrono::Duration;
use futures_util::future::join_all;
use serde_json::json;
use sync_core::{
    ErrorKind,
    store::{PendingAuthorization, StoredClient},
};

use super::{
    Check,
    check::{Looked, refused, there},
    scene::{Scene, at},
};

pub(super) const CHECKS: &[Check] = &[
    check!(an_authorization_is_kept_as_it_was_begun, "An authorization is taken out as it was begun, also one that expired, and is gone then", needs OAuth),
    check!(a_nonce_is_known_once, "A nonce that is known is refused, and what is kept under it stays", needs OAuth),
    check!(an_authorization_is_taken_once, "Of any number of callers at once one is handed an authorization", needs OAuth, Owners),
    check!(authorizations_long_past_are_forgotten, "Beginning an authorization forgets those that expired more than a day before", needs OAuth),
    check!(a_client_takes_the_place_of_the_one_before, "A workspace has one client for an authority, which can be replaced and removed", needs OAuth),
];

pub(super) fn pending(nonce: &str, verifier: &[u8]) -> PendingAuthorization {
    PendingAuthorization {
        nonce: nonce.into(),
        provider: "sheets".into(),
        browser: Box::from([1, 0, 255]),
        verifier: verifier.to_vec(),
        client_id: Some("client".into()),
        redirect_uri: "https://host.example/callback?a=1&b=%20".into(),
        request: json!({"connected_by": "someone", "settings": {"tabs": ["A", "ü"], "rows": 7, "all": null}}),
        begun_at: at(0),
        expires_at: at(10),
    }
}

pub(super) fn client(authority: &str, secret: Option<&[u8]>) -> StoredClient {
    StoredClient {
        authority: authority.into(),
        client_id: format!("client of {authority}").into(),
        secret: secret.map(<[u8]>::to_vec),
        redirect_uri: "https://host.example/callback".into(),
        updated_at: at(1),
    }
}

async fn an_authorization_is_kept_as_it_was_begun(scene: Scene) -> Looked {
    let acme = scene.acme();
    let (one, two) = (pending("one", b"first"), PendingAuthorization { provider: "slack".into(), client_id: None, ..pending("two", b"") });
    acme.keep_authorization(one.clone()).await?;
    acme.keep_authorization(two.clone()).await?;
    same!(acme.take_authorization("nope").await?, None, "an unknown nonce");
    same!(acme.take_authorization("one").await?, Some(one), "the first, which has expired long since");
    same!(acme.take_authorization("one").await?, None, "the first, once more");
    same!(acme.take_authorization("two").await?, Some(two), "the second");
    Ok(())
}

async fn a_nonce_is_known_once(scene: Scene) -> Looked {
    let acme = scene.acme();
    acme.keep_authorization(pending("one", b"first")).await?;
    for again in [pending("one", b"first"), pending("one", b"second")] {
        refused(acme.keep_authorization(again).await, ErrorKind::Conflict, "a nonce that is known")?;
    }
    same!(acme.take_authorization("one").await?, Some(pending("one", b"first")), "what is kept under it");
    Ok(())
}

async fn an_authorization_is_taken_once(scene: Scene) -> Looked {
    let second = scene.database.open().await?.workspace(&"acme".into());
    let first = scene.acme();
    for round in 0..4 {
        let nonce = format!("nonce {round}");
        first.keep_authorization(pending(&nonce, b"v")).await?;
        let taken = join_all((0..16).map(|n| if n % 2 == 0 { &first } else { &second }.take_authorization(&nonce))).await;
        let mut times = 0;
        for one in taken {
            times += u32::from(one?.is_some());
        }
        same!(times, 1, "how often it was handed out");
        first.keep_authorization(pending(&nonce, b"v")).await?;
        there(second.take_authorization(&nonce).await?, "what the other handle kept")?;
    }
    Ok(())
}

async fn authorizations_long_past_are_forgotten(scene: Scene) -> Looked {
    let (acme, globex) = (scene.acme(), scene.globex());
    for store in [&acme, &globex] {
        store.keep_authorization(pending("longer ago", b"v")).await?;
        store.keep_authorization(PendingAuthorization { expires_at: at(11), ..pending("a day ago", b"v") }).await?;
    }
    let today = at(11) + Duration::days(1);
    let new = PendingAuthorization { begun_at: today, expires_at: today + Duration::minutes(10), ..pending("new", b"v") };
    acme.keep_authorization(new).await?;
    same!(acme.take_authorization("longer ago").await?, None, "one that expired more than a day before");
    there(acme.take_authorization("a day ago").await?, "one that expired a day before")?;
    there(acme.take_authorization("new").await?, "the new one")?;
    there(globex.take_authorization("longer ago").await?, "one of another workspace")?;
    Ok(())
}

async fn a_client_takes_the_place_of_the_one_before(scene: Scene) -> Looked {
    let acme = scene.acme();
    same!(acme.oauth_client("google").await?, None, "the client before there is one");
    let (google, slack) = (client("google", Some(b"sealed")), client("slack", None));
    acme.set_oauth_client(google.clone()).await?;
    acme.set_oauth_client(slack.clone()).await?;
    same!(acme.oauth_client("google").await?, Some(google), "the one of the first authority");
    let other =
        StoredClient { client_id: "other".into(), redirect_uri: "https://other".into(), updated_at: at(9), ..client("google", None) };
    acme.set_oauth_client(other.clone()).await?;
    same!(acme.oauth_client("google").await?, Some(other), "the one in its place");
    holds!(acme.remove_oauth_client("google").await?, "there was none to remove");
    holds!(!acme.remove_oauth_client("google").await?, "it was removed twice");
    same!(acme.oauth_client("google").await?, None, "the one that was removed");
    same!(acme.oauth_client("slack").await?, Some(slack), "the one of the other authority");
    Ok(())
}
