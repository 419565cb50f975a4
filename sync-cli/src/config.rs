//! Where things are: file, then environment, then flags.

use std::path::{Path, PathBuf};

use figment::{
    Figment, Metadata, Profile, Provider,
    providers::{Format as _, Serialized, Toml},
    value::{Dict, Map, Value},
};
use serde::{Deserialize, Serialize};

use crate::{
    args::Global,
    database::Database,
    exit::{Done, Failure},
};

/// The configuration file in the working directory.
const FILE: &str = "syncline.toml";

/// Which variable sets which key. `SYNCLINE_KEYS` and tokens are read where they are needed, never into here.
const VARIABLES: [(&str, &[&str]); 14] = [
    ("SYNCLINE_DATABASE", &["database"]),
    ("SYNCLINE_POSTGRES_SCHEMA", &["postgres", "schema"]),
    ("SYNCLINE_POSTGRES_MAX_CONNECTIONS", &["postgres", "max_connections"]),
    ("SYNCLINE_POSTGRES_POOLER", &["postgres", "pooler"]),
    ("SYNCLINE_POSTGRES_ROW_SECURITY", &["postgres", "row_security"]),
    ("SYNCLINE_POSTGRES_MIGRATE", &["postgres", "migrate"]),
    ("SYNCLINE_WORKSPACE", &["workspace"]),
    ("SYNCLINE_KEYS_FILE", &["keys_file"]),
    ("SYNCLINE_LOG", &["log"]),
    ("SYNCLINE_SHEETS_BASE_URL", &["sheets", "base_url"]),
    ("SYNCLINE_SHEETS_OAUTH_URL", &["sheets", "oauth_url"]),
    ("SYNCLINE_SHEETS_CLIENT_ID", &["sheets", "client_id"]),
    ("SYNCLINE_SLACK_BASE_URL", &["slack", "base_url"]),
    ("SYNCLINE_SLACK_CLIENT_ID", &["slack", "client_id"]),
];

/// Variables of ours that set no key.
const OTHER_VARIABLES: [&str; 5] =
    ["SYNCLINE_CONFIG", "SYNCLINE_KEYS", "SYNCLINE_TOKEN", "SYNCLINE_SHEETS_CLIENT_SECRET", "SYNCLINE_SLACK_CLIENT_SECRET"];

/// The configuration of the command.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// The SQLite file, or the PostgreSQL server.
    pub(crate) database: Database,
    /// The tenant.
    pub(crate) workspace: String,
    /// Who does it, for the record; a flag alone.
    #[serde(skip)]
    pub(crate) acting: Option<String>,
    /// The keys; `<database>.keys` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) keys_file: Option<PathBuf>,
    /// What is logged.
    pub(crate) log: String,
    /// How a PostgreSQL server is used.
    pub(crate) postgres: Postgres,
    /// Google Sheets.
    pub(crate) sheets: Service,
    /// Slack.
    pub(crate) slack: Service,
}

/// How a PostgreSQL server is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Postgres {
    /// The schema our tables are in.
    pub(crate) schema: String,
    /// The most connections at once.
    pub(crate) max_connections: u32,
    /// Whether a transaction pooler lends the connections.
    pub(crate) pooler: bool,
    /// Whether tenants are kept apart by roles and policies.
    pub(crate) row_security: bool,
    /// Whether tables are brought up to date when the database is opened.
    pub(crate) migrate: bool,
    /// The role of workspaces.
    pub(crate) app_role: String,
    /// The role of the fleet.
    pub(crate) fleet_role: String,
}

impl Default for Postgres {
    fn default() -> Self {
        Self {
            schema: "syncline".into(),
            max_connections: 10,
            pooler: false,
            row_security: true,
            migrate: true,
            app_role: "syncline_app".into(),
            fleet_role: "syncline_fleet".into(),
        }
    }
}

/// How a service is reached.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Service {
    /// Its address, when that is not the vendor's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) base_url: Option<String>,
    /// The address of its consent page and token endpoint, when those are neither the vendor's own nor beside `base_url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) oauth_url: Option<String>,
    /// The OAuth client registered there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_id: Option<String>,
    /// The redirect URI it is registered with: one on this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) redirect_uri: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            database: Database::Sqlite("syncline.db".into()),
            workspace: "default".into(),
            acting: None,
            keys_file: None,
            log: "warn".into(),
            postgres: Postgres::default(),
            sheets: Service::default(),
            slack: Service::default(),
        }
    }
}

