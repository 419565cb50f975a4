//! What the library says in its own terms, in those of the command line.

/// Calls of the library, and the flags that make them.
const CALLS: &[(&str, &str)] = &[
    ("needs to be confirmed (confirm_deletes)", "needs to be confirmed with --confirm-deletes"),
    ("give it one (PushRecord::new), or name the key columns (Push::key)", "name its key columns with --key COLUMN"),
    ("name one with the pull or in the setting `keys`", "name one with --key COLUMN, or with --set keys=[\"COLUMN\"] when connecting"),
    ("confirm_deletes", "--confirm-deletes"),
    ("accept_shape()", "--accept-shape"),
    ("accept_shape", "--accept-shape"),
    ("Push::key", "--key"),
    ("Pull::key", "--key"),
    ("retry_push", "`syncline retry`"),
];

/// `text` with flags in the place of calls.
pub(crate) fn spoken(text: &str) -> String {
    CALLS.iter().fold(text.to_owned(), |text, (call, flag)| if text.contains(call) { text.replace(call, flag) } else { text })
}

/// What to do about an error that names a flag; the library's own advice for all others.
pub(crate) fn hint<'h>(text: &str, hint: &'h str) -> &'h str {
    if text.contains("confirm_deletes") || text.contains("--confirm-deletes") {
        "look whether they are really gone at the source; if so, run this again with --confirm-deletes"
    } else if text.contains("accept_shape") || text.contains("--accept-shape") {
        "look whether the new fields are meant; if so, run this again with --accept-shape"
    } else if text.starts_with("there is no run ") {
        "`syncline runs` lists those there are"
    } else if text.starts_with("there is no plan ") {
        "`syncline plans` lists those there are"
    } else if text.starts_with("there is no conflict ") {
        "`syncline conflicts` lists those there are"
    } else if text.ends_with("make a new plan") {
        "make a new plan: `syncline plan --help`, of a push `syncline push --help`"
    } else {
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_the_library_become_flags() {
        for (text, expected) in [
            (
                "deleting the other 2 needs to be confirmed (confirm_deletes)",
                "deleting the other 2 needs to be confirmed with --confirm-deletes",
            ),
            (
                "the record has no key; give it one (PushRecord::new), or name the key columns (Push::key)",
                "the record has no key; name its key columns with --key COLUMN",
            ),
            ("nothing of ours", "nothing of ours"),
        ] {
            assert_eq!(spoken(text), expected);
        }
        assert!(hint("needs to be confirmed with --confirm-deletes", "other").contains("--confirm-deletes"));
        assert!(hint("it was applied already, by ada; make a new plan", "other").contains("syncline plan"));
        assert!(hint("there is no run 999 in this workspace", "other").contains("syncline runs"));
        assert_eq!(hint("something else", "other"), "other");
    }
}
