//! The platform in memory passes; each fault planted around it is found by the checks that are there for it.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value, json};
use sync_core::{
    CampaignPlatformAdapter, Delivery, Draft, Error, ErrorKind, Level, Marker, PageToken, PlatformId, PlatformObject, PlatformPage, Result,
    SyncContext, TargetStatus, async_trait,
};
use sync_testkit::suite::campaign::{
    self, CampaignFixture, CampaignSetup, CampaignSubject, CampaignWorld, LevelSubject, MockAdapter, PlatformSide,
};

macro_rules! planted {
    ($($name:ident [$($check:ident)*];)*) => {
        /// One thing an adapter does wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum Planted {
            $($name),*
        }

        const TABLE: &[(Planted, &[&str])] = &[$((Planted::$name, &[$(stringify!($check)),*])),*];
    };
}

planted! {
    CreatesTwo [create_makes_exactly_one_object];
    CreatesRunning [what_is_created_is_paused a_status_may_be_set_again];
    AdoptsOrphans [a_child_needs_its_parent errors_of_a_create_are_honest];
    ForgetsParts [parts_come_first_and_in_order];
    PartsDiffer [parts_come_first_and_in_order];
    FindsNothing [a_marker_finds_its_object a_taken_name_leads_to_the_object_there a_lost_create_is_unknown_and_found];
    FindsEverything [a_marker_finds_its_object];
    InventsNames [a_taken_name_leads_to_the_object_there];
    RepeatsLostCreates [a_lost_create_is_unknown_and_found];
    DeniesLostCreates [a_lost_create_is_unknown_and_found errors_of_a_create_are_honest];
    AllErrorsAreUnknown [a_taken_name_leads_to_the_object_there errors_of_a_create_are_honest];
    IgnoresPermits [a_refused_permit_makes_nothing];
    UpdatesByMaking [an_update_may_be_repeated];
    UpdateRefusesAgain [an_update_may_be_repeated];
    StartsTwiceIsConflict [a_status_may_be_set_again];
    PausesByDeleting [a_status_may_be_set_again];
    GoneIsNotFound [a_delete_may_be_repeated];
    MakesUnknownIds [an_unknown_id_is_not_found];
    FetchesAllForIds [an_unknown_id_is_not_found fetch_by_ids_brings_those];
    FetchesTheFirstPageAlone [fetch_by_level_brings_all_once];
}

#[derive(Debug)]
struct Fixture(Option<Planted>);

/// The platform in memory behind an adapter with a flaw.
#[derive(Debug)]
struct Flawed {
    platform: MockAdapter,
    planted: Option<Planted>,
    asked: AtomicUsize,
}

fn named(n: usize, word: &str) -> Value {
    json!({ "name": format!("{word} {n}"), "budget_micros": 50_000_000 + n })
}

impl CampaignFixture for Fixture {
    fn subject(&self) -> CampaignSubject {
        let level = |level, parent, draft: fn(usize) -> Value| LevelSubject {
            level,
            parent,
            draft,
            changed: |n| json!({ "name": format!("changed {n}"), "budget_micros": 1 }),
            part: |name| json!({ "name": name, "text": "Come and see" }),
        };
        let levels = vec![
            level(Level::Campaign, None, |n| named(n, "campaign")),
            level(Level::AdGroup, Some(Level::Campaign), |n| named(n, "group")),
            level(Level::Ad, Some(Level::AdGroup), |n| named(n, "ad")),
            level(Level::Keyword, Some(Level::AdGroup), |n| named(n, "keyword")),
        ];
        CampaignSubject { settings: json!({}), levels, unique_names: true }
    }

    fn world(&self, _: &CampaignSetup) -> CampaignWorld {
        let platform = MockAdapter::new(7);
        let adapter = Flawed { platform: platform.clone(), planted: self.0, asked: AtomicUsize::new(0) };
        CampaignWorld::new(adapter, platform)
    }
}

impl Flawed {
    fn is(&self, planted: Planted) -> bool {
        self.planted == Some(planted)
    }

    /// A call made again until it gets through, with what it owes to nobody.
    async fn past_permit(&self, marker: &Marker, draft: &Draft<'_>) -> Result<PlatformObject> {
        self.platform.create(&sync_testkit::TestServices::new(1).context(json!({})), marker, draft).await
    }
}

