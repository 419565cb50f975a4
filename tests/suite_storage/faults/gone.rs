//! Access that is gone, and what brings it back.

use crate::{faults::Fault, harm::Harm};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "lets a patch lead out of disconnected",
        harm: Harm::LeavesDisconnected,
        fails: &["only_connecting_ends_a_disconnection"],
    },
    Fault {
        name: "tells nobody that a grant is gone",
        harm: Harm::TellsNobodyItIsGone,
        fails: &["a_grant_that_is_gone_is_told_with_its_note", "clearing_errors_forgets_the_attempts_that_failed"],
    },
    Fault {
        name: "tells of a paused connection that its grant is gone as of an active one",
        harm: Harm::TellsWhateverTheStatus,
        fails: &["a_grant_that_is_gone_is_told_with_its_note"],
    },
    Fault {
        name: "tells that a grant is gone over another version",
        harm: Harm::TellsWhateverTheVersion,
        fails: &["a_grant_that_is_gone_is_told_with_its_note"],
    },
    Fault {
        name: "forgets of what kind an error was",
        harm: Harm::Connection(|c| c.error_kind = None),
        fails: &[
            "three_counted_failures_are_an_error",
            "a_grant_that_is_gone_is_told_with_its_note",
            "clearing_errors_forgets_the_attempts_that_failed",
        ],
    },
    Fault {
        name: "forgets how many attempts failed",
        harm: Harm::Noting(|renewal| renewal.failures = 0),
        fails: &[
            "connecting_without_credentials_keeps_those_there_are",
            "a_renewal_is_noted_over_its_own_version",
            "new_credentials_end_a_renewal",
            "clearing_errors_forgets_the_attempts_that_failed",
        ],
    },
    Fault {
        name: "clears the errors of runs alone",
        harm: Harm::Patch(|patch| patch.clear_errors = false),
        fails: &["a_patch_changes_what_it_names", "clearing_errors_forgets_the_attempts_that_failed"],
    },
    Fault {
        name: "keeps the error of a grant that has come back",
        harm: Harm::KeepsErrors,
        fails: &["new_credentials_end_what_was_wrong_with_the_old"],
    },
    Fault {
        name: "takes new credentials for the end of any trouble",
        harm: Harm::HealsAnything,
        fails: &["the_same_credentials_once_more_change_nothing", "new_credentials_end_what_was_wrong_with_the_old"],
    },
];
