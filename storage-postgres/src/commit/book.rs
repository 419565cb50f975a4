//! The run's own books: where values come from, cursors, counts, failures and events.

use std::sync::Arc;

use sync_core::{RunId, Source, WorkspaceId, mapping::Rule, store::PageCommit};

use super::Tally;
use crate::{
    error::{Db, damaged},
    failure, run,
    tx::Tx,
};

/// Points a run at the source its values come from, and at what decides about its changes, once. Equal ones are stored once.
pub(crate) async fn point(tx: &mut Tx, workspace: &WorkspaceId, run: RunId, source: &Arc<Source>, rule: Rule) -> Db<()> {
    let refs = serde_json::to_string(&source.refs).map_err(|_| damaged("commit", "list of source columns"))?;
    let mapping = serde_json::to_string(&source.mapping).map_err(|_| damaged("commit", "mapping"))?;
    let content = format!("{}\n{}\n{refs}", source.kind, source.id);
    let rules = format!("{rule}\n{mapping}");
    let pointed: Option<bool> = sqlx::query_scalar(
        "SELECT true FROM sync_runs r JOIN lineage_sources s ON s.workspace_id = r.workspace_id AND s.id = r.lineage_source \
         JOIN lineage_rules b ON b.workspace_id = r.workspace_id AND b.id = r.lineage_rules \
         WHERE r.workspace_id = $1 AND r.id = $2 AND s.content_hash = hashtextextended($3, 0) AND b.content_hash = hashtextextended($4, 0)",
    )
    .bind(workspace.as_str())
    .bind(run.0)
    .bind(&content)
    .bind(&rules)
    .fetch_optional(&mut **tx)
    .await?;
    if pointed.is_some() {
        return Ok(());
    }
    let id = numbered(tx, &SOURCES, workspace, &content, [&source.kind, &source.id, &refs]).await?;
    let by = numbered(tx, &RULES, workspace, &rules, [rule.as_str(), &mapping]).await?;
    sqlx::query("UPDATE sync_runs SET lineage_source = $3, lineage_rules = $4 WHERE workspace_id = $1 AND id = $2")
        .bind(workspace.as_str())
        .bind(run.0)
        .bind(id)
        .bind(by)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// A table that keeps each content once: how a content is found, and made.
struct Once {
    find: &'static str,
    make: &'static str,
}

const SOURCES: Once = Once {
    find: "SELECT id FROM lineage_sources WHERE workspace_id = $1 AND content_hash = hashtextextended($2, 0) AND kind = $3 AND source_id = $4 \
           AND refs = $5::text::jsonb",
    make: "INSERT INTO lineage_sources (workspace_id, content_hash, kind, source_id, refs) \
           VALUES ($1, hashtextextended($2, 0), $3, $4, $5::text::jsonb) RETURNING id",
};
const RULES: Once = Once {
    find: "SELECT id FROM lineage_rules WHERE workspace_id = $1 AND content_hash = hashtextextended($2, 0) AND rule = $3 \
           AND mapping = $4::text::jsonb",
    make: "INSERT INTO lineage_rules (workspace_id, content_hash, rule, mapping) VALUES ($1, hashtextextended($2, 0), $3, $4::text::jsonb) \
           RETURNING id",
};

/// The number of a content with these columns, which is made if it is new.
async fn numbered<const N: usize>(tx: &mut Tx, once: &Once, workspace: &WorkspaceId, content: &str, columns: [&str; N]) -> Db<i64> {
    let ask = |sql: &'static str| {
        let asked = sqlx::query_scalar::<_, i64>(sql).bind(workspace.as_str().to_owned()).bind(content.to_owned());
        columns.iter().fold(asked, |asked, column| asked.bind((*column).to_owned()))
    };
    match ask(once.find).fetch_optional(&mut **tx).await? {
        Some(known) => Ok(known),
        None => Ok(ask(once.make).fetch_one(&mut **tx).await?),
    }
}

/// Writes cursors, failures and events, and last of all the run's row: with it the fence holds until the transaction ends. Answers what
/// this transaction is known by.
pub(super) async fn keep(tx: &mut Tx, workspace: &WorkspaceId, commit: &PageCommit, tally: &Tally) -> Db<run::Mark> {
    point(tx, workspace, commit.fence.run, &commit.target.source, commit.target.decided_by()).await?;
    cursors(tx, workspace, commit).await?;
    let failures: Vec<_> = commit.failures.iter().chain(&tally.failures).collect();
    failure::add(tx, workspace, commit.fence.run, failures.into_iter()).await?;
    run::add_events(tx, workspace, commit.fence.run, &commit.events, commit.at).await?;
    run::hold(tx, workspace, commit.fence, &tally.counts, "commit").await
}

async fn cursors(tx: &mut Tx, workspace: &WorkspaceId, commit: &PageCommit) -> Db<()> {
    if commit.cursors.is_empty() {
        return Ok(());
    }
    // Of two positions of one partition the last one counts.
    let mut moved: Vec<_> = commit.cursors.iter().rev().collect();
    let mut partitions = std::collections::HashSet::new();
    moved.retain(|position| partitions.insert(&position.partition));
    moved.sort_by(|one, other| one.partition.as_str().cmp(other.partition.as_str()));
    let (mut names, mut versions, mut states) = (Vec::new(), Vec::new(), Vec::new());
    let (mut tokens, mut ends, mut scans) = (Vec::new(), Vec::new(), Vec::new());
    for position in moved {
        names.push(position.partition.as_str());
        versions.push(position.cursor.as_ref().map(|cursor| i32::from(cursor.version)));
        states.push(position.cursor.as_ref().map(|cursor| &*cursor.state));
        tokens.push(position.page.as_ref().map(|(token, _)| token.as_str()));
        ends.push(position.page.as_ref().map(|(_, ends)| *ends));
        scans.push(position.scan.cast_signed());
    }
    let feed = &commit.feed;
    sqlx::query(
        "INSERT INTO sync_cursors AS c (workspace_id, connection_id, stream, mapping, updated_at, gone, partition_id, cursor_version, \
         cursor_state, page_token, page_ends_at, scan) \
         SELECT $1, $2, $3, $4, $5, false, p.* FROM unnest($6::text[], $7::int[], $8::text[], $9::text[], $10::timestamptz[], $11::bigint[]) p \
         ON CONFLICT (workspace_id, connection_id, stream, mapping, partition_id) DO UPDATE SET \
         cursor_version = coalesce(excluded.cursor_version, c.cursor_version), cursor_state = coalesce(excluded.cursor_state, c.cursor_state), \
         page_token = excluded.page_token, page_ends_at = excluded.page_ends_at, scan = excluded.scan, gone = false, \
         updated_at = excluded.updated_at",
    )
    .bind(workspace.as_str())
    .bind(feed.connection.as_str())
    .bind(feed.stream.as_str())
    .bind(&*feed.mapping)
    .bind(commit.at)
    .bind(names)
    .bind(versions)
    .bind(states)
    .bind(tokens)
    .bind(ends)
    .bind(scans)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
