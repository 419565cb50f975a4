//! `streams`: what a connection offers to pull.

use serde_json::{Value, json};
use syncline::core::StreamMode;

use super::View;
use crate::{
    args::Streams,
    config::Config,
    exit::{Done, Exit},
    keys::Need,
    output::{self, Style},
    session::Session,
};

pub(crate) async fn run(config: &Config, args: &Streams, view: View) -> Done {
    let session = Session::open(config, Need::Open).await?;
    let connection = session.connection(&args.connection).await?;
    let streams = connection.streams().await?;
    if view.json {
        let list: Vec<Value> = streams
            .iter()
            .map(|stream| {
                let fields: Option<Vec<&str>> = stream.fields.as_ref().map(|fields| fields.iter().map(|field| &*field.name).collect());
                json!({
                    "name": stream.name, "mode": mode(stream.mode), "needs_key": stream.needs_key, "fields": fields,
                })
            })
            .collect();
        output::json(&json!({ "connection": connection.id(), "streams": list }));
        return Ok(Exit::Done);
    }
    let rows: Vec<Vec<String>> = streams
        .iter()
        .map(|stream| {
            let fields = stream.fields.as_ref().map_or_else(
                || "known once it is read".to_owned(),
                |fields| fields.iter().map(|field| output::plain(&field.name)).collect::<Vec<_>>().join(", "),
            );
            let key = if stream.needs_key { "--key" } else { "its own" };
            vec![output::plain(stream.name.as_str()), mode(stream.mode).into(), key.into(), fields]
        })
        .collect();
    for line in output::table(&["stream", "reads", "key", "fields"], &rows, output::width(), Style::stdout()) {
        output::line(line);
    }
    Ok(Exit::Done)
}

fn mode(mode: StreamMode) -> &'static str {
    match mode {
        StreamMode::Full => "everything",
        StreamMode::Incremental => "changes",
    }
}
