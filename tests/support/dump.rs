//! The logical content of a database: everything a host or a later run can tell apart, and nothing that differs between two runs that
//! did the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::Path,
};

use rusqlite::{Connection, types::ValueRef};
use serde_json::Value;

use super::place::Place;

/// Columns that hold times, run numbers or numbers of rows.
const VOLATILE: &[&str] = &[
    "created_run",
    "created_at",
    "last_synced_at",
    "updated_at",
    "changed_at",
    "run_id",
    "scan",
    "seq",
    "page_ends_at",
    "credentials_encrypted",
    "refresh_token_encrypted",
    "last_sync_at",
    "token_version",
    "made",
    "row_no",
];

/// Our tables that are state. Runs, failures, events and the activity log are history: a run that was killed has more of it.
const STATE: &[&str] = &["syncline_integration_connections", "syncline_sync_cursors", "syncline_host_tables"];

/// What else is compared, as one query each, and whether the rows have an order of their own.
const QUERIES: &[(&str, &str, bool)] = &[
    (
        "columns",
        "SELECT t.entity_type, t.table_name, t.place, c.field, c.column_name, c.kind, c.label FROM syncline_entity_types t \
         LEFT JOIN syncline_entity_columns c ON c.type_id = t.id",
        true,
    ),
    (
        "links",
        "SELECT l.workspace_id, l.connection_id, l.stream, l.mapping, l.partition_id, l.external_id, t.entity_type, l.entity_id \
         FROM syncline_record_links l JOIN syncline_entity_types t ON t.id = l.type_id",
        true,
    ),
    (
        "owners",
        "SELECT o.workspace_id, t.entity_type, o.entity_id, o.field, o.priority, o.connection_id, o.mapping \
         FROM syncline_field_owners o JOIN syncline_entity_types t ON t.id = o.type_id",
        true,
    ),
    (
        "references",
        "SELECT v.workspace_id, t.entity_type, v.entity_id, v.connection_id, v.mapping, v.field, v.value \
         FROM syncline_reference_values v JOIN syncline_entity_types t ON t.id = v.type_id",
        true,
    ),
    (
        "conflicts",
        "SELECT c.workspace_id, t.entity_type, c.entity_id, c.field, c.connection_id, c.mapping, c.priority, c.value, \
         c.winner_connection_id, c.winner_mapping, c.winner_priority, c.winning_value, c.rule, c.state, c.resolved_by \
         FROM syncline_mapping_conflicts c JOIN syncline_entity_types t ON t.id = c.type_id WHERE c.live",
        true,
    ),
    // Per entity in the order things happened; entities in the order of their names.
    (
        "lineage",
        "SELECT l.workspace_id, t.entity_type, l.entity_id, l.op, l.changes FROM syncline_lineage_entries l \
         JOIN syncline_entity_types t ON t.id = l.type_id ORDER BY l.workspace_id, t.entity_type, l.entity_id, l.seq",
        false,
    ),
    (
        "field_lineage",
        "SELECT workspace_id, entity_type, entity_id, field_name, source_type, source_id, source_ref, previous_value, new_value, changed_by \
         FROM syncline_field_lineage",
        true,
    ),
];

/// Table by table the rows as text, in an order of their own.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Dump(pub(crate) BTreeMap<String, Vec<String>>);

impl Dump {
    pub(crate) fn of(path: &Path) -> Self {
        let conn = Connection::open(path).expect("the database opens");
        let names = connections(&conn);
        let mut tables = BTreeMap::new();
        let mut add = |name: &str, rows: Vec<String>| {
            tables.insert(name.to_owned(), rows);
        };
        for table in STATE {
            add(table, rows(&conn, &format!("SELECT * FROM {table}"), &names, true));
        }
        let entity_tables = texts(&conn, "SELECT table_name FROM syncline_entity_types ORDER BY table_name");
        for table in entity_tables {
            add(&table, rows(&conn, &format!("SELECT * FROM \"{table}\""), &names, true));
        }
        for (name, sql, sorted) in QUERIES {
            add(name, rows(&conn, sql, &names, *sorted));
        }
        Self(tables)
    }

    /// The same of a database on a server.
    pub(crate) fn of_server(place: &Place) -> Self {
        let mut names = Vec::new();
        for sql in CONNECTIONS {
            names.extend(place.objects(sql).into_iter().map(|row| (text(&row["here"]), text(&row["stands_for"]))));
        }
        let rows = |sql: &str, sorted: bool| {
            let mut rows: Vec<String> = place.objects(sql).into_iter().map(|row| line(&row, &names)).collect();
            if sorted {
                rows.sort_unstable();
            }
            rows
        };
        let mut tables = BTreeMap::new();
        for table in STATE {
            tables.insert((*table).to_owned(), rows(&format!("SELECT * FROM {table}"), true));
        }
        for table in place.ask_all("SELECT table_name FROM syncline_entity_types WHERE place <> 'host' ORDER BY table_name") {
            let all = rows(&format!("SELECT * FROM syncline_\"{table}\""), true);
            tables.insert(table, all);
        }
        for (name, sql, sorted) in QUERIES {
            tables.insert((*name).to_owned(), rows(sql, *sorted));
        }
        Self(tables)
    }

