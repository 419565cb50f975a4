//! Who is alive: every open storage holds a lock on a small file beside the database, which the system frees when its process ends.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
};

use crate::error::{Db, Fault};

/// This storage's own lock.
#[derive(Debug)]
pub(crate) struct Owner {
    pub(crate) id: String,
    path: PathBuf,
    lock: File,
}

fn lock_path(database: &Path, id: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(format!("-syncline-{id}.lock"));
    PathBuf::from(name)
}

impl Owner {
    pub(crate) fn new(database: &Path) -> Db<Self> {
        let id = uuid::Uuid::now_v7().simple().to_string();
        let path = lock_path(database, &id);
        let refused = |e: std::io::Error| {
            Fault::Ours(
                sync_core::Error::new(sync_core::ErrorKind::Storage, "open", "the lock file beside the database cannot be made")
                    .at("database", crate::error::file_name(database))
                    .because(e),
            )
        };
        let lock = OpenOptions::new().create_new(true).write(true).open(&path).map_err(refused)?;
        lock.try_lock().map_err(|e| refused(e.into()))?;
        Ok(Self { id, path, lock })
    }

    /// Whether the storage with this id still runs. The file of one that does not is removed.
    pub(crate) fn lives(&self, database: &Path, id: &str) -> bool {
        if id == self.id {
            return true;
        }
        let path = lock_path(database, id);
        let Ok(file) = OpenOptions::new().write(true).open(&path) else {
            // No file: its owner closed it, or somebody took over before us. One we may not open is taken to be in use.
            return path.exists();
        };
        match file.try_lock() {
            Ok(()) => {
                let _ = std::fs::remove_file(&path);
                false
            }
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => true,
        }
    }
}

/// Removes the lock files of storages that ended without being closed. Only files that have been there for a while are looked at: a
/// fresh one may be between being made and being locked. To be called inside a write transaction, as [`Owner::lives`] is, so that
/// nobody takes a look's own lock for an owner's.
pub(crate) fn tidy(database: &Path) {
    const SETTLED: std::time::Duration = std::time::Duration::from_secs(60);
    let (Some(folder), Some(name)) = (database.parent(), database.file_name()) else { return };
    let prefix = format!("{}-syncline-", name.to_string_lossy());
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let age = entry.metadata().and_then(|data| data.modified()).ok().and_then(|at| at.elapsed().ok());
        if name.starts_with(&prefix)
            && name.ends_with(".lock")
            && age.is_some_and(|age| age > SETTLED)
            && let Ok(file) = OpenOptions::new().write(true).open(entry.path())
            && file.try_lock().is_ok()
        {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.lock.unlock();
        let _ = std::fs::remove_file(&self.path);
    }
}
