//! What is sealed, over all workspaces, and the keys it is sealed with.

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension as _, Transaction};
use sync_core::{
    Error, ErrorKind,
    store::{KnownKey, SealedField, SealedPlace, SealedValue, key_of, retired_key},
};

use crate::{error::Db, time};

/// The table, the column of the owner, and the column of the envelope.
fn place(field: SealedField) -> (&'static str, &'static str, &'static str) {
    match field {
        SealedField::Access => ("syncline_integration_connections", "id", "credentials_encrypted"),
        SealedField::Refresh => ("syncline_integration_connections", "id", "refresh_token_encrypted"),
        SealedField::ClientSecret => ("syncline_oauth_clients", "authority", "secret_encrypted"),
        SealedField::Verifier => ("syncline_oauth_states", "nonce", "verifier_encrypted"),
    }
}

/// Values behind `after` whose envelope begins otherwise than with `header`.
pub(crate) fn list(tx: &Transaction<'_>, header: &[u8], after: Option<&SealedPlace>, limit: u32) -> Db<Vec<SealedValue>> {
    let mut values = Vec::new();
    for field in SealedField::ALL.into_iter().filter(|field| after.is_none_or(|after| *field >= after.field)) {
        let left = limit.saturating_sub(values.len() as u32);
        let (table, owner, column) = place(field);
        let behind = after.filter(|after| after.field == field);
        let mut found = tx.prepare_cached(&format!(
            "SELECT workspace_id, {owner}, {column} FROM {table} WHERE {column} IS NOT NULL AND substr({column}, 1, ?1) <> ?2 \
             AND (?3 OR (workspace_id, {owner}) > (?4, ?5)) ORDER BY workspace_id, {owner} LIMIT ?6"
        ))?;
        let (workspace, last) = behind.map_or(("", ""), |after| (after.workspace.as_str(), &*after.owner));
        let mut rows = found.query((header.len() as i64, header, behind.is_none(), workspace, last, left))?;
        while let Some(row) = rows.next()? {
            let place = SealedPlace { field, workspace: row.get_ref(0)?.as_str()?.into(), owner: row.get_ref(1)?.as_str()?.into() };
            values.push(SealedValue { place, envelope: row.get(2)? });
        }
    }
    Ok(values)
}

/// How many envelopes begin with `header`.
pub(crate) fn count(tx: &Transaction<'_>, header: &[u8]) -> Db<u64> {
    let mut count = 0;
    for field in SealedField::ALL {
        let (table, _, column) = place(field);
        let sql = format!("SELECT count(*) FROM {table} WHERE substr({column}, 1, ?1) = ?2");
        count += tx.prepare_cached(&sql)?.query_row((header.len() as i64, header), |row| row.get::<_, i64>(0))?.cast_unsigned();
    }
    Ok(count)
}

/// Refuses envelopes of a key that was retired. Whoever writes one asks first, in the same transaction.
pub(crate) fn refuse_retired(tx: &Transaction<'_>, operation: &'static str, envelopes: &[Option<&[u8]>]) -> Db<()> {
    for id in envelopes.iter().flatten().copied().filter_map(key_of) {
        let sql = "SELECT 1 FROM syncline_key_ring WHERE id = ?1 AND retired_at IS NOT NULL";
        if tx.prepare_cached(sql)?.exists([id])? {
            return Err(retired_key(operation, id).into());
        }
    }
    Ok(())
}

/// Puts another envelope in the place of one that is still there.
pub(crate) fn replace(tx: &Transaction<'_>, old: &SealedValue, envelope: &[u8]) -> Db<bool> {
    refuse_retired(tx, "reseal", &[Some(envelope)])?;
    let (table, owner, column) = place(old.place.field);
    let sql = format!("UPDATE {table} SET {column} = ?4 WHERE workspace_id = ?1 AND {owner} = ?2 AND {column} = ?3");
    let changed = tx.prepare_cached(&sql)?.execute((old.place.workspace.as_str(), &*old.place.owner, &old.envelope, envelope))?;
    Ok(changed == 1)
}

/// What is known of a key.
pub(crate) fn known(tx: &Transaction<'_>, id: &str) -> Db<Option<KnownKey>> {
    let mut found = tx.prepare_cached("SELECT check_value, retired_at FROM syncline_key_ring WHERE id = ?1")?;
    let known = found.query_row([id], |row| Ok(KnownKey { id: id.into(), check: row.get(0)?, retired_at: time::optional(row, 1)? }));
    Ok(known.optional()?)
}

/// Writes down a key, unless its id is known.
pub(crate) fn know(tx: &Transaction<'_>, id: &str, check: &[u8]) -> Db<()> {
    tx.prepare_cached("INSERT INTO syncline_key_ring (id, check_value) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?.execute((id, check))?;
    Ok(())
}

/// Counts uses of a key; answers how many that makes.
pub(crate) fn count_uses(tx: &Transaction<'_>, id: &str, uses: u64) -> Db<u64> {
    let sql = "UPDATE syncline_key_ring SET uses = uses + ?2 WHERE id = ?1 RETURNING uses";
    let counted = tx.prepare_cached(sql)?.query_row((id, uses.cast_signed()), |row| row.get::<_, i64>(0)).optional()?;
    counted.map(i64::cast_unsigned).ok_or_else(|| unknown_key(id).into())
}

fn unknown_key(id: &str) -> Error {
    Error::new(ErrorKind::NotFound, "use_key", format!("key {id:?} was never written down here"))
}

/// Retires a key that nothing is sealed with.
pub(crate) fn retire(tx: &Transaction<'_>, id: &str, header: &[u8], at: DateTime<Utc>) -> Db<bool> {
    if count(tx, header)? > 0 {
        return Ok(false);
    }
    let sql = "UPDATE syncline_key_ring SET retired_at = coalesce(retired_at, ?2) WHERE id = ?1";
    Ok(tx.prepare_cached(sql)?.execute((id, time::text(at)))? == 1)
}
