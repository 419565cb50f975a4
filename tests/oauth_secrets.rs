//! Secrets of authorizations, looked for in everything that comes out of them: codes, tokens, the client's secret, PKCE verifiers, states and
//! what binds a browser (TS7).

mod support;

use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use support::{World, clean};
use syncline::{
    Callback, ErrorKind, OAuthClient, Pull, RunFilter, Slack,
    core::ExposeSecret as _,
    providers::slack::simulator::SlackSim,
    testkit::{AuthorizationServer, Decision, Fault, Log, Outputs, SimAnswer, SimRequest, Simulated, Simulation, Simulator},
};

const REDIRECT: &str = "https://app.example/oauth/callback";
const CLIENT_SECRET: &str = "s3cret-of-client-5b1d9c02";

/// Everything that is logged in this process, at every level.
fn log() -> &'static Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    LOG.get_or_init(|| {
        let log = Log::default();
        let sink = log.clone();
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false).with_writer(move || sink.clone()).init();
        log
    })
}

/// Slack, that keeps the verifiers it is sent.
#[derive(Debug)]
struct Overheard {
    slack: SlackSim,
    verifiers: Arc<Mutex<Vec<String>>>,
}

impl Simulator for Overheard {
    fn operation(&self, request: &SimRequest) -> &'static str {
        self.slack.operation(request)
    }

    fn answer(&self, request: &SimRequest) -> SimAnswer {
        let form = request.form();
        let sent = form.into_iter().filter(|(name, _)| name == "code_verifier").map(|(_, value)| value);
        self.verifiers.lock().unwrap_or_else(PoisonError::into_inner).extend(sent);
        self.slack.answer(request)
    }

    fn simulated(&self) -> &'static [Simulated] {
        self.slack.simulated()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_of_an_authorization_turns_up_anywhere_through_good_and_failing_ones() {
    log();
    let world = World::new();
    let server = AuthorizationServer::new(SlackSim::authorization_rules(true)).with_client("client", Some(CLIENT_SECRET), &[REDIRECT]);
    let verifiers = Arc::<Mutex<Vec<String>>>::default();
    let slack = SlackSim::new("T024BE7LD", "Acme").authorized_by(&server);
    let simulation = Simulation::new(Overheard { slack, verifiers: Arc::clone(&verifiers) }).with_clock(world.clock.clone());
    let client = OAuthClient::new("client", REDIRECT).with_secret(CLIENT_SECRET);
    let mut seen = Outputs::default();
    seen.debug("client", &client);
    let builder = world
        .builder()
        .storage(world.storage().await)
        .provider(Slack::builder().transport(simulation.transport()).build().expect("a provider"))
        .oauth_client("slack", client.clone());
    seen.debug("builder", &builder);
    let syncline = builder.build().await.expect("an engine");
    let mut events = syncline.events();
    let acme = syncline.workspace("acme");
    acme.set_oauth_client("slack", client).await.expect("stored");

    // The address that the browser is sent to holds the state, and goes to nobody else.
    let (mut states, mut browsers) = (Vec::new(), Vec::new());
    let mut connection = None;
    let echo = |secret: &str| Fault::status(400, format!(r#"{{"ok":false,"error":"{secret}","error_description":"{secret}"}}"#));
    let faults = [
        None,
        Some(Fault::status(500, "down")),
        Some(Fault::Html),
        Some(echo(CLIENT_SECRET)),
        Some(Fault::LostAnswer),
        Some(Fault::Cut(40)),
    ];
    for (round, fault) in faults.into_iter().enumerate() {
        let begin = acme.begin_authorization("slack").user("ada");
        seen.debug("begin", &begin);
        let begun = begin.await.expect("begun");
        seen.debug("begun", &begun);
        let back = server.decide(&begun.url, &Decision::Approve, world.clock.now()).expect("sent back");
        let query = back.split_once('?').expect("a query").1.to_owned();
        let state = query.split('&').find_map(|pair| pair.strip_prefix("state=")).expect("a state").to_owned();
        let browser = begun.browser.expose_secret().to_owned();
        // While it is under way.
        seen.files(world.folder.path());
        let callback = |browser: &str| Callback::from_query(&query, browser.to_owned()).expect("a query").user("ada");
        seen.debug("callback", &callback(&browser));
        simulation.faults().clear();
        if let Some(fault) = fault {
            simulation.faults().push_times("oauth.token", fault, 4);
        }
        match syncline.finish_authorization(callback(&browser)).await {
            Ok(done) => {
                seen.debug("authorized", &done);
                connection = Some(done.connection);
            }
            Err(error) => {
                assert!(round > 0, "{error}");
                seen.error("refused", &error);
            }
        }
        seen.error("once more", &syncline.finish_authorization(callback(&browser)).await.expect_err("used"));
        states.push(state);
        browsers.push(browser);
    }
    simulation.faults().clear();
    let connection = connection.expect("the first went through");

    // Renewed, renewed in vain, and with a service that repeats what it was sent.
    for fault in [None, Some(Fault::status(503, "")), Some(echo(CLIENT_SECRET)), Some(Fault::Html)] {
        world.clock.advance(Duration::from_secs(13 * 3600));
        if let Some(fault) = fault {
            let refresh = server.issued().last().cloned().expect("tokens");
            simulation.faults().push("oauth.token", fault);
            simulation.faults().push("oauth.token", echo(&refresh));
        }
        for _ in 0..2 {
            match connection.ensure_valid_token().await {
                Ok(token) => seen.debug("token", &token),
                Err(error) => seen.error("renewal", &error),
            }
            world.clock.advance(Duration::from_secs(31));
        }
        simulation.faults().clear();
    }
    clean(&connection.sync_from_external(Pull::stream("users")).await.expect("it runs"));
    seen.debug("connection", &connection);
    seen.debug("why", &connection.why().await.expect("a diagnosis"));
    assert!(connection.disconnect().await.expect("taken away"));
    assert_eq!(connection.ensure_valid_token().await.expect_err("gone").kind(), ErrorKind::Auth);

    seen.debug("runs", &acme.runs(RunFilter::default()).await.expect("runs"));
    seen.debug("connections", &acme.connections().await.expect("connections"));
    seen.debug("activity", &acme.activities(1_000).await.expect("activity"));
    seen.debug("stored events", &acme.events_after(0, 1_000).await.expect("events"));
    seen.debug("engine", &syncline);
    seen.files(world.folder.path());
    drop((connection, acme, syncline));
    while let Some(event) = events.next().await {
        seen.text("event", format!("{event:?}"));
    }
    seen.files(world.folder.path());
    let logged = log().text();
    for line in ["authorization begun", "renewed the token", "connected"] {
        assert!(logged.contains(line), "the log was listened to: {line:?}");
    }
    seen.log(log());

    let verifiers = verifiers.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let issued = server.issued();
    // Faults that answer by themselves keep the request from the service.
    assert!(verifiers.len() >= 3 && issued.len() > 10 && states.len() == 6, "{} {}", verifiers.len(), issued.len());
    let secrets = [issued, verifiers, states, browsers, vec![CLIENT_SECRET.to_owned()]].concat();
    for secret in &secrets {
        assert_eq!(seen.leaks_of(secret), [], "{secret}");
    }
    // That they would have been found.
    seen.text("planted", format!("state={}", secrets[secrets.len() / 2]));
    assert_eq!(seen.leaks_of(&secrets[secrets.len() / 2]).len(), 1);
}
