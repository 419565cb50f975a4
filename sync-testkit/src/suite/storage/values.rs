//! Values come back as they were brought.

use serde_json::{Map, Value, json};
use sync_core::{
    Field, FieldKind, Target,
    store::{Entity, PageCommit},
};

use super::{
    Check,
    check::Looked,
    scene::{Pull, Scene, feed, mapped, part, people, plain, raw, six, up},
};
use crate::suite::Finding;

pub(super) const CHECKS: &[Check] = &[
    check!(absent_null_and_empty_stay_apart, "A field that is absent stays as it is, null clears it, and an empty text is a value"),
    check!(integers_are_exact, "Integers of 64 bits come back to the last digit, and one more or less is a change"),
    check!(long_decimals_are_exact, "Decimals longer than a double come back to the last digit, and a change of the last digit is one"),
    check!(ids_are_exact, "Ids of nineteen digits and with leading zeros come back as the text they are"),
    check!(texts_are_exact, "Texts of any script, with quotes, control characters and in any normal form, come back as they are"),
    check!(a_nul_is_kept_or_refused_alone, "A text with a NUL character comes back as it is, or its record fails and no other does"),
    check!(long_texts_are_kept, "A text of one megabyte comes back whole"),
    check!(many_fields_are_kept, "Rows of 1600 fields are kept whole, and a change of any is one"),
    check!(fields_of_any_name_are_kept, "Fields whose names differ in case or signs, or look like columns of the storage, stay apart"),
    check!(times_are_kept_as_written, "Times come back to the microsecond and in the zone they were written in"),
    check!(structured_values_are_kept, "Booleans, lists and objects come back as they are"),
    check!(a_column_takes_values_of_any_kind, "A field whose rows have values of different kinds keeps each as it is"),
    check!(keys_of_any_text_stay_apart, "Keys that differ in anything are different rows"),
];

async fn pull(scene: &Scene) -> Result<Pull, Finding> {
    scene.begin(&feed("c1", "s"), &plain("x_s")).await
}

/// Commits one cell and answers its counts.
async fn put(run: &Pull, json: &str) -> Result<[u64; 6], Finding> {
    let page = PageCommit { ..run.page(vec![part("", raw("r", "v", json))]) };
    Ok(six(&run.store.commit(page).await?.counts))
}

const CREATED: [u64; 6] = [1, 0, 0, 0, 0, 0];
const UPDATED: [u64; 6] = [0, 1, 0, 0, 0, 0];
const UNCHANGED: [u64; 6] = [0, 0, 1, 0, 0, 0];

async fn absent_null_and_empty_stay_apart(scene: Scene) -> Looked {
    for run in [pull(&scene).await?, scene.begin(&mapped("c2"), &people()).await?] {
        let row = |fields: Value| {
            let mut all = json!({"email": "a"});
            all.as_object_mut().into_iter().for_each(|all| all.extend(fields.as_object().cloned().unwrap_or_default()));
            [up("a", all)]
        };
        run.commit(&row(json!({"v": "value", "w": ""}))).await?;
        same!(run.row("a").await?, json!({"email": "a", "v": "value", "w": ""}), "a value and an empty text");
        same!(run.counts(&row(json!({}))).await?, UNCHANGED, "absent fields");
        same!(run.counts(&row(json!({"v": ""}))).await?, UPDATED, "an empty text for a value");
        same!(run.counts(&row(json!({"v": null}))).await?, UPDATED, "null for an empty text");
        let cleared = run.row("a").await?;
        holds!(cleared.get("v").is_none_or(Value::is_null), "a field that was cleared: {cleared}");
        same!(cleared["w"], json!(""), "the field beside it");
        same!(run.counts(&row(json!({"v": null}))).await?, UNCHANGED, "null again");
        same!(run.counts(&row(json!({"v": "back"}))).await?, UPDATED, "a value again");
    }
    Ok(())
}

/// The digits of a value, whether it is shown as a number or as a text.
fn digits(row: &Value) -> String {
    row["v"].as_str().map_or_else(|| row["v"].to_string(), str::to_owned)
}

async fn every_digit(run: &Pull, numbers: &[&str]) -> Looked {
    let mut expected = CREATED;
    for number in numbers {
        same!(put(run, number).await?, expected, "{number} arrives");
        expected = UPDATED;
        same!(digits(&run.row("r").await?), **number, "{number} comes back");
        same!(put(run, number).await?, UNCHANGED, "{number} arrives again");
    }
    Ok(())
}

