//! `connect`: proves a token with one cheap call and stores it sealed.

use std::{fs, path::Path};

use serde_json::{Map, Value, json};
use syncline::{
    Connection, ConnectionStatus, Credentials,
    core::{SecretString, store},
};

use super::View;
use crate::{
    args::Connect,
    config::Config,
    exit::{Done, Exit, Failure},
    keys::Need,
    output::{self, Style},
    probe,
    session::{self, Session, account},
};

/// The variable a token is read from when nothing else is said.
const TOKEN: &str = "SYNCLINE_TOKEN";

pub(crate) async fn run(config: &Config, args: &Connect, view: View) -> Done {
    refuse_tokens(args)?;
    if (args.paste || args.no_open) && !args.browser && args.again.is_none() {
        let text = "--paste and --no-open are about the browser";
        return Err(Failure::usage(text, "connect", "add --browser, or --again CONNECTION for an account that is connected"));
    }
    if let Some(named) = &args.again {
        return super::authorize::again(config, args, named, view).await;
    }
    let provider = args.provider.as_deref().unwrap_or_default();
    let settings = settings(args)?;
    if args.browser {
        return super::authorize::new(config, args, provider, settings, view).await;
    }
    let token = token(args)?;
    let session = Session::open(config, Need::Seal).await?;
    let before: Vec<_> = session.workspace.connections().await?.into_iter().filter(|row| *row.provider == *provider).collect();
    if !args.replace && !before.is_empty() {
        refuse_known(config, provider, &before, &settings, token.clone()).await?;
    }
    let mut connect = session.workspace.connect(provider, Credentials::token(token)).settings(settings);
    if let Some(subject) = &args.subject {
        connect = connect.subject(subject.as_str());
    }
    tell(&connect.await?, &before, view).await
}

/// Says what was connected, and what comes next.
pub(super) async fn tell(connection: &Connection, before: &[store::Connection], view: View) -> Done {
    let row = connection.load_config().await?;
    let healed = before.iter().any(|known| known.id == row.id);
    let streams = connection.streams().await.unwrap_or_default();
    let next = match streams.first() {
        Some(stream) if stream.needs_key => format!("syncline pull {} {:?} --key COLUMN", row.provider, stream.name.as_str()),
        Some(_) if streams.iter().any(|stream| stream.name.as_str() == "messages") => format!("syncline pull {} messages", row.provider),
        Some(stream) => format!("syncline pull {} {:?}", row.provider, stream.name.as_str()),
        None => format!("syncline streams {}", row.provider),
    };
    if view.json {
        output::json(&json!({ "connection": row, "next": next }));
        return Ok(Exit::Done);
    }
    let style = Style::stdout();
    let done = if healed { "connected again" } else { "connected" };
    output::line(format!("{} {} to {}", style.good(done), row.provider, style.bold(output::plain(account(&row)))));
    output::line(format!("  connection  {}", row.id));
    if !streams.is_empty() {
        let names: Vec<String> = streams.iter().map(|stream| output::plain(stream.name.as_str())).collect();
        output::line(format!("  streams     {}", names.join(", ")));
    }
    output::line(format!("  next        {next}"));
    Ok(Exit::Done)
}

/// Without `--replace`, an account that is connected already keeps its token and settings.
async fn refuse_known(config: &Config, provider: &str, known: &[store::Connection], settings: &Value, token: SecretString) -> Done<()> {
    let Some(provider) = session::provider(config, provider)? else { return Ok(()) };
    let workspace = config.workspace.as_str().into();
    let found = probe::account(&*provider, &workspace, settings, token).await?;
    match known.iter().find(|row| row.account_id == found.id && row.status != ConnectionStatus::Disconnected) {
        Some(row) => Err(Failure::usage(
            format!("{} is connected already", account(row)),
            format!("connection {}", row.id),
            "add --replace to give it this token and these settings; its id, rows and history stay",
        )),
        None => Ok(()),
    }
}

/// Tokens on the command line are refused without being repeated.
fn refuse_tokens(args: &Connect) -> Done<()> {
    let hint = "put the token into an environment variable (--token-env NAME) or a file (--token-file FILE)";
    if args.token.is_some() {
        let text = "a token is never an argument: everyone on this machine could read it, and it would stay in the shell's history";
        return Err(Failure::usage(text, "--token", hint));
    }
    if !args.surplus.is_empty() {
        return Err(Failure::usage(
            "connect takes the provider alone; what follows it is not repeated here, since it may be a token",
            "arguments",
            hint,
        ));
    }
    Ok(())
}

fn token(args: &Connect) -> Done<SecretString> {
    let hint = "set the variable, or use --token-env NAME or --token-file FILE, or authorise it in a browser: --browser";
    let (text, place) = match &args.token_file {
        Some(file) => {
            let text = fs::read_to_string(file).map_err(|problem| {
                Failure::usage(
                    format!("the token file {} cannot be read: {problem}", file.display()),
                    "--token-file",
                    "name a file that can be read",
                )
            })?;
            (text, file.display().to_string())
        }
        None => {
            let name = args.token_env.as_deref().unwrap_or(TOKEN);
            let text = std::env::var(name).map_err(|_| {
                Failure::usage(format!("the environment variable {name} is not set; it holds the token"), "--token-env", hint)
            })?;
            (text, name.to_owned())
        }
    };
    let text = text.trim();
    if text.is_empty() || text.contains(char::is_whitespace) {
        return Err(Failure::usage(format!("{place} does not hold one token, but nothing or several words"), "token", hint));
    }
    Ok(text.to_owned().into())
}

fn settings(args: &Connect) -> Done<Value> {
    let mut settings = match &args.settings {
        Some(file) => from_file(file)?,
        None => Map::new(),
    };
    for set in &args.set {
        let (key, value) = set
            .split_once('=')
            .ok_or_else(|| Failure::usage(format!("{set:?} is not of the form key=value"), "--set", "write --set key=value"))?;
        settings.insert(key.trim().into(), value_of(value));
    }
    Ok(settings.into())
}

fn from_file(file: &Path) -> Done<Map<String, Value>> {
    let wrong =
        |what: String| Failure::usage(format!("the settings file {} {what}", file.display()), "--settings", "give it one JSON object");
    let text = fs::read_to_string(file).map_err(|problem| wrong(format!("cannot be read: {problem}")))?;
    serde_json::from_str(&text).map_err(|problem| wrong(format!("is not a JSON object: {problem}")))
}

/// A value as it is meant: `1E5` and `0123` are ids, not numbers.
fn value_of(text: &str) -> Value {
    let number = text.parse::<i64>().is_ok_and(|number| number.to_string() == text);
    let json = number || matches!(text, "true" | "false" | "null") || text.starts_with(['[', '{', '"']);
    json.then(|| serde_json::from_str(text).ok()).flatten().unwrap_or_else(|| text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_only_look_like_numbers_stay_text() {
        let cases = [
            ("500", json!(500)),
            ("-1", json!(-1)),
            ("0123", json!("0123")),
            ("1E5", json!("1E5")),
            ("1.50", json!("1.50")),
            ("true", json!(true)),
            ("[\"C1\",\"C2\"]", json!(["C1", "C2"])),
            ("{\"Movies\":[\"Title\"]}", json!({ "Movies": ["Title"] })),
            ("\"12\"", json!("12")),
            ("[broken", json!("[broken")),
            ("", json!("")),
            ("a=b", json!("a=b")),
        ];
        for (text, value) in cases {
            assert_eq!(value_of(text), value, "{text}");
        }
    }
}
