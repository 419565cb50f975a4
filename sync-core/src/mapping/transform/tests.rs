//! What the tests of all transforms share, and what holds for all of them.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

pub(super) fn built(name: &str, options: &Value) -> Arc<dyn Transform> {
    let step = Step { name: name.into(), options: options.clone() };
    Transforms::default().build(&step).unwrap_or_else(|error| panic!("{error}"))
}

fn text_of(made: Made, input: Option<&str>) -> Option<String> {
    match made {
        Made::Unchanged => input.map(str::to_owned),
        Made::Absent => None,
        Made::Null => Some("null".into()),
        Made::Json(json) => Some(json),
    }
}

fn apply(name: &str, options: &Value, input: Option<&str>) -> Result<Option<String>, TransformError> {
    built(name, options).apply(Cell::of(input)).map(|made| text_of(made, input))
}

/// For `value` a push sends `sent`, and that is read as `value` again.
pub(super) fn back(name: &str, options: &Value, value: &str, sent: &str) {
    let made = built(name, options).back(Cell::of(Some(value))).unwrap_or_else(|error| panic!("{name} {options} of {value:?}: it {error}"));
    assert_eq!(text_of(made, Some(value)).as_deref(), Some(sent), "{name} {options} of {value:?}");
    let again = apply(name, options, Some(sent)).unwrap_or_else(|error| panic!("{name} {options} of {sent:?}: it {error}"));
    assert!(again.as_deref().is_some_and(|again| same(value, again)), "{name} {options}: {value} goes as {sent} and comes as {again:?}");
}

/// For `value` there is nothing to send.
pub(super) fn stuck(name: &str, options: &Value, value: &str) {
    if let Ok(made) = built(name, options).back(Cell::of(Some(value))) {
        panic!("{name} {options} sends {made:?} for {value}");
    }
}

/// `input` becomes `expected`, both JSON texts.
pub(super) fn case(name: &str, options: &Value, input: Option<&str>, expected: Option<&str>) {
    let made = apply(name, options, input).unwrap_or_else(|error| panic!("{name} {options} refused {input:?}: it {error}"));
    assert_eq!(made.as_deref(), expected, "{name} {options} of {input:?}");
}

/// `input` cannot be read.
pub(super) fn refused(name: &str, options: &Value, input: &str) {
    if let Ok(made) = apply(name, options, Some(input)) {
        panic!("{name} {options} made {made:?} of {input:?}");
    }
}

/// The text of the error that wrong options make.
pub(super) fn problem(name: &str, options: &Value) -> String {
    let step = Step { name: name.into(), options: options.clone() };
    Transforms::default().build(&step).expect_err("wrong options").text().to_owned()
}

