//! The command line.

mod clients;
mod conflicts;
mod connections;
mod plans;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(crate) use self::{
    clients::{AddClient, Clients, LinkClient, OnClients, UnlinkClient},
    conflicts::{ConflictState, Conflicts, Decision, Resolve},
    connections::{Connections, OnConnection},
    plans::{Apply, Plan, Plans, Undo},
};

const CONFIGURATION: &str = "\
Configuration, later ones win:
  1. the file syncline.toml in the working directory, or --config FILE, or SYNCLINE_CONFIG
  2. environment variables
  3. flags
  database           SYNCLINE_DATABASE         --database   SQLite file, or postgres://user@host/database (default syncline.db)
  workspace          SYNCLINE_WORKSPACE        --workspace  whose data (default \"default\")
  keys_file          SYNCLINE_KEYS_FILE        --keys-file  file with keys (default <database>.keys, of a server <schema>.keys)
  log                SYNCLINE_LOG              -v, -vv, -q  error, warn (default), info, debug
  [postgres] schema, max_connections, pooler, row_security, migrate: SYNCLINE_POSTGRES_SCHEMA and so on, and the flags below
  [postgres] app_role, fleet_role                           roles of your own, instead of syncline_app and syncline_fleet
  [sheets] base_url  SYNCLINE_SHEETS_BASE_URL               where Google Sheets is reached
  [slack] base_url   SYNCLINE_SLACK_BASE_URL                where Slack is reached
  [slack] client_id  SYNCLINE_SLACK_CLIENT_ID               OAuth client for connect --browser; [sheets] likewise
  [slack] redirect_uri                                      where the browser comes back to: this machine, or any address with --paste
A password of the database belongs into SYNCLINE_DATABASE, PGPASSWORD or ~/.pgpass, not into an argument. TLS is set in the URL:
sslmode=verify-full, sslrootcert=FILE, sslcert=FILE, sslkey=FILE.
SYNCLINE_KEYS holds the keys themselves (id:base64, the active one first) and beats every file. SYNCLINE_SLACK_CLIENT_SECRET and
SYNCLINE_SHEETS_CLIENT_SECRET hold the secrets of OAuth clients.
Names of files are relative to the working directory. A key nobody knows is an error.

Exit codes:
  0   done
  1   failed
  2   wrong use or configuration
  3   went through, but some records or partitions did not
  4   the service refused the credentials
  5   busy: another run of the same stream is under way
  130 stopped by Ctrl-C or SIGTERM; the next pull goes on from the last commit";

/// Keeps a database (a SQLite file, or PostgreSQL) and outside services in step, both ways, and says where each value came from.
#[derive(Debug, Parser)]
#[command(name = "syncline", version, after_long_help = CONFIGURATION, after_help = "See --help for configuration and exit codes.")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The name of a database; it may hold a password, so nothing prints it.
#[derive(Clone)]
pub(crate) struct Named(pub(crate) String);

impl std::fmt::Debug for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// Flags of every command.
#[derive(Args, Debug, Default)]
pub(crate) struct Global {
    /// The configuration file, instead of syncline.toml in the working directory.
    #[arg(long, global = true, value_name = "FILE", env = "SYNCLINE_CONFIG", hide_env = true, help_heading = "Everywhere")]
    pub(crate) config: Option<PathBuf>,
    /// The SQLite file, or a server: postgres://user@host/database.
    #[arg(long, global = true, value_name = "FILE|URL", value_parser = named, help_heading = "Everywhere")]
    pub(crate) database: Option<Named>,
    /// Whose data: the tenant.
    #[arg(long, global = true, value_name = "NAME", help_heading = "Everywhere")]
    pub(crate) workspace: Option<String>,
    /// Who does it, for the record: stands in the versions of a configuration and in the activity log.
    #[arg(long = "as", global = true, value_name = "USER", help_heading = "Everywhere")]
    pub(crate) acting: Option<String>,
    /// The file with the keys credentials are sealed with.
    #[arg(long, global = true, value_name = "FILE", help_heading = "Everywhere")]
    pub(crate) keys_file: Option<PathBuf>,
    /// The schema our tables are in (default syncline).
    #[arg(long, global = true, value_name = "NAME", help_heading = "PostgreSQL")]
    pub(crate) schema: Option<String>,
    /// The most connections at once (default 10).
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000), help_heading = "PostgreSQL")]
    pub(crate) max_connections: Option<u32>,
    /// A transaction pooler (PgBouncer in transaction mode) lends the connections.
    #[arg(long, global = true, help_heading = "PostgreSQL")]
    pub(crate) pooler: bool,
    /// No roles and no policies, for servers where roles cannot be made. A schema stays as it was made.
    #[arg(long, global = true, help_heading = "PostgreSQL")]
    pub(crate) no_row_security: bool,
    /// Leave tables that are not up to date as they are, and say so.
    #[arg(long, global = true, help_heading = "PostgreSQL")]
    pub(crate) no_migrate: bool,
    /// Print one JSON document on stdout, and nothing else there.
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub(crate) json: bool,
    /// Log more to stderr: -v what is done, -vv how.
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Everywhere")]
    pub(crate) verbose: u8,
    /// No progress, and only errors in the log.
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Everywhere")]
    pub(crate) quiet: bool,
}

