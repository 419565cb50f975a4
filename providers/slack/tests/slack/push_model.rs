//! Random pushes through faults, settled as an engine settles them, leave exactly the messages of a reference model.

use std::{collections::BTreeMap, time::Duration};

use crate::support::{Bench, DELETE, POST, UPDATE, item, removal};
use proptest::prelude::*;
use serde_json::json;
use sync_core::{Earlier, Found, PushItem, PushOutcome};
use sync_testkit::Fault;

#[derive(Clone, Debug)]
enum Step {
    Write { key: u8, text: String, reply: bool },
    Remove { key: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    let text = prop_oneof!["[a-z<>&*_` \n]{0,12}", "(?s).{0,12}", Just("  ".to_owned())];
    prop_oneof![
        4 => (0u8..6, text, any::<bool>()).prop_map(|(key, text, reply)| Step::Write { key, text, reply }),
        1 => (0u8..6).prop_map(|key| Step::Remove { key }),
    ]
}

fn fault() -> impl Strategy<Value = Option<Fault>> {
    prop_oneof![
        3 => Just(None),
        1 => Just(Some(Fault::LostAnswer)),
        1 => Just(Some(Fault::LostRequest)),
        1 => Just(Some(Fault::Cut(12))),
        1 => Just(Some(Fault::Body(r#"{"ok":false,"error":"fatal_error"}"#.into()))),
        1 => Just(Some(Fault::rate_limited(1))),
        1 => Just(Some(Fault::Refused)),
    ]
}

/// Writes an item and settles what is unknown: adopts what is found, writes again what is not.
async fn settled(bench: &Bench, mut item: PushItem) -> Result<Option<String>, TestCaseError> {
    for _ in 0..3 {
        match bench.push(item.clone()).await.expect("no error of the account") {
            PushOutcome::Accepted { id, .. } => return Ok(Some(id.to_string())),
            PushOutcome::Failed(_) => return Ok(None),
            PushOutcome::Unknown => {}
            other => prop_assert!(false, "{:?}", other),
        }
        bench.services.clock().advance(Duration::from_secs(60));
        match bench.find(item.clone()).await.expect("a look") {
            Found::Sent { id, .. } => return Ok(Some(id.to_string())),
            Found::Nothing => item.earlier = Earlier::Unknown { since: chrono::DateTime::UNIX_EPOCH },
            other => prop_assert!(false, "{:?}", other),
        }
    }
    Err(TestCaseError::fail("never settled"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_pushes_leave_what_the_model_says(steps in prop::collection::vec((step(), fault()), 1..16)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let bench = Bench::new();
            bench.sim().set_time(bench.services.clock().now() - Duration::from_secs(3600));
            let parent = bench.sim().post("C1", "U1", "a question");
            // by key: the id Slack gave, the text, whether it is a reply
            let mut model: BTreeMap<u8, (String, String, bool)> = BTreeMap::new();
            for (n, (step, fault)) in steps.into_iter().enumerate() {
                bench.services.clock().advance(Duration::from_secs(7));
                let marker = format!("m{n}");
                let plant = |operation: &str| if let Some(fault) = fault { bench.simulation.faults().push(operation, fault) };
                match step {
                    Step::Write { key, text, reply } => {
                        let known = model.get(&key).cloned();
                        plant(if known.is_some() { UPDATE } else { POST });
                        let thread = reply.then_some(&parent);
                        let fields = json!({"channel_id": "C1", "text": text, "thread_ts": thread});
                        let id = known.as_ref().map(|(id, ..)| id.as_str());
                        let written = settled(&bench, item(&marker, id, &fields)).await?;
                        prop_assert_eq!(written.is_none(), text.trim().is_empty(), "only an empty text is refused");
                        if let Some(written) = written {
                            prop_assert!(id.is_none_or(|id| id == written));
                            let reply = known.map_or(reply, |(_, _, reply)| reply);
                            model.insert(key, (written, text, reply));
                        }
                    }
                    Step::Remove { key } => {
                        let Some((id, ..)) = model.remove(&key) else { continue };
                        plant(DELETE);
                        prop_assert_eq!(settled(&bench, removal(&id)).await?, Some(id));
                    }
                }
                bench.simulation.faults().clear();
            }
            let there: BTreeMap<String, (String, bool)> = bench.posted().into_iter()
                .map(|(id, message)| (id, (message["text"].as_str().unwrap_or_default().to_owned(), message.get("thread_ts").is_some())))
                .collect();
            let wanted: BTreeMap<String, (String, bool)> = model.into_values().map(|(id, text, reply)| (id, (text, reply))).collect();
            prop_assert_eq!(there, wanted);
            Ok(())
        })?;
    }
}
