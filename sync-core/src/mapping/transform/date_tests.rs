use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::mapping::transform::tests::{back, built, case, problem, refused, stuck};

fn text(text: &str) -> String {
    serde_json::to_string(text).expect("text")
}

/// `expected` is a text, or `refused`.
fn dates(options: &serde_json::Value, cases: &[(&str, &str)]) {
    for (input, expected) in cases {
        match *expected {
            "refused" => refused("date", options, input),
            expected => case("date", options, Some(input), Some(&text(expected))),
        }
    }
}

#[test]
fn iso_is_read_in_its_common_forms() {
    dates(
        &json!(null),
        &[
            (r#""2024-02-29""#, "2024-02-29"),
            (r#"" 2024-02-29 ""#, "2024-02-29"),
            (r#""2023-02-29""#, "refused"),
            (r#""2024-01-31T10:20:30Z""#, "2024-01-31T10:20:30.000000Z"),
            (r#""2024-01-31 10:20:30.123456+02:00""#, "2024-01-31T08:20:30.123456Z"),
            (r#""2024-01-31T10:20+0230""#, "2024-01-31T07:50:00.000000Z"),
            (r#""2024-01-31T10:20:30""#, "2024-01-31T10:20:30.000000Z"),
            (r#""2024-01-31T10:20""#, "2024-01-31T10:20:00.000000Z"),
            (r#""2016-12-31T23:59:60Z""#, "2017-01-01T00:00:00.000000Z"),
            (r#""2024-01-31T10:20:30.1234567Z""#, "refused"),
            (r#""2024-01-31T25:00:00Z""#, "refused"),
            (r#""24-01-31""#, "refused"),
            (r#""31.01.2024""#, "refused"),
            ("20240131", "refused"),
            ("true", "refused"),
            ("{}", "refused"),
        ],
    );
    dates(&json!({ "truncate": true }), &[(r#""2024-01-31T10:20:30.1234567Z""#, "2024-01-31T10:20:30.123456Z")]);
}

#[test]
fn only_the_named_formats_are_tried_in_their_order() {
    dates(
        &json!({ "format": "%b %d %Y" }),
        &[
            (r#""Jan 31 2024""#, "2024-01-31"),
            (r#""jan 5 2024""#, "2024-01-05"),
            (r#""2024-01-31""#, "refused"),
            (r#""Jan 31 24""#, "refused"),
        ],
    );
    dates(
        &json!({ "formats": ["%d/%m/%Y", "%m/%d/%Y", "%d/%m/%y"] }),
        &[(r#""05/04/2024""#, "2024-04-05"), (r#""12/31/2024""#, "2024-12-31"), (r#""31/31/2024""#, "refused")],
    );
    dates(
        &json!({ "formats": ["%d.%m.%Y %H:%M", "iso", "serial"], "zone": "Europe/Berlin" }),
        &[(r#""01.07.2024 12:00""#, "2024-07-01T10:00:00.000000Z"), (r#""2024-07-01""#, "2024-07-01"), ("45474", "2024-07-01")],
    );
    dates(&json!({ "format": "%Y%m%d" }), &[("20240131", "2024-01-31")]);
    dates(&json!({ "format": "%d %b %Y %H:%M:%S %z" }), &[(r#""31 Jan 2024 10:00:00 -0500""#, "2024-01-31T15:00:00.000000Z")]);
    dates(&json!({ "format": "%I:%M %p %d.%m.%Y" }), &[(r#""09:05 PM 31.01.2024""#, "2024-01-31T21:05:00.000000Z")]);
}

#[test]
fn serial_numbers_count_from_the_end_of_1899_and_come_back_to_the_millisecond() {
    dates(
        &json!({ "format": "serial" }),
        &[
            ("1", "1899-12-31"),
            ("0", "1899-12-30"),
            ("-1", "1899-12-29"),
            ("60", "1900-02-28"),
            ("45292", "2024-01-01"),
            ("45292.0", "2024-01-01"),
            ("45292.5", "2024-01-01T12:00:00.000000Z"),
            ("45292.3333333333", "2024-01-01T08:00:00.000000Z"),
            ("45292.99998842593", "2024-01-01T23:59:59.000000Z"),
            ("45292.999999999999", "2024-01-02T00:00:00.000000Z"),
            (r#""45292""#, "2024-01-01"),
            ("1e30", "refused"),
            (r#""soon""#, "refused"),
        ],
    );
    dates(&json!({ "format": "serial", "to": "timestamp", "zone": "America/New_York" }), &[("45292", "2024-01-01T05:00:00.000000Z")]);
    dates(&json!({ "format": "serial", "to": "date" }), &[("45292.9", "2024-01-01")]);
}

#[test]
fn epoch_seconds_keep_every_microsecond() {
    dates(
        &json!({ "format": "epoch" }),
        &[
            (r#""1712345678.123456""#, "2024-04-05T19:34:38.123456Z"),
            (r#""1712345678.000100""#, "2024-04-05T19:34:38.000100Z"),
            ("1712345678", "2024-04-05T19:34:38.000000Z"),
            ("-1.5", "1969-12-31T23:59:58.500000Z"),
            (r#""1712345678.1234567""#, "refused"),
            (r#""1712345678.1234560""#, "2024-04-05T19:34:38.123456Z"),
            ("1e20", "refused"),
            ("99999999999999", "refused"),
        ],
    );
    dates(
        &json!({ "format": "epoch", "truncate": true }),
        &[(r#""1712345678.1234569""#, "2024-04-05T19:34:38.123456Z"), ("-0.0000001", "1969-12-31T23:59:59.999999Z")],
    );
    dates(
        &json!({ "format": "epoch_ms" }),
        &[("1712345678123", "2024-04-05T19:34:38.123000Z"), ("1712345678123.456", "2024-04-05T19:34:38.123456Z")],
    );
    dates(&json!({ "format": "epoch", "to": "date", "zone": "Asia/Tokyo" }), &[("1712345678", "2024-04-06")]);
}

#[test]
fn a_time_shown_twice_is_the_earlier_and_a_skipped_one_moves_on() {
    let berlin = |strict| json!({ "zone": "Europe/Berlin", "strict": strict });
    dates(
        &berlin(false),
        &[
            (r#""2024-10-27T02:30:00""#, "2024-10-27T00:30:00.000000Z"),
            (r#""2024-03-31T02:30:00""#, "2024-03-31T01:30:00.000000Z"),
            (r#""2024-03-31T03:30:00""#, "2024-03-31T01:30:00.000000Z"),
        ],
    );
    dates(
        &berlin(true),
        &[
            (r#""2024-10-27T02:30:00""#, "refused"),
            (r#""2024-03-31T02:30:00""#, "refused"),
            (r#""2024-10-27T02:30:00+02:00""#, "2024-10-27T00:30:00.000000Z"),
        ],
    );
    // Samoa left out a whole day.
    dates(&json!({ "zone": "Pacific/Apia", "to": "timestamp" }), &[(r#""2011-12-30T12:00:00""#, "2011-12-30T22:00:00.000000Z")]);
    // Midnight itself is skipped in some zones.
    dates(&json!({ "zone": "America/Sao_Paulo", "to": "timestamp" }), &[(r#""2018-11-04""#, "2018-11-04T03:00:00.000000Z")]);
}

#[test]
fn ends_of_the_calendar_are_refused_without_a_panic() {
    let last = DateTime::<Utc>::MAX_UTC.timestamp();
    let first = DateTime::<Utc>::MIN_UTC.timestamp();
    for to in ["auto", "date", "timestamp"] {
        for zone in ["Pacific/Kiritimati", "Pacific/Pago_Pago"] {
            for seconds in [last, last - 1, last + 1, first, first + 1, first - 1, i64::MAX, i64::MIN] {
                for format in ["epoch", "%s"] {
                    refused("date", &json!({ "format": format, "to": to, "zone": zone }), &text(&format!("{seconds}")));
                }
            }
            for year in ["262142-12-31", "+262142-12-31T23:59:60", "-262143-01-01T00:00", "10000-01-01"] {
                refused("date", &json!({ "to": to, "zone": zone }), &text(year));
            }
        }
    }
    dates(
        &json!({ "to": "timestamp" }),
        &[(r#""9999-12-31""#, "9999-12-31T00:00:00.000000Z"), (r#""1000-01-01""#, "1000-01-01T00:00:00.000000Z")],
    );
    refused("date", &json!({ "to": "date", "zone": "Asia/Tokyo" }), r#""9999-12-31T23:00:00Z""#);
}

#[test]
fn wrong_options_are_named() {
    for (options, words) in [
        (json!({ "zone": "Berlin" }), "no time zone is named \"Berlin\""),
        (json!({ "format": "dd.mm.yyyy" }), "\"dd.mm.yyyy\""),
        (json!({ "format": "%Q" }), "cannot be read"),
        (json!({ "format": "%d.%m.%Y %H" }), "needs hour and minute"),
        (json!({ "format": "%d.%m.%Y %H:%M %Z" }), "ambiguous"),
        (json!({ "fromat": "iso" }), "unknown field `fromat`"),
        (json!({ "to": "day" }), "unknown variant `day`"),
    ] {
        let text = problem("date", &options);
        assert!(text.contains(words), "{text:?} should name {words:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_epoch_of_microseconds_comes_back_exactly(micros in -30_000_000_000_000_000i64..250_000_000_000_000_000) {
        let sign = if micros < 0 { "-" } else { "" };
        let input = format!("{sign}{}.{:06}", micros.unsigned_abs() / 1_000_000, micros.unsigned_abs() % 1_000_000);
        let date = Date::new(DateOptions { format: Some("epoch".into()), ..DateOptions::default() }).expect("valid");
        let Ok(Made::Json(made)) = date.apply(Cell::Value(&input)) else { return Err(TestCaseError::fail(input)) };
        let back: DateTime<Utc> = serde_json::from_str(&made).expect("RFC 3339");
        prop_assert_eq!(back.timestamp_micros(), micros);
    }

    #[test]
    fn nothing_makes_it_panic(input in "\\PC{0,30}", digits in "-?[0-9]{1,40}(\\.[0-9]{1,40})?(e-?[0-9]{1,4})?") {
        for format in ["iso", "serial", "epoch", "epoch_ms", "%d.%m.%Y %H:%M", "%s", "%c"] {
            let date = Date::new(DateOptions { format: Some(format.into()), ..DateOptions::default() }).expect("valid");
            let _ = (date.apply(Cell::Value(&text(&input))), date.apply(Cell::Value(&digits)));
        }
    }
}

#[test]
fn first_format_is_written_as_the_clock_of_the_zone_shows_it() {
    let berlin = |format: &str| json!({ "formats": [format, "iso"], "zone": "Europe/Berlin" });
    let noon = r#""2024-07-31T10:00:00.000000Z""#;
    for (options, value, sent) in [
        (json!(null), noon, r#""2024-07-31T10:00:00Z""#),
        (json!(null), r#""2024-07-31T10:00:00.000001Z""#, r#""2024-07-31T10:00:00.000001Z""#),
        (json!(null), r#""2024-07-31""#, r#""2024-07-31""#),
        (json!(null), r#""2024-07-31 10:00:00""#, r#""2024-07-31T10:00:00Z""#),
        (berlin("iso"), r#""1890-01-01T00:00:00.000000Z""#, r#""1890-01-01T00:00:00Z""#),
        (berlin("iso"), noon, r#""2024-07-31T12:00:00+02:00""#),
        (berlin("%d.%m.%Y %H:%M"), noon, r#""31.07.2024 12:00""#),
        (berlin("%d.%m.%Y %H:%M %z"), noon, r#""31.07.2024 12:00 +0200""#),
        (berlin("%s"), noon, r#""1722420000""#),
        (berlin("%b %d %Y"), r#""2024-07-31""#, r#""Jul 31 2024""#),
        (json!({ "format": "%d.%m.%Y %H:%M", "to": "date" }), r#""2024-07-31""#, r#""31.07.2024 00:00""#),
        (json!({ "format": "%d.%m.%Y", "to": "timestamp", "zone": "Europe/Berlin" }), r#""2024-07-30T22:00:00Z""#, r#""31.07.2024""#),
        (json!({ "format": "epoch" }), noon, "1722420000"),
        (json!({ "format": "epoch" }), r#""2015-12-01T00:00:00.000216Z""#, "1448928000.000216"),
        (json!({ "format": "epoch" }), r#""1969-12-31T23:59:58.500000Z""#, "-1.5"),
        (json!({ "format": "epoch", "to": "date", "zone": "Europe/Berlin" }), r#""2024-07-31""#, "1722376800"),
        (json!({ "format": "epoch_ms" }), r#""2024-07-31T10:00:00.001002Z""#, "1722420000001.002"),
        (json!({ "format": "serial" }), r#""2024-07-31""#, "45504"),
        (json!({ "format": "serial", "zone": "Europe/Berlin" }), noon, "45504.5"),
        (json!({ "format": "serial" }), r#""2024-07-31T10:20:30.123000Z""#, "45504.43090420139"),
        (json!({ "format": "serial" }), r#""1899-12-28T12:00:00.000000Z""#, "-1.5"),
        (json!({ "format": "serial" }), r#""1899-12-30""#, "0"),
    ] {
        back("date", &options, value, sent);
    }
    for value in [r#""soon""#, "5", r#""""#, "{}", r#""31.07.2024""#, r#""0099-01-01T00:00:00Z""#] {
        stuck("date", &json!(null), value);
    }
}

#[test]
fn pattern_for_reading_alone_is_no_panic() {
    let _ = built("date", &json!({ "format": "%Y-%m-%d %H:%M %#z" })).back(Cell::Value(r#""2024-07-31T10:00:00Z""#));
    let _ = built("date", &json!({ "format": "%Y-%m-%d %H:%M" })).back(Cell::Value(r#""2024-07-31""#));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_was_read_goes_back_and_is_read_as_the_same(
        millis in -30_000_000_000_000i64..240_000_000_000_000i64,
        format in prop::sample::select(vec!["iso", "serial", "epoch", "epoch_ms", "%Y-%m-%d %H:%M:%S%.f %z", "%+"]),
        zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu"]),
    ) {
        let options = json!({ "format": format, "zone": zone, "to": "timestamp" });
        let instant = DateTime::<Utc>::from_timestamp_millis(millis).expect("in range");
        let value = text(&instant.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string());
        let date = built("date", &options);
        let Made::Json(sent) = date.back(Cell::of(Some(&value))).expect("a time") else { panic!("made") };
        let again = date.apply(Cell::of(Some(&sent))).expect("read again");
        // A sheet's clock shows some times twice, and %z has no seconds; such a row fails before it is sent.
        let zone: Tz = zone.parse().expect("a zone");
        let time = instant.with_timezone(&zone);
        let shown_twice = matches!(zone.from_local_datetime(&time.naive_local()), chrono::LocalResult::Ambiguous(..));
        let lost = match format {
            "serial" => shown_twice,
            "%+" | "%Y-%m-%d %H:%M:%S%.f %z" => chrono::Offset::fix(time.offset()).local_minus_utc() % 60 != 0,
            _ => false,
        };
        prop_assert!(again == Made::Json(value.clone()) || lost, "{} of {} came as {:?}", sent, value, again);
    }
}
