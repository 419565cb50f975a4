//! What an author tells the suite about an ad platform.

use std::{collections::BTreeMap, fmt::Debug, sync::Arc};

use serde_json::Value;
use sync_core::{CampaignPlatformAdapter, Level};

use crate::VirtualClock;

/// An adapter under test: what stays the same, and a fresh platform for each check.
pub trait CampaignFixture: Debug + Send + Sync {
    /// What stays the same.
    fn subject(&self) -> CampaignSubject;

    /// A platform of its own without objects, and the adapter that speaks to it.
    fn world(&self, setup: &CampaignSetup) -> CampaignWorld;
}

/// What a fresh platform has to be like.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CampaignSetup {
    /// The one token that is good.
    pub token: String,
    /// The clock it lives on.
    pub clock: VirtualClock,
}

/// A fresh platform and the adapter that speaks to it.
#[derive(Debug)]
pub struct CampaignWorld {
    pub(super) adapter: Arc<dyn CampaignPlatformAdapter>,
    pub(super) platform: Box<dyn PlatformSide>,
}

impl CampaignWorld {
    /// A world of `adapter`, and what can be seen and done at the platform without it.
    pub fn new(adapter: impl CampaignPlatformAdapter + 'static, platform: impl PlatformSide) -> Self {
        Self { adapter: Arc::new(adapter), platform: Box::new(platform) }
    }
}

/// The platform as its own users see it, past the adapter.
pub trait PlatformSide: Debug + Send + Sync + 'static {
    /// The objects of a level by id; those that were deleted are not among them.
    fn objects(&self, level: Level) -> BTreeMap<String, Held>;

    /// The next create of `level` meets this; answers whether it can be done.
    fn trouble(&self, level: Level, trouble: Trouble) -> bool {
        let _ = (level, trouble);
        false
    }
}

/// An object at the platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Whether it runs.
    pub running: bool,
    /// The fields a draft sets, as they are there.
    pub fields: Value,
    /// What it belongs to.
    pub parent: Option<String>,
}

/// What can go wrong with a create.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trouble {
    /// The object is made, the answer is lost.
    LostAnswer,
    /// Nothing is made; to the client it looks like [`LostAnswer`](Self::LostAnswer).
    LostRequest,
    /// The connection is refused, for this and the next nine attempts.
    Refused,
    /// The platform refuses the data.
    Invalid,
}

/// What stays the same about an adapter under test.
#[derive(Clone, Debug)]
pub struct CampaignSubject {
    /// Settings of a connection that works.
    pub settings: Value,
    /// The levels there are, parents before children.
    pub levels: Vec<LevelSubject>,
    /// Whether two objects of a level under one parent cannot have one name.
    pub unique_names: bool,
}

/// A level to make objects of.
#[derive(Clone, Debug)]
pub struct LevelSubject {
    /// Which.
    pub level: Level,
    /// What its objects belong to.
    pub parent: Option<Level>,
    /// The fields of object number `n`: another name for each number.
    pub draft: fn(n: usize) -> Value,
    /// The fields of object number `n` after a change that the platform allows.
    pub changed: fn(n: usize) -> Value,
    /// The fields of a part of its objects.
    pub part: fn(name: &'static str) -> Value,
}

/// Fixture and subject of one run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subjects<'a> {
    pub(super) fixture: &'a dyn CampaignFixture,
    pub(super) subject: &'a CampaignSubject,
}
