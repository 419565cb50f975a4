//! Which rows a push has to send.

use std::sync::Arc;

use serde_json::{Value, json};
use sync_core::{
    ErrorKind, FieldRule, HostTable, Place, Target,
    store::{ChangedQuery, ChangedRows, PushCommit, PushLink, Settled},
};

use super::{
    Check, HOST_TABLE,
    check::{Looked, refused, there},
    host::{into, object, partners},
    intents::empty,
    scene::{Pull, Scene, gone, mapped, people, plain, rules, texts, up},
};
use crate::suite::Finding;

pub(super) const CHECKS: &[Check] = &[
    check!(
        rows_that_differ_are_handed_over,
        "Rows that were never accepted, or changed since, are handed over; the others are counted as unchanged"
    ),
    check!(the_fields_of_a_push_alone_count, "A push hands over its own fields as JSON text, and a change of others is none"),
    check!(all_rows_can_be_asked_for, "Unchanged rows are handed over when all are asked for"),
    check!(changed_rows_are_paged, "Changed rows come page by page in key order, without losing any"),
    check!(rows_can_be_asked_for_by_key, "Rows are picked by their keys, and keys without a row are named"),
    check!(a_row_without_hash_is_handed_over, "A row whose link has no hash is handed over"),
    check!(
        what_a_pull_brought_is_not_sent_back,
        "Rows a feed's own pull wrote or confirmed are linked to their records and not handed over"
    ),
    check!(what_another_source_changed_is_sent, "A row that another source changed since a pull is handed over, with its link"),
    check!(
        a_row_that_went_has_no_link,
        "A row that went with its record, by the service's word or a complete scan, is no longer linked to it"
    ),
    check!(an_unknown_column_is_named, "A field that is not there is refused by its name"),
    check!(changed_host_rows_are_handed_over, "Rows the host made or changed are handed over, its own workspace's alone", needs HostTables),
    check!(a_trial_of_host_rows_leaves_no_trace, "A trial reads a table of the host that nobody registered, if it may be registered, and does not register it", needs HostTables),
    check!(host_rows_are_found_by_version, "Rows whose version column is at or above a value are handed over, with the highest version there is", needs HostTables),
    check!(what_a_pull_brought_into_a_host_table_is_not_sent_back, "Rows of the host that a feed's pull wrote are not handed over, until the host changes them", needs HostTables),
];

/// A table of people that can be pushed.
fn pushable() -> Target {
    Target { pushes: texts(&["email", "name"]), ..people() }
}

fn query(run: &Pull) -> ChangedQuery {
    ChangedQuery {
        feed: run.feed.clone(),
        target: Arc::clone(&run.target),
        keys: None,
        since: None,
        all: false,
        after: None,
        limit: 1000,
        trial: false,
    }
}

fn keys(rows: &ChangedRows) -> Vec<&str> {
    rows.batch.records().iter().map(|record| record.id.as_str()).collect()
}

/// A feed that pushes people, and another that brought some.
async fn two(scene: &Scene, target: &Target) -> Result<(Pull, Pull), Finding> {
    let push = scene.begin(&mapped("c1"), target).await?;
    let other = scene.begin(&mapped("c2"), &Target { pushes: Arc::default(), ..target.clone() }).await?;
    other.commit(&[up("q1", json!({"email": "a", "name": "Ann", "note": "x"})), up("q2", json!({"email": "b", "name": "Bea"}))]).await?;
    Ok((push, other))
}

/// The service accepts these rows as they are.
async fn accept(run: &Pull, rows: &ChangedRows) -> Looked {
    let accepted = rows.batch.records().iter().zip(&rows.hashes).map(|(record, hash)| Settled::Accepted {
        key: record.id.as_str().into(),
        link: PushLink { id: Some(format!("id-{}", record.id).into()), hash: Some(*hash), version: None },
    });
    run.store.journal(PushCommit { settled: accepted.collect(), ..empty(run) }).await?;
    Ok(())
}

