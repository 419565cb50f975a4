//! `failures`: writes that are not confirmed, and what somebody decides about them.

use serde_json::json;
use syncline::{Connection, IntentFilter, IntentState, Resolution, Unconfirmed, core::store::Feed};

use super::{View, ended};
use crate::{
    args,
    config::Config,
    exit::{Done, Exit, Failure},
    flags,
    keys::Need,
    output::{self, Style, plural},
    progress::{self, Show},
    session::Session,
};

pub(crate) async fn run(config: &Config, args: &args::Failures, view: View) -> Done {
    let session = Session::open(config, Need::Open).await?;
    let connection = session.connection(&args.connection).await?;
    let writes = find(&connection, args).await?;
    let decision = match &args.done {
        Some(id) => Some(Resolution::Done(id.as_str().into())),
        None if args.send_again => Some(Resolution::SendAgain),
        None => args.forget.then_some(Resolution::Forget),
    };
    match decision {
        None => {
            list(&writes, &connection, view);
            Ok(Exit::Done)
        }
        Some(decision) => {
            let write = one(&writes, args)?;
            let title =
                format!("{}/{} {}", connection.integration_name(), output::plain(write.feed.stream.as_str()), output::plain(&write.key));
            let watched = progress::watch(&session.engine, connection.resolve(write, decision), &title, Show::Nothing).await;
            ended::tell(&session.workspace, watched, &title, view).await
        }
    }
}

/// The writes that are meant, feed by feed.
async fn find(connection: &Connection, args: &args::Failures) -> Done<Vec<Unconfirmed>> {
    let (mut found, mut after): (Vec<Unconfirmed>, Option<(Feed, Box<str>)>) = (Vec::new(), None);
    loop {
        let keys = args.key.iter().map(|key| key.as_str().into()).collect();
        let filter = IntentFilter { keys, after: after.take(), limit: 1000, ..IntentFilter::default() };
        let page = connection.unconfirmed(filter).await?;
        after = page.last().filter(|_| page.len() == 1000).map(|write| (write.feed.clone(), write.key.clone()));
        found.extend(page.into_iter().filter(|write| args.stream.as_deref().is_none_or(|stream| write.feed.stream.as_str() == stream)));
        if after.is_none() || found.len() >= args.limit as usize {
            found.truncate(args.limit as usize);
            return Ok(found);
        }
    }
}

fn one<'w>(writes: &'w [Unconfirmed], args: &args::Failures) -> Done<&'w Unconfirmed> {
    match writes {
        [write] => Ok(write),
        [] => Err(Failure::usage(
            format!("no write of {:?} is open", args.key.as_deref().unwrap_or_default()),
            "failures",
            "see what is: syncline failures CONNECTION",
        )),
        several => {
            let streams = several.iter().map(|write| format!("{:?}", write.feed.stream.as_str())).collect::<Vec<_>>().join(", ");
            Err(Failure::usage(format!("there are several, of the streams {streams}"), "failures", "name the stream too"))
        }
    }
}

fn list(writes: &[Unconfirmed], connection: &Connection, view: View) {
    if view.json {
        output::json(&json!({ "unconfirmed": writes }));
        return;
    }
    let style = Style::stdout();
    if writes.is_empty() {
        output::line(format!("every write of {} is confirmed", connection.integration_name()));
    }
    for write in writes {
        let what = if write.delete { "delete of" } else { "write of" };
        let through = if write.feed.mapping.is_empty() { String::new() } else { format!(" through {}", write.feed.mapping) };
        output::line(format!(
            "{} {what} {}  {}/{}{through}",
            state(write.state, style),
            style.bold(output::plain(&write.key)),
            connection.integration_name(),
            output::plain(write.feed.stream.as_str()),
        ));
        if let Some(reason) = &write.reason {
            output::line(format!("  {}", output::plain(reason)));
        }
        let next = write.next_try.map_or_else(String::new, |at| format!(", due {}", at.format("%F %T UTC")));
        let sent = plural(write.attempts.into(), "time", "times");
        output::line(style.faint(format!("  sent {sent}, last {}{next}", write.since.format("%F %T UTC"))));
        output::line(format!("  {} {}", style.faint("to do:"), output::plain(&flags::spoken(&write.hint))));
    }
}

fn state(state: IntentState, style: Style) -> String {
    match state {
        IntentState::Failed => style.bad("refused "),
        IntentState::Unknown => style.warn("unknown "),
        IntentState::Conflict => style.bad("conflict"),
        IntentState::Pending => style.warn("pending "),
        IntentState::Sending => style.faint("sending "),
    }
}
