//! Columns of the host: how a text becomes a value of theirs, and when two values are the same.

use sqlx::Row as _;

use crate::{error::Db, name::quoted, tx::Tx};

/// What matters about a column's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Text of some kind: compared letter by letter, whatever the column's own comparison takes for equal.
    Text,
    /// Whole numbers.
    Integer,
    /// Compared by the type's own equality, which takes two ways of writing one value for the same.
    Plain,
    /// `json` and `jsonb`: compared as `jsonb`.
    Json,
    /// A list; a JSON list is taken.
    Array {
        /// Whether the elements' own equality is to be trusted.
        plain: bool,
    },
    /// A row type; a JSON object is taken.
    Composite,
    /// Compared by its text.
    Other,
}

/// A column of a host's table.
#[derive(Clone, Debug)]
pub(crate) struct HostColumn {
    pub(crate) name: Box<str>,
    /// The name as it stands in SQL, quoted.
    pub(crate) sql: Box<str>,
    /// The type as it stands in a cast, without its length or precision (a cast to `varchar(5)` cuts in silence, where storing refuses);
    /// of a domain the type under it: `integer`, `character varying`, `public.mood`, `text[]`.
    pub(crate) cast: Box<str>,
    /// The same with length or precision, as the column stores it.
    pub(crate) exact: Box<str>,
    pub(crate) class: Class,
    /// The schema of a type that brings its own equality, which our search path does not find.
    equality: Option<Box<str>>,
    /// The longest text, in letters or bits.
    pub(crate) longest: Option<usize>,
    /// The domain, as refusals name it.
    pub(crate) domain: Option<Box<str>>,
    /// Computed by the database: read, never written.
    pub(crate) generated: bool,
    /// What it holds when nothing is written into it is not null.
    pub(crate) defaulted: bool,
}

/// Types whose own equality is ours: numbers, times, and what has one way of writing.
const PLAIN: &[&str] = &[
    "bool",
    "numeric",
    "float4",
    "float8",
    "date",
    "timestamp",
    "timestamptz",
    "time",
    "timetz",
    "uuid",
    "bytea",
    "oid",
    "money",
    "jsonb",
    "int2",
    "int4",
    "int8",
    "bpchar",
];

impl HostColumn {
    /// The SQL that turns a text (an expression of type `text`) into a value to be stored.
    pub(crate) fn value(&self, text: &str) -> String {
        self.converted(text, &self.cast)
    }

    /// The SQL that turns a text into a value as the column stores it, with its length or precision.
    pub(crate) fn stored(&self, text: &str) -> String {
        self.converted(text, &self.exact)
    }

    fn converted(&self, text: &str, cast: &str) -> String {
        match self.class {
            Class::Composite => {
                format!("CASE WHEN left({text}, 1) = '{{' THEN jsonb_populate_record(NULL::{cast}, {text}::jsonb) ELSE {text}::{cast} END")
            }
            _ => format!("{text}::{cast}"),
        }
    }

    /// The SQL that says whether a column (`alias` with a dot before it) holds what storing this text would make of it.
    pub(crate) fn same(&self, alias: &str, text: &str) -> String {
        let column = format!("{alias}{}", self.sql);
        match self.class {
            Class::Text => format!("{column}::text COLLATE \"C\" IS NOT DISTINCT FROM {text} COLLATE \"C\""),
            Class::Integer | Class::Plain | Class::Array { plain: true } => {
                format!("{column} IS NOT DISTINCT FROM {}", self.converted(text, &self.exact))
            }
            Class::Json => format!("{column}::jsonb IS NOT DISTINCT FROM {text}::jsonb"),
            Class::Array { plain: false } | Class::Composite | Class::Other => {
                format!("{column}::text COLLATE \"C\" IS NOT DISTINCT FROM ({})::text COLLATE \"C\"", self.converted(text, &self.exact))
            }
        }
    }

    /// The SQL of the condition that the column holds the value a part of a key stands for; by the column's own equality, so that its
    /// indexes serve.
    pub(crate) fn is_key(&self, alias: &str, text: &str) -> String {
        let cast = if self.class == Class::Text { &self.cast } else { &self.exact };
        let equals = self.equality.as_ref().map_or_else(|| "=".into(), |schema| format!("OPERATOR({}.=)", quoted(schema)));
        format!("{alias}{} {equals} {}", self.sql, self.converted(text, cast))
    }
}

