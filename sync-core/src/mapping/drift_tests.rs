//! Headers before and after, and what is told of them.

use proptest::prelude::*;

use super::*;

fn fields(names: &[&str]) -> Vec<Field> {
    names.iter().zip('A'..).map(|(name, letter)| Field::new(*name).labelled(format!("Column {letter}"))).collect()
}

fn told(before: &[Field], now: &[Field]) -> Vec<String> {
    HeaderFingerprint::of(before).compare(&HeaderFingerprint::of(now)).iter().map(ToString::to_string).collect()
}

#[test]
fn each_change_is_told_in_a_sentence() {
    for (before, now, sentences) in [
        (&["Title", "Year"][..], &["Title", "Year"][..], &[][..]),
        (
            &["Title", "Release Date"],
            &["Title", "release_date"],
            &[r#"the column "Release Date" is gone and is probably called "release_date" now"#],
        ),
        (
            &["Title", "Gross", "Year"],
            &["Title", "Takings", "Year"],
            &[r#"the column "Gross" is gone and is probably called "Takings" now"#],
        ),
        (&["Title", "Gross"], &["Title"], &[r#"the column "Gross" is gone"#]),
        (&["Title", "Gross"], &["Title", ""], &[r#"the column "Gross" is gone"#]),
        (&["Title", "Gross"], &["Title", "  "], &[r#"the column "Gross" is gone"#]),
        (&["Title"], &["Title", "Title"], &[r#"the column "Title" stands there 2 times"#]),
        (&["Title", "Title"], &["Title", "Title", "Title"], &[]),
        (&["Title"], &["Title", "Notes"], &[r#"the column "Notes" is new"#]),
        (&["A1x", "B2y", "C3z"], &["C3z", "A1x", "B2y"], &[r#"the columns stand in another order: "C3z" moved"#]),
        (&[], &["Title"], &[r#"the column "Title" is new"#]),
        (&["Title"], &[], &[r#"the column "Title" is gone"#]),
    ] {
        assert_eq!(told(&fields(before), &fields(now)), sentences, "{before:?} {now:?}");
    }
}

#[test]
fn changed_type_is_told_and_an_unknown_one_is_not() {
    const KINDS: [Option<FieldKind>; 4] = [None, Some(FieldKind::Text), Some(FieldKind::Integer), Some(FieldKind::Date)];
    let field = |kind: Option<FieldKind>| [Field { kind, ..Field::new("Year") }];
    for before in KINDS {
        for now in KINDS {
            let drifts = HeaderFingerprint::of(&field(before)).compare(&HeaderFingerprint::of(&field(now)));
            let expected = match (before, now) {
                (Some(from), Some(to)) if from != to => vec![Drift::KindChanged { name: "Year".into(), from, to }],
                _ => vec![],
            };
            assert_eq!(drifts, expected, "{before:?} {now:?}");
        }
    }
    assert_eq!(
        told(&field(Some(FieldKind::Text)), &field(Some(FieldKind::Date))),
        [r#"the column "Year" was of type text and is of type date now"#]
    );
}

#[test]
fn field_of_another_type_is_no_renamed_one() {
    let before = [Field::typed("Release Date", FieldKind::Date)];
    let now = [Field::typed("release_date", FieldKind::Integer)];
    assert_eq!(told(&before, &now), [r#"the column "Release Date" is gone"#, r#"the column "release_date" is new"#]);
}

#[test]
fn label_alone_is_no_drift_and_the_serialized_form_is_small() {
    let before = HeaderFingerprint::of(&[Field::typed("Year", FieldKind::Integer).labelled("Column B"), Field::new("Title")]);
    let now = HeaderFingerprint::of(&[Field::typed("Year", FieldKind::Integer).labelled("Column C"), Field::new("Title")]);
    assert_eq!(before.compare(&now), []);
    assert_ne!(before, now);
    let json = serde_json::to_string(&before).expect("serializable");
    assert_eq!(json, r#"{"fields":[{"name":"Year","kind":"integer","label":"Column B"},{"name":"Title"}]}"#);
    assert_eq!(serde_json::from_str::<HeaderFingerprint>(&json).expect("its own JSON"), before);
    let drift = serde_json::to_value(Drift::Renamed { from: "a".into(), to: "b".into() }).expect("serializable");
    assert_eq!(drift, serde_json::json!({ "drift": "renamed", "from": "a", "to": "b" }));
}

#[test]
fn fingerprint_is_bounded_and_says_nothing_of_what_it_does_not_hold() {
    let many: Vec<Field> = (0..2_001).map(|n| Field::new(format!("n{n}"))).collect();
    let all = HeaderFingerprint::of(&many);
    assert_eq!((all.names().len(), all.cut), (2_000, true));
    assert!(!HeaderFingerprint::of(&many[..2_000]).cut, "so many are held");
    let long: Vec<Field> = (0..2).map(|n| Field::new(format!("{n}").repeat(40_000))).collect();
    assert_eq!(HeaderFingerprint::of(&long).names().len(), 1, "names have a length");
    let other = HeaderFingerprint::of(&fields(&["Title"]));
    assert_eq!(all.compare(&other).len(), 2_000, "what it held is gone; whether the other is new nobody knows");
    assert_eq!(other.compare(&all).iter().filter(|drift| matches!(drift, Drift::Missing { .. })).count(), 0);
    let json = serde_json::to_string(&all).expect("serializable");
    assert_eq!(serde_json::from_str::<HeaderFingerprint>(&json).expect("its own JSON"), all);
    assert!(all.and(&other).cut && other.and(&all).cut);
    // Thousands of names against thousands are another header, not so many guesses.
    let (one, two): (Vec<Field>, Vec<Field>) =
        (0..1_500).map(|n| (Field::new(format!("first {n}")), Field::new(format!("First{n}")))).unzip();
    let drifts = HeaderFingerprint::of(&one).compare(&HeaderFingerprint::of(&two));
    assert!(drifts.iter().all(|drift| matches!(drift, Drift::Missing { .. } | Drift::New { .. })), "{:?}", drifts.first());
}

#[test]
fn what_records_name_one_by_one_has_no_order() {
    let look = |names: &[&str]| HeaderFingerprint::of(&fields(names));
    let (before, now) = (look(&["Title", "Gross", "Year"]), look(&["Year", "Takings", "Title"]));
    let told: Vec<String> = before.compare_names(&now).iter().map(ToString::to_string).collect();
    assert_eq!(told, [r#"the column "Gross" is gone"#, r#"the column "Takings" is new"#]);
    let now = look(&["Title", "GROSS", "Year"]);
    assert_eq!(before.compare_names(&now), [Drift::Renamed { from: "Gross".into(), to: "GROSS".into() }]);
    assert_eq!(before.and(&now).names(), ["Title", "Gross", "Year", "GROSS"]);
}

/// Different names, none like another.
fn header() -> impl Strategy<Value = Vec<Field>> {
    let kind = prop::sample::select(vec![None, Some(FieldKind::Text), Some(FieldKind::Number)]);
    prop::collection::vec(kind, 1..12).prop_map(|kinds| {
        let name = |n: usize| ["alpha", "gross", "title", "kino", "budget", "year", "mpaa", "zone", "whose", "fifth", "july", "quod"][n];
        kinds.into_iter().enumerate().map(|(n, kind)| Field { kind, ..Field::new(name(n)) }).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn same_header_never_drifts(header in header()) {
        prop_assert_eq!(told(&header, &header), Vec::<String>::new());
    }

    #[test]
    fn renamed_field_is_found_wherever_it_goes((header, at, to) in header().prop_flat_map(|h| { let n = h.len(); (Just(h), 0..n, 0..n) })) {
        let mut now = header.clone();
        let mut field = now.remove(at);
        let from = field.name.clone();
        field.name = format!("{} ", from.to_uppercase()).into();
        let renamed = field.name.clone();
        now.insert(to, field);
        let drifts = HeaderFingerprint::of(&header).compare(&HeaderFingerprint::of(&now));
        prop_assert_eq!(drifts, vec![Drift::Renamed { from, to: renamed }]);
    }

    #[test]
    fn shuffled_header_is_reordered_and_nothing_else(
        (header, now) in header().prop_flat_map(|h| (Just(h.clone()), Just(h).prop_shuffle()))
    ) {
        let drifts = HeaderFingerprint::of(&header).compare(&HeaderFingerprint::of(&now));
        match &drifts[..] {
            [] => prop_assert_eq!(&header, &now),
            [Drift::Reordered { moved }] => {
                // Without those that moved, the rest stands as it stood; and fewer would not do, as one swap needs only one.
                let rest = |fields: &[Field]| fields.iter().filter(|f| !moved.contains(&f.name)).cloned().collect::<Vec<_>>();
                prop_assert_eq!(rest(&header), rest(&now));
                prop_assert!(header != now && moved.len() < header.len());
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn doubled_missing_and_new_fields_are_each_told((header, at) in header().prop_flat_map(|h| { let n = h.len(); (Just(h), 0..n) })) {
        let name = header[at].name.clone();
        let look = HeaderFingerprint::of(&header);
        let mut doubled = header.clone();
        doubled.push(header[at].clone());
        prop_assert_eq!(look.compare(&HeaderFingerprint::of(&doubled)), vec![Drift::Duplicate { name: name.clone(), times: 2 }]);
        let mut fewer = header.clone();
        fewer.remove(at);
        prop_assert_eq!(look.compare(&HeaderFingerprint::of(&fewer)), vec![Drift::Missing { name: name.clone() }]);
        prop_assert_eq!(HeaderFingerprint::of(&fewer).compare(&look), vec![Drift::New { name: name.clone() }]);
        let mut blank = header.clone();
        blank[at].name = " ".into();
        prop_assert_eq!(look.compare(&HeaderFingerprint::of(&blank)), vec![Drift::Missing { name }]);
    }

    #[test]
    fn every_field_of_both_looks_is_accounted_for(before in prop::collection::vec("[ab]{0,2}", 0..6), now in prop::collection::vec("[ab]{0,2}", 0..6)) {
        let fields = |names: &[String]| names.iter().map(|name| Field::new(name.as_str())).collect::<Vec<_>>();
        let (before, now) = (HeaderFingerprint::of(&fields(&before)), HeaderFingerprint::of(&fields(&now)));
        let drifts = before.compare(&now);
        for name in before.names() {
            let gone = drifts.iter().any(|d| matches!(d, Drift::Missing { name: n } | Drift::Renamed { from: n, .. } if **n == *name));
            prop_assert_eq!(gone, !now.has(name));
        }
        for name in now.names() {
            let came = drifts.iter().any(|d| matches!(d, Drift::New { name: n } | Drift::Renamed { to: n, .. } if **n == *name));
            prop_assert_eq!(came, !before.has(name));
        }
    }
}
