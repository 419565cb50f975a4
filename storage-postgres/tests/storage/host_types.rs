//! Values in columns of every type the host may have.

use serde_json::{Value, json};
use sync_core::HostTable;

use crate::push_support::*;

/// A column type, what a record brings, how PostgreSQL holds it as text, and how it is read back.
struct Case {
    kind: &'static str,
    value: Value,
    held: &'static str,
    read: Value,
}

fn case(kind: &'static str, value: Value, held: &'static str, read: Value) -> Case {
    Case { kind, value, held, read }
}

fn cases() -> Vec<Case> {
    vec![
        case("text", json!("Zoë 名前"), "Zoë 名前", json!("Zoë 名前")),
        case("text", json!(5), "5", json!("5")),
        case("text", json!(""), "", json!("")),
        case("text", json!({"a": 1}), r#"{"a":1}"#, json!(r#"{"a":1}"#)),
        case("varchar(8)", json!("12345678"), "12345678", json!("12345678")),
        case("varchar", json!("any"), "any", json!("any")),
        case("char(4)", json!("ab"), "ab", json!("ab  ")),
        case("citext", json!("MiXed"), "MiXed", json!("MiXed")),
        case("name", json!("n"), "n", json!("n")),
        case("smallint", json!(-7), "-7", json!(-7)),
        case("integer", json!("41"), "41", json!(41)),
        case("integer", json!(5.0), "5", json!(5)),
        case("bigint", json!(i64::MAX), "9223372036854775807", json!(i64::MAX)),
        case("numeric", json!("0.12345678901234567890123"), "0.12345678901234567890123", json!("0.12345678901234567890123")),
        case("numeric(6,2)", json!(1.005), "1.01", json!(1.01)),
        case("numeric(6,2)", json!(7), "7.00", json!(7.0)),
        case("real", json!(0.1), "0.1", json!(0.1)),
        case("double precision", json!(1e300), "1e+300", json!(1e300)),
        case("double precision", json!("NaN"), "NaN", json!("NaN")),
        case("boolean", json!(true), "true", json!(true)),
        case("boolean", json!("no"), "false", json!(false)),
        case("boolean", json!(1), "true", json!(true)),
        case("date", json!("2026-03-01"), "2026-03-01", json!("2026-03-01")),
        case("timestamp", json!("2026-03-01T12:00:00.5"), "2026-03-01 12:00:00.5", json!("2026-03-01T12:00:00.5")),
        case("timestamp(0)", json!("2026-03-01 12:00:00.6"), "2026-03-01 12:00:01", json!("2026-03-01T12:00:01")),
        case("timestamptz", json!("2026-03-01T12:00:00+02:00"), "2026-03-01 10:00:00+00", json!("2026-03-01T10:00:00+00:00")),
        case("time", json!("12:30"), "12:30:00", json!("12:30:00")),
        case("timetz", json!("12:30+01"), "12:30:00+01", json!("12:30:00+01")),
        case("interval", json!("P1M"), "1 mon", json!("P1M")),
        case(
            "uuid",
            json!("6F9619FF-8B86-D011-B42D-00CF4FC964FF"),
            "6f9619ff-8b86-d011-b42d-00cf4fc964ff",
            json!("6f9619ff-8b86-d011-b42d-00cf4fc964ff"),
        ),
        case("json", json!({"b": 1, "a": [null]}), r#"{"a":[null],"b":1}"#, json!({"a": [null], "b": 1})),
        case("jsonb", json!({"b": 1, "a": [null]}), r#"{"a": [null], "b": 1}"#, json!({"a": [null], "b": 1})),
        case("jsonb", json!("text"), r#""text""#, json!("text")),
        case("jsonb", json!(false), "false", json!(false)),
        case("text[]", json!(["a", "b c", null, "NULL", ""]), r#"{a,"b c",NULL,"NULL",""}"#, json!(["a", "b c", null, "NULL", ""])),
        case("text[]", json!("{x,y}"), "{x,y}", json!(["x", "y"])),
        case("int[]", json!([1, 2, null]), "{1,2,NULL}", json!([1, 2, null])),
        case("int[]", json!([[1, 2], [3, 4]]), "{{1,2},{3,4}}", json!([[1, 2], [3, 4]])),
        case("jsonb[]", json!([{"a": 1}]), r#"{"{\"a\": 1}"}"#, json!([{"a": 1}])),
        case("mood", json!("good"), "good", json!("good")),
        case("mood[]", json!(["good", "bad"]), "{good,bad}", json!(["good", "bad"])),
        case("small", json!(9), "9", json!(9)),
        case("code", json!("abc"), "abc", json!("abc")),
        case("bytea", json!("\\xdeadbeef"), "\\xdeadbeef", json!("\\xdeadbeef")),
        case("address", json!({"street": "Elm", "no": 5}), "(Elm,5)", json!({"street": "Elm", "no": 5})),
        case("address", json!("(Oak,6)"), "(Oak,6)", json!({"street": "Oak", "no": 6})),
        case("int4range", json!("[1,5)"), "[1,5)", json!("[1,5)")),
        case("inet", json!("10.0.0.1"), "10.0.0.1/32", json!("10.0.0.1")),
        case("point", json!("(1,2)"), "(1,2)", json!("(1,2)")),
        case("xml", json!("<a/>"), "<a/>", json!("<a/>")),
        case("bit(3)", json!("101"), "101", json!("101")),
        case("money", json!("5.00"), "$5.00", json!("$5.00")),
    ]
}

const TYPES: &str =
    "CREATE EXTENSION IF NOT EXISTS citext; CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE DOMAIN small AS int CHECK (VALUE < 10);
    CREATE DOMAIN code AS varchar(3); CREATE TYPE address AS (street text, no int);";

async fn with_column(site: &Site, kind: &str, name: &str) -> Run {
    site.execute(&format!("CREATE TABLE {name} (id text PRIMARY KEY, v {kind})")).await;
    begin(&site.storage, "acme", &mapped_feed(name, "s", "m"), &host(HostTable::new(name).key("id"))).await
}

#[tokio::test]
async fn values_of_every_type_are_stored_found_unchanged_and_read_back() {
    let site = Site::new().await;
    site.execute(TYPES).await;
    for (number, case) in cases().into_iter().enumerate() {
        let Case { kind, value, held, read } = case;
        let name = format!("t{number}");
        let run = with_column(&site, kind, &name).await;
        let row = [up("r", json!({"id": "a", "v": value}))];
        let done = run.commit(&row).await;
        assert_eq!(counts(&done.counts), [1, 0, 0, 0, 0, 0], "{kind} takes {value}: {:?}", done.failures);
        assert_eq!(site.column(&format!("SELECT v::text FROM {name}")).await, [held], "{kind} holds {value}");
        assert_eq!(counts(&run.commit(&row).await.counts), [0, 0, 1, 0, 0, 0], "{kind}: {value} again");
        assert_eq!(run.table().await["a"]["v"], read, "{kind} is read back");
        assert_eq!(counts(&run.commit(&[up("r", json!({"id": "a", "v": null}))]).await.counts), [0, 1, 0, 0, 0, 0], "{kind} is cleared");
        assert_eq!(site.column(&format!("SELECT coalesce(v::text, 'null') FROM {name}")).await, ["null"]);
        assert_eq!(counts(&run.commit(&row).await.counts), [0, 1, 0, 0, 0, 0], "{kind} is set again");
        run.end().await;
    }
}

#[tokio::test]
async fn values_that_a_type_does_not_take_are_refused_and_never_cut() {
    let site = Site::new().await;
    site.execute(TYPES).await;
    let refused = [
        ("varchar(3)", json!("long")),
        ("char(3)", json!("long")),
        ("code", json!("long")),
        ("bit(3)", json!("1010")),
        ("smallint", json!(40_000)),
        ("integer", json!("")),
        ("integer", json!(1.5)),
        ("integer", json!(true)),
        ("numeric(4,2)", json!(100)),
        ("boolean", json!("maybe")),
        ("date", json!("tomorrow-ish")),
        ("uuid", json!("x")),
        ("mood", json!("meh")),
        ("small", json!(10)),
        ("int[]", json!(["x"])),
        ("int[]", json!([1, [2]])),
        ("bytea", json!("\\xzz")),
        ("address", json!({"street": "Elm", "no": "x"})),
    ];
    for (number, (kind, value)) in refused.into_iter().enumerate() {
        let name = format!("t{number}");
        let run = with_column(&site, kind, &name).await;
        let rows = [up("r", json!({"id": "a", "v": value})), up("s", json!({"id": "b", "v": null}))];
        let done = run.commit(&rows).await;
        assert_eq!(counts(&done.counts), [1, 0, 0, 0, 1, 0], "{kind} refuses {value}");
        assert_eq!(done.failures[0].column.as_deref(), Some("v"), "{kind}: {:?}", done.failures[0]);
        run.end().await;
    }
}

#[tokio::test]
async fn two_ways_of_writing_one_value_are_no_change_and_two_values_that_a_type_takes_for_equal_are_one() {
    let site = Site::new().await;
    site.execute(TYPES).await;
    let same = [
        ("numeric", json!("1.10"), json!("1.1")),
        ("timestamptz", json!("2026-03-01T12:00:00Z"), json!("2026-03-01T13:00:00+01:00")),
        ("json", json!({"a": 1, "b": 2}), json!({"b": 2, "a": 1.0})),
        ("uuid", json!("6F9619FF-8B86-D011-B42D-00CF4FC964FF"), json!("6f9619ff8b86d011b42d00cf4fc964ff")),
        ("boolean", json!("t"), json!(true)),
        ("char(4)", json!("ab"), json!("ab  ")),
    ];
    let other = [
        ("citext", json!("abc"), json!("ABC")),
        ("interval", json!("30 days"), json!("1 month")),
        ("text", json!("e\u{301}"), json!("\u{e9}")),
        ("text[]", json!(["a"]), json!(["A"])),
    ];
    let (some, others) = (same.map(|case| (case, [0, 0, 1, 0, 0, 0])), other.map(|case| (case, [0, 1, 0, 0, 0, 0])));
    for (number, ((kind, one, two), expected)) in some.into_iter().chain(others).enumerate() {
        let run = with_column(&site, kind, &format!("t{number}")).await;
        run.commit(&[up("r", json!({"id": "a", "v": one}))]).await;
        assert_eq!(counts(&run.commit(&[up("r", json!({"id": "a", "v": two}))]).await.counts), expected, "{kind}: {one} and {two}");
        run.end().await;
    }
}

#[tokio::test]
async fn keys_of_every_type_find_their_rows() {
    let site = Site::new().await;
    site.execute(TYPES).await;
    let keys = [
        ("text", json!("a/b\\c"), json!("a/b\\c")),
        ("varchar(10)", json!("k"), json!("k")),
        ("char(4)", json!("ab"), json!("ab")),
        ("citext", json!("Ann@X"), json!("ann@x")),
        ("integer", json!(7), json!("007")),
        ("bigint", json!(7.0), json!(7)),
        ("numeric(8,2)", json!(7), json!("7.00")),
        ("uuid", json!("6F9619FF-8B86-D011-B42D-00CF4FC964FF"), json!("6f9619ff-8b86-d011-b42d-00cf4fc964ff")),
        ("date", json!("2026-03-01"), json!("20260301")),
        ("timestamptz", json!("2026-03-01T12:00:00Z"), json!("2026-03-01T13:00:00+01:00")),
        ("boolean", json!(true), json!("yes")),
        ("mood", json!("good"), json!("good")),
        ("code", json!("abc"), json!("abc")),
        ("bytea", json!("\\x00ff"), json!("\\x00FF")),
    ];
    for (number, (kind, one, two)) in keys.into_iter().enumerate() {
        let name = format!("t{number}");
        site.execute(&format!("CREATE TABLE {name} (tenant text, k {kind}, v text, PRIMARY KEY (tenant, k))")).await;
        let table = HostTable::new(&*name).key("k").workspace_column("tenant").delete_rows();
        let run = begin(&site.storage, "acme", &mapped_feed(&name, "s", "m"), &host(table)).await;
        run.commit(&[up("r", json!({"k": one, "v": "first"}))]).await;
        let done = run.commit(&[up("r", json!({"k": two, "v": "second"}))]).await;
        assert_eq!(done.counts.created + done.counts.failed, 0, "{kind}: {two} is {one}: {:?}", done.failures);
        assert_eq!(site.column(&format!("SELECT v FROM {name}")).await, ["second"], "{kind}");
        assert_eq!(counts(&run.commit(&[gone("r")]).await.counts), [0, 0, 0, 0, 0, 1], "{kind}");
        assert_eq!(site.column(&format!("SELECT count(*)::text FROM {name}")).await, ["0"], "{kind} goes with its record");
        run.end().await;
    }
}
