//! Tables of the host: where they are found, what is checked, and who may write them.

use serde_json::json;
use storage_postgres::{PostgresStorage, RowSecurity};
use sync_core::{
    ErrorKind, HostTable,
    store::{EntityQuery, Storage as _},
};

use crate::push_support::*;

const PARTNERS: &str = "CREATE TABLE partners (
    tenant text NOT NULL, email text NOT NULL, name text NOT NULL DEFAULT 'unnamed', age int CHECK (age >= 0), phone text,
    vip boolean, tags jsonb, code text UNIQUE, changed bigint DEFAULT 0, shout text GENERATED ALWAYS AS (upper(name)) STORED,
    no bigint GENERATED ALWAYS AS IDENTITY, serial_no serial, PRIMARY KEY (tenant, email))";

fn partners() -> HostTable {
    HostTable::new("partners").key("email").workspace_column("tenant").version_column("changed")
}

async fn refusal(storage: &PostgresStorage, workspace: &str, table: HostTable, fields: &[&str]) -> String {
    let fields: Vec<Box<str>> = fields.iter().map(|name| Box::from(*name)).collect();
    let error = storage.workspace(&workspace.into()).register_table(table.into(), &fields).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    error.to_string()
}

async fn register(storage: &PostgresStorage, workspace: &str, table: HostTable) {
    storage.workspace(&workspace.into()).register_table(table.into(), &[]).await.expect("the table is fit");
}

