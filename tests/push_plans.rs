//! Plans of pushes: what a push would send, exactly; applied in whole or in part through the journal of every push; left alone record by
//! record where something has moved.

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use serde_json::{Value, json};
use support::{
    Fuse, On, Random, World, begun, clean,
    dump::Dump,
    messages,
    mixed::{Kind, Mix, Service},
    place::AnyStorage,
    pushable::{Fate, Pushable},
    quiet_deaths,
};
use syncline::{
    Apply, Connection, ConnectionPatch, Credentials, ErrorKind, HostTable, ItemKind, ItemState, Plan, PlanItem, PlanState, Push,
    PushRecord, RunId, Sheets, Slack, SyncResult, Syncline,
    core::{Field, PushLimits, PushMode},
    mapping::{Column, Mapping},
    providers::sheets::simulator::SimCell,
};

/// Tables that a plan may write.
const OF_PLANS: &[&str] = &["syncline_sync_runs", "syncline_plans", "syncline_plan_items"];

fn seeds(on: On) -> u64 {
    match on {
        On::Sqlite => 16,
        On::Postgres => 4,
    }
}

/// Where the rows are.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Records,
    Table,
}

/// Names and values.
type Rows = BTreeMap<String, usize>;

struct Stage {
    world: World,
    service: Pushable,
    syncline: Syncline,
    crm: Connection,
    way: Way,
}

fn staff() -> Arc<Mapping> {
    let mapping = Mapping::new("staff", "people")
        .table(HostTable::new("staff").key("name"))
        .column(Column::new("name").to("name").key())
        .column(Column::new("v").to("v"));
    Arc::new(mapping)
}

fn person(name: &str, v: usize) -> PushRecord {
    PushRecord::new(name, &json!({ "name": name, "v": v }))
}

impl Stage {
    async fn new(on: On, way: Way) -> Self {
        let world = World::on(on).await;
        let service = Pushable::new(PushLimits { items: 3, ..PushLimits::default() });
        let syncline = world.builder().storage(world.place().open().await).provider(service.clone()).build().await.expect("an engine");
        let crm = syncline.workspace("acme").connect("crm", Credentials::token("t")).await.expect("it connects");
        world.place().change("CREATE TABLE staff (name text PRIMARY KEY, v integer)");
        Self { world, service, syncline, crm, way }
    }

    /// A push of these rows, which the table holds from now on.
    fn push(&self, rows: &Rows) -> Push {
        match self.way {
            Way::Records => Push::records("people", rows.iter().map(|(name, v)| person(name, *v))),
            Way::Table => {
                let values: Vec<String> = rows.iter().map(|(name, v)| format!("('{name}', {v})")).collect();
                let insert = if rows.is_empty() { String::new() } else { format!("INSERT INTO staff VALUES {}", values.join(", ")) };
                self.world.place().change(&format!("DELETE FROM staff; {insert}"));
                Push::mapped(staff())
            }
        }
    }

    async fn items(&self, plan: &Plan) -> Vec<PlanItem> {
        self.syncline.workspace("acme").plan_items(plan.plan.run, 0, 10_000).await.expect("items")
    }

    async fn state(&self, run: RunId) -> PlanState {
        self.syncline.workspace("acme").plan(run).await.expect("the plan").state
    }

    /// Makes a plan and proves that nothing but the plan was written.
    async fn planned(&self, push: Push, about: &str) -> (Plan, Vec<PlanItem>) {
        let (dump, records) = (self.everything(), self.records());
        self.service.called();
        let plan = self.crm.plan_push(push).await.unwrap_or_else(|error| panic!("{about}: {error}"));
        self.everything().assert_same(&dump, &format!("{about}: before and after a plan"));
        assert_eq!((self.service.called(), self.records()), (0, records), "{about}: nothing was sent");
        let items = self.items(&plan).await;
        assert_eq!((plan.items, plan.state), (items.len() as u64, PlanState::Open), "{about}");
        assert!(plan.plan.counts.balanced(), "{about}: {:?}", plan.plan.counts);
        let many = |kind: &[ItemKind]| items.iter().filter(|item| kind.contains(&item.kind)).count() as u64;
        let counts = plan.plan.counts;
        assert_eq!(counts.created, many(&[ItemKind::Create]), "{about}");
        assert_eq!(counts.updated, many(&[ItemKind::Update, ItemKind::Adopt]), "{about}");
        assert_eq!(counts.deleted, many(&[ItemKind::Delete]), "{about}");
        (plan, items)
    }

    fn everything(&self) -> Dump {
        Dump::everything_but(&self.world.place(), OF_PLANS)
    }

    /// The records of the service by their ids.
    fn records(&self) -> BTreeMap<String, Value> {
        self.service.state().records.clone()
    }
}

