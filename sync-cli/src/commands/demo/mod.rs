//! `demo`: the whole way through the house on two simulated services, in seconds and without an account.

mod figures;
mod file;
mod place;
mod plan;
#[cfg(feature = "postgres")]
mod schema;
pub(crate) mod sheet;
mod stage;
pub(crate) mod talk;
mod write;

use std::time::Duration;

use serde_json::json;
use syncline::{
    Builder, Connection, Credentials, Pull, RunId, Sheets, Slack, SyncEvent, Syncline,
    core::IntegrationSync,
    mapping::Mapping,
    providers::slack,
    testkit::{Served, Simulation, Simulator},
};

use self::{
    sheet::Book,
    stage::{Stage, is_error},
    talk::Talk,
};
use super::{View, explain::in_full};
use crate::{
    args::{Demo, Global},
    config::Config,
    exit::{Done, Failure},
    flags,
    output::{number, plural, quoted},
    progress, session,
    storage::{self, Missing},
};

/// The mapping of the films.
const MOVIES: &str = include_str!("../../../../examples/movies.toml");

/// The tokens the simulated services ask for.
const SHEETS_TOKEN: &str = "ya29.demo-token-of-a-simulated-account";
const SLACK_TOKEN: &str = "xoxb-demo-token-of-a-simulated-workspace";

pub(crate) async fn run(config: &Config, global: &Global, args: &Demo, view: View) -> Done {
    let config = &place::of_demo(config, global);
    let keyring = place::prepare(config, args.force).await?;
    let shown = config.database.to_string();
    let book = Simulation::new(Book::seeded(SHEETS_TOKEN));
    let talk = Simulation::new(Talk::seeded(SLACK_TOKEN));
    let (at_sheets, at_slack) = (serve(&book).await?, serve(&talk).await?);
    let sheets = Sheets::builder().base_url(&at_sheets.url).build()?;
    let slack = Slack::builder().base_url(&at_slack.url).build()?;
    let storage = storage::open(config, Missing::Make).await?;
    let builder = unhurried(unhurried(Syncline::builder(), &sheets), &slack);
    let engine = builder.shared_storage(storage).keyring(keyring).provider(sheets).provider(slack).build().await?;
    let workspace = engine.workspace(&*config.workspace);
    let mut stage = Stage::new(engine, workspace, view);

    stage.title("Syncline demo");
    let kind = if config.database.file().is_some() { "one SQLite file" } else { "one PostgreSQL schema" };
    stage.say(format!("Two simulated services, real tables, {kind}."));
    stage.say(format!("Every figure about data is read back from {shown}, after it was committed."));
    stage.step("Two services on loopback sockets");
    stage.say(format!("Google Sheets  {}", at_sheets.url));
    stage.say(format!("Slack          {}", at_slack.url));

    let (sheets, slack) = connect(&mut stage).await?;
    let whole = first_pull(&mut stage, &sheets, &slack, &talk).await?;
    let changed = one_in_a_hundred(&mut stage, &sheets, &book).await?;
    let films = films()?;
    movies(&mut stage, &sheets, &book, &films).await?;
    plan::there_and_back(&mut stage, &sheets, &book, &films).await?;
    renamed_header(&mut stage, &sheets, &book).await?;
    half_way(&mut stage, &slack, &talk, whole).await?;
    edited_and_deleted(&mut stage, &slack, &talk).await?;
    write::both(&mut stage, &sheets, &slack, &book, &talk).await?;
    where_from(&mut stage, &changed).await?;
    look_yourself(&mut stage, &changed, config);
    stage.end(&shown).await
}

async fn serve<S: Simulator>(simulation: &Simulation<S>) -> Done<Served> {
    simulation.serve().await.map_err(|problem| {
        Failure::failed(format!("no loopback socket could be opened: {problem}"), "demo", "allow this program to listen on 127.0.0.1")
    })
}

/// The quotas of real services would make the demo wait for minutes; the simulated ones are generous.
fn unhurried(builder: Builder, provider: &dyn IntegrationSync) -> Builder {
    let descriptor = provider.descriptor();
    descriptor
        .quotas
        .iter()
        .fold(builder, |builder, quota| builder.quota(descriptor.name, quota.bucket, 1_000_000, Duration::from_secs(60)))
}

