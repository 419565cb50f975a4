//! `sandbox`: every simulated service on this machine, for any client, until stopped.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use serde_json::json;
use syncline::{
    providers::{sheets::simulator::SheetsSim, slack::simulator::SlackSim},
    testkit::{AuthorizationServer, Sandbox, Simulation},
};

use super::{
    View,
    demo::{
        sheet::{self, Book},
        talk::Talk,
    },
};
use crate::{
    args,
    exit::{Done, Exit, Failure},
    output::{self, Style},
    signal,
};

/// The tokens of the simulated accounts; they open nothing else.
const SHEETS_TOKEN: &str = "ya29.sandbox-token-of-a-simulated-account";
const SLACK_TOKEN: &str = "xoxb-sandbox-token-of-a-simulated-workspace";

/// The OAuth client of both; it may be sent back to any address of this machine.
const CLIENT_ID: &str = "sandbox-client";
const CLIENT_SECRET: &str = "sandbox-client-secret";

pub(crate) async fn run(args: &args::Sandbox, view: View) -> Done {
    // Before anything is printed: whoever reads that it runs may stop it.
    let mut stop = signal::Stop::listen().map_err(unheard)?;
    let [google, slack] = [SheetsSim::authorization_rules(), SlackSim::authorization_rules(true)]
        .map(|rules| AuthorizationServer::new(rules).with_local_client(CLIENT_ID, Some(CLIENT_SECRET)));
    let book = Simulation::new(Book::seeded(SHEETS_TOKEN).authorized_by(&google));
    let talk = Simulation::new(Talk::seeded(SLACK_TOKEN).authorized_by(&slack));
    let sandbox = Sandbox::default().mount("sheets", "Google Sheets", SHEETS_TOKEN, &book).mount("slack", "Slack", SLACK_TOKEN, &talk);
    let served =
        sandbox.serve_at(SocketAddr::from((Ipv4Addr::LOCALHOST, args.port))).await.map_err(|problem| refused(args.port, &problem))?;
    let (url, style) = (served.url.as_str(), Style::stdout());
    // Google serves Drive from another host; here it stands beside Sheets.
    let places = [
        (
            "sheets",
            "Google Sheets",
            format!("{url}/sheets/"),
            SHEETS_TOKEN,
            json!({ "spreadsheet_id": sheet::ID }),
            [format!("{url}/sheets/o/oauth2/v2/auth"), format!("{url}/sheets/token"), format!("{url}/sheets/revoke")],
        ),
        (
            "slack",
            "Slack",
            format!("{url}/slack/api/"),
            SLACK_TOKEN,
            json!({}),
            [format!("{url}/slack/oauth/v2/authorize"), format!("{url}/slack/api/oauth.v2.access"), format!("{url}/slack/api/auth.revoke")],
        ),
    ];
    if view.json {
        let providers: serde_json::Map<_, _> = places
            .iter()
            .map(|(name, _, base_url, token, settings, [authorize, exchange, revoke])| {
                let oauth = json!({
                    "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "authorize_url": authorize, "token_url": exchange,
                    "revoke_url": revoke,
                });
                ((*name).to_owned(), json!({ "base_url": base_url, "token": token, "settings": settings, "oauth": oauth }))
            })
            .collect();
        // One line, so that whoever started it can read it while it runs.
        output::verbatim(json!({ "base_url": url, "providers": providers }));
    } else {
        output::line(format!("{}  {url}", style.bold("Syncline sandbox")));
        output::line("Simulated services; nothing here reaches a real account, and everything is forgotten at the end.");
        for (name, title, base_url, token, settings, [authorize, exchange, revoke]) in &places {
            output::line("");
            output::line(style.bold(title));
            output::verbatim(format!("  base URL  {base_url}"));
            output::verbatim(format!("  token     {token}"));
            for (setting, value) in settings.as_object().into_iter().flatten() {
                output::verbatim(format!("  {setting}  {}", value.as_str().unwrap_or_default()));
            }
            output::verbatim(format!("  OAuth     {authorize}"));
            output::verbatim(format!("            {exchange}"));
            output::verbatim(format!("            {revoke}"));
            output::verbatim(format!("  client    {CLIENT_ID} {CLIENT_SECRET}"));
            let set = settings.as_object().into_iter().flatten().map(|(k, v)| format!(" --set {k}={}", v.as_str().unwrap_or_default()));
            let variable = format!("SYNCLINE_{}_BASE_URL", name.to_uppercase());
            output::verbatim(
                style.faint(format!("  {variable}={base_url} SYNCLINE_TOKEN={token} syncline connect {name}{}", set.collect::<String>())),
            );
        }
        output::line("");
        output::line(format!("What is simulated, and what is not: {url}/    Ctrl-C ends it."));
    }
    stop.asked().await.map_err(unheard)?;
    Ok(Exit::Done)
}

#[expect(clippy::needless_pass_by_value, reason = "the form map_err asks for")]
fn unheard(problem: io::Error) -> Failure {
    Failure::failed(problem.to_string(), "Ctrl-C", "please report this")
}

fn refused(port: u16, problem: &io::Error) -> Failure {
    let hint = match problem.kind() {
        io::ErrorKind::AddrInUse => "end what listens there, or take another port: --port 0 takes a free one",
        io::ErrorKind::PermissionDenied => "take a port above 1023, or --port 0",
        _ => "allow this program to listen on 127.0.0.1",
    };
    Failure::failed(format!("port {port} on 127.0.0.1 cannot be opened: {problem}"), "sandbox", hint)
}