#[expect(clippy::unnecessary_wraps, reason = "the form clap asks for")]
fn named(text: &str) -> Result<Named, std::convert::Infallible> {
    Ok(Named(text.into()))
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show all of it on simulated services, in seconds and without an account.
    Demo(Demo),
    /// Connect an account, or connect it again.
    Connect(Connect),
    /// List what a connection offers to pull.
    Streams(Streams),
    /// Read a stream into its table: what changed since the last time, or everything.
    Pull(Pull),
    /// Read as `pull` does and write nothing: show what would change, row by row, and keep it to be applied.
    Plan(Plan),
    /// The plans there are, of pulls and of pushes, or one of them; approve or discard it.
    Plans(Plans),
    /// Write what a plan says, in whole or in part; what has changed since is left alone and named.
    Apply(Apply),
    /// Plan what would take a run back; what others changed since stays, and is listed.
    Undo(Undo),
    /// Values that lost to a source of higher priority, and how to decide about them.
    Conflicts(Conflicts),
    /// Decide about a conflict: the winning value stands, or the losing one is written.
    Resolve(Resolve),
    /// Write records, or the changed rows of a table, to a stream.
    Push(Push),
    /// Send writes that failed once more, as they were.
    Retry(Retry),
    /// Writes that are not confirmed: refused, lost, or waiting for somebody. Says what to do, and takes decisions.
    Failures(Failures),
    /// Check a mapping file, or print what one may hold.
    Mapping(Mapping),
    /// How the connections are.
    Status,
    /// Try a connection, say what is the matter with it, switch it, or take it away.
    Connections(Connections),
    /// Clients of the workspace, and which accounts are theirs.
    Clients(Clients),
    /// The keys credentials are sealed with: how much is under each, a new one, everything under the newest.
    Keys(Keys),
    /// Delete everything there is of this workspace, or of one entity.
    Erase(Erase),
    /// The last runs, or one of them with its failures.
    Runs(Runs),
    /// Rows of a table, or one of them.
    Show(Show),
    /// Who set the values of a row and why: out of which place, by which rule, and what other sources say.
    Explain(Explain),
    /// What changed a row, the newest first; or the row as it was at a time.
    History(History),
    /// Bring the database's tables up to date, or print the SQL that would.
    Migrate(Migrate),
    /// Look at the database: what is in order, what is not, and what to do.
    Doctor,
    /// Serve the simulated services on this machine, for any client, until stopped.
    Sandbox(Sandbox),
}

#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// Replace the database (on a server: the schema) of an earlier demo.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
In a browser: with an OAuth client of yours (client_id in [slack] or [sheets] of the configuration, its secret in
SYNCLINE_SLACK_CLIENT_SECRET or SYNCLINE_SHEETS_CLIENT_SECRET) the address to open is printed and opened, and the answer waited for on
this machine, at the client's redirect URI (default http://127.0.0.1:4011/callback; register exactly this one). With another redirect
URI (redirect_uri of the configuration: any https address, whether a page is there or not) add --paste.

With a token: it is read from the environment variable SYNCLINE_TOKEN, from another one (--token-env) or from a file (--token-file).
It is never an argument: arguments can be read by everyone on the machine and stay in the shell's history.

  syncline connect slack --browser
  syncline connect slack --browser --paste
  syncline connect --again slack
  syncline connect slack --token-env SLACK_TOKEN
  syncline connect sheets --token-file token.txt --set spreadsheet_id=1AbC…")]
