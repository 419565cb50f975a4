//! Storages that take several commits at once: they are handed over in order and answered in order, never more than the storage takes,
//! and pages go on being read while they are written.

mod support;

use std::{sync::Arc, time::Duration};

use serde_json::json;
use support::{
    Random, World, clean,
    faulty::{Faulty, Pace, Step},
    messages,
    scripted::{Scripted, last, page, then},
};
use syncline::{
    Connection, Credentials, Outcome, Pull, RunStatus, SyncEvent, SyncResult, Syncline,
    core::{Error, ErrorKind, PullPage},
};
use tokio::task::JoinHandle;

/// Pages of these sizes.
fn pages(sizes: &[usize]) -> Vec<PullPage> {
    let mut id = 0;
    let mut pages = Vec::new();
    for (n, size) in sizes.iter().enumerate() {
        let ids: Vec<String> = (id..id + size).map(|id| format!("r{id:04}")).collect();
        id += size;
        let records = page(ids.iter().map(|id| (id.as_str(), json!({ "id": id, "text": "t" }))));
        pages.push(if n + 1 == sizes.len() { last(records) } else { then(records, format!("{n}")) });
    }
    pages
}

/// An engine whose storage takes commits at a pace, on a clock that stands until it is moved.
struct Stage {
    world: World,
    provider: Scripted,
    storage: Faulty,
    syncline: Syncline,
    connection: Connection,
}

impl Stage {
    async fn new(at_once: usize, refuses_from: usize, answers_after: impl Fn(usize) -> Duration + Send + Sync + 'static) -> Self {
        let world = World::new();
        let (provider, storage) = (Scripted::new("demo"), Faulty::new(world.storage().await));
        let syncline = world.open_on(storage.clone(), provider.clone()).await;
        let connection = syncline.workspace("acme").connect("demo", Credentials::api_key("good")).await.expect("it connects");
        world.clock.hold(true);
        let answers_after = Arc::new(answers_after);
        storage.pace(Pace { at_once, clock: world.clock.clone(), answers_after, refuses_from });
        Self { world, provider, storage, syncline, connection }
    }

    /// The pull as a task: it goes on while the clock is moved.
    fn pull(&self, commit_rows: usize) -> JoinHandle<SyncResult> {
        let connection = self.connection.clone();
        let pull = Pull::stream("items").safety_lag(Duration::ZERO).commit_rows(commit_rows);
        tokio::spawn(async move { connection.sync_from_external(pull).await.expect("it begins") })
    }

    /// Moves the clock on until the run has ended.
    async fn end(&self, run: JoinHandle<SyncResult>) -> SyncResult {
        while !run.is_finished() {
            self.rest().await;
            self.world.clock.advance(Duration::from_millis(1));
        }
        run.await.expect("a result")
    }

    /// Lets everything happen that needs no time of the clock.
    async fn rest(&self) {
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_micros(200)).await;
    }

    /// Waits for `n` commits to begin, which need nothing of the clock.
    async fn begun(&self, n: usize) {
        let begun = || self.storage.steps().iter().filter(|step| matches!(step, Step::Begun(_))).count();
        for _ in 0..5_000 {
            if begun() >= n {
                break;
            }
            self.rest().await;
        }
        assert!(begun() >= n, "{n} commits begin: {:?}", self.storage.steps());
        for _ in 0..50 {
            self.rest().await;
        }
    }
}

/// How many commits were under way at once, at most.
fn most_at_once(steps: &[Step]) -> usize {
    let mut now = 0_usize;
    let under_way = steps.iter().map(|step| {
        match step {
            Step::Begun(_) => now += 1,
            Step::Answered(_) => now -= 1,
        }
        now
    });
    under_way.max().unwrap_or_default()
}

#[tokio::test]
async fn answers_are_taken_in_the_order_the_commits_were_handed_over() {
    let sizes: Vec<usize> = (1..=24).collect();
    let mut reordered = 0;
    for seed in 0..8 {
        let delays: Vec<u64> = {
            let mut random = Random::new(seed);
            sizes.iter().map(|_| random.below(12) as u64).collect()
        };
        let stage = Stage::new(3, usize::MAX, move |n| Duration::from_millis(delays[n])).await;
        stage.provider.pages(pages(&sizes));
        let mut events = stage.syncline.events();
        let result = stage.end(stage.pull(1)).await;
        clean(&result);
        let all: u64 = sizes.iter().sum::<usize>() as u64;
        assert_eq!((result.counts.read, result.counts.created), (all, all), "seed {seed}");
        assert_eq!(stage.syncline.workspace("acme").count("demo_items").await.expect("a count"), all);
        let mut told = Vec::new();
        loop {
            match events.next().await.expect("the run tells its end") {
                SyncEvent::SyncProgress { counts, .. } => told.push(counts.created),
                SyncEvent::SyncComplete { .. } => break,
                _ => {}
            }
        }
        let in_order: Vec<u64> = (1..=24).map(|n| n * (n + 1) / 2).collect();
        assert_eq!(told, in_order, "seed {seed}: each page is told once, in order");
        let answered: Vec<usize> =
            stage.storage.steps().iter().filter_map(|step| if let Step::Answered(n) = step { Some(*n) } else { None }).collect();
        reordered += usize::from(!answered.is_sorted());
    }
    assert!(reordered >= 6, "the storage answered out of order with {reordered} seeds only");
}

