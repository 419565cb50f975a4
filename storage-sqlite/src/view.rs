//! The view `syncline_field_lineage`: one row for each change of a field, for people and their tools.
//!
//! Updates and deletions come from the lines. The creation of a managed row has none; its values are what the first later line
//! says was there before, else what the row holds; of rows that are older than the lines that are kept nothing is said. Since the
//! view names every managed table, it is made anew when there is another.

use std::fmt::Write as _;

use rusqlite::Connection;
use sync_core::sensitive::HIDDEN;

use crate::{error::Db, name::quoted};

/// Tables in one compound SELECT; SQLite allows 500 terms.
const TABLES_AT_ONCE: usize = 100;

/// A stored value `v` of kind `k` as JSON text, as [`decode`](crate::value::decode) gives it.
const AS_JSON: &str = "CASE typeof(v) WHEN 'null' THEN NULL \
    WHEN 'integer' THEN CASE WHEN k = 'boolean' AND v IN (0, 1) THEN CASE v WHEN 1 THEN 'true' ELSE 'false' END ELSE CAST(v AS TEXT) END \
    WHEN 'real' THEN CASE WHEN CAST(printf('%!.15g', v) AS REAL) = v THEN printf('%!.15g', v) ELSE printf('%!.17g', v) END \
    WHEN 'blob' THEN CAST(v AS TEXT) \
    ELSE CASE WHEN k = 'json' THEN v \
        WHEN k IN ('integer', 'number') AND v GLOB '[-0-9]*' AND v GLOB '*[0-9]' AND json_valid(v) THEN v \
        ELSE json_quote(v) END END";

/// A value, unless it is that of a sensitive field. What the row holds of such a field is not hashed here, as no function of SQLite does that.
fn unless_sensitive(value: &str) -> String {
    format!(
        "CASE WHEN {value} <> 'null' AND {value} NOT LIKE '{{\"hidden\":\"hmac-sha256:%' AND EXISTS (SELECT 1 FROM syncline_sensitive_fields x \
         WHERE x.workspace_id = h.ws AND x.entity_type = t.entity_type AND x.field = lower(h.f)) THEN '{HIDDEN}' ELSE {value} END"
    )
}