async fn integers_are_exact(scene: Scene) -> Looked {
    let numbers = [
        "9007199254740992",
        "9007199254740993",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "-9223372036854775808",
        "-9223372036854775807",
        "0",
    ];
    every_digit(&pull(&scene).await?, &numbers).await
}

async fn long_decimals_are_exact(scene: Scene) -> Looked {
    let numbers = [
        "0.12345678901234567890123",
        "0.12345678901234567890124",
        "12345678901234567890123456789",
        "123456789012345678901234567890",
        "123456789012345678901234567891",
        "-0.123456789012345678901234567891",
        "0.1",
    ];
    every_digit(&pull(&scene).await?, &numbers).await
}

async fn ids_are_exact(scene: Scene) -> Looked {
    let run = pull(&scene).await?;
    let long = "1234567890123456789";
    run.commit(&[up(long, json!({"id": long, "zip": "00123", "e": "1e5"}))]).await?;
    same!(run.row(long).await?, json!({"id": long, "zip": "00123", "e": "1e5"}), "texts of digits");
    same!(run.counts(&[up("1234567890123456788", json!({"id": "1234567890123456788"}))]).await?, CREATED, "an id that is one less");
    same!(run.counts(&[up(long, json!({"zip": "123"}))]).await?, UPDATED, "without the leading zeros");
    Ok(())
}

async fn texts_are_exact(scene: Scene) -> Looked {
    let texts = ["Zoë 名前 🦀 עברית", "e\u{301}", "\u{e9}", "quote \" back \\ line \n tab \t", " spaces ", "ZOË", "zoë", "null"];
    // The first and the last of the planes that have any, and signs that mean nothing, or something, to other programs.
    let planes = [
        "\u{20000}\u{2fa1d}\u{30000}\u{e0001}\u{f0000}\u{10fffd}",
        "\u{ffff}\u{fffe}\u{10ffff}",
        "\u{feff}bom",
        "\u{2028}\u{85}\u{7f}\u{200d}",
    ];
    let run = pull(&scene).await?;
    let mut expected = CREATED;
    for text in texts.into_iter().chain(planes) {
        let json = json!(text).to_string();
        same!(put(&run, &json).await?, expected, "{text:?} arrives");
        expected = UPDATED;
        same!(run.row("r").await?["v"], json!(text), "{text:?} comes back");
        same!(put(&run, &json).await?, UNCHANGED, "{text:?} arrives again");
    }
    Ok(())
}

async fn a_nul_is_kept_or_refused_alone(scene: Scene) -> Looked {
    let run = pull(&scene).await?;
    for value in [json!("nul \u{0} inside"), json!({"in": ["a list\u{0}"]}), json!({"a name\u{0}": 1})] {
        let done = run.commit(&[up("before", json!({"w": 1})), up("nul", json!({"v": value})), up("then", json!({"w": 2}))]).await?;
        let table = run.table().await?;
        same!((&table["before"]["w"], &table["then"]["w"]), (&json!(1), &json!(2)), "the records beside it");
        match table.get("nul") {
            Some(row) => same!(row["v"], value, "the text"),
            None => {
                same!(done.counts.failed, 1, "failed records");
                let named =
                    done.failures.iter().any(|failure| failure.record.as_deref() == Some("nul") && failure.column.as_deref() == Some("v"));
                holds!(named, "the failure names neither record nor column: {:?}", done.failures);
            }
        }
    }
    Ok(())
}

async fn long_texts_are_kept(scene: Scene) -> Looked {
    let run = pull(&scene).await?;
    let text = "ä1".repeat(350_000);
    run.commit(&[up("r", json!({"v": text}))]).await?;
    holds!(run.row("r").await?["v"] == json!(text), "a text of a megabyte came back as another one");
    same!(run.counts(&[up("r", json!({"v": text}))]).await?, UNCHANGED, "the same again");
    same!(run.counts(&[up("r", json!({"v": format!("{text}.")}))]).await?, UPDATED, "with one more letter");
    Ok(())
}

async fn many_fields_are_kept(scene: Scene) -> Looked {
    let run = pull(&scene).await?;
    let mut wide: Map<String, Value> = (0..1600).map(|n| (format!("f{n:04}"), json!(n))).collect();
    same!(run.counts(&[up("a", Value::Object(wide.clone()))]).await?, CREATED, "1600 fields");
    holds!(run.row("a").await? == Value::Object(wide.clone()), "the row came back as another one");
    same!(run.counts(&[up("a", Value::Object(wide.clone()))]).await?, UNCHANGED, "the same again");
    for field in ["f0000", "f1599"] {
        same!(run.counts(&[up("a", json!({field: "changed"}))]).await?, UPDATED, "a change of {field}");
        wide.insert(field.into(), json!("changed"));
    }
    holds!(run.row("a").await? == Value::Object(wide), "the changes came back as others");
    Ok(())
}

