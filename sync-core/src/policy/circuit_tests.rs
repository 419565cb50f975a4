use proptest::prelude::*;

use super::*;

const FAST: Duration = Duration::from_millis(100);
const SECOND: Duration = Duration::from_secs(1);

/// A circuit with a clock of its own; jitter comes out as none (`random` in the middle of its range) unless said otherwise.
struct World {
    circuit: Circuit,
    now: DateTime<Utc>,
    random: u64,
}

impl World {
    fn new() -> Self {
        Self { circuit: Circuit::new(CircuitPolicy::default()), now: DateTime::UNIX_EPOCH + TimeDelta::days(20_000), random: 0 }
    }

    fn wait(&mut self, time: Duration) {
        self.now += TimeDelta::from_std(time).expect("short");
    }

    fn permit(&mut self) -> Result<CircuitPermit, Duration> {
        self.circuit.permit(self.now, self.random)
    }

    fn back(&mut self, permit: CircuitPermit, health: Option<Health>, took: Duration, connection: &str) {
        self.circuit.report(permit, health, took, connection, self.now, self.random);
    }

    fn call(&mut self, health: Health, connection: &str) {
        let permit = self.permit().expect("passes");
        self.back(permit, Some(health), FAST, connection);
    }

    fn closed(&self) -> bool {
        self.circuit.state() == CircuitState::Closed
    }

    /// Opens a fresh circuit and answers the wait.
    fn opened(random: u64) -> (Self, Duration) {
        let mut world = Self { random, ..Self::new() };
        for n in 0..10 {
            world.call(Health::Failed, ["a", "b", "c"][n % 3]);
        }
        let wait = world.permit().expect_err("ten failures of ten calls");
        (world, wait)
    }
}

#[test]
fn opens_on_ten_calls_with_more_than_half_failed_on_enough_connections() {
    use Health::{Failed as F, Good as G};
    for (what, calls, open) in [
        ("nine failures are too few calls", vec![(F, "a"); 9], false),
        ("one connection is enough when it is the only one", vec![(F, "a"); 10], true),
        ("exactly half is not more than half", [vec![(F, "a"); 5], vec![(G, "a"); 5]].concat(), false),
        ("six of ten", [vec![(G, "a"); 4], vec![(F, "a"); 6]].concat(), true),
        ("one broken account among three", [vec![(G, "b"), (G, "c")], vec![(F, "a"); 30]].concat(), false),
        ("two broken accounts among three", [vec![(G, "c")], [(F, "a"), (F, "b")].repeat(10)].concat(), false),
        ("two broken accounts of two", [(F, "a"), (F, "b")].repeat(5), true),
        ("three broken accounts among four", [vec![(G, "d")], [(F, "a"), (F, "b"), (F, "c")].repeat(3)].concat(), true),
    ] {
        let mut world = World::new();
        for (health, connection) in calls {
            world.call(health, connection);
        }
        assert_eq!(!world.closed(), open, "{what}");
    }
}

#[test]
fn ignored_and_dropped_calls_say_nothing() {
    let mut world = World::new();
    for _ in 0..100 {
        world.call(Health::Ignored, "a");
        let permit = world.permit().expect("closed");
        world.back(permit, None, Duration::from_secs(99), "a");
    }
    for _ in 0..9 {
        world.call(Health::Failed, "a");
    }
    assert!(world.closed(), "only nine calls counted");
    world.call(Health::Failed, "a");
    assert!(!world.closed());
}

#[test]
fn slow_calls_above_nine_in_ten_open_it() {
    for (slow, fast, took, open) in [(10, 1, 16, true), (9, 1, 16, false), (11, 0, 15, false), (10, 0, 16, true)] {
        let mut world = World::new();
        for n in 0..slow + fast {
            let permit = world.permit().expect("closed");
            // The fast ones come first, so that only the last slow one can open it.
            let took = if n < fast { FAST } else { Duration::from_secs(took) };
            world.back(permit, Some(Health::Good), took, "a");
        }
        assert_eq!(!world.closed(), open, "{slow} slow of {took} s, {fast} fast");
    }
}

