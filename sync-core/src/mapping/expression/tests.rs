//! What expressions mean, what they refuse, and that none of them can do harm.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const KNOWN: [&str; 8] = ["price", "pieces", "name", "paid", "due", "tags", "gone", "us gross"];

fn compile(text: &str) -> Expression {
    Expression::compile(text, &KNOWN).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}"))
}

fn evaluate(text: &str) -> Result<Option<String>, String> {
    let row: BTreeMap<&str, &str> = [
        ("price", "12500000"),
        ("pieces", "3"),
        ("name", r#""Ünder \"way\"""#),
        ("paid", "true"),
        ("due", "null"),
        ("tags", "[1, 2]"),
        ("us gross", "1.10"),
        ("Raw Name", r#"" x ""#),
        ("empty", r#""""#),
        ("huge", "12345678901234567890123456789012345"),
        ("max", "9223372036854775807"),
    ]
    .into();
    let expression = compile(text);
    expression.evaluate(&|at| match &expression.reads[at] {
        Read::Field(name) | Read::Source(name) => row.get(&**name).copied(),
    })
}

fn wrong(text: &str) -> String {
    let wrong = Expression::compile(text, &KNOWN).expect_err(text);
    wrong.iter().map(|wrong| format!("{} [{}]", wrong.problem, wrong.hint.as_deref().unwrap_or_default())).collect::<Vec<_>>().join("; ")
}

#[test]
fn expressions_compute_what_they_say() {
    for (text, json) in [
        ("price * pieces", "37500000"),
        ("1 + 2 * 3 - 4", "3"),
        ("-(1 + 2)", "-3"),
        ("7 % 4", "3"),
        ("7 / 4", "1.75"),
        ("round(2 / 3, 4)", "0.6667"),
        ("round(2.5)", "3"),
        ("round(-2.5)", "-3"),
        ("floor(-1.5) + ceil(1.2)", "0"),
        ("abs(-3) + min(4, 2, 3) + max(1, 5)", "10"),
        ("name + '!'", r#""Ünder \"way\"!""#),
        ("size(name)", "11"),
        ("upper(name).lower().startsWith('ünder')", "true"),
        ("name.contains('way') && !name.endsWith('x')", "true"),
        ("paid ? 'yes' : 'no'", r#""yes""#),
        ("due == null ? 'open' : due", r#""open""#),
        ("has(due) || has(price)", "true"),
        ("coalesce(due, gone, source('empty'), pieces)", "3"),
        ("coalesce(due, source('empty'))", r#""""#),
        ("pieces in [1, 2, 3]", "true"),
        ("name in ['a', 'b']", "false"),
        ("tags", "[1, 2]"),
        ("due", "null"),
        ("trim(source('Raw Name'))", r#""x""#),
        ("field('us gross') + 0.20", "1.3"),
        ("number('1.50') * 2", "3"),
        ("text(price) + '/' + text(paid)", r#""12500000/true""#),
        ("micros(field('us gross'))", "1100000"),
        ("price >= 100 && pieces < 4 && pieces != 4", "true"),
        ("'a' < 'b'", "true"),
        ("false && source('huge') == 1", "false"),
        ("1 // one", "1"),
        ("price-1", "12499999"),
        ("2.5e1-.5", "24.5"),
    ] {
        assert_eq!(evaluate(text), Ok(Some(json.to_owned())), "{text}");
    }
}

#[test]
fn numbers_stay_exact_or_are_refused() {
    for (text, json) in [
        ("0.1 + 0.2", "0.3"),
        ("source('max') + 0", "9223372036854775807"),
        ("source('max') * 1", "9223372036854775807"),
        ("source('max') - 1", "9223372036854775806"),
        ("'ü' == 'ü' ? 0.1234567890123456789 : 0", "0.1234567890123456789"),
        ("1.10 * 1.10", "1.21"),
        ("round(12345678 * 0.19)", "2345679"),
    ] {
        assert_eq!(evaluate(text), Ok(Some(json.to_owned())), "{text}");
    }
    for (text, reason) in [
        ("source('huge') + 1", "huge has more digits than can be computed with exactly (28)"),
        ("source('max') * source('max')", "the result of * has more than 28 digits"),
        ("0.00000000000001 * 0.000000000000001", "the result of * has more than 28 digits"),
        ("1000000000000000000 + 0.00000000001", "the result of + has more than 28 digits"),
        ("1 / 0", "/ by zero"),
        ("1 % (pieces - 3)", "% by zero"),
        ("micros(0.0000001)", "micros takes amounts of at most six decimal places and 64 bits; round them first"),
        ("micros(source('max'))", "micros takes amounts of at most six decimal places and 64 bits; round them first"),
    ] {
        assert_eq!(evaluate(text), Err(reason.to_owned()), "{text}");
    }
}

#[test]
fn field_the_record_does_not_have_leaves_the_result_absent() {
    for text in ["gone", "gone + 1", "source('Nobody') == 1", "paid ? gone : 1"] {
        assert_eq!(evaluate(text), Ok(None), "{text}");
    }
    for (text, json) in [("has(gone)", "false"), ("has(gone) ? gone : 0", "0"), ("paid ? 1 : gone", "1"), ("coalesce(gone, 7)", "7")] {
        assert_eq!(evaluate(text), Ok(Some(json.to_owned())), "{text}");
    }
}

#[test]
fn values_of_the_wrong_type_are_errors_that_say_what_was_given() {
    for (text, reason) in [
        ("due * 2", "* takes numbers and was given null"),
        ("name * 2", "* takes numbers and was given a text"),
        ("name + 2", "+ with a text takes texts and was given a number"),
        ("-name", "- takes numbers and was given a text"),
        ("!name", "! takes true or false and was given a text"),
        ("price ? 1 : 2", "? takes true or false and was given a number"),
        ("name == 1", "== compares a text with a number"),
        ("name < 1", "< compares a text with a number"),
        ("due < 1", "< compares null with a number"),
        ("tags == tags", "objects and lists cannot be compared"),
        ("upper(price)", "upper takes texts and was given a number"),
        ("number('x')", "number was given a text that is no number of 28 digits"),
        ("text(due)", "text takes one value and was given null"),
        ("round(1, 99)", "round takes 0 to 28 places"),
    ] {
        assert_eq!(evaluate(text), Err(reason.to_owned()), "{text}");
    }
}

#[test]
fn everything_that_is_wrong_is_told_before_the_first_row() {
    for (text, words) in [
        ("", "is empty"),
        ("prise * piece", "reads \"prise\", which is no field the mapping makes before it [did you mean \"price\"?]; reads \"piece\""),
        ("xyz", "there are: price, pieces"),
        ("rond(price)", "calls \"rond\", which is no function [did you mean \"round\"?]"),
        ("round()", "gives round 0 arguments; it takes 1 to 2"),
        ("abs(1, 2)", "gives abs 2 arguments; it takes 1"),
        ("price +", "cannot be read at character"),
        ("(price", "cannot be read at character"),
        ("name.first", "reads a member with a point"),
        ("[1, 2]", "has a list outside of `in`"),
        ("1 in tags", "has `in` without a list that is written out"),
        ("{'a': 1}", "makes an object"),
        ("b'x' == name", "has bytes"),
        ("has(1 + 1)", "has `has` of something that is no field"),
        ("source(name)", "has source without one name in quotes"),
        ("tags.map(t, t * 2)", "calls \"map\", which is no function"),
        ("tags.all(t, t > 2)", "calls \"all\", which is no function"),
        ("0.1 + 0.10000000000000001", "whose digits"),
        ("0.123456789012345678901234567890", "whose digits cannot all be kept"),
        ("1e300", "whose digits cannot all be kept"),
    ] {
        let told = wrong(text);
        assert!(told.contains(words), "{words:?} is not in: {told}");
    }
}

#[test]
fn length_and_depth_have_limits() {
    assert!(wrong(&format!("1{}", " + 1".repeat(300))).contains("is longer than 1000 bytes"));
    compile(&format!("1{}", " + 1".repeat(240)));
    compile(&format!("{}1{}", "(".repeat(20), ")".repeat(20)));
    let deep = wrong(&format!("{}1{}", "(".repeat(200), ")".repeat(200)));
    assert!(deep.contains("is nested deeper than 32"), "{deep}");
    assert!(wrong(&"(".repeat(900)).contains("is nested deeper than 32"));
    assert!(wrong(&"[".repeat(900)).contains("is nested deeper than 32"));
}

#[test]
fn type_of_the_result_is_known_where_the_text_tells() {
    for (text, kind) in [
        ("price * 2", Some(FieldKind::Number)),
        ("micros(price)", Some(FieldKind::Integer)),
        ("name + 'x'", Some(FieldKind::Text)),
        ("price + pieces", None),
        ("paid && has(due)", Some(FieldKind::Boolean)),
        ("paid ? 'a' : 'b'", Some(FieldKind::Text)),
        ("paid ? 'a' : 1", None),
        ("paid ? 'a' : null", Some(FieldKind::Text)),
        ("price", None),
    ] {
        assert_eq!(compile(text).kind(), kind, "{text}");
    }
}

/// Texts made of the pieces expressions are made of, mostly wrong ones.
fn scribble() -> impl Strategy<Value = String> {
    let pieces = vec![
        "price",
        "pieces",
        "name",
        "due",
        "gone",
        "1",
        "0.5",
        "'x'",
        "null",
        "true",
        " + ",
        " * ",
        " / ",
        " % ",
        "-",
        "!",
        " == ",
        " < ",
        " && ",
        " || ",
        " ? ",
        " : ",
        " in ",
        "(",
        ")",
        "[",
        "]",
        ",",
        ".",
        "has(",
        "coalesce(",
        "round(",
        "size(",
        "source('Raw Name')",
        "\"",
        "`",
        "{",
        "}",
        "b'",
        "r'",
        "\\",
        "1e9",
        "9223372036854775808",
        "#",
        "\n",
        "//",
        "é",
    ];
    prop::collection::vec(prop::sample::select(pieces), 0..14).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_text_makes_it_panic_and_every_result_is_json_and_the_same_each_time(text in prop_oneof![scribble(), "\\PC{0,30}"], cell in "[0-9]{1,30}(\\.[0-9]{1,20})?(e-?[0-9]{1,3})?|null|true|\"x\"|\\[\\]") {
        match Expression::compile(&text, &KNOWN) {
            Ok(expression) => {
                let made = expression.evaluate(&|_| Some(&cell));
                prop_assert_eq!(&made, &expression.evaluate(&|_| Some(&cell)));
                if let Ok(Some(json)) = made {
                    prop_assert!(serde_json::from_str::<&serde_json::value::RawValue>(&json).is_ok(), "{} made {}", text, json);
                }
            }
            Err(wrong) => prop_assert!(!wrong.is_empty() && wrong.iter().all(|wrong| wrong.problem != "cannot be read"), "{}: {:?}", text, wrong),
        }
    }

    #[test]
    fn integers_of_64_bits_compute_as_in_128(a in any::<i64>(), b in any::<i64>()) {
        let known = ["a", "b"];
        let row = [a.to_string(), b.to_string()];
        for (text, exact) in [
            ("a + b", Some(i128::from(a) + i128::from(b))),
            ("a - b", Some(i128::from(a) - i128::from(b))),
            ("a * b", i128::from(a).checked_mul(b.into()).filter(|product| product.unsigned_abs() < 1 << 96)),
            ("a % b", i128::from(a).checked_rem(b.into())),
        ] {
            let expression = Expression::compile(text, &known).expect("valid");
            let made = expression.evaluate(&|at| Some(match &expression.reads[at] {
                Read::Field(name) if **name == *"a" => row[0].as_str(),
                _ => row[1].as_str(),
            }));
            prop_assert_eq!(made.ok().flatten(), exact.map(|exact| exact.to_string()), "{} of {:?}", text, row);
        }
    }
}
