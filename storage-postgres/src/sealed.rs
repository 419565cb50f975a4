//! What is sealed, over all tenants, and the keys it is sealed with. Transactions of the fleet.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Row as _};
use sync_core::{
    Error, ErrorKind,
    store::{KnownKey, SealedField, SealedPlace, SealedValue, key_of, retired_key},
};

use crate::{error::Db, tx::Tx};

/// The table, the column of the owner, and the column of the envelope.
fn place(field: SealedField) -> (&'static str, &'static str, &'static str) {
    match field {
        SealedField::Access => ("integration_connections", "id", "credentials_encrypted"),
        SealedField::Refresh => ("integration_connections", "id", "refresh_token_encrypted"),
        SealedField::ClientSecret => ("oauth_clients", "authority", "secret_encrypted"),
        SealedField::Verifier => ("oauth_states", "nonce", "verifier_encrypted"),
    }
}

/// Values behind `after` whose envelope begins otherwise than with `header`.
pub(crate) async fn list(tx: &mut Tx, header: &[u8], after: Option<&SealedPlace>, limit: u32) -> Db<Vec<SealedValue>> {
    let mut values = Vec::new();
    for field in SealedField::ALL.into_iter().filter(|field| after.is_none_or(|after| *field >= after.field)) {
        let left = i64::from(limit) - values.len() as i64;
        let (table, owner, column) = place(field);
        let behind = after.filter(|after| after.field == field);
        let sql = format!(
            "SELECT workspace_id, {owner}, {column} FROM {table} WHERE {column} IS NOT NULL AND substring({column} from 1 for $1) <> $2 \
             AND ($3 OR (workspace_id, {owner}) > ($4, $5)) ORDER BY workspace_id, {owner} LIMIT $6"
        );
        let (workspace, last) = behind.map_or(("", ""), |after| (after.workspace.as_str(), &*after.owner));
        let found =
            sqlx::query(AssertSqlSafe(sql)).bind(header.len() as i32).bind(header).bind(behind.is_none()).bind(workspace).bind(last);
        for row in found.bind(left).fetch_all(&mut **tx).await? {
            let place = SealedPlace { field, workspace: row.try_get::<&str, _>(0)?.into(), owner: row.try_get::<&str, _>(1)?.into() };
            values.push(SealedValue { place, envelope: row.try_get(2)? });
        }
    }
    Ok(values)
}

/// How many envelopes begin with `header`.
pub(crate) async fn count(tx: &mut Tx, header: &[u8]) -> Db<u64> {
    let mut count = 0;
    for field in SealedField::ALL {
        let (table, _, column) = place(field);
        let sql = format!("SELECT count(*) FROM {table} WHERE substring({column} from 1 for $1) = $2");
        let found: i64 = sqlx::query_scalar(AssertSqlSafe(sql)).bind(header.len() as i32).bind(header).fetch_one(&mut **tx).await?;
        count += found.cast_unsigned();
    }
    Ok(count)
}

/// Waits for whoever seals with a key, or retires it, just now; until the end of the transaction retiring it waits for us. A lock on its
/// row would be the same, but tenants may not write there.
async fn turn_of_key(tx: &mut Tx, id: &str, retires: bool) -> Db<()> {
    let shared = if retires { "" } else { "_shared" };
    let sql = format!(
        "SELECT pg_advisory_xact_lock{shared}(hashtextextended(jsonb_build_array('syncline key', current_schema(), $1::text)::text, 0))"
    );
    sqlx::query(AssertSqlSafe(sql)).bind(id).execute(&mut **tx).await?;
    Ok(())
}

/// Refuses envelopes of a key that was retired, and lets none of these keys be retired before the end of the transaction. Whoever writes
/// one asks first.
pub(crate) async fn refuse_retired(tx: &mut Tx, operation: &'static str, envelopes: &[Option<&[u8]>]) -> Db<()> {
    let ids: BTreeSet<&str> = envelopes.iter().flatten().copied().filter_map(key_of).collect();
    for id in ids {
        turn_of_key(tx, id, false).await?;
        let retired = sqlx::query_scalar("SELECT EXISTS (SELECT FROM key_ring WHERE id = $1 AND retired_at IS NOT NULL)");
        if retired.bind(id).fetch_one(&mut **tx).await? {
            return Err(retired_key(operation, id).into());
        }
    }
    Ok(())
}

/// Puts another envelope in the place of one that is still there. Asked once more after its answer was lost it says the same.
pub(crate) async fn replace(tx: &mut Tx, old: &SealedValue, envelope: &[u8]) -> Db<bool> {
    refuse_retired(tx, "reseal", &[Some(envelope)]).await?;
    let (table, owner, column) = place(old.place.field);
    let sql = format!("UPDATE {table} SET {column} = $4 WHERE workspace_id = $1 AND {owner} = $2 AND {column} IN ($3, $4)");
    let changed = sqlx::query(AssertSqlSafe(sql))
        .bind(old.place.workspace.as_str())
        .bind(&*old.place.owner)
        .bind(&old.envelope)
        .bind(envelope)
        .execute(&mut **tx)
        .await?;
    Ok(changed.rows_affected() == 1)
}

/// What is known of a key, which is written down first unless it is known.
pub(crate) async fn know(tx: &mut Tx, id: &str, check: &[u8]) -> Db<KnownKey> {
    if let Some(known) = known(tx, id).await? {
        return Ok(known);
    }
    let made = sqlx::query("INSERT INTO key_ring (id, check_value) VALUES ($1, $2) ON CONFLICT DO NOTHING");
    made.bind(id).bind(check).execute(&mut **tx).await?;
    Ok(known(tx, id).await?.unwrap_or_else(|| KnownKey { id: id.into(), check: check.to_vec(), retired_at: None }))
}

async fn known(tx: &mut Tx, id: &str) -> Db<Option<KnownKey>> {
    let found = sqlx::query("SELECT check_value, retired_at FROM key_ring WHERE id = $1").bind(id).fetch_optional(&mut **tx).await?;
    let known = found.map(|row| Ok::<_, sqlx::Error>(KnownKey { id: id.into(), check: row.try_get(0)?, retired_at: row.try_get(1)? }));
    Ok(known.transpose()?)
}

/// Counts uses of a key; answers how many that makes.
pub(crate) async fn count_uses(tx: &mut Tx, id: &str, uses: u64) -> Db<u64> {
    let counted = sqlx::query_scalar("UPDATE key_ring SET uses = uses + $2 WHERE id = $1 RETURNING uses");
    let counted: Option<i64> = counted.bind(id).bind(uses.cast_signed()).fetch_optional(&mut **tx).await?;
    let unknown = || Error::new(ErrorKind::NotFound, "use_key", format!("key {id:?} was never written down here"));
    Ok(counted.ok_or_else(unknown)?.cast_unsigned())
}

/// Retires a key that nothing is sealed with.
pub(crate) async fn retire(tx: &mut Tx, id: &str, header: &[u8], at: DateTime<Utc>) -> Db<bool> {
    turn_of_key(tx, id, true).await?;
    if count(tx, header).await? > 0 {
        return Ok(false);
    }
    let retired = sqlx::query("UPDATE key_ring SET retired_at = coalesce(retired_at, $2) WHERE id = $1").bind(id).bind(at);
    Ok(retired.execute(&mut **tx).await?.rows_affected() == 1)
}
