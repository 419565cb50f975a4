//! Grants, authorizations, clients and leases.

use syncline::core::store::ConnectionStatus;

use crate::{faults::Fault, harm::Harm};

pub(super) const FAULTS: &[Fault] = &[
    Fault { name: "finds accounts of any provider", harm: Harm::AccountsOfAnyProvider, fails: &["an_account_is_found"] },
    Fault {
        name: "leaves out the credentials a connection comes with",
        harm: Harm::Connect(|new| new.credentials = None),
        fails: &[
            "credentials_come_with_the_connection",
            "new_credentials_heal_under_the_kept_id",
            "connecting_without_credentials_keeps_those_there_are",
            "credentials_sealed_for_another_id_are_refused",
            "a_renewal_is_noted_over_its_own_version",
            "new_credentials_end_a_renewal",
            "scopes_stay_when_the_service_does_not_tell",
            "the_same_credentials_once_more_change_nothing",
            "tokens_near_their_end_are_listed",
            "tokens_near_their_end_are_listed_in_pages",
            "a_retired_key_seals_nothing",
            "sealing_and_retiring_take_turns",
            "credentials_made_of_others_need_those",
            "a_disconnected_connection_has_no_credentials",
            "connecting_again_ends_a_disconnection",
            "secrets_that_were_taken_away_are_nowhere",
            "a_grant_that_is_gone_is_told_with_its_note",
            "clearing_errors_forgets_the_attempts_that_failed",
            "new_credentials_end_what_was_wrong_with_the_old",
        ],
    },
    Fault {
        name: "drops the credentials when connecting without any",
        harm: Harm::DropsCredentials,
        fails: &[
            "connecting_again_heals",
            "what_was_paused_is_healed_and_stays_paused",
            "connecting_without_credentials_keeps_those_there_are",
        ],
    },
    Fault {
        name: "takes credentials that were sealed for another id",
        harm: Harm::TakesForeignSeals,
        fails: &["credentials_sealed_for_another_id_are_refused"],
    },
    Fault {
        name: "heals a connection whose credentials it refuses",
        harm: Harm::HealsWhatItRefuses,
        fails: &["credentials_sealed_for_another_id_are_refused"],
    },
    Fault {
        name: "forgets what kind of grant there is",
        harm: Harm::Connection(|c| c.grant = None),
        fails: &["credentials_come_with_the_connection", "scopes_stay_when_the_service_does_not_tell"],
    },
    Fault {
        name: "forgets which client tokens were given to",
        harm: Harm::Sealing(|sealed| sealed.client_id = None),
        fails: &[
            "scopes_stay_when_the_service_does_not_tell",
            "the_same_credentials_once_more_change_nothing",
            "a_retired_key_seals_nothing",
        ],
    },
    Fault {
        name: "takes the scopes away when the service does not tell",
        harm: Harm::Sealing(|sealed| sealed.scopes = Some(sealed.scopes.take().unwrap_or_default())),
        fails: &["scopes_stay_when_the_service_does_not_tell"],
    },
    Fault {
        name: "keeps the scopes of a grant that is gone",
        harm: Harm::KeepsScopes,
        fails: &["scopes_stay_when_the_service_does_not_tell"],
    },
    Fault {
        name: "tells who asks again that others were faster",
        harm: Harm::RefusesRepeats,
        fails: &["the_same_credentials_once_more_change_nothing"],
    },
    Fault {
        name: "says that a key is retired and goes on with it",
        harm: Harm::RetiresInWords,
        fails: &["a_retired_key_seals_nothing", "sealing_and_retiring_take_turns"],
    },
    Fault {
        name: "does not look what credentials were made of",
        harm: Harm::Connect(|new| new.over = None),
        fails: &["credentials_made_of_others_need_those"],
    },
    Fault { name: "counts each use of a key as the first", harm: Harm::ForgetsUses, fails: &["uses_of_a_key_add_up"] },
    Fault {
        name: "lists tokens that end last at first",
        harm: Harm::Due(|due| due.reverse()),
        fails: &["tokens_near_their_end_are_listed", "tokens_near_their_end_are_listed_in_pages"],
    },
    Fault {
        name: "lists tokens that live longer than asked for",
        harm: Harm::DueTimes(|_, before| *before += chrono::Duration::minutes(1)),
        fails: &["tokens_near_their_end_are_listed"],
    },
    Fault {
        name: "lists tokens that nobody is to renew yet",
        harm: Harm::DueTimes(|now, _| *now += chrono::Duration::minutes(1)),
        fails: &["tokens_near_their_end_are_listed"],
    },
    Fault { name: "lists tokens of paused connections", harm: Harm::RenewsPausedOnes, fails: &["tokens_near_their_end_are_listed"] },
    Fault {
        name: "gives the first page of tokens again and again",
        harm: Harm::PagesFromTheBeginning,
        fails: &["tokens_near_their_end_are_listed_in_pages"],
    },
    Fault {
        name: "forgets that a renewal is under way",
        harm: Harm::Noting(|renewal| renewal.underway_since = None),
        fails: &[
            "connecting_without_credentials_keeps_those_there_are",
            "a_renewal_is_noted_over_its_own_version",
            "new_credentials_end_a_renewal",
            "clearing_errors_forgets_the_attempts_that_failed",
        ],
    },
    Fault {
        name: "notes a renewal whatever the version",
        harm: Harm::NotesBlindly,
        fails: &[
            "a_renewal_is_noted_over_its_own_version",
            "a_disconnected_connection_has_no_credentials",
            "a_grant_that_is_gone_is_told_with_its_note",
        ],
    },
    Fault {
        name: "keeps a failed renewal with new credentials",
        harm: Harm::KeepsRenewals,
        fails: &[
            "new_credentials_end_a_renewal",
            "the_same_credentials_once_more_change_nothing",
            "new_credentials_end_what_was_wrong_with_the_old",
        ],
    },
    Fault {
        name: "disconnects and keeps the credentials",
        harm: Harm::DisconnectsSoftly,
        fails: &[
            "a_disconnected_connection_has_no_credentials",
            "secrets_that_were_taken_away_are_nowhere",
            "a_grant_that_is_gone_is_told_with_its_note",
            "new_credentials_end_what_was_wrong_with_the_old",
        ],
    },
    Fault {
        name: "keeps the version when disconnecting",
        harm: Harm::Connection(|c| {
            if c.status == ConnectionStatus::Disconnected {
                c.token_version = c.token_version.saturating_sub(1)
            }
        }),
        fails: &["a_disconnected_connection_has_no_credentials", "connecting_again_ends_a_disconnection"],
    },
    Fault { name: "leaves disconnected what was", harm: Harm::StaysDisconnected, fails: &["connecting_again_ends_a_disconnection"] },
    Fault {
        name: "writes credentials into the activity log",
        harm: Harm::LogsSecrets,
        fails: &["secrets_that_were_taken_away_are_nowhere"],
    },
    Fault {
        name: "forgets what the connection is to be like",
        harm: Harm::Authorization(|pending| pending.request = serde_json::json!({})),
        fails: &[
            "an_authorization_is_kept_as_it_was_begun",
            "a_nonce_is_known_once",
            "authorizations_clients_and_leases_are_of_one_workspace",
        ],
    },
    Fault {
        name: "forgets which client a browser was sent away with",
        harm: Harm::Authorization(|pending| pending.client_id = None),
        fails: &[
            "an_authorization_is_kept_as_it_was_begun",
            "a_nonce_is_known_once",
            "authorizations_clients_and_leases_are_of_one_workspace",
        ],
    },
    Fault { name: "writes over a nonce that is known", harm: Harm::OverwritesNonces, fails: &["a_nonce_is_known_once"] },
    Fault {
        name: "hands an authorization out again",
        harm: Harm::HandsOutAgain,
        fails: &["an_authorization_is_kept_as_it_was_begun", "an_authorization_is_taken_once"],
    },
    Fault { name: "forgets no authorization", harm: Harm::ForgetsNoAuthorization, fails: &["authorizations_long_past_are_forgotten"] },
    Fault {
        name: "forgets the secret of a client",
        harm: Harm::Client(|client| client.secret = None),
        fails: &["a_client_takes_the_place_of_the_one_before", "authorizations_clients_and_leases_are_of_one_workspace"],
    },
    Fault {
        name: "keeps the first client there was",
        harm: Harm::KeepsFirstClient,
        fails: &["a_client_takes_the_place_of_the_one_before"],
    },
    Fault {
        name: "gives a lease to anybody",
        harm: Harm::LeasesToAnybody,
        fails: &[
            "a_lease_is_held_by_one",
            "a_lease_ends_by_itself",
            "a_holder_prolongs_its_lease",
            "a_lease_is_given_back_by_its_holder_alone",
            "a_race_gives_one_lease",
            "authorizations_clients_and_leases_are_of_one_workspace",
        ],
    },
    Fault { name: "gives leases for ever", harm: Harm::LeasesForEver, fails: &["a_lease_ends_by_itself", "a_holder_prolongs_its_lease"] },
    Fault { name: "prolongs no lease", harm: Harm::ProlongsNothing, fails: &["a_holder_prolongs_its_lease"] },
    Fault { name: "lets anybody give a lease back", harm: Harm::ReleasesForAnybody, fails: &["a_lease_is_given_back_by_its_holder_alone"] },
    Fault { name: "takes no lease back", harm: Harm::ReleasesNothing, fails: &["a_lease_is_given_back_by_its_holder_alone"] },
];
