use std::sync::{Mutex as StdMutex, PoisonError};

use sync_core::{CallOutcome, ExposeSecret, Health, Quota, store::SealedCredentials};

use super::*;

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

mockall::mock! {
    #[derive(Debug)]
    Store {}

    #[async_trait]
    impl ConnectionStore for Store {
        async fn connect(&self, new: sync_core::store::NewConnection) -> Result<sync_core::store::Connection>;
        async fn connection(&self, id: &ConnectionId) -> Result<Option<sync_core::store::Connection>>;
        async fn connections(&self) -> Result<Vec<sync_core::store::Connection>>;
        async fn update_connection(
            &self,
            id: &ConnectionId,
            patch: sync_core::store::ConnectionPatch,
            at: DateTime<Utc>,
        ) -> Result<sync_core::store::Connection>;
        async fn credentials(&self, id: &ConnectionId) -> Result<Option<SealedCredentials>>;
        async fn replace_credentials(&self, id: &ConnectionId, expected: u64, sealed: SealedCredentials, at: DateTime<Utc>) -> Result<bool>;
    }
}

const QUOTAS: &[Quota] = &[Quota { bucket: "read", units: 1, per: Duration::from_secs(60) }];

struct World {
    clock: Arc<Jumping>,
    services: ConnectionServices,
    connection: ConnectionId,
}

type Stored = (&'static str, u64, Option<DateTime<Utc>>);

/// Services whose store answers these credentials in turn: the secret, its version, and when it ends.
fn world(stored: Vec<Option<Stored>>) -> World {
    let clock = Arc::new(Jumping(StdMutex::new(DateTime::UNIX_EPOCH)));
    let keyring = Keyring::parse(&Keyring::generate("k")).expect("well formed");
    let (workspace, connection) = (WorkspaceId::from("acme"), ConnectionId::from("c1"));
    let mut store = MockStore::new();
    let (sealer, owner, id) = (keyring.clone(), workspace.clone(), connection.clone());
    let mut stored = stored.into_iter();
    store.expect_credentials().returning(move |_| {
        let answer = stored.next().expect("the store is not asked again");
        answer
            .map(|(secret, version, expires_at)| {
                let place = Place { workspace: &owner, connection: &id, field: Field::Access };
                Ok(SealedCredentials { access: sealer.seal(place, &secret.into())?, refresh: None, expires_at, version })
            })
            .transpose()
    });
    let shared = Shared { clock: Arc::new(Arc::clone(&clock)), keyring, limits: Limits::default(), breakers: Breakers::default() };
    let descriptor = Descriptor { quotas: QUOTAS, ..Descriptor::new("demo", "Demo") };
    let services = ConnectionServices::new(Arc::new(shared), Arc::new(store), workspace, &descriptor);
    World { clock, services, connection }
}

impl World {
    async fn token(&self, rejected: Option<u64>) -> Result<(String, u64)> {
        let token = self.services.token(&self.connection, rejected).await?;
        Ok((token.secret.expose_secret().to_owned(), token.version))
    }

    async fn permit(&self, deadline: Duration) -> Result<Permit> {
        let workspace = WorkspaceId::from("acme");
        let call = CallSite { workspace: &workspace, connection: Some(&self.connection), host: "api.demo", bucket: "read", cost: 1 };
        self.services.permit(&call, self.services.now() + deadline).await
    }
}

#[tokio::test]
async fn an_opened_token_is_kept_for_half_a_minute_and_then_read_anew() {
    let world = world(vec![Some(("first", 1, None)), Some(("second", 2, None))]);
    assert_eq!(world.token(None).await.expect("opens"), ("first".into(), 1));
    world.clock.advance(Duration::from_secs(29));
    assert_eq!(world.token(None).await.expect("kept"), ("first".into(), 1));
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.token(None).await.expect("read anew"), ("second".into(), 2));
}

#[tokio::test]
async fn a_refused_token_is_replaced_by_a_newer_one_or_ends_in_an_auth_error() {
    let world = world(vec![Some(("old", 1, None)), Some(("new", 2, None)), Some(("new", 2, None))]);
    assert_eq!(world.token(None).await.expect("opens").1, 1);
    assert_eq!(world.token(Some(1)).await.expect("somebody renewed it"), ("new".into(), 2));
    let error = world.token(Some(2)).await.expect_err("there is no newer one");
    assert_eq!(error.kind(), ErrorKind::Auth);
    assert!(!format!("{error:?}").contains("new\""), "{error:?}");
}

#[tokio::test]
async fn missing_and_expired_tokens_are_explained() {
    let missing = world(vec![None]).token(None).await.expect_err("nothing is stored");
    assert!(missing.to_string().contains("no access token found"), "{missing}");
    let expired = world(vec![Some(("t", 1, Some(DateTime::UNIX_EPOCH)))]).token(None).await.expect_err("it has ended");
    assert!(expired.to_string().contains("expired"), "{expired}");
    assert_eq!((missing.kind(), expired.kind()), (ErrorKind::Auth, ErrorKind::Auth));
}

#[tokio::test]
async fn a_permit_waits_for_quota_and_parks_what_is_beyond_the_deadline() {
    let world = world(vec![]);
    drop(world.permit(Duration::from_secs(300)).await.expect("the first is free"));
    let error = world.permit(Duration::from_secs(30)).await.expect_err("a minute is beyond 30 s");
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert!(matches!(error.retry(), Retry::After(Some(wait)) if wait > Duration::from_secs(59)), "{error:?}");
    drop(world.permit(Duration::from_secs(300)).await.expect("it waits"));
    assert!(world.services.now() >= DateTime::UNIX_EPOCH + Duration::from_secs(60));
}

#[tokio::test]
async fn a_retry_after_of_one_call_holds_back_the_next() {
    let world = world(vec![]);
    let permit = world.permit(Duration::from_secs(300)).await.expect("free");
    permit.report(CallOutcome { health: Health::Ignored, took: Duration::ZERO, left: None, resets_in: Some(Duration::from_secs(200)) });
    drop(world.permit(Duration::from_secs(300)).await.expect("it waits"));
    assert!(world.services.now() >= DateTime::UNIX_EPOCH + Duration::from_secs(200));
}
