//! The statements a stream's table is written with. Their texts depend on the table and on which of its columns are written, never on
//! values or on how many rows there are.

use std::fmt::Write as _;

use sync_core::Result;
use twox_hash::XxHash3_64;

use crate::{
    commit::lines::{joined, pair, rendered},
    hiding::Hiding,
    name::literal,
    table::{Column, Table},
};

/// Of the staging table, beside the columns of fields.
///
/// `kind` is one of [`NEW`], [`WHOLE`], [`PARTIAL`] and [`FILLED`]; `has` says which columns a partial record has a cell for, a bit for
/// each; `named` lists its fields where the stored row keeps some in `extra`.
const OWN: &str =
    "n integer, kind smallint, entity_id text COLLATE \"C\", row_hash bigint, partition_id text, has bytea, named text[], extra jsonb";

/// A record without a row.
pub(super) const NEW: i16 = 0;
/// A record that says everything its row has, where the row keeps nothing in `extra`.
pub(super) const WHOLE: i16 = 1;
/// A record of a row it does not say everything of.
pub(super) const PARTIAL: i16 = 2;
/// One that was completed with what its row has.
pub(super) const FILLED: i16 = 3;

/// What the names of an entity type's staging tables begin with; types of other schemas have others.
pub(super) fn stages(table: &Table) -> String {
    format!("syncline_stage_{:x}_{}_", XxHash3_64::oneshot(table.schema.as_bytes()), table.id)
}

/// The staging table's name in SQL. It tells the kinds of its columns: a schema may be made anew while the session lives.
pub(super) fn stage(table: &Table) -> String {
    let kinds: Vec<u8> = table.columns.iter().flat_map(|column| column.form.sql().bytes().chain([b' '])).collect();
    format!("pg_temp.{}{:x}", stages(table), XxHash3_64::oneshot(&kinds) as u32)
}

pub(super) fn make_stage(table: &Table, pooler: bool) -> String {
    let columns: String = table.columns.iter().enumerate().map(|(at, column)| format!(", c{at} {}", column.form.sql())).collect();
    let after = if pooler { "DROP" } else { "DELETE ROWS" };
    format!("CREATE TEMP TABLE {} ({OWN}{columns}) ON COMMIT {after}", stage(table).trim_start_matches("pg_temp."))
}

/// The rows of a table with certain keys.
const KEY: &str = "m.workspace_id = $1 AND m.connection_no = $2";

/// What is known of the rows with these keys: place in the list, number, hash, whether something is in `extra`.
pub(super) fn find(table: &Table) -> String {
    format!(
        "SELECT k.n, m.row_no, m.row_hash, m.beyond FROM unnest($3::text[]) WITH ORDINALITY k(id, n) CROSS JOIN LATERAL \
         (SELECT row_no, row_hash, extra IS NOT NULL AS beyond FROM {} m WHERE {KEY} AND m.entity_id = k.id OFFSET 0) m",
        table.sql
    )
}

/// Some columns of a table, and what is done with them.
pub(super) struct Statements<'a> {
    pub(super) table: &'a Table,
    /// The columns that records have cells of, by their places in the table; `c` with the place is the column's name in staging.
    pub(super) columns: Vec<(usize, &'a Column)>,
    /// Whether values stand in `extra`, or records are partial; then `columns` are all there are.
    pub(super) beyond: bool,
}

