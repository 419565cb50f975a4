//! What every ad platform's adapter has to do, for the platform in memory; and what that one does when things go wrong.

use std::time::Duration;

use serde_json::{Value, json, value::RawValue};
use sync_testkit::suite::campaign::{
    self, CampaignFixture, CampaignSetup, CampaignSubject, CampaignWorld, LevelSubject, MockAdapter, PlatformSide, Rates,
};
use syncline::{
    core::{CampaignPlatformAdapter, Delivery, Draft, Level, Marker, SyncContext},
    testkit::TestServices,
};

#[derive(Debug)]
struct Fixture(u64, Rates);

fn named(n: usize, word: &str) -> Value {
    json!({ "name": format!("{word} {n}"), "budget_micros": 50_000_000 + n })
}

impl CampaignFixture for Fixture {
    fn subject(&self) -> CampaignSubject {
        let level = |level, parent, draft: fn(usize) -> Value| LevelSubject {
            level,
            parent,
            draft,
            changed: |n| json!({ "name": format!("changed {n}") }),
            part: |name| json!({ "name": name }),
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
        let platform = MockAdapter::new(self.0).rates(self.1);
        CampaignWorld::new(platform.clone(), platform)
    }
}

#[tokio::test]
async fn the_platform_in_memory_does_what_every_platform_has_to() {
    let report = campaign::run(&Fixture(7, Rates::default())).await;
    report.assert_passed();
    assert_eq!((report.passed().len(), report.skipped().len()), (campaign::catalogue().len(), 0));
}

#[tokio::test]
async fn with_things_going_wrong_the_suite_says_so_and_a_seed_replays() {
    let rates =
        Rates { failures: 80, lost_answers: 80, busy: 40, delay: (Duration::from_millis(20), Duration::from_secs(2)), ..Rates::default() };
    let report = campaign::run(&Fixture(7, rates)).await;
    assert!(report.failed().len() > 5, "\n{report}");
    assert_eq!(report.to_string(), campaign::run(&Fixture(7, rates)).await.to_string(), "the same seed, the same report");
    assert_ne!(report.to_string(), campaign::run(&Fixture(8, rates)).await.to_string(), "another seed, another one");
}

fn draft(fields: &RawValue) -> Draft<'_> {
    Draft { level: Level::Campaign, parent: None, parts: &[], fields }
}

/// Makes campaign `n`, again and again until it is there. Looks before it repeats what may have arrived, if it is careful.
async fn make(platform: &MockAdapter, cx: &SyncContext, n: usize, careful: bool) {
    let (marker, fields) = (Marker::from(format!("{n:032x}")), serde_json::value::to_raw_value(&named(n, "campaign")).expect("JSON"));
    let mut unknown = false;
    loop {
        if unknown && careful {
            match platform.find(cx, &marker, &draft(&fields)).await {
                Ok(found) if found.len() == 1 => return,
                Ok(found) if found.is_empty() => {}
                Ok(found) => panic!("{} of campaign {n}", found.len()),
                Err(_) => continue,
            }
        }
        match platform.create(cx, &marker, &draft(&fields)).await {
            Ok(_) => return,
            Err(error) => unknown = error.delivery() == Delivery::Unknown,
        }
    }
}

#[tokio::test]
async fn lost_creates_that_are_looked_for_make_each_campaign_once_and_those_that_are_not_make_more() {
    let rates = Rates {
        failures: 100,
        lost_answers: 150,
        lost_requests: 100,
        busy: 50,
        refusals: 10,
        delay: (Duration::from_millis(50), Duration::from_millis(900)),
    };
    for seed in 0..20 {
        for (careful, same_names) in [(true, false), (true, true), (false, true)] {
            let services = TestServices::new(seed);
            let mut cx = services.context(json!({}));
            cx.deadline += chrono::TimeDelta::days(30);
            let platform = MockAdapter::new(seed).rates(rates).same_names(same_names);
            for n in 0..100 {
                make(&platform, &cx, n, careful).await;
            }
            let made = platform.made(Level::Campaign);
            if careful {
                assert_eq!((made, platform.objects(Level::Campaign).len()), (100, 100), "seed {seed}");
            } else {
                assert!(made > 100, "seed {seed}: repeating blindly made {made}");
            }
            assert!(services.clock().slept().len() > 100, "answers take their time");
        }
    }
}