/// The columns of a table in their order. Types are named so that our search path finds them.
pub(super) async fn read(tx: &mut Tx, table: i64) -> Db<Vec<HostColumn>> {
    let found = sqlx::query(
        "SELECT a.attname::text, format_type(b.typ, -1), format_type(b.typ, b.typmod), b.typmod, t.typname::text, t.typtype::text, \
         t.typcategory::text, coalesce(e.typname::text, ''), CASE WHEN a.atttypid <> b.typ THEN format_type(a.atttypid, -1) END, \
         a.attgenerated <> '' OR a.attidentity = 'a' OR (c.relkind = 'v' AND pg_relation_is_updatable(c.oid, false) & 4 <> 0 AND NOT pg_column_is_updatable(c.oid, a.attnum, false)), \
         a.atthasdef OR a.attidentity <> '' OR own.typdefault IS NOT NULL OR c.relkind IN ('v', 'f'), \
         CASE WHEN t.typtype = 'b' AND t.typcategory <> 'A' THEN (SELECT s.nspname::text FROM pg_namespace s WHERE s.oid = t.typnamespace \
             AND s.nspname <> 'pg_catalog') END \
         FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
         JOIN pg_type own ON own.oid = a.atttypid \
         CROSS JOIN LATERAL (WITH RECURSIVE under(typ, typmod, depth) AS (SELECT a.atttypid, a.atttypmod, 0 \
             UNION ALL SELECT d.typbasetype, d.typtypmod, depth + 1 FROM under JOIN pg_type d ON d.oid = under.typ WHERE d.typtype = 'd') \
             SELECT typ, typmod FROM under ORDER BY depth DESC LIMIT 1) b \
         JOIN pg_type t ON t.oid = b.typ LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A' \
         WHERE c.oid = $1::oid ORDER BY a.attnum",
    )
    .bind(table)
    .fetch_all(&mut **tx)
    .await?;
    let mut columns = Vec::with_capacity(found.len());
    for row in found {
        let (name, typmod): (String, i32) = (row.try_get(0)?, row.try_get(3)?);
        let (typname, typtype, category): (String, String, String) = (row.try_get(4)?, row.try_get(5)?, row.try_get(6)?);
        let element: String = row.try_get(7)?;
        let class = class(&typname, &typtype, &category, &element);
        columns.push(HostColumn {
            sql: quoted(&name).into(),
            name: name.into(),
            cast: row.try_get::<String, _>(1)?.into(),
            exact: row.try_get::<String, _>(2)?.into(),
            class,
            equality: row.try_get::<Option<String>, _>(11)?.map(Into::into),
            longest: match &*typname {
                "varchar" | "bpchar" => usize::try_from(typmod - 4).ok(),
                "bit" | "varbit" => usize::try_from(typmod).ok().filter(|longest| *longest > 0),
                _ => None,
            },
            domain: row.try_get::<Option<String>, _>(8)?.map(Into::into),
            generated: row.try_get(9)?,
            defaulted: row.try_get(10)?,
        });
    }
    Ok(columns)
}

fn class(name: &str, kind: &str, category: &str, element: &str) -> Class {
    match (name, kind, category) {
        ("int2" | "int4" | "int8", ..) => Class::Integer,
        ("json" | "jsonb", ..) => Class::Json,
        (_, "c", _) => Class::Composite,
        (_, _, "A") => Class::Array { plain: PLAIN.contains(&element) },
        (name, ..) if PLAIN.contains(&name) => Class::Plain,
        (_, _, "S") => Class::Text,
        _ => Class::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_classed_by_what_equality_means_for_them() {
        for (name, kind, category, element, expected) in [
            ("int4", "b", "N", "", Class::Integer),
            ("numeric", "b", "N", "", Class::Plain),
            ("varchar", "b", "S", "", Class::Text),
            ("citext", "b", "S", "", Class::Text),
            ("bpchar", "b", "S", "", Class::Plain),
            ("interval", "b", "T", "", Class::Other),
            ("timestamptz", "b", "D", "", Class::Plain),
            ("json", "b", "U", "", Class::Json),
            ("mood", "e", "E", "", Class::Other),
            ("_text", "b", "A", "text", Class::Array { plain: false }),
            ("_int4", "b", "A", "int4", Class::Array { plain: true }),
            ("address", "c", "C", "", Class::Composite),
        ] {
            assert_eq!(class(name, kind, category, element), expected, "{name}");
        }
    }
}