#[tokio::test]
async fn as_many_commits_are_under_way_as_the_storage_takes_and_never_more() {
    for at_once in 1..=4 {
        let stage = Stage::new(at_once, usize::MAX, |n| Duration::from_millis([9, 2, 5][n % 3])).await;
        stage.provider.pages(pages(&[5; 20]));
        let run = stage.pull(10);
        stage.begun(at_once).await;
        clean(&stage.end(run).await);
        let steps = stage.storage.steps();
        assert_eq!(most_at_once(&steps), at_once, "{steps:?}");
        let begun: Vec<Step> = steps.iter().copied().filter(|step| matches!(step, Step::Begun(_))).collect();
        assert_eq!(begun.len(), 10, "{at_once} at once: two pages a commit");
    }
}

#[tokio::test]
async fn pages_are_read_while_commits_are_under_way_but_only_for_one_group_more() {
    for at_once in [1, 2] {
        let stage = Stage::new(at_once, usize::MAX, |_| Duration::from_millis(1)).await;
        stage.provider.pages(pages(&[1; 100]));
        let run = stage.pull(10);
        stage.begun(at_once).await;
        // What is being written, the group that comes next, and the few pages on their way.
        let asked = stage.provider.requests().len();
        let groups = (at_once + 1) * 10;
        assert!((groups..groups + 5).contains(&asked), "{at_once} at once: {asked} pages were asked for");
        clean(&stage.end(run).await);
    }
}

#[tokio::test]
async fn a_group_that_is_old_waits_for_no_more_pages_while_another_is_under_way() {
    let stage = Stage::new(2, usize::MAX, |n| Duration::from_secs(if n == 0 { 5 } else { 0 })).await;
    let gate = stage.provider.gate();
    stage.provider.pages(pages(&[10, 5, 5]));
    let run = stage.pull(10);
    gate.add_permits(2);
    stage.begun(1).await;
    assert_eq!(stage.storage.steps(), [Step::Begun(0)], "five rows are no group yet");
    stage.world.clock.advance(Duration::from_millis(999));
    stage.rest().await;
    assert_eq!(stage.storage.steps(), [Step::Begun(0)], "nor an old one");
    stage.world.clock.advance(Duration::from_millis(1));
    stage.begun(2).await;
    assert_eq!(stage.storage.steps(), [Step::Begun(0), Step::Begun(1), Step::Answered(1)], "while the first is under way");
    gate.add_permits(1);
    stage.world.clock.advance(Duration::from_secs(5));
    let result = stage.end(run).await;
    clean(&result);
    assert_eq!((result.counts.created, stage.storage.steps().len()), (20, 6));
}

#[tokio::test]
async fn a_commit_that_fails_stops_the_run_and_those_after_it_are_waited_for() {
    // The third is refused late, the fourth soon: the run tells the third's error, begins no fifth and ends after the fourth.
    for (third, fourth) in [(9, 1), (1, 9)] {
        let stage = Stage::new(2, 2, move |n| Duration::from_millis([0, 0, third, fourth][n.min(3)])).await;
        stage.provider.pages(pages(&[10; 20]));
        let run = stage.pull(10);
        // The clock stands until both are under way: however slow the machine is, the third is not refused before the fourth begins.
        stage.begun(4).await;
        let result = stage.end(run).await;
        assert_eq!((result.outcome, result.errors.len()), (Outcome::Failed, 1), "{:?}", result.errors);
        assert!(messages(&result).contains("commit 2 is refused"), "{}", messages(&result));
        assert_eq!(result.counts.created, 20, "what was written before counts");
        let steps = stage.storage.steps();
        let begun = steps.iter().filter(|step| matches!(step, Step::Begun(_))).count();
        assert!(begun <= 4, "none is begun after one that failed: {steps:?}");
        assert_eq!(steps.len(), 2 * begun, "each that had begun was waited for: {steps:?}");
        assert_eq!(begun, 4, "two were under way: {steps:?}");
        let runs = stage.syncline.workspace("acme").runs(syncline::RunFilter::default()).await.expect("runs");
        assert_eq!(runs[0].status, RunStatus::Failed);
    }
}

#[tokio::test]
async fn what_was_read_before_a_service_fails_is_written_even_when_commits_are_under_way() {
    let stage = Stage::new(2, usize::MAX, |n| Duration::from_millis([7, 1][n % 2])).await;
    let scripted = pages(&[10, 10, 10, 4, 1]);
    stage.provider.answer(move |_, n| match n {
        0..4 => Ok(scripted[n].clone()),
        _ => Err(Error::new(ErrorKind::Auth, "pull", "the token is no longer good")),
    });
    let result = stage.end(stage.pull(10)).await;
    assert_eq!((result.outcome, result.counts.created), (Outcome::Failed, 34));
    assert_eq!(result.errors[0].kind, ErrorKind::Auth);
    assert_eq!(stage.syncline.workspace("acme").count("demo_items").await.expect("a count"), 34);
}
