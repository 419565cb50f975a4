//! The view `field_lineage`: one row for each change of a field, for people and their tools.
//!
//! Updates and deletions come from the lines. The creation of a managed row has none; its values are what the first later line says was
//! there before, else what the row holds; of rows that are older than the lines that are kept nothing is said. Since the view names every
//! managed table, it is made anew when there is another table or column.
//!
//! Its terms are joined by `UNION ALL` alone and all name workspace, type and key in the same collation, so that a question about one
//! entity reaches the keys of every table under it.

use std::{collections::HashMap, fmt::Write as _};

use sqlx::{PgConnection, Row as _};
use sync_core::sensitive::HIDDEN;

use crate::{
    error::Db,
    name::{literal, quoted},
    security,
    storage::Settings,
    tx::{Tx, raw},
};

/// A managed table as the view needs it.
struct Term {
    id: i64,
    entity: String,
    table: String,
    /// Whether rows are told apart by their connection too.
    by_connection: bool,
    /// Fields and their columns.
    columns: Vec<(String, String)>,
}

/// Rows from before lineage was pruned say nothing of how they came to be.
const KNOWN: &str = "created_at >= coalesce((SELECT pruned_before FROM retention_marks WHERE log = 'lineage'), '-infinity'::timestamptz)";

impl Term {
    /// The lines `l` about the row `m`.
    fn lines(&self) -> (&'static str, String) {
        let own = format!("l.workspace_id = m.workspace_id AND l.type_id = {} AND l.entity_id = m.entity_id", self.id);
        if self.by_connection {
            let from = "lineage_entries l JOIN sync_runs lr ON lr.workspace_id = l.workspace_id AND lr.id = l.run_id";
            (from, format!("{own} AND lr.connection_id = n.connection_id"))
        } else {
            ("lineage_entries l", own)
        }
    }

    /// What the rows that are there were made with.
    fn made(&self) -> Db<String> {
        let (lines, own) = self.lines();
        let (mut values, mut fields) = (String::new(), String::new());
        for (field, column) in &self.columns {
            let (field, column) = (literal(field)?, quoted(column));
            let separator = if values.is_empty() { "" } else { ", " };
            let _ = write!(values, "{separator}({field}, coalesce(to_jsonb(m.{column}), m.extra -> {field}))");
            let _ = write!(fields, "{separator}{field}");
        }
        let values = if values.is_empty() {
            String::new()
        } else {
            format!("UNION ALL SELECT v.f, v.v, 9223372036854775807 FROM (VALUES {values}) v (f, v)")
        };
        let rows = if self.by_connection {
            format!("{} m JOIN connection_numbers n ON n.workspace_id = m.workspace_id AND n.no = m.connection_no", quoted(&self.table))
        } else {
            format!("(SELECT * FROM {} WHERE connection_no = 0) m", quoted(&self.table))
        };
        Ok(format!(
            "SELECT s.since, {entity}::text COLLATE \"C\", m.workspace_id, m.entity_id, b.f COLLATE \"C\", m.created_run, m.created_at, NULL::jsonb, b.v \
             FROM {rows} \
             CROSS JOIN LATERAL (SELECT coalesce(max(l.seq), 0) AS since FROM {lines} WHERE {own} AND l.op = 'd') s \
             CROSS JOIN LATERAL (SELECT DISTINCT ON (x.f) x.f, x.v FROM (\
                 SELECT j.key AS f, (j.value -> 0)::jsonb AS v, l.seq FROM {lines} CROSS JOIN LATERAL json_each(l.changes) j \
                 WHERE {own} AND l.seq > s.since \
                 {values} \
                 UNION ALL SELECT e.key, e.value, 9223372036854775807 FROM jsonb_each(m.extra) e WHERE e.key <> ALL (ARRAY[{fields}]::text[])\
             ) x WHERE x.v IS NOT NULL ORDER BY x.f, x.seq) b \
             WHERE m.created_run IS NOT NULL AND m.{KNOWN} AND b.v <> 'null'::jsonb",
            entity = literal(&self.entity)?,
        ))
    }
}