fn first(random: &mut Random) -> Rows {
    (0..5 + random.below(6)).map(|n| (format!("p{n}"), random.below(3))).collect()
}

/// Some rows changed, some gone, some new.
fn later(before: &Rows, random: &mut Random, new: &str) -> Rows {
    let mut after = Rows::new();
    for (name, v) in before {
        match random.below(6) {
            0 => {}
            1 | 2 => drop(after.insert(name.clone(), v + 1 + random.below(2))),
            _ => drop(after.insert(name.clone(), *v)),
        }
    }
    after.extend((0..random.below(4)).map(|n| (format!("{new}{n}"), random.below(3))));
    after
}

fn name_of(record: &Value) -> String {
    record["name"].as_str().expect("a name").to_owned()
}

fn id(item: &PlanItem) -> Option<String> {
    item.records.first().map(|(_, id)| id.as_str().to_owned())
}

/// What an item makes of the service's records, by names, since ids of new ones are the service's to give.
fn done(records: &mut BTreeMap<String, Value>, item: &PlanItem, rows: &Rows) {
    match (item.kind, id(item)) {
        (ItemKind::Delete, Some(id)) => drop(records.remove(&id)),
        (_, known) => {
            let id = known.unwrap_or_else(|| format!("new {}", item.entity));
            records.insert(id, json!({ "name": &*item.entity, "v": rows[&*item.entity] }));
        }
    }
}

fn told(records: &BTreeMap<String, Value>) -> Vec<String> {
    let mut told: Vec<String> = records.values().map(|record| format!("{}={}", name_of(record), record["v"])).collect();
    told.sort();
    told
}

/// A plan says exactly what the push would send, sends nothing, and applied does it; what it names is nothing more and nothing less.
async fn a_plan_is_what_the_push_would_send(on: On, way: Way) {
    for seed in 0..seeds(on) {
        let (mut random, stage, about) = (Random::new(seed), Stage::new(on, way).await, format!("seed {seed}, {way:?}"));
        let before = first(&mut random);
        if seed % 4 > 0 {
            clean(&stage.crm.sync_to_external(stage.push(&before)).await.expect("it runs"));
        }
        let mirror = seed % 3 == 0;
        if mirror {
            stage.service.state().records.insert("stranger".into(), json!({ "name": "stranger", "v": 9 }));
        }
        let after = later(&before, &mut random, "n");
        let push = stage.push(&after).mode(if mirror { PushMode::Mirror } else { PushMode::Upsert }).confirm_deletes();
        let looked = seed % 2 == 0;
        let (plan, items) = stage.planned(if looked { push.clone().look() } else { push.clone() }.triggered_by("anna"), &about).await;

        let records = stage.records();
        let mut expected = records.clone();
        for item in &items {
            done(&mut expected, item, &after);
            for change in &item.changes {
                let value = |json: &Option<Box<serde_json::value::RawValue>>| json.as_ref().map(|json| json.get().to_owned());
                let there = id(item).and_then(|id| records.get(&id)?.get(&*change.field).map(Value::to_string));
                let old = if looked || mirror { there } else { None };
                assert_eq!(value(&change.old), old, "{about}: {item:?}");
                let new = (item.kind != ItemKind::Delete)
                    .then(|| if &*change.field == "name" { json!(&*item.entity) } else { json!(after[&*item.entity]) });
                assert_eq!(value(&change.new), new.map(|new| new.to_string()), "{about}: {item:?}");
            }
        }
        // Rows that went stay at the service, unless it is a mirror.
        let ours: BTreeSet<String> = after.keys().cloned().collect();
        let left: BTreeSet<String> = expected.values().map(name_of).filter(|name| mirror || ours.contains(name)).collect();
        assert_eq!(left, ours, "{about}: the records that the plan leaves");

        let result = stage.crm.apply(Apply::plan(plan.plan.run).triggered_by("ben")).await.expect("it begins");
        clean(&result);
        assert_eq!(told(&stage.records()), told(&expected), "{about}: the records");
        assert_eq!((result.counts.synced(), result.counts.deleted), (plan.plan.counts.synced(), plan.plan.counts.deleted), "{about}");
        assert_eq!(stage.state(plan.plan.run).await, PlanState::Applied, "{about}");
        assert!(stage.items(&plan).await.iter().all(|item| item.state == ItemState::Applied), "{about}");
        stage.service.called();
        clean(&stage.crm.sync_to_external(push).await.expect("it runs"));
        assert_eq!(stage.service.called(), 0, "{about}: nothing is left to send");
    }
}