pub(crate) struct Connect {
    /// The service: sheets or slack.
    #[arg(required_unless_present = "again", conflicts_with = "again")]
    pub(crate) provider: Option<String>,
    /// The environment variable that holds the token.
    #[arg(long, value_name = "NAME", conflicts_with = "token_file")]
    pub(crate) token_env: Option<String>,
    /// Authorise it in a browser, with the OAuth client of the configuration.
    #[arg(long, conflicts_with_all = ["token_env", "token_file"])]
    pub(crate) browser: bool,
    /// Sign in again, in a browser, to the account of this connection; its settings stay.
    #[arg(long, value_name = "CONNECTION", conflicts_with_all = ["token_env", "token_file", "set", "settings", "subject", "replace"])]
    pub(crate) again: Option<String>,
    /// Listen nowhere: the address the browser ends at is pasted here. For redirect URIs that do not lead to this machine by http.
    #[arg(long)]
    pub(crate) paste: bool,
    /// Print the address and open nothing.
    #[arg(long)]
    pub(crate) no_open: bool,
    /// The file that holds the token.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// A setting of the connection, repeatable. Lists, objects, whole numbers, true and false are taken as JSON, all else as text.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// A JSON file with the settings; --set goes over it.
    #[arg(long, value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,
    /// The client of yours this account belongs to.
    #[arg(long, value_name = "ID")]
    pub(crate) subject: Option<String>,
    /// Replace token and settings of an account that is connected already; its id, rows and history stay.
    #[arg(long)]
    pub(crate) replace: bool,
    /// Refused, with the reason.
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "")]
    pub(crate) token: Option<String>,
    /// Refused, so that nothing that may be a token is printed back.
    #[arg(hide = true)]
    pub(crate) surplus: Vec<String>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
To change keys: `keys add` puts a new one in front of the keys file; start everything that uses the file anew; `keys rotate` seals
everything under it, while everything goes on; `keys retire OLD`, and take the old one out of the file.")]
pub(crate) struct Keys {
    #[command(subcommand)]
    pub(crate) what: Option<OnKeys>,
}

/// What is done with keys.
#[derive(Debug, Subcommand)]
pub(crate) enum OnKeys {
    /// Put a new key in front of the keys file.
    Add {
        /// Its id (default: today's date).
        #[arg(long, value_name = "ID")]
        id: Option<String>,
    },
    /// Seal everything under the newest key.
    Rotate,
    /// Retire a key that nothing is sealed with any more.
    Retire {
        /// Its id.
        id: String,
    },
}

#[derive(Args, Debug)]
#[command(after_help = "\
  syncline mapping check partners.toml
  syncline mapping check partners.toml --connection sheets
  syncline mapping schema > mapping.schema.json")]
pub(crate) struct Mapping {
    #[command(subcommand)]
    pub(crate) what: OnMapping,
}

