//! Amounts and their currencies as people write them.

use serde_json::json;

use crate::mapping::transform::tests::{back, built, case, problem, refused, stuck};

#[test]
fn amounts_become_exact_micros() {
    let point = json!({});
    let comma = json!({ "decimal": "," });
    let auto = json!({ "decimal": "auto" });
    for (options, input, micros) in [
        (&point, r#""$1,234.56""#, "1234560000"),
        (&point, r#""1234.5""#, "1234500000"),
        (&point, r#""($12.30)""#, "-12300000"),
        (&point, r#""$(12.30)""#, "refused"),
        (&point, r#""-$12.30""#, "-12300000"),
        (&point, r#""$-12.30""#, "-12300000"),
        (&point, r#""12.30-""#, "-12300000"),
        (&point, r#""−5""#, "-5000000"),
        (&point, r#""+5""#, "5000000"),
        (&point, r#""--5""#, "refused"),
        (&point, r#""(-5)""#, "refused"),
        (&point, r#""US$ 5""#, "5000000"),
        (&point, r#""USD 12.50""#, "12500000"),
        (&point, r#""12.50 usd""#, "12500000"),
        (&point, r#""CHF 1'234.50""#, "1234500000"),
        (&point, r#""Rs. 1,00,000.50""#, "100000500000"),
        (&point, r#""£.50""#, "500000"),
        (&point, r#""0.000001""#, "1"),
        (&point, r#""0.0000010""#, "1"),
        (&point, r#""0.0000001""#, "refused"),
        (&point, r#""1,50""#, "refused"),
        (&point, r#""0,500""#, "refused"),
        (&point, r#""1.234,56""#, "refused"),
        (&point, r#""1,2345.00""#, "refused"),
        (&point, r#""5k""#, "refused"),
        (&point, r#""5 MIO""#, "refused"),
        (&point, r#""n/a""#, "refused"),
        (&point, r#""$""#, "refused"),
        (&point, r#""50¢""#, "refused"),
        (&point, "12.1", "12100000"),
        (&point, "1.5e3", "1500000000"),
        (&point, "9223372036854.775807", "9223372036854775807"),
        (&point, "9223372036854.775808", "refused"),
        (&point, "true", "refused"),
        (&point, r#"["5"]"#, "refused"),
        (&comma, r#""1.234,56 €""#, "1234560000"),
        (&comma, r#""1 234,56 zł""#, "1234560000"),
        (&comma, "\"1\u{202f}234,5\u{a0}€\"", "1234500000"),
        (&comma, r#""12.5""#, "refused"),
        (&comma, "12.5", "12500000"),
        (&auto, r#""EUR 1.234,50""#, "1234500000"),
        (&auto, r#""1,234.50 USD""#, "1234500000"),
        (&auto, r#""€12""#, "12000000"),
        (&auto, r#""CHF 1'234.50""#, "1234500000"),
        (&auto, r#""1,234 USD""#, "refused"),
    ] {
        match micros {
            "refused" => refused("currency", options, input),
            micros => case("currency", options, Some(input), Some(micros)),
        }
    }
}

#[test]
fn another_currency_than_the_named_ones_is_refused() {
    let euros = json!({ "symbols": ["€", "EUR"] });
    case("currency", &euros, Some(r#""€5""#), Some("5000000"));
    case("currency", &euros, Some(r#""5 eur""#), Some("5000000"));
    refused("currency", &euros, r#""$5""#);
    refused("currency", &euros, r#""5 USD""#);
}

#[test]
fn micros_go_back_as_plain_digits() {
    let point = json!({});
    let comma = json!({ "decimal": "," });
    for (options, value, sent) in [
        (&point, "1234560000", "1234.56"),
        (&point, "-1", "-0.000001"),
        (&point, "0", "0"),
        (&point, "5000000", "5"),
        (&point, "9223372036854775807", "9223372036854.775807"),
        (&comma, "-12300000", r#""-12,3""#),
        (&json!({ "symbols": ["€"] }), "12300000", "12.3"),
    ] {
        back("currency", options, value, sent);
    }
    for value in ["1.5", r#""$5""#, "[]"] {
        stuck("currency", &point, value);
    }
}

#[test]
fn code_is_read_beside_the_amount() {
    let none = json!(null);
    let auto = json!({ "decimal": "auto" });
    let dollars = json!({ "signs": { "$": "USD", "kr": "SEK" } });
    for (options, input, code) in [
        (&auto, r#""EUR 1.234,50""#, r#""EUR""#),
        (&auto, r#""1,234.50 usd""#, r#""USD""#),
        (&none, r#""€12""#, r#""EUR""#),
        (&none, r#""-12 £""#, r#""GBP""#),
        (&none, r#""(US$ 12.30)""#, r#""USD""#),
        (&none, r#""R$5""#, r#""BRL""#),
        (&none, r#""Rs. 5""#, "refused"),
        (&none, r#""5 zł""#, r#""PLN""#),
        (&none, r#""US$ 5 USD""#, r#""USD""#),
        (&none, r#""€ 5 USD""#, "refused"),
        (&none, r#""$5""#, "refused"),
        (&none, r#""5 kr""#, "refused"),
        (&dollars, r#""$5""#, r#""USD""#),
        (&dollars, r#""5 kr""#, r#""SEK""#),
        (&dollars, r#""€5""#, r#""EUR""#),
        (&none, r#""5""#, "refused"),
        (&none, "5", "refused"),
        (&none, r#""EUR""#, "refused"),
        (&none, r#""1,23 EUR""#, "refused"),
        (&json!({ "default": "EUR" }), "5", r#""EUR""#),
        (&json!({ "default": "EUR" }), r#""5""#, r#""EUR""#),
        (&json!({ "default": "EUR" }), r#""£5""#, r#""GBP""#),
        (&json!({ "default": "EUR" }), r#"" ""#, "null"),
        (&json!({ "default": "EUR" }), "[]", "refused"),
        (&json!({ "symbols": ["EUR"] }), r#""£5""#, "refused"),
    ] {
        match code {
            "refused" => refused("currency_code", options, input),
            code => case("currency_code", options, Some(input), Some(code)),
        }
    }
}

#[test]
fn codes_that_are_none_are_refused_before_the_first_row() {
    assert!(problem("currency_code", &json!({ "default": "EURO" })).contains("\"EURO\" is no code of ISO 4217"));
    assert!(problem("currency_code", &json!({ "signs": { "$": "dollar" } })).contains("\"dollar\" is no code"));
}

#[test]
fn code_is_sent_by_nobody() {
    assert!(!built("currency_code", &json!(null)).sends(), "it is a part of what the amount is read from");
    assert!(built("currency", &json!(null)).sends());
}