#[tokio::test]
async fn rows_of_the_host_are_written_in_its_own_types() {
    let site = Site::new().await;
    site.execute(PARTNERS).await;
    site.execute("INSERT INTO partners (tenant, email, name, age) VALUES ('acme', 'host@x', 'Hosted', 40), ('other', 'a@x', 'Foreign', 1)")
        .await;
    let run = begin(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &host(partners())).await;
    let rows = [
        up("r1", json!({"email": "a@x", "name": "Ann", "age": "41", "phone": 555, "vip": true, "tags": ["x"]})),
        up("r2", json!({"email": "host@x", "name": "Hosted", "age": 40})),
        up("r3", json!({"email": "b@x"})),
    ];
    assert_eq!(counts(&run.commit(&rows).await.counts), [2, 0, 1, 0, 0, 0]);
    assert_eq!(counts(&run.commit(&rows).await.counts), [0, 0, 3, 0, 0, 0], "values in the table's types are not taken for other ones");
    let one = async |query: &str| site.column(query).await;
    assert_eq!(
        one("SELECT shout || (no > 0) || (serial_no > 0) FROM partners WHERE email = 'a@x' AND tenant = 'acme'").await,
        ["ANNtruetrue"]
    );
    assert_eq!(one("SELECT name || changed FROM partners WHERE tenant = 'acme' AND email = 'b@x'").await, ["unnamed0"]);
    assert_eq!(one("SELECT name FROM partners WHERE tenant = 'other'").await, ["Foreign"]);
    let row = &run.table().await["a@x"];
    assert_eq!((&row["vip"], &row["tags"], &row["age"], row.get("tenant")), (&json!(true), &json!(["x"]), &json!(41), None));
    // What the host changed is put right again, field by field.
    site.execute("UPDATE partners SET name = 'Wrong', code = 'kept' WHERE tenant = 'acme' AND email = 'a@x'").await;
    assert_eq!(counts(&run.commit(&rows).await.counts), [0, 1, 2, 0, 0, 0]);
    assert_eq!(one("SELECT name || code FROM partners WHERE tenant = 'acme' AND email = 'a@x'").await, ["Annkept"]);
    let lines = one("SELECT op::text || changes FROM syncline.lineage_entries WHERE entity_id = 'a@x' ORDER BY seq").await;
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with("c{") && lines[0].contains(r#""age":[null,"41"]"#), "{lines:?}");
    assert_eq!(lines[1], r#"u{"name":["Wrong","Ann"]}"#);
}

#[tokio::test]
async fn a_table_is_checked_before_anything_is_read_into_it() {
    let site = Site::new().await;
    site.execute(PARTNERS).await;
    site.execute("CREATE TABLE solo (id text PRIMARY KEY, v text, j json); CREATE TABLE twins (id text, \"V\" text, v text)").await;
    let storage = &site.storage;
    let text = refusal(storage, "acme", partners(), &["name", "emial"]).await;
    assert!(text.contains("partners") && text.contains("emial") && text.contains("phone"), "{text}");
    assert!(refusal(storage, "acme", HostTable::new("nowhere").key("id"), &[]).await.contains("nowhere"));
    assert!(refusal(storage, "acme", HostTable::new("Partners").key("email"), &[]).await.contains("public.partners"));
    assert!(refusal(storage, "acme", partners(), &["shout"]).await.contains("generated"));
    assert!(refusal(storage, "acme", partners(), &["no"]).await.contains("generated"));
    assert!(refusal(storage, "acme", partners(), &["TENANT"]).await.contains("workspace"));
    assert!(refusal(storage, "acme", partners(), &["name", "NAME"]).await.contains("both column"));
    assert!(refusal(storage, "acme", HostTable::new("partners"), &[]).await.contains("key"));
    assert!(refusal(storage, "acme", HostTable::new("partners").key("nokey"), &[]).await.contains("nokey"));
    assert!(refusal(storage, "acme", partners().version_column("since"), &[]).await.contains("since"));
    assert!(refusal(storage, "acme", HostTable::new("solo").key("j"), &[]).await.contains("json"));
    assert!(refusal(storage, "acme", HostTable::new("twins").key("id"), &["x"]).await.contains("V, v"));
    assert!(refusal(storage, "acme", HostTable::new("syncline.sync_runs").key("id"), &[]).await.contains("Syncline"));
    assert!(refusal(storage, "acme", HostTable::new("pg_class").key("oid"), &[]).await.contains("server's own"));
    register(storage, "acme", partners()).await;
    register(storage, "acme", HostTable::new("solo").key("id")).await;
    let other = storage.workspace(&"other".into());
    assert!(other.entities(&"solo".into(), EntityQuery::default()).await.is_err());
}

#[tokio::test]
async fn a_table_without_workspace_column_is_one_workspaces_alone() {
    let site = Site::new().await;
    site.execute("CREATE TABLE solo (id text PRIMARY KEY, tenant text)").await;
    let solo = || HostTable::new("solo").key("id");
    register(&site.storage, "acme", solo()).await;
    assert!(refusal(&site.storage, "other", solo(), &[]).await.contains("already used by another workspace"));
    let qualified = HostTable::new("public.solo").key("id");
    assert!(refusal(&site.storage, "other", qualified, &[]).await.contains("already used"), "by another of its names, too");
    let named = refusal(&site.storage, "other", solo().workspace_column("tenant"), &[]).await;
    assert!(named.contains("takes all its rows"), "{named}");
    register(&site.storage, "acme", solo()).await;
    // Once the first one names its column, there is room for others.
    register(&site.storage, "acme", solo().workspace_column("tenant")).await;
    register(&site.storage, "other", solo().workspace_column("tenant")).await;
}

#[tokio::test]
async fn a_workspace_column_has_to_take_the_workspaces_id() {
    let site = Site::new().await;
    site.execute("CREATE TABLE visits (org uuid NOT NULL, id int, note text, PRIMARY KEY (org, id))").await;
    let visits = || HostTable::new("visits").key("id").workspace_column("org");
    let text = refusal(&site.storage, "acme", visits(), &[]).await;
    assert!(text.contains("\"org\"") && text.contains("uuid"), "{text}");
    let own = "6f9619ff-8b86-d011-b42d-00cf4fc964ff";
    let run = begin(&site.storage, own, &mapped_feed("c1", "s", "m"), &host(visits())).await;
    assert_eq!(counts(&run.commit(&[up("r", json!({"id": 7, "note": "x"}))]).await.counts), [1, 0, 0, 0, 0, 0]);
    assert_eq!(counts(&run.commit(&[up("r", json!({"id": "007", "note": "y"}))]).await.counts), [0, 1, 0, 0, 0, 0]);
    assert_eq!(site.column("SELECT org::text || note FROM visits").await, [format!("{own}y")]);
}

#[tokio::test]
async fn tables_are_found_where_the_host_finds_them_and_stay_found() {
    let site = Site::new().await;
    site.execute(
        "CREATE SCHEMA crm; CREATE SCHEMA \"odd.one\"; CREATE TABLE crm.people (id text PRIMARY KEY, name text);
         CREATE TYPE crm.mood AS ENUM ('good', 'bad'); ALTER TABLE crm.people ADD mood crm.mood;
         CREATE TABLE public.people (id text PRIMARY KEY, name text); CREATE TABLE \"dotted.name\" (id text PRIMARY KEY)",
    )
    .await;
    let run = begin(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &host(HostTable::new("crm.people").key("id"))).await;
    run.commit(&[up("r", json!({"id": "a", "name": "in crm", "mood": "good"}))]).await;
    run.end().await;
    let run = begin(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &host(HostTable::new("people").key("id"))).await;
    run.commit(&[up("r", json!({"id": "a", "name": "in public"}))]).await;
    run.end().await;
    assert_eq!(site.column("SELECT name || mood FROM crm.people").await, ["in crmgood"]);
    assert_eq!(site.column("SELECT name FROM public.people").await, ["in public"]);
    register(&site.storage, "acme", HostTable::new("dotted.name").key("id")).await;
    // A table of the same name that comes to stand before it does not take its place; one that was moved is found again.
    let database = site.database.url().rsplit('/').next().and_then(|rest| rest.split('?').next()).expect("a name").to_owned();
    site.execute(&format!("ALTER DATABASE {database} SET search_path = crm, public")).await;
    let storage = crate::support::builder(&site.database).open().await.expect("opens");
    let run = begin(&storage, "acme", &mapped_feed("c1", "s", "m"), &host(HostTable::new("people").key("id"))).await;
    assert_eq!(counts(&run.commit(&[up("r", json!({"id": "a", "name": "in public"}))]).await.counts), [0, 0, 1, 0, 0, 0]);
    site.execute("DROP TABLE public.people").await;
    assert_eq!(counts(&run.commit(&[up("r", json!({"id": "a", "name": "in public"}))]).await.counts), [0, 1, 0, 0, 0, 0]);
    assert_eq!(site.column("SELECT name FROM crm.people").await, ["in public"]);
}

#[tokio::test]
async fn the_hosts_own_tables_stand_beside_ours_of_the_same_names() {
    let site = Site::new().await;
    site.execute(
        "CREATE TABLE contacts (id int PRIMARY KEY, email text); INSERT INTO contacts VALUES (1, 'theirs');
         CREATE TABLE ads (id int); CREATE TABLE _sqlx_migrations (version bigint); CREATE TABLE sync_runs (id text, status text);
         INSERT INTO sync_runs VALUES ('x', 'theirs'); CREATE TABLE record_links (id int); CREATE TABLE field_owners (id int)",
    )
    .await;
    let before = site.rows_of("public.contacts").await;
    let run = begin(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &managed("contacts", &["email"])).await;
    assert_eq!(counts(&run.commit(&[up("r", json!({"email": "a"}))]).await.counts), [1, 0, 0, 0, 0, 0]);
    run.end().await;
    let run = begin(&site.storage, "acme", &mapped_feed("c2", "s", "m"), &host(HostTable::new("sync_runs").key("id").delete_rows())).await;
    assert_eq!(counts(&run.commit(&[up("r", json!({"id": "y", "status": "ours"}))]).await.counts), [1, 0, 0, 0, 0, 0]);
    assert_eq!(counts(&run.commit(&[gone("r")]).await.counts), [0, 0, 0, 0, 0, 1]);
    assert_eq!(site.rows_of("public.contacts").await, before);
    assert_eq!(site.column("SELECT id || status FROM public.sync_runs").await, ["xtheirs"]);
}

#[tokio::test]
async fn a_partitioned_table_is_written_like_any_other() {
    let site = Site::new().await;
    site.execute(
        "CREATE TABLE visits (tenant text, day date, id text, note text, PRIMARY KEY (tenant, day, id)) PARTITION BY RANGE (day);
         CREATE TABLE visits_2025 PARTITION OF visits FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
         CREATE TABLE visits_2026 PARTITION OF visits FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
    )
    .await;
    let table = HostTable::new("visits").key("day").key("id").workspace_column("tenant").delete_rows();
    let run = begin(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &host(table)).await;
    let row = |id: &'static str, day: &str, note: &str| up(id, json!({"day": day, "id": id, "note": note}));
    let rows = [row("a", "2025-06-01", "1"), row("b", "2026-06-01", "1"), row("c", "2030-01-01", "1")];
    let done = run.commit(&rows).await;
    assert_eq!(counts(&done.counts), [2, 0, 0, 0, 1, 0]);
    assert!(done.failures[0].error.contains("no partition"), "{:?}", done.failures);
    let rows = [row("a", "2025-06-01", "2"), row("b", "2026-06-01", "1")];
    assert_eq!(counts(&run.commit(&rows).await.counts), [0, 1, 1, 0, 0, 0]);
    assert_eq!(site.column("SELECT note FROM visits_2025").await, ["2"]);
    assert_eq!(counts(&run.commit(&[gone("a"), gone("b")]).await.counts), [0, 0, 0, 0, 0, 2]);
    assert_eq!(site.column("SELECT count(*)::text FROM visits").await, ["0"]);
}

#[tokio::test]
async fn views_are_written_where_they_can_be_and_refused_where_they_cannot() {
    let site = Site::new().await;
    site.execute(
        "CREATE TABLE base (id text PRIMARY KEY, name text, hidden text DEFAULT 'kept');
         CREATE VIEW plain AS SELECT id, name, upper(name) AS shout FROM base;
         CREATE VIEW grouped AS SELECT id, count(*) AS n FROM base GROUP BY id;
         CREATE MATERIALIZED VIEW stored AS SELECT * FROM base; CREATE SEQUENCE numbers;
         CREATE VIEW joined AS SELECT b.id, b.name FROM base b JOIN base o USING (id);
         CREATE FUNCTION into_base() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             INSERT INTO base (id, name) VALUES (NEW.id, NEW.name) ON CONFLICT (id) DO UPDATE SET name = NEW.name; RETURN NEW; END $$;
         CREATE TRIGGER t INSTEAD OF INSERT OR UPDATE ON joined FOR EACH ROW EXECUTE FUNCTION into_base()",
    )
    .await;
    for (number, view) in ["plain", "joined"].into_iter().enumerate() {
        let feed = mapped_feed(&format!("c{number}"), "s", "m");
        let run = begin(&site.storage, "acme", &feed, &host(HostTable::new(view).key("id"))).await;
        let ids = [format!("{view} 1"), format!("{view} 2")];
        let rows = |name: &str| ids.iter().map(|id| up(id, json!({"id": id, "name": name}))).collect::<Vec<_>>();
        assert_eq!(counts(&run.commit(&rows("A")).await.counts), [2, 0, 0, 0, 0, 0], "{view}");
        assert_eq!(counts(&run.commit(&rows("B")).await.counts), [0, 2, 0, 0, 0, 0], "{view}");
        assert_eq!(counts(&run.commit(&rows("B")).await.counts), [0, 0, 2, 0, 0, 0], "{view}");
    }
    assert_eq!(site.column("SELECT DISTINCT name || hidden FROM base").await, ["Bkept"]);
    let shout = refusal(&site.storage, "acme", HostTable::new("plain").key("id"), &["shout"]).await;
    assert!(shout.contains("shout"), "{shout}");
    assert!(refusal(&site.storage, "acme", HostTable::new("grouped").key("id"), &[]).await.contains("INSTEAD OF"));
    assert!(refusal(&site.storage, "acme", HostTable::new("stored").key("id"), &[]).await.contains("materialized"));
    assert!(refusal(&site.storage, "acme", HostTable::new("numbers").key("last_value"), &[]).await.contains("not a table"));
}

#[tokio::test]
async fn a_key_without_unique_index_or_with_one_that_knows_no_workspace_is_written_all_the_same() {
    let site = Site::new().await;
    site.execute(
        "CREATE TABLE loose (tenant text, id text, name text); CREATE TABLE shared (id text PRIMARY KEY, tenant text, name text);
         CREATE TABLE later (id text UNIQUE DEFERRABLE INITIALLY DEFERRED, name text)",
    )
    .await;
    let loose = host(HostTable::new("loose").key("id").workspace_column("tenant"));
    let run = begin(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &loose).await;
    let rows = [up("r1", json!({"id": "a", "name": "A"})), up("r2", json!({"id": "b", "name": "B"}))];
    assert_eq!(counts(&run.commit(&rows).await.counts), [2, 0, 0, 0, 0, 0]);
    assert_eq!(counts(&run.commit(&rows).await.counts), [0, 0, 2, 0, 0, 0]);
    run.end().await;
    let shared = host(HostTable::new("shared").key("id").workspace_column("tenant"));
    let one = begin(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &shared).await;
    let two = begin(&site.storage, "globex", &mapped_feed("c1", "s", "m"), &shared).await;
    assert_eq!(counts(&one.commit(&rows[..1]).await.counts), [1, 0, 0, 0, 0, 0]);
    let done = two.commit(&rows).await;
    assert_eq!(counts(&done.counts), [1, 0, 0, 0, 1, 0], "another workspace's row is neither seen nor touched");
    assert_eq!(done.failures[0].column.as_deref(), Some("id"));
    one.end().await;
    let later = host(HostTable::new("later").key("id"));
    let run = begin(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &later).await;
    assert_eq!(counts(&run.commit(&rows).await.counts), [2, 0, 0, 0, 0, 0]);
}

#[tokio::test]
async fn columns_are_found_in_another_case_when_there_is_only_one() {
    let site = Site::new().await;
    site.execute("CREATE TABLE people (\"Id\" text PRIMARY KEY, \"Full Name\" text, \"X\" text, x text)").await;
    let run = begin(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &host(HostTable::new("people").key("id"))).await;
    let rows = [up("r", json!({"id": "a", "full name": "Ann", "X": "big", "x": "small"}))];
    assert_eq!(counts(&run.commit(&rows).await.counts), [1, 0, 0, 0, 0, 0]);
    assert_eq!(site.column("SELECT \"Full Name\" || \"X\" || x FROM people").await, ["Annbigsmall"]);
}

/// A database that belongs to `owner`, and a storage that connects as somebody else who may take our roles.
async fn with_roles(site: &Site, user: &str) -> PostgresStorage {
    site.execute(&format!(
        "DO $$ BEGIN CREATE ROLE {user} LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
         GRANT syncline_app, syncline_fleet TO {user}; GRANT USAGE, CREATE ON SCHEMA syncline TO {user}"
    ))
    .await;
    let url = site.database.url().replacen("postgres@", &format!("{user}@"), 1);
    PostgresStorage::builder(url).max_connections(2).migrate_on_open(false).open().await.expect("opens as another user")
}

#[tokio::test]
async fn privileges_that_are_missing_are_asked_for_word_by_word_and_never_granted() {
    let site = Site::new().await;
    site.execute(
        "CREATE SCHEMA crm; CREATE TABLE crm.people (id text PRIMARY KEY, name text, n serial);
         CREATE TYPE crm.mood AS ENUM ('good'); ALTER TABLE crm.people ADD mood crm.mood",
    )
    .await;
    let people = || HostTable::new("crm.people").key("id");
    // One who may not act as our schema's owner only uses what was registered before.
    site.execute("INSERT INTO syncline.entity_types (entity_type, table_name, place) VALUES ('crm.people', '\"crm\".\"people\"', 'host')")
        .await;
    let storage = with_roles(&site, "syncline_test_stranger").await;
    let text = refusal(&storage, "acme", people().delete_rows(), &[]).await;
    let start = text.find("run: ").expect("the statements are told") + 5;
    let statements = &text[start..=text.rfind(';').expect("they end")];
    for part in ["GRANT USAGE ON SCHEMA \"crm\"", "GRANT SELECT, INSERT, UPDATE, DELETE ON \"crm\".\"people\"", "crm.people_n_seq"] {
        assert!(statements.contains(part), "{statements}");
    }
    assert!(!refusal(&storage, "acme", people(), &[]).await.contains("DELETE"), "no more than is needed");
    // What is told is what it takes.
    site.execute(statements).await;
    register(&storage, "acme", people().delete_rows()).await;
    // Our own role is given nothing: the host's writes its tables.
    site.execute("CREATE TABLE crm.pets (id text PRIMARY KEY, name text)").await;
    let run = begin(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &host(HostTable::new("crm.pets").key("id"))).await;
    assert_eq!(counts(&run.commit(&[up("r", json!({"id": "a"}))]).await.counts), [1, 0, 0, 0, 0, 0]);
    let granted = site.column("SELECT has_table_privilege('syncline_app', 'crm.pets', 'SELECT')::text").await;
    assert_eq!(granted, ["false"]);
}

#[tokio::test]
async fn without_roles_the_host_tables_are_written_as_the_user_that_connects() {
    let database = sync_testkit::postgres::TestDatabase::create().await;
    let storage = PostgresStorage::builder(database.url()).row_security(RowSecurity::Off).max_connections(2).open().await.expect("opens");
    let mut host_side = database.connection().await;
    sqlx::raw_sql("CREATE TABLE solo (id text PRIMARY KEY, v text)").execute(&mut host_side).await.expect("made");
    let run = begin(&storage, "acme", &mapped_feed("c1", "s", "m"), &host(HostTable::new("solo").key("id"))).await;
    assert_eq!(counts(&run.commit(&[up("r", json!({"id": "a", "v": "x"}))]).await.counts), [1, 0, 0, 0, 0, 0]);
    assert!(refusal(&storage, "other", HostTable::new("solo").key("id"), &[]).await.contains("already used"));
}

#[tokio::test]
async fn the_hosts_tables_are_touched_in_the_hosts_own_role() {
    let site = Site::new().await;
    site.execute(
        "CREATE TABLE audit (who text); CREATE TABLE people (id text PRIMARY KEY, name text);
         CREATE FUNCTION audited() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             INSERT INTO audit VALUES (TG_OP || ' ' || (current_user = session_user)); RETURN coalesce(NEW, OLD); END $$;
         CREATE TRIGGER audited BEFORE INSERT OR UPDATE OR DELETE ON people FOR EACH ROW EXECUTE FUNCTION audited()",
    )
    .await;
    let run = begin(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &host(HostTable::new("people").key("id").delete_rows())).await;
    assert_eq!(counts(&run.commit(&[up("r", json!({"id": "a", "name": "A"}))]).await.counts), [1, 0, 0, 0, 0, 0]);
    assert_eq!(counts(&run.commit(&[up("r", json!({"id": "a", "name": "B"}))]).await.counts), [0, 1, 0, 0, 0, 0]);
    assert_eq!(run.store.count_entities(&"people".into()).await.expect("counted"), 1);
    run.commit(&[gone("r")]).await;
    assert_eq!(site.column("SELECT who FROM audit").await, ["INSERT true", "UPDATE true", "DELETE true"]);
    let granted = site.column("SELECT has_table_privilege('syncline_app', 'people', 'SELECT')::text").await;
    assert_eq!(granted, ["false"]);
}

#[tokio::test]
async fn a_table_that_was_dropped_is_no_type_any_more_and_one_made_anew_is_read() {
    let site = Site::new().await;
    site.execute("CREATE TABLE people (id text PRIMARY KEY, name text); CREATE TABLE pets (id text PRIMARY KEY)").await;
    register(&site.storage, "acme", HostTable::new("people").key("id")).await;
    register(&site.storage, "acme", HostTable::new("pets").key("id")).await;
    site.execute("INSERT INTO pets VALUES ('p'); DROP TABLE people").await;
    let store = site.storage.workspace(&"acme".into());
    assert_eq!(store.entity_types().await.expect("read"), ["pets".into()]);
    let error = store.entities(&"people".into(), sync_core::store::EntityQuery::default()).await.expect_err("gone");
    assert!(error.kind() == sync_core::ErrorKind::NotFound && error.to_string().contains("pets"), "{error}");
    site.execute("CREATE TABLE people (id text PRIMARY KEY, name text); INSERT INTO people VALUES ('a', 'A')").await;
    assert_eq!(store.entity_types().await.expect("read"), ["people".into(), "pets".into()]);
    assert_eq!(store.count_entities(&"people".into()).await.expect("counted"), 1);
}
