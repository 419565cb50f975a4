//! Which records of a feed stand behind which entities.

use std::collections::HashMap;

use sync_core::{
    PartitionId, WorkspaceId,
    store::{Feed, Gone},
};

use crate::{error::Db, tx::Tx};

/// A feed's links to one entity type.
#[derive(Clone, Copy, Debug)]
pub(super) struct Links<'a> {
    pub(super) workspace: &'a WorkspaceId,
    pub(super) feed: &'a Feed,
    pub(super) type_id: i64,
}

/// A record and the entity it is linked to, in a partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<'a> {
    pub(super) id: &'a str,
    pub(super) key: &'a str,
    pub(super) partition: &'a PartitionId,
}

/// The longest entry of an index, in bytes, without what it takes beside the texts.
const LONGEST_ENTRY: usize = 2704 - 104;

impl Links<'_> {
    /// How long, in bytes, a record's id and its key may be together for the link to fit its index.
    pub(super) fn room(&self) -> usize {
        let own = [self.workspace.as_str(), self.feed.connection.as_str(), self.feed.stream.as_str(), &self.feed.mapping];
        LONGEST_ENTRY.saturating_sub(own.iter().map(|text| text.len()).sum())
    }

    /// How long, in bytes, a key and the name of a field may be together for what this feed says of the field to fit its index.
    pub(super) fn room_of_field(&self) -> usize {
        let own = [self.workspace.as_str(), self.feed.connection.as_str(), &self.feed.mapping];
        LONGEST_ENTRY.saturating_sub(own.iter().map(|text| text.len()).sum())
    }

    /// The links of records to entities, each brought to its partition.
    pub(super) async fn find(&self, tx: &mut Tx, pairs: &[Pair<'_>]) -> Db<Vec<Option<i64>>> {
        let mut links = vec![None; pairs.len()];
        let found: Vec<(i64, i64, bool)> = sqlx::query_as(
            "SELECT k.n, l.id, l.partition_id <> k.partition FROM unnest($6::text[], $7::text[], $8::text[]) WITH ORDINALITY \
             AS k(id, key, partition, n) CROSS JOIN LATERAL (SELECT r.id, r.partition_id FROM record_links r WHERE r.workspace_id = $1 \
             AND r.connection_id = $2 AND r.stream = $3 AND r.mapping = $4 AND r.type_id = $5 AND r.external_id = k.id \
             AND r.entity_id = k.key OFFSET 0) l",
        )
        .bind(self.workspace.as_str())
        .bind(self.feed.connection.as_str())
        .bind(self.feed.stream.as_str())
        .bind(&*self.feed.mapping)
        .bind(self.type_id)
        .bind(pairs.iter().map(|pair| pair.id).collect::<Vec<_>>())
        .bind(pairs.iter().map(|pair| pair.key).collect::<Vec<_>>())
        .bind(pairs.iter().map(|pair| pair.partition.as_str()).collect::<Vec<_>>())
        .fetch_all(&mut **tx)
        .await?;
        let mut moved: (Vec<i64>, Vec<&str>) = (Vec::new(), Vec::new());
        for (n, link, elsewhere) in found {
            let at = n as usize - 1;
            links[at] = Some(link);
            if elsewhere {
                moved.0.push(link);
                moved.1.push(pairs[at].partition.as_str());
            }
        }
        if !moved.0.is_empty() {
            // By the place of the row: joined by number, a plan made for few rows could read all links again for each of many.
            sqlx::query(
                "UPDATE record_links r SET partition_id = k.partition FROM (SELECT k.partition, l.ctid AS at \
                 FROM unnest($2::bigint[], $3::text[]) AS k(id, partition) CROSS JOIN LATERAL (SELECT r.ctid FROM record_links r \
                 WHERE r.workspace_id = $1 AND r.id = k.id FOR UPDATE) l OFFSET 0) k WHERE r.ctid = k.at",
            )
            .bind(self.workspace.as_str())
            .bind(&moved.0)
            .bind(&moved.1)
            .execute(&mut **tx)
            .await?;
        }
        Ok(links)
    }

    /// Links records to entities; answers the numbers of the links by the entities' keys, of which there are no two.
    pub(super) async fn make(&self, tx: &mut Tx, pairs: &[Pair<'_>]) -> Db<HashMap<String, i64>> {
        if pairs.is_empty() {
            return Ok(HashMap::new());
        }
        let made: Vec<(String, i64)> = sqlx::query_as(
            "INSERT INTO record_links (workspace_id, connection_id, stream, mapping, type_id, partition_id, external_id, entity_id) \
             SELECT $1, $2, $3, $4, $5, k.partition, k.id, k.key FROM unnest($6::text[], $7::text[], $8::text[]) WITH ORDINALITY \
             AS k(id, key, partition, n) ORDER BY k.n \
             ON CONFLICT (workspace_id, connection_id, stream, mapping, external_id, type_id, entity_id) DO NOTHING RETURNING entity_id, id",
        )
        .bind(self.workspace.as_str())
        .bind(self.feed.connection.as_str())
        .bind(self.feed.stream.as_str())
        .bind(&*self.feed.mapping)
        .bind(self.type_id)
        .bind(pairs.iter().map(|pair| pair.id).collect::<Vec<_>>())
        .bind(pairs.iter().map(|pair| pair.key).collect::<Vec<_>>())
        .bind(pairs.iter().map(|pair| pair.partition.as_str()).collect::<Vec<_>>())
        .fetch_all(&mut **tx)
        .await?;
        Ok(made.into_iter().collect())
    }

    /// The links of records: the place of the id among `ids`, the link, the entity's key. A record has two where its key field changed,
    /// until a scan proves one gone.
    pub(super) async fn of(&self, tx: &mut Tx, ids: &[&str]) -> Db<Vec<(usize, i64, Box<str>)>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let found: Vec<(i64, i64, String)> = sqlx::query_as(
            "SELECT k.n, l.id, l.entity_id FROM unnest($6::text[]) WITH ORDINALITY AS k(id, n) \
             CROSS JOIN LATERAL (SELECT r.id, r.entity_id FROM record_links r WHERE r.workspace_id = $1 AND r.connection_id = $2 \
             AND r.stream = $3 AND r.mapping = $4 AND r.type_id = $5 AND r.external_id = k.id OFFSET 0) l ORDER BY k.n, l.id",
        )
        .bind(self.workspace.as_str())
        .bind(self.feed.connection.as_str())
        .bind(self.feed.stream.as_str())
        .bind(&*self.feed.mapping)
        .bind(self.type_id)
        .bind(ids)
        .fetch_all(&mut **tx)
        .await?;
        Ok(found.into_iter().map(|(n, link, key)| (n as usize - 1, link, key.into())).collect())
    }

    /// The links this feed has to entities: the place of the key among `keys`, and the link.
    pub(super) async fn to(&self, tx: &mut Tx, keys: &[&str]) -> Db<Vec<(usize, i64)>> {
        let found: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT k.n, l.id FROM unnest($6::text[]) WITH ORDINALITY AS k(key, n) \
             CROSS JOIN LATERAL (SELECT r.id FROM record_links r WHERE r.workspace_id = $1 AND r.type_id = $5 \
             AND r.entity_id = k.key AND r.connection_id = $2 AND r.stream = $3 AND r.mapping = $4 OFFSET 0) l",
        )
        .bind(self.workspace.as_str())
        .bind(self.feed.connection.as_str())
        .bind(self.feed.stream.as_str())
        .bind(&*self.feed.mapping)
        .bind(self.type_id)
        .bind(keys)
        .fetch_all(&mut **tx)
        .await?;
        Ok(found.into_iter().map(|(n, link)| (n as usize - 1, link)).collect())
    }

    /// Takes links away; answers them.
    pub(super) async fn remove(&self, tx: &mut Tx, links: &[i64]) -> Db<Vec<Gone>> {
        let gone: Vec<(String, String, String)> = sqlx::query_as(
            "DELETE FROM record_links r USING (SELECT l.ctid AS at FROM unnest($2::bigint[]) AS k(id) CROSS JOIN LATERAL \
             (SELECT r.ctid FROM record_links r WHERE r.workspace_id = $1 AND r.id = k.id FOR UPDATE) l OFFSET 0) k \
             WHERE r.ctid = k.at RETURNING r.entity_id, r.external_id, r.partition_id",
        )
        .bind(self.workspace.as_str())
        .bind(links)
        .fetch_all(&mut **tx)
        .await?;
        let gone = gone.into_iter();
        Ok(gone
            .map(|(entity, record, partition)| Gone { entity: entity.into(), record: record.into(), partition: partition.into() })
            .collect())
    }

    /// Takes all links to entities away, whatever feed they are of.
    pub(super) async fn remove_all(&self, tx: &mut Tx, keys: &[&str]) -> Db<()> {
        sqlx::query(
            "DELETE FROM record_links r USING (SELECT l.ctid AS at FROM unnest($3::text[]) AS k(key) CROSS JOIN LATERAL \
             (SELECT r.ctid FROM record_links r WHERE r.workspace_id = $1 AND r.type_id = $2 AND r.entity_id = k.key FOR UPDATE) l OFFSET 0) k \
             WHERE r.ctid = k.at",
        )
        .bind(self.workspace.as_str())
        .bind(self.type_id)
        .bind(keys)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// Which of these entities a record of any feed stands behind.
    pub(super) async fn linked(&self, tx: &mut Tx, keys: &[&str]) -> Db<Vec<bool>> {
        let found: Vec<i64> = sqlx::query_scalar(
            "SELECT k.n FROM unnest($3::text[]) WITH ORDINALITY AS k(key, n) CROSS JOIN LATERAL (SELECT 1 FROM record_links r \
             WHERE r.workspace_id = $1 AND r.type_id = $2 AND r.entity_id = k.key LIMIT 1) l",
        )
        .bind(self.workspace.as_str())
        .bind(self.type_id)
        .bind(keys)
        .fetch_all(&mut **tx)
        .await?;
        let mut linked = vec![false; keys.len()];
        for n in found {
            linked[n as usize - 1] = true;
        }
        Ok(linked)
    }
}
