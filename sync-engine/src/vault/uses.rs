//! How often a key seals, over all processes and restarts. Random 96-bit nonces repeat with a chance of 2^-32 after 2^32 messages under one
//! key (NIST SP 800-38D, section 8.3), so a key is refused then; long before that a warning is logged.
//!
//! Uses are counted in the database before they happen, in steps: 16 at first, each next one twice as long, up to 65 536. A process
//! that ends leaves the rest of its last step behind, so a key never seals more than was counted, and what is counted is at most about twice
//! what was sealed and 16 for each process: one that is started every minute and seals once is 32 years from the warning.

use secrecy::SecretString;
use sync_core::{Error, ErrorKind, Result, store::FleetStore};

use super::{Keyring, Place};

/// Uses of a key before a warning is logged.
const WARN_AT: u64 = 1 << 28;
/// Uses of a key before it is refused.
const REFUSE_AT: u64 = 1 << 32;
/// The first step of a process.
const FIRST: u64 = 16;
/// The longest step.
const LONGEST: u64 = 1 << 16;

/// How far a process has used a key.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Uses {
    /// Counted in the database, and not handed out yet.
    left: u64,
    /// The last step.
    step: u64,
    /// Counted by this process in all.
    ours: u64,
}

/// Leave to seal so many times with the active key.
#[derive(Debug)]
pub(crate) struct Seals {
    keyring: Keyring,
    left: u64,
}

impl Seals {
    /// Seals a secret for one place.
    pub(crate) fn seal(&mut self, place: Place<'_>, secret: &SecretString) -> Result<Vec<u8>> {
        let spent = || Error::new(ErrorKind::Internal, "seal", "more was sealed than was counted before");
        self.left = self.left.checked_sub(1).ok_or_else(spent)?;
        self.keyring.seal(place, secret)
    }
}

impl Keyring {
    /// Counts `seals` uses of the active key. To be called before anything is done that must not be lost for want of a seal.
    pub(crate) async fn reserve(&self, fleet: &dyn FleetStore, seals: u64) -> Result<Seals> {
        let granted = || Seals { keyring: self.clone(), left: seals };
        let (id, step) = {
            let (id, mut uses) = self.uses()?;
            if let Some(left) = uses.left.checked_sub(seals) {
                uses.left = left;
                return Ok(granted());
            }
            uses.step = (uses.step * 2).clamp(FIRST, LONGEST);
            (id, uses.step.max(seals))
        };
        let counted = fleet.use_key(id, step).await?;
        let (_, mut uses) = self.uses()?;
        let first = uses.ours == 0;
        uses.ours += step;
        let counted = counted.max(uses.ours);
        if counted > REFUSE_AT {
            let text = format!("key {id:?} has sealed 2^32 values; put a new key in front of it and rotate");
            return Err(Error::new(ErrorKind::Key, "seal", text));
        }
        if counted >= WARN_AT && (first || counted - step < WARN_AT) {
            tracing::warn!(key = id, uses = counted, "this key has sealed 2^28 values; plan its rotation");
        }
        uses.left += step - seals;
        Ok(granted())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    };

    use async_trait::async_trait;
    use sync_core::WorkspaceId;

    use super::*;
    use crate::vault::Field;

    /// A database that counts.
    #[derive(Debug, Default)]
    struct Counter {
        uses: AtomicU64,
        asked: AtomicU64,
    }

    #[async_trait]
    impl FleetStore for Counter {
        async fn reap(&self) -> Result<u64> {
            Ok(0)
        }

        async fn use_key(&self, _: &str, uses: u64) -> Result<u64> {
            self.asked.fetch_add(1, SeqCst);
            Ok(self.uses.fetch_add(uses, SeqCst) + uses)
        }
    }

    /// What a new process with the same key has.
    fn process(text: &str) -> Keyring {
        Keyring::parse(text).expect("well formed")
    }

    fn seal(seals: &mut Seals) -> Result<Vec<u8>> {
        let workspace = WorkspaceId::from("acme");
        seals.seal(Place { workspace: &workspace, owner: "c1", field: Field::Access }, &"secret".into())
    }

    #[tokio::test]
    async fn no_seal_is_made_that_was_not_counted_and_steps_keep_the_counting_cheap() {
        let (text, database) = (Keyring::generate("k"), Counter::default());
        let mut sealed = 0;
        for _ in 0..20 {
            let keyring = process(&text);
            for _ in 0..1_000 {
                keyring.reserve(&database, 1).await.expect("granted");
                sealed += 1;
                assert!(database.uses.load(SeqCst) >= sealed);
            }
        }
        assert!(database.uses.load(SeqCst) < 20 * (2 * 1_000 + 16), "{}", database.uses.load(SeqCst));
        assert_eq!(database.asked.load(SeqCst), 20 * 6, "16 + 32 + … + 512 are 1008");
        let long = process(&text);
        for _ in 0..1_000_000 {
            long.reserve(&database, 1).await.expect("granted");
        }
        assert!(database.asked.load(SeqCst) - 120 < 13 + 1_000_000 / LONGEST, "{}", database.asked.load(SeqCst));
    }

    #[tokio::test]
    async fn callers_at_once_are_each_granted_what_they_asked_for() {
        let (keyring, database) = (process(&Keyring::generate("k")), Arc::new(Counter::default()));
        let callers: Vec<_> = (0..64)
            .map(|_| {
                let (keyring, database) = (keyring.clone(), Arc::clone(&database));
                tokio::spawn(async move {
                    let mut seals = keyring.reserve(&*database, 3).await.expect("granted");
                    for _ in 0..3 {
                        seal(&mut seals).expect("sealed");
                    }
                    assert_eq!(seal(&mut seals).expect_err("a fourth").kind(), ErrorKind::Internal);
                })
            })
            .collect();
        for caller in callers {
            caller.await.expect("no panic");
        }
        assert!(database.uses.load(SeqCst) >= 64 * 3);
    }

    #[tokio::test]
    async fn a_key_that_was_used_up_by_others_is_refused_after_a_restart_too() {
        let (text, database) = (Keyring::generate("k"), Counter::default());
        database.uses.store(REFUSE_AT - FIRST, SeqCst);
        let last = process(&text);
        last.reserve(&database, FIRST).await.expect("these are the last");
        for keyring in [last, process(&text)] {
            let error = keyring.reserve(&database, 1).await.expect_err("used up");
            assert!(error.kind() == ErrorKind::Key && error.text().contains("new key"), "{error}");
        }
    }

    #[tokio::test]
    async fn more_than_a_step_is_granted_at_once() {
        let (keyring, database) = (process(&Keyring::generate("k")), Counter::default());
        keyring.reserve(&database, 200).await.expect("granted");
        assert_eq!(database.uses.load(SeqCst), 200);
        assert_eq!(Keyring::none().reserve(&database, 1).await.expect_err("no keys").kind(), ErrorKind::Key);
    }
}
