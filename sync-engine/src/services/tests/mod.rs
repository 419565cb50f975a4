mod memory;
mod renewals;

use std::sync::{Mutex as StdMutex, PoisonError};

use futures_util::FutureExt as _;
use sync_core::{CallOutcome, ExposeSecret, Grant, Health, Quota, RefreshRule, store::SealedCredentials};

use self::memory::{Authority, Counts, Memory, kind};
use super::*;
use crate::{
    OAuthClient,
    vault::{Field, Place},
};

/// A clock that jumps when somebody waits.
#[derive(Debug)]
struct Jumping(StdMutex<DateTime<Utc>>);

impl Jumping {
    fn advance(&self, by: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }
}

impl Clock for Arc<Jumping> {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sleep(&self, wait: Duration) -> BoxFuture<'static, ()> {
        self.advance(wait);
        Box::pin(std::future::ready(()))
    }
}

const QUOTAS: &[Quota] = &[Quota { bucket: "read", units: 1, per: Duration::from_secs(60) }];

struct World {
    clock: Arc<Jumping>,
    store: Arc<Memory>,
    authority: Arc<Authority>,
    counts: Arc<Counts>,
    services: ConnectionServices,
    connection: ConnectionId,
    keyring: Keyring,
}

/// What is stored: the secret, its refresh token, its version, and when it ends, in seconds.
#[derive(Clone, Copy)]
struct Stored(&'static str, Option<&'static str>, u64, Option<i64>);

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).expect("a time")
}

impl World {
    /// Services of a connection whose store holds this, of a provider whose refresh tokens follow this rule.
    fn new(stored: Option<Stored>, rule: Option<RefreshRule>) -> Self {
        let clock = Arc::new(Jumping(StdMutex::new(DateTime::UNIX_EPOCH)));
        let keyring = Keyring::parse(&Keyring::generate("k")).expect("well formed");
        let store = Arc::new(Memory::new(None));
        let authority = Arc::new(Authority::new(rule, QUOTAS));
        let counts = Arc::new(Counts::default());
        let mut clients = Clients::default();
        clients.0.insert("demo".into(), OAuthClient::new("client", "https://app.example/callback").with_secret("client-secret"));
        let shared = Shared {
            clock: Arc::new(Arc::clone(&clock)),
            keyring: keyring.clone(),
            fleet: Arc::clone(&counts) as _,
            limits: Limits::default(),
            breakers: Breakers::default(),
            clients,
            renewals: Turns::default(),
            crash_points: CrashPoints::default(),
        };
        let stores = Stores {
            connections: Arc::clone(&store) as _,
            authorizations: Arc::clone(&store) as _,
            leases: Arc::clone(&store) as _,
            activity: Arc::clone(&store) as _,
        };
        let services = ConnectionServices::new(Arc::new(shared), stores, "acme".into(), Arc::clone(&authority) as _);
        let world = Self { clock, store, authority, counts, services, connection: "c1".into(), keyring };
        if let Some(stored) = stored {
            world.keep(stored);
        }
        world
    }

    /// What another process would see and do.
    fn other(&self) -> ConnectionServices {
        let shared = Shared {
            clock: Arc::new(Arc::clone(&self.clock)),
            keyring: self.keyring.clone(),
            fleet: Arc::clone(&self.counts) as _,
            limits: Limits::default(),
            breakers: Breakers::default(),
            clients: Clients(self.services.shared.clients.0.clone()),
            renewals: Turns::default(),
            crash_points: CrashPoints::default(),
        };
        ConnectionServices::new(Arc::new(shared), self.services.stores.clone(), "acme".into(), Arc::clone(&self.authority) as _)
    }

    fn keep(&self, Stored(access, refresh, version, ends): Stored) {
        let workspace = WorkspaceId::from("acme");
        let seal = |field, text: &str| {
            let place = Place { workspace: &workspace, owner: "c1", field };
            let mut seals = self.keyring.reserve(&Counts::default(), 1).now_or_never().expect("it waits for nothing").expect("granted");
            seals.seal(place, &text.into()).expect("sealed")
        };
        *memory::locked(&self.store.credentials) = Some(SealedCredentials {
            access: seal(Field::Access, access),
            refresh: refresh.map(|text| seal(Field::Refresh, text)),
            grant: kind(refresh),
            scopes: None,
            client_id: None,
            issued_at: Some(at(0)),
            expires_at: ends.map(at),
            version,
        });
    }

