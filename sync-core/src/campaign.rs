//! The campaign role: sets of campaigns, ad groups, ads and keywords made on an ad platform, each object exactly once.

use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::value::RawValue;

use crate::{Marker, PageToken, PlatformId, Result, SyncContext};

/// Which kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// A campaign.
    Campaign,
    /// An ad group inside a campaign.
    AdGroup,
    /// An ad inside an ad group.
    Ad,
    /// A keyword inside an ad group.
    Keyword,
    /// Something the platform needs made first: a Reddit post, a Google budget.
    Part(&'static str),
}

/// What an object's status shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetStatus {
    /// Running.
    Active,
    /// Stopped, kept.
    Paused,
    /// Removed.
    Deleted,
}

/// One object as it shall be.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    /// Its kind.
    pub level: Level,
    /// What it belongs to.
    pub parent: Option<&'a PlatformId>,
    /// The parts made for it, in the order of [`CampaignPlatformAdapter::parts`].
    pub parts: &'a [PlatformId],
    /// Its fields, a JSON object.
    pub fields: &'a RawValue,
}

/// One object as the platform has it.
#[derive(Clone, Debug)]
pub struct PlatformObject {
    /// Its kind.
    pub level: Level,
    /// The platform's id.
    pub id: PlatformId,
    /// The platform's word for its status.
    pub status: Box<str>,
    /// Its fields, a JSON object.
    pub fields: Bytes,
}

/// The objects of one page, and where the next begins.
pub type PlatformPage = (Vec<PlatformObject>, Option<PageToken>);

/// Makes and changes objects on an ad platform.
#[async_trait]
pub trait CampaignPlatformAdapter: Debug + Send + Sync {
    /// What has to be made before this object, each under an intent of its own. No I/O.
    fn parts(&self, draft: &Draft<'_>) -> &'static [&'static str];

    /// Makes exactly one object, paused.
    ///
    /// # Errors
    /// The error's [`delivery`](crate::Error::delivery) says whether it may exist all the same.
    async fn create(&self, cx: &SyncContext, marker: &Marker, draft: &Draft<'_>) -> Result<PlatformObject>;

    /// Changes an object to what the draft says; may be repeated.
    async fn update(&self, cx: &SyncContext, id: &PlatformId, draft: &Draft<'_>) -> Result<PlatformObject>;

    /// Starts, stops or removes an object; may be repeated.
    async fn set_status(&self, cx: &SyncContext, level: Level, id: &PlatformId, status: TargetStatus) -> Result<PlatformObject>;

    /// Looks for an object whose create may have arrived: by marker, unique name, or parent and content.
    async fn find(&self, cx: &SyncContext, marker: &Marker, draft: &Draft<'_>) -> Result<Vec<PlatformObject>>;

    /// The objects with these ids, or all of a level.
    async fn fetch(&self, cx: &SyncContext, level: Level, ids: Option<&[PlatformId]>, after: Option<&PageToken>) -> Result<PlatformPage>;
}

const _: Option<&dyn CampaignPlatformAdapter> = None;
