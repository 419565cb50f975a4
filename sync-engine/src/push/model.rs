//! The rules of an intent against a small model of a service that loses requests and answers, or acts late (reliability: WP2, WP3).

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use sync_core::{
    Effect, Error, ErrorKind, Found, Marker, Operation, PushMode, PushOutcome, RecordId, RunId,
    policy::SettlePolicy,
    store::{Intent, IntentState, PushLink, Settled},
};

use super::{
    found::{Looked, Standing, looked},
    journal::{Verdict, answered, interrupted, unknown},
    next::{Next, Terms, next},
};

const IN_FLIGHT: i64 = 30;
const CALL: Duration = Duration::from_secs(300);
/// A write of a record the service never confirmed.
const NEW: Standing = Standing { repeatable: false, linked: false };
const START: DateTime<Utc> = DateTime::<Utc>::UNIX_EPOCH;

/// A write that has not left yet.
pub(super) fn intent(key: &str) -> Intent {
    Intent {
        key: key.into(),
        marker: Marker::from("m"),
        operation: Operation::Upsert,
        mode: PushMode::Upsert,
        fields: "{}".into(),
        hash: 7,
        id: None,
        version: None,
        state: IntentState::Sending,
        attempts: 0,
        sent_at: START,
        looks: 0,
        looked_at: None,
        next_at: None,
        handle: None,
        error: None,
        run: RunId(1),
    }
}

/// What happens to a request.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Well,
    Refused,
    LostBefore,
    LostAfter,
    /// The call waits so many seconds for its turn, and the request acts so many seconds after that.
    Late(i64, i64),
    Pending,
    /// The process waits so many seconds before it sends and is gone right after that; the request acts so many seconds later.
    Crash(i64, i64),
}

/// What kind of write it is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// The service makes one more record for each request.
    Create,
    /// Of a record whose key the service has confirmed.
    Update,
    Delete,
}

#[derive(Debug)]
struct Model {
    kind: Kind,
    now: DateTime<Utc>,
    /// Records that this write has made.
    made: usize,
    /// Whether the record of an update or delete is as asked for.
    done: bool,
    pending: bool,
    on_their_way: Vec<DateTime<Utc>>,
    intent: Intent,
    over: Option<Settled>,
    first: bool,
    /// The service offers no look; only where writes may be repeated.
    blind: bool,
}

impl Model {
    fn new(kind: Kind, blind: bool) -> Self {
        let id = (kind != Kind::Create).then(|| RecordId::from("r1"));
        let operation = if kind == Kind::Delete { Operation::Delete } else { Operation::Upsert };
        let intent = Intent { id, operation, ..intent("k") };
        Self {
            kind,
            now: START,
            made: 0,
            done: false,
            pending: false,
            on_their_way: Vec::new(),
            intent,
            over: None,
            first: true,
            blind: blind && kind == Kind::Update,
        }
    }

    fn pass(&mut self, seconds: i64) {
        self.now += TimeDelta::seconds(seconds);
        let now = self.now;
        let due = self.on_their_way.iter().filter(|at| **at <= now).count();
        self.on_their_way.retain(|at| *at > now);
        (0..due).for_each(|_| self.act());
    }

    fn act(&mut self) {
        self.made += usize::from(self.kind == Kind::Create);
        self.done = true;
    }

    fn accepted(&self) -> PushOutcome {
        match self.kind {
            Kind::Create => PushOutcome::created("r1"),
            Kind::Update => PushOutcome::updated("r1"),
            Kind::Delete => PushOutcome::deleted("r1"),
        }
    }

    fn send(&mut self, fate: Fate) -> Result<(), TestCaseError> {
        let leaving = Intent {
            state: IntentState::Sending,
            attempts: self.intent.attempts + 1,
            sent_at: self.now,
            looks: 0,
            looked_at: None,
            next_at: None,
            ..self.intent.clone()
        };
        // A request that may still act must not be joined by another that can double it, or be undone by it.
        prop_assert!(self.on_their_way.is_empty(), "sent while an earlier request was on its way: {self:?}");
        if self.kind == Kind::Create {
            prop_assert_eq!(self.made, 0, "sent again although it is there");
        }
        match fate {
            Fate::Well => {
                self.act();
                let outcome = self.accepted();
                self.settle(answered(leaving, outcome, self.now))
            }
            Fate::Refused => {
                let error = Error::new(ErrorKind::Invalid, "write", "no");
                self.settle(answered(leaving, PushOutcome::Failed(error), self.now))
            }
            Fate::LostBefore => self.settle(unknown(leaving, None, self.now)),
            Fate::LostAfter => {
                self.act();
                self.settle(unknown(leaving, None, self.now))
            }
            Fate::Late(waited, late) => {
                self.pass(waited);
                self.on_their_way.push(self.now + TimeDelta::seconds(late));
                self.settle(unknown(leaving, None, self.now))
            }
            Fate::Pending => {
                self.pending = true;
                let outcome = PushOutcome::Pending { handle: "h".into(), after: Duration::from_secs(5) };
                self.settle(answered(leaving, outcome, self.now))
            }
            Fate::Crash(waited, late) => {
                self.pass(waited);
                self.on_their_way.push(self.now + TimeDelta::seconds(late));
                self.intent = leaving;
                Ok(())
            }
        }
    }

