//! Several sources of truth for one field: who owns it, and what the others say against it. Pure.

use serde::{Deserialize, Serialize};

use super::{Authority, Decision, Rule, Stored, decide};
use crate::{ConnectionId, FieldRule, json_value, key_text};

/// Who says something about a field: a mapping of a connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FieldSource {
    /// The connection.
    pub connection: ConnectionId,
    /// The mapping's name.
    pub mapping: Box<str>,
}

/// The source that set or confirmed a field with the highest priority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldOwner {
    /// Who.
    pub source: FieldSource,
    /// Its priority then.
    pub priority: i32,
}

/// Where a conflict stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConflictState {
    /// Two sources differ, and nobody has said anything about it.
    #[default]
    Open,
    /// Somebody said that the rule's decision stands. Open again when the losing value changes.
    Accepted,
    /// Somebody had the losing value written. Open again when the losing value changes, the winner says something new, or the field was
    /// changed otherwise.
    Taken,
    /// The two agree, or the losing source says nothing any more.
    Settled,
}

impl ConflictState {
    /// As it stands in tables and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Accepted => "accepted",
            Self::Taken => "taken",
            Self::Settled => "settled",
        }
    }

    /// Reads [`as_str`](Self::as_str) back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Open, Self::Accepted, Self::Taken, Self::Settled].into_iter().find(|state| state.as_str() == text)
    }
}

/// What a source says of a field that another one of higher priority owns. It is kept where both agree, too: so it is known when the
/// owner says something else, whatever the order of arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rival {
    /// Who says so.
    pub source: FieldSource,
    /// Its priority.
    pub priority: i32,
    /// What it said last, JSON text.
    pub value: Box<str>,
    /// Whether it says so still: a record of it stands behind the entity, and it does not own the field.
    pub live: bool,
    /// The owner; `None` where nobody is known to have set the field.
    pub winner: Option<FieldSource>,
    /// The owner's priority.
    pub winner_priority: i32,
    /// What the owner said last, JSON text.
    pub winning: Box<str>,
    /// Where the conflict stands.
    pub state: ConflictState,
    /// Whether somebody accepted that this value loses.
    pub accepted: bool,
}

/// What is stored about a field when a source says something of it.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    /// The stored value, and as its priority the owner's; `None` when there is no row. A value that the storage holds to be the same as
    /// what is said is to be handed over as the same text.
    pub stored: Option<Stored<'a>>,
    /// Who owns it, as far as known.
    pub owner: Option<&'a FieldOwner>,
    /// What others said of it.
    pub rivals: &'a [Rival],
}

/// What a source says of a field.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    /// Who.
    pub source: &'a FieldSource,
    /// By which rule.
    pub rule: FieldRule,
    /// JSON text.
    pub value: &'a str,
}

/// What becomes of a field that several sources feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contested {
    /// What becomes of its value.
    pub decision: Decision,
    /// Whether the source owns the field from now on, with its priority.
    pub owns: bool,
    /// Rivals to be written, whole; those that stay as they are left out.
    pub rivals: Vec<Rival>,
}