/// Rows edited, deleted and pushed since, and records changed and gone at the service since, are left alone; the rest is sent as planned.
async fn what_has_moved_is_left_alone(on: On) {
    let mut moved = 0;
    for (seed, way) in (100..100 + seeds(on)).flat_map(|seed| [(seed, Way::Records), (seed, Way::Table)]) {
        let (mut random, stage, about) = (Random::new(seed), Stage::new(on, way).await, format!("seed {seed}, {way:?}"));
        let before = first(&mut random);
        clean(&stage.crm.sync_to_external(stage.push(&before)).await.expect("it runs"));
        let mirror = seed % 3 == 0;
        let after = later(&before, &mut random, "n");
        let mode = if mirror { PushMode::Mirror } else { PushMode::Upsert };
        let push = stage.push(&after).mode(mode).confirm_deletes().look();
        let (plan, items) = stage.planned(push, &about).await;
        let seen = stage.records();

        // Some rows change and go; some of those are pushed at once; records change and go at the service. What is handed over as records
        // has no row that could change.
        let mut now = after.clone();
        if way == Way::Table {
            for name in after.keys() {
                match random.below(6) {
                    0 => drop(now.remove(name)),
                    1 => drop(now.insert(name.clone(), 50 + random.below(3))),
                    _ => {}
                }
            }
        }
        let some: Vec<String> = now.keys().filter(|_| random.below(6) == 0).cloned().collect();
        let between = stage.push(&now).keys(some.iter().map(String::as_str));
        clean(&stage.crm.sync_to_external(between).await.expect("it runs"));
        let ids: Vec<String> = stage.records().keys().cloned().collect();
        for id in ids {
            match random.below(8) {
                0 => drop(stage.service.state().records.remove(&id)),
                1 => stage.service.state().records.get_mut(&id).expect("it is there")["v"] = json!(99),
                _ => {}
            }
        }
        let found = stage.records();
        stage.service.called();
        let result = stage.crm.apply(Apply::plan(plan.plan.run)).await.expect("it begins");
        assert!(result.success() && result.counts.balanced(), "{about}: {result:?}");

        let (mut expected, states) = (found.clone(), stage.items(&plan).await);
        for (item, after_it) in items.iter().zip(states) {
            let name = &*item.entity;
            let pushed = some.iter().any(|pushed| pushed == name);
            let record = |records: &BTreeMap<String, Value>| id(item).and_then(|id| records.get(&id).cloned());
            let same_row = item.kind == ItemKind::Delete || now.get(name) == after.get(name);
            let state = match item.kind {
                ItemKind::Delete if record(&found).is_none() => ItemState::Applied,
                _ if pushed && same_row => ItemState::Applied,
                _ if same_row && !pushed && record(&seen) == record(&found) => ItemState::Applied,
                _ => ItemState::Moved,
            };
            assert_eq!(after_it.state, state, "{about}: {item:?}\nrow {:?} then {:?}, pushed {pushed}", after.get(name), now.get(name));
            if state == ItemState::Moved {
                moved += 1;
                let named = |failure: &syncline::RecordFailure| failure.record.as_deref() == Some(name);
                assert!(result.failures.iter().any(named), "{about}: {name} is not named in {:?}", result.failures);
            } else if !pushed {
                done(&mut expected, item, &after);
            }
        }
        assert_eq!(told(&stage.records()), told(&expected), "{about}: exactly what the plan says of what did not move");
    }
    assert!(moved > 2, "the worlds are too calm to prove anything: {moved}");
}

