//! What becomes of a record, given the row as it is.

use sync_core::{
    Target, WriteMode,
    mapping::{Decision, FieldSource, Rival, Said, Standing, Stored, contend},
};

use super::{
    super::remember::Look,
    beside::Rivals,
    journal::Line,
    owner::Owners,
    shape::{Item, Seen, Shape},
};

/// Who set the fields, and what others said of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contestants<'c> {
    pub(super) owners: &'c Owners,
    pub(super) rivals: &'c Rivals,
    /// Who speaks.
    pub(super) source: &'c FieldSource,
}

/// What is known beside the row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'c> {
    /// `None` where priorities are not kept.
    pub(super) contestants: Option<Contestants<'c>>,
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
    /// What sources of lower priority say of slots, where that changes.
    pub(super) rivals: Vec<(usize, Rival)>,
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
    let mut verdict = Verdict {
        there,
        extra,
        writes: Vec::new(),
        owns: Vec::new(),
        rivals: Vec::new(),
        kept: Vec::new(),
        line: Line::default(),
        before: None,
    };
    // What is forced asks for nobody's priority.
    let forced = context.target.mode == WriteMode::Forced;
    for &(place, json) in &item.cells {
        let slot = &shape.slots[place];
        let differing = old.as_ref().and_then(|old| old[place].as_deref());
        let before = there.then(|| differing.unwrap_or(json));
        let differs = if there { differing.is_some() } else { json != "null" };
        let of_field = (at, Box::from(slot.field));
        let owner = context.contestants.and_then(|contestants| contestants.owners.get(&of_field)).filter(|_| !forced);
        let stored = before.map(|value| {
            let unowned = if value == "null" || forced { None } else { context.unowned };
            Stored { value, priority: owner.map(|owner| owner.priority).or(unowned) }
        });
        let decision = match context.contestants.filter(|_| !slot.key) {
            Some(contestants) => {
                let rivals = contestants.rivals.get(&of_field).map(Vec::as_slice).unwrap_or_default();
                let said = Said { source: contestants.source, rule: slot.rule, value: json };
                let contested = contend(Standing { stored, owner, rivals }, said);
                verdict.rivals.extend(contested.rivals.into_iter().map(|rival| (place, rival)));
                if contested.owns {
                    verdict.owns.push(place);
                }
                contested.decision
            }
            None => context.target.decide(slot.rule, stored, Some(json)),
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
    }
    if !there && !shape.makes {
        verdict.writes.clear();
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
