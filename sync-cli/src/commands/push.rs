//! `push` and `retry`: one run, from the first question to what became of the records, or to what would.

use std::{path::Path, time::Duration};

use serde_json::{Map, Value};
use syncline::{
    Connection, Push, PushMode, PushRecord,
    core::{Writes, join_key},
    mapping::Mapping,
};

use super::{View, ended, mapping, plans, records};
use crate::{
    args::{self, Mode},
    config::Config,
    exit::{Done, Failure},
    keys::Need,
    output,
    progress::{self, Show},
    session::Session,
};

pub(crate) async fn push(config: &Config, args: &args::Push, view: View) -> Done {
    let session = Session::open(config, Need::Open).await?;
    let connection = session.connection(&args.connection).await?;
    let push = match (&args.records, &args.mapping) {
        (Some(file), _) => {
            let records = records::load(file)?;
            let writes =
                connection.streams().await?.into_iter().find(|stream| stream.name.as_str() == args.stream).map(|stream| stream.writes);
            Push::records(args.stream.as_str(), records.into_iter().map(|fields| record(fields, &args.key, writes.as_ref())))
        }
        (None, Some(file)) => Push::mapped(mapped(file, &args.stream)?),
        (None, None) => return Err(Failure::usage("there is nothing to push", "push", "name --records FILE or --mapping FILE")),
    };
    let push = options(push, args);
    if !args.plan {
        return run(&session, &connection, &args.stream, push, view).await;
    }
    let push = if args.look { push.look() } else { push };
    let title = format!("{}/{}", connection.integration_name(), output::plain(&args.stream));
    let planned = progress::watch(&session.engine, connection.plan_push(push), &title, Show::for_terminal(view.quiet)).await;
    plans::told(&session, planned, args.show, view).await
}

pub(crate) async fn retry(config: &Config, args: &args::Retry, view: View) -> Done {
    let push = match &args.mapping {
        None => Push::failed(args.stream.as_str()),
        Some(file) => Push::failed_of(mapped(file, &args.stream)?),
    };
    let session = Session::open(config, Need::Open).await?;
    let connection = session.connection(&args.connection).await?;
    run(&session, &connection, &args.stream, push, view).await
}

async fn run(session: &Session, connection: &Connection, stream: &str, push: Push, view: View) -> Done {
    let title = format!("{}/{}", connection.integration_name(), output::plain(stream));
    let show = Show::for_terminal(view.quiet);
    let watched = progress::watch(&session.engine, connection.sync_to_external(push), &title, show).await;
    ended::tell(&session.workspace, watched, &title, view).await
}

fn options(mut push: Push, args: &args::Push) -> Push {
    if !args.key.is_empty() {
        push = push.key(args.key.iter().map(String::as_str));
    }
    if !args.only.is_empty() {
        push = push.keys(args.only.iter().map(String::as_str));
    }
    push = push.mode(match args.mode {
        Mode::Upsert => PushMode::Upsert,
        Mode::Insert => PushMode::Insert,
        Mode::Update => PushMode::Update,
        Mode::Mirror => PushMode::Mirror,
    });
    if args.all {
        push = push.all();
    }
    if args.confirm_deletes {
        push = push.confirm_deletes();
    }
    if args.accept_shape {
        push = push.accept_shape();
    }
    push.patience(Duration::from_secs(args.patience))
}

/// A record with its key. Key columns that the stream does not have tell records apart and are not sent.
fn record(mut fields: Map<String, Value>, key: &[String], writes: Option<&Writes>) -> PushRecord {
    let text = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => (!text.is_empty()).then(|| text.clone()),
        other => Some(other.to_string()),
    };
    let parts: Option<Vec<String>> = key.iter().map(|column| fields.get(column).and_then(text)).collect();
    let Some(parts) = parts.filter(|parts| !parts.is_empty()) else { return PushRecord::keyless(&fields) };
    if let Some(Writes::Fields(there)) = writes {
        for column in key.iter().filter(|column| !there.iter().any(|field| **field == ***column)) {
            fields.remove(column);
        }
    }
    PushRecord::new(join_key(parts.iter().map(String::as_str)), &fields)
}

/// A mapping of this stream.
fn mapped(file: &Path, stream: &str) -> Done<Mapping> {
    let mapping = mapping::load(file)?;
    mapping::check_stream(&mapping, stream, file)?;
    Ok(mapping)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_the_stream_does_not_have_tells_records_apart_and_is_not_sent() {
        let Value::Object(fields) = json!({ "id": 7, "text": "ship", "channel_id": "C1" }) else { panic!("an object") };
        let writes = Writes::Fields(["text".into(), "channel_id".into()].into());
        let key = |columns: &[&str]| columns.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        for (columns, expected) in [
            (&["id"][..], (Some("7"), r#"{"channel_id":"C1","text":"ship"}"#)),
            (&["channel_id", "id"], (Some("C1/7"), r#"{"channel_id":"C1","text":"ship"}"#)),
            (&["text"], (Some("ship"), r#"{"channel_id":"C1","id":7,"text":"ship"}"#)),
            (&["nothing"], (None, r#"{"channel_id":"C1","id":7,"text":"ship"}"#)),
        ] {
            let record = record(fields.clone(), &key(columns), Some(&writes));
            assert_eq!((record.key(), record.fields().expect("an object")), expected, "{columns:?}");
        }
    }
}