async fn a_plan_is_applied_in_parts_and_then_no_more(on: On) {
    let stage = Stage::new(on, Way::Table).await;
    let rows: Rows = [("a", 1), ("b", 2), ("c", 3)].map(|(name, v)| (name.to_owned(), v)).into();
    let (plan, _) = stage.planned(stage.push(&rows), "parts").await;
    let (run, acme) = (plan.plan.run, stage.syncline.workspace("acme"));
    assert_eq!(acme.approve_plan(run, "anna").await.expect("approved").state, PlanState::Approved);
    clean(&stage.crm.apply(Apply::plan(run).only(["b"])).await.expect("it begins"));
    assert_eq!((stage.service.truth(), stage.state(run).await), (vec!["b=2".to_owned()], PlanState::Partial));
    let unknown = stage.crm.apply(Apply::plan(run).only(["a", "nobody"])).await.expect_err("there is no such row");
    assert!(unknown.to_string().contains("\"nobody\""), "{unknown}");
    assert_eq!(stage.service.truth().len(), 1, "nothing was done");
    // Two at once: one of them does it, and no record comes twice.
    let both = tokio::join!(stage.crm.apply(Apply::plan(run)), stage.crm.apply(Apply::plan(run)));
    let well = |result: &Result<SyncResult, syncline::Error>| result.as_ref().is_ok_and(SyncResult::success);
    assert!(well(&both.0) ^ well(&both.1), "{both:?}");
    assert_eq!(
        (stage.service.truth(), stage.state(run).await),
        (vec!["a=1".to_owned(), "b=2".to_owned(), "c=3".to_owned()], PlanState::Applied)
    );
    let again = stage.crm.apply(Apply::plan(run)).await.expect_err("it is done");
    assert!(again.kind() == ErrorKind::Conflict && again.to_string().contains("applied already"), "{again}");
    assert!(stage.service.state().received.values().all(|times| *times == 1));
    let undo = stage.crm.plan_undo(run, "anna").await.expect_err("it wrote to the service");
    assert_eq!(undo.kind(), ErrorKind::Conflict);

    let (plan, _) = stage.planned(stage.push(&[("d".to_owned(), 1)].into()), "discarded").await;
    acme.discard_plan(plan.plan.run, "anna").await.expect("discarded");
    let refused = stage.crm.apply(Apply::plan(plan.plan.run)).await.expect_err("it was discarded");
    assert!(refused.to_string().contains("discarded by anna"), "{refused}");
    assert_eq!(stage.service.truth().len(), 3);
    let other = stage.syncline.workspace("other").connect("crm", Credentials::token("t")).await.expect("it connects");
    assert_eq!(other.apply(Apply::plan(plan.plan.run)).await.expect_err("another's").kind(), ErrorKind::NotFound);
}

/// Where account settings, fields of the stream or what the service offers are others now, nothing is sent.
async fn a_plan_that_no_longer_fits_is_refused(on: On) {
    let stage = Stage::new(on, Way::Table).await;
    let rows: Rows = [("a".to_owned(), 1)].into();
    let header = |print: &str| stage.service.state().stream.fingerprint = Some(print.into());
    header("1");
    let plan = async || stage.planned(stage.push(&rows), "fits").await.0.plan.run;

    let run = plan().await;
    header("2");
    let refused = stage.crm.apply(Apply::plan(run)).await.expect("a result");
    assert!(!refused.success() && messages(&refused).contains("no longer those it was made for"), "{refused:?}");
    header("1");
    stage.service.state().stream.fields = Some(vec![Field::new("name")].into());
    let refused = stage.crm.apply(Apply::plan(run)).await.expect("a result");
    assert!(!refused.success() && messages(&refused).contains("no longer those it was made for"), "{refused:?}");
    stage.service.state().stream.fields = Some(["name", "v", "note"].map(Field::new).into_iter().collect());

    let patch = ConnectionPatch { settings: Some(json!({ "document": "another" })), ..ConnectionPatch::default() };
    stage.crm.save_config(patch).await.expect("saved");
    let refused = stage.crm.apply(Apply::plan(run)).await.expect_err("it may lead elsewhere");
    assert!(refused.kind() == ErrorKind::Conflict && refused.to_string().contains("settings"), "{refused}");
    assert_eq!((stage.service.truth().len(), stage.state(run).await), (0, PlanState::Open), "nothing was sent");
    // A plan made for what there is now is applied.
    let run = plan().await;
    clean(&stage.crm.apply(Apply::plan(run)).await.expect("it begins"));
    assert_eq!(stage.service.truth(), ["a=1"]);
}

