//! Fields whose values lineage keeps as hashes alone. The server hashes: the key never leaves it.

use std::collections::BTreeSet;

use sync_core::{EntityType, Target, WorkspaceId, sensitive::HidingKey};

use crate::{error::Db, tx::Tx};

/// What lines about an entity type's rows hide: its fields, in small letters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hiding(Vec<String>);

impl Hiding {
    /// What is marked by now.
    pub(crate) async fn of(tx: &mut Tx, workspace: &WorkspaceId, entity: &EntityType) -> Db<Self> {
        let find = sqlx::query_scalar("SELECT field FROM sensitive_fields WHERE workspace_id = $1 AND entity_type = $2 ORDER BY field");
        Ok(Self(find.bind(workspace.as_str()).bind(entity.as_str()).fetch_all(&mut **tx).await?))
    }

    /// What was found to be marked.
    pub(crate) fn known(fields: Vec<String>) -> Self {
        Self(fields)
    }

    /// Marks the fields that a target says are sensitive and that are not marked yet.
    pub(crate) async fn mark(mut self, tx: &mut Tx, workspace: &WorkspaceId, target: &Target) -> Db<Self> {
        let new = target.fields.iter().filter(|field| field.sensitive && !self.covers(&field.name));
        let new: Vec<String> = new.map(|field| field.name.to_ascii_lowercase()).collect();
        if new.is_empty() {
            return Ok(self);
        }
        let mut random = [0; 32];
        // Random bits of the system's, but for six fixed ones in each half.
        random[..16].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
        random[16..].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
        let made = HidingKey::new(&random);
        let (inner, outer) = made.pads();
        sqlx::query("INSERT INTO lineage_keys (workspace_id, inner_pad, outer_pad) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
            .bind(workspace.as_str())
            .bind(inner)
            .bind(outer)
            .execute(&mut **tx)
            .await?;
        sqlx::query(
            "INSERT INTO sensitive_fields (workspace_id, entity_type, field) SELECT $1, $2, f FROM unnest($3::text[]) f ON CONFLICT DO NOTHING",
        )
        .bind(workspace.as_str())
        .bind(target.entity.as_str())
        .bind(&new)
        .execute(&mut **tx)
        .await?;
        self.0.extend(new);
        Ok(self)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn covers(&self, field: &str) -> bool {
        !self.0.is_empty() && self.0.contains(&field.to_ascii_lowercase())
    }

    /// The fields, in small letters.
    pub(crate) fn fields(&self) -> &[String] {
        &self.0
    }

    pub(crate) fn into_fields(self) -> BTreeSet<Box<str>> {
        self.0.into_iter().map(Into::into).collect()
    }

    /// The text of a line in SQL as it is kept. `$1` is the workspace, and where something is hidden `$at` are the [fields](Self::fields).
    pub(crate) fn line(&self, text: &str, at: u8) -> String {
        if self.is_empty() { format!("({text})::json") } else { format!("hidden_line($1, ${at}, ({text})::json)") }
    }
}

/// What lineage keeps of values.
pub(crate) async fn hide(tx: &mut Tx, workspace: &WorkspaceId, values: &[&str]) -> Db<Vec<String>> {
    let hide = sqlx::query_scalar("SELECT hidden($1, v.v::json) FROM unnest($2::text[]) WITH ORDINALITY AS v(v, n) ORDER BY v.n");
    Ok(hide.bind(workspace.as_str()).bind(values).fetch_all(&mut **tx).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_tables_without_marks_are_written_as_they_always_were() {
        let none = Hiding::default();
        assert_eq!(none.line("'{' || u.changes || '}'", 7), "('{' || u.changes || '}')::json");
        assert!(none.is_empty() && !none.covers("mail"));
        let some = Hiding::known(vec!["mail".into()]);
        assert_eq!(some.line("l.changes", 10), "hidden_line($1, $10, (l.changes)::json)");
        assert!(some.covers("Mail") && !some.covers("mails"));
    }
}
