//! A push never sends back what a pull brought, and always sends what only we have.

use serde_json::json;
use sync_core::{
    FieldRule, HostTable, Target,
    mapping::Authority,
    store::{PushCommit, PushLink, PushMemory, Settled},
};

use crate::push_support::*;

const PARTNERS: &str = "CREATE TABLE partners (tenant text NOT NULL, email text NOT NULL, name text DEFAULT 'unnamed', age integer, \
    phone text, PRIMARY KEY (tenant, email))";
const SENT: &[&str] = &["email", "name", "age"];

/// A pull and a push of one feed, into the same table.
struct Both {
    site: Site,
    pull: Run,
    push: Push,
}

async fn both(schema: &str, target: Target) -> Both {
    let site = Site::new().await;
    site.execute(schema).await;
    let pull = begin(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &target).await;
    let other = push(&site.storage, "acme", &mapped_feed("c1", "for its fence", "m"), &target).await;
    let push = Push { commit: sync_core::store::PushCommit { feed: pull.feed.clone(), ..other.commit.clone() }, ..other };
    Both { site, pull, push }
}

impl Both {
    async fn sql(&self, batch: &str) {
        self.site.execute(batch).await;
    }

    async fn id(&self, key: &str) -> Option<String> {
        self.push.link(key).await.and_then(|link| link.id).map(|id| id.to_string())
    }

    async fn hash(&self, key: &str) -> Option<u64> {
        self.push.link(key).await.expect("a link").hash
    }
}

async fn into_partners() -> Both {
    both(PARTNERS, sends(host(partners()), SENT)).await
}

async fn into_people() -> Both {
    both("SELECT 1", sends(managed("people", &["email"]), SENT)).await
}

#[tokio::test]
async fn rows_a_pull_creates_or_updates_are_not_sent_back() {
    for both in [into_partners().await, into_people().await] {
        both.pull.commit(&[up("r1", json!({"email": "a@x", "name": "Ann", "age": 1})), up("r2", json!({"email": "b@x"}))]).await;
        let changed = both.push.changed().await;
        assert_eq!((changed.batch.len(), changed.unchanged), (0, 2), "{:?}", lines(&changed));
        assert_eq!((both.id("a@x").await.as_deref(), both.id("b@x").await.as_deref()), (Some("r1"), Some("r2")));
        both.pull.commit(&[up("r1", json!({"email": "a@x", "name": "Anna"}))]).await;
        both.pull.commit(&[up("r1", json!({"email": "a@x", "age": null}))]).await;
        assert_eq!(both.push.keys().await, [""; 0]);
    }
}

#[tokio::test]
async fn a_row_that_was_there_before_is_linked_when_a_pull_finds_it_unchanged() {
    let both = into_partners().await;
    both.sql("INSERT INTO partners (tenant, email, name, age) VALUES ('acme', 'a@x', 'Ann', 5), ('acme', 'b@x', 'Bea', NULL)").await;
    assert_eq!(both.push.keys().await, ["a@x", "b@x"]);
    both.pull.commit(&[up("r1", json!({"email": "a@x", "name": "Ann", "age": 5})), up("r2", json!({"email": "b@x", "name": "Bea"}))]).await;
    assert_eq!(both.push.keys().await, [""; 0], "a field without a value that the record has not either is agreed");
    assert_eq!(both.id("b@x").await.as_deref(), Some("r2"));
}

#[tokio::test]
async fn what_only_our_row_has_is_sent_though_a_pull_found_the_row() {
    let both = into_partners().await;
    both.sql("INSERT INTO partners (tenant, email, name, age) VALUES ('acme', 'a@x', 'Ann', 5)").await;
    both.pull.commit(&[up("r1", json!({"email": "a@x", "name": "Ann"}))]).await;
    assert_eq!((both.id("a@x").await.as_deref(), both.hash("a@x").await), (Some("r1"), None));
    assert_eq!(both.push.keys().await, ["a@x"], "the service has no age");
    // Once it has said so itself, both agree.
    both.pull.commit(&[up("r1", json!({"email": "a@x", "name": "Ann", "age": 5}))]).await;
    assert_eq!(both.push.keys().await, [""; 0]);
}