#[test]
fn calls_older_than_the_window_are_forgotten() {
    let mut world = World::new();
    for _ in 0..9 {
        world.call(Health::Failed, "a");
    }
    world.wait(Duration::from_secs(301));
    world.call(Health::Failed, "a");
    assert!(world.closed(), "one call inside the window");

    let mut world = World::new();
    for _ in 0..10 {
        world.call(Health::Failed, "a");
        if !world.closed() {
            break;
        }
        world.wait(Duration::from_secs(28));
    }
    assert!(!world.closed(), "ten calls inside 252 s");
}

#[test]
fn connections_that_fell_silent_are_not_active() {
    let mut world = World::new();
    world.call(Health::Good, "b");
    world.call(Health::Good, "c");
    world.wait(Duration::from_secs(301));
    for _ in 0..10 {
        world.call(Health::Failed, "a");
    }
    assert!(!world.closed(), "the one connection that is active fails");
}

#[test]
fn stays_open_for_a_minute_and_doubles_up_to_ten() {
    // 20 % of the time plus one, halved: no jitter left for `random` in the middle.
    let policy = CircuitPolicy::default();
    for (failed, seconds) in [(0, 60), (1, 120), (2, 240), (3, 480), (4, 600), (5, 600), (40, 600), (u32::MAX, 600)] {
        let millis = seconds * 1000;
        assert_eq!(policy.open_time(failed, millis / 10), Duration::from_secs(seconds), "after {failed} failed probes");
        assert_eq!(policy.open_time(failed, 0), Duration::from_millis(millis * 9 / 10));
        assert_eq!(policy.open_time(failed, millis / 5), Duration::from_millis(millis * 11 / 10));
    }
}

#[test]
fn failed_probe_opens_again_for_twice_as_long_and_success_starts_over() {
    let (mut world, mut wait) = World::opened(0);
    assert_eq!(wait, Duration::from_secs(54));
    for expected in [108, 216, 432, 540, 540] {
        world.wait(wait);
        world.call(Health::Failed, "a");
        wait = world.permit().expect_err("the probe failed");
        assert_eq!(wait, Duration::from_secs(expected));
    }
    world.wait(wait);
    for _ in 0..3 {
        world.call(Health::Good, "a");
    }
    assert!(world.closed());
    for _ in 0..10 {
        world.call(Health::Failed, "a");
    }
    assert_eq!(world.permit().expect_err("open"), Duration::from_secs(54), "closing forgets how often it failed");
}

#[test]
fn three_probes_pass_and_all_must_succeed() {
    let (mut world, wait) = World::opened(7);
    world.wait(wait);
    let probes: Vec<_> = (0..3).map(|_| world.permit().expect("a probe")).collect();
    assert_eq!(world.permit().expect_err("three are under way"), SECOND);
    let mut probes = probes.into_iter();
    for _ in 0..2 {
        let probe = probes.next().expect("three");
        world.back(probe, Some(Health::Good), FAST, "a");
        assert_eq!(world.circuit.state(), CircuitState::HalfOpen);
        world.permit().expect_err("a probe that succeeded is not handed out again");
    }
    world.back(probes.next().expect("three"), Some(Health::Good), FAST, "a");
    assert!(world.closed());
}

#[test]
fn probe_that_says_nothing_gives_its_place_back() {
    let (mut world, wait) = World::opened(7);
    world.wait(wait);
    for n in 0..1000 {
        let probe = world.permit().expect("the place is free again");
        world.back(probe, if n % 2 == 0 { None } else { Some(Health::Ignored) }, FAST, "a");
    }
    for _ in 0..3 {
        world.call(Health::Good, "a");
    }
    assert!(world.closed());
}

