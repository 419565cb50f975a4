//! What cargo knows about the packages of this workspace.

use serde_json::Value;

use crate::shell::{Result, cargo, output};

/// A package of this workspace.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// The folder it lies in.
    pub(crate) folder: std::path::PathBuf,
    /// Its features without `default`, in order.
    pub(crate) features: Vec<String>,
    /// Names of the packages it needs when it is used, whether optional or not: dependencies for tests and builds left out.
    pub(crate) dependencies: Vec<Dependency>,
    manifest: Value,
}

/// Something a package needs when it is used.
#[derive(Debug)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) optional: bool,
}

impl Package {
    fn new(manifest: Value) -> Option<Self> {
        let dependencies = manifest["dependencies"].as_array()?.iter().filter(|it| it["kind"].is_null());
        let features = manifest["features"].as_object()?.keys().filter(|name| *name != "default").cloned().collect();
        Some(Self {
            name: manifest["name"].as_str()?.to_owned(),
            folder: std::path::Path::new(manifest["manifest_path"].as_str()?).parent()?.to_owned(),
            features,
            dependencies: dependencies
                .map(|it| Some(Dependency { name: it["name"].as_str()?.to_owned(), optional: it["optional"].as_bool()? }))
                .collect::<Option<_>>()?,
            manifest,
        })
    }

    /// One that exists only for a test.
    #[cfg(test)]
    pub(crate) fn made_up(name: &str, dependencies: Vec<Dependency>) -> Self {
        Self { name: name.to_owned(), folder: std::path::PathBuf::new(), features: Vec::new(), dependencies, manifest: Value::Null }
    }

    /// Whether it goes to the registry.
    pub(crate) fn published(&self) -> bool {
        !self.manifest["publish"].as_array().is_some_and(Vec::is_empty)
    }

    /// The fields it must have and lacks.
    pub(crate) fn missing_fields(&self) -> Vec<&'static str> {
        let always = ["license", "description", "repository", "rust_version", "edition", "authors", "keywords", "categories"];
        let when_published = ["readme", "documentation"];
        let wanted = always.iter().chain(when_published.iter().filter(|_| self.published()));
        wanted.filter(|field| is_blank(&self.manifest[**field])).copied().collect()
    }
}

fn is_blank(field: &Value) -> bool {
    match field {
        Value::String(text) => text.trim().is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => true,
    }
}

fn metadata() -> Result<Value> {
    let text = output(&mut cargo(&["metadata", "--no-deps", "--format-version", "1", "--locked"]))?;
    serde_json::from_str(&text).map_err(|why| format!("cargo metadata printed no JSON: {why}"))
}

/// The folder cargo builds in.
///
/// # Errors
/// When `cargo metadata` fails.
pub(crate) fn target() -> Result<std::path::PathBuf> {
    metadata()?["target_directory"].as_str().map(Into::into).ok_or_else(|| "cargo metadata named no target folder".to_owned())
}

/// All packages of this workspace.
///
/// # Errors
/// When `cargo metadata` fails.
pub(crate) fn packages() -> Result<Vec<Package>> {
    let metadata = metadata()?;
    let packages: Option<Vec<_>> = metadata["packages"].as_array().map(|all| all.iter().cloned().filter_map(Package::new).collect());
    packages.filter(|all| !all.is_empty()).ok_or_else(|| "cargo metadata named no packages".to_owned())
}

/// The names of everything a package is compiled with when it is used, each once, itself included.
///
/// # Errors
/// When `cargo tree` fails.
pub(crate) fn tree(package: &str, more: &[&str]) -> Result<Vec<String>> {
    let mut command = cargo(&["tree", "--locked", "-e", "normal", "--prefix", "none", "--format", "{p}", "-p", package]);
    let text = output(command.args(more))?;
    // A line is `name v1.2.3 (path) (*)`; a name may come in several versions, and each is compiled.
    let mut crates: Vec<String> = text.lines().map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")).collect();
    crates.sort_unstable();
    crates.dedup();
    Ok(crates)
}