#[tokio::test]
async fn a_local_change_is_not_lost_when_a_pull_changes_another_field() {
    for (table, both) in [("partners", into_partners().await), ("syncline.people", into_people().await)] {
        both.pull.commit(&[up("r1", json!({"email": "a@x", "name": "Ann", "age": 1}))]).await;
        both.sql(&format!("UPDATE {table} SET age = 2")).await;
        // The record says nothing about the age, so our new one stands and is still to be sent.
        both.pull.commit(&[up("r1", json!({"email": "a@x", "name": "Anna"}))]).await;
        assert_eq!(lines(&both.push.changed().await), [r#"a@x email="a@x" name="Anna" age=2"#], "{table}");
        both.pull.commit(&[up("r1", json!({"email": "a@x", "name": "Anna"}))]).await;
        assert_eq!(both.push.keys().await, ["a@x"], "{table}: nor is it lost when nothing changes");
        both.push.accept_all().await;
        both.pull.commit(&[up("id a@x", json!({"email": "a@x", "name": "Anne"}))]).await;
        assert_eq!(both.push.keys().await, [""; 0], "{table}: what was agreed stays agreed");
        // A record that says everything settles it: the service's word is ours now.
        both.sql(&format!("UPDATE {table} SET age = 3")).await;
        both.pull.commit(&[up("id a@x", json!({"email": "a@x", "name": "Anne", "age": 2}))]).await;
        assert_eq!(both.push.keys().await, [""; 0], "{table}");
    }
}

#[tokio::test]
async fn a_change_the_service_made_too_needs_no_sending() {
    let both = into_partners().await;
    both.pull.commit(&[up("r1", json!({"email": "a@x", "name": "Ann", "age": 1}))]).await;
    both.sql("UPDATE partners SET age = 2").await;
    assert_eq!(both.push.keys().await, ["a@x"]);
    let done = both.pull.commit(&[up("r1", json!({"email": "a@x", "name": "Ann", "age": 2}))]).await;
    assert_eq!((counts(&done.counts), both.push.keys().await.len()), ([0, 0, 1, 0, 0, 0], 0));
}

#[tokio::test]
async fn a_field_that_is_kept_from_the_service_leaves_something_to_send() {
    let ranked = |authority, priority| FieldRule { authority, priority };
    for rule in [ranked(Authority::Reference, 0), ranked(Authority::Derived, 0), ranked(Authority::SourceOfTruth, -1)] {
        for managed_rows in [true, false] {
            let target = if managed_rows { managed("people", &["email"]) } else { host(partners()) };
            let target = sends(Target { rules: rules(&[("name", rule)]), ..target }, SENT);
            let both = both(PARTNERS, target.clone()).await;
            // Somebody else owns the name.
            let owner = begin(
                &both.site.storage,
                "acme",
                &mapped_feed("c2", "s", "m"),
                &Target { rules: rules(&[("name", ranked(Authority::SourceOfTruth, 5))]), ..target },
            )
            .await;
            owner
                .commit(&[
                    up("q1", json!({"email": "a@x", "name": "Ours", "age": 1})),
                    up("q2", json!({"email": "b@x", "name": "Same", "age": 1})),
                ])
                .await;
            let rows = [
                up("r1", json!({"email": "a@x", "name": "Theirs", "age": 2})),
                up("r2", json!({"email": "b@x", "name": "Same", "age": 2})),
            ];
            let memory = PushMemory { shape: None, version: Some("7".into()) };
            let remember = PushCommit { memory: Some(memory), ..both.push.commit.clone() };
            both.push.store.journal(remember).await.expect("the journal is written");
            let done = both.pull.commit(&rows).await;
            assert_eq!(counts(&done.counts), [0, 2, 0, 0, 0, 0], "{rule:?}");
            let memory = both.push.store.push_memory(&both.push.commit.feed).await.expect("read");
            assert_eq!(memory.version, None, "{rule:?}: the host's version need not have grown, so all rows are looked at again");
            assert_eq!(both.push.keys().await, ["a@x"], "{rule:?}: the service has another name");
            assert_eq!((both.id("a@x").await.as_deref(), both.hash("a@x").await), (Some("r1"), None), "{rule:?}");
            assert!(both.hash("b@x").await.is_some(), "{rule:?}");
            // Accepted once, it is not sent again and again because the service still says what it said.
            both.push.accept_all().await;
            both.pull.commit(&rows).await;
            assert_eq!(both.push.keys().await, [""; 0], "{rule:?}");
        }
    }
}

#[tokio::test]
async fn a_kept_field_that_no_push_sends_is_no_difference() {
    let target = Target { rules: rules(&[("name", FieldRule { authority: Authority::Reference, priority: 0 })]), ..host(partners()) };
    let both = both(PARTNERS, sends(target, &["email", "age"])).await;
    both.pull.commit(&[up("r1", json!({"email": "a@x", "name": "Theirs", "age": 2}))]).await;
    assert_eq!((both.push.keys().await.len(), both.hash("a@x").await.is_some()), (0, true));
}

#[tokio::test]
async fn a_row_that_goes_loses_its_link_and_one_that_stays_keeps_it() {
    for (delete_rows, by_sweep) in [(false, false), (false, true), (true, false), (true, true)] {
        let table = if delete_rows { partners().delete_rows() } else { partners() };
        let both = both(PARTNERS, sends(host(table), SENT)).await;
        both.pull.scan("", 1, &[up("r1", json!({"email": "a@x", "name": "A"})), up("r2", json!({"email": "b@x", "name": "B"}))]).await;
        both.pull.scan("", 2, &[up("r2", json!({"email": "b@x", "name": "B"}))]).await;
        if by_sweep {
            assert_eq!(both.pull.sweep(&[("", 2)], true).await.deleted, 1);
        } else {
            both.pull.commit(&[gone("r1")]).await;
        }
        assert_eq!(both.id("a@x").await.is_some(), !delete_rows, "by a sweep: {by_sweep}");
        assert_eq!(both.id("b@x").await.as_deref(), Some("r2"));
        assert_eq!(both.push.keys().await, [""; 0], "what is gone there is not brought back");
        if !delete_rows {
            both.sql("UPDATE partners SET name = 'changed' WHERE email = 'a@x'").await;
            assert_eq!(both.push.keys().await, ["a@x"]);
        }
    }
    let both = into_people().await;
    both.pull.scan("", 1, &[up("r1", json!({"email": "a@x"})), up("r2", json!({"email": "b@x"})), up("r3", json!({"email": "c@x"}))]).await;
    both.pull.commit(&[gone("r1")]).await;
    both.pull.scan("", 2, &[up("r3", json!({"email": "c@x"}))]).await;
    both.pull.sweep(&[("", 2)], true).await;
    assert_eq!((both.id("a@x").await, both.id("b@x").await, both.id("c@x").await.as_deref()), (None, None, Some("r3")));
    assert_eq!(both.site.column("SELECT count(*)::text FROM syncline.push_links").await, ["1"]);
}

#[tokio::test]
async fn a_row_another_record_still_stands_behind_keeps_its_link() {
    let both = into_people().await;
    let other = begin(&both.site.storage, "acme", &mapped_feed("c2", "s", "m"), &managed("people", &["email"])).await;
    both.pull.commit(&[up("r1", json!({"email": "a@x", "name": "A", "age": 3}))]).await;
    other.commit(&[up("q1", json!({"email": "a@x", "phone": 1}))]).await;
    both.pull.commit(&[gone("r1")]).await;
    assert_eq!((both.id("a@x").await.as_deref(), both.push.keys().await.len()), (Some("r1"), 0));
}

#[tokio::test]
async fn the_key_of_a_link_is_the_rows_own_whatever_the_record_calls_it() {
    for delete_rows in [false, true] {
        let mut table = HostTable::new("items").key("no");
        table.delete_rows = delete_rows;
        let both = both("CREATE TABLE items (no integer PRIMARY KEY, name text)", sends(host(table), &["name"])).await;
        both.pull.commit(&[up("r1", json!({"no": "007", "name": "x"})), up("r2", json!({"no": 8, "name": "y"}))]).await;
        assert_eq!((both.id("7").await.as_deref(), both.id("8").await.as_deref()), (Some("r1"), Some("r2")));
        assert_eq!(both.push.keys().await, [""; 0]);
        let changed = both.push.changed().await;
        assert_eq!(changed.unchanged, 2);
        both.pull.commit(&[gone("r1")]).await;
        assert_eq!(both.id("7").await.is_some(), !delete_rows);
    }
}

#[tokio::test]
async fn a_record_whose_key_changed_stands_for_its_new_row_alone() {
    let both = into_partners().await;
    both.pull.commit(&[up("r1", json!({"email": "old@x", "name": "A"}))]).await;
    both.pull.commit(&[up("r1", json!({"email": "new@x", "name": "A"}))]).await;
    let keys = both.push.store.linked_keys(&both.push.commit.feed, &["r1".into()]).await.expect("read");
    assert_eq!(keys, [Some("new@x".into())]);
    let old = both.push.link("old@x").await.expect("its content is remembered");
    assert_eq!((old.id, old.hash.is_some()), (None, true));
    assert_eq!(both.push.keys().await, [""; 0]);
    // Case alone is the same row.
    both.pull.commit(&[up("r1", json!({"email": "NEW@x", "name": "A"}))]).await;
    assert_eq!(both.id("NEW@x").await.as_deref(), Some("r1"));
    assert_eq!(both.push.keys().await, [""; 0]);
}

#[tokio::test]
async fn a_pull_that_writes_forgets_the_version_that_was_seen_before_and_one_that_finds_nothing_new_keeps_it() {
    let both = into_partners().await;
    both.pull.commit(&[up("r1", json!({"email": "a@x", "name": "A", "age": 1}))]).await;
    let known = both.push.link("a@x").await.expect("a link");
    let link = PushLink { version: Some("5".into()), ..known };
    both.push.journal(Vec::new(), vec![Settled::Accepted { key: "a@x".into(), link: link.clone() }]).await;
    both.pull.commit(&[up("r1", json!({"email": "a@x", "name": "A", "age": 1}))]).await;
    assert_eq!(both.push.link("a@x").await, Some(link));
    both.pull.commit(&[up("r1", json!({"email": "a@x", "name": "B", "age": 1}))]).await;
    assert_eq!(both.push.link("a@x").await.expect("a link").version, None);
}

#[tokio::test]
async fn the_hash_is_of_the_row_as_triggers_and_types_left_it() {
    let both = into_partners().await;
    both.sql(
        "CREATE FUNCTION tidy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name = trim(NEW.name); RETURN NEW; END $$; \
         CREATE TRIGGER tidy BEFORE INSERT ON partners FOR EACH ROW EXECUTE FUNCTION tidy()",
    )
    .await;
    both.pull.commit(&[up("r1", json!({"email": "a@x", "name": " Ann ", "age": "41"}))]).await;
    assert_eq!(both.push.keys().await, [""; 0]);
    assert_eq!(both.site.column("SELECT name || age FROM partners").await, ["Ann41"]);
}

#[tokio::test]
async fn bytes_hinder_no_pull_and_are_never_agreed_on() {
    let both = both(
        "CREATE TABLE t (id text PRIMARY KEY, name text, photo bytea)",
        sends(host(HostTable::new("t").key("id")), &["name", "photo"]),
    )
    .await;
    both.sql("INSERT INTO t VALUES ('a', 'A', '\\x00')").await;
    both.pull.commit(&[up("r1", json!({"id": "a", "name": "B"})), up("r2", json!({"id": "b", "name": "B"}))]).await;
    assert_eq!((both.hash("a").await, both.hash("b").await), (None, None));
    assert!(both.push.store.changed_rows(both.push.query()).await.expect_err("bytes").to_string().contains("bytes"));
}

#[tokio::test]
async fn nothing_is_remembered_for_feeds_that_are_not_pushed_nor_by_a_preview() {
    let both = into_partners().await;
    let before = both.site.dump().await;
    both.pull.preview(&[up("r1", json!({"email": "a@x", "name": "A"}))]).await;
    assert_eq!(both.site.dump().await, before);
    let plain = begin(&both.site.storage, "acme", &mapped_feed("c3", "s", "m"), &host(partners())).await;
    plain.commit(&[up("r1", json!({"email": "a@x", "name": "A"}))]).await;
    assert_eq!(
        both.site.column("SELECT ((SELECT count(*) FROM syncline.push_links) + (SELECT count(*) FROM syncline.push_feeds))::text").await,
        ["0"]
    );
}

#[tokio::test]
async fn a_pull_delivered_again_leaves_every_link_as_it_is() {
    let both = into_partners().await;
    let rows = [up("r1", json!({"email": "a@x", "name": "A"})), up("r2", json!({"email": "b@x", "age": 3}))];
    both.pull.commit(&rows).await;
    let once = both.site.dump().await;
    let again = sync_core::store::PageCommit { at: at(30), ..both.pull.page(vec![part("", batch(&rows))]) };
    both.pull.store.commit(again).await.expect("commits");
    assert_eq!(both.site.dump().await, once);
}
