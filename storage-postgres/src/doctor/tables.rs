//! The schema's version and what is in it.

use sqlx::{Row as _, query};

use super::{Probe, TableFacts};
use crate::{error::Fault, schema, security};

pub(super) async fn look(probe: &mut Probe<'_>) {
    version(probe).await;
    sizes(probe).await;
}

async fn version(probe: &mut Probe<'_>) {
    let (settings, newest) = (probe.settings, schema::newest());
    let found = schema::version(probe.connection(), settings).await;
    let (name, report) = (&settings.schema, &mut probe.report);
    match found {
        Ok(present) => {
            report.version = Some(present);
            match present {
                0 => report.error(
                    "migrations",
                    format!("schema {name:?} has no tables of ours yet"),
                    "run `syncline migrate`, or open it with migrations",
                ),
                _ if present < newest => report.error(
                    "migrations",
                    format!("schema {name:?} is at migration {present}; {newest} is needed"),
                    "run `syncline migrate`, or open it with migrations",
                ),
                _ if present > newest => report.error(
                    "migrations",
                    format!("schema {name:?} is at migration {present}, made by a newer version; this one knows {newest}"),
                    "use the newer version here too",
                ),
                _ => report.ok("migrations", format!("schema {name:?} is at migration {present}, the newest")),
            }
        }
        Err(Fault::Sql(error)) if crate::error::code(&error) == Some("42501") => {
            report.error(
                "migrations",
                format!("this login may not read schema {name:?}"),
                "connect as a member of its roles, or of its owner",
            );
        }
        Err(_) => report.unseen("migrations", format!("the version of schema {name:?} could not be read")),
    }
}

async fn sizes(probe: &mut Probe<'_>) {
    let asked = query(
        "SELECT c.relname::text, c.reltuples::float8, pg_total_relation_size(c.oid), pg_indexes_size(c.oid), c.relrowsecurity, \
         c.relforcerowsecurity, coalesce((SELECT array_agg(polname::text ORDER BY polname) FROM pg_policy WHERE polrelid = c.oid), '{}') \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') ORDER BY 3 DESC, 1",
    )
    .bind(probe.settings.schema.clone());
    let Some(rows) = probe.rows("tables", "the tables' sizes", asked).await else { return };
    probe.report.tables = rows
        .iter()
        .map(|row| {
            let (table, estimate): (String, f64) = (row.get(0), row.get(1));
            let whole = |bytes: i64| u64::try_from(bytes).unwrap_or(0);
            TableFacts {
                of_tenants: !security::SHARED.contains(&table.as_str()),
                table,
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate that is not below zero")]
                rows: (estimate >= 0.0).then_some(estimate as u64),
                bytes: whole(row.get(2)),
                index_bytes: whole(row.get(3)),
                row_security: row.get(4),
                forced: row.get(5),
                policies: row.get(6),
            }
        })
        .collect();
}
