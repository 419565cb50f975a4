//! Changing keys while everything goes on: values are sealed anew one by one, each only if nobody has written it meanwhile.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sync_core::{
    Error, ErrorKind, Result,
    store::{FleetStore, SealedPlace, SealedValue, retired_key},
};

use super::{Keyring, Place, Seals, header};
use crate::{Syncline, crash::CrashPoints};

/// Values that are looked at in one go.
const AT_ONCE: u32 = 200;
/// What tells another key under the same id apart.
const CHECK: &[u8] = b"check of a key";

/// A key and what is sealed with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyUse {
    /// Its id.
    pub id: Box<str>,
    /// Whether new values are sealed with it.
    pub active: bool,
    /// How many values are.
    pub sealed: u64,
    /// How often it has sealed so far, over all processes: counted ahead in steps, so rather more than less.
    pub uses: u64,
    /// Since when it is retired.
    pub retired_at: Option<DateTime<Utc>>,
}

/// What a rotation did.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Rotated {
    /// Values that are under the active key now.
    pub resealed: u64,
    /// Values that somebody else wrote at the same moment: theirs stand.
    pub overtaken: u64,
    /// Values that could not be opened, and why; they stay as they are.
    pub failed: Vec<(SealedPlace, Error)>,
}

impl Syncline {
    /// The keys of the keyring, the active one first, with how much is sealed under each.
    ///
    /// # Errors
    /// What the database says.
    pub async fn keys(&self) -> Result<Vec<KeyUse>> {
        let (keyring, fleet) = (&self.0.shared.keyring, self.0.storage.fleet());
        let mut keys = Vec::new();
        for id in keyring.ids() {
            let known = know(keyring, &*fleet, id).await?;
            let sealed = fleet.count_sealed(&header(id)).await?;
            let uses = fleet.use_key(id, 0).await?;
            keys.push(KeyUse { id: id.into(), active: id == keyring.active_id(), sealed, uses, retired_at: known });
        }
        Ok(keys)
    }

    /// Seals every value anew that is not under the active key yet, over all workspaces, while everything goes on. One that was stopped
    /// may be called again: what is done stays done. `progress` is told the count so far now and then.
    ///
    /// # Errors
    /// What the database says. A value that cannot be opened is no error: it stands in the answer, and the rest goes on.
    pub async fn rotate_keys(&self, progress: impl FnMut(u64) + Send) -> Result<Rotated> {
        let fleet = self.0.storage.fleet();
        let rotated = rotate(&self.0.shared.keyring, &*fleet, &self.0.crash_points, progress).await?;
        tracing::info!(resealed = rotated.resealed, overtaken = rotated.overtaken, failed = rotated.failed.len(), "rotated keys");
        Ok(rotated)
    }

    /// Retires a key: from then on no process starts with it as the active one. Take it out of the keyring afterwards.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) when something is sealed with it; [`Config`](ErrorKind::Config) when it is the active one.
    pub async fn retire_key(&self, id: &str) -> Result<()> {
        let fleet = self.0.storage.fleet();
        if id == self.0.shared.keyring.active_id() {
            let text = format!(
                "key {id:?} is the active one; put another in front of it, start everything anew with that, rotate, then retire it"
            );
            return Err(Error::config("retire_key", text));
        }
        if fleet.retire_key(id, &header(id), self.0.shared.clock.now()).await? {
            return Ok(());
        }
        let sealed = fleet.count_sealed(&header(id)).await?;
        let text = match sealed {
            0 => format!(
                "key {id:?} was never seen here; keys of this keyring are: {}",
                self.0.shared.keyring.ids().collect::<Vec<_>>().join(", ")
            ),
            1 => format!("one value is still sealed with key {id:?}; rotate first"),
            sealed => format!("{sealed} values are still sealed with key {id:?}; rotate first"),
        };
        Err(Error::new(ErrorKind::Conflict, "retire_key", text))
    }
}

/// Compares the keyring with what the database knows of its keys, so that two processes with different keys under one name are found out
/// before either seals anything.
pub(crate) async fn check(keyring: &Keyring, fleet: &dyn FleetStore) -> Result<()> {
    for id in keyring.ids() {
        let retired = know(keyring, fleet, id).await?;
        if let Some(at) = retired.filter(|_| id == keyring.active_id()) {
            let text = format!("key {id:?} was retired on {}; put a newer key in front of it", at.format("%F"));
            return Err(Error::config("keyring", text));
        }
    }
    Ok(())
}

/// Refuses to go on with an active key that others have retired.
pub(crate) async fn check_active(keyring: &Keyring, fleet: &dyn FleetStore) -> Result<()> {
    let id = keyring.active_id();
    // A process without keys is told so where it seals.
    if id.is_empty() {
        return Ok(());
    }
    match know(keyring, fleet, id).await? {
        Some(_) => Err(retired_key("seal", id)),
        None => Ok(()),
    }
}

