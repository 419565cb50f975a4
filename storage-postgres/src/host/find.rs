//! Finding a table of the host by its name, and what may be done with it.

use sqlx::Row as _;
use sync_core::{Error, WorkspaceId};

use crate::{error::Db, name::quoted, tx::Tx};

/// A table as the catalogue has it.
#[derive(Debug)]
pub(super) struct Relation {
    pub(super) oid: i64,
    pub(super) schema: String,
    pub(super) name: String,
    /// `r` table, `p` partitioned table, `v` view, `f` foreign table; and others.
    pub(super) kind: String,
    /// Whether rows can be inserted and updated.
    pub(super) writable: bool,
    pub(super) deletable: bool,
    /// Whether its rows can be locked: not those of a view that only its triggers make writable.
    pub(super) lockable: bool,
    /// Whether checks of it may wait until the transaction is committed.
    pub(super) deferrable: bool,
    /// The role that reads and writes it: the host's own.
    role: String,
    /// Privileges that the role lacks, as GRANT names them.
    lacks: Vec<&'static str>,
    /// Schemas that it may not use: of the table, and of its columns' types.
    closed: Vec<String>,
    /// Sequences of the table that it may not use, as they stand in SQL.
    sequences: Vec<String>,
}

impl Relation {
    /// The name as it stands in SQL.
    pub(super) fn sql(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.name))
    }

    /// The statements that would let the role do it.
    fn grants(&self, access: Access) -> Vec<String> {
        let role = quoted(&self.role);
        let lacks: Vec<&str> = self.lacks.iter().copied().filter(|privilege| access.needs(privilege)).collect();
        let schemas = self.closed.iter().map(|schema| format!("GRANT USAGE ON SCHEMA {} TO {role}", quoted(schema)));
        let table = (!lacks.is_empty()).then(|| format!("GRANT {} ON {} TO {role}", lacks.join(", "), self.sql()));
        let sequences = self.sequences.iter().filter(|_| access != Access::Read);
        let sequences = sequences.map(|sequence| format!("GRANT USAGE ON SEQUENCE {sequence} TO {role}"));
        schemas.chain(table).chain(sequences).collect()
    }
}

/// What is to be done with a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Its rows are looked at.
    Read,
    /// Rows are looked at and written.
    Write {
        /// And deleted.
        delete: bool,
    },
}

impl Access {
    fn needs(self, privilege: &str) -> bool {
        match privilege {
            "SELECT" => true,
            "DELETE" => self == Self::Write { delete: true },
            _ => self != Self::Read,
        }
    }
}

/// Looks a table up by schema and name.
async fn by_name(tx: &mut Tx, schema: &str, name: &str) -> Db<Option<Relation>> {
    let found = sqlx::query(
        "SELECT c.oid::bigint, c.relkind::text, pg_relation_is_updatable(c.oid, true), w.who::text, \
         array_remove(ARRAY[CASE WHEN NOT has_table_privilege(w.who, c.oid, 'SELECT') THEN 'SELECT' END, \
             CASE WHEN NOT has_table_privilege(w.who, c.oid, 'INSERT') THEN 'INSERT' END, \
             CASE WHEN NOT has_table_privilege(w.who, c.oid, 'UPDATE') THEN 'UPDATE' END, \
             CASE WHEN NOT has_table_privilege(w.who, c.oid, 'DELETE') THEN 'DELETE' END], NULL), \
         ARRAY(SELECT s.nspname::text FROM pg_namespace s WHERE NOT has_schema_privilege(w.who, s.oid, 'USAGE') AND (s.oid = n.oid OR s.oid IN ( \
             SELECT t.typnamespace FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)) ORDER BY 1), \
         ARRAY(SELECT format('%I.%I', sn.nspname, s.relname) FROM pg_depend d JOIN pg_class s ON s.oid = d.objid \
             JOIN pg_namespace sn ON sn.oid = s.relnamespace WHERE d.refclassid = 'pg_class'::regclass AND d.classid = 'pg_class'::regclass \
             AND d.refobjid = c.oid AND d.deptype = 'a' AND CASE WHEN s.relkind = 'S' THEN NOT has_sequence_privilege(w.who, s.oid, 'USAGE') END ORDER BY 1), \
         c.relkind <> 'v' OR pg_relation_is_updatable(c.oid, false) & 4 <> 0, \
         EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgdeferrable) \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         CROSS JOIN (SELECT CASE WHEN $3 THEN session_user ELSE current_user END AS who) w WHERE n.nspname = $1 AND c.relname = $2",
    )
    .bind(schema)
    .bind(name)
    .bind(tx.inner.settings.app_role().is_some())
    .fetch_optional(&mut **tx)
    .await?;
    let Some(row) = found else { return Ok(None) };
    let (can, lacks): (i32, Vec<String>) = (row.try_get(2)?, row.try_get(4)?);
    Ok(Some(Relation {
        oid: row.try_get(0)?,
        schema: schema.into(),
        name: name.into(),
        kind: row.try_get(1)?,
        // The bits are those of the server's own numbers of commands: update 2, insert 3, delete 4.
        writable: can & 0b01100 == 0b01100,
        deletable: can & 0b10000 != 0,
        lockable: row.try_get(7)?,
        deferrable: row.try_get(8)?,
        role: row.try_get(3)?,
        lacks: ["SELECT", "INSERT", "UPDATE", "DELETE"].into_iter().filter(|name| lacks.iter().any(|lack| lack == name)).collect(),
        closed: row.try_get(5)?,
        sequences: row.try_get(6)?,
    }))
}

