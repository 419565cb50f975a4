//! Providers whose test of credentials fails or panics.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use syncline::{
    Credentials,
    core::{
        Account, CallSite, Descriptor, Error, ErrorKind, IntegrationSync, Partitions, PullPage, PullRequest, Quota, Result, Stream,
        StreamName, SyncContext, async_trait,
    },
};

use crate::support::World;

/// Its n-th test of credentials goes as written; each holds a token and the one permit there is while it does.
#[derive(Debug)]
struct Moody {
    descriptor: Descriptor,
    turns: Arc<AtomicUsize>,
}

const QUOTAS: &[Quota] = &[Quota { bucket: "test", units: 100, per: std::time::Duration::from_secs(1) }];

#[async_trait]
impl IntegrationSync for Moody {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    async fn validate_credentials(&self, cx: &SyncContext) -> Result<Account> {
        let turn = self.turns.fetch_add(1, SeqCst);
        cx.services.token(&cx.connection, None).await?;
        let call = CallSite { workspace: &cx.workspace, connection: Some(&cx.connection), host: "moody", bucket: "test", cost: 1 };
        let _permit = cx.services.permit(&call, cx.deadline).await?;
        match turn {
            1 | 4 => panic!("the answer was not what I thought"),
            2 => Err(Error::new(ErrorKind::Transport, "test", "the service is down")),
            3 => Err(Error::new(ErrorKind::Auth, "test", "refused")),
            _ => Ok(Account { id: "account of version 0".into(), name: None }),
        }
    }

    async fn streams(&self, _: &SyncContext) -> Result<Vec<Stream>> {
        Ok(Vec::new())
    }

    async fn partitions(&self, _: &SyncContext, _: &StreamName) -> Result<Partitions> {
        Err(Error::unsupported("partitions"))
    }

    async fn pull(&self, _: &SyncContext, _: &PullRequest) -> Result<PullPage> {
        Err(Error::unsupported("pull"))
    }
}

#[tokio::test]
async fn a_test_of_credentials_that_fails_or_panics_is_no_and_poisons_nothing() {
    let world = World::new();
    let turns = Arc::new(AtomicUsize::new(0));
    let descriptor = Descriptor { quotas: QUOTAS, ..Descriptor::new("moody", "Moody") };
    let syncline = world.open(Moody { descriptor, turns: Arc::clone(&turns) }).await;
    let connection = syncline.workspace("acme").connect("moody", Credentials::api_key("key")).await.expect("the first goes well");
    let mut said = Vec::new();
    for _ in 0..5 {
        said.push(connection.is_valid().await);
    }
    assert_eq!(said, [false, false, false, false, true], "panic, error, refusal, panic, and then it works");
    assert_eq!(turns.load(SeqCst), 6, "each of them asked");
    connection.ensure_valid_token().await.expect("the token opens as before");
    connection.validate_credentials().await.expect("through the same handle");
    let row = connection.load_config().await.expect("a row");
    assert_eq!((row.status.as_str(), row.error_count), ("active", 0), "a look changes nothing");
}