/// A cell of a row, read.
fn cell(rows: &ChangedRows, key: &str, field: &str) -> Option<Value> {
    let record = rows.batch.records().iter().find(|record| record.id.as_str() == key)?;
    rows.batch.cell(record, field).and_then(|json| serde_json::from_str(json).ok())
}

async fn rows_that_differ_are_handed_over(scene: Scene) -> Looked {
    let (push, other) = two(&scene, &pushable()).await?;
    let first = push.store.changed_rows(query(&push)).await?;
    same!((keys(&first), first.unchanged), (vec!["a", "b"], 0), "rows before the first push");
    same!((first.links.as_slice(), first.hashes.len()), ([None, None].as_slice(), 2), "links and hashes of them");
    same!(first.after, None, "where to go on");
    accept(&push, &first).await?;
    let then = push.store.changed_rows(query(&push)).await?;
    same!((keys(&then), then.unchanged), (vec![], 2), "rows when all were accepted");
    other.commit(&[up("q2", json!({"email": "b", "name": "Bo"})), up("q3", json!({"email": "c", "name": "Cy"}))]).await?;
    let now = push.store.changed_rows(query(&push)).await?;
    same!((keys(&now), now.unchanged), (vec!["b", "c"], 1), "rows when one changed and one came");
    let id = |link: &Option<PushLink>| link.as_ref().and_then(|link| link.id.as_ref().map(ToString::to_string));
    same!(now.links.iter().map(id).collect::<Vec<_>>(), [Some("id-b".into()), None], "ids at the service");
    holds!(now.hashes[0] != first.hashes[1], "a row that changed has the hash it had");
    other.commit(&[up("q2", json!({"email": "b", "name": "Bea"}))]).await?;
    same!(keys(&push.store.changed_rows(query(&push)).await?), ["c"], "rows when the change was taken back");
    Ok(())
}

async fn the_fields_of_a_push_alone_count(scene: Scene) -> Looked {
    let (push, other) = two(&scene, &pushable()).await?;
    let first = push.store.changed_rows(query(&push)).await?;
    same!((cell(&first, "a", "email"), cell(&first, "a", "name")), (Some(json!("a")), Some(json!("Ann"))), "the cells");
    same!(cell(&first, "a", "note"), None, "a field that is not pushed");
    accept(&push, &first).await?;
    other.commit(&[up("q1", json!({"email": "a", "note": "y"}))]).await?;
    same!(keys(&push.store.changed_rows(query(&push)).await?), [""; 0], "rows whose other fields changed");
    Ok(())
}

async fn all_rows_can_be_asked_for(scene: Scene) -> Looked {
    let (push, _) = two(&scene, &pushable()).await?;
    let first = push.store.changed_rows(query(&push)).await?;
    accept(&push, &first).await?;
    let all = push.store.changed_rows(ChangedQuery { all: true, ..query(&push) }).await?;
    same!(keys(&all), ["a", "b"], "all rows");
    same!(all.hashes, first.hashes, "their hashes");
    holds!(all.links.iter().all(Option::is_some), "rows without their links: {:?}", all.links);
    Ok(())
}

async fn changed_rows_are_paged(scene: Scene) -> Looked {
    let push = scene.begin(&mapped("c1"), &pushable()).await?;
    let other = scene.begin(&mapped("c2"), &people()).await?;
    let all: Vec<String> = (0..25).map(|n| format!("k{n:02}")).collect();
    other.commit(&all.iter().map(|key| up(key, json!({"email": key, "name": "Same"}))).collect::<Vec<_>>()).await?;
    let some = push.store.changed_rows(ChangedQuery { keys: Some(vec!["k03".into(), "k04".into(), "k11".into()]), ..query(&push) }).await?;
    accept(&push, &some).await?;
    for limit in [1, 4, 24, 100] {
        let (mut seen, mut unchanged, mut after) = (Vec::new(), 0, None);
        for _ in 0..100 {
            let page = push.store.changed_rows(ChangedQuery { after, limit, ..query(&push) }).await?;
            seen.extend(keys(&page).into_iter().map(str::to_owned));
            unchanged += page.unchanged;
            after = page.after;
            if after.is_none() {
                break;
            }
        }
        let expected: Vec<_> = all.iter().filter(|key| !["k03", "k04", "k11"].contains(&key.as_str())).cloned().collect();
        same!((seen, unchanged), (expected, 3), "rows in pages of {limit}, and those that are unchanged");
    }
    Ok(())
}

