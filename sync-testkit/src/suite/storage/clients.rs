//! Clients, and the accounts that are theirs.

use sync_core::{
    ErrorKind,
    store::{Client, ClientAccount, NewConnection, WorkspaceStore},
};

use super::{
    Check,
    check::{Looked, refused, there},
    scene::{Scene, at, connection},
};
use crate::suite::Finding;

pub(super) const CHECKS: &[Check] = &[
    check!(a_client_is_as_it_was_put, "A client is stored as it was put, with its accounts in their order, and found by them", needs Clients),
    check!(putting_a_client_again_replaces_it_whole, "Putting a client again leaves nothing of the one before but when it was made", needs Clients),
    check!(clients_are_listed_by_name, "Clients are listed by name, then by id", needs Clients),
    check!(an_account_has_one_client, "An account of one client is refused to another, naming the first, and nothing is written", needs Clients),
    check!(what_is_no_client_is_refused, "A client without id or name, or with one account twice, is refused", needs Clients),
    check!(an_account_of_a_client_is_connected_for_it, "A connection that is given no subject gets the client of its account", needs Clients),
    check!(linking_a_connected_account_names_its_client, "Linking an account sets the subject of a connection that has none, and of no other", needs Clients),
    check!(a_removed_client_leaves_its_connections, "Removing a client takes its links away and no connection's subject", needs Clients),
    check!(clients_are_of_one_workspace, "Another workspace neither sees nor changes clients and links, and may have equal ones", needs Clients),
];

fn account(id: &str) -> ClientAccount {
    ClientAccount { provider: "slack".into(), account_id: id.into(), name: Some(format!("Account {id}").into()) }
}

fn initech() -> Client {
    Client {
        industry: Some("software".into()),
        status: Some("active".into()),
        website: Some("https://initech.example".into()),
        accounts: vec![account("b"), ClientAccount { name: None, ..account("a") }],
        ..Client::new("initech", "Initech", at(1))
    }
}

fn with(id: &str, accounts: &[&str]) -> Client {
    Client { accounts: accounts.iter().map(|id| account(id)).collect(), ..Client::new(id, id, at(2)) }
}

/// An account connected without a word about whose it is.
fn unowned(id: &str, account: &str) -> NewConnection {
    NewConnection { subject_id: None, ..connection(id, account) }
}

async fn subject(store: &dyn WorkspaceStore, id: &str) -> Result<Option<String>, Finding> {
    let found = there(store.connection(&id.into()).await?, &format!("connection {id}"))?;
    Ok(found.subject_id.map(Into::into))
}

async fn a_client_is_as_it_was_put(scene: Scene) -> Looked {
    let acme = scene.acme();
    same!(acme.client("initech").await?, None, "a client nobody put");
    same!(acme.put_client(initech(), None).await?, initech(), "what putting answers");
    same!(acme.client("initech").await?, Some(initech()), "what is stored");
    for id in ["a", "b"] {
        same!(acme.client_of("slack", id).await?, Some(initech()), "the client of account {id}");
    }
    for (provider, id) in [("sheets", "a"), ("slack", "c")] {
        same!(acme.client_of(provider, id).await?, None, "the client of account {id} of {provider}");
    }
    Ok(())
}

async fn putting_a_client_again_replaces_it_whole(scene: Scene) -> Looked {
    let acme = scene.acme();
    acme.put_client(initech(), None).await?;
    let again = Client { created_at: at(7), updated_at: at(7), ..with("initech", &["c", "b"]) };
    let stored = Client { created_at: at(1), ..again.clone() };
    same!(acme.put_client(again, None).await?, stored, "what putting answers");
    same!(acme.client("initech").await?, Some(stored.clone()), "what is stored");
    same!(acme.client_of("slack", "a").await?, None, "the client of the account it has no more");
    same!(acme.client_of("slack", "c").await?, Some(stored), "the client of the new account");
    Ok(())
}

async fn clients_are_listed_by_name(scene: Scene) -> Looked {
    let acme = scene.acme();
    same!(acme.clients().await?, [], "the list when there are none");
    for (id, name) in [("3", "Initrode"), ("2", "Initech"), ("1", "Initrode")] {
        acme.put_client(Client { accounts: vec![account(id)], ..Client::new(id, name, at(0)) }, None).await?;
    }
    let listed: Vec<(String, usize)> = acme.clients().await?.iter().map(|client| (client.id.to_string(), client.accounts.len())).collect();
    same!(listed, ["2", "1", "3"].map(|id| (id.to_owned(), 1)), "clients with how many accounts");
    Ok(())
}

