//! A folder to work in, and a simulated spreadsheet to point the command at.

use std::path::PathBuf;

use assert_cmd::Command;
use serde_json::Value;
use syncline::{
    providers::sheets::simulator::SheetsSim,
    testkit::{Served, Simulation},
};
use tempfile::TempDir;

/// A token no text may hold.
pub(crate) const TOKEN: &str = "ya29.canary-4f1d2b7c9e";

/// The command's world.
pub(crate) struct House {
    dir: TempDir,
    pub(crate) google: Simulation<SheetsSim>,
    served: Served,
}

impl House {
    /// A spreadsheet with the tab Staff (three people) behind a socket, and an empty folder.
    pub(crate) async fn new() -> Self {
        let sim = SheetsSim::new("1AbC", "Staff list");
        sim.expect_token(TOKEN);
        sim.set_reads_per_minute(100_000);
        sim.set_writes_per_minute(100_000);
        sim.load(
            "Staff",
            &[vec!["id", "name", "hired"], vec!["1", "Ada", "1842-10-18"], vec!["2", "Grace", "1943-12-01"], vec!["3", "Edsger", "soon"]],
        );
        let google = Simulation::new(sim);
        let served = google.serve().await.expect("a loopback socket");
        Self { dir: tempfile::tempdir().expect("a folder"), google, served }
    }

    /// The address of the simulated spreadsheet.
    pub(crate) fn url(&self) -> &str {
        &self.served.url
    }

    /// A file of the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file of the folder.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("written");
    }

    /// The command, pointed at the simulated spreadsheet, with the right token in `SYNCLINE_TOKEN`.
    pub(crate) fn syncline(&self, args: &[&str]) -> Command {
        let mut command = self.bare(args);
        command.env("SYNCLINE_SHEETS_BASE_URL", self.url()).env("SYNCLINE_TOKEN", TOKEN);
        command
    }

    /// The command in the folder, without any of our variables.
    pub(crate) fn bare(&self, args: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("syncline"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SYNCLINE_") || name == "RUST_LOG") {
            command.env_remove(name);
        }
        command.current_dir(self.dir.path()).args(args).timeout(std::time::Duration::from_secs(120));
        command
    }

    /// The same, to be spoken to while it runs.
    pub(crate) fn plain(&self, args: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin!("syncline"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SYNCLINE_") || name == "RUST_LOG") {
            command.env_remove(name);
        }
        command.current_dir(self.dir.path()).args(args);
        command
    }

    /// Connects the spreadsheet.
    pub(crate) fn connect(&self) {
        self.syncline(&["connect", "sheets", "--set", "spreadsheet_id=1AbC"]).assert().success();
    }
}

/// What a command said.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// stdout as the one JSON document it has to be.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|problem| panic!("{problem} in {:?}; stderr {:?}", self.out, self.err))
    }
}

/// Runs a command to its end.
pub(crate) fn said(mut command: Command) -> Said {
    let output = command.output().expect("the command starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Said { code: output.status.code().expect("it ended by itself"), out: text(output.stdout), err: text(output.stderr) }
}
