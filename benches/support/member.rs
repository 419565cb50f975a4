//! One made-up list member of the Mailchimp shape: 26 top-level fields, 5 of them nested, about 1.2 KB of JSON.
//!
//! Everything follows from the member's number and the state of the world, so that any two runs read the same.

use std::io::Write;

/// How far the members have moved on from their first state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum World {
    /// As they were first.
    Base,
    /// Every hundredth has changed in four fields, one of them nested.
    Hundredth,
    /// All have changed in the same four fields.
    All,
}

impl World {
    /// Its name in requests.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Hundredth => "hundredth",
            Self::All => "all",
        }
    }

    /// Reads [`name`](Self::name) back.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Base, Self::Hundredth, Self::All].into_iter().find(|world| world.name() == name)
    }

    fn changed(self, number: usize) -> bool {
        match self {
            Self::Base => false,
            Self::Hundredth => number.is_multiple_of(100),
            Self::All => true,
        }
    }
}

/// 2026-01-01T00:00:00Z and 2026-06-01T00:00:00Z: when the first and when the changed state began, in seconds since 1970.
const BASE: i64 = 1_767_225_600;
const CHANGED: i64 = 1_780_272_000;

/// The most members there can be: one changes each second of a month of 30 days.
pub(crate) const MOST: usize = 30 * 86_400;

/// When a member last changed, in seconds since 1970.
pub(crate) fn last_changed(number: usize, world: World) -> i64 {
    number as i64 + if world.changed(number) { CHANGED } else { BASE }
}

/// Appends a member as a JSON object.
pub(crate) fn render(out: &mut Vec<u8>, number: usize, world: World) {
    macro_rules! put {
        ($($text:tt)*) => { write!(out, $($text)*).expect("a Vec takes every byte") };
    }
    let (a, b, c) = (mix(number as u64), mix(number as u64 ^ 0x5EED), mix(number as u64 ^ 0xFACE));
    let changed = world.changed(number);
    let (first, last) = (pick(FIRST, a), pick(LAST, b));
    let (city, region, zip) = CITIES[(c % CITIES.len() as u64) as usize];
    let (signed, ip) = (1 + a % 28, 1 + a % 254);
    let (month, day, second) = (if changed { "06" } else { "01" }, 1 + number / 86_400, number % 86_400);
    let (hh, mm, ss) = (second / 3_600, second / 60 % 60, second % 60);

    put!(r#"{{"id":"{a:016x}{b:016x}","email_address":"{first}.{last}{number}@mail{}.example","#, b % 40);
    put!(r#""unique_email_id":"{:010x}","contact_id":"{b:016x}{c:016x}","full_name":"{first} {last}","#, c >> 24);
    put!(r#""web_id":{},"email_type":"html","status":"{}","#, 400_000_000 + number, if changed { "unsubscribed" } else { "subscribed" });
    put!(r#""consents_to_one_to_one_messaging":{},"#, b.is_multiple_of(2));
    put!(r#""merge_fields":{{"FNAME":"{first}","LNAME":"{last}","ADDRESS":{{"addr1":"{} {last} Street","addr2":"","#, 1 + c % 980);
    put!(r#""city":"{city}","state":"{region}","zip":"{zip}","country":"US"}},"PHONE":"+1 555 {:07}","#, a % 10_000_000);
    put!(r#""BIRTHDAY":"{:02}/{signed:02}","LTV":{}.{:02}}},"#, 1 + b % 12, c % 5_000, a % 100);
    put!(r#""interests":{{"1a2b3c4d5e":{},"2b3c4d5e6f":{},"3c4d5e6f70":{}}},"#, a & 1 == 0, a & 2 == 0, a & 4 == 0);
    let opens = b % 9_000 + if changed { 50 } else { 0 };
    put!(r#""stats":{{"avg_open_rate":0.{opens:04},"avg_click_rate":0.{:04},"#, opens / 3);
    put!(r#""ecommerce_data":{{"total_revenue":{},"number_of_orders":{}}}}},"#, c % 5_000, c % 40);
    put!(r#""ip_signup":"192.0.2.{ip}","timestamp_signup":"2025-03-{signed:02}T08:15:{ss:02}+00:00","#);
    put!(r#""ip_opt":"198.51.100.{ip}","timestamp_opt":"2025-03-{signed:02}T08:16:{ss:02}+00:00","#);
    put!(r#""member_rating":{},"#, 1 + a % 4 + u64::from(changed));
    put!(r#""last_changed":"2026-{month}-{day:02}T{hh:02}:{mm:02}:{ss:02}+00:00","#);
    put!(r#""language":"{}","vip":{},"#, if b.is_multiple_of(5) { "es" } else { "en" }, a.is_multiple_of(50));
    put!(r#""email_client":"{}","location":{{"latitude":{}.{:04},"#, pick(CLIENTS, c), 25 + a % 23, a % 10_000);
    put!(r#""longitude":-{}.{:04},"gmtoff":-6,"dstoff":-5,"country_code":"US","#, 70 + b % 50, b % 10_000);
    put!(r#""timezone":"America/Chicago","region":"{region}"}},"source":"{}","tags_count":2,"#, pick(SOURCES, a));
    let (tag, newsletter) = (1_000 + a % 30, 2_000 + b % 12);
    put!(r#""tags":[{{"id":{tag},"name":"{}"}},{{"id":{newsletter},"name":"newsletter {newsletter}"}}],"list_id":"x"}}"#, pick(TAGS, a));
}

fn pick(from: &'static [&'static str], by: u64) -> &'static str {
    from[(by % from.len() as u64) as usize]
}

/// SplitMix64: the same number gives the same bits everywhere.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

const FIRST: &[&str] = &["Ada", "Björn", "Chiara", "Dmitri", "Esperanza", "Farah", "Gustavo", "Hanako", "Ingrid", "José", "Katarzyna"];
const LAST: &[&str] = &["Okafor", "Lindqvist", "Moreau", "Petrov", "Castellanos", "Haddad", "Nakamura", "Olsen", "Villanueva", "Wójcik"];
const CITIES: &[(&str, &str, &str)] =
    &[("Bay Springs", "MS", "39422"), ("Livingston", "TX", "77351"), ("Colorado Springs", "CO", "80915"), ("Perry", "NY", "14530")];
const CLIENTS: &[&str] = &["Gmail", "Apple Mail", "Outlook 2021", "Thunderbird", "Yahoo! Mail", ""];
const SOURCES: &[&str] = &["API - Generic", "List Import from CSV", "Hosted Signup Form", "Admin Add"];
/// JSON text without its quotes; one needs escapes.
const TAGS: &[&str] = &["customer", "trade fair 2025", r#"\"gold\" tier"#, "webinar"];