/// Decides a field as [`decide`] does, and follows what other sources say of it.
///
/// In whatever order sources of different priority speak, and however often: the one of the highest priority owns the field with what
/// it said last, and every other is a live rival with what it said last. A value that somebody had [taken](ConflictState::Taken) stays
/// while the owner says nothing new.
#[must_use]
pub fn contend(standing: Standing<'_>, said: Said<'_>) -> Contested {
    let Standing { stored, owner, rivals } = standing;
    let mine = owner.is_some_and(|owner| owner.source == *said.source);
    let own = rivals.iter().find(|rival| rival.source == *said.source);
    let taken = rivals.iter().find(|rival| in_force(rival, stored.map(|stored| stored.value)));
    // The owner's word: not what stands in the row, where that was taken from another source.
    let word = taken.map(|taken| &*taken.winning).or(stored.map(|stored| stored.value));
    // A source never loses to its own earlier priority.
    let seen = stored.map(|stored| Stored { priority: if mine { Some(said.rule.priority) } else { stored.priority }, ..stored });
    let mut decision = decide(said.rule, seen, Some(said.value));
    if said.rule.authority != Authority::SourceOfTruth {
        let rivals = own.filter(|own| own.live).map(gone).into_iter().collect();
        return Contested { decision, owns: false, rivals };
    }
    if decision == Decision::Write && mine && taken.is_some_and(|taken| alike(&taken.winning, said.value)) {
        decision = Decision::Keep(Rule::Taken);
    }
    let owns = match decision {
        Decision::Write => true,
        Decision::Unchanged => {
            owner.is_none_or(|owner| owner.priority < said.rule.priority || (mine && owner.priority != said.rule.priority))
        }
        Decision::Keep(_) => false,
    };
    let mut changed = Vec::new();
    if owns || (mine && decision == Decision::Unchanged) {
        let after = Winner { source: Some(said.source), priority: said.rule.priority, word: said.value, stored: said.value };
        changed.extend(own.filter(|own| own.live).map(gone));
        let former = owner.filter(|owner| !mine && owner.priority < said.rule.priority).zip(word);
        if let Some((former, word)) = former {
            changed.push(after.against(&former.source, former.priority, word, None));
        }
        let others =
            rivals.iter().filter(|rival| rival.source != *said.source && former.is_none_or(|(former, _)| former.source != rival.source));
        changed.extend(others.filter_map(|rival| after.follow(rival)));
    } else if let (Some(stored), Some(word)) = (seen, word)
        && let Some(priority) = stored.priority.filter(|priority| *priority > said.rule.priority)
    {
        // The storage may know that two texts are one value.
        let word = if taken.is_none() && decision == Decision::Unchanged { said.value } else { word };
        let winner = Winner { source: owner.map(|owner| &owner.source), priority, word, stored: stored.value };
        let rival = winner.against(said.source, said.rule.priority, said.value, own);
        changed.extend(Some(rival).filter(|rival| own != Some(rival)));
    }
    Contested { decision, owns, rivals: changed }
}

/// What becomes of what a source said when no record of it stands behind the entity any more, or it owns the field.
#[must_use]
pub fn gone(rival: &Rival) -> Rival {
    Rival { live: false, accepted: false, state: ConflictState::Settled, ..rival.clone() }
}

fn in_force(rival: &Rival, stored: Option<&str>) -> bool {
    rival.live && rival.state == ConflictState::Taken && stored.is_some_and(|stored| alike(stored, &rival.value))
}

/// Who has the say about a field.
#[derive(Clone, Copy)]
struct Winner<'a> {
    source: Option<&'a FieldSource>,
    priority: i32,
    /// What it says.
    word: &'a str,
    /// What stands in the row.
    stored: &'a str,
}

impl Winner<'_> {
    /// What a source of lower priority says against it; `known` is what it said before.
    fn against(&self, source: &FieldSource, priority: i32, value: &str, known: Option<&Rival>) -> Rival {
        let known = known.filter(|known| known.live);
        let same = known.filter(|known| alike(&known.value, value));
        let said = Rival {
            source: source.clone(),
            priority,
            value: same.map_or_else(|| value.into(), |known| known.value.clone()),
            live: true,
            winner: self.source.cloned(),
            winner_priority: self.priority,
            // Texts of one value take turns otherwise.
            winning: known.filter(|known| alike(&known.winning, self.word)).map_or_else(|| self.word.into(), |known| known.winning.clone()),
            state: same.map_or(ConflictState::Open, |known| known.state),
            accepted: same.is_some_and(|known| known.accepted),
        };
        let as_before = known.is_some_and(|known| known.winning == said.winning && known.winner == said.winner);
        Rival { state: self.state(&said, as_before), ..said }
    }

    /// What becomes of a rival when this one has spoken; `None` when nothing does.
    fn follow(&self, rival: &Rival) -> Option<Rival> {
        if !rival.live {
            return None;
        }
        if rival.priority >= self.priority {
            return Some(gone(rival));
        }
        let after = self.against(&rival.source, rival.priority, &rival.value, Some(rival));
        (after != *rival).then_some(after)
    }

    fn state(&self, rival: &Rival, as_before: bool) -> ConflictState {
        if as_before && in_force(rival, Some(self.stored)) {
            return ConflictState::Taken;
        }
        match rival.accepted {
            _ if alike(&rival.value, &rival.winning) => ConflictState::Settled,
            true => ConflictState::Accepted,
            false => ConflictState::Open,
        }
    }
}

/// Whether two JSON texts say the same, however they are written and whatever type a column of the host gave them.
#[must_use]
pub fn alike(one: &str, other: &str) -> bool {
    one == other || json_value(one) == json_value(other) || key_text(one).is_some_and(|one| Some(one) == key_text(other))
}

#[cfg(test)]
#[path = "contest_tests.rs"]
mod tests;
