//! `keys`: what is sealed under which, a new key, and everything under the newest.

use std::fs;

use serde_json::json;
use syncline::Keyring;

use super::View;
use crate::{
    args::{Keys, OnKeys},
    config::Config,
    exit::{Done, Exit, Failure},
    keys::{self, Need},
    output::{self, Style, plural},
    session::Session,
};

pub(crate) async fn run(config: &Config, args: &Keys, view: View) -> Done {
    match &args.what {
        None => list(config, view).await,
        Some(OnKeys::Add { id }) => add(config, id.as_deref(), view),
        Some(OnKeys::Rotate) => rotate(config, view).await,
        Some(OnKeys::Retire { id }) => {
            Session::open(config, Need::Open).await?.engine.retire_key(id).await?;
            if view.json {
                output::json(&json!({ "retired": id }));
            } else {
                output::line(format!("{} key {id}; take it out of the keys now", Style::stdout().good("retired")));
            }
            Ok(Exit::Done)
        }
    }
}

async fn list(config: &Config, view: View) -> Done {
    let keys = Session::open(config, Need::Open).await?.engine.keys().await?;
    if view.json {
        output::json(&json!({ "keys": keys }));
        return Ok(Exit::Done);
    }
    let style = Style::stdout();
    for key in &keys {
        let state = match (key.active, key.retired_at) {
            (true, _) => style.good("active"),
            (false, Some(at)) => style.faint(format!("retired on {}", at.format("%F"))),
            (false, None) => style.faint("opens only"),
        };
        output::line(format!("{}  {}  {state}", style.bold(&key.id), plural(key.sealed, "value", "values")));
    }
    Ok(Exit::Done)
}

/// Puts a new key in front of the file, which is replaced as a whole.
fn add(config: &Config, id: Option<&str>, view: View) -> Done {
    if std::env::var_os(keys::VARIABLE).is_some() {
        let text = format!("the keys come from {}, which this command cannot change", keys::VARIABLE);
        let hint = "make one with `syncline --keys-file new.keys keys add` in an environment without it, and put it in front of the others";
        return Err(Failure::usage(text, "keys add", hint));
    }
    let file = config.keys_file();
    let old = match fs::read_to_string(&file) {
        Ok(old) => old,
        Err(problem) if problem.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(problem) => {
            let text = format!("the keys file {} cannot be read: {problem}", file.display());
            return Err(Failure::usage(text, "keys_file", "see to its permissions"));
        }
    };
    let id = id.map_or_else(keys::new_id, str::to_owned);
    let all = format!("{}\n{}", &*Keyring::generate(&id), old.trim());
    let ring = Keyring::parse(&all).map_err(|e| Failure::of(&e.at("file", file.display().to_string())))?;
    // Never a moment in which the old keys stand nowhere.
    let beside = crate::config::beside(&file, ".new");
    keys::write(&beside, all.trim())?;
    fs::rename(&beside, &file).map_err(|problem| {
        let text = format!("{} cannot take the place of {}: {problem}", beside.display(), file.display());
        Failure::failed(text, "keys add", "see to the folder's permissions, and move it there by hand")
    })?;
    let ids: Vec<&str> = ring.ids().collect();
    if view.json {
        output::json(&json!({ "file": file, "keys": ids }));
    } else {
        output::line(format!("{} key {id} in front of {}", Style::stdout().good("put"), file.display()));
        output::line("Start everything that uses this file anew, then: syncline keys rotate");
    }
    Ok(Exit::Done)
}

async fn rotate(config: &Config, view: View) -> Done {
    let session = Session::open(config, Need::Open).await?;
    let mut told = 0;
    let rotated = session.engine.rotate_keys(|count| {
        if !view.quiet && !view.json && count >= told + 1000 {
            told = count;
            eprintln!("{} so far", plural(count, "value", "values"));
        }
    });
    let rotated = rotated.await?;
    let failed: Vec<String> = rotated.failed.iter().map(|(_, error)| error.to_string()).collect();
    if view.json {
        output::json(&json!({ "resealed": rotated.resealed, "overtaken": rotated.overtaken, "failed": failed }));
    } else {
        let style = Style::stdout();
        output::line(format!("{} {} under the newest key", style.good("sealed"), plural(rotated.resealed, "value", "values")));
        if rotated.overtaken > 0 {
            output::line(format!("  {} written anew by others meanwhile", plural(rotated.overtaken, "was", "were")));
        }
        for failed in &failed {
            output::line(format!("{} {}", style.bad("✗"), output::plain(failed)));
        }
    }
    Ok(if failed.is_empty() { Exit::Done } else { Exit::Partial })
}
