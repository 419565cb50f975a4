//! An ad platform in memory: delays, failures, lost answers and ids as real ones have them, all from one seed.

mod roll;
mod shelf;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use sync_core::{
    CallOutcome, CallSite, CampaignPlatformAdapter, Delivery, Draft, Error, ErrorKind, Health, Level, Marker, PageToken, PlatformId,
    PlatformObject, PlatformPage, Result, Retry, SyncContext, TargetStatus,
};

pub use self::roll::Rates;
use self::{
    roll::{Luck, Roll},
    shelf::{Object, Shelf},
};
use super::{Held, PlatformSide, Trouble};

/// Attempts a refused connection lasts for.
const REFUSED_FOR: usize = 10;

/// An ad platform in memory. Clones are the same platform; the same seed, rates and calls give the same ids, delays and failures.
///
/// Delays pass on the clock of the [`Services`](sync_core::Services) a call is made with. Names are unique inside a
/// parent, unless told otherwise. An ad takes two parts, `media` and `post`; the other levels take none.
///
/// ```
/// use sync_testkit::{TestServices, suite::campaign::{MockAdapter, Rates}};
/// use sync_core::{CampaignPlatformAdapter, Draft, Level, Marker};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> sync_core::Result<()> {
/// let platform = MockAdapter::new(7).rates(Rates { failures: 100, lost_answers: 20, ..Rates::default() }); // of a thousand
/// let cx = TestServices::new(7).context(serde_json::json!({}));
/// let fields = serde_json::value::to_raw_value(&serde_json::json!({ "name": "Spring" })).expect("JSON");
/// let draft = Draft { level: Level::Campaign, parent: None, parts: &[], fields: &fields };
/// let campaign = platform.create(&cx, &Marker::from("m1"), &draft).await?;
/// assert_eq!(&*campaign.status, "PAUSED");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MockAdapter(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    shelf: Shelf,
    roll: Roll,
    rates: Rates,
    page: usize,
    troubles: BTreeMap<&'static str, Vec<Trouble>>,
}

/// What a call has been let through to do.
struct Entered {
    luck: Luck,
    permit: sync_core::Permit,
    took: Duration,
}

impl MockAdapter {
    /// A platform without objects where nothing goes wrong and nothing takes time.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let state = State { shelf: Shelf::default(), roll: Roll::new(seed), rates: Rates::default(), page: 3, troubles: BTreeMap::new() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Sets how often what goes wrong, and how long answers take.
    #[must_use]
    pub fn rates(self, rates: Rates) -> Self {
        self.state().rates = rates;
        self
    }

    /// Sets how many objects a page of [`fetch`](CampaignPlatformAdapter::fetch) has; 3 at first.
    #[must_use]
    pub fn page_size(self, objects: usize) -> Self {
        self.state().page = objects.max(1);
        self
    }

    /// Sets whether two objects of a level under one parent may have one name; they may not at first.
    #[must_use]
    pub fn same_names(self, allowed: bool) -> Self {
        self.state().shelf.same_names = allowed;
        self
    }

    /// Changes an object's fields as its users would; answers whether there is one.
    pub fn edit(&self, id: &PlatformId, fields: &serde_json::Value) -> bool {
        self.state().shelf.change(id.as_str(), fields)
    }

