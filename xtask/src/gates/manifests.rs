//! Each manifest says what crates.io and docs.rs need, and takes the shared lints.

use std::{fs, path::Path};

use crate::{metadata, shell::Result};

pub(crate) fn check() -> Result {
    let mut problems = Vec::new();
    for package in metadata::packages()? {
        let missing = package.missing_fields();
        if !missing.is_empty() {
            problems.push(format!("{} lacks {}", package.name, missing.join(", ")));
        }
        if package.published() && !package.folder.join("README.md").is_file() {
            problems.push(format!("{} has no README.md, which is its front page", package.name));
        }
        if !takes_lints(&package.folder)? {
            problems.push(format!("{} does not take the shared lints (`[lints]` with `workspace = true`)", package.name));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

fn takes_lints(folder: &Path) -> Result<bool> {
    let path = folder.join("Cargo.toml");
    let text = fs::read_to_string(&path).map_err(|why| format!("{}: {why}", path.display()))?;
    let mut section = text.lines().map(str::trim).skip_while(|line| *line != "[lints]").skip(1);
    Ok(section.find(|line| !line.is_empty()) == Some("workspace = true"))
}