    /// Every table of ours to the last column, but for these: what a run that only looks may not touch.
    pub(crate) fn everything_but(place: &Place, tables: &[&str]) -> Self {
        let names = match place {
            Place::File(_) => place.ask_all(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND (name LIKE 'syncline\\_%' ESCAPE '\\' OR name IN \
                 (SELECT table_name FROM syncline_entity_types))",
            ),
            Place::Server(_) => {
                let names = place.ask_all("SELECT tablename::text FROM pg_tables WHERE schemaname = 'syncline'");
                names.into_iter().map(|name| format!("syncline_{name}")).collect()
            }
        };
        let kept = names.into_iter().filter(|name| !tables.contains(&name.as_str()));
        let rows = |table: &String| match place {
            Place::File(path) => {
                let conn = Connection::open(path).expect("the database opens");
                let mut query = conn.prepare(&format!("SELECT * FROM \"{table}\"")).expect("our tables");
                let width = query.column_count();
                let rows = query.query_map([], |row| (0..width).map(|at| Ok(show(row.get_ref(at)?))).collect::<rusqlite::Result<Vec<_>>>());
                rows.expect("it runs").map(|row| row.expect("a row").join(" | ")).collect::<Vec<_>>()
            }
            Place::Server(_) => place
                .objects(&format!("SELECT * FROM syncline_\"{}\"", table.trim_start_matches("syncline_")))
                .into_iter()
                .map(|row| Value::Object(row).to_string())
                .collect(),
        };
        let sorted = |table: String| {
            let mut rows = rows(&table);
            rows.sort_unstable();
            (table, rows)
        };
        Self(kept.map(sorted).collect())
    }

    pub(crate) fn table(&self, name: &str) -> &[String] {
        self.0.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// The same without these tables.
    pub(crate) fn without(mut self, tables: &[&str]) -> Self {
        self.0.retain(|name, _| !tables.contains(&name.as_str()));
        self
    }

    /// Panics with what differs.
    #[track_caller]
    pub(crate) fn assert_same(&self, other: &Self, about: &str) {
        let names: BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        let mut differences = Vec::new();
        for name in names {
            let (ours, theirs) = (self.table(name), other.table(name));
            if ours != theirs {
                let only = |a: &[String], b: &[String]| {
                    a.iter().filter(|row| !b.contains(row)).take(5).cloned().collect::<Vec<_>>().join("\n    ")
                };
                differences.push(format!(
                    "{name}: {} rows and {}\n  only here:\n    {}\n  only there:\n    {}",
                    ours.len(),
                    theirs.len(),
                    only(ours, theirs),
                    only(theirs, ours)
                ));
            }
        }
        assert!(differences.is_empty(), "{about}:\n{}", differences.join("\n"));
    }
}

impl fmt::Debug for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(&self.0).finish()
    }
}

/// Ids of connections, and what stands for them: random ids are different in each database. Their numbers are translated too.
const CONNECTIONS: &[&str] = &[
    "SELECT id AS here, provider || ':' || account_id AS stands_for FROM syncline_integration_connections",
    "SELECT 'connection_no=' || n.no AS here, 'connection=' || c.provider || ':' || c.account_id AS stands_for \
     FROM syncline_connection_numbers n JOIN syncline_integration_connections c ON c.id = n.connection_id ORDER BY n.no DESC",
];

fn connections(conn: &Connection) -> Vec<(String, String)> {
    let mut names = Vec::new();
    for sql in CONNECTIONS {
        let mut query = conn.prepare(sql).expect("our tables");
        let found = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("it runs");
        names.extend(found.collect::<rusqlite::Result<Vec<(String, String)>>>().expect("rows"));
    }
    names
}

/// A row of a server as a line like those of a file.
fn line(row: &serde_json::Map<String, Value>, names: &[(String, String)]) -> String {
    let cells = row.iter().filter(|(name, _)| !VOLATILE.contains(&name.as_str()));
    let mut cells: Vec<String> = cells.map(|(name, value)| format!("{name}={}", text(value))).collect();
    cells.sort_unstable();
    names.iter().fold(cells.join(" | "), |text, (id, name)| text.replace(id, name))
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn texts(conn: &Connection, sql: &str) -> Vec<String> {
    let mut query = conn.prepare(sql).expect(sql);
    let texts = query.query_map([], |row| row.get(0)).expect(sql);
    texts.collect::<Result<_, _>>().expect(sql)
}

fn rows(conn: &Connection, sql: &str, names: &[(String, String)], sorted: bool) -> Vec<String> {
    let mut query = conn.prepare(sql).expect(sql);
    let columns: Vec<String> = query.column_names().into_iter().map(str::to_owned).collect();
    let mut rows: Vec<String> = query
        .query_map([], |row| {
            let cells = columns.iter().enumerate().filter(|(_, name)| !VOLATILE.contains(&name.as_str()));
            let cells: rusqlite::Result<Vec<String>> = cells.map(|(at, name)| Ok(format!("{name}={}", show(row.get_ref(at)?)))).collect();
            let mut cells = cells?;
            // Columns stand in the order their fields were first met.
            cells.sort_unstable();
            Ok(names.iter().fold(cells.join(" | "), |text, (id, name)| text.replace(id, name)))
        })
        .expect(sql)
        .collect::<rusqlite::Result<_>>()
        .expect(sql);
    if sorted {
        rows.sort_unstable();
    }
    rows
}

/// A value as text, its type told by its form.
pub(crate) fn show(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => format!("{number:?}"),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        ValueRef::Blob(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}