impl Config {
    /// Reads file and environment and lays the flags over them.
    pub(crate) fn load(flags: &Global) -> Done<Self> {
        let variables: Vec<(String, String)> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, _)| name.starts_with("SYNCLINE_"))
            .map(|(name, value)| (name, value.to_string_lossy().into_owned()))
            .collect();
        Self::read(flags, Path::new(FILE), variables)
    }

    fn read(flags: &Global, file: &Path, variables: Vec<(String, String)>) -> Done<Self> {
        let file = match &flags.config {
            Some(file) if !file.is_file() => {
                let text = format!("there is no configuration file {}", file.display());
                return Err(Failure::usage(text, "--config", "name a file that exists, or leave the flag out"));
            }
            Some(file) => file.clone(),
            None => file.to_owned(),
        };
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(problem) if problem.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(problem) => {
                let text = format!("the configuration file {} cannot be read: {problem}", file.display());
                return Err(Failure::usage(text, "configuration", "see to its permissions and encoding"));
            }
        };
        let figment = Figment::from(Serialized::defaults(Self::default())).merge(Toml::string(&text));
        let mut config: Self =
            Environment::of(variables)?.into_iter().fold(figment, Figment::merge).extract().map_err(|e| wrong(e, &file))?;
        if let Some(database) = &flags.database {
            config.database = Database::parse(&database.0).map_err(|wrong| wrong.into_failure("--database"))?;
            if !flags.quiet && matches!(&config.database, Database::Postgres(url) if url.has_password()) {
                eprintln!("note: arguments can be read by everyone on this machine; put the password into SYNCLINE_DATABASE or ~/.pgpass");
            }
        }
        config.lay_over(flags)?;
        if let Some(workspace) = &flags.workspace {
            config.workspace.clone_from(workspace);
        }
        config.acting.clone_from(&flags.acting);
        if flags.keys_file.is_some() {
            config.keys_file.clone_from(&flags.keys_file);
        }
        match (flags.quiet, flags.verbose) {
            (true, _) => config.log = "error".into(),
            (false, 0) => {}
            (false, 1) => config.log = "info".into(),
            (false, _) => config.log = "debug,hyper=info,reqwest=info,rustls=info".into(),
        }
        if config.workspace.trim().is_empty() {
            return Err(Failure::usage("the workspace has no name", "workspace", "give it one, or leave it out for \"default\""));
        }
        Ok(config)
    }

    /// The flags that are about PostgreSQL.
    fn lay_over(&mut self, flags: &Global) -> Done<()> {
        let given = [
            ("--schema", flags.schema.is_some()),
            ("--max-connections", flags.max_connections.is_some()),
            ("--pooler", flags.pooler),
            ("--no-row-security", flags.no_row_security),
            ("--no-migrate", flags.no_migrate),
        ];
        if let (Database::Sqlite(file), Some((flag, _))) = (&self.database, given.iter().find(|(_, given)| *given)) {
            let text = format!("{flag} is for PostgreSQL, and the database is the file {}", file.display());
            return Err(Failure::usage(text, *flag, "leave it out, or name a server: --database postgres://user@host/database"));
        }
        let postgres = &mut self.postgres;
        if let Some(schema) = &flags.schema {
            postgres.schema.clone_from(schema);
        }
        if let Some(connections) = flags.max_connections {
            postgres.max_connections = connections;
        }
        postgres.pooler |= flags.pooler;
        postgres.row_security &= !flags.no_row_security;
        postgres.migrate &= !flags.no_migrate;
        if postgres.schema.trim().is_empty() {
            return Err(Failure::usage("the schema has no name", "schema", "give it one, or leave it out for \"syncline\""));
        }
        Ok(())
    }

    /// How a service is reached.
    pub(crate) fn service(&self, provider: &str) -> Option<&Service> {
        match provider {
            "sheets" => Some(&self.sheets),
            "slack" => Some(&self.slack),
            _ => None,
        }
    }

    /// The file with the keys.
    pub(crate) fn keys_file(&self) -> PathBuf {
        self.keys_file.clone().unwrap_or_else(|| match &self.database {
            Database::Sqlite(file) => beside(file, ".keys"),
            Database::Postgres(_) => format!("{}.keys", self.postgres.schema.replace(['/', '\\'], "_")).into(),
        })
    }
}