/// Since when a key is retired.
async fn know(keyring: &Keyring, fleet: &dyn FleetStore, id: &str) -> Result<Option<DateTime<Utc>>> {
    let check = keyring.derived(id, CHECK).ok_or_else(|| Error::new(ErrorKind::Internal, "keyring", "a key is not in its own keyring"))?;
    let known = fleet.know_key(id, &check[..16]).await?;
    if known.check != check[..16] {
        let text = format!(
            "key {id:?} of this keyring is another one than the key of that name which this database was used with; every process needs the \
             same keys"
        );
        return Err(Error::new(ErrorKind::Key, "keyring", text));
    }
    Ok(known.retired_at)
}

async fn rotate(
    keyring: &Keyring,
    fleet: &dyn FleetStore,
    crash_points: &CrashPoints,
    mut progress: impl FnMut(u64) + Send,
) -> Result<Rotated> {
    let mut rotated = Rotated::default();
    let active = header(keyring.active_id());
    let mut after: Option<SealedPlace> = None;
    loop {
        let page = fleet.sealed(&active, after.as_ref(), AT_ONCE).await?;
        let Some(last) = page.last() else { return Ok(rotated) };
        after = Some(last.place.clone());
        let mut seals = keyring.reserve(fleet, page.len() as u64).await?;
        for value in page {
            match anew(keyring, &mut seals, &value) {
                Ok(envelope) => {
                    crash_points.at("k1");
                    match fleet.reseal(&value, envelope).await? {
                        true => rotated.resealed += 1,
                        false => rotated.overtaken += 1,
                    }
                }
                Err(error) => rotated.failed.push((value.place, error)),
            }
        }
        progress(rotated.resealed);
    }
}

