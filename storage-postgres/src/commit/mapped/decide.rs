//! What becomes of a record, given the row as it is.

use sync_core::{
    Target,
    mapping::{Decision, Stored},
};

use super::{
    super::remember::Look,
    journal::Line,
    owner::Owners,
    shape::{Item, Seen, Shape},
};

/// What is known beside the row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'c> {
    /// Who set the fields; `None` where priorities are not kept.
    pub(super) owners: Option<&'c Owners>,
    /// A field without a known owner: of ours somebody of priority 0 set it, of the host's the host itself.
    pub(super) unowned: Option<i32>,
    /// Whether changes are shown to somebody.
    pub(super) previews: bool,
    pub(super) target: &'c Target,
}

/// What the stored row says about a record.
#[derive(Debug)]
pub(super) struct Verdict {
    /// Whether the row is there.
    pub(super) there: bool,
    /// Whether it has fields in `extra`.
    pub(super) extra: bool,
    /// The slots to write.
    pub(super) writes: Vec<usize>,
    /// Slots this source owns from now on.
    pub(super) owns: Vec<usize>,
    /// Slots that stay as they are, though the record has them otherwise.
    pub(super) kept: Vec<usize>,
    /// The changes.
    pub(super) line: Line,
    /// The row before it was written, as far as pushes have to know.
    pub(super) before: Option<Look>,
}

/// Decides every field of an item; `at` is its place among those whose owners were read.
pub(super) fn decide(shape: &Shape<'_>, item: &Item<'_>, at: usize, seen: Option<Seen>, context: Context<'_>) -> Verdict {
    let there = seen.is_some();
    let (extra, old) = seen.map_or((false, None), |seen| (seen.extra, seen.old));
    let mut verdict = Verdict { there, extra, writes: Vec::new(), owns: Vec::new(), kept: Vec::new(), line: Line::default(), before: None };
    for &(place, json) in &item.cells {
        let slot = &shape.slots[place];
        let owner = context.owners.and_then(|owners| owners.get(&(at, slot.field.into())).copied());
        let (decision, before, differs) = if there {
            let stored = old.as_ref().and_then(|old| old[place].as_deref());
            let value = stored.unwrap_or(json);
            let priority = owner.or(if value == "null" { None } else { context.unowned });
            let decision = context.target.decide(slot.rule, Some(Stored { value, priority }), Some(json));
            (decision, Some(value), stored.is_some())
        } else {
            (context.target.decide(slot.rule, None, Some(json)), None, json != "null")
        };
        match decision {
            Decision::Write => {
                let shown = context.previews.then_some(item.key);
                verdict.line.change(shown, slot.field, before, Some(json), context.target.told(decision));
                verdict.writes.push(place);
            }
            Decision::Keep(_) if differs => verdict.kept.push(place),
            Decision::Keep(_) | Decision::Unchanged => {}
        }
        let takes =
            decision == Decision::Write || (decision == Decision::Unchanged && owner.is_some_and(|owner| owner < slot.rule.priority));
        if context.owners.is_some() && (takes || (decision == Decision::Unchanged && owner.is_none())) {
            verdict.owns.push(place);
        }
    }
    // A new row needs its key, whoever is the truth about it.
    if !there && !verdict.writes.is_empty() {
        for &(place, _) in &item.cells {
            if shape.slots[place].key && !verdict.writes.contains(&place) {
                verdict.writes.push(place);
            }
        }
    }
    verdict
}