/// Makes the view anew over all managed tables.
pub(crate) fn rebuild(conn: &Connection) -> Db<()> {
    let mut tables = conn.prepare("SELECT id, table_name FROM syncline_entity_types WHERE place <> 'host' ORDER BY id")?;
    let tables: Vec<(i64, String)> = tables.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    let mut columns = conn.prepare("SELECT id, column_name FROM syncline_entity_columns WHERE type_id = ?1 ORDER BY id")?;
    let mut terms = Vec::with_capacity(tables.len());
    for (id, table) in &tables {
        let mut cases = String::new();
        let mut rows = columns.query([id])?;
        while let Some(row) = rows.next()? {
            let _ = write!(cases, " WHEN {} THEN t.{}", row.get::<_, i64>(0)?, quoted(row.get_ref(1)?.as_str()?));
        }
        let table = quoted(table);
        let whose = format!(
            "SELECT {id} AS ty, t.workspace_id AS ws, coalesce((SELECT connection_id FROM syncline_connection_numbers WHERE no = t.connection_no), '') AS c, t.entity_id AS e, t.created_run AS run, t.created_at AS at"
        );
        let mut term = String::new();
        if !cases.is_empty() {
            let _ = write!(
                term,
                "{whose}, f.field AS f, f.kind AS k, CASE f.id{cases} END AS v FROM {table} t JOIN syncline_entity_columns f ON f.type_id = {id} \
                 WHERE t.created_run IS NOT NULL UNION ALL "
            );
        }
        let _ = write!(
            term,
            "{whose}, x.key AS f, 'json' AS k, t.extra -> x.fullkey AS v FROM {table} t JOIN json_each(t.extra) x WHERE t.created_run IS NOT NULL"
        );
        terms.push(term);
    }
    let none = "SELECT 0 AS ty, '' AS ws, '' AS c, '' AS e, 0 AS run, '' AS at, '' AS f, '' AS k, NULL AS v WHERE 0".to_owned();
    let rows = match terms.chunks(TABLES_AT_ONCE).map(|chunk| chunk.join(" UNION ALL ")).collect::<Vec<_>>() {
        chunks if chunks.is_empty() => none,
        chunks if chunks.len() == 1 => chunks.into_iter().next().unwrap_or(none),
        chunks => chunks.into_iter().map(|chunk| format!("SELECT * FROM ({chunk})")).collect::<Vec<_>>().join(" UNION ALL "),
    };
    let (old, new) = (unless_sensitive("h.old"), unless_sensitive("h.new"));
    // Lines of one row only: rows of different connections may have one key.
    let line = "syncline_lineage_entries l JOIN syncline_sync_runs lr ON lr.id = l.run_id";
    let same = "l.workspace_id = o.ws AND l.type_id = o.ty AND l.entity_id = o.e AND (o.c = '' OR lr.connection_id = o.c)";
    conn.execute_batch(&format!(
        "DROP VIEW IF EXISTS syncline_field_lineage;
        CREATE VIEW syncline_field_lineage AS
        WITH
        live AS (
            SELECT o.*, coalesce((SELECT max(l.seq) FROM {line} WHERE {same} AND l.op = 'd'), 0) AS since FROM ({rows}) o
        ),
        dead AS (
            SELECT o.*, coalesce((SELECT max(l.seq) FROM {line} WHERE {same} AND l.op = 'd' AND l.seq < o.until), 0) AS since
            FROM (
                SELECT d.type_id AS ty, d.workspace_id AS ws, CASE t.place WHEN 'stream' THEN r.connection_id ELSE '' END AS c,
                    d.entity_id AS e, d.created_run AS run, d.created_at AS at, d.seq AS until
                FROM syncline_lineage_entries d JOIN syncline_sync_runs r ON r.id = d.run_id
                    JOIN syncline_entity_types t ON t.id = d.type_id
                WHERE d.op = 'd' AND d.created_run IS NOT NULL
            ) o
        ),
        created AS (
            SELECT since AS seq, ty, ws, e, run, at, f, coalesce(
                (SELECT j.value -> 0 FROM {line} JOIN json_each(l.changes) j
                    WHERE {same} AND l.seq > o.since AND j.key = o.f ORDER BY l.seq LIMIT 1),
                {AS_JSON}) AS new
            FROM live o
            UNION ALL
            SELECT since, ty, ws, e, run, at, j.key, j.value -> 0
            FROM dead o CROSS JOIN {line} JOIN json_each(l.changes) j
            WHERE {same} AND l.seq > o.since AND l.seq <= o.until AND NOT EXISTS (
                SELECT 1 FROM syncline_lineage_entries f JOIN syncline_sync_runs fr ON fr.id = f.run_id JOIN json_each(f.changes) fj
                WHERE f.workspace_id = o.ws AND f.type_id = o.ty AND f.entity_id = o.e AND (o.c = '' OR fr.connection_id = o.c)
                    AND f.seq > o.since AND f.seq < l.seq AND fj.key = j.key)
        ),
        changed AS (
            SELECT seq, ty, ws, e, run, at, f, NULL AS old, new FROM created
            WHERE new <> 'null' AND at >= coalesce((SELECT pruned_before FROM syncline_retention_marks WHERE log = 'lineage'), '')
            UNION ALL
            SELECT l.seq, l.type_id, l.workspace_id, l.entity_id, l.run_id, l.changed_at, j.key,
                CASE l.op WHEN 'c' THEN NULL ELSE j.value -> 0 END, CASE l.op WHEN 'd' THEN NULL ELSE j.value -> 1 END
            FROM syncline_lineage_entries l JOIN json_each(l.changes) j
        )
        SELECT h.seq AS id, t.entity_type, h.e AS entity_id, h.f AS field_name,
            coalesce(s.kind, '') AS source_type, coalesce(s.source_id, '') AS source_id,
            (SELECT value FROM json_each(s.refs) WHERE key = h.f) AS source_ref,
            {old} AS previous_value, {new} AS new_value, h.run AS sync_run_id, r.triggered_by AS changed_by, h.at AS changed_at,
            h.ws AS workspace_id,
            CASE WHEN h.new IS NULL AND b.rule IN ('source_of_truth', 'forced') THEN 'deleted' ELSE b.rule END AS rule
        FROM changed h JOIN syncline_entity_types t ON t.id = h.ty LEFT JOIN syncline_sync_runs r ON r.id = h.run
            LEFT JOIN syncline_lineage_sources s ON s.id = r.lineage_source
            LEFT JOIN syncline_lineage_rules b ON b.id = r.lineage_rules;"
    ))?;
    Ok(())
}