/// A transform with options that leave most values alone.
type Named = (&'static str, fn() -> Value);

const ALL: [Named; 17] = [
    ("boolean", || Value::Null),
    ("collapse", || Value::Null),
    ("currency", || Value::Null),
    ("currency_code", || json!({ "default": "EUR" })),
    ("date", || Value::Null),
    ("default", || json!({ "value": "x", "when": [] })),
    ("email", || Value::Null),
    ("hash", || json!({ "salt": "pepper" })),
    ("join", || Value::Null),
    ("lower", || Value::Null),
    ("map", || json!({ "table": { "a": "b" }, "keep": true })),
    ("null_if", || json!(["N/A"])),
    ("number", || Value::Null),
    ("regex", || json!({ "pattern": "[a-z]+([0-9])?", "no_match": "keep" })),
    ("split", || Value::Null),
    ("text", || Value::Null),
    ("trim", || Value::Null),
];

/// Options that make other ways through the code.
const MORE: [Named; 9] = [
    ("null_if", || json!(["", "a", "0"])),
    ("number", || json!({ "decimal": "auto" })),
    ("number", || json!({ "decimal": "," })),
    ("currency", || json!({ "decimal": "auto" })),
    ("currency_code", || json!({ "decimal": "auto", "signs": { "$": "USD" } })),
    ("regex", || json!({ "pattern": "(?<a>.)(.)", "group": "a", "no_match": "null" })),
    ("split", || json!({ "separator": " ", "drop_empty": true })),
    ("email", || json!({ "local": "lower" })),
    ("date", || json!({ "formats": ["serial", "epoch", "%d.%m.%Y"], "zone": "Europe/Berlin" })),
];

#[cfg(feature = "phone")]
const PHONE: &[Named] = &[("phone", || json!({ "region": "DE" })), ("phone", || Value::Null)];
#[cfg(not(feature = "phone"))]
const PHONE: &[Named] = &[];

#[test]
fn the_built_in_ones_are_these() {
    let mut names: Vec<_> = ALL.iter().map(|(name, _)| *name).chain(["phone", "upper"]).collect();
    names.sort_unstable();
    assert_eq!(Transforms::default().names().collect::<Vec<_>>(), names);
}

#[cfg(not(feature = "phone"))]
#[test]
fn phone_names_the_feature_it_needs() {
    assert!(problem("phone", &Value::Null).contains("the cargo feature `phone`"));
}

#[test]
fn absent_and_null_stay_what_they_are() {
    for (name, options) in ALL.iter().chain(&MORE).chain(PHONE) {
        case(name, &options(), None, None);
        case(name, &options(), Some("null"), Some("null"));
    }
}

#[test]
fn empty_text_has_no_value_of_another_type_and_stays_a_text() {
    for (name, expected) in [
        ("boolean", "null"),
        ("currency", "null"),
        ("date", "null"),
        ("number", "null"),
        ("email", "null"),
        ("split", "[]"),
        ("join", "\"\""),
        ("collapse", "\"\""),
        ("text", "\"\""),
        ("trim", "\"\""),
        ("lower", "\"\""),
    ] {
        case(name, &Value::Null, Some("\"\""), Some(expected));
    }
    case("trim", &Value::Null, Some("\"  \""), Some("\"\""));
}

#[test]
fn texts_change_and_other_values_pass() {
    for (name, input, expected) in [
        ("trim", r#""\t a b ""#, r#""a b""#),
        ("trim", "\"\u{a0}x\u{a0}\"", r#""x""#),
        ("collapse", r#""\t a  b\u00a0\n""#, r#"" a b ""#),
        ("collapse", r#""a b""#, r#""a b""#),
        ("collapse", "[\" a  \"]", "[\" a  \"]"),
        ("lower", r#""ÄB\"C""#, r#""äb\"c""#),
        ("upper", r#""straße""#, r#""STRASSE""#),
        ("lower", "1E5", "1E5"),
        ("trim", "[\" a \"]", "[\" a \"]"),
        ("text", "007.10", r#""007.10""#),
        ("text", "12345678901234567890", r#""12345678901234567890""#),
        ("text", r#"{"a":1}"#, r#""{\"a\":1}""#),
        ("text", r#""a""#, r#""a""#),
    ] {
        case(name, &Value::Null, Some(input), Some(expected));
    }
    assert!(problem("trim", &json!({ "left": true })).contains("takes no options"));
}

#[test]
fn unknown_names_and_taken_names_are_refused() {
    assert!(problem("trimm", &Value::Null).contains("boolean, collapse, currency"));
    let mut transforms = Transforms::default();
    let error = transforms.register("trim", |_| unreachable!("never built")).expect_err("taken");
    assert_eq!(error.kind(), crate::ErrorKind::Config);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_result_is_one_json_value_and_the_same_each_time(
        text in "\\PC{0,20}",
        money in "(EUR|\\$|€|US\\$)?[(]?-?[0-9,.' ]{0,12}[)]?( USD|€)?",
        spaced in "[a-z0-9@.,;+() \t\n-]{0,24}",
        cell in cell(),
        number in "-?(0|[1-9][0-9]{0,21})(\\.[0-9]{1,12})?([eE]-?(400|401|9223372036854775808|[0-9]{1,4}))?",
    ) {
        let quoted = |text: &String| serde_json::to_string(text).expect("text");
        for input in [quoted(&text), quoted(&money), quoted(&spaced), cell.to_string(), quoted(&number), number] {
            for (name, options) in ALL.iter().chain(&MORE).chain(PHONE) {
                let made = apply(name, &options(), Some(&input));
                prop_assert_eq!(&made, &apply(name, &options(), Some(&input)));
                if let Ok(Some(json)) = made {
                    prop_assert!(serde_json::from_str::<&serde_json::value::RawValue>(&json).is_ok(), "{} made {}", name, json);
                    // And whatever goes back is one, too.
                    let sent = built(name, &options()).back(Cell::of(Some(&json))).map(|made| text_of(made, Some(&json)));
                    if let Ok(Some(sent)) = sent {
                        prop_assert!(serde_json::from_str::<&serde_json::value::RawValue>(&sent).is_ok(), "{} sends {}", name, sent);
                    }
                }
            }
        }
    }
}

/// Any JSON value.
fn cell() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{0,3}", inner, 0..3).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}
