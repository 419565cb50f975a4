//! What is kept beside fields.

use syncline::core::{EntityType, Result, async_trait, mapping::FieldOwner, store::*};

use super::{Store, note};
use crate::harm::Harm;

#[async_trait]
impl ConflictStore for Store {
    async fn reference_values(&self, entity: &EntityType, key: &str) -> Result<Vec<ReferenceValue>> {
        let mut values = self.to("reference_values").reference_values(entity, key).await?;
        harm!(self, References, &mut values);
        if let Harm::NeverForgetsReferences = self.harm {
            let mut notes = note(&self.notes);
            let kept = notes.references.entry((self.workspace.clone(), key.into())).or_default();
            kept.retain(|kept| !values.iter().any(|value| (&value.field, &value.source) == (&kept.field, &kept.source)));
            values.append(&mut kept.clone());
            kept.clone_from(&values);
        }
        Ok(values)
    }

    async fn field_owners(&self, entity: &EntityType, key: &str) -> Result<Vec<(Box<str>, FieldOwner)>> {
        let mut owners = self.to("field_owners").field_owners(entity, key).await?;
        harm!(self, Owners, &mut owners);
        Ok(owners)
    }

    async fn conflicts(&self, mut filter: ConflictFilter) -> Result<Vec<Conflict>> {
        harm!(self, ConflictFilter, &mut filter);
        let mut conflicts = self.to("conflicts").conflicts(filter).await?;
        harm!(self, Conflicts, &mut conflicts);
        Ok(conflicts)
    }

    async fn settle_conflicts(&self, mut settle: SettleConflicts) -> Result<u64> {
        harm!(self, Deciding, &mut settle);
        if let (Harm::DecidesBlindly, Conflicts::Each(each)) = (self.harm, &mut settle.which) {
            let all = self.own.conflicts(ConflictFilter { state: None, ..ConflictFilter::default() }).await?;
            for (id, value) in each {
                let said = all.iter().find(|known| known.id == *id).map(|known| known.value.get().into());
                *value = said.unwrap_or_else(|| value.clone());
            }
        }
        self.to("settle_conflicts").settle_conflicts(settle).await
    }
}
