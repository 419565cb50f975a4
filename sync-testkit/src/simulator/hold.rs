//! Calls that stand still, so that somebody can be killed meanwhile.

use bytes::Bytes;
use http::request::Parts;
use tokio::sync::watch;

use super::{
    Simulation, Simulator,
    simulation::{End, Fate, Held},
};

/// How many calls were held, and how often they were let go. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Holds {
    held: watch::Sender<usize>,
    releases: watch::Sender<usize>,
}

impl Default for Holds {
    fn default() -> Self {
        Self { held: watch::Sender::new(0), releases: watch::Sender::new(0) }
    }
}

impl Holds {
    pub(super) fn count(&self) -> usize {
        *self.held.borrow()
    }

    pub(super) async fn until(&self, calls: usize) {
        // the sender lives in `self`, so that the channel cannot close while this waits
        let _ = self.held.subscribe().wait_for(|held| *held >= calls).await;
    }

    pub(super) fn release(&self) {
        self.releases.send_modify(|releases| *releases += 1);
    }

    async fn stand_still(&self) {
        // from before it counts as held, so that a release right after is not missed
        let before = *self.releases.borrow();
        self.held.send_modify(|held| *held += 1);
        let _ = self.releases.subscribe().wait_for(|releases| *releases > before).await;
    }
}

impl<S: Simulator> Simulation<S> {
    /// What becomes of a request, as soon as nothing holds it any more.
    pub(super) async fn arrive(&self, head: Parts, body: Bytes) -> Fate {
        let Fate { delay, end } = self.receive(head, body);
        let End::Held(held) = end else { return Fate { delay, end } };
        let simulation = self.clone();
        // a task of its own: the service has the request, whatever becomes of the client
        let released = tokio::spawn(async move {
            simulation.faults().holds.stand_still().await;
            match *held {
                Held::Request(request) => simulation.sim().answer(&request),
                Held::Answer(answer) => answer,
            }
        });
        Fate { delay, end: released.await.map_or(End::Lost, End::Answer) }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use sync_http::Limits;

    use super::*;
    use crate::{Fault, SimAnswer, SimRequest};

    #[derive(Debug, Default)]
    struct Counter(AtomicUsize);

    impl Simulator for Counter {
        fn operation(&self, _: &SimRequest) -> &'static str {
            "counter.add"
        }

        fn answer(&self, _: &SimRequest) -> SimAnswer {
            let n = self.0.fetch_add(1, Ordering::SeqCst) + 1;
            SimAnswer::new(200, "text/plain", n.to_string())
        }
    }

    fn call(counter: &Simulation<Counter>) -> tokio::task::JoinHandle<Option<Bytes>> {
        let transport = counter.transport();
        tokio::spawn(async move {
            let request = http::Request::post("https://counter.example/").body(Bytes::new()).expect("a request");
            let limits = Limits { timeout: Duration::from_secs(1), max_body: 100 };
            transport.send(request, limits).await.ok().map(http::Response::into_body)
        })
    }

    fn done(counter: &Simulation<Counter>) -> usize {
        counter.sim().0.load(Ordering::SeqCst)
    }

    #[tokio::test]
    async fn held_request_acts_when_it_is_released_and_held_answer_before() {
        let counter = Simulation::new(Counter::default());
        let faults = counter.faults();
        faults.push("counter.add", Fault::Pass);
        faults.push("counter.add", Fault::HeldRequest);
        faults.push("counter.add", Fault::HeldAnswer);
        assert_eq!(call(&counter).await.expect("no panic").as_deref(), Some(&b"1"[..]), "the one before is not struck");
        assert_eq!((faults.used(), faults.held()), (0, 0));
        let request = call(&counter);
        faults.until_held(1).await;
        assert_eq!((done(&counter), request.is_finished()), (1, false), "it did not act");
        let answer = call(&counter);
        faults.until_held(2).await;
        assert_eq!((done(&counter), answer.is_finished()), (2, false), "it acted and did not answer");
        faults.release();
        let answers = [answer.await.expect("no panic"), request.await.expect("no panic")];
        assert_eq!(answers.map(|answer| answer.expect("answered")), ["2", "3"].map(Bytes::from));
        assert_eq!((counter.count("counter.add"), faults.used()), (3, 2));
    }

    #[tokio::test]
    async fn held_request_acts_late_though_the_client_is_gone() {
        let counter = Simulation::new(Counter::default());
        counter.faults().push("counter.add", Fault::HeldRequest);
        let client = call(&counter);
        counter.faults().until_held(1).await;
        client.abort();
        assert!(client.await.is_err_and(|error| error.is_cancelled()));
        assert_eq!(done(&counter), 0);
        counter.faults().release();
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(done(&counter), 1, "it arrived late");
        let fresh = call(&counter).await.expect("no panic");
        assert_eq!(fresh.as_deref(), Some(&b"2"[..]), "what comes after a release is not held");
        counter.faults().push("counter.add", Fault::HeldRequest);
        let again = call(&counter);
        counter.faults().until_held(2).await;
        tokio::task::yield_now().await;
        assert_eq!((done(&counter), again.is_finished()), (2, false), "unless it is to be");
    }
}
