//! Children that behave, and children that do not.

use std::io::{Read as _, Write as _};

use super::*;
use crate::{SimAnswer, SimRequest, Simulation, Simulator};

const CHILD: &str = "crash::tests::child";

/// What a child does here: words, one after the other.
#[test]
fn child() {
    let Some(order) = order() else { return };
    for word in order.split(',') {
        match word.split_once('=').unwrap_or((word, "")) {
            ("write", file) => append(file, "x"),
            ("point", name) => point(name),
            // says that it stands still, and goes on: what a kill must not be taken for
            ("pretend", _) => say(REACHED),
            ("call", url) => call(url),
            ("noise", _) => eprintln!("{}", "noise ".repeat(50_000)),
            ("fail", _) => panic!("as ordered"),
            ("stay", _) => std::thread::park(),
            (other, _) => panic!("{other:?} is no order"),
        }
    }
}

fn append(file: &str, text: &str) {
    let file = std::fs::OpenOptions::new().create(true).append(true).open(file);
    file.expect("opened").write_all(text.as_bytes()).expect("written");
}

fn call(url: &str) {
    let address = url.trim_start_matches("http://");
    let mut stream = std::net::TcpStream::connect(address).expect("the parent serves");
    stream
        .write_all(format!("POST / HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").as_bytes())
        .expect("sent");
    stream.read_to_end(&mut Vec::new()).expect("answered");
}

/// A file of the test's own, gone afterwards.
struct File(std::path::PathBuf);

impl File {
    fn new(name: &str) -> Self {
        let file = Self(std::env::temp_dir().join(format!("sync-testkit-{}-{name}", std::process::id())));
        let _ = std::fs::remove_file(&file.0);
        file
    }

    fn write(&self) -> String {
        format!("write={}", self.0.display())
    }

    fn len(&self) -> usize {
        std::fs::read(&self.0).map_or(0, |bytes| bytes.len())
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn crash() -> Crash {
    Crash::child(CHILD)
}

#[tokio::test]
async fn child_is_killed_at_the_ordered_hit_and_the_next_one_goes_to_the_end() {
    let file = File::new("hits");
    let write = file.write();
    let order = format!("{write},point=a,noise,{write},point=b,point=a,{write}");
    crash().kill_at(&order, "a", 2).await;
    assert_eq!(file.len(), 2, "it did what comes before, and nothing after");
    crash().finish(&order).await;
    assert_eq!(file.len(), 5, "nothing stops one that was not told to");
}

#[tokio::test]
#[should_panic(expected = "did not come to the point nowhere")]
async fn child_that_never_comes_to_the_point_fails_the_test() {
    crash().kill_at("point=a", "nowhere", 1).await;
}

#[tokio::test]
#[should_panic(expected = "did not come to the point a for the 3. time")]
async fn child_that_comes_by_too_seldom_fails_the_test() {
    crash().kill_at("point=a,point=a", "a", 3).await;
}

#[tokio::test]
#[should_panic(expected = "ended by itself")]
async fn child_that_goes_on_where_it_should_stand_still_fails_the_test() {
    // The kill may only come when the child is over, otherwise it would be in time after all.
    let mut child = Running::start(CHILD, "pretend", None);
    child.silent().await;
    crash().kill(child, "the point", async {}).await;
}

#[tokio::test]
#[should_panic(expected = "did not come to the point a for the 1. time within")]
async fn child_that_hangs_elsewhere_is_killed_and_fails_the_test() {
    crash().patience(Duration::from_millis(300)).kill_at("stay,point=a", "a", 1).await;
}

#[tokio::test]
#[should_panic(expected = "as ordered")]
async fn child_that_fails_fails_the_test_with_its_own_words() {
    crash().finish("fail").await;
}

#[tokio::test]
#[should_panic(expected = "had not ended")]
async fn child_that_never_ends_fails_the_test() {
    crash().patience(Duration::from_millis(300)).finish("stay").await;
}

#[tokio::test]
#[should_panic(expected = "the child did nothing")]
async fn child_without_a_test_fails_the_test() {
    Crash::child("crash::tests::nobody").finish("write=/nowhere").await;
}

#[derive(Debug, Default)]
struct Counter(AtomicUsize);

impl Simulator for Counter {
    fn operation(&self, _: &SimRequest) -> &'static str {
        "counter.add"
    }

    fn answer(&self, _: &SimRequest) -> SimAnswer {
        self.0.fetch_add(1, Ordering::SeqCst);
        SimAnswer::new(200, "text/plain", "done")
    }
}

#[tokio::test]
async fn child_is_killed_while_the_service_holds_its_call() {
    let counter = Simulation::new(Counter::default());
    let served = counter.serve().await.expect("a free port");
    let acted = || counter.sim().0.load(Ordering::SeqCst);
    let file = File::new("held");
    let order = format!("call={url},call={url},{}", file.write(), url = served.url);
    let faults = counter.faults();
    crash().kill_while_held(&order, faults, "counter.add", 2, Fault::HeldRequest).await;
    assert_eq!((acted(), counter.count("counter.add"), file.len()), (1, 2, 0), "received, not acted");
    crash().kill_while_held(&order, faults, "counter.add", 2, Fault::HeldAnswer).await;
    assert_eq!((acted(), counter.count("counter.add"), file.len()), (3, 4, 0), "acted, not answered");
    faults.release();
    while acted() < 4 {
        tokio::task::yield_now().await;
    }
    crash().finish(&order).await;
    assert_eq!((acted(), file.len()), (6, 1), "the held request arrived late, the next child was not held");
}

#[tokio::test]
#[should_panic(expected = "did not come to the 2. call of counter.add (HeldAnswer)")]
async fn child_that_calls_too_seldom_fails_the_test() {
    let counter = Simulation::new(Counter::default());
    let served = counter.serve().await.expect("a free port");
    crash().kill_while_held(&format!("call={}", served.url), counter.faults(), "counter.add", 2, Fault::HeldAnswer).await;
}

#[tokio::test]
async fn child_is_killed_when_something_happens() {
    let file = File::new("when");
    let order = format!("{},stay", file.write());
    let written = async {
        while file.len() == 0 {
            tokio::task::yield_now().await;
        }
    };
    crash().kill_when(&order, "the write", written).await;
    assert_eq!(file.len(), 1);
}
