//! What runs see of columns, and what they say of it.

use std::sync::Arc;

use sync_core::{
    Operation, RecordBatch,
    mapping::{Column, Contract, Mapping, NewColumns, Transforms},
};

use super::*;

const ALL: Extent = Extent { records: 9, everything: true };
const SOME: Extent = Extent { records: 9, everything: false };

fn fields(names: &[&str]) -> Vec<Field> {
    names.iter().zip('A'..).map(|(name, letter)| Field::new(*name).labelled(format!("Column {letter}"))).collect()
}

/// A page whose records have these names, one each.
fn records(names: &[&str]) -> PullPage {
    let mut batch = RecordBatch::default();
    for (n, name) in names.iter().enumerate() {
        let name = batch.name(name);
        let mut draft = batch.record();
        draft.made(name, "1");
        draft.finish(format!("r{n}").as_str(), Operation::Upsert, None);
    }
    PullPage::new(batch)
}

fn told(names: &[&str]) -> PullPage {
    PullPage { fields: Some(Arc::from(fields(names))), ..records(&[]) }
}

fn mapping(columns: Option<NewColumns>) -> CompiledMapping {
    let mapping = Mapping::new("m", "s").entity("e").column(Column::new("id").key()).column(Column::new("city").optional());
    let contract = columns.map(|columns| Contract::default().columns(columns)).unwrap_or_default();
    mapping.contract(contract).compile(&Transforms::default()).expect("valid")
}

/// What a run says that sees these pages after one that saw `before`, and the look it leaves.
fn says(mapping: Option<&CompiledMapping>, before: &Look, seen: Columns, pages: &[PullPage], extent: Extent) -> (Vec<String>, Look) {
    pages.iter().for_each(|page| seen.page(page));
    let Judged { warnings, look } = seen.judge(mapping, Some(before), extent);
    (warnings.iter().map(ToString::to_string).collect(), look)
}

fn look(names: &[&str]) -> Look {
    Look { header: HeaderFingerprint::of(&fields(names)), records: Some(3) }
}

#[test]
fn columns_of_a_stream_are_those_its_pages_tell_last() {
    let declared = fields(&["id", "city"]);
    let evolving = mapping(Some(NewColumns::Evolve));
    let columns = || Columns::new(Some(&declared));
    let before = look(&["id", "city"]);
    let (said, after) = says(Some(&evolving), &before, columns(), &[records(&["id", "odd"])], ALL);
    assert_eq!((said, after.header), (vec![], before.header.clone()), "records are not asked where the stream tells its fields");
    let pages = [told(&["id", "city", "note"]), told(&["id", "extra"])];
    let (said, after) = says(Some(&evolving), &before, columns(), &pages, SOME);
    assert_eq!(
        said,
        [
            r#"Column C: the column "note" is new; the mapping neither reads nor ignores it"#,
            r#"Column B: the column "extra" is new; the mapping neither reads nor ignores it"#
        ]
    );
    assert!(["id", "city", "note", "extra"].iter().all(|name| after.header.has(name)), "{:?}", after.header);
}

#[test]
fn some_records_say_nothing_of_names_they_do_not_have() {
    let evolving = mapping(Some(NewColumns::Evolve));
    let before = look(&["id", "city", "zip"]);
    let columns = || Columns::new(None);
    let (said, after) = says(Some(&evolving), &before, columns(), &[records(&["id"]), records(&["id", "note"])], SOME);
    assert_eq!(said, [r#"note: the column "note" is new; the mapping neither reads nor ignores it"#]);
    assert!(["id", "city", "zip", "note"].iter().all(|name| after.header.has(name)), "{:?}", after.header);
    assert_eq!(after.records, Some(3), "nobody read everything");
    let (said, after) = says(Some(&evolving), &before, columns(), &[records(&["id"])], ALL);
    assert_eq!(said, [r#"the column "city" is gone; what is stored of it stays"#, r#"the column "zip" is gone"#]);
    assert!(after.header.has("id") && !after.header.has("city") && after.records == Some(9), "{after:?}");
    let (said, _) = says(Some(&evolving), &before, columns(), &[records(&["id", "City"])], SOME);
    assert_eq!(said, [r#"City: the column "city" is gone and is probably called "City" now; what is stored of it stays"#]);
    let (said, after) = says(Some(&evolving), &before, columns(), &[], Extent { records: 0, everything: false });
    assert_eq!((said, after), (vec![], before), "a run without records has seen nothing");
}

#[test]
fn streams_own_table_is_told_of_what_goes_and_not_of_what_comes() {
    let before = look(&["id", "city", "zip"]);
    let now = fields(&["id", "zip", "city", "note", "more"]);
    let (said, _) = says(None, &before, Columns::new(Some(&now)), &[], ALL);
    assert_eq!(said, Vec::<String>::new());
    let (said, _) = says(None, &before, Columns::new(Some(&fields(&["id", "zip"]))), &[], SOME);
    assert_eq!(said, [r#"the column "city" is gone; what is stored of it stays"#]);
    let (said, _) = says(None, &before, Columns::new(None), &[records(&["id", "City"])], SOME);
    assert_eq!(said, Vec::<String>::new(), "some of the records prove nothing");
    let (said, _) = says(None, &before, Columns::new(None), &[records(&["id", "zip"])], ALL);
    assert_eq!(said, [r#"the column "city" is gone; what is stored of it stays"#]);
}

#[test]
fn empty_source_is_warned_of_once_and_only_by_a_read_of_everything() {
    let plain = mapping(None);
    let columns = || Columns::new(None);
    let none = |everything| Extent { records: 0, everything };
    let (said, after) = says(Some(&plain), &look(&["id"]), columns(), &[], none(true));
    assert_eq!(said, ["the source is empty: no record came, and the last read of everything brought 3"]);
    assert_eq!(after, Look { records: Some(0), ..look(&["id"]) });
    for (before, everything) in [(after, true), (look(&["id"]), false), (Look::default(), true)] {
        let (said, _) = says(Some(&plain), &before, columns(), &[], none(everything));
        assert_eq!(said, Vec::<String>::new(), "{before:?}");
    }
}

#[test]
fn hundreds_of_changes_are_fifty_warnings_and_a_number() {
    let names: Vec<String> = (0..120).map(|n| format!("n{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (said, _) = says(Some(&mapping(Some(NewColumns::Evolve))), &Look::default(), Columns::new(None), &[records(&names)], ALL);
    assert_eq!((said.len(), said.last().map(String::as_str)), (51, Some("70 more columns are not as they were")));
}
