//! Mappings as files.

use std::{fs, path::Path};

use syncline::{mapping::Mapping, providers::slack};

use crate::exit::{Done, Failure};

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