/// What an ordinary push would leave out is told with its reason, and no part of the plan; what failed and is due is.
async fn what_is_left_out_is_told_and_why(on: On) {
    let stage = Stage::new(on, Way::Records).await;
    let rows = |v: usize| -> Rows { (0..4).map(|n| (format!("p{n}"), v)).collect() };
    clean(&stage.crm.sync_to_external(stage.push(&rows(1))).await.expect("it runs"));
    // One is lost and cannot be looked for, one is refused, one is put off.
    stage.service.state().can_look = false;
    let of = |item: &syncline::core::PushItem, name: &str| {
        serde_json::from_slice::<Value>(&item.fields).is_ok_and(|fields| fields["name"] == name)
    };
    stage.service.fates(move |item, _| match () {
        () if of(item, "p0") => Fate::LostBefore,
        () if of(item, "p1") => Fate::Refused,
        () if of(item, "p2") => Fate::NotNow,
        () => Fate::Well,
    });
    let some = Push::records("people", [person("p0", 2), person("p1", 2), person("p2", 2)]).patience(Duration::ZERO);
    stage.crm.sync_to_external(some).await.expect("it runs");
    stage.service.fates(|_, _| Fate::Well);
    let (plan, items) = stage
        .planned(stage.push(&[("p0".to_owned(), 3), ("p1".to_owned(), 2), ("p2".to_owned(), 2), ("p3".to_owned(), 1)].into()), "at once")
        .await;
    assert!(items.is_empty(), "{items:?}");
    let said = |name: &str| {
        plan.plan.failures.iter().find(|failure| failure.record.as_deref() == Some(name)).map(|failure| failure.error.to_string())
    };
    assert!(said("p0").is_some_and(|text| text.contains("not settled")), "{:?}", plan.plan.failures);
    assert!(said("p1").is_some_and(|text| text.contains("refused the value")), "{:?}", plan.plan.failures);
    assert!(said("p2").is_some_and(|text| text.contains("being repaired")), "{:?}", plan.plan.failures);
    assert_eq!((plan.plan.counts.unchanged, plan.plan.counts.unsettled), (1, 1));

    stage.world.clock.advance(Duration::from_secs(7_200));
    let (plan, items) = stage.planned(Push::records("people", [person("p3", 1)]), "later").await;
    let rule = |item: &PlanItem| item.write.as_ref().map(|write| (item.entity.to_string(), write.rule.to_string(), write.left_over));
    assert_eq!(items.iter().filter_map(rule).collect::<Vec<_>>(), [("p2".to_owned(), "retried".to_owned(), true)]);
    clean(&stage.crm.apply(Apply::plan(plan.plan.run)).await.expect("it begins"));
    assert_eq!(stage.service.truth(), ["p0=1", "p1=1", "p2=2", "p3=1"], "the lost write of another row is not sent by it");
    let (plan, items) = stage.planned(Push::failed("people"), "failed").await;
    assert_eq!(items.iter().map(|item| &*item.entity).collect::<Vec<_>>(), ["p1"]);
    clean(&stage.crm.apply(Apply::plan(plan.plan.run)).await.expect("it begins"));
    assert_eq!(stage.service.truth(), ["p0=1", "p1=2", "p2=2", "p3=1"]);
}

/// What fails while a plan is applied stays open in it, and applying it again goes on with it.
async fn what_fails_stays_open_and_is_applied_again(on: On) {
    let stage = Stage::new(on, Way::Table).await;
    let rows: Rows = (0..5).map(|n| (format!("p{n}"), 1)).collect();
    let (plan, _) = stage.planned(stage.push(&rows), "fails").await;
    let run = plan.plan.run;
    stage.service.fates(|item, times| match () {
        () if !String::from_utf8_lossy(&item.fields).contains("p3") => Fate::Well,
        () if times == 0 => Fate::Refused,
        () => Fate::Well,
    });
    let result = stage.crm.apply(Apply::plan(run)).await.expect("it begins");
    assert_eq!((result.counts.created, result.counts.failed, stage.state(run).await), (4, 1, PlanState::Partial), "{result:?}");
    let open =
        |items: Vec<PlanItem>| items.into_iter().filter(|item| item.state == ItemState::Open).map(|item| item.entity).collect::<Vec<_>>();
    assert_eq!(open(stage.items(&plan).await), ["p3".into()]);
    clean(&stage.crm.apply(Apply::plan(run)).await.expect("it begins"));
    assert_eq!((stage.service.truth().len(), stage.state(run).await), (5, PlanState::Applied));
    assert!(stage.service.state().received.values().all(|times| *times == 1));
}

async fn a_mass_deletion_is_no_plan_until_it_is_confirmed(on: On) {
    let stage = Stage::new(on, Way::Table).await;
    let rows: Rows = (0..10).map(|n| (format!("p{n}"), 1)).collect();
    clean(&stage.crm.sync_to_external(stage.push(&rows)).await.expect("it runs"));
    let fewer: Rows = rows.into_iter().take(5).collect();
    let push = stage.push(&fewer).mode(PushMode::Mirror);
    let refused = stage.crm.plan_push(push.clone()).await.expect_err("too many would go");
    assert!(refused.kind() == ErrorKind::Conflict && refused.text().contains("5 of the 10 records"), "{refused}");
    let (plan, items) = stage.planned(push.confirm_deletes(), "confirmed").await;
    assert!(items.iter().all(|item| item.kind == ItemKind::Delete && item.changes.len() == 2) && items.len() == 5, "{items:?}");
    // A row comes back before it is applied: its record stays. So does one that came there meanwhile.
    stage.world.place().change("INSERT INTO staff VALUES ('p7', 1)");
    stage.service.state().records.insert("guest".into(), json!({ "name": "guest", "v": 0 }));
    let result = stage.crm.apply(Apply::plan(plan.plan.run)).await.expect("it begins");
    assert_eq!((result.counts.deleted, result.counts.skipped), (4, 1), "{result:?}");
    assert_eq!(stage.service.truth(), ["guest=0", "p0=1", "p1=1", "p2=1", "p3=1", "p4=1", "p7=1"]);
}