async fn fields_of_any_name_are_kept(scene: Scene) -> Looked {
    let run = pull(&scene).await?;
    let odd = json!({
        "Budget ($)": 1, "Budget (€)": 2, "budget": 3, "BUDGET": 4, "": "empty", "名前": "x", "id": 5, "key": 6, "rowid": 7, "entity_id": 8,
        "workspace_id": "theirs", "created_at": "then", "last_synced_at": "never", "a\"b": 9, "a'b": 10, "select": 11,
    });
    run.commit(&[up("a", odd.clone())]).await?;
    same!(run.row("a").await?, odd, "the row");
    same!(run.counts(&[up("a", odd)]).await?, UNCHANGED, "the same again");
    Ok(())
}

async fn times_are_kept_as_written(scene: Scene) -> Looked {
    let fields = vec![Field::typed("v", FieldKind::Timestamp), Field::typed("d", FieldKind::Date)];
    let run = scene.begin(&feed("c1", "s"), &Target { fields: fields.into(), ..plain("x_s") }).await?;
    let times = [
        "2026-03-01T12:00:00.123456Z",
        "2026-03-01T12:00:00.123457Z",
        "2026-03-01T17:30:00.123457+05:30",
        "2026-03-01T12:00:00Z",
        "2026-03-01T12:00:00.000Z",
        "2026-10-25T02:30:00+02:00",
        "2026-10-25T02:30:00+01:00",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999-12:00",
    ];
    let mut expected = CREATED;
    for time in times {
        let row = || [up("r", json!({"v": time, "d": &time[..10]}))];
        same!(run.counts(&row()).await?, expected, "{time} arrives");
        expected = UPDATED;
        same!(run.row("r").await?, json!({"v": time, "d": &time[..10]}), "{time} comes back");
        same!(run.counts(&row()).await?, UNCHANGED, "{time} arrives again");
    }
    Ok(())
}

async fn structured_values_are_kept(scene: Scene) -> Looked {
    let fields = ["flag", "list", "object"].map(|name| Field::typed(name, FieldKind::Json)).to_vec();
    let run = scene.begin(&feed("c1", "s"), &Target { fields: fields.into(), ..plain("x_s") }).await?;
    let value = json!({"flag": true, "off": false, "list": [1, null, "a", [0.5]], "object": {"a": {"b": [true]}}, "none": []});
    run.commit(&[up("a", value.clone())]).await?;
    same!(run.row("a").await?, value, "the row");
    same!(run.counts(&[up("a", value)]).await?, UNCHANGED, "the same again");
    same!(run.counts(&[up("a", json!({"list": [1, null, "a", [0.25]]}))]).await?, UPDATED, "a change deep inside");
    Ok(())
}

async fn a_column_takes_values_of_any_kind(scene: Scene) -> Looked {
    let run = pull(&scene).await?;
    let values = [json!(1), json!("1"), json!(true), json!("true"), json!(1.5), json!([1]), json!("[1]"), json!({"a": 1})];
    let ids: Vec<String> = (0..values.len()).map(|n| format!("k{n}")).collect();
    for (id, value) in ids.iter().zip(&values) {
        run.commit(&[up(id, json!({"v": value}))]).await?;
    }
    let stored: Vec<Value> = run.table().await?.into_values().map(|row| row["v"].clone()).collect();
    same!(stored, values, "the values");
    Ok(())
}

async fn keys_of_any_text_stay_apart(scene: Scene) -> Looked {
    let keys = ["a", "A", "a ", " a", "ä", "a\u{308}", "a/b", "a\\/b", "a\"", "a'", "0", "00", "名前", "a\u{1}b"];
    let own = pull(&scene).await?;
    let through = scene.begin(&mapped("c2"), &people()).await?;
    for key in keys {
        same!(own.counts(&[up(key, json!({"v": key}))]).await?, CREATED, "record {key:?}");
        same!(through.counts(&[up(key, json!({"email": key}))]).await?, CREATED, "row {key:?}");
    }
    let rows: Vec<Entity> = super::scene::rows(&*own.store, "x_s").await?;
    holds!(rows.iter().all(|row| row.fields["v"] == json!(row.key)), "rows under other keys than theirs: {rows:?}");
    same!((rows.len(), through.table().await?.len()), (keys.len(), keys.len()), "rows");
    Ok(())
}