fn anew(keyring: &Keyring, seals: &mut Seals, value: &SealedValue) -> Result<Vec<u8>> {
    let SealedPlace { field, workspace, owner } = &value.place;
    let place = Place { workspace, owner, field: *field };
    seals.seal(place, &keyring.open(place, &value.envelope)?)
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use async_trait::async_trait;
    use proptest::prelude::*;
    use secrecy::ExposeSecret as _;
    use sync_core::store::{KnownKey, SealedField};

    use super::*;

    /// Sealed values and keys in memory.
    #[derive(Debug, Default)]
    struct Memory {
        values: Mutex<Vec<SealedValue>>,
        keys: Mutex<Vec<KnownKey>>,
        /// So many values are overwritten by somebody else just before they are sealed anew.
        overtakes: Mutex<Vec<SealedValue>>,
        /// Stops after so many writes.
        stops_after: Mutex<Option<u32>>,
    }

    fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[async_trait]
    impl FleetStore for Memory {
        async fn reap(&self) -> Result<u64> {
            Ok(0)
        }

        async fn sealed(&self, header: &[u8], after: Option<&SealedPlace>, limit: u32) -> Result<Vec<SealedValue>> {
            let mut values: Vec<_> = locked(&self.values)
                .iter()
                .filter(|value| !value.envelope.starts_with(header) && after.is_none_or(|after| value.place > *after))
                .cloned()
                .collect();
            values.sort_by(|one, other| one.place.cmp(&other.place));
            values.truncate(limit as usize);
            Ok(values)
        }

        async fn count_sealed(&self, header: &[u8]) -> Result<u64> {
            Ok(locked(&self.values).iter().filter(|value| value.envelope.starts_with(header)).count() as u64)
        }

        async fn reseal(&self, old: &SealedValue, envelope: Vec<u8>) -> Result<bool> {
            if let Some(left) = &mut *locked(&self.stops_after) {
                if *left == 0 {
                    return Err(Error::new(ErrorKind::Storage, "reseal", "the process was killed"));
                }
                *left -= 1;
            }
            let mut values = locked(&self.values);
            if let Some(theirs) = locked(&self.overtakes).pop() {
                values.retain(|value| value.place != theirs.place);
                values.push(theirs);
            }
            let there = values.iter_mut().find(|value| *value == old);
            Ok(there.map(|value| value.envelope = envelope).is_some())
        }

        async fn know_key(&self, id: &str, check: &[u8]) -> Result<KnownKey> {
            let mut keys = locked(&self.keys);
            if let Some(known) = keys.iter().find(|known| *known.id == *id) {
                return Ok(known.clone());
            }
            keys.push(KnownKey { id: id.into(), check: check.to_vec(), retired_at: None });
            Ok(keys[keys.len() - 1].clone())
        }
    }

    fn value(keyring: &Keyring, workspace: &str, owner: &str, field: SealedField, text: &str) -> SealedValue {
        let place = SealedPlace { field, workspace: workspace.into(), owner: owner.into() };
        let at = Place { workspace: &place.workspace, owner, field };
        let envelope = keyring.seal(at, &text.into()).expect("sealed");
        SealedValue { place, envelope }
    }

    fn opened(keyring: &Keyring, value: &SealedValue) -> String {
        let place = Place { workspace: &value.place.workspace, owner: &value.place.owner, field: value.place.field };
        keyring.open(place, &value.envelope).expect("it opens").expose_secret().to_owned()
    }

    /// A ring with the old key alone, and one with a new key in front of it.
    fn rings() -> (Keyring, Keyring, Keyring) {
        let (old, new) = (Keyring::generate("old"), Keyring::generate("new"));
        let ring = |text: &str| Keyring::parse(text).expect("well formed");
        (ring(&old), ring(&format!("{},{}", &*new, &*old)), ring(&new))
    }

    #[tokio::test]
    async fn everything_is_under_the_active_key_afterwards_and_opens_without_the_old_one() {
        let (old, both, new) = rings();
        let memory = Memory::default();
        for n in 0..450 {
            let field = SealedField::ALL[n % 4];
            locked(&memory.values).push(value(&old, &format!("w{}", n % 7), &format!("o{n}"), field, &n.to_string()));
        }
        let mut told = Vec::new();
        let rotated = rotate(&both, &memory, &CrashPoints::default(), |count| told.push(count)).await.expect("it goes through");
        assert_eq!((rotated.resealed, rotated.overtaken, rotated.failed.len()), (450, 0, 0));
        assert_eq!(told, [200, 400, 450]);
        for value in &*locked(&memory.values) {
            assert_eq!(opened(&new, value), value.place.owner[1..]);
        }
        let again = rotate(&both, &memory, &CrashPoints::default(), |_| {}).await.expect("nothing is left");
        assert_eq!(again.resealed, 0);
    }

    #[tokio::test]
    async fn a_token_that_is_renewed_at_that_moment_stays() {
        let (old, both, _) = rings();
        let memory = Memory::default();
        locked(&memory.values).push(value(&old, "w", "c1", SealedField::Access, "old token"));
        locked(&memory.overtakes).push(value(&both, "w", "c1", SealedField::Access, "new token"));
        let rotated = rotate(&both, &memory, &CrashPoints::default(), |_| {}).await.expect("it goes through");
        assert_eq!((rotated.resealed, rotated.overtaken), (0, 1));
        assert_eq!(opened(&both, &locked(&memory.values)[0]), "new token");
    }

    #[tokio::test]
    async fn what_cannot_be_opened_is_told_and_does_not_hold_up_the_rest() {
        let (old, both, _) = rings();
        let lost = Keyring::parse(&Keyring::generate("lost")).expect("well formed");
        let memory = Memory::default();
        locked(&memory.values).push(value(&lost, "w", "a", SealedField::Access, "x"));
        locked(&memory.values).push(value(&old, "w", "b", SealedField::Access, "y"));
        let rotated = rotate(&both, &memory, &CrashPoints::default(), |_| {}).await.expect("it goes through");
        assert_eq!(rotated.resealed, 1);
        assert_eq!((&*rotated.failed[0].0.owner, rotated.failed[0].1.kind()), ("a", ErrorKind::Key));
        assert!(rotated.failed[0].1.to_string().contains("\"lost\""), "{}", rotated.failed[0].1);
    }

    #[tokio::test]
    async fn another_key_under_a_known_id_is_found_out() {
        let memory = Memory::default();
        let (ours, theirs) = (Keyring::parse(&Keyring::generate("k")), Keyring::parse(&Keyring::generate("k")));
        check(&ours.expect("well formed"), &memory).await.expect("the first is believed");
        let error = check(&theirs.expect("well formed"), &memory).await.expect_err("another key");
        assert_eq!(error.kind(), ErrorKind::Key);
    }

    #[tokio::test]
    async fn no_process_starts_with_a_retired_key_in_front() {
        let (old, both, _) = rings();
        let memory = Memory::default();
        check(&both, &memory).await.expect("known");
        locked(&memory.keys).iter_mut().filter(|known| &*known.id == "old").for_each(|known| known.retired_at = Some(Utc::now()));
        check(&both, &memory).await.expect("a newer one is in front");
        assert_eq!(check(&old, &memory).await.expect_err("retired").kind(), ErrorKind::Config);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn killed_anywhere_and_begun_again_nothing_is_lost(count in 1_usize..40, stops in proptest::collection::vec(0_u32..20, 0..6)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            runtime.block_on(async {
                let (old, both, new) = rings();
                let memory = Memory::default();
                for n in 0..count {
                    locked(&memory.values).push(value(&old, "w", &format!("o{n}"), SealedField::ALL[n % 4], &n.to_string()));
                }
                for stop in stops {
                    *locked(&memory.stops_after) = Some(stop);
                    let _ = rotate(&both, &memory, &CrashPoints::default(), |_| {}).await;
                    for value in &*locked(&memory.values) {
                        assert_eq!(opened(&both, value), value.place.owner[1..], "every state in between opens with both keys");
                    }
                }
                *locked(&memory.stops_after) = None;
                rotate(&both, &memory, &CrashPoints::default(), |_| {}).await.expect("it goes through");
                for value in &*locked(&memory.values) {
                    assert_eq!(opened(&new, value), value.place.owner[1..]);
                }
            });
        }
    }
}