#[async_trait]
impl CampaignPlatformAdapter for Flawed {
    fn parts(&self, draft: &Draft<'_>) -> &'static [&'static str] {
        let parts = self.platform.parts(draft);
        match self.planted {
            Some(Planted::PartsDiffer) if self.asked.fetch_add(1, Ordering::Relaxed) % 2 == 1 => &[],
            _ => parts,
        }
    }

    async fn create(&self, cx: &SyncContext, marker: &Marker, draft: &Draft<'_>) -> Result<PlatformObject> {
        let part = matches!(draft.level, Level::Part(_));
        let made = self.platform.create(cx, marker, draft).await;
        match (self.planted, made) {
            (Some(Planted::CreatesTwo), Ok(object)) if !part => {
                let mut fields: Value = serde_json::from_str(draft.fields.get()).expect("JSON");
                fields["name"] = json!(format!("{} copy", fields["name"]));
                let fields = serde_json::value::to_raw_value(&fields).expect("JSON");
                self.platform.create(cx, &Marker::from("copy"), &Draft { fields: &fields, ..*draft }).await?;
                Ok(object)
            }
            (Some(Planted::CreatesRunning), Ok(object)) if !part => {
                self.platform.set_status(cx, draft.level, &object.id, TargetStatus::Active).await
            }
            (Some(Planted::AdoptsOrphans), Err(error)) if draft.level == Level::AdGroup && error.kind() == ErrorKind::Invalid => {
                let fields = serde_json::value::to_raw_value(&json!({ "name": "home for orphans" })).expect("JSON");
                let home = Draft { level: Level::Campaign, parent: None, parts: &[], fields: &fields };
                let home = self.platform.create(cx, &Marker::from("home"), &home).await?;
                self.platform.create(cx, marker, &Draft { parent: Some(&home.id), ..*draft }).await
            }
            (Some(Planted::ForgetsParts), Err(_)) if draft.level == Level::Ad && draft.parts.len() == 1 => {
                let fields = serde_json::value::to_raw_value(&json!({ "name": "made in between" })).expect("JSON");
                let post = Draft { level: Level::Part("post"), parent: draft.parent, parts: draft.parts, fields: &fields };
                let post = self.platform.create(cx, &Marker::from("post"), &post).await?;
                let parts = [draft.parts[0].clone(), post.id];
                self.platform.create(cx, marker, &Draft { parts: &parts, ..*draft }).await
            }
            (Some(Planted::InventsNames), Err(error)) if error.kind() == ErrorKind::Conflict => {
                let mut fields: Value = serde_json::from_str(draft.fields.get()).expect("JSON");
                fields["name"] = json!(format!("{} (2)", fields["name"]));
                let fields = serde_json::value::to_raw_value(&fields).expect("JSON");
                self.platform.create(cx, marker, &Draft { fields: &fields, ..*draft }).await
            }
            (Some(Planted::RepeatsLostCreates), Err(error)) if error.delivery() == Delivery::Unknown => {
                self.platform.create(cx, marker, draft).await
            }
            (Some(Planted::DeniesLostCreates), Err(error)) => Err(error.with_delivery(Delivery::Answered)),
            (Some(Planted::AllErrorsAreUnknown), Err(error)) => Err(error.with_delivery(Delivery::Unknown)),
            (Some(Planted::IgnoresPermits), Err(error)) if error.kind() == ErrorKind::CircuitOpen => self.past_permit(marker, draft).await,
            (_, made) => made,
        }
    }

    async fn update(&self, cx: &SyncContext, id: &PlatformId, draft: &Draft<'_>) -> Result<PlatformObject> {
        if self.is(Planted::UpdatesByMaking) {
            let there = self.platform.update(cx, id, draft).await?;
            self.platform.set_status(cx, draft.level, id, TargetStatus::Deleted).await?;
            let again = self.platform.create(cx, &Marker::from("again"), draft).await?;
            return Ok(PlatformObject { id: there.id, ..again });
        }
        if self.is(Planted::UpdateRefusesAgain) && self.asked.fetch_add(1, Ordering::Relaxed) > 0 {
            return Err(Error::new(ErrorKind::Conflict, "flawed.update", "it is so already"));
        }
        match self.platform.update(cx, id, draft).await {
            Err(error) if self.is(Planted::MakesUnknownIds) && error.kind() == ErrorKind::NotFound => {
                self.platform.create(cx, &Marker::from("unknown"), draft).await
            }
            other => other,
        }
    }

    async fn set_status(&self, cx: &SyncContext, level: Level, id: &PlatformId, status: TargetStatus) -> Result<PlatformObject> {
        if self.is(Planted::StartsTwiceIsConflict) && status == TargetStatus::Active && self.asked.fetch_add(1, Ordering::Relaxed) > 0 {
            return Err(Error::new(ErrorKind::Conflict, "flawed.set_status", "it runs already"));
        }
        let gone = status == TargetStatus::Deleted && !self.platform.objects(level).contains_key(id.as_str());
        if self.is(Planted::GoneIsNotFound) && gone {
            return Err(Error::new(ErrorKind::NotFound, "flawed.set_status", "it is gone"));
        }
        let status = if self.is(Planted::PausesByDeleting) && status == TargetStatus::Paused { TargetStatus::Deleted } else { status };
        self.platform.set_status(cx, level, id, status).await
    }

    async fn find(&self, cx: &SyncContext, marker: &Marker, draft: &Draft<'_>) -> Result<Vec<PlatformObject>> {
        match self.planted {
            Some(Planted::FindsNothing) => Ok(Vec::new()),
            Some(Planted::FindsEverything) => Ok(self.platform.fetch(cx, draft.level, None, None).await?.0),
            _ => self.platform.find(cx, marker, draft).await,
        }
    }

    async fn fetch(&self, cx: &SyncContext, level: Level, ids: Option<&[PlatformId]>, after: Option<&PageToken>) -> Result<PlatformPage> {
        match self.planted {
            Some(Planted::FetchesAllForIds) => self.platform.fetch(cx, level, None, after).await,
            Some(Planted::FetchesTheFirstPageAlone) => Ok((self.platform.fetch(cx, level, ids, None).await?.0, None)),
            _ => self.platform.fetch(cx, level, ids, after).await,
        }
    }
}

#[tokio::test]
async fn the_platform_in_memory_passes_and_skips_nothing() {
    let report = campaign::run(&Fixture(None)).await;
    report.assert_passed();
    assert_eq!(report.skipped(), Vec::<&str>::new());
}

#[tokio::test]
async fn each_fault_planted_around_the_platform_turns_exactly_its_checks_red() {
    let mut wrong = String::new();
    for (planted, expected) in TABLE {
        let report = campaign::run(&Fixture(Some(*planted))).await;
        if report.failed() != *expected {
            wrong.push_str(&format!("{planted:?}: expected {expected:?}, red were {:?}\n", report.failed()));
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn every_campaign_check_has_a_planted_fault_that_turns_it_red() {
    let red: BTreeSet<&str> = TABLE.iter().flat_map(|(_, checks)| checks.iter().copied()).collect();
    let all: BTreeSet<&str> = campaign::catalogue().iter().map(|rule| rule.name).collect();
    assert_eq!(red, all);
}
