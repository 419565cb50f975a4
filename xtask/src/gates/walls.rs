//! Which crate may know which, and what must never come into the lower ones.

use crate::{
    metadata::{self, Package},
    shell::Result,
};

/// What is asked of a crate's dependencies inside this workspace.
struct Wall {
    /// A crate's name, or the beginning of one before `*`.
    who: &'static str,
    /// The crates of ours it may use.
    may_know: &'static [&'static str],
    /// Those it may use behind a feature only.
    behind_a_feature: &'static [&'static str],
}

const WALLS: &[Wall] = &[
    Wall { who: "sync-core", may_know: &[], behind_a_feature: &[] },
    Wall { who: "sync-http", may_know: &["sync-core"], behind_a_feature: &[] },
    Wall { who: "sync-engine", may_know: &["sync-core"], behind_a_feature: &[] },
    Wall { who: "sync-testkit", may_know: &["sync-core", "sync-http"], behind_a_feature: &[] },
    Wall { who: "sync-server", may_know: &["sync-core", "sync-engine"], behind_a_feature: &[] },
    Wall { who: "sync-cli", may_know: &["syncline"], behind_a_feature: &[] },
    Wall { who: "provider-*", may_know: &["sync-core", "sync-http"], behind_a_feature: &["sync-testkit"] },
    Wall { who: "storage-*", may_know: &["sync-core"], behind_a_feature: &[] },
    Wall {
        who: "syncline",
        may_know: &["sync-core", "sync-http", "sync-engine"],
        behind_a_feature: &["sync-testkit", "sync-server", "provider-*", "storage-*"],
    },
    Wall { who: "xtask", may_know: &[], behind_a_feature: &[] },
];

/// HTTP libraries, databases, servers and command lines: they stay out of core and engine.
const OUTSIDE: &[&str] = &[
    "axum",
    "clap",
    "curl",
    "diesel",
    "http",
    "hyper",
    "isahc",
    "libsqlite3-sys",
    "postgres",
    "reqwest",
    "rusqlite",
    "sqlx",
    "sqlx-core",
    "tokio-postgres",
    "tower",
    "ureq",
];

/// Runtimes: they stay out of core.
const RUNTIMES: &[&str] = &["async-std", "mio", "smol", "tokio"];

pub(crate) fn check() -> Result {
    let packages = metadata::packages()?;
    let names: Vec<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let mut problems: Vec<String> = packages.iter().flat_map(|package| broken(package, &names)).collect();
    problems.extend(found("sync-core", &[OUTSIDE, RUNTIMES].concat(), &metadata::tree("sync-core", &[])?));
    problems.extend(found("sync-engine", OUTSIDE, &metadata::tree("sync-engine", &[])?));
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

/// The dependencies of `package` on others of `ours` that it must not have.
fn broken(package: &Package, ours: &[&str]) -> Vec<String> {
    let Some(wall) = WALLS.iter().find(|wall| fits(wall.who, &package.name)) else {
        return vec![format!("{} is new: say in xtask/src/gates/walls.rs what it may know", package.name)];
    };
    let known = package.dependencies.iter().filter(|other| ours.contains(&other.name.as_str()) && other.name != package.name);
    let known = known.filter(|other| {
        let behind = other.optional && wall.behind_a_feature.iter().any(|pattern| fits(pattern, &other.name));
        !behind && !wall.may_know.iter().any(|pattern| fits(pattern, &other.name))
    });
    known.map(|other| format!("{} must not depend on {}", package.name, other.name)).collect()
}

fn fits(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |start| name.starts_with(start))
}

/// What of `forbidden` stands in `tree`, whose lines are `name version`.
fn found(package: &str, forbidden: &[&str], tree: &[String]) -> Vec<String> {
    let names = tree.iter().filter_map(|line| line.split(' ').next());
    let bad = names.filter(|name| forbidden.contains(name));
    bad.map(|name| format!("{package} must not need {name}; `cargo tree -p {package} -e normal -i {name}` shows why it does")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Dependency;

    fn package(name: &str, known: &[(&str, bool)]) -> Package {
        let dependencies = known.iter().map(|(name, optional)| Dependency { name: (*name).to_owned(), optional: *optional }).collect();
        Package::made_up(name, dependencies)
    }

    const OURS: &[&str] = &["sync-core", "sync-http", "sync-engine", "sync-testkit", "provider-x", "storage-y", "syncline", "newcomer"];

    #[test]
    fn a_dependency_across_a_wall_is_named() {
        for (name, known, ok) in [
            ("sync-core", &[("serde", false)][..], true),
            ("sync-core", &[("sync-http", true)], false),
            ("sync-engine", &[("sync-core", false)], true),
            ("sync-engine", &[("sync-http", false)], false),
            ("provider-x", &[("sync-core", false), ("sync-http", false), ("sync-testkit", true)], true),
            ("provider-x", &[("sync-testkit", false)], false),
            ("provider-x", &[("sync-engine", true)], false),
            ("storage-y", &[("sync-http", false)], false),
            ("syncline", &[("provider-x", true), ("storage-y", true)], true),
            ("syncline", &[("storage-y", false)], false),
            ("newcomer", &[], false),
        ] {
            let problems = broken(&package(name, known), OURS);
            assert_eq!(problems.is_empty(), ok, "{name} with {known:?}: {problems:?}");
        }
    }

    #[test]
    fn a_library_that_must_stay_out_is_found_by_its_whole_name() {
        let tree = ["http v1.5.0", "httpdate v1.0.3", "tokio v1.54.1"].map(str::to_owned);
        let problems = found("sync-core", &["http", "tokio"], &tree);
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(found("sync-engine", &["hyper"], &tree).is_empty());
    }
}
