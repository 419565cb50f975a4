//! The statements that bring staged records into a stream's own table.
//!
//! Two forms of each: a plain one for records that have all fields of the batch and keep nothing in `extra`, and a careful one for the
//! others. All of them are made once per table and set of columns, so that the server keeps their plans.

use std::fmt::Write as _;

use crate::table::Table;

/// A function takes at most 100 arguments.
const ARGUMENTS: usize = 80;

/// What a staged batch has.
pub(crate) struct Shape<'a> {
    pub(crate) table: &'a Table,
    /// Places of its columns in the table.
    pub(crate) columns: &'a [usize],
    /// Whether some record lacks a field, or some value of an old or new row is in `extra`.
    pub(crate) careful: bool,
}

/// A text as it stands in SQL.
fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// The beginning of a field's entry in a line of lineage.
fn entry(field: &str) -> String {
    let name = serde_json::to_string(field).unwrap_or_default();
    literal(&format!("{name}:["))
}

/// Joins texts that may be null by commas.
fn joined(parts: &[String]) -> String {
    if parts.is_empty() {
        return "''".into();
    }
    let mut groups: Vec<String> = parts.chunks(ARGUMENTS).map(|chunk| format!("concat_ws(',', {})", chunk.join(", "))).collect();
    while groups.len() > 1 {
        // An empty group must not leave a comma behind.
        groups = groups
            .chunks(ARGUMENTS)
            .map(|chunk| {
                format!("concat_ws(',', {})", chunk.iter().map(|group| format!("nullif({group}, '')")).collect::<Vec<_>>().join(", "))
            })
            .collect();
    }
    groups.remove(0)
}