impl Statements<'_> {
    fn list(&self, each: impl Fn(usize, &Column) -> String) -> String {
        self.columns.iter().map(|(at, column)| format!(", {}", each(*at, column))).collect()
    }

    pub(super) fn copy(&self) -> String {
        let columns = self.list(|at, _| format!("c{at}"));
        format!(
            "COPY {} (n, entity_id, row_hash, partition_id{columns}, extra, has, named, kind) FROM STDIN (FORMAT binary)",
            stage(self.table)
        )
    }

    /// The staged records of these kinds, each with its row and the place of it; `lock` is `OFFSET 0` for none.
    fn staged_with_rows(&self, kinds: &str, and: &str, lock: &str) -> String {
        format!(
            "{} s CROSS JOIN LATERAL (SELECT m.ctid AS place, m.* FROM {} m WHERE {KEY} AND m.entity_id = s.entity_id{and} {lock}) m WHERE s.kind IN ({kinds})",
            stage(self.table),
            self.table.sql
        )
    }

    /// Completes partial records from their rows. `$1` workspace, `$2` connection.
    pub(super) fn fill(&self) -> String {
        let names = self.list(|at, _| format!("c{at}"));
        let values = self.list(|at, column| format!("CASE WHEN get_bit(s.has, {at}) = 1 THEN s.c{at} ELSE m.{} END", column.sql));
        // What a record does not name stays in `extra`. Where the list of names was not sent there was nothing to stay.
        format!(
            "INSERT INTO {} (n, kind, entity_id, row_hash, partition_id, extra{names}) \
             SELECT s.n, {FILLED}, s.entity_id, s.row_hash, s.partition_id, \
             nullif(coalesce(m.extra - s.named, '{{}}') || coalesce(s.extra, '{{}}'), '{{}}'){values} FROM {}",
            stage(self.table),
            self.staged_with_rows(&PARTIAL.to_string(), " AND (m.extra IS NULL OR s.named IS NOT NULL)", "FOR UPDATE")
        )
    }

    /// Whether record `s` and row `m` differ.
    fn differs(&self) -> String {
        let mut terms: Vec<String> = self.columns.iter().map(|(at, column)| format!("m.{} IS DISTINCT FROM s.c{at}", column.sql)).collect();
        if self.beyond {
            terms.push("m.extra IS DISTINCT FROM s.extra".to_owned());
        }
        if terms.is_empty() { "false".to_owned() } else { format!("({})", terms.join(" OR ")) }
    }

    /// The fields in which record `s` and row `m` differ, as the inside of a JSON object, empty where they do not.
    fn changes(&self) -> Result<String> {
        let mut terms = Vec::with_capacity(self.columns.len() + 1);
        for (at, column) in &self.columns {
            let name = pair(&column.field)?;
            let (mut old, mut new) = (rendered(&format!("m.{}", column.sql), column.form), rendered(&format!("s.c{at}"), column.form));
            let mut differs = format!("m.{} IS DISTINCT FROM s.c{at}", column.sql);
            if self.beyond {
                let field = literal(&column.field)?;
                let _ = write!(differs, " OR (m.extra -> {field}) IS DISTINCT FROM (s.extra -> {field})");
                old = format!("{old}, (m.extra -> {field})::text");
                new = format!("{new}, (s.extra -> {field})::text");
            }
            terms.push(format!("CASE WHEN {differs} THEN {name} || coalesce({old}, 'null') || ',' || coalesce({new}, 'null') || ']' END"));
        }
        if self.beyond {
            terms.push(
                "CASE WHEN m.extra IS DISTINCT FROM s.extra THEN (SELECT string_agg(to_json(k.k)::text || ':[' || \
                 coalesce((m.extra -> k.k)::text, 'null') || ',' || coalesce((s.extra -> k.k)::text, 'null') || ']', ',' ORDER BY k.k) \
                 FROM (SELECT jsonb_object_keys(coalesce(m.extra, '{}')) UNION SELECT jsonb_object_keys(coalesce(s.extra, '{}'))) k(k) \
                 WHERE NOT ($3::jsonb ? k.k) AND (m.extra -> k.k) IS DISTINCT FROM (s.extra -> k.k)) END"
                    .to_owned(),
            );
        }
        Ok(joined(&terms))
    }

    /// The staged records that have rows, compared with these.
    fn compared(&self, lock: &str) -> String {
        // A row that was found without anything in `extra` and has something now was written by somebody else: it is not counted here.
        let and = if self.beyond { "" } else { " AND m.extra IS NULL" };
        self.staged_with_rows(&format!("{WHOLE}, {FILLED}"), and, lock)
    }

    /// The changes one by one, for a preview. `$1` workspace, `$2` connection, `$3` fields that have columns.
    pub(super) fn shown(&self) -> Result<String> {
        Ok(format!("SELECT s.n, '{{' || {} || '}}', $3::jsonb IS NULL FROM {}", self.changes()?, self.compared("FOR UPDATE")))
    }

    /// Makes the rows of new records, and answers how many, with their numbers, by partition; one that is there by now is not counted.
    /// `$1` workspace, `$2` connection, `$3` run, `$4` time.
    pub(super) fn insert(&self) -> String {
        let (table, stage) = (&self.table.sql, stage(self.table));
        let columns = self.list(|_, column| column.sql.to_string());
        let values = self.list(|at, _| format!("s.c{at}"));
        format!(
            "WITH r AS (INSERT INTO {table} AS m (workspace_id, connection_no, entity_id, row_hash, partition_id, created_run, created_at, \
             last_synced_at, extra{columns}) SELECT $1, $2, s.entity_id, s.row_hash, s.partition_id, $3, $4, $4, s.extra{values} FROM {stage} s \
             WHERE s.kind = {NEW} ON CONFLICT (workspace_id, connection_no, entity_id) DO NOTHING RETURNING m.row_no, m.partition_id) \
             SELECT partition_id, count(*), array_agg(row_no) FROM r GROUP BY partition_id"
        )
    }

    /// Changes the rows of records that say something new, with a line of lineage for each where lines are `told`; answers how many.
    /// `$1` workspace, `$2` connection, `$3` fields that have columns, `$4` time, and for lines `$5` type, `$6` run, `$7` fields to hide where
    /// there are some.
    ///
    /// Each row is found by its key, compared, and met again by its place. A row that somebody else wrote between the two is at another
    /// place by then and is not counted: so the line's old value is the one that was replaced, without a lock on rows that stay.
    pub(super) fn update(&self, told: Option<&Hiding>) -> Result<String> {
        let table = &self.table.sql;
        let values = self.list(|at, _| format!("s.c{at}"));
        let sets = self.list(|at, column| format!("{} = k.c{at}", column.sql));
        let changes = if told.is_some() { format!("{} AS changes", self.changes()?) } else { format!("{} AS differs", self.differs()) };
        let (only, back) = if told.is_some() { ("k.changes <> ''", "k.entity_id, k.changes") } else { ("k.differs", "1") };
        let lines = told.map_or_else(String::new, |hiding| {
            format!(
                ", l AS (INSERT INTO lineage_entries (workspace_id, type_id, entity_id, run_id, op, changes, changed_at) \
                 SELECT $1, $5, u.entity_id, $6, 'u', {}, $4 FROM u)",
                hiding.line("'{' || u.changes || '}'", 7)
            )
        });
        Ok(format!(
            "WITH u AS (UPDATE {table} t SET row_hash = k.row_hash, partition_id = k.partition_id, last_synced_at = $4, extra = k.extra{sets} \
             FROM (SELECT s.entity_id, s.row_hash, s.partition_id, s.extra{values}, m.place, {changes} FROM {} OFFSET 0) k \
             WHERE t.ctid = k.place AND {only} RETURNING {back}){lines} SELECT count(*), $3::jsonb IS NULL FROM u",
            self.compared("OFFSET 0")
        ))
    }

    /// Gives the rows of records that say nothing new their present hash and partition; answers the records. To be called behind
    /// [`update`](Self::update). `$1` workspace, `$2` connection.
    pub(super) fn rehash(&self) -> String {
        format!(
            "UPDATE {} t SET row_hash = k.row_hash, partition_id = k.partition_id \
             FROM (SELECT s.n, s.row_hash, s.partition_id, m.place FROM {} AND m.row_hash IS DISTINCT FROM s.row_hash AND NOT {}) k \
             WHERE t.ctid = k.place RETURNING k.n",
            self.table.sql,
            self.compared("OFFSET 0"),
            self.differs()
        )
    }
}