async fn rows_can_be_asked_for_by_key(scene: Scene) -> Looked {
    let (push, _) = two(&scene, &pushable()).await?;
    let asked = ChangedQuery { keys: Some(vec!["nope".into(), "b".into()]), ..query(&push) };
    let found = push.store.changed_rows(asked).await?;
    same!((keys(&found), found.missing.clone()), (vec!["b"], vec!["nope".into()]), "rows, and keys without one");
    Ok(())
}

async fn a_row_without_hash_is_handed_over(scene: Scene) -> Looked {
    let (push, _) = two(&scene, &pushable()).await?;
    let rows = push.store.changed_rows(query(&push)).await?;
    accept(&push, &rows).await?;
    let link = PushLink { id: Some("id-a".into()), hash: None, version: Some("v".into()) };
    push.store.journal(PushCommit { settled: vec![Settled::Accepted { key: "a".into(), link: link.clone() }], ..empty(&push) }).await?;
    let now = push.store.changed_rows(query(&push)).await?;
    same!((keys(&now), now.links.clone()), (vec!["a"], vec![Some(link)]), "rows and their links");
    Ok(())
}

async fn what_a_pull_brought_is_not_sent_back(scene: Scene) -> Looked {
    let run = scene.begin(&mapped("c1"), &pushable()).await?;
    let rows = [up("r1", json!({"email": "a", "name": "Ann"})), up("r2", json!({"email": "b", "name": "Bea"}))];
    let changed = [up("r1", json!({"email": "a", "name": "Anna"})), up("r2", json!({"email": "b", "name": "Bea"}))];
    for page in [&rows, &rows, &changed] {
        run.commit(page).await?;
        let found = run.store.changed_rows(query(&run)).await?;
        same!((keys(&found), found.unchanged), (vec![], 2), "rows after a pull");
    }
    same!(
        run.store.linked_keys(&run.feed, &["r2".into(), "r1".into()]).await?,
        [Some("b".into()), Some("a".into())],
        "keys of the records"
    );
    let links = run.store.push_links(&run.feed, &["a".into()]).await?;
    let link = there(links[0].clone(), "the link of a row that was pulled")?;
    same!(link.id, Some("r1".into()), "the record's id");
    let all = run.store.changed_rows(ChangedQuery { all: true, ..query(&run) }).await?;
    same!(link.hash, all.hashes.first().copied(), "the hash both sides agree on");
    Ok(())
}

