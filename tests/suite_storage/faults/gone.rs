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
        fails: &["a_grant_that_is_gone_is_told_with_its_note"],
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
