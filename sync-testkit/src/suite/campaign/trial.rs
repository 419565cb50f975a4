//! One check's way to the platform: a fresh one, and objects with their parents and parts made.

use std::collections::BTreeMap;

use serde_json::{Value, value::RawValue};
use sync_core::{CampaignPlatformAdapter, Draft, Level, Marker, PlatformId, PlatformObject, Result, SyncContext};

use super::{CampaignSetup, CampaignWorld, Held, LevelSubject, Trouble, fixture::Subjects};
use crate::{
    TestServices,
    suite::{Expect, Finding, differs},
};

pub(super) struct Trial<'a> {
    pub(super) subjects: Subjects<'a>,
    pub(super) world: CampaignWorld,
    pub(super) services: TestServices,
    pub(super) cx: SyncContext,
}

/// What an object needs before it is made.
#[derive(Debug, Default)]
pub(super) struct Ready {
    pub(super) parent: Option<PlatformId>,
    pub(super) parts: Vec<PlatformId>,
}

pub(super) fn raw(fields: &Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(fields).expect("a JSON value can be written")
}

pub(super) fn marker(n: usize) -> Marker {
    Marker::from(format!("{n:032x}"))
}

impl<'a> Trial<'a> {
    pub(super) fn new(subjects: Subjects<'a>) -> Self {
        let services = TestServices::new(7);
        let setup = CampaignSetup { token: "test-token".into(), clock: services.clock().clone() };
        let world = subjects.fixture.world(&setup);
        let mut cx = services.context(subjects.subject.settings.clone());
        cx.deadline += chrono::TimeDelta::hours(1);
        Self { subjects, world, services, cx }
    }

    pub(super) fn adapter(&self) -> &dyn CampaignPlatformAdapter {
        &*self.world.adapter
    }

    pub(super) fn objects(&self, level: Level) -> BTreeMap<String, Held> {
        self.world.platform.objects(level)
    }

    /// Every object of every level.
    pub(super) fn everything(&self) -> Vec<BTreeMap<String, Held>> {
        self.subjects.subject.levels.iter().map(|level| self.objects(level.level)).collect()
    }

    pub(super) fn can(&self, trouble: Trouble) -> bool {
        self.subjects.subject.levels.first().is_some_and(|level| self.world.platform.trouble(level.level, trouble))
    }

    pub(super) fn has_parts(&self) -> bool {
        self.subjects.subject.levels.iter().any(|level| !self.parts(level).is_empty())
    }

    pub(super) fn parts(&self, level: &LevelSubject) -> &'static [&'static str] {
        let fields = raw(&(level.draft)(0));
        self.adapter().parts(&Draft { level: level.level, parent: None, parts: &[], fields: &fields })
    }

    fn level(&self, level: Level) -> Result<&'a LevelSubject, Finding> {
        let found = self.subjects.subject.levels.iter().find(|subject| subject.level == level);
        found.ok_or_else(|| differs(format!("a fixture with the level {level:?}"), "none"))
    }

    /// Makes the parents and parts of an object.
    pub(super) async fn ready(&self, level: &LevelSubject) -> Result<Ready, Finding> {
        let parent = match level.parent {
            Some(above) => Some(Box::pin(self.made(self.level(above)?, 900)).await?.id),
            None => None,
        };
        let mut parts = Vec::new();
        for (n, name) in self.parts(level).iter().enumerate() {
            let object = self.part(level, name, 800 + n, parent.as_ref(), &parts).await.expected(&format!("the part {name}"))?;
            parts.push(object.id);
        }
        Ok(Ready { parent, parts })
    }

    pub(super) async fn part(
        &self,
        level: &LevelSubject,
        name: &'static str,
        n: usize,
        parent: Option<&PlatformId>,
        parts: &[PlatformId],
    ) -> Result<PlatformObject> {
        let fields = raw(&(level.part)(name));
        self.adapter().create(&self.cx, &marker(n), &Draft { level: Level::Part(name), parent, parts, fields: &fields }).await
    }

    /// Makes object number `n` under its marker, `ready` made before.
    pub(super) async fn create(&self, level: &LevelSubject, n: usize, ready: &Ready) -> Result<PlatformObject> {
        self.create_as(level, &(level.draft)(n), &marker(n), ready).await
    }

    pub(super) async fn create_as(&self, level: &LevelSubject, fields: &Value, marker: &Marker, ready: &Ready) -> Result<PlatformObject> {
        let fields = raw(fields);
        let draft = Draft { level: level.level, parent: ready.parent.as_ref(), parts: &ready.parts, fields: &fields };
        self.adapter().create(&self.cx, marker, &draft).await
    }

    /// Makes object number `n` with all it needs.
    pub(super) async fn made(&self, level: &LevelSubject, n: usize) -> Result<PlatformObject, Finding> {
        let ready = self.ready(level).await?;
        self.create(level, n, &ready).await.expected(&format!("a {:?}", level.level))
    }

    /// Looks for object number `n`.
    pub(super) async fn find(&self, level: &LevelSubject, n: usize, looked_for: &Marker, ready: &Ready) -> Result<Vec<PlatformObject>> {
        let fields = raw(&(level.draft)(n));
        let draft = Draft { level: level.level, parent: ready.parent.as_ref(), parts: &ready.parts, fields: &fields };
        self.adapter().find(&self.cx, looked_for, &draft).await
    }
}

/// Whether `held` has every field of `wanted`.
pub(super) fn has(held: &Held, wanted: &Value) -> bool {
    wanted.as_object().is_some_and(|wanted| wanted.iter().all(|(name, value)| held.fields.get(name) == Some(value)))
}