async fn what_another_source_changed_is_sent(scene: Scene) -> Looked {
    let run = scene.begin(&mapped("c1"), &Target { pushes: texts(&["email", "name", "city"]), ..people() }).await?;
    run.commit(&[
        up("r1", json!({"email": "a", "name": "Ann", "city": "Paris"})),
        up("r2", json!({"email": "b", "name": "Bea", "city": "Paris"})),
    ])
    .await?;
    let rules = rules(&[("name", FieldRule { priority: 5, ..FieldRule::default() })]);
    let other = scene.begin(&mapped("c2"), &Target { rules, ..people() }).await?;
    other.commit(&[up("q1", json!({"email": "a", "name": "Other"}))]).await?;
    let found = run.store.changed_rows(query(&run)).await?;
    same!((keys(&found), found.unchanged), (vec!["a"], 1), "rows that differ from what was pulled");
    same!(found.links[0].as_ref().and_then(|link| link.id.clone()), Some("r1".into()), "the record it is linked to");
    // The service still says what it said: the row keeps the other's value, and there is still something to send.
    run.commit(&[up("r1", json!({"email": "a", "name": "Ann"}))]).await?;
    same!(keys(&run.store.changed_rows(query(&run)).await?), ["a"], "rows when the pull came again");
    run.commit(&[up("r1", json!({"email": "a", "name": "Ann", "city": "Rome"}))]).await?;
    same!(keys(&run.store.changed_rows(query(&run)).await?), ["a"], "rows when the pull brought another field anew");
    other.commit(&[up("q3", json!({"email": "c", "name": "First"}))]).await?;
    run.commit(&[up("r3", json!({"email": "c", "name": "Late", "city": "Oslo"}))]).await?;
    same!(keys(&run.store.changed_rows(query(&run)).await?), ["a", "c"], "rows when the other source was there first");
    Ok(())
}

async fn a_row_that_went_has_no_link(scene: Scene) -> Looked {
    let run = scene.begin(&mapped("c1"), &pushable()).await?;
    let rows = ["a", "b", "c"].map(|key| up(key, json!({"email": key, "name": "Same"})));
    run.scan("", 1, &rows).await?;
    let linked = async || {
        let keys = ["a".into(), "b".into(), "c".into()];
        let links = run.store.push_links(&run.feed, &keys).await?;
        Ok::<_, Finding>(links.into_iter().map(|link| link.and_then(|link| link.id)).collect::<Vec<_>>())
    };
    same!(linked().await?, [Some("a".into()), Some("b".into()), Some("c".into())], "records at first");
    run.commit(&[gone("a")]).await?;
    same!(linked().await?, [None, Some("b".into()), Some("c".into())], "records when one is gone");
    run.scan("", 2, &rows[2..]).await?;
    run.sweep(&[("", 2)]).await?;
    same!(linked().await?, [None, None, Some("c".into())], "records when a scan did not show another");
    same!(run.store.linked_keys(&run.feed, &["a".into(), "b".into()]).await?, [None, None], "keys of those that are gone");
    Ok(())
}

async fn an_unknown_column_is_named(scene: Scene) -> Looked {
    let (push, _) = two(&scene, &pushable()).await?;
    let target = Target { pushes: texts(&["email", "nowhere"]), ..people() };
    let asked = ChangedQuery { target: Arc::new(target), ..query(&push) };
    let error = refused(push.store.changed_rows(asked).await, ErrorKind::Config, "a field that is not there")?;
    holds!(error.to_string().contains("nowhere"), "the refusal does not name the field: {error}");
    let target = Target { place: Place::Managed { key: texts(&["email"]) }, pushes: texts(&["email"]), ..plain("nothing") };
    let asked = ChangedQuery { target: Arc::new(target), ..query(&push) };
    let error = refused(push.store.changed_rows(asked).await, ErrorKind::Config, "a table that is not there")?;
    holds!(error.to_string().contains("nothing"), "the refusal does not name the table: {error}");
    Ok(())
}

/// A feed that pushes the host's table.
async fn host(scene: &Scene) -> Result<Pull, Finding> {
    scene.database.make_host_table().await?;
    let run = scene.begin(&mapped("c1"), &Target { pushes: texts(&["email", "name"]), ..into(partners()) }).await?;
    run.store.register_table(Arc::new(partners()), &["email".into(), "name".into()]).await?;
    Ok(run)
}

async fn write(scene: &Scene, tenant: &str, email: &str, name: &str, version: u64) -> Looked {
    scene.database.write_host_row(&object(json!({"tenant": tenant, "email": email, "name": name, "changed": version}))).await?;
    Ok(())
}