    /// How many objects of a level were made in all, deleted ones included.
    #[must_use]
    pub fn made(&self, level: Level) -> usize {
        self.state().shelf.made(level)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Permit, delay and luck of one call.
    async fn enter(&self, cx: &SyncContext, operation: &'static str, level: Level) -> Result<Entered> {
        let site =
            CallSite { workspace: &cx.workspace, connection: Some(&cx.connection), host: "ads.mock.example", bucket: "requests", cost: 1 };
        let permit = cx.services.permit(&site, cx.deadline).await?;
        cx.services.token(&cx.connection, None).await?;
        let (luck, took) = {
            let mut state = self.state();
            let rates = state.rates;
            let mut luck = state.roll.luck(&rates);
            let planned = (operation == "mock.create").then(|| state.troubles.get_mut(name_of(level))).flatten().and_then(Vec::pop);
            if let Some(trouble) = planned {
                luck = Luck::Trouble(trouble);
            }
            (luck, state.roll.delay(&rates))
        };
        if !took.is_zero() {
            cx.services.sleep(took).await;
        }
        Ok(Entered { luck, permit, took })
    }

    /// One call: what the platform does, and whether its answer arrives.
    async fn call<T>(
        &self,
        cx: &SyncContext,
        operation: &'static str,
        level: Level,
        act: impl FnOnce(&mut State) -> Result<T> + Send,
    ) -> Result<T> {
        let Entered { luck, permit, took } = self.enter(cx, operation, level).await?;
        let lost = |text| Error::new(ErrorKind::Transport, operation, text).with_delivery(Delivery::Unknown);
        let ended = match luck {
            Luck::Good => act(&mut self.state()),
            Luck::Trouble(Trouble::LostAnswer) => {
                // Whatever became of it, nobody hears of it.
                drop(act(&mut self.state()));
                Err(lost("no answer came: connection reset"))
            }
            Luck::Trouble(Trouble::LostRequest) => Err(lost("no answer came: connection reset")),
            Luck::Trouble(Trouble::Refused) => Err(Error::new(ErrorKind::Transport, operation, "no connection could be made")
                .with_retry(Retry::After(None))
                .with_delivery(Delivery::NotSent)),
            Luck::Trouble(Trouble::Invalid) => Err(Error::new(ErrorKind::Invalid, operation, "the platform refused the data")),
            Luck::Busy(wait) => Err(Error::new(ErrorKind::RateLimited, operation, "too many calls").with_retry(Retry::After(Some(wait)))),
        };
        let health = match &ended {
            Ok(_) => Health::Good,
            Err(error) if error.kind() == ErrorKind::Transport => Health::Failed,
            Err(_) => Health::Ignored,
        };
        permit.report(CallOutcome { health, took, left: None, resets_in: None });
        // A call that changes nothing a second time is worth another try even when its answer was lost.
        ended.map_err(|error| match error.kind() {
            ErrorKind::Transport if operation != "mock.create" => error.with_retry(Retry::After(None)),
            _ => error,
        })
    }
}

/// A level as it is told apart in troubles.
fn name_of(level: Level) -> &'static str {
    match level {
        Level::Campaign => "campaign",
        Level::AdGroup => "ad group",
        Level::Ad => "ad",
        Level::Keyword => "keyword",
        Level::Part(name) => name,
    }
}

fn answered(object: &Object) -> PlatformObject {
    PlatformObject {
        level: object.level,
        id: PlatformId::from(object.id.as_str()),
        status: object.status.into(),
        fields: Bytes::from(object.fields.to_string()),
    }
}

#[async_trait]
impl CampaignPlatformAdapter for MockAdapter {
    fn parts(&self, draft: &Draft<'_>) -> &'static [&'static str] {
        shelf::parts(draft.level)
    }

    async fn create(&self, cx: &SyncContext, marker: &Marker, draft: &Draft<'_>) -> Result<PlatformObject> {
        self.call(cx, "mock.create", draft.level, |state| state.shelf.create(&mut state.roll, marker, draft).map(answered)).await
    }

    async fn update(&self, cx: &SyncContext, id: &PlatformId, draft: &Draft<'_>) -> Result<PlatformObject> {
        self.call(cx, "mock.update", draft.level, |state| state.shelf.update(id, draft).map(answered)).await
    }

    async fn set_status(&self, cx: &SyncContext, level: Level, id: &PlatformId, status: TargetStatus) -> Result<PlatformObject> {
        self.call(cx, "mock.set_status", level, |state| state.shelf.set_status(level, id, status).map(answered)).await
    }

    async fn find(&self, cx: &SyncContext, marker: &Marker, draft: &Draft<'_>) -> Result<Vec<PlatformObject>> {
        self.call(cx, "mock.find", draft.level, |state| Ok(state.shelf.find(marker, draft).map(answered).collect())).await
    }

    async fn fetch(&self, cx: &SyncContext, level: Level, ids: Option<&[PlatformId]>, after: Option<&PageToken>) -> Result<PlatformPage> {
        self.call(cx, "mock.fetch", level, |state| {
            let (objects, next) = state.shelf.fetch(level, ids, after.map(PageToken::as_str), state.page)?;
            Ok((objects.into_iter().map(answered).collect(), next.map(PageToken::from)))
        })
        .await
    }
}

impl PlatformSide for MockAdapter {
    fn objects(&self, level: Level) -> BTreeMap<String, Held> {
        let state = self.state();
        let there = state.shelf.of(level).map(|object| {
            let held = Held { running: object.status == shelf::ACTIVE, fields: object.fields.clone(), parent: object.parent.clone() };
            (object.id.clone(), held)
        });
        there.collect()
    }

    fn trouble(&self, level: Level, trouble: Trouble) -> bool {
        let times = if trouble == Trouble::Refused { REFUSED_FOR } else { 1 };
        self.state().troubles.entry(name_of(level)).or_default().extend(std::iter::repeat_n(trouble, times));
        true
    }
}
