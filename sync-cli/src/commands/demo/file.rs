//! The demo's database: made anew, and only a demo's own is ever replaced.

use std::{
    fs,
    path::{Path, PathBuf},
};

use syncline::Keyring;

use crate::{
    config::beside,
    exit::{Done, Failure},
    keys,
};

/// The id of a demo's key, by which `--force` knows a demo's database.
pub(super) const KEY: &str = "demo";

/// Makes way for the database and writes its key.
pub(super) fn prepare(database: &Path, force: bool) -> Done<Keyring> {
    let keys_file = beside(database, ".keys");
    if database.exists() {
        if !force {
            return Err(Failure::usage(
                format!("{} exists already", database.display()),
                "demo",
                "add --force to replace the database of an earlier demo, or name another file with --database",
            ));
        }
        let of_a_demo = fs::read_to_string(&keys_file).is_ok_and(|text| text.starts_with(&format!("{KEY}:")));
        if !of_a_demo {
            return Err(Failure::usage(
                format!("{} was not made by a demo, so --force does not replace it", database.display()),
                "demo",
                "name another file with --database",
            ));
        }
    }
    let leftovers =
        if force { vec![database.to_owned(), beside(database, "-wal"), beside(database, "-shm"), keys_file.clone()] } else { vec![] };
    remove(leftovers)?;
    let text = Keyring::generate(KEY);
    keys::write(&keys_file, &text)?;
    Ok(Keyring::parse(&text)?)
}

fn remove(files: Vec<PathBuf>) -> Done<()> {
    for file in files {
        match fs::remove_file(&file) {
            Err(problem) if problem.kind() != std::io::ErrorKind::NotFound => {
                let text = format!("{} cannot be removed: {problem}", file.display());
                return Err(Failure::failed(text, "demo", "remove it, or name another file with --database"));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_database_of_a_demo_is_replaced() {
        let dir = tempfile::tempdir().expect("a directory");
        let database = dir.path().join("demo.db");
        prepare(&database, false).expect("nothing is there");
        fs::write(&database, "a demo's").expect("written");
        assert!(prepare(&database, false).is_err());
        prepare(&database, true).expect("a demo's own");
        assert!(!database.exists() && beside(&database, ".keys").exists());

        let precious = dir.path().join("app.db");
        fs::write(&precious, "a host's").expect("written");
        for keys in [None, Some("2026-11-01:AAAA")] {
            keys.into_iter().for_each(|text| fs::write(beside(&precious, ".keys"), text).expect("written"));
            assert!(prepare(&precious, true).is_err());
            assert_eq!(fs::read_to_string(&precious).expect("still there"), "a host's");
        }
    }
}
