//! The keys credentials are sealed with: from `SYNCLINE_KEYS`, or from a file only its owner can read.

use std::{fs, io::Write as _, path::Path};

use syncline::{Clock as _, Keyring, SystemClock};

use crate::{
    config::Config,
    exit::{Done, Failure},
    output,
};

/// Holds the keys themselves, and beats every file.
pub(crate) const VARIABLE: &str = "SYNCLINE_KEYS";

/// What a command needs keys for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// To seal: they are made when there are none.
    Seal,
    /// To open what is sealed: they have to be there.
    Open,
    /// Nothing.
    None,
}

/// The keyring.
pub(crate) fn load(config: &Config, need: Need) -> Done<Keyring> {
    if std::env::var_os(VARIABLE).is_some() {
        return Ok(Keyring::from_env(VARIABLE)?);
    }
    let file = config.keys_file();
    match fs::read_to_string(&file) {
        Ok(text) => Keyring::parse(&text).map_err(|e| e.at("file", file.display().to_string()).into()),
        Err(problem) if problem.kind() == std::io::ErrorKind::NotFound => match need {
            Need::Seal => {
                let key = Keyring::generate(&new_id());
                write(&file, &key)?;
                eprintln!("made {} with a new key; keep it: without it every account has to be connected again", file.display());
                Ok(Keyring::parse(&key)?)
            }
            Need::Open => Err(Failure::usage(
                format!("the keys file {} is missing, so that the stored token cannot be opened", file.display()),
                "keys_file",
                "put it back, name another one with --keys-file, or set SYNCLINE_KEYS",
            )),
            Need::None => Ok(Keyring::none()),
        },
        Err(problem) => {
            let text = format!("the keys file {} cannot be read: {problem}", file.display());
            Err(Failure::usage(text, "keys_file", "see to its permissions, or name another one with --keys-file"))
        }
    }
}

/// Writes a new file of mode 0600; one that is there is never replaced.
pub(crate) fn write(file: &Path, keys: &str) -> Done<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(file).and_then(|mut out| {
        writeln!(out, "{keys}")?;
        out.sync_all()
    });
    written.map_err(|problem| {
        if problem.kind() == std::io::ErrorKind::AlreadyExists {
            let text = format!("{} is there already, left over from an attempt that was stopped", file.display());
            return Failure::usage(
                output::plain(&text),
                "keys",
                "remove it once the keys file is seen to be whole: a key in it was never used",
            );
        }
        let text = format!("the keys file {} cannot be written: {problem}", file.display());
        Failure::usage(output::plain(&text), "keys_file", "see to the folder's permissions, or name another file with --keys-file")
    })
}

/// Ids of new keys say when they were made, so that a person can tell them apart. Four random letters tell those of one day apart, also
/// from such as stand in this file no more: a database knows the ids of its keys for ever.
pub(crate) fn new_id() -> String {
    let letters: String = rand::random::<[u8; 4]>().iter().map(|byte| char::from(b'a' + byte % 26)).collect();
    format!("{}-{letters}", SystemClock.now().format("%Y-%m-%d"))
}
