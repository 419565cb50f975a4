//! The other direction: rows into the sheet, messages to Slack, and an answer of each lost on the way.

use serde_json::{Value, json};
use syncline::{
    Connection, Pull, Push, PushRecord,
    testkit::{Fault, Simulation},
};

use super::{
    sheet::Book,
    stage::{Stage, is_error},
    talk::Talk,
};
use crate::{
    exit::Done,
    output::{number, plural},
};

const PARTNERS: usize = 50;
const MESSAGES: usize = 3;

pub(super) async fn both(
    stage: &mut Stage,
    sheets: &Connection,
    slack: &Connection,
    book: &Simulation<Book>,
    talk: &Simulation<Talk>,
) -> Done<()> {
    stage.step("Push: 50 rows into the sheet, 3 messages to Slack; an answer of each is lost");
    book.faults().push("sheets.values.append", Fault::LostAnswer);
    talk.faults().push("slack.chat.postMessage", Fault::LostAnswer);
    stage.header();
    let partners = || Push::records("Partners", partners()).key(["email"]);
    let rows = stage.push(sheets, partners(), "Partners").await?;
    let posts = stage.push(slack, Push::records("messages", messages()), "messages").await?;
    let refused = stage.failures(&rows, 3, is_error).await?;
    let (appends, sent) = (book.count("sheets.values.append"), talk.count("slack.chat.postMessage"));
    stage.say(format!(
        "{} and {} for {} and {}: what was lost was looked for and found, not sent again",
        plural(appends as u64, "append", "appends"),
        plural(sent as u64, "post", "posts"),
        plural(rows.counts.created, "new row", "new rows"),
        plural(posts.counts.created, "message", "messages"),
    ));
    stage.say("Read back:");
    stage.header();
    let back = stage.pull(sheets, Pull::stream("Partners").key(["email"]), "Partners").await?;
    let talked = stage.pull(slack, Pull::stream("messages").safety_lag(std::time::Duration::ZERO), "messages").await?;
    let writes = || book.count("sheets.values.append") + book.count("sheets.values.batchUpdate");
    let before = writes();
    let again = stage.push(sheets, partners(), "Partners").await?;
    stage.say(format!(
        "The same push again: {} unchanged, {} written",
        number(again.counts.unchanged),
        plural((writes() - before) as u64, "call", "calls")
    ));
    let expected = (PARTNERS as u64, MESSAGES as u64);
    let once = (rows.counts.created, posts.counts.created) == expected
        && (back.counts.created, back.counts.skipped, talked.counts.created) == (expected.0, 0, expected.1)
        && sent == MESSAGES;
    stage.promise(once, "lost answers double nothing")?;
    stage.promise(refused == 1 && rows.counts.failed == 1, "a refused record is listed and stops no other")?;
    stage.promise(again.counts.unchanged == expected.0 && writes() == before, "what is there already is not sent again")
}

/// The partners, and one whose note no cell can hold.
fn partners() -> Vec<Value> {
    const NAMES: [&str; 5] = ["Juneau Air", "Topeka Films", "Fog & Sons", "Gate B12 Catering", "Premiere Tours"];
    let mut all: Vec<Value> = (1..=PARTNERS)
        .map(|n| {
            let name = format!("{} {n}", NAMES[n % NAMES.len()]);
            json!({ "email": format!("partner-{n}@example.com"), "name": name, "deal": n * 1_250, "note": if n == 7 { "=1+1 stays text" } else { "" } })
        })
        .collect();
    all.push(json!({ "email": "wordy@example.com", "name": "Wordy Ltd", "deal": 1, "note": "word ".repeat(10_001) }));
    all
}

fn messages() -> Vec<PushRecord> {
    let texts = ["Fifty partners are in the sheet.", "The premiere is on Friday.", "Coffee is back :coffee:"];
    texts
        .iter()
        .enumerate()
        .map(|(n, text)| PushRecord::new(format!("news-{n}"), &json!({ "channel_id": "C0DEMO001", "text": text })))
        .collect()
}
