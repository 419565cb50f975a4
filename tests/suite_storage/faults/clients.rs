//! Clients, seen by the checks that need storages to keep them.

use syncline::core::{ErrorKind, store::Client};

use crate::{faults::Fault, harm::Harm};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "forgets the web site",
        harm: Harm::PutClient(|client| client.website = None),
        fails: &["a_client_is_as_it_was_put", "an_account_has_one_client", "clients_are_of_one_workspace"],
    },
    Fault {
        name: "sorts the accounts",
        harm: Harm::FoundClient(|client| client.accounts.sort_by(|a, b| a.account_id.cmp(&b.account_id))),
        fails: &["a_client_is_as_it_was_put", "putting_a_client_again_replaces_it_whole", "clients_are_of_one_workspace"],
    },
    Fault {
        name: "makes a client anew that it has",
        harm: Harm::FoundClient(|client| client.created_at = client.updated_at),
        fails: &["putting_a_client_again_replaces_it_whole", "accounts_are_linked_and_unlinked_one_by_one"],
    },
    Fault {
        name: "keeps the accounts a client had",
        harm: Harm::AddsAccounts,
        fails: &["putting_a_client_again_replaces_it_whole", "an_account_has_one_client"],
    },
    Fault { name: "lists the clients backwards", harm: Harm::Clients(|clients| clients.reverse()), fails: &["clients_are_listed_by_name"] },
    Fault {
        name: "lists clients without their accounts",
        harm: Harm::Clients(|clients| clients.iter_mut().for_each(|client| client.accounts.clear())),
        fails: &["clients_are_listed_by_name"],
    },
    Fault { name: "takes accounts away from other clients", harm: Harm::TakesAccounts, fails: &["an_account_has_one_client"] },
    Fault {
        name: "forgets the other accounts when one is linked",
        harm: Harm::LinksAlone,
        fails: &["accounts_are_linked_and_unlinked_one_by_one", "links_made_at_once_all_stand"],
    },
    Fault { name: "writes a half of what it refuses", harm: Harm::HalfPuts, fails: &["an_account_has_one_client"] },
    Fault {
        name: "does not say which client has an account",
        harm: Harm::Refusal(|error| syncline::core::Error::new(error.kind(), "put_client", "it is taken")),
        fails: &["an_account_has_one_client"],
    },
    Fault {
        name: "refuses what is no client as if somebody had it",
        harm: Harm::Refusal(|error| syncline::core::Error::new(ErrorKind::Conflict, "put_client", error.to_string())),
        fails: &["what_is_no_client_is_refused"],
    },
    Fault {
        name: "gives what has no name one",
        harm: Harm::PutClient(|client| {
            if client.name.is_empty() {
                client.name = "client".into();
            }
        }),
        fails: &["what_is_no_client_is_refused"],
    },
    Fault { name: "finds clients by accounts of any provider", harm: Harm::ClientsOfAnyProvider, fails: &["a_client_is_as_it_was_put"] },
    Fault {
        name: "connects accounts for nobody",
        harm: Harm::Connection(|connection| connection.subject_id = None),
        fails: &[
            "an_account_of_a_client_is_connected_for_it",
            "linking_a_connected_account_names_its_client",
            "a_removed_client_leaves_its_connections",
        ],
    },
    Fault {
        name: "connects accounts for their client whatever the subject",
        harm: Harm::Connect(|new| new.subject_id = None),
        fails: &["an_account_of_a_client_is_connected_for_it", "linking_a_connected_account_names_its_client"],
    },
    Fault {
        name: "links no account",
        harm: Harm::PutClient(|client: &mut Client| client.accounts.clear()),
        fails: &[
            "a_client_is_as_it_was_put",
            "putting_a_client_again_replaces_it_whole",
            "clients_are_listed_by_name",
            "an_account_has_one_client",
            "what_is_no_client_is_refused",
            "an_account_of_a_client_is_connected_for_it",
            "linking_a_connected_account_names_its_client",
            "a_removed_client_leaves_its_connections",
            "clients_are_of_one_workspace",
            "naming_a_client_is_a_change",
        ],
    },
    Fault { name: "removes no client", harm: Harm::RemovesNoClient, fails: &["a_removed_client_leaves_its_connections"] },
    Fault { name: "finds the clients of others", harm: Harm::Leaks("client"), fails: &["clients_are_of_one_workspace"] },
    Fault { name: "lists the clients of others", harm: Harm::Leaks("clients"), fails: &["clients_are_of_one_workspace"] },
    Fault { name: "finds the clients of others by accounts", harm: Harm::Leaks("client_of"), fails: &["clients_are_of_one_workspace"] },
    Fault { name: "writes over clients of others", harm: Harm::Leaks("put_client"), fails: &["clients_are_of_one_workspace"] },
    Fault { name: "removes the clients of others", harm: Harm::Leaks("remove_client"), fails: &["clients_are_of_one_workspace"] },
];
