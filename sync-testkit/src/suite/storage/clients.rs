//! Clients, and the accounts that are theirs.

use futures_util::future::join_all;
use sync_core::{
    ErrorKind,
    store::{Client, ClientAccount, ClientFacts, NewConnection, WorkspaceStore},
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
    check!(accounts_are_linked_and_unlinked_one_by_one, "Linking or unlinking an account, and changing what is known of a client, leaves all else of it alone", needs Clients),
    check!(links_made_at_once_all_stand, "Of accounts linked to a client at once, and facts changed meanwhile, none is lost", needs Clients, Owners),
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

fn of_slack(id: &str, name: Option<&str>) -> ClientAccount {
    ClientAccount { provider: "slack".into(), account_id: id.into(), name: name.map(Into::into) }
}

async fn accounts_are_linked_and_unlinked_one_by_one(scene: Scene) -> Looked {
    let acme = scene.acme();
    let facts = ClientFacts { industry: Some("software".into()), ..ClientFacts::default() };
    let (made, new) = acme.describe_client("initech", facts, at(1)).await?;
    let expected = Client { industry: Some("software".into()), ..Client::new("initech", "initech", at(1)) };
    same!((made, new), (expected.clone(), true), "the client that was made");
    acme.connect(unowned("c1", "T1")).await?;
    acme.link_account("initech", of_slack("T1", Some("One")), Some("ada"), at(2)).await?;
    let linked = acme.link_account("initech", of_slack("T2", None), None, at(3)).await?;
    let accounts = vec![of_slack("T1", Some("One")), of_slack("T2", None)];
    let expected = Client { accounts, updated_at: at(3), ..expected };
    same!(linked, expected, "the client with two accounts");
    same!(acme.account("demo", "T1").await?.and_then(|row| row.subject_id), None, "the subject of another provider's account");
    let named = acme.link_account("initech", of_slack("T2", Some("Two")), None, at(4)).await?;
    same!(named.accounts[1].name.as_deref(), Some("Two"), "the name of an account that is linked once more");
    same!(acme.link_account("initech", of_slack("T2", None), None, at(4)).await?, named, "linked once more without a name");
    let facts = ClientFacts { name: Some("Initech".into()), ..ClientFacts::default() };
    let (told, new) = acme.describe_client("initech", facts, at(5)).await?;
    same!((&told, new), (&Client { name: "Initech".into(), updated_at: at(5), ..named }, false), "the client that was there");
    acme.describe_client("initrode", ClientFacts::default(), at(5)).await?;
    refused(acme.link_account("initrode", of_slack("T1", None), None, at(6)).await, ErrorKind::Conflict, "another client's account")?;
    refused(acme.link_account("nobody", of_slack("T3", None), None, at(6)).await, ErrorKind::NotFound, "an unknown client")?;
    refused(acme.link_account("initech", of_slack("", None), None, at(6)).await, ErrorKind::Config, "an account without an id")?;
    refused(acme.unlink_account("nobody", "slack", "T1", at(6)).await, ErrorKind::NotFound, "an unknown client's account")?;
    let empty = ClientFacts { name: Some("".into()), ..ClientFacts::default() };
    refused(acme.describe_client("new", empty, at(6)).await, ErrorKind::Config, "an empty name")?;
    same!(acme.unlink_account("initrode", "slack", "T1", at(6)).await?.accounts.len(), 0, "unlinked from who has it not");
    same!(acme.client("initech").await?, Some(told.clone()), "what is stored after all that was refused");
    let left = acme.unlink_account("initech", "slack", "T1", at(7)).await?;
    same!(left, Client { accounts: vec![of_slack("T2", Some("Two"))], updated_at: at(7), ..told }, "the client after unlinking");
    same!(acme.link_account("initrode", of_slack("T1", None), None, at(8)).await?.accounts.len(), 1, "an account that is free again");
    Ok(())
}

async fn links_made_at_once_all_stand(scene: Scene) -> Looked {
    let other = scene.database.open().await?;
    scene.acme().describe_client("initech", ClientFacts::default(), at(1)).await?;
    let linking = (0..12).map(|n| {
        let store = if n % 2 == 0 { scene.acme() } else { other.workspace(&"acme".into()) };
        async move {
            if n % 4 == 3 {
                let facts = ClientFacts { industry: Some("software".into()), ..ClientFacts::default() };
                return store.describe_client("initech", facts, at(2)).await.map(drop);
            }
            store.link_account("initech", of_slack(&format!("T{n:02}"), None), None, at(2)).await.map(drop)
        }
    });
    for done in join_all(linking).await {
        done?;
    }
    let found = there(scene.acme().client("initech").await?, "the client")?;
    let mut linked: Vec<_> = found.accounts.iter().map(|account| &*account.account_id).collect();
    linked.sort_unstable();
    same!(linked, ["T00", "T01", "T02", "T04", "T05", "T06", "T08", "T09", "T10"], "the accounts");
    same!(found.industry.as_deref(), Some("software"), "what is known of it");
    Ok(())
}