/// What a mirror would delete is shown by the service's own key, without what the stream marks, and is named by that key ever after.
async fn a_strangers_record_is_shown_by_its_own_key_without_what_is_sensitive(on: On) {
    let stage = Stage::new(on, Way::Table).await;
    let fields = [Field::new("name"), Field::new("v"), Field::new("note").sensitive()];
    let stream = stage.service.state().stream.clone();
    stage.service.state().stream = stream.with_fields(fields.to_vec());
    clean(&stage.crm.sync_to_external(stage.push(&[("a".to_owned(), 1)].into())).await.expect("it runs"));
    for guest in ["guest", "visitor"] {
        stage.service.state().records.insert(guest.into(), json!({ "name": guest, "v": 0, "note": "limps" }));
    }
    let push = stage.push(&[("a".to_owned(), 1)].into()).mode(PushMode::Mirror).confirm_deletes();
    let (plan, items) = stage.planned(push, "strangers").await;
    let shown: Vec<Value> = items.iter().map(|item| item.to_json(&plan.plan.entity, &plan.plan.key)).collect();
    assert_eq!(shown.iter().map(|item| &item["keyValue"]).collect::<Vec<_>>(), ["guest", "visitor"]);
    assert_eq!(shown[0]["existing"], json!({ "name": "guest", "v": 0, "note": { "hidden": null } }));
    // One has changed since, and the other goes.
    stage.service.state().records.get_mut("guest").expect("it is there")["v"] = json!(7);
    let result = stage.crm.apply(Apply::plan(plan.plan.run).only(["guest"])).await.expect("it begins");
    assert_eq!(result.failures.iter().map(|failure| failure.record.as_deref()).collect::<Vec<_>>(), [Some("guest")], "{result:?}");
    clean(&stage.crm.apply(Apply::plan(plan.plan.run).only(["visitor"])).await.expect("it begins"));
    assert_eq!(stage.service.truth(), ["a=1", "guest=7"]);
}

/// The service accepted something else of a row since, which is as it was planned again: somebody has to look at it anew.
async fn what_was_pushed_otherwise_since_is_left_alone(on: On) {
    let stage = Stage::new(on, Way::Table).await;
    let rows = |v: usize| -> Rows { [("a".to_owned(), v), ("b".to_owned(), 2)].into() };
    clean(&stage.crm.sync_to_external(stage.push(&rows(1))).await.expect("it runs"));
    let (plan, items) = stage.planned(stage.push(&rows(2)), "otherwise").await;
    assert_eq!(items.len(), 1);
    clean(&stage.crm.sync_to_external(stage.push(&rows(3))).await.expect("it runs"));
    drop(stage.push(&rows(2)));
    let result = stage.crm.apply(Apply::plan(plan.plan.run)).await.expect("it begins");
    assert_eq!((result.counts.updated, result.counts.skipped), (0, 1), "{result:?}");
    assert_eq!((stage.service.truth(), stage.items(&plan).await[0].state), (vec!["a=3".to_owned(), "b=2".to_owned()], ItemState::Moved));
}

/// Engines and connections on a simulated service, as processes that come and go.
async fn process(world: &World, service: &Service, fuse: Option<&Fuse>) -> (Syncline, Connection) {
    let storage: AnyStorage = world.place().open().await;
    let mut builder = world.builder();
    if let Some(fuse) = fuse {
        let (engine, file) = (fuse.clone(), fuse.clone());
        builder = builder.on_crash_point(move |point| engine.at(point));
        storage.on_crash_point(move |point| file.at(point));
    }
    let builder = match service {
        Service::Sheets(simulation) => builder.provider(Sheets::builder().transport(simulation.transport()).build().expect("a provider")),
        Service::Slack(simulation) => builder.provider(Slack::builder().transport(simulation.transport()).build().expect("a provider")),
    };
    let syncline = builder.storage(storage).build().await.expect("an engine");
    let connection = service.kind().connect(&syncline).await;
    (syncline, connection)
}