    fn settle(&mut self, verdict: Verdict) -> Result<(), TestCaseError> {
        let counted = verdict.counts.read;
        match verdict.settled {
            Settled::Open(intent) => {
                prop_assert_eq!(counted, u64::from(intent.state == IntentState::Failed), "counted once it is settled");
                if intent.state == IntentState::Failed {
                    self.over = Some(Settled::Open(intent.clone()));
                }
                self.intent = *intent;
            }
            settled => {
                prop_assert!(verdict.counts.balanced() && counted == 1);
                prop_assert!(self.on_their_way.is_empty(), "taken for settled while a request was on its way");
                self.over = Some(settled);
            }
        }
        Ok(())
    }

    /// Does what the rules say; answers how long they want to wait, if they do.
    fn step(&mut self, terms: &Terms, fate: Fate) -> Result<Option<i64>, TestCaseError> {
        if self.intent.attempts == 0 {
            return self.send(fate).map(|()| None);
        }
        if self.intent.state == IntentState::Sending {
            // Another process finds it some time later.
            self.intent = interrupted(self.intent.clone(), CALL, self.now);
            self.first = true;
        }
        let link = (self.kind == Kind::Update).then(|| PushLink { id: Some("r1".into()), ..PushLink::default() });
        match next(&self.intent, link.as_ref(), terms, std::mem::take(&mut self.first), self.now) {
            Next::Send => self.send(fate).map(|()| None),
            Next::Wait(until) => {
                prop_assert!(until > self.now);
                Ok(Some((until - self.now).num_seconds().max(1)))
            }
            Next::Look => {
                let there = if self.kind == Kind::Delete { !self.done } else { self.done };
                let found = if self.blind {
                    Found::CannotTell
                } else if there {
                    Found::Sent { id: "r1".into(), version: None }
                } else {
                    Found::Nothing
                };
                match looked(
                    self.intent.clone(),
                    found,
                    Standing { repeatable: self.kind == Kind::Update, linked: self.kind == Kind::Update },
                    &terms.settle,
                    self.now,
                ) {
                    Looked::Verdict(verdict) => self.settle(*verdict).map(|()| None),
                    Looked::Send(intent) => {
                        self.intent = *intent;
                        self.send(fate).map(|()| None)
                    }
                }
            }
            Next::Ask => {
                if std::mem::take(&mut self.pending) {
                    self.act();
                }
                let outcome = self.accepted();
                self.settle(answered(self.intent.clone(), outcome, self.now)).map(|()| None)
            }
            Next::Rest => Ok(None),
        }
    }
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        1 => Just(Fate::Well),
        1 => Just(Fate::Refused),
        3 => Just(Fate::LostBefore),
        3 => Just(Fate::LostAfter),
        5 => (0i64..250, 0..=IN_FLIGHT).prop_map(|(waited, late)| Fate::Late(waited, late)),
        1 => Just(Fate::Pending),
        5 => (0i64..250, 0..=IN_FLIGHT).prop_map(|(waited, late)| Fate::Crash(waited, late)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn whatever_is_lost_each_write_is_done_once(
        kind in prop_oneof![Just(Kind::Create), Just(Kind::Update), Just(Kind::Delete)],
        blind: bool,
        fates in prop::collection::vec((fate(), 0i64..90), 1..12),
    ) {
        let terms = Terms { settle: SettlePolicy::new(Duration::from_secs(IN_FLIGHT as u64)), repeatable: false };
        let mut model = Model::new(kind, blind);
        for (fate, seconds) in fates {
            if model.over.is_some() {
                break;
            }
            model.step(&terms, fate)?;
            model.pass(seconds);
        }
        // From here on nothing is lost any more.
        for _ in 0..20 {
            if model.over.is_some() {
                break;
            }
            if let Some(wait) = model.step(&terms, Fate::Well)? {
                model.pass(wait);
            }
        }
        model.pass(10_000);
        match model.over {
            None => prop_assert!(false, "never settled: {model:?}"),
            Some(Settled::Open(intent)) => {
                prop_assert_eq!(intent.state, IntentState::Failed);
                prop_assert!(model.made <= 1);
            }
            Some(Settled::Accepted { link, .. }) => {
                prop_assert!(model.done && link.hash == Some(7));
                prop_assert_eq!(model.made, usize::from(kind == Kind::Create));
            }
            Some(Settled::Deleted { .. }) => prop_assert!(model.done && kind == Kind::Delete),
            Some(Settled::Dropped { .. }) => prop_assert!(false, "dropped"),
        }
    }
}

#[test]
fn what_a_look_finds_decides() {
    let policy = SettlePolicy::new(Duration::from_secs(30));
    let at = |seconds| START + TimeDelta::seconds(seconds);
    let lost = |operation| Intent { operation, state: IntentState::Unknown, attempts: 1, ..intent("k") };
    let there = || Found::Other { id: "r9".into(), version: None };
    let open = |looked: Looked| match looked {
        Looked::Verdict(verdict) => match verdict.settled {
            Settled::Open(intent) => Some(*intent),
            _ => None,
        },
        Looked::Send(_) => None,
    };
    // Another record with its key is left alone as long as the first request may arrive, then updated, or not in insert mode.
    let early = open(looked(lost(Operation::Upsert), there(), NEW, &policy, at(59))).expect("it waits");
    assert_eq!((early.state, early.next_at), (IntentState::Unknown, Some(at(60))));
    let Looked::Send(update) = looked(lost(Operation::Upsert), there(), NEW, &policy, at(60)) else { panic!("it is sent") };
    assert_eq!(update.id, Some("r9".into()));
    let Looked::Verdict(skipped) = looked(Intent { mode: PushMode::Insert, ..lost(Operation::Upsert) }, there(), NEW, &policy, at(60))
    else {
        panic!("it is not sent")
    };
    assert_eq!((skipped.settled, skipped.counts.skipped), (Settled::Dropped { key: "k".into() }, 1));
    // Several are for a person; so is what nobody can look for.
    let several = open(looked(lost(Operation::Upsert), Found::Several(3), NEW, &policy, at(60))).expect("it stays");
    assert_eq!((several.state, several.next_at), (IntentState::Conflict, None));
    assert!(several.error.is_some_and(|error| error.message.contains('3')));
    let cannot = open(looked(lost(Operation::Upsert), Found::CannotTell, NEW, &policy, at(60))).expect("it stays");
    assert_eq!((cannot.state, cannot.next_at), (IntentState::Unknown, None));
    // A delete whose record is gone is done at once.
    let Looked::Verdict(gone) = looked(lost(Operation::Delete), Found::Nothing, NEW, &policy, at(0)) else { panic!("it is done") };
    assert_eq!(gone.settled, Settled::Deleted { key: "k".into() });
}

#[test]
fn outcomes_decide_when_a_write_is_tried_again() {
    let sent = |attempts| Intent { attempts, ..intent("k") };
    let failed = |kind| PushOutcome::Failed(Error::new(kind, "write", "no"));
    let seconds = |verdict: Verdict| match verdict.settled {
        Settled::Open(intent) => intent.next_at.map(|at| (at - START).num_seconds()),
        _ => None,
    };
    for (attempts, outcome, expected) in [
        (1, failed(ErrorKind::Invalid), None),
        (1, failed(ErrorKind::NotFound), None),
        (1, failed(ErrorKind::Transport), Some(60)),
        (3, failed(ErrorKind::RateLimited), Some(240)),
        (40, failed(ErrorKind::Transport), Some(3_600)),
        (1, PushOutcome::Pending { handle: "h".into(), after: Duration::ZERO }, Some(1)),
        (1, PushOutcome::Unknown, Some(0)),
    ] {
        let about = format!("{attempts} {outcome:?}");
        assert_eq!(seconds(answered(sent(attempts), outcome, START)), expected, "{about}");
    }
    let asked = Error::new(ErrorKind::RateLimited, "write", "no").with_retry(sync_core::Retry::After(Some(Duration::from_secs(900))));
    assert_eq!(seconds(answered(sent(1), PushOutcome::Failed(asked), START)), Some(900), "never sooner than asked");
    // What was written elsewhere than it should be is for a person, and no look is asked for.
    let astray = Error::new(ErrorKind::Conflict, "write", "beside it").with_delivery(sync_core::Delivery::Unknown);
    let Settled::Open(astray) = answered(sent(1), PushOutcome::Failed(astray), START).settled else { panic!("it stays") };
    assert_eq!((astray.state, astray.next_at), (IntentState::Conflict, None));
    let done = answered(sent(1), PushOutcome::Accepted { id: "r1".into(), version: Some("v".into()), effect: Effect::Created }, START);
    assert!(matches!(done.settled, Settled::Accepted { link: PushLink { hash: Some(7), .. }, .. }));
}
