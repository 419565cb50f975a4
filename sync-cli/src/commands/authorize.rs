//! `connect --browser` and `connect --again`: sends a browser to the service and takes what it comes back with.

mod listen;
mod paste;
mod way;

use serde_json::Value;
use syncline::{Authorized, BeginAuthorization, Callback, ErrorKind, core::ExposeSecret as _};
use url::Url;

use self::way::Way;
use super::{View, connect};
use crate::{
    args::Connect,
    config::Config,
    exit::{Done, Failure},
    keys::Need,
    output::Style,
    session::Session,
    signal,
};

/// Connects an account with these settings.
pub(crate) async fn new(config: &Config, args: &Connect, provider: &str, settings: Value, view: View) -> Done {
    let way = Way::of(config, args, provider)?;
    let session = Session::open(config, Need::Seal).await?;
    let mut begin = session.workspace.begin_authorization(provider).settings(settings);
    if let Some(subject) = &args.subject {
        begin = begin.subject(subject.as_str());
    }
    if !args.replace {
        begin = begin.only_new();
    }
    go(&session, args, provider, (begin, way), view).await
}

/// Connects the account of a connection again; what is set of it stays.
pub(crate) async fn again(config: &Config, args: &Connect, named: &str, view: View) -> Done {
    let session = Session::open(config, Need::Open).await?;
    let connection = session.connection(named).await?;
    let provider = connection.integration_name();
    let way = Way::of(config, args, provider)?;
    let begin = connection.begin_authorization().await?;
    go(&session, args, provider, (begin, way), view).await
}

async fn go(session: &Session, args: &Connect, provider: &str, (begin, way): (BeginAuthorization, Way), view: View) -> Done {
    let before: Vec<_> = session.workspace.connections().await?.into_iter().filter(|row| *row.provider == *provider).collect();
    // Listening begins before anybody is sent away.
    let listening = match &way {
        Way::Listen(place) => Some(listen::Listening::begin(place).await?),
        Way::Paste(_) => None,
    };
    let begun = begin.await?;
    let state = state_of(&begun.url).unwrap_or_default();
    eprintln!("Open this address in a browser and grant access there:\n");
    eprintln!("  {}\n", begun.url);
    if !args.no_open {
        open(&begun.url);
    }
    let until = begun.expires_at.format("%H:%M");
    match &way {
        Way::Listen(place) => eprintln!("Waiting for the answer at {} until {until} UTC. Ctrl-C gives up.", place.uri),
        Way::Paste(uri) => {
            eprintln!("The browser ends at an address that begins with {uri}, whether a page is there or not.");
            eprintln!("Paste that address here until {until} UTC. Ctrl-C gives up.");
        }
    }
    let back = async {
        match (listening, &way) {
            (Some(listening), _) => listening.answer(&state).await,
            (None, Way::Paste(uri) | Way::Listen(way::Place { uri, .. })) => paste::answer(uri, &state).await,
        }
    };
    let left = (begun.expires_at - chrono::Utc::now()).to_std().unwrap_or_default();
    let query = tokio::select! {
        query = back => query?,
        () = tokio::time::sleep(left) => {
            let text = "nobody came back in time";
            return Err(Failure::failed(text, "connect --browser", "run it again, and grant access within ten minutes"));
        }
        stopped = signal::stopped() => {
            stopped.map_err(|problem| Failure::failed(problem.to_string(), "Ctrl-C", "please report this"))?;
            return Err(Failure::interrupted("given up; nothing was stored"));
        }
    };
    let callback = Callback::from_query(&query, begun.browser.expose_secret().to_owned())?;
    let Authorized { connection, missing_scopes, lost_streams, .. } =
        session.engine.finish_authorization(callback).await.map_err(|error| match error.kind() {
            ErrorKind::Auth if args.again.is_some() => Failure::of(&error).hint("run `syncline connect --again` again"),
            ErrorKind::Auth => Failure::of(&error).hint("run `syncline connect --browser` again"),
            ErrorKind::Conflict if args.again.is_none() => Failure::of(&error).hint(
                "to sign in to it again: `syncline connect --again CONNECTION`; to give it other settings as well: `connect … --browser --replace`",
            ),
            _ => Failure::of(&error),
        })?;
    if !missing_scopes.is_empty() && !view.quiet {
        let style = Style::stderr();
        eprintln!("{} not granted: {}", style.warn("!"), missing_scopes.join(", "));
        if !lost_streams.is_empty() {
            eprintln!("  without that these streams cannot be used: {}", lost_streams.join(", "));
        }
    }
    connect::tell(&connection, &before, view).await
}

/// The `state` that an address carries.
fn state_of(address: &str) -> Option<String> {
    state_in(Url::parse(address).ok()?.query()?)
}

/// The `state` in a query.
fn state_in(query: &str) -> Option<String> {
    url::form_urlencoded::parse(query.as_bytes()).find_map(|(name, value)| (name == "state").then(|| value.into_owned()))
}

/// Opens an address in the person's browser, where there is a way to.
fn open(url: &str) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let quiet = std::process::Stdio::null;
    // Whoever sits at another machine opens it by hand.
    let _ = std::process::Command::new(program).arg(url).stdin(quiet()).stdout(quiet()).stderr(quiet()).spawn();
}