/// A process dies while it applies a plan; the next one applies it to its end, and the service has each item once.
async fn a_plan_is_applied_once_whatever_dies(on: On, point: &'static str) {
    quiet_deaths();
    let mut died = 0;
    for seed in 0..if on == On::Sqlite { 6 } else { 2 } {
        let mut random = Random::new(seed ^ 0x9a9a);
        let kind = if seed % 2 == 0 { Kind::Slack } else { Kind::Sheets };
        let about = format!("seed {seed}, {point}, {kind:?}");
        let world = World::on(on).await;
        let mut mix = Mix::random(&mut random);
        mix.items.iter_mut().for_each(|(.., refused)| *refused = false);
        let service = Service::new(kind, &world.clock);
        let run = {
            let (_syncline, connection) = process(&world, &service, None).await;
            clean(&connection.sync_to_external(kind.first(&mix)).await.expect("it runs"));
            world.clock.advance(Duration::from_secs(90));
            let written = service.written();
            let plan = connection.plan_push(kind.second(&mix)).await.expect("a plan");
            assert_eq!(service.written(), written, "{about}: nothing was sent");
            assert_eq!(plan.items, mix.items.len() as u64, "{about}: {:?}", plan.plan.failures);
            plan.plan.run
        };
        let fuse = Fuse::new(point, if kind == Kind::Slack && point.len() == 2 { 1 + random.below(4) } else { 1 });
        {
            let (_syncline, connection) = process(&world, &service, Some(&fuse)).await;
            drop(begun(|| connection.apply(Apply::plan(run))).await);
        }
        for _ in 0..64 {
            tokio::task::yield_now().await;
        }
        if fuse.blown() {
            died += 1;
            world.place().outlive();
        }
        let mut last = None;
        for _ in 0..6 {
            let (syncline, connection) = process(&world, &service, None).await;
            if syncline.workspace("acme").plan(run).await.expect("the plan").state == PlanState::Applied {
                break;
            }
            last = Some(begun(|| connection.apply(Apply::plan(run).triggered_by("again"))).await.expect("it begins"));
            world.clock.advance(Duration::from_secs(3_600));
        }
        let (syncline, connection) = process(&world, &service, None).await;
        let items = syncline.workspace("acme").plan_items(run, 0, 1_000).await.expect("items");
        let left: Vec<_> =
            items.iter().filter(|item| item.state != ItemState::Applied).map(|item| (&item.entity, item.kind, item.state)).collect();
        assert!(left.is_empty(), "{about}: {left:?} {last:?}");
        service.assert_settled(&mix, &world.place(), &about);
        let written = service.written();
        clean(&connection.sync_to_external(kind.second(&mix)).await.expect("it runs"));
        assert_eq!(service.written(), written, "{about}: nothing is left to send");
    }
    assert!(died > 0, "no process died at {point}");
}

/// Rows of a sheet that are there but linked to nothing are told from new ones, by a look that writes nothing; one that comes meanwhile
/// is not written over.
async fn what_is_there_already_is_adopted_as_planned(on: On) {
    let world = World::on(on).await;
    let service = Service::new(Kind::Sheets, &world.clock);
    let Service::Sheets(simulation) = &service else { panic!("a sheet") };
    let sim = simulation.sim();
    for (id, v) in [("p1", "7"), ("p2", "2")] {
        sim.append_row("People", [SimCell::imported(id), SimCell::imported(v)]);
    }
    let (syncline, connection) = process(&world, &service, None).await;
    let people = || {
        let person = |n: usize| PushRecord::new(format!("p{n}"), &json!({ "id": format!("p{n}"), "v": n }));
        Push::records("People", (1..5).map(person)).key(["id"])
    };
    for (push, known) in [(people(), false), (people().look(), true)] {
        let plan = connection.plan_push(push).await.expect("a plan");
        let items = syncline.workspace("acme").plan_items(plan.plan.run, 0, 10).await.expect("items");
        let kinds: Vec<_> = items.iter().map(|item| (&*item.entity, item.kind, item.changes.len())).collect();
        let changed = |known_changes| if known { known_changes } else { 2 };
        assert_eq!(
            kinds,
            [
                ("p1", ItemKind::Adopt, changed(1)),
                ("p2", ItemKind::Adopt, changed(0)),
                ("p3", ItemKind::Create, 2),
                ("p4", ItemKind::Create, 2)
            ]
        );
        assert_eq!(service.written(), 0);
    }
    let inserts = connection.plan_push(people().mode(PushMode::Insert)).await.expect("a plan");
    assert_eq!((inserts.items, inserts.plan.counts.skipped), (2, 2));
    let updates = connection.plan_push(people().mode(PushMode::Update)).await.expect("a plan");
    assert_eq!((updates.items, updates.plan.counts.skipped), (2, 2));

    let plan = connection.plan_push(people()).await.expect("a plan");
    sim.append_row("People", [SimCell::imported("p4"), SimCell::imported("99")]);
    let result = connection.apply(Apply::plan(plan.plan.run)).await.expect("it begins");
    assert_eq!((result.counts.synced(), result.counts.skipped), (3, 1), "{result:?}");
    let there: Vec<_> = service.records().into_iter().map(|(id, v, _)| (id, v)).collect();
    assert_eq!(there, [("p1".to_owned(), 1), ("p2".to_owned(), 2), ("p3".to_owned(), 3), ("p4".to_owned(), 99)]);
}