async fn an_account_has_one_client(scene: Scene) -> Looked {
    let acme = scene.acme();
    acme.put_client(initech(), None).await?;
    acme.connect(unowned("c1", "z")).await?;
    let taken = refused(acme.put_client(with("other", &["z", "b"]), None).await, ErrorKind::Conflict, "an account of another client")?;
    holds!(taken.to_string().contains("initech"), "the error does not name the client that has the account: {taken}");
    same!(acme.client("other").await?, None, "the client that was refused");
    same!(acme.client_of("slack", "z").await?, None, "the client of the other account that was refused with it");
    same!(subject(&*acme, "c1").await?, None, "the subject of its connection");
    same!(acme.client_of("slack", "b").await?, Some(initech()), "the client of the account");
    acme.put_client(with("initech", &["a"]), None).await?;
    acme.put_client(with("other", &["b"]), None).await?;
    same!(there(acme.client_of("slack", "b").await?, "the new client of the account")?.id, Box::from("other"), "it once it is free");
    Ok(())
}

async fn what_is_no_client_is_refused(scene: Scene) -> Looked {
    let acme = scene.acme();
    for (what, client) in [
        ("a client without id", Client::new("", "Name", at(0))),
        ("a client without name", Client::new("id", "", at(0))),
        ("a client with one account twice", with("id", &["a", "b", "a"])),
    ] {
        refused(acme.put_client(client, None).await, ErrorKind::Config, what)?;
    }
    same!(acme.clients().await?, [], "clients");
    Ok(())
}

async fn an_account_of_a_client_is_connected_for_it(scene: Scene) -> Looked {
    let acme = scene.acme();
    acme.put_client(initech(), None).await?;
    let made = acme.connect(unowned("c1", "a")).await?;
    same!(made.subject_id.as_deref(), Some("initech"), "the subject of a connection that was given none");
    same!(acme.connection(&"c1".into()).await?, Some(made), "what is stored of it");
    same!(acme.connect(connection("c2", "b")).await?.subject_id.as_deref(), Some("client"), "the subject of one that was given one");
    same!(acme.connect(unowned("c2", "b")).await?.subject_id.as_deref(), Some("client"), "its subject when it is healed without one");
    same!(acme.connect(unowned("c3", "x")).await?.subject_id, None, "the subject of an account of nobody");
    let other = NewConnection { provider: "sheets".into(), ..unowned("c4", "a") };
    same!(acme.connect(other).await?.subject_id, None, "the subject of an equal account of another provider");
    Ok(())
}

async fn linking_a_connected_account_names_its_client(scene: Scene) -> Looked {
    let acme = scene.acme();
    acme.connect(unowned("c1", "a")).await?;
    acme.connect(connection("c2", "b")).await?;
    acme.connect(unowned("c3", "c")).await?;
    acme.put_client(initech(), None).await?;
    let named = there(acme.connection(&"c1".into()).await?, "the connection")?;
    same!((named.subject_id.as_deref(), named.updated_at), (Some("initech"), at(1)), "the subject of a connection that had none, and when");
    same!(subject(&*acme, "c2").await?.as_deref(), Some("client"), "the subject of one that had one");
    same!(subject(&*acme, "c3").await?, None, "the subject of one of another account");
    acme.put_client(with("initech", &[]), None).await?;
    same!(subject(&*acme, "c1").await?.as_deref(), Some("initech"), "the subject when the link is gone");
    Ok(())
}

async fn a_removed_client_leaves_its_connections(scene: Scene) -> Looked {
    let acme = scene.acme();
    acme.put_client(initech(), None).await?;
    acme.connect(unowned("c1", "a")).await?;
    holds!(acme.remove_client("initech").await?, "there was no client to remove");
    same!(acme.client("initech").await?, None, "the client");
    same!(acme.client_of("slack", "a").await?, None, "the client of its account");
    same!(subject(&*acme, "c1").await?.as_deref(), Some("initech"), "the subject of its connection");
    same!(acme.connect(unowned("c2", "b")).await?.subject_id, None, "the subject of an account connected after it was removed");
    holds!(!acme.remove_client("initech").await?, "it was removed twice");
    Ok(())
}

async fn clients_are_of_one_workspace(scene: Scene) -> Looked {
    let (acme, globex) = (scene.acme(), scene.globex());
    acme.put_client(initech(), None).await?;
    globex.connect(unowned("g1", "a")).await?;
    same!(subject(&*globex, "g1").await?, None, "the subject of another workspace's connection of an equal account");
    same!((globex.client("initech").await?, globex.client_of("slack", "a").await?), (None, None), "what another workspace finds");
    same!(globex.clients().await?, [], "what another workspace lists");
    holds!(!globex.remove_client("initech").await?, "another workspace removed the client");
    let theirs = with("initech", &["a"]);
    same!(globex.put_client(theirs.clone(), None).await?, theirs, "an equal client of another workspace");
    same!(acme.client("initech").await?, Some(initech()), "the client");
    holds!(globex.remove_client("initech").await?, "the other workspace cannot remove its own");
    same!(acme.client_of("slack", "a").await?, Some(initech()), "the client of its account after the other one was removed");
    Ok(())
}
