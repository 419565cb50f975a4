//! A host compiles only what it uses (H18).

use crate::{metadata, shell::Result};

/// Facade, one provider and SQLite stay below this many crates, ours included, on Linux.
const LIMIT: usize = 220;

pub(crate) fn check() -> Result {
    let count = count()?;
    println!("facade, one provider and SQLite: {count} crates (limit: fewer than {LIMIT})");
    if count < LIMIT {
        Ok(())
    } else {
        Err(format!("{count} crates; `cargo tree -p syncline --no-default-features --features sqlite,slack -e normal` shows from where"))
    }
}

fn count() -> Result<usize> {
    let chosen = ["--target", "x86_64-unknown-linux-gnu", "--no-default-features", "--features", "sqlite,slack"];
    Ok(metadata::tree("syncline", &chosen)?.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facade_with_one_provider_and_sqlite_stays_under_the_limit() {
        let count = count().expect("cargo tree works without a network");
        assert!((20..LIMIT).contains(&count), "{count} crates");
    }
}