mod on_sqlite {
    use super::{
        On::Sqlite,
        Way::{Records, Table},
    };

    #[tokio::test]
    async fn a_plan_is_what_the_push_would_send() {
        super::a_plan_is_what_the_push_would_send(Sqlite, Records).await;
        super::a_plan_is_what_the_push_would_send(Sqlite, Table).await;
    }

    #[tokio::test]
    async fn what_has_moved_is_left_alone() {
        super::what_has_moved_is_left_alone(Sqlite).await;
    }

    #[tokio::test]
    async fn a_plan_is_applied_in_parts_and_then_no_more() {
        super::a_plan_is_applied_in_parts_and_then_no_more(Sqlite).await;
    }

    #[tokio::test]
    async fn a_plan_that_no_longer_fits_is_refused() {
        super::a_plan_that_no_longer_fits_is_refused(Sqlite).await;
    }

    #[tokio::test]
    async fn what_is_left_out_is_told_and_why() {
        super::what_is_left_out_is_told_and_why(Sqlite).await;
    }

    #[tokio::test]
    async fn what_fails_stays_open_and_is_applied_again() {
        super::what_fails_stays_open_and_is_applied_again(Sqlite).await;
    }

    #[tokio::test]
    async fn a_mass_deletion_is_no_plan_until_it_is_confirmed() {
        super::a_mass_deletion_is_no_plan_until_it_is_confirmed(Sqlite).await;
    }

    #[tokio::test]
    async fn a_strangers_record_is_shown_by_its_own_key_without_what_is_sensitive() {
        super::a_strangers_record_is_shown_by_its_own_key_without_what_is_sensitive(Sqlite).await;
    }

    #[tokio::test]
    async fn what_was_pushed_otherwise_since_is_left_alone() {
        super::what_was_pushed_otherwise_since_is_left_alone(Sqlite).await;
    }

    #[tokio::test]
    async fn a_plan_is_applied_once_whatever_dies() {
        for point in ["w1", "w4", "w9", "w11", "w12", "w13"] {
            super::a_plan_is_applied_once_whatever_dies(Sqlite, point).await;
        }
    }

    #[tokio::test]
    async fn what_is_there_already_is_adopted_as_planned() {
        super::what_is_there_already_is_adopted_as_planned(Sqlite).await;
    }
}

mod on_postgres {
    use super::{
        On::Postgres,
        Way::{Records, Table},
    };

    #[tokio::test]
    async fn a_plan_is_what_the_push_would_send() {
        super::a_plan_is_what_the_push_would_send(Postgres, Records).await;
        super::a_plan_is_what_the_push_would_send(Postgres, Table).await;
    }

    #[tokio::test]
    async fn what_has_moved_is_left_alone() {
        super::what_has_moved_is_left_alone(Postgres).await;
    }

    #[tokio::test]
    async fn a_plan_is_applied_in_parts_and_then_no_more() {
        super::a_plan_is_applied_in_parts_and_then_no_more(Postgres).await;
    }

    #[tokio::test]
    async fn a_plan_that_no_longer_fits_is_refused() {
        super::a_plan_that_no_longer_fits_is_refused(Postgres).await;
    }

    #[tokio::test]
    async fn what_is_left_out_is_told_and_why() {
        super::what_is_left_out_is_told_and_why(Postgres).await;
    }

    #[tokio::test]
    async fn what_fails_stays_open_and_is_applied_again() {
        super::what_fails_stays_open_and_is_applied_again(Postgres).await;
    }

    #[tokio::test]
    async fn a_mass_deletion_is_no_plan_until_it_is_confirmed() {
        super::a_mass_deletion_is_no_plan_until_it_is_confirmed(Postgres).await;
    }

    #[tokio::test]
    async fn a_strangers_record_is_shown_by_its_own_key_without_what_is_sensitive() {
        super::a_strangers_record_is_shown_by_its_own_key_without_what_is_sensitive(Postgres).await;
    }

    #[tokio::test]
    async fn what_was_pushed_otherwise_since_is_left_alone() {
        super::what_was_pushed_otherwise_since_is_left_alone(Postgres).await;
    }

    #[tokio::test]
    async fn a_plan_is_applied_once_whatever_dies() {
        for point in ["w1", "w4", "w9", "w11", "w12", "w13"] {
            super::a_plan_is_applied_once_whatever_dies(Postgres, point).await;
        }
    }

    #[tokio::test]
    async fn what_is_there_already_is_adopted_as_planned() {
        super::what_is_there_already_is_adopted_as_planned(Postgres).await;
    }
}