    async fn token(&self, rejected: Option<u64>) -> Result<(String, u64)> {
        told(&self.services, rejected).await
    }

    async fn permit(&self, deadline: Duration) -> Result<Permit> {
        let workspace = WorkspaceId::from("acme");
        let call = CallSite { workspace: &workspace, connection: Some(&self.connection), host: "api.demo", bucket: "read", cost: 1 };
        self.services.permit(&call, self.services.now() + deadline).await
    }
}

async fn told(services: &ConnectionServices, rejected: Option<u64>) -> Result<(String, u64)> {
    let token = services.token(&"c1".into(), rejected).await?;
    Ok((token.secret.expose_secret().to_owned(), token.version))
}

#[tokio::test]
async fn an_opened_token_is_kept_for_half_a_minute_and_then_read_anew() {
    let world = World::new(Some(Stored("first", None, 1, None)), None);
    assert_eq!(world.token(None).await.expect("opens"), ("first".into(), 1));
    world.keep(Stored("second", None, 2, None));
    world.clock.advance(Duration::from_secs(29));
    assert_eq!(world.token(None).await.expect("kept"), ("first".into(), 1));
    assert_eq!(*memory::locked(&world.store.reads), 1);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.token(None).await.expect("read anew"), ("second".into(), 2));
}

#[tokio::test]
async fn a_kept_token_is_not_sent_beyond_its_end() {
    let world = World::new(Some(Stored("short", None, 1, Some(10))), None);
    assert_eq!(world.token(None).await.expect("opens").0, "short");
    world.clock.advance(Duration::from_secs(10));
    assert_eq!(world.token(None).await.expect_err("it has ended").kind(), ErrorKind::Auth);
}

#[tokio::test]
async fn a_refused_token_is_replaced_by_a_newer_one_or_ends_in_an_auth_error() {
    let world = World::new(Some(Stored("old", None, 1, None)), None);
    assert_eq!(world.token(None).await.expect("opens").1, 1);
    world.keep(Stored("new", None, 2, None));
    assert_eq!(world.token(Some(1)).await.expect("somebody renewed it"), ("new".into(), 2));
    let error = world.token(Some(2)).await.expect_err("there is no newer one");
    assert_eq!(error.kind(), ErrorKind::Auth);
    assert!(!format!("{error:?}").contains("new\""), "{error:?}");
}

#[tokio::test]
async fn missing_and_expired_tokens_are_explained() {
    let missing = World::new(None, None).token(None).await.expect_err("nothing is stored");
    assert!(missing.to_string().contains("no access token found"), "{missing}");
    let expired = World::new(Some(Stored("t", None, 1, Some(0))), None).token(None).await.expect_err("it has ended");
    assert!(expired.to_string().contains("expired, and there is no refresh token"), "{expired}");
    assert_eq!((missing.kind(), expired.kind()), (ErrorKind::Auth, ErrorKind::Auth));
}

#[tokio::test]
async fn a_permit_waits_for_quota_and_parks_what_is_beyond_the_deadline() {
    let world = World::new(None, None);
    drop(world.permit(Duration::from_secs(300)).await.expect("the first is free"));
    let error = world.permit(Duration::from_secs(30)).await.expect_err("a minute is beyond 30 s");
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert!(matches!(error.retry(), Retry::After(Some(wait)) if wait > Duration::from_secs(59)), "{error:?}");
    drop(world.permit(Duration::from_secs(300)).await.expect("it waits"));
    assert!(world.services.now() >= DateTime::UNIX_EPOCH + Duration::from_secs(60));
}

#[tokio::test]
async fn a_retry_after_of_one_call_holds_back_the_next() {
    let world = World::new(None, None);
    let permit = world.permit(Duration::from_secs(300)).await.expect("free");
    permit.report(CallOutcome { health: Health::Ignored, took: Duration::ZERO, left: None, resets_in: Some(Duration::from_secs(200)) });
    drop(world.permit(Duration::from_secs(300)).await.expect("it waits"));
    assert!(world.services.now() >= DateTime::UNIX_EPOCH + Duration::from_secs(200));
}