/// Where the host's own search path finds a table.
async fn visible(tx: &mut Tx, workspace: &WorkspaceId, name: &str) -> Db<Option<String>> {
    tx.as_host().await?;
    let schema = sqlx::query_scalar(
        "SELECT n.nspname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relname = $1 AND pg_table_is_visible(c.oid)",
    )
    .bind(name)
    .fetch_optional(&mut **tx)
    .await?;
    tx.as_ours(workspace).await?;
    Ok(schema)
}

/// The parts of a name that [`Relation::sql`] made.
fn parts(sql: &str) -> Option<(String, String)> {
    let inner = sql.strip_prefix('"')?.strip_suffix('"')?;
    let plain = |part: &str| part.replace("\"\"", "\"");
    // A quote inside a part stands twice, so a single one around the dot is the border.
    let mut from = 0;
    while let Some(at) = inner[from..].find("\".\"") {
        let at = from + at;
        let before = inner[..at].bytes().rev().take_while(|byte| *byte == b'"').count();
        if before % 2 == 0 {
            return Some((plain(&inner[..at]), plain(&inner[at + 3..])));
        }
        from = at + 1;
    }
    None
}

/// Finds a table: where it was when it was registered (`known`), else as `schema.table`, else by the host's search path.
pub(super) async fn look(tx: &mut Tx, workspace: &WorkspaceId, name: &str, known: Option<&str>) -> Db<Option<Relation>> {
    if let Some((schema, table)) = known.and_then(parts)
        && let Some(found) = by_name(tx, &schema, &table).await?
    {
        return Ok(Some(found));
    }
    if let Some((schema, table)) = name.split_once('.')
        && let Some(found) = by_name(tx, schema, table).await?
    {
        return Ok(Some(found));
    }
    match visible(tx, workspace, name).await? {
        Some(schema) => by_name(tx, &schema, name).await,
        None => Ok(None),
    }
}

/// Refuses a table that is not there, and tells which there are.
pub(super) async fn missing(tx: &mut Tx, operation: &'static str, name: &str) -> Db<Error> {
    let alike: Vec<String> = sqlx::query_scalar(
        "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p', 'v', 'f') AND lower(c.relname) = lower(split_part($1, '.', -1)) ORDER BY 1 LIMIT 5",
    )
    .bind(name)
    .fetch_all(&mut **tx)
    .await?;
    let mut text = format!("there is no table {name:?} in the database");
    match alike.is_empty() {
        true if name.contains('.') => {}
        true => text.push_str(&format!(" where the connection's search path ({}) looks; name its schema, too", tx.inner.search_path)),
        false => text.push_str(&format!("; there is: {}", alike.join(", "))),
    }
    Ok(Error::config(operation, text))
}

/// Refuses what is not a table of the host's that can be written.
pub(super) fn check(relation: &Relation, operation: &'static str, ours: &str, name: &str, delete: bool) -> Db<()> {
    let refuse = |text: String| Err(Error::config(operation, text).into());
    if relation.schema == ours {
        return refuse(format!("table {name:?} is kept by Syncline, not by the host"));
    }
    if relation.schema.starts_with("pg_") || relation.schema == "information_schema" {
        return refuse(format!("table {name:?} is not the host's, but the server's own ({})", relation.schema));
    }
    match &*relation.kind {
        "r" | "p" if relation.writable => {}
        "v" | "f" if relation.writable && (relation.deletable || !delete) => {}
        "v" => {
            return refuse(format!(
                "view {name:?} cannot be written; name the table under it, or give the view INSTEAD OF triggers for INSERT, UPDATE and DELETE"
            ));
        }
        "f" => return refuse(format!("foreign table {name:?} cannot be written: its wrapper does not take INSERT and UPDATE")),
        "m" => return refuse(format!("{name:?} is a materialized view, which cannot be written; name a table")),
        _ => return refuse(format!("{name:?} is not a table")),
    }
    Ok(())
}

/// Refuses a table that the host's own role may not use so, and tells what to run.
pub(super) fn check_privileges(relation: &Relation, operation: &'static str, access: Access) -> Db<()> {
    let lacking = relation.grants(access);
    if lacking.is_empty() {
        return Ok(());
    }
    let text = format!(
        "role {:?}, which connects, may not {} table {}; as its owner, run: {};",
        relation.role,
        if access == Access::Read { "read" } else { "write" },
        relation.sql(),
        lacking.join("; ")
    );
    Err(Error::config(operation, text).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_apart_as_they_were_put_together() {
        for (schema, name) in [("public", "a"), ("a.b", "c"), ("a\"", "\"b"), ("x\".\"y", "z"), ("", "")] {
            let sql = format!("{}.{}", quoted(schema), quoted(name));
            assert_eq!(parts(&sql), Some((schema.to_owned(), name.to_owned())), "{sql}");
        }
        assert_eq!(parts("plain"), None);
    }
}