/// What the lines say, and what rows that are gone were made with.
const TERMS: &str = "SELECT l.seq AS id, t.entity_type, l.workspace_id, l.entity_id, j.key COLLATE \"C\" AS field, l.run_id AS run, \
        l.changed_at AS at, CASE WHEN l.op <> 'c' THEN (j.value -> 0)::jsonb END AS old, CASE WHEN l.op <> 'd' THEN (j.value -> 1)::jsonb END AS new \
    FROM lineage_entries l JOIN entity_types t ON t.id = l.type_id CROSS JOIN LATERAL json_each(l.changes) j \
    UNION ALL \
    SELECT s.since, t.entity_type, m.workspace_id, m.entity_id, b.f COLLATE \"C\", m.created_run, m.created_at, NULL::jsonb, b.v \
    FROM lineage_entries m JOIN entity_types t ON t.id = m.type_id JOIN sync_runs n ON n.workspace_id = m.workspace_id AND n.id = m.run_id \
    CROSS JOIN LATERAL (SELECT coalesce(max(l.seq), 0) AS since \
        FROM lineage_entries l JOIN sync_runs lr ON lr.workspace_id = l.workspace_id AND lr.id = l.run_id \
        WHERE l.workspace_id = m.workspace_id AND l.type_id = m.type_id AND l.entity_id = m.entity_id AND l.op = 'd' AND l.seq < m.seq \
            AND (t.place <> 'stream' OR lr.connection_id = n.connection_id)) s \
    CROSS JOIN LATERAL (SELECT DISTINCT ON (j.key) j.key AS f, (j.value -> 0)::jsonb AS v \
        FROM lineage_entries l JOIN sync_runs lr ON lr.workspace_id = l.workspace_id AND lr.id = l.run_id \
        CROSS JOIN LATERAL json_each(l.changes) j \
        WHERE l.workspace_id = m.workspace_id AND l.type_id = m.type_id AND l.entity_id = m.entity_id AND l.seq > s.since AND l.seq <= m.seq \
            AND (t.place <> 'stream' OR lr.connection_id = n.connection_id) ORDER BY j.key, l.seq) b \
    WHERE m.op = 'd' AND m.created_run IS NOT NULL AND b.v <> 'null'::jsonb AND m.";

/// A value, unless it is that of a sensitive field. What the row holds of such a field is not hashed here: whoever may read the view need
/// not be allowed to hash.
fn unless_sensitive(value: &str) -> String {
    format!(
        "CASE WHEN {value} <> 'null'::jsonb AND NOT coalesce({value} ->> 'hidden' LIKE 'hmac-sha256:%', false) AND EXISTS (SELECT FROM sensitive_fields x \
         WHERE x.workspace_id = h.workspace_id AND x.entity_type = h.entity_type AND x.field = lower(h.field COLLATE \"C\")) \
         THEN '{HIDDEN}'::jsonb ELSE {value} END"
    )
}

fn script(terms: &[Term], settings: &Settings) -> Db<String> {
    let mut rows = format!("{TERMS}{KNOWN}");
    for term in terms {
        rows.push_str(" UNION ALL ");
        rows.push_str(&term.made()?);
    }
    let mut sql = format!(
        "CREATE OR REPLACE VIEW field_lineage WITH (security_invoker = true) AS \
         SELECT h.id, h.entity_type, h.entity_id, h.field AS field_name, coalesce(s.kind, '') AS source_type, coalesce(s.source_id, '') AS source_id, \
         s.refs ->> h.field AS source_ref, {} AS previous_value, {} AS new_value, h.run AS sync_run_id, \
         coalesce(r.triggered_by, '') AS changed_by, h.at AS changed_at, h.workspace_id, \
         CASE WHEN h.new IS NULL AND b.rule IN ('source_of_truth', 'forced') THEN 'deleted' ELSE b.rule END AS rule \
         FROM ({rows}) h \
         LEFT JOIN sync_runs r ON r.workspace_id = h.workspace_id AND r.id = h.run \
         LEFT JOIN lineage_sources s ON s.workspace_id = r.workspace_id AND s.id = r.lineage_source \
         LEFT JOIN lineage_rules b ON b.workspace_id = r.workspace_id AND b.id = r.lineage_rules;\n",
        unless_sensitive("h.old"),
        unless_sensitive("h.new"),
    );
    sql.push_str(&security::view(&settings.schema, "field_lineage", &settings.row_security));
    Ok(sql)
}

/// The view over a schema without managed tables.
pub(crate) fn empty(settings: &Settings) -> String {
    // Names can only be refused where there are some.
    script(&[], settings).unwrap_or_default()
}

/// Makes the view anew over all managed tables. The transaction is the owner's.
pub(crate) async fn rebuild(tx: &mut Tx) -> Db<()> {
    let inner = std::sync::Arc::clone(&tx.inner);
    make(tx, &inner.settings).await
}

/// Makes the view anew over all managed tables, as the schema's owner and with the search path on the schema.
pub(crate) async fn make(connection: &mut PgConnection, settings: &Settings) -> Db<()> {
    let mut columns: HashMap<i64, Vec<(String, String)>> = HashMap::new();
    let rows = sqlx::query("SELECT type_id, field, column_name FROM entity_columns ORDER BY type_id, id").persistent(false);
    for row in rows.fetch_all(&mut *connection).await? {
        columns.entry(row.try_get(0)?).or_default().push((row.try_get(1)?, row.try_get(2)?));
    }
    let rows = sqlx::query("SELECT id, entity_type, table_name, place = 'stream' FROM entity_types WHERE place <> 'host' ORDER BY id");
    let mut terms = Vec::new();
    for row in rows.persistent(false).fetch_all(&mut *connection).await? {
        let id = row.try_get(0)?;
        let columns = columns.remove(&id).unwrap_or_default();
        terms.push(Term { id, entity: row.try_get(1)?, table: row.try_get(2)?, by_connection: row.try_get(3)?, columns });
    }
    Ok(raw(connection, script(&terms, settings)?).await?)
}