/// `demo.db` and `.keys` make `demo.db.keys`.
pub(crate) fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Every problem, with the key and where it was set; values are left out, since a token may have been put in the wrong place.
fn wrong(errors: figment::Error, file: &Path) -> Failure {
    use figment::error::Kind;
    let mut places = Vec::new();
    let mut problems = Vec::new();
    for error in errors {
        let key = error.path.join(".");
        let what = match &error.kind {
            Kind::UnknownField(name, known) => format!("unknown key {name:?}; there are: {}", known.join(", ")),
            Kind::InvalidType(_, wanted) | Kind::InvalidValue(_, wanted) => format!("key {key:?} has to be {wanted}"),
            Kind::Message(text)
                if key.is_empty() && error.metadata.as_ref().is_none_or(|from| !from.name.starts_with("the environment")) =>
            {
                format!("it is not TOML: {}", text.lines().next().unwrap_or_default())
            }
            other => format!("key {key:?}: {other}"),
        };
        problems.push(what);
        let place = match &error.metadata {
            Some(from) if from.name.starts_with("the environment") => from.name.to_string(),
            _ => file.display().to_string(),
        };
        if !places.contains(&place) {
            places.push(place);
        }
    }
    Failure::usage(problems.join("; "), places.join(", "), "correct the configuration; `syncline --help` lists its keys")
}

/// One variable as a source of configuration. Its value is text, whatever it looks like.
#[derive(Debug)]
struct Environment {
    variable: &'static str,
    path: &'static [&'static str],
    value: String,
}

impl Environment {
    /// The sources that are set. What only looks like one of ours is refused, since it was meant to do something; tokens and keys
    /// may stand in variables of any name.
    fn of(variables: Vec<(String, String)>) -> Done<Vec<Self>> {
        let mut sources = Vec::new();
        for (name, value) in variables {
            match VARIABLES.iter().find(|(variable, _)| *variable == name) {
                Some((variable, path)) => sources.push(Self { variable, path, value }),
                None if OTHER_VARIABLES.contains(&&*name) || name.ends_with("_TOKEN") || name.ends_with("_KEYS") => {}
                None => {
                    let known = VARIABLES.map(|(variable, _)| variable).join(", ");
                    let text = format!("the environment variable {name} sets nothing; there are: {known}");
                    return Err(Failure::usage(text, "environment", "correct its name or unset it"));
                }
            }
        }
        Ok(sources)
    }
}

impl Provider for Environment {
    fn metadata(&self) -> Metadata {
        Metadata::named(format!("the environment variable {}", self.variable))
    }