/// What is done with mappings.
#[derive(Debug, Subcommand)]
pub(crate) enum OnMapping {
    /// List everything that is wrong with a mapping, each with its place and what to do; with a connection also what does not fit its
    /// stream as it is now. Nothing is written.
    Check {
        /// The mapping (TOML, or JSON by its ending), or the name of a ready-made one: communication.
        file: PathBuf,
        /// A connection's id, the beginning of one, or a provider with one connection.
        #[arg(long, value_name = "CONNECTION")]
        connection: Option<String>,
    },
    /// The JSON Schema of mapping files, for editors.
    Schema,
}

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Erase {
    #[command(subcommand)]
    pub(crate) part: Option<EraseOne>,
    /// The workspace's name once more, so that no other is erased by mistake.
    #[arg(long, value_name = "WORKSPACE", required = true)]
    pub(crate) confirm: Option<String>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum EraseOne {
    /// Delete everything there is of one entity: its row in a table of Syncline's, its history, and whatever quotes it. What the service
    /// still has of it comes again with the next pull.
    Entity {
        /// The table, as `syncline show` takes it.
        entity: String,
        /// The row's key.
        key: String,
        /// The key once more, so that no other is erased by mistake.
        #[arg(long, value_name = "KEY")]
        confirm: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Streams {
    /// A connection's id, the beginning of one, or a provider with one connection.
    pub(crate) connection: String,
}

#[derive(Args, Debug)]
#[command(after_help = "\
  syncline pull slack messages
  syncline pull sheets Airports --key iata
  syncline pull sheets Movies --mapping movies.toml")]
pub(crate) struct Pull {
    /// A connection's id, the beginning of one, or a provider with one connection.
    pub(crate) connection: String,
    /// The stream, as `syncline streams` lists it.
    pub(crate) stream: String,
    /// A key column, repeatable, for streams without keys of their own (sheets).
    #[arg(long = "key", value_name = "COLUMN")]
    pub(crate) key: Vec<String>,
    /// A mapping (TOML, or JSON by its ending), or the name of a ready-made one: communication.
    #[arg(long, value_name = "FILE")]
    pub(crate) mapping: Option<PathBuf>,
    /// Read everything again; rows a complete read does not show are deleted.
    #[arg(long)]
    pub(crate) full: bool,
    /// At most so many records of each partition. Moves no cursor and deletes nothing.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// Only this partition (a channel), repeatable.
    #[arg(long = "partition", value_name = "ID")]
    pub(crate) partitions: Vec<String>,
    /// Let a complete read delete more than a fifth of the known rows.
    #[arg(long)]
    pub(crate) confirm_deletes: bool,
    /// Write what the source says whatever it is for a field and whoever set it; derived fields stay.
    #[arg(long)]
    pub(crate) force_overwrite: bool,
    /// Keep no history of the values this run changes.
    #[arg(long)]
    pub(crate) no_lineage: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
  syncline push sheets Partners --records partners.csv --key email
  syncline push slack messages --records messages.jsonl --key id
  syncline push sheets Partners --mapping partners.toml
  syncline push sheets Partners --mapping partners.toml --plan --look

Records are a JSON list of objects, one JSON object per line, or a .csv file with a header; - is standard input. A key column that the
stream does not have is not sent: it only tells records apart, so that a repeat cannot double one.")]
pub(crate) struct Push {
    /// A connection's id, the beginning of one, or a provider with one connection.
    pub(crate) connection: String,
    /// The stream, as `syncline streams` lists it.
    pub(crate) stream: String,
    /// The records to write.
    #[arg(long, value_name = "FILE", required_unless_present = "mapping", conflicts_with = "mapping")]
    pub(crate) records: Option<PathBuf>,
    /// Write the changed rows of this mapping's table, through the mapping backwards.
    #[arg(long, value_name = "FILE")]
    pub(crate) mapping: Option<PathBuf>,
    /// A key column, repeatable.
    #[arg(long = "key", value_name = "COLUMN")]
    pub(crate) key: Vec<String>,
    /// Only the row with this key, repeatable.
    #[arg(long = "only", value_name = "KEY")]
    pub(crate) only: Vec<String>,
    /// How new and known records are treated.
    #[arg(long, value_enum, default_value_t = Mode::Upsert)]
    pub(crate) mode: Mode,
    /// Send unchanged records too.
    #[arg(long)]
    pub(crate) all: bool,
    /// Let a mirror delete more than a fifth of the records there.
    #[arg(long)]
    pub(crate) confirm_deletes: bool,
    /// Go on although the stream's fields are no longer those of the last push.
    #[arg(long)]
    pub(crate) accept_shape: bool,
    /// Seconds to wait at the end for writes whose answer was lost.
    #[arg(long, value_name = "SECONDS", default_value_t = 240)]
    pub(crate) patience: u64,
    /// Send nothing: show what would be written, record by record, and keep it to be applied.
    #[arg(long)]
    pub(crate) plan: bool,
    /// Read the stream too, to show what each write replaces and to refuse later what has changed there since.
    #[arg(long, requires = "plan")]
    pub(crate) look: bool,
    /// Records of a plan shown; all of them are kept.
    #[arg(long, value_name = "N", default_value_t = 50, requires = "plan")]
    pub(crate) show: u32,
}

/// The modes of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    /// Write new and known ones.
    Upsert,
    /// Write only new ones.
    Insert,
    /// Write only known ones.
    Update,
    /// Write both, and delete what is not among the records.
    Mirror,
}

#[derive(Args, Debug)]
pub(crate) struct Retry {
    /// A connection's id, the beginning of one, or a provider with one connection.
    pub(crate) connection: String,
    /// The stream.
    pub(crate) stream: String,
    /// The mapping it was pushed through.
    #[arg(long, value_name = "FILE")]
    pub(crate) mapping: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
  syncline failures slack
  syncline failures slack messages --key m-17 --send-again
  syncline failures slack messages --key m-17 --done C0DEMO001/1795029711.076475")]
pub(crate) struct Failures {
    /// A connection's id, the beginning of one, or a provider with one connection.
    pub(crate) connection: String,
    /// Of this stream only.
    pub(crate) stream: Option<String>,
    /// The write of this key only.
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// Somebody looked: it did what it was for, and the record has this id at the service.
    #[arg(long, value_name = "ID", requires = "key", conflicts_with_all = ["send_again", "forget"])]
    pub(crate) done: Option<String>,
    /// Somebody looked: it never arrived. The next push sends it again.
    #[arg(long, requires = "key", conflicts_with = "forget")]
    pub(crate) send_again: bool,
    /// Give it up; the row counts as changed, and the next push sends it. A record that had arrived after all is then there twice:
    /// look at the service first, and say --done ID if it is there.
    #[arg(long, requires = "key")]
    pub(crate) forget: bool,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: u32,
}

#[derive(Args, Debug)]
#[command(after_help = "\
  syncline migrate
  syncline migrate --print > syncline.sql           # everything, for an empty database; connects to nothing
  syncline migrate --print --pending                # what this database lacks")]
pub(crate) struct Migrate {
    /// Print the SQL and run nothing.
    #[arg(long)]
    pub(crate) print: bool,
    /// Of the SQL only what this database lacks.
    #[arg(long, requires = "print")]
    pub(crate) pending: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Runs {
    /// One run by its number, with its errors and the records that failed.
    pub(crate) run: Option<i64>,
    /// At most so many runs, or failures of one run.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: u32,
}

#[derive(Args, Debug)]
pub(crate) struct Show {
    /// The table: slack_messages, sheets_airports, communication.
    pub(crate) entity: String,
    /// One row by its key, with all its fields.
    pub(crate) key: Option<String>,
    /// At most so many rows.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: u32,
}

#[derive(Args, Debug)]
#[command(after_help = "\
  syncline explain sheets_airports 00M              # every field in a sentence
  syncline explain sheets_airports 00M name         # everything about one field
  syncline explain person 7                         # of a row that is not there: why")]
pub(crate) struct Explain {
    /// The table: slack_messages, sheets_airports, communication.
    pub(crate) entity: String,
    /// The row's key.
    pub(crate) key: String,
    /// One field of it, in full; a sentence about each by default.
    pub(crate) field: Option<String>,
    /// Whose row, where several connections have one with this key: its id, the beginning of one, or a provider with one connection.
    #[arg(long, value_name = "CONNECTION")]
    pub(crate) connection: Option<String>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
  syncline history person ada@example.com
  syncline history person ada@example.com name
  syncline history person ada@example.com --as-of 2026-03-02
  syncline history person ada@example.com --as-of \"2026-03-02 14:30\"

A time is in UTC unless it says otherwise (2026-03-02T14:30:00+01:00), and counts to its end: a date to the end of the day, a minute to the
end of the minute.")]
pub(crate) struct History {
    /// The table: slack_messages, sheets_airports, communication.
    pub(crate) entity: String,
    /// The row's key.
    pub(crate) key: String,
    /// One field of it; all of them by default.
    pub(crate) field: Option<String>,
    /// Show the row as it was then, and what had changed it up to then.
    #[arg(long, value_name = "TIME", value_parser = crate::commands::history::time)]
    pub(crate) as_of: Option<chrono::DateTime<chrono::Utc>>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Each service is under http://127.0.0.1:PORT/<provider>; the page at the root lists what is simulated and what is not. Everything is
kept in memory and forgotten at the end.

  syncline sandbox
  SYNCLINE_SLACK_BASE_URL=http://127.0.0.1:4010/slack/api/ syncline connect slack --token-env SLACK_TOKEN")]
pub(crate) struct Sandbox {
    /// The port on 127.0.0.1; 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = 4010)]
    pub(crate) port: u16,
}
