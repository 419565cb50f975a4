//! Pushes of random mixes of items to services in trouble, from seeds, inside this process: faults strike the calls, and the run dies
//! at a named place; everything that belonged to it is dropped where it stood. The runs after it go on from the file, and in the end
//! the service has each item once. A seed that fails names itself: `PUSH_SEED=17 cargo test --test push_crash_seeds <test>` runs it alone.

mod support;

use std::time::Duration;

use support::{
    Fuse, On, Random, World, begun,
    mixed::{Kind, Mix, Service},
    quiet_deaths,
};
use syncline::{Push, Sheets, Slack, SyncResult, testkit::Fault};

/// Worlds at each place. On a server each takes a database of its own, so that fewer are made there unless `CRASH_SEEDS` says otherwise.
fn seeds(on: On) -> u64 {
    let wanted = std::env::var("CRASH_SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    wanted.unwrap_or(if on == On::Sqlite { 20 } else { 4 })
}

/// Runs after the one that died, an hour apart, by which everything has to be settled.
const RUNS: usize = 8;

/// One run in a process of its own; `fuse` says where it dies.
async fn run(world: &World, service: &Service, push: Push, fuse: Option<&Fuse>) -> Option<SyncResult> {
    let storage = world.place().open().await;
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
    let push = push.patience(Duration::from_secs(1_200));
    let result = begun(|| connection.sync_to_external(push.clone())).await;
    drop((connection, syncline));
    // Tasks that were stopped let go of the storage when they are next looked at.
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
    result.ok()
}

fn fault(random: &mut Random) -> Fault {
    match random.below(9) {
        0 | 1 => Fault::LostAnswer,
        2 | 3 => Fault::LostRequest,
        4 => Fault::Cut(random.below(40)),
        5 => Fault::status([500, 502, 503][random.below(3)], ""),
        6 => Fault::Refused,
        7 => Fault::Slow(Duration::from_secs([20, 40, 200][random.below(3)])),
        _ => Fault::rate_limited(1 + random.below(40) as u64),
    }
}

/// Strikes some of the calls to come: writes, and the reads they need.
fn plant(service: &Service, random: &mut Random) {
    let [create, update, delete] = service.kind().writes();
    let read = if service.kind() == Kind::Sheets { "sheets.values.batchGet" } else { "slack.conversations.history" };
    for operation in [create, create, update, delete, read] {
        if random.below(3) > 0 {
            service.faults().push_times(operation, Fault::Pass, random.below(3));
            service.faults().push_times(operation, fault(random), 1 + random.below(2));
        }
    }
}

/// Whether it died.
async fn die_at(on: On, point: &'static str, seed: u64) -> bool {
    let about = format!("PUSH_SEED={seed}, {point}, {on:?}");
    let mut random = Random::new(seed ^ 0x5eed);
    let kind = if seed.is_multiple_of(2) { Kind::Slack } else { Kind::Sheets };
    let world = World::on(on).await;
    let (service, mix) = (Service::new(kind, &world.clock), Mix::random(&mut random));
    let before = run(&world, &service, kind.first(&mix), None).await.expect("it runs");
    assert_eq!(before.counts.created as usize, mix.before.len(), "{about}: {before:?}");
    world.clock.advance(Duration::from_secs(90));

    plant(&service, &mut random);
    // A look needs something that was lost.
    if matches!(point, "w7" | "w8") {
        service.faults().push(kind.writes()[0], if random.below(2) == 0 { Fault::LostAnswer } else { Fault::LostRequest });
    }
    let few = matches!(point, "w7" | "w8") || (kind == Kind::Sheets && point.len() == 2);
    let fuse = Fuse::new(point, if few { 1 } else { 1 + random.below(if kind == Kind::Slack { 12 } else { 4 }) });
    let ended = run(&world, &service, kind.second(&mix), Some(&fuse)).await;
    if fuse.blown() {
        world.place().outlive();
        assert!(ended.is_none_or(|result| !result.success()), "{about}: a run that died does not succeed");
    }
    if random.below(2) == 0 {
        plant(&service, &mut random);
    }
    world.clock.advance(Duration::from_secs(random.below(200) as u64));
    let mut last = None;
    for _ in 0..RUNS {
        last = run(&world, &service, kind.second(&mix), None).await;
        if let Some(result) = &last {
            assert!(result.counts.balanced(), "{about}: {result:?}");
        }
        let open = world.ask("SELECT count(*) FROM syncline_push_intents WHERE state <> 'failed' OR next_at IS NOT NULL");
        if open == "0" && last.as_ref().is_some_and(SyncResult::success) {
            break;
        }
        world.clock.advance(Duration::from_secs(3_600));
    }
    let last = last.unwrap_or_else(|| panic!("{about}: no run begins"));
    assert!(last.success() && last.counts.unsettled == 0, "{about}: {last:?}");
    service.assert_settled(&mix, &world.place(), &about);

    service.faults().clear();
    let written = service.written();
    world.clock.advance(Duration::from_secs(36_000));
    let idle = run(&world, &service, kind.second(&mix), None).await.expect("it runs");
    assert!(idle.success() && idle.counts.balanced(), "{about}: {idle:?}");
    assert_eq!(service.written(), written, "{about}: a push of what is there writes nothing");
    service.assert_settled(&mix, &world.place(), &about);
    fuse.blown()
}

async fn all_seeds(on: On, point: &'static str) {
    quiet_deaths();
    if let Some(seed) = std::env::var("PUSH_SEED").ok().and_then(|seed| seed.parse().ok()) {
        Box::pin(die_at(on, point, seed)).await;
        return;
    }
    let mut died = 0;
    let seeds = seeds(on);
    for seed in 0..seeds {
        // On a task of its own, so that one that fails without a word of its own is named too.
        let end = tokio::spawn(die_at(on, point, seed)).await;
        match end {
            Ok(dead) => died += u64::from(dead),
            Err(_) => panic!("PUSH_SEED={seed} at {point} failed; see above"),
        }
    }
    assert!(died * 2 >= seeds, "{point} was reached by {died} of {seeds} seeds only");
}

macro_rules! points {
    ($($name:ident: $point:literal),* $(,)?) => {
        mod on_sqlite {
            use super::*;

            $(#[tokio::test]
            async fn $name() {
                Box::pin(all_seeds(On::Sqlite, $point)).await;
            })*
        }

        mod on_postgres {
            use super::*;

            $(#[tokio::test]
            async fn $name() {
                Box::pin(all_seeds(On::Postgres, $point)).await;
            })*
        }
    };
}

points! {
    a_push_that_dies_before_its_call_leaves_each_item_once: "w1",
    a_push_that_dies_with_an_answer_in_hand_leaves_each_item_once: "w4",
    a_push_that_dies_before_a_look_leaves_each_item_once: "w7",
    a_push_that_dies_with_what_it_found_leaves_each_item_once: "w8",
    a_push_that_dies_with_an_update_answered_leaves_each_item_once: "w9",
    a_push_that_dies_before_a_commit_leaves_each_item_once: "w11",
    a_push_that_dies_after_a_commit_leaves_each_item_once: "w12",
}
