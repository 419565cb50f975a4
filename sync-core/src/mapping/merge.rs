//! Three-way merge of one field that both sides may change.

use serde::{Deserialize, Serialize};

use super::Cell;

/// Whose word counts for a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// The application's: whatever the service has is replaced.
    Local,
    /// The service's: whatever the application has is replaced.
    Remote,
    /// Both may change it; changes on both sides are a conflict.
    #[default]
    Shared,
}

/// What becomes of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Merge {
    /// Nothing is written on either side.
    Unchanged,
    /// The application's value goes to the service.
    TakeLocal,
    /// The service's value goes to the application.
    TakeRemote,
    /// Both changed it, to different values: somebody has to choose, and nothing is written until then.
    Conflict,
}

/// Merges one field. `base` is what both sides last agreed on, [`Absent`](Cell::Absent) when they never did.
///
/// A side on which the field is absent says nothing about it: its value is never taken and it never makes a conflict. Null and `""` are
/// values like any other. For an owned field the owner's word counts whoever changed what; `base` then has no say. What one
/// merge wrote to both sides is [`Unchanged`](Merge::Unchanged) for the next, so that nothing echoes.
#[must_use]
pub fn merge(base: Cell<'_>, local: Cell<'_>, remote: Cell<'_>, owner: Owner) -> Merge {
    if local == remote {
        return Merge::Unchanged;
    }
    let ours = local != Cell::Absent;
    let theirs = remote != Cell::Absent;
    match owner {
        Owner::Local if ours => Merge::TakeLocal,
        Owner::Remote if theirs => Merge::TakeRemote,
        Owner::Local | Owner::Remote => Merge::Unchanged,
        Owner::Shared => match (ours && local != base, theirs && remote != base) {
            (false, false) => Merge::Unchanged,
            (true, false) => Merge::TakeLocal,
            (false, true) => Merge::TakeRemote,
            (true, true) => Merge::Conflict,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CELLS: [Cell<'static>; 6] = [Cell::Absent, Cell::Null, Cell::Empty, Cell::Value("\"a\""), Cell::Value("\"b\""), Cell::Value("1")];
    const OWNERS: [Owner; 3] = [Owner::Local, Owner::Remote, Owner::Shared];

    fn every_state(mut check: impl FnMut(Cell<'static>, Cell<'static>, Cell<'static>, Owner)) {
        for base in CELLS {
            for local in CELLS {
                for remote in CELLS {
                    for owner in OWNERS {
                        check(base, local, remote, owner);
                    }
                }
            }
        }
    }

    #[test]
    fn shared_fields_follow_the_table() {
        let (a, b, c, none) = (Cell::Value("1"), Cell::Value("2"), Cell::Value("3"), Cell::Absent);
        for (base, local, remote, expected) in [
            (a, a, a, Merge::Unchanged),
            (a, b, a, Merge::TakeLocal),
            (a, a, b, Merge::TakeRemote),
            (a, b, b, Merge::Unchanged),
            (a, b, c, Merge::Conflict),
            (a, Cell::Null, a, Merge::TakeLocal),
            (a, Cell::Null, b, Merge::Conflict),
            (a, Cell::Empty, Cell::Null, Merge::Conflict),
            (a, none, a, Merge::Unchanged),
            (a, none, b, Merge::TakeRemote),
            (a, b, none, Merge::TakeLocal),
            (none, a, none, Merge::TakeLocal),
            (none, none, a, Merge::TakeRemote),
            (none, a, a, Merge::Unchanged),
            (none, a, b, Merge::Conflict),
        ] {
            assert_eq!(merge(base, local, remote, Owner::Shared), expected, "{base:?} {local:?} {remote:?}");
        }
    }

    #[test]
    fn conflict_needs_two_real_and_different_changes_of_a_shared_field() {
        every_state(|base, local, remote, owner| {
            let both_changed = local != base && remote != base && local != remote && local != Cell::Absent && remote != Cell::Absent;
            assert_eq!(
                merge(base, local, remote, owner) == Merge::Conflict,
                both_changed && owner == Owner::Shared,
                "{base:?} {local:?} {remote:?} {owner:?}"
            );
        });
    }

    #[test]
    fn absent_side_is_never_taken() {
        every_state(|base, local, remote, owner| match merge(base, local, remote, owner) {
            Merge::TakeLocal => assert_ne!(local, Cell::Absent),
            Merge::TakeRemote => assert_ne!(remote, Cell::Absent),
            Merge::Unchanged | Merge::Conflict => {}
        });
    }

    #[test]
    fn an_owner_is_never_overruled() {
        every_state(|base, local, remote, owner| {
            let lost = match owner {
                Owner::Local => Merge::TakeRemote,
                Owner::Remote => Merge::TakeLocal,
                Owner::Shared => return,
            };
            assert_ne!(merge(base, local, remote, owner), lost, "{base:?} {local:?} {remote:?} {owner:?}");
        });
    }

    #[test]
    fn sides_are_treated_alike() {
        every_state(|base, local, remote, owner| {
            let swapped_owner = match owner {
                Owner::Local => Owner::Remote,
                Owner::Remote => Owner::Local,
                Owner::Shared => Owner::Shared,
            };
            let expected = match merge(base, remote, local, swapped_owner) {
                Merge::TakeLocal => Merge::TakeRemote,
                Merge::TakeRemote => Merge::TakeLocal,
                same => same,
            };
            assert_eq!(merge(base, local, remote, owner), expected);
        });
    }

    #[test]
    fn own_writes_never_echo() {
        every_state(|base, local, remote, owner| {
            let agreed = match merge(base, local, remote, owner) {
                Merge::TakeLocal => local,
                Merge::TakeRemote => remote,
                Merge::Unchanged | Merge::Conflict => return,
            };
            // Also when the write was remembered on both sides and the agreement was not.
            for base in CELLS {
                assert_eq!(merge(base, agreed, agreed, owner), Merge::Unchanged);
            }
        });
    }
}