async fn connect(stage: &mut Stage) -> Done<(Connection, Connection)> {
    stage.step("Connect both: one cheap call proves each token, then it is stored sealed");
    let settings = json!({ "spreadsheet_id": sheet::ID });
    let sheets = stage.workspace.connect("sheets", Credentials::token(SHEETS_TOKEN)).settings(settings).await?;
    let slack = stage.workspace.connect("slack", Credentials::token(SLACK_TOKEN)).settings(json!({})).await?;
    for row in stage.workspace.connections().await? {
        stage.say(format!("{:<7} {:<22} {:<8} connection {}", row.provider, session::account(&row), row.status.as_str(), row.id));
    }
    Ok((sheets, slack))
}

/// Answers how many calls it takes to read all messages.
async fn first_pull(stage: &mut Stage, sheets: &Connection, slack: &Connection, talk: &Simulation<Talk>) -> Done<usize> {
    stage.step("Pull: tabs and channels become tables");
    stage.header();
    stage.pull(sheets, airports(), "Airports").await?;
    for stream in ["channels", "users", "messages"] {
        stage.pull(slack, Pull::stream(stream), stream).await?;
    }
    Ok(calls_for_messages(talk))
}

/// Calls the simulated Slack has had for messages.
fn calls_for_messages(talk: &Simulation<Talk>) -> usize {
    talk.count("slack.conversations.history") + talk.count("slack.conversations.replies")
}

fn airports() -> Pull {
    Pull::stream("Airports").key(["iata"])
}

/// Answers the key of one of the changed rows.
async fn one_in_a_hundred(stage: &mut Stage, sheets: &Connection, book: &Simulation<Book>) -> Done<String> {
    stage.step("1 % of the airports change in the sheet: only those rows are written");
    let changed = book.sim().rename_one_in_a_hundred();
    stage.header();
    let run = stage.pull(sheets, airports(), "Airports").await?;
    let kept = run.counts.updated == changed.len() as u64 && run.counts.created == 0 && run.counts.unchanged > 3_000;
    stage.promise(kept, "only the changed rows are written")?;
    changed.into_iter().next().ok_or_else(|| Failure::failed("no row was changed", "demo", "please report this"))
}

fn films() -> Done<Mapping> {
    toml::from_str(MOVIES).map_err(|e| Failure::failed(e.to_string(), "examples/movies.toml", "please report this"))
}

async fn movies(stage: &mut Stage, sheets: &Connection, book: &Simulation<Book>, films: &Mapping) -> Done<()> {
    stage.step("A dirty sheet (examples/movies.toml): bad rows are named by row and column");
    book.sim().misspell_a_date();
    stage.header();
    let run = stage.pull(sheets, Pull::mapped(films.clone()), "Movies").await?;
    stage.failures(&run, 4, is_error).await?;
    let left_out = stage.failures(&run, 4, |failure| !is_error(failure)).await?;
    stage.promise(run.counts.failed > 0 && left_out > 0, "bad rows and duplicate keys are reported")
}

async fn renamed_header(stage: &mut Stage, sheets: &Connection, book: &Simulation<Book>) -> Done<()> {
    stage.step("Somebody renames the key header: the run says so and touches no row");
    book.sim().rename_key_header(false);
    stage.header();
    let run = stage.pull(sheets, airports(), "Airports").await?;
    for error in &run.errors {
        stage.say(format!("{} {}", stage.style.bad("error:"), flags::spoken(&error.message)));
        stage.say(format!("{} {}", stage.style.faint("to do:"), error.hint));
    }
    book.sim().rename_key_header(true);
    stage.say("The header gets its name back:");
    let healed = stage.pull(sheets, airports(), "Airports").await?;
    let kept = !run.errors.is_empty() && run.counts.read == 0 && healed.counts.unchanged == healed.counts.read;
    stage.promise(kept, "a renamed key stops the run and harms nothing")
}

async fn half_way(stage: &mut Stage, slack: &Connection, talk: &Simulation<Talk>, whole: usize) -> Done<()> {
    stage.step("Messages once more, as `communication`; this run is dropped half-way");
    // One channel after the other, each page a commit, and answers that take a moment: so that there is a half-way.
    let pull = || Pull::mapped(slack::communication()).lanes(1).commit_rows(1).look_back(Duration::ZERO);
    talk.latency(Duration::from_millis(4));
    let first = drop_half_way(stage, slack, pull()).await?;
    talk.latency(Duration::ZERO);
    stage.header();
    let first = stage.tell(first).await?;
    let before = calls_for_messages(talk);
    let second = stage.pull(slack, pull(), "messages").await?;
    let calls = calls_for_messages(talk) - before;
    let rows = stage.workspace.count("communication").await?;
    let messages = stage.workspace.count("slack_messages").await?;
    let twice = (first.counts.read + second.counts.read).saturating_sub(rows);
    stage.say(format!(
        "{} + {} records read for {} rows, {} of them twice; the second run took {}, a whole read takes {}",
        number(first.counts.read),
        number(second.counts.read),
        number(rows),
        number(twice),
        plural(calls as u64, "call", "calls"),
        number(whole as u64),
    ));
    let resumed = first.counts.created + second.counts.created == rows && first.counts.created > 0 && calls * 4 < whole * 3;
    stage.promise(resumed && rows == messages, "a dropped run goes on where it stopped")
}