    fn data(&self) -> figment::error::Result<Map<Profile, Dict>> {
        let (last, outer) = self.path.split_last().expect("every variable sets a key");
        // Text stays text, but where a number or a switch is asked for.
        let text = &self.value;
        let value = match *last {
            "max_connections" => text.parse::<u32>().map(Value::from).ok(),
            "pooler" | "row_security" | "migrate" => text.parse::<bool>().map(Value::from).ok(),
            _ => None,
        };
        let leaf = Dict::from([((*last).to_owned(), value.unwrap_or_else(|| Value::from(text.clone())))]);
        let dict = outer.iter().rev().fold(leaf, |inner, name| Dict::from([((*name).to_owned(), Value::from(inner))]));
        Ok(Profile::Default.collect(dict))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags() -> Global {
        Global::default()
    }

    type Variables<'a> = &'a [(&'a str, &'a str)];

    fn read(file: &str, variables: Variables<'_>, flags: &Global) -> Done<Config> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("syncline.toml");
        std::fs::write(&path, file).expect("written");
        Config::read(flags, &path, variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn flags_go_over_environment_over_file_over_defaults() {
        let file = "database = \"file.db\"\nworkspace = \"file\"\n[slack]\nbase_url = \"http://file\"\n";
        let environment = [("SYNCLINE_WORKSPACE", "42"), ("SYNCLINE_SLACK_BASE_URL", "http://environment")];
        let none = read("", &[], &flags()).expect("defaults");
        assert_eq!((none.database.file(), &*none.workspace, &*none.log), (Some(Path::new("syncline.db")), "default", "warn"));
        assert_eq!(none.keys_file(), Path::new("syncline.db.keys"));
        let from_file = read(file, &[], &flags()).expect("file");
        assert_eq!((from_file.database.file(), &*from_file.workspace), (Some(Path::new("file.db")), "file"));
        let both = read(file, &environment, &flags()).expect("file and environment");
        assert_eq!((both.database.file(), &*both.workspace), (Some(Path::new("file.db")), "42"));
        assert_eq!(both.slack.base_url.as_deref(), Some("http://environment"));
        let all = read(file, &environment, &Global { workspace: Some("flag".into()), verbose: 1, ..flags() }).expect("all three");
        assert_eq!((all.database.file(), &*all.workspace, &*all.log), (Some(Path::new("file.db")), "flag", "info"));
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn a_server_takes_its_settings_from_the_same_places() {
        let file = "database = \"postgres://ada@host/app\"\n[postgres]\nschema = \"file\"\nmax_connections = 3\napp_role = \"mine\"\n";
        let environment = [("SYNCLINE_POSTGRES_MAX_CONNECTIONS", "4"), ("SYNCLINE_POSTGRES_POOLER", "true")];
        let flags = Global { schema: Some("flag".into()), no_row_security: true, ..flags() };
        let read_so = read(file, &environment, &flags).expect("all three");
        let postgres = Postgres { app_role: "mine".into(), ..Postgres::default() };
        assert_eq!(read_so.postgres, Postgres { schema: "flag".into(), max_connections: 4, pooler: true, row_security: false, ..postgres });
        assert_eq!(read_so.keys_file(), Path::new("flag.keys"));
        let refused = format!("{:?}", read("", &[], &flags).expect_err("a flag for PostgreSQL on a file"));
        assert!(refused.contains("--schema") && refused.contains("syncline.db"), "{refused}");
        let refused = read("", &[("SYNCLINE_DATABASE", "mysql://u:hunter2@h/db")], &Global::default()).expect_err("no storage");
        let refused = format!("{refused:?}");
        assert!(refused.contains("mysql://") && refused.contains("SYNCLINE_DATABASE") && !refused.contains("hunter2"), "{refused}");
        let refused = format!("{:?}", read("", &[("SYNCLINE_POSTGRES_POOLER", "yes")], &Global::default()).expect_err("no switch"));
        assert!(refused.contains("postgres.pooler") && refused.contains("boolean"), "{refused}");
    }

    #[test]
    fn keys_nobody_knows_are_named() {
        let cases: [(&str, Variables<'_>, &[&str]); 6] = [
            ("databse = \"x\"", &[], &["\"databse\"", "database", "syncline.toml"]),
            ("[slack]\nurl = \"x\"", &[], &["\"url\"", "base_url"]),
            ("[gmail]\nbase_url = \"x\"", &[], &["\"gmail\""]),
            ("workspace = 7", &[], &["\"workspace\"", "string"]),
            ("", &[("SYNCLINE_DATABSE", "x")], &["SYNCLINE_DATABSE", "SYNCLINE_DATABASE"]),
            ("not toml", &[], &["not TOML"]),
        ];
        for (file, variables, parts) in cases {
            let failure = format!("{:?}", read(file, variables, &flags()).expect_err(file));
            for part in parts {
                assert!(failure.replace("\\\"", "\"").contains(part), "{failure} lacks {part}");
            }
        }
    }

    #[test]
    fn tokens_in_variables_are_left_alone() {
        assert!(read("", &[("SYNCLINE_TOKEN", "x"), ("SYNCLINE_SLACK_TOKEN", "x"), ("SYNCLINE_KEYS", "x")], &flags()).is_ok());
    }
}
