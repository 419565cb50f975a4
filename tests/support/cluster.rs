//! A PostgreSQL server of a test's own, from the programs that are installed: on a socket in a temporary folder, durable, with default
//! settings. It refuses to run as root, so that then it runs as another user.

use std::{
    fmt, fs,
    os::unix::{fs::chown, process::CommandExt as _},
    path::PathBuf,
    process::{Command, Stdio},
};

use syncline::testkit::postgres::programs;
use tempfile::TempDir;

/// A running server; it is stopped when this value is dropped.
pub(crate) struct Cluster {
    folder: TempDir,
    programs: PathBuf,
    user: Option<(u32, u32)>,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cluster({})", self.folder.path().display())
    }
}

impl Cluster {
    /// Makes a server and starts it, with these settings beside the defaults.
    pub(crate) fn start(settings: &[(&str, &str)]) -> Result<Self, String> {
        let programs = programs()?;
        let folder = tempfile::Builder::new().prefix("syncline-pg").tempdir().map_err(|e| e.to_string())?;
        let root = fs::metadata("/proc/self").map_err(|e| e.to_string())?;
        let user = match std::os::unix::fs::MetadataExt::uid(&root) {
            0 => Some(another_user().ok_or("no user but root is there to run a server")?),
            _ => None,
        };
        if let Some((uid, gid)) = user {
            chown(folder.path(), Some(uid), Some(gid)).map_err(|e| e.to_string())?;
        }
        let this = Self { folder, programs, user };
        this.run("initdb", &["--pgdata", &this.data(), "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"])?;
        let mut text = format!("listen_addresses = ''\nunix_socket_directories = '{}'\n", this.folder.path().display());
        for (name, value) in settings {
            text.push_str(&format!("{name} = '{value}'\n"));
        }
        let file = this.folder.path().join("data/postgresql.auto.conf");
        fs::write(file, text).map_err(|e| e.to_string())?;
        this.control("start", &[])?;
        Ok(this)
    }

    /// The URL of its first database, as a superuser.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@localhost/postgres?host={}", self.folder.path().display())
    }

    /// Stops the server as `mode` says (`fast`, `immediate`) and starts it again.
    pub(crate) fn restart(&self, mode: &str) {
        self.control("restart", &["-m", mode]).expect("the server starts again");
    }

    fn control(&self, what: &str, more: &[&str]) -> Result<(), String> {
        let (data, log) = (self.data(), self.folder.path().join("log").display().to_string());
        self.run("pg_ctl", &[&[what, "--pgdata", &data, "--log", &log, "--wait", "--silent"], more].concat())
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    fn run(&self, program: &str, args: &[&str]) -> Result<(), String> {
        let mut command = Command::new(self.programs.join(program));
        command.args(args).current_dir(self.folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // The server's own words, dates and numbers are not those of whoever runs the tests.
        command.env("LC_ALL", "C").env_remove("PGDATA").env_remove("PGOPTIONS");
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        let status = command.status().map_err(|e| format!("{program} does not start: {e}"))?;
        if status.success() { Ok(()) } else { Err(format!("{program} failed ({status})")) }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.control("stop", &["-m", "immediate"]);
    }
}

/// A user without rights, and their group.
fn another_user() -> Option<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    ["postgres", "nobody"].iter().find_map(|wanted| {
        let line = users.lines().find(|line| line.split(':').next() == Some(wanted))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    })
}