impl Shape<'_> {
    fn stage_columns(&self) -> impl Iterator<Item = (usize, &crate::table::Column)> {
        self.columns.iter().map(|at| (*at, &self.table.columns[*at]))
    }

    /// The temporary table of this table's records. It has all columns, and another name when there are more of them.
    pub(crate) fn stage(&self) -> String {
        format!("pg_temp.stage_{}_{}", self.table.id, self.table.columns.len())
    }

    pub(crate) fn create_stage(&self, pooler: bool) -> String {
        let mut sql = format!(
            "CREATE TEMP TABLE {} (entity_id text COLLATE \"C\", row_hash bigint, partition_id text, extra jsonb, silent text[]",
            self.stage().trim_start_matches("pg_temp.")
        );
        for (at, column) in self.table.columns.iter().enumerate() {
            let _ = write!(sql, ", c{at} {}", column.form.sql());
        }
        sql.push_str(if pooler { ") ON COMMIT DROP" } else { ") ON COMMIT DELETE ROWS" });
        sql
    }

    pub(crate) fn copy(&self) -> String {
        let mut sql = format!("COPY {} (entity_id, row_hash, partition_id", self.stage());
        if self.careful {
            sql.push_str(", extra, silent");
        }
        for (at, _) in self.stage_columns() {
            let _ = write!(sql, ", c{at}");
        }
        sql.push_str(") FROM STDIN (FORMAT binary)");
        sql
    }

    /// The present row of each staged record, locked.
    fn present(&self) -> String {
        format!(
            "{} s CROSS JOIN LATERAL (SELECT * FROM {} m WHERE m.workspace_id = $1 AND m.connection_no = $2 AND m.entity_id = s.entity_id \
             OFFSET 0 FOR UPDATE) m WHERE m.row_hash IS DISTINCT FROM s.row_hash",
            self.stage(),
            self.table.sql
        )
    }

    /// What makes the text of a line: empty when nothing differs.
    fn changes(&self, names: &str) -> String {
        let mut parts = Vec::with_capacity(self.columns.len() + 1);
        for (at, column) in self.stage_columns() {
            let (m, s, field) = (format!("m.{}", column.sql), format!("s.c{at}"), literal(&column.field));
            let (differs, old, new) = if self.careful {
                (
                    format!("NOT {field} = ANY(s.silent) AND ({m}, m.extra -> {field}) IS DISTINCT FROM ({s}, s.extra -> {field})"),
                    format!("coalesce(to_json({m})::text, (m.extra -> {field})::text, 'null')"),
                    format!("coalesce(to_json({s})::text, (s.extra -> {field})::text, 'null')"),
                )
            } else {
                let text = |value: &str| match column.form {
                    crate::table::Form::Json => format!("coalesce({value}::text, 'null')"),
                    _ => format!("coalesce(to_json({value})::text, 'null')"),
                };
                (format!("{m} IS DISTINCT FROM {s}"), text(&m), text(&s))
            };
            parts.push(format!("CASE WHEN {differs} THEN {} || {old} || ',' || {new} || ']' END", entry(&column.field)));
        }
        if self.careful {
            // Fields that never have a column.
            parts.push(format!(
                "(SELECT string_agg(to_json(k)::text || ':[' || coalesce((m.extra -> k)::text, 'null') || ',' || \
                 coalesce((s.extra -> k)::text, 'null') || ']', ',') FROM unnest({names}::text[]) k \
                 WHERE NOT k = ANY(s.silent) AND m.extra -> k IS DISTINCT FROM s.extra -> k)"
            ));
        }
        joined(&parts)
    }

    /// Locks what is there and tells what changes: per changed record its key and the text of its changes, empty where nothing differs.
    /// $1 workspace, $2 connection, $3 names without a column (careful).
    pub(crate) fn look(&self) -> String {
        format!("SELECT s.entity_id, {} FROM {}", self.changes("$3"), self.present())
    }

    /// The same with the lines written: answers how many, and the keys of records that differ in nothing. $1 workspace, $2 connection,
    /// $3 names without a column, $4 entity type, $5 run, $6 time.
    pub(crate) fn write_lines(&self) -> String {
        format!(
            "WITH d AS MATERIALIZED (SELECT s.entity_id, {} AS changes FROM {}), \
             l AS (INSERT INTO lineage_entries (workspace_id, type_id, entity_id, run_id, op, changes, changed_at) \
             SELECT $1, $4, entity_id, $5, 'u', ('{{' || changes || '}}')::json, $6 FROM d WHERE changes <> '' RETURNING 1) \
             SELECT (SELECT count(*) FROM l), (SELECT array_agg(entity_id) FROM d WHERE changes = '')",
            self.changes("$3"),
            self.present()
        )
    }

    /// The same without lines.
    pub(crate) fn count_changes(&self) -> String {
        let mut differs: Vec<String> = Vec::with_capacity(self.columns.len() + 1);
        for (at, column) in self.stage_columns() {
            let field = literal(&column.field);
            differs.push(if self.careful {
                format!(
                    "(NOT {field} = ANY(s.silent) AND (m.{}, m.extra -> {field}) IS DISTINCT FROM (s.c{at}, s.extra -> {field}))",
                    column.sql
                )
            } else {
                format!("m.{} IS DISTINCT FROM s.c{at}", column.sql)
            });
        }
        if self.careful {
            differs.push(
                "EXISTS (SELECT FROM unnest($3::text[]) k WHERE NOT k = ANY(s.silent) AND m.extra -> k IS DISTINCT FROM s.extra -> k)"
                    .into(),
            );
        }
        let differs = if differs.is_empty() { "false".into() } else { differs.join(" OR ") };
        format!(
            "WITH d AS MATERIALIZED (SELECT s.entity_id, ({differs}) AS differs FROM {}) \
             SELECT (SELECT count(*) FROM d WHERE differs), (SELECT array_agg(entity_id) FROM d WHERE NOT differs)",
            self.present()
        )
    }

    /// Records that differ in nothing but their writing or their partition: the row gets the new hash and partition alone, and the record
    /// leaves the stage. $1 workspace, $2 connection, $3 keys.
    pub(crate) fn touch(&self) -> [String; 2] {
        [
            format!(
                "UPDATE {} t SET row_hash = s.row_hash, partition_id = s.partition_id FROM {} s \
                 WHERE s.entity_id = ANY($3) AND t.workspace_id = $1 AND t.connection_no = $2 AND t.entity_id = s.entity_id",
                self.table.sql,
                self.stage()
            ),
            format!("DELETE FROM {} WHERE entity_id = ANY($1)", self.stage()),
        ]
    }

    /// Writes what is staged; answers per partition how many rows were created and updated, and their numbers where they are asked for
    /// ($6). $1 workspace, $2 connection, $3 all names (careful), $4 run that creates, $5 time.
    pub(crate) fn upsert(&self) -> String {
        let mut names =
            String::from("workspace_id, connection_no, entity_id, row_hash, partition_id, created_run, created_at, last_synced_at");
        let mut values = String::from("$1, $2, s.entity_id, s.row_hash, s.partition_id, $4, $5, $5");
        let mut sets =
            String::from("row_hash = excluded.row_hash, partition_id = excluded.partition_id, last_synced_at = excluded.last_synced_at");
        let mut from = format!("{} s", self.stage());
        for (at, column) in self.stage_columns() {
            let _ = write!(names, ", {}", column.sql);
            let _ = write!(sets, ", {0} = excluded.{0}", column.sql);
            if self.careful {
                let _ = write!(values, ", CASE WHEN {} = ANY(s.silent) THEN m.{} ELSE s.c{at} END", literal(&column.field), column.sql);
            } else {
                let _ = write!(values, ", s.c{at}");
            }
        }
        if self.careful {
            names.push_str(", extra");
            sets.push_str(", extra = excluded.extra");
            values.push_str(
                ", nullif((coalesce(m.extra, '{}') - ARRAY(SELECT k FROM unnest($3::text[]) k WHERE NOT k = ANY(s.silent))) || \
                 coalesce(s.extra, '{}'), '{}')",
            );
            let _ = write!(
                from,
                " LEFT JOIN LATERAL (SELECT * FROM {} m WHERE m.workspace_id = $1 AND m.connection_no = $2 AND m.entity_id = s.entity_id \
                 OFFSET 0) m ON true",
                self.table.sql
            );
        }
        format!(
            "WITH r AS (INSERT INTO {0} AS t ({names}) SELECT {values} FROM {from} ORDER BY s.entity_id \
             ON CONFLICT (workspace_id, connection_no, entity_id) DO UPDATE SET {sets} \
             WHERE t.row_hash IS DISTINCT FROM excluded.row_hash RETURNING partition_id, row_no, (xmax = 0) AS created) \
             SELECT partition_id, count(*) FILTER (WHERE created), count(*) FILTER (WHERE NOT created), \
             CASE WHEN $6 THEN array_agg(row_no) END FROM r GROUP BY partition_id",
            self.table.sql
        )
    }
}

/// A row as the entry texts of a line that takes it away, for managed tables under the name `m`.
pub(crate) fn gone(table: &Table) -> String {
    let mut parts: Vec<String> = Vec::with_capacity(table.columns.len() + 1);
    for column in &table.columns {
        parts.push(format!(
            "CASE WHEN m.{0} IS NOT NULL THEN {1} || to_json(m.{0})::text || ',null]' END",
            column.sql,
            entry(&column.field)
        ));
    }
    parts.push("(SELECT string_agg(to_json(key)::text || ':[' || value::text || ',null]', ',') FROM jsonb_each(m.extra))".into());
    joined(&parts)
}
