//! `mapping`, and mappings as files.

use std::{fs, path::Path};

use serde_json::json;
use syncline::{
    mapping::{Mapping, Problem, Transforms},
    providers::slack,
};

use super::View;
use crate::{
    args::{self, OnMapping},
    config::Config,
    exit::{Done, Exit, Failure},
    keys::Need,
    output::{self, Style, plural},
    session::Session,
};

pub(crate) async fn run(config: &Config, args: &args::Mapping, view: View) -> Done {
    match &args.what {
        OnMapping::Check { file, connection } => check(config, file, connection.as_deref(), view).await,
        OnMapping::Schema => {
            output::json(&Mapping::json_schema());
            Ok(Exit::Done)
        }
    }
}

/// What a mapping was checked against.
enum Against {
    /// Itself alone.
    Itself,
    /// The fields its stream has now.
    Live,
    /// The stream tells its fields only while it is read.
    Untold,
}

async fn check(config: &Config, file: &Path, connection: Option<&str>, view: View) -> Done {
    let mapping = load(file)?;
    let (fields, against) = match connection {
        None => (None, Against::Itself),
        Some(named) => {
            let session = Session::open(config, Need::Open).await?;
            let streams = session.connection(named).await?.streams().await?;
            let known = streams.iter().map(|stream| format!("{:?}", stream.name.as_str())).collect::<Vec<_>>().join(", ");
            let Some(stream) = streams.into_iter().find(|stream| stream.name == mapping.stream) else {
                let text = format!("there is no stream {:?}; there are: {known}", mapping.stream.as_str());
                return Err(Failure::usage(text, file.display().to_string(), "correct the mapping's `stream`"));
            };
            let against = if stream.fields.is_some() { Against::Live } else { Against::Untold };
            (stream.fields, against)
        }
    };
    let problems = mapping.problems(&Transforms::default(), fields.as_deref());
    let exit = if problems.is_empty() { Exit::Done } else { Exit::Usage };
    if view.json {
        let live = matches!(against, Against::Live);
        output::json(&json!({ "success": problems.is_empty(), "mapping": mapping.name, "live": live, "problems": problems }));
        return Ok(exit);
    }
    let style = Style::stdout();
    let stream = output::plain(mapping.stream.as_str());
    for problem in &problems {
        told(problem, style);
    }
    match (problems.len() as u64, against) {
        (0, Against::Itself) => output::line(format!("{} the mapping is in order", style.good("✓"))),
        (0, Against::Live) => output::line(format!("{} the mapping is in order and fits {stream} as it is now", style.good("✓"))),
        (0, Against::Untold) => {
            let text = format!("{} the mapping is in order; {stream} tells its fields only while it is read", style.good("✓"));
            output::line(text);
        }
        (count, _) => output::line(format!("{} in {}", plural(count, "problem", "problems"), file.display())),
    }
    Ok(exit)
}

fn told(problem: &Problem, style: Style) {
    output::line(format!("{} {}  {}", style.bad("✗"), style.bold(&problem.place), output::plain(&problem.problem)));
    if let Some(hint) = &problem.hint {
        output::line(format!("  {} {}", style.faint("to do:"), output::plain(hint)));
    }
}

/// A mapping from a file, or a ready-made one by its name.
pub(crate) fn load(file: &Path) -> Done<Mapping> {
    if file.as_os_str() == "communication" && !file.exists() {
        return Ok(slack::communication());
    }
    let wrong = |what: String| Failure::usage(format!("the mapping {what}"), file.display().to_string(), "correct the mapping file");
    let text = fs::read_to_string(file).map_err(|problem| wrong(format!("cannot be read: {problem}")))?;
    if file.extension().is_some_and(|ending| ending == "json") {
        return serde_json::from_str(&text).map_err(|problem| wrong(format!("does not fit: {problem}")));
    }
    toml::from_str(&text).map_err(|problem: toml::de::Error| {
        let line = problem.span().map(|span| text[..span.start].matches('\n').count() + 1);
        let line = line.map(|line| format!(" (line {line})")).unwrap_or_default();
        wrong(format!("does not fit{line}: {}", problem.message()))
    })
}

/// Checks that a mapping is one of this stream.
pub(crate) fn check_stream(mapping: &Mapping, stream: &str, file: &Path) -> Done<()> {
    if mapping.stream.as_str() == stream {
        return Ok(());
    }
    Err(Failure::usage(
        format!("the mapping {:?} is of the stream {:?}, not {stream:?}", mapping.name, mapping.stream.as_str()),
        file.display().to_string(),
        "name the mapping's stream, or correct its `stream`",
    ))
}