#[test]
fn probe_that_never_comes_back_counts_as_failed_after_a_minute() {
    let (mut world, wait) = World::opened(0);
    world.wait(wait);
    let lost = world.permit().expect("a probe");
    world.wait(Duration::from_secs(60));
    world.call(Health::Good, "a");
    world.wait(SECOND);
    let wait = world.permit().expect_err("the first probe is overdue");
    assert_eq!(wait, Duration::from_secs(108));
    world.wait(wait);
    let probe = world.permit().expect("half-open again");
    world.back(lost, Some(Health::Failed), FAST, "a");
    assert_eq!(world.circuit.state(), CircuitState::HalfOpen, "a report from an earlier time is dropped");
    world.back(probe, Some(Health::Good), Duration::from_secs(60), "a");
    assert_eq!(world.circuit.state(), CircuitState::HalfOpen);
}

#[test]
fn reports_of_calls_begun_before_it_opened_change_nothing() {
    let mut world = World::new();
    let early: Vec<_> = (0..20).map(|_| world.permit().expect("closed")).collect();
    for _ in 0..10 {
        world.call(Health::Failed, "a");
    }
    let before = world.circuit.state();
    for permit in early {
        world.back(permit, Some(Health::Good), FAST, "a");
    }
    assert_eq!(world.circuit.state(), before);
}

#[test]
fn clock_that_goes_back_does_not_hold_it_open() {
    let (mut world, wait) = World::opened(0);
    world.now -= TimeDelta::hours(5);
    assert_eq!(world.permit().expect_err("still open"), wait);
    world.wait(wait);
    assert!(world.permit().is_ok(), "no longer than was decided");
}

#[derive(Clone, Debug)]
enum Step {
    Ask,
    Back { which: usize, health: Option<Health>, slow: bool, connection: usize },
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<(Step, u64)>> {
    let health = prop_oneof![
        1 => Just(None),
        1 => Just(Some(Health::Ignored)),
        3 => Just(Some(Health::Good)),
        4 => Just(Some(Health::Failed)),
    ];
    let step = prop_oneof![
        4 => Just(Step::Ask),
        4 => (any::<usize>(), health, any::<bool>(), 0usize..5)
            .prop_map(|(which, health, slow, connection)| Step::Back { which, health, slow, connection }),
        1 => (0u64..120).prop_map(Step::Wait),
    ];
    prop::collection::vec((step, any::<u64>()), 1..400)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn probes_are_bounded_and_never_leak(steps in steps()) {
        let mut world = World::new();
        let mut out: Vec<CircuitPermit> = Vec::new();
        for (step, random) in steps {
            world.random = random;
            match step {
                Step::Ask => match world.permit() {
                    Ok(permit) => out.push(permit),
                    Err(wait) => prop_assert!(wait > Duration::ZERO && wait <= Duration::from_secs(660)),
                },
                Step::Back { which, health, slow, connection } if !out.is_empty() => {
                    let permit = out.swap_remove(which % out.len());
                    let took = if slow { Duration::from_secs(20) } else { FAST };
                    world.back(permit, health, took, ["a", "b", "c", "d", "e"][connection]);
                }
                Step::Back { .. } => {}
                Step::Wait(seconds) => world.wait(Duration::from_secs(seconds)),
            }
            let current = out.iter().filter(|permit| permit.generation == world.circuit.generation).count();
            if let State::HalfOpen { good, out: probes, .. } = &world.circuit.state {
                prop_assert_eq!(probes.len(), current, "every probe under way is one we hold");
                prop_assert!(probes.len() as u32 + good <= 3);
            }
        }
        // All futures are dropped; whoever waits as told gets through.
        for permit in out {
            world.back(permit, None, FAST, "a");
        }
        let mut asked = 0;
        let permit = loop {
            match world.permit() {
                Ok(permit) => break permit,
                Err(wait) => world.wait(wait),
            }
            asked += 1;
            prop_assert!(asked <= 2, "no permit in {} tries", asked);
        };
        world.back(permit, None, FAST, "a");
        if world.circuit.state() == CircuitState::HalfOpen {
            for _ in 0..3 {
                if let Ok(permit) = world.permit() {
                    world.back(permit, Some(Health::Good), FAST, "a");
                }
            }
            prop_assert!(world.closed(), "three good probes close it");
        }
    }
}
