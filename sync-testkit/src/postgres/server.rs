//! A PostgreSQL server for tests: the one that `DATABASE_URL` names, else a private cluster made of the installed programs.
//!
//! The cluster is shared by all test processes of a user and answers on a socket in its own folder alone. Whoever comes first starts it;
//! a loop beside it stops it when nobody has made a database for a while.

use std::{
    env, fs,
    fs::File,
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use sqlx::postgres::PgConnectOptions;

/// The oldest version that does.
const OLDEST: u32 = 15;

/// Minutes without a new database after which a private cluster stops.
const IDLE_MINUTES: u32 = 10;

static SERVER: OnceLock<Result<PgConnectOptions, String>> = OnceLock::new();

/// The server's address, with a user who may make databases and roles.
///
/// # Errors
/// What is missing, and what to do about it.
pub(super) fn server() -> Result<PgConnectOptions, String> {
    SERVER
        .get_or_init(|| match env::var("DATABASE_URL") {
            Ok(url) => url.parse().map_err(|error| format!("DATABASE_URL is no PostgreSQL URL: {error}")),
            Err(_) => Cluster::find().and_then(|cluster| cluster.running()),
        })
        .clone()
}

/// Tells the cluster that it is in use.
pub(super) fn in_use() {
    if env::var_os("DATABASE_URL").is_none()
        && let Ok(cluster) = Cluster::find()
    {
        let _ = fs::write(cluster.folder.join("used"), "");
    }
}

/// The folder of the server's programs: `initdb`, `pg_ctl`, `postgres`.
///
/// # Errors
/// What to install.
pub fn programs() -> Result<PathBuf, String> {
    let mut folders: Vec<PathBuf> = Vec::new();
    if let Ok(versions) = fs::read_dir("/usr/lib/postgresql") {
        let mut versions: Vec<(u32, PathBuf)> =
            versions.flatten().filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin")))).collect();
        versions.sort();
        folders.extend(versions.into_iter().rev().map(|(_, folder)| folder));
    }
    folders.extend(env::var_os("PATH").iter().flat_map(env::split_paths));
    let does = |folder: &PathBuf| {
        ["initdb", "pg_ctl", "postgres"].iter().all(|program| folder.join(program).is_file())
            && version(folder).is_some_and(|version| version >= OLDEST)
    };
    folders.into_iter().find(does).ok_or_else(|| {
        format!(
            "these tests need a PostgreSQL server, version {OLDEST} or newer: set DATABASE_URL to one whose user may make databases and roles, \
             or install the programs (Debian: apt-get install postgresql; `cargo xtask test` does it when it runs as root)"
        )
    })
}

/// The major version of the programs in a folder.
fn version(folder: &Path) -> Option<u32> {
    let said = Command::new(folder.join("postgres")).arg("--version").output().ok()?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    said.split_whitespace().find_map(|word| word.split('.').next()?.parse().ok())
}

/// A private cluster.
struct Cluster {
    programs: PathBuf,
    folder: PathBuf,
    /// Who runs it, when we are root: the server refuses to.
    user: Option<&'static str>,
}

impl Cluster {
    fn find() -> Result<Self, String> {
        let programs = programs()?;
        let user = match whoami()?.as_str() {
            "0" => Some(
                ["postgres", "nobody"]
                    .into_iter()
                    .find(|user| exists(user))
                    .ok_or("there is neither a user postgres nor a user nobody to run a server as")?,
            ),
            _ => None,
        };
        // Short: the path of a socket has at most 107 bytes.
        let folder = PathBuf::from("/tmp").join(format!("syncline-pg{}-{}", version(&programs).unwrap_or(OLDEST), whoami()?));
        Ok(Self { programs, folder, user })
    }

    fn options(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass().socket(&self.folder).username("postgres").database("postgres").password("")
    }

    /// Runs one of the programs, as whoever runs the cluster.
    fn run(&self, program: &str, args: &[&str]) -> Result<(), String> {
        let path = self.programs.join(program);
        let mut command = match self.user {
            Some(user) => {
                let mut command = Command::new("runuser");
                command.args(["-u", user, "--"]).arg(&path);
                command
            }
            None => Command::new(&path),
        };
        // Files, not pipes: the server inherits them and would keep a pipe open for ever.
        let log = File::options().create(true).append(true).open(self.folder.join("setup.log")).map_err(|e| self.said("setup.log", &e))?;
        let both = log.try_clone().map_err(|e| self.said("setup.log", &e))?;
        let status = command.args(args).current_dir(&self.folder).stdin(Stdio::null()).stdout(log).stderr(both).status();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(_) => {
                let said = fs::read_to_string(self.folder.join("setup.log")).unwrap_or_default();
                let last: Vec<&str> = said.lines().rev().take(5).collect();
                Err(format!("{program} failed in {}: {}", self.folder.display(), last.into_iter().rev().collect::<Vec<_>>().join(" | ")))
            }
            Err(error) => Err(format!("{} cannot be run: {error}", path.display())),
        }
    }

    fn said(&self, what: &str, error: &io::Error) -> String {
        format!("{what} in {} cannot be written: {error}", self.folder.display())
    }

    /// The address of the cluster, which is started if it is not running. One process does, the others wait.
    fn running(&self) -> Result<PgConnectOptions, String> {
        fs::create_dir_all(&self.folder).map_err(|e| self.said("the folder", &e))?;
        if let Some(user) = self.user {
            let owned = Command::new("chown").arg(user).arg(&self.folder).status();
            if !owned.is_ok_and(|status| status.success()) {
                return Err(format!("{} cannot be given to user {user}", self.folder.display()));
            }
        }
        let lock = File::create(self.folder.join("lock")).map_err(|e| self.said("lock", &e))?;
        lock.lock().map_err(|e| self.said("lock", &e))?;
        fs::write(self.folder.join("used"), "").map_err(|e| self.said("used", &e))?;
        let data = self.folder.join("data");
        let data = data.to_str().ok_or("the folder's name is not Unicode")?;
        if self.run("pg_ctl", &["-D", data, "status"]).is_ok() {
            return Ok(self.options());
        }
        if !Path::new(data).join("PG_VERSION").exists() {
            self.run("initdb", &["-D", data, "-U", "postgres", "-A", "trust", "-N", "--no-locale", "-E", "UTF8"])?;
        }
        let folder = self.folder.display();
        // Nothing of it has to outlive a crash of the machine.
        let options = format!(
            "-k {folder} -c listen_addresses='' -c fsync=off -c full_page_writes=off -c max_connections=300 -c shared_buffers=256MB"
        );
        self.run("pg_ctl", &["-D", data, "-w", "-l", &self.folder.join("server.log").to_string_lossy(), "-o", &options, "start"])?;
        self.watch(data)?;
        Ok(self.options())
    }

    /// Starts the loop that stops the cluster when it is no longer used.
    fn watch(&self, data: &str) -> Result<(), String> {
        let script = format!(
            "while [ -n \"$(find '{folder}/used' -mmin -{IDLE_MINUTES})\" ]; do sleep 20; done; exec '{programs}/pg_ctl' -D '{data}' -m fast stop",
            folder = self.folder.display(),
            programs = self.programs.display(),
        );
        let mut command = match self.user {
            Some(user) => {
                let mut command = Command::new("runuser");
                command.args(["-u", user, "--", "sh", "-c", &script]);
                command
            }
            None => {
                let mut command = Command::new("sh");
                command.args(["-c", &script]);
                command
            }
        };
        let nothing = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        nothing.current_dir("/").spawn().map(drop).map_err(|error| format!("the cluster cannot be watched: {error}"))
    }
}

/// The number of the present user.
fn whoami() -> Result<String, String> {
    let said = Command::new("id").arg("-u").output().map_err(|error| format!("`id -u` cannot be run: {error}"))?;
    Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
}

fn exists(user: &str) -> bool {
    Command::new("id").arg(user).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