async fn changed_host_rows_are_handed_over(scene: Scene) -> Looked {
    let run = host(&scene).await?;
    for (tenant, email) in [("acme", "b"), ("acme", "a"), ("globex", "c")] {
        write(&scene, tenant, email, "Name", 1).await?;
    }
    let first = run.store.changed_rows(query(&run)).await?;
    same!((keys(&first), first.unchanged), (vec!["a", "b"], 0), "rows of the host");
    same!(cell(&first, "a", "name"), Some(json!("Name")), "a cell");
    accept(&run, &first).await?;
    write(&scene, "acme", "a", "New", 2).await?;
    let now = run.store.changed_rows(query(&run)).await?;
    same!((keys(&now), now.unchanged), (vec!["a"], 1), "rows when the host changed one");
    Ok(())
}

async fn a_trial_of_host_rows_leaves_no_trace(scene: Scene) -> Looked {
    scene.database.make_host_table().await?;
    for (tenant, email) in [("acme", "b"), ("acme", "a"), ("globex", "c")] {
        write(&scene, tenant, email, "Name", 1).await?;
    }
    let run = scene.begin(&mapped("c1"), &Target { pushes: texts(&["email", "name"]), ..into(partners()) }).await?;
    let trial = ChangedQuery { trial: true, ..query(&run) };
    same!(keys(&run.store.changed_rows(trial.clone()).await?), ["a", "b"], "rows of the host");
    let tables = async || Ok::<_, Finding>(run.store.place(&run.target.entity).await?.is_some());
    holds!(!tables().await?, "a trial has registered the table");
    scene.globex().register_table(Arc::new(partners()), &[]).await?;
    let solo = Target { pushes: texts(&["email", "name"]), ..into(HostTable::new(HOST_TABLE).key("email")) };
    let refusal = run.store.changed_rows(ChangedQuery { target: Arc::new(solo), ..trial.clone() }).await;
    refused(refusal, ErrorKind::Config, "a trial of a table that another workspace uses, without a workspace column")?;
    same!(keys(&run.store.changed_rows(query(&run)).await?), ["a", "b"], "rows of the host that are read for good");
    holds!(tables().await?, "reading the table for good has not registered it");
    same!(keys(&run.store.changed_rows(trial).await?), ["a", "b"], "rows of a table that is registered");
    Ok(())
}

async fn host_rows_are_found_by_version(scene: Scene) -> Looked {
    let run = host(&scene).await?;
    for (email, version) in [("a", 9), ("b", 10), ("c", 100)] {
        write(&scene, "acme", email, "Name", version).await?;
    }
    let since = |version: &str| ChangedQuery { since: Some(version.into()), ..query(&run) };
    let found = run.store.changed_rows(since("10")).await?;
    same!((keys(&found), found.version.as_deref()), (vec!["b", "c"], Some("100")), "rows from 10 on, and the highest version");
    same!(keys(&run.store.changed_rows(since("101")).await?), [""; 0], "rows above the highest");
    same!(run.store.changed_rows(query(&run)).await?.version.as_deref(), Some("100"), "the highest version of all");
    Ok(())
}

async fn what_a_pull_brought_into_a_host_table_is_not_sent_back(scene: Scene) -> Looked {
    let run = host(&scene).await?;
    for name in ["Ann", "Ann", "Anna"] {
        run.commit(&[up("r1", json!({"email": "a", "name": name}))]).await?;
        let found = run.store.changed_rows(query(&run)).await?;
        same!((keys(&found), found.unchanged), (vec![], 1), "rows after a pull of {name:?}");
    }
    write(&scene, "acme", "a", "Mine", 2).await?;
    let found = run.store.changed_rows(query(&run)).await?;
    same!(keys(&found), ["a"], "rows when the host changed one");
    same!(found.links[0].as_ref().and_then(|link| link.id.clone()), Some("r1".into()), "the record it is linked to");
    Ok(())
}
