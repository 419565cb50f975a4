//! Any sheet and any batch: what stands there afterwards is what a plain model says.

mod support;

use proptest::prelude::*;
use provider_sheets::simulator::SimCell;
use serde_json::{Map, Value, json};
use support::{Bench, record, removal};
use sync_core::{Effect, PushItem, PushMode, PushOutcome};

const COLUMNS: [&str; 4] = ["id", "name", "n", "note"];

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        "[a-z=+'\"\n é😀]{0,6}".prop_map(Value::from),
        (-1_000_000i64..1_000_000).prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        (-1_000_000i32..1_000_000).prop_map(|n| Value::from(f64::from(n) / 64.0)),
    ]
}

/// A key and what is to become of it; `None` deletes.
fn change() -> impl Strategy<Value = (u8, Option<[Option<Value>; 3]>)> {
    let cells = [prop::option::of(value()), prop::option::of(value()), prop::option::of(value())];
    (0u8..14, prop::option::weighted(0.8, cells))
}

fn cell(value: &Value) -> SimCell {
    match value {
        Value::String(text) => SimCell::from(text.as_str()),
        Value::Number(number) => SimCell::Number(number.as_f64().expect("a double")),
        Value::Bool(yes) => SimCell::Bool(*yes),
        _ => SimCell::Blank,
    }
}

fn item(key: u8, cells: Option<&[Option<Value>; 3]>) -> PushItem {
    let Some(cells) = cells else { return removal(&format!("k{key}")) };
    let mut fields = Map::from_iter([("id".to_owned(), json!(format!("k{key}")))]);
    fields.extend(COLUMNS[1..].iter().zip(cells).filter_map(|(name, cell)| Some(((*name).to_owned(), cell.clone()?))));
    record(&Value::Object(fields))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_push_into_any_sheet_does_what_a_plain_model_does(
        header_row in 1usize..4,
        mut sheet in prop::collection::vec((prop::option::weighted(0.9, 0u8..10), "[xyz]{0,2}"), 0..10),
        batches in prop::collection::vec((0usize..3, prop::collection::vec(change(), 0..8)), 1..4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let bench = Bench::new();
        let mut rows = vec![vec![String::new()]; header_row - 1];
        rows.push(COLUMNS.map(str::to_owned).to_vec());
        let mut seen = std::collections::HashSet::new();
        for (key, note) in &mut sheet {
            // One row per key; a row that holds nothing would end the table.
            *key = key.filter(|key| seen.insert(*key));
            note.push('.');
        }
        let line = |(key, note): &(Option<u8>, String)| vec![key.map(|key| format!("k{key}")).unwrap_or_default(), String::new(), String::new(), note.clone()];
        rows.extend(sheet.iter().map(line));
        bench.sim().load("T", &rows);

        let mut model: Vec<Vec<SimCell>> = sheet.iter().map(|row| line(row).iter().map(|text| SimCell::from(text.as_str())).collect()).collect();
        for (mode, changes) in batches {
            let mode = [PushMode::Upsert, PushMode::Insert, PushMode::Update][mode];
            let mut taken = std::collections::HashSet::new();
            let changes: Vec<_> = changes.into_iter().filter(|(key, _)| taken.insert(*key)).collect();
            let items = changes.iter().map(|(key, cells)| item(*key, cells.as_ref())).collect();
            let outcomes = runtime.block_on(bench.try_push(json!({"header_row": header_row}), mode, items)).expect("goes through");
            prop_assert_eq!(outcomes.len(), changes.len());

            let mut new = Vec::new();
            for ((key, cells), outcome) in changes.iter().zip(&outcomes) {
                let id = SimCell::from(format!("k{key}").as_str());
                let known = model.iter().position(|row| row[0] == id);
                let effect = match outcome {
                    PushOutcome::Accepted { effect, .. } => Some(*effect),
                    PushOutcome::Unchanged | PushOutcome::Skipped(_) => None,
                    other => return Err(TestCaseError::fail(format!("{other:?}"))),
                };
                let sent = cells.iter().flatten().zip(1..).filter_map(|(cell, column)| Some((column, cell.as_ref()?)));
                let expected = match (cells, known, mode) {
                    (None, Some(at), _) => {
                        model.remove(at);
                        Some(Effect::Deleted)
                    }
                    (None, None, _) => Some(Effect::Deleted),
                    (Some(_), Some(_), PushMode::Insert) | (Some(_), None, PushMode::Update) => None,
                    (Some(_), Some(at), _) => {
                        let before = sent.clone().count();
                        sent.for_each(|(column, value)| model[at][column] = cell(value));
                        (before > 0).then_some(Effect::Updated)
                    }
                    (Some(_), None, _) => {
                        let mut row = vec![id, SimCell::Blank, SimCell::Blank, SimCell::Blank];
                        sent.for_each(|(column, value)| row[column] = cell(value));
                        new.push(row);
                        Some(Effect::Created)
                    }
                };
                prop_assert_eq!(effect, expected, "{} {:?}", key, cells);
            }
            model.extend(new);
            let mut read = bench.sim().cells("T").split_off(header_row);
            read.iter_mut().for_each(|row| row.resize(4, SimCell::Blank));
            prop_assert_eq!(&read, &model);
        }
    }
}
