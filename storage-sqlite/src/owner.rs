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

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.lock.unlock();
        let _ = std::fs::remove_file(&self.path);
    }
}