/// Starts a pull and drops it once half of its partitions are committed.
async fn drop_half_way(stage: &Stage, connection: &Connection, pull: Pull) -> Done<RunId> {
    let mut events = stage.engine.events();
    let mut work = Box::pin(connection.sync_from_external(pull));
    let run = loop {
        tokio::select! {
            biased;
            event = events.next() => match event {
                Some(SyncEvent::SyncProgress { run, partitions_done, partitions, .. }) if partitions_done * 2 >= partitions => break run,
                Some(_) => {}
                None => return Err(Failure::failed("the engine is gone", "demo", "please report this")),
            },
            ended = &mut work => {
                ended?;
                return Err(Failure::failed("the run was over before it could be dropped", "demo", "please report this"));
            }
        }
    };
    drop(work);
    progress::ended(&mut events, run).await;
    Ok(run)
}

async fn edited_and_deleted(stage: &mut Stage, slack: &Connection, talk: &Simulation<Talk>) -> Done<()> {
    stage.step("An old message is edited, another deleted: a full pull sees it");
    let (edited, deleted) = talk.sim().edit_and_delete();
    let before = stage.field("slack_messages", &edited, "text").await?;
    stage.header();
    let run = stage.pull(slack, Pull::stream("messages").full(), "messages").await?;
    let after = stage.field("slack_messages", &edited, "text").await?;
    let gone = stage.field("slack_messages", &deleted, "text").await?.is_none();
    let shown = |value: &Option<serde_json::Value>| value.as_ref().map_or_else(|| "nothing".into(), quoted);
    stage.say(format!("{edited}  {} → {}", shown(&before), shown(&after)));
    stage.say(format!("{deleted}  {}", if gone { "gone" } else { "still there" }));
    stage.promise(before != after && gone && run.counts.deleted + run.counts.swept == 1, "a full pull finds edits and deletes")
}

async fn where_from(stage: &mut Stage, airport: &str) -> Done<()> {
    stage.step("Where did that come from?");
    for (entity, key, field) in [("sheets_airports", airport, "name"), ("movie", "Pirates", "rating")] {
        stage.say(stage.style.faint(format!("syncline explain {entity} {key} {field}")));
        let explained = stage.workspace.explain(entity, key, field).await?;
        for line in in_full(&explained, stage.style) {
            stage.say(format!("  {line}"));
        }
    }
    Ok(())
}

fn look_yourself(stage: &mut Stage, airport: &str, config: &Config) {
    let database = config.database.to_string();
    let mut workspace = if config.workspace == "default" { String::new() } else { format!(" --workspace {}", word(&config.workspace)) };
    let program = std::env::args().next().unwrap_or_else(|| "syncline".into());
    let (program, database) = (word(&program), word(&database));
    stage.step("Look yourself");
    let films = "title, released_on, us_gross_micros / 1000000 as us_gross";
    if config.database.file().is_some() {
        stage.command(&format!("sqlite3 {database} \"select {films} from movie order by us_gross_micros desc limit 5\""));
        stage.command(&format!("sqlite3 {database} \"select * from syncline_field_lineage where entity_id = '{airport}'\""));
    } else {
        // Row security shows nothing to whoever does not say whose rows are meant.
        let (schema, tenant) = (&config.postgres.schema, word(&config.workspace).replace('\'', ""));
        let psql = format!("psql {database} -c \"set app.workspace_id = '{tenant}'; set search_path = {schema}\" -c");
        stage.command(&format!("{psql} \"select {films} from movie order by us_gross_micros desc nulls last limit 5\""));
        stage.command(&format!("{psql} \"select * from field_lineage where entity_id = '{airport}'\""));
        workspace = format!(" --schema {}{workspace}", word(schema));
    }
    stage.command(&format!("{program} --database {database}{workspace} explain sheets_airports {airport}"));
    stage.command(&format!("{program} --database {database}{workspace} runs"));
}

/// A word as a shell takes it.
fn word(text: &str) -> String {
    let plain = text.chars().all(|c| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | ':' | '@' | '%' | '\\'));
    if plain && !text.is_empty() { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
