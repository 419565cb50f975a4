//! An explanation in plain sentences.

use std::fmt;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sync_core::{
    mapping::{Authority, ConflictState, Rule, Step},
    sensitive::is_hidden,
};

use super::{Absence, Change, Explanation, Input, MadeFrom, Making, Origin, Other, Standing, Why};

/// One line of an explanation: what it is about, and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Line {
    /// One word: `who`, `when`, `why`.
    pub about: &'static str,
    /// The sentence, on one line. It holds values and names from outside as they are.
    pub text: String,
}

/// A value inside a sentence.
fn quoted(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::String(text) => format!("\"{text}\""),
        other => {
            let text = other.to_string();
            match (is_hidden(&text), other["hidden"].as_str().and_then(|hash| hash.get(..20))) {
                (false, _) => text,
                (true, Some(hash)) => format!("(hidden {hash}…)"),
                (true, None) => "(hidden)".into(),
            }
        }
    }
}

/// Who asked for something, as it was written down.
pub(super) fn person(by: &str) -> &str {
    match by {
        "" | "manual" | "app" => "somebody who gave no name",
        by => by,
    }
}

fn maybe(value: Option<&Value>) -> String {
    value.map_or_else(|| "nothing".into(), quoted)
}

fn time(at: DateTime<Utc>) -> String {
    at.format("%F %T UTC").to_string()
}

/// Names after each other: `a, b and c`.
fn list(names: impl IntoIterator<Item = String>) -> String {
    let mut names: Vec<String> = names.into_iter().collect();
    match (names.pop(), names.as_slice()) {
        (None, _) => String::new(),
        (Some(last), []) => last,
        (Some(last), some) => format!("{} and {last}", some.join(", ")),
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.account.as_deref().or(self.connection.as_ref().map(|connection| connection.as_str()));
        match (&*self.kind, name, self.provider.as_deref()) {
            ("google_sheet", Some(name), _) => write!(f, "the Google sheet \"{name}\"")?,
            ("app", None, _) => f.write_str("the application")?,
            (_, Some(name), Some(provider)) => write!(f, "the {provider} account \"{name}\"")?,
            (_, Some(name), None) => write!(f, "the connection {name}, which is not here any more")?,
            (..) => write!(f, "{}", if self.id.is_empty() { "a source nobody wrote down" } else { &self.id })?,
        }
        if let Some(place) = &self.place {
            write!(f, " ({place})")?;
        } else if let Some(stream) = &self.stream {
            write!(f, " ({stream})")?;
        }
        match &self.mapping {
            Some(mapping) => write!(f, ", through the mapping \"{mapping}\""),
            None => Ok(()),
        }
    }
}

fn step(step: &Step) -> String {
    match &step.options {
        Value::Null => step.name.to_string(),
        Value::Object(options) => {
            let told = options.iter().map(|(name, value)| format!("{name} {}", quoted(value)));
            format!("{} ({})", step.name, told.collect::<Vec<_>>().join(", "))
        }
        other => format!("{} ({})", step.name, quoted(other)),
    }
}

fn input(input: &Input) -> String {
    if input.of_source {
        return format!("the source's field \"{}\", whose value was not kept", input.name);
    }
    let place = input.place.as_deref().map(|place| format!(" ({place})")).unwrap_or_default();
    format!("{} = {}{place}", input.name, maybe(input.value.as_ref()))
}

impl Making {
    fn words(&self) -> String {
        let named = |names: &[Box<str>]| list(names.iter().map(|name| format!("\"{name}\"")));
        let from = match &self.from {
            MadeFrom::Columns(names) if names.len() == 1 => format!("from the source's field {}", named(names)),
            MadeFrom::Columns(names) => format!("from the first of the source's fields {} that has a value", named(names)),
            MadeFrom::Constant(value) => format!("the mapping writes {} into every row", quoted(value)),
            MadeFrom::Object(members) => {
                let members = members.iter().map(|(member, name)| format!("{member} from \"{name}\""));
                format!("put together from the source's fields: {}", list(members))
            }
            MadeFrom::Computed { expression, inputs } => {
                let inputs = list(inputs.iter().map(input));
                let with = if inputs.is_empty() { String::new() } else { format!(", with {inputs}") };
                format!("computed as `{expression}`{with}")
            }
            MadeFrom::Nothing => "from no field of the source".into(),
        };
        match (&self.steps[..], &self.source_value) {
            ([], Some(_)) => format!("{from}, where it stood just so"),
            ([], None) => from,
            (steps, _) => format!("{from}, then {}; what stood there before that was not kept", list(steps.iter().map(step))),
        }
    }
}

impl Change {
    /// What kind of run it was.
    fn job(&self) -> &str {
        match self.job.as_deref() {
            Some("full") => "a pull of everything",
            Some("incremental") => "a pull of what was new",
            Some("apply") if self.undid.is_some() => "taking a run back",
            Some("apply") => "applying a plan",
            Some("edit") => "an edit",
            Some("take") => "a decision about a conflict",
            Some(other) => other,
            None => "no longer listed",
        }
    }

    fn asked(&self) -> String {
        format!("started by {}", person(&self.by))
    }

    fn actor(&self) -> &str {
        person(&self.by)
    }

    /// Who did what.
    fn who(&self) -> String {
        let actor = self.actor();
        match (self.rule, &self.value) {
            (Some(Rule::ByHand), Some(_)) => format!("{actor} changed it by hand"),
            (Some(Rule::ByHand), None) => format!("{actor} deleted the row by hand"),
            (Some(Rule::Recorded), _) => format!("{actor} changed it in the application, which had that written down"),
            (Some(Rule::Undo), _) => match (self.undid, &self.restores) {
                (Some(run), Some(restored)) => {
                    format!("{actor} took back what run {run} had done; the value that came back had been set by {}", restored.short())
                }
                (Some(run), None) => format!("{actor} took back what run {run} had done"),
                (None, _) => format!("{actor} took back what a run had done"),
            },
            (Some(Rule::Taken), _) => format!("{actor} decided that a value counts which had lost; it is {}", self.lost_from()),
            (_, None) => format!("the row went with its records: {} shows none any more", self.origin),
            (_, Some(_)) => self.origin.to_string(),
        }
    }

    /// Whose losing value was taken.
    fn lost_from(&self) -> String {
        let from = Origin { kind: Box::default(), place: self.origin.stream.clone(), ..self.origin.clone() };
        format!("what {from} says")
    }

    /// The same in a few words.
    fn short(&self) -> String {
        match self.rule {
            Some(rule) if rule.by_people() => format!("{} on {} (run {}, {})", self.actor(), time(self.at), self.run, in_words(rule)),
            _ => format!("{} on {} (run {})", self.origin, time(self.at), self.run),
        }
    }
}

fn in_words(rule: Rule) -> &'static str {
    match rule {
        Rule::ByHand => "by hand",
        Rule::Recorded => "in the application",
        Rule::Undo => "by taking a run back",
        Rule::Taken => "by taking a value that had lost",
        Rule::Forced => "by force",
        _ => "by its rules",
    }
}

impl Other {
    /// In which run.
    fn said(&self) -> String {
        let (run, at) = (self.run, time(self.at));
        if self.own_run { format!("(run {run}, {at})") } else { format!("(before run {run} of another source, {at})") }
    }

    fn words(&self) -> String {
        let (who, value, said) = (&self.origin, quoted(&self.value), self.said());
        let rank = self.priority.map(|priority| format!(" with priority {priority}")).unwrap_or_default();
        match &self.why {
            Why::Agrees => format!("{who} says the same{rank} {said}"),
            Why::LowerPriority { winner_priority, conflict, state, decided_by, .. } => {
                let own = self.priority.map(|priority| format!(", {priority},")).unwrap_or_default();
                let stands = match (conflict, state) {
                    (Some(id), Some(ConflictState::Open)) => {
                        format!(". Nobody has decided about that yet (conflict {id}: syncline resolve {id} accept|take)")
                    }
                    (Some(id), Some(ConflictState::Accepted)) => {
                        format!(", and {} accepted that (conflict {id})", person(decided_by.as_deref().unwrap_or_default()))
                    }
                    (Some(id), Some(ConflictState::Taken)) => format!("; it was taken once (conflict {id}), and the field changed since"),
                    (Some(_), _) | (None, _) => String::new(),
                };
                format!("{value}, says {who} {said}. Its priority{own} is lower than {winner_priority}{stands}")
            }
            Why::Earlier => format!("{value}, said {who} {said}. Its priority is the same, and the later word counts"),
            Why::Silent => format!("{value}, said {who} {said}. It says nothing of this row any more"),
            Why::Forced => format!("{value}, says {who}{rank} {said}. It was overwritten by force"),
            Why::Decided { rule: Rule::Taken, conflict } => {
                let about = conflict.map(|id| format!(" (conflict {id})")).unwrap_or_default();
                format!(
                    "{value}, says {who}{rank}. Somebody decided against it{about}; it counts again when that source says something new"
                )
            }
            Why::Decided { rule, .. } => format!("{value}, says {who}{rank} {said}. It was overwritten {}", in_words(*rule)),
        }
    }
}

impl Explanation {
    /// Its sentences, without the first one, which is the [`headline`](Self::headline).
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut say = |about: &'static str, text: String| lines.push(Line { about, text });
        match (&self.standing, &self.set_by) {
            (Standing::NoRow { absence }, _) => say("no row", format!("the row is not there: {absence}")),
            (Standing::Derived { mapping }, _) => say(
                "who",
                format!("the application computes it: the mapping \"{mapping}\" calls it a derived field, which no sync ever writes"),
            ),
            (Standing::OfHost, _) => say(
                "who",
                "most likely the application itself: the table is its own, and no run is known to have written this value".into(),
            ),
            (Standing::Untold, _) => say(
                "who",
                "nobody wrote that down: it came without lineage (a pull may be told to keep none), or what was kept is too old and gone"
                    .into(),
            ),
            (Standing::Empty { written_by }, _) => say(
                "who",
                match &written_by[..] {
                    _ if self.say.is_some() => {
                        let owner = self.say.as_ref().map(|owner| format!("{} (priority {})", owner.origin, owner.priority));
                        format!("{} has the say about this field, and says that there is no value", owner.unwrap_or_default())
                    }
                    [] => "nobody: no source writes this field".into(),
                    some => {
                        let names = list(some.iter().map(|name| format!("\"{name}\"")));
                        format!("nobody so far: the mapping {names} writes this field, and no record of this row has had a value for it")
                    }
                },
            ),
            (Standing::ChangedSince, Some(change)) => say(
                "note",
                format!(
                    "the last change that was written down made it {}; since then it was changed without a word, by the application itself or \
                     by a pull without lineage. What follows is about that last change",
                    maybe(change.value.as_ref())
                ),
            ),
            (Standing::Told | Standing::ChangedSince, _) => {}
        }
        if let Some(change) = &self.set_by {
            self.change_lines(change, &mut say);
        }
        for other in &self.others {
            say(if other.why == Why::Agrees { "agrees" } else { "lost" }, other.words());
        }
        for kept in &self.beside {
            let text = format!(
                "{}, says {} (run {}, {}). It is only a reference for this field, and never writes it",
                quoted(&kept.value),
                kept.origin,
                kept.run,
                time(kept.at)
            );
            say("beside", text);
        }
        for change in &self.by_people {
            say("earlier", format!("{} → {}, by {}", maybe(change.previous.as_ref()), maybe(change.value.as_ref()), change.short()));
        }
        lines
    }

    fn change_lines(&self, change: &Change, say: &mut impl FnMut(&'static str, String)) {
        say("who", change.who());
        say("when", format!("{}, in run {} ({}, {})", time(change.at), change.run, change.job(), change.asked()));
        match &change.previous {
            None => say("before", "the row was new".into()),
            Some(previous) => say("before", quoted(previous)),
        }
        if change.value.is_none() {
            return;
        }
        let by_source = !change.rule.is_some_and(Rule::by_people);
        match &change.making {
            Some(making) => {
                say("how", making.words());
                if let Some(version) = &making.version {
                    let text = format!(
                        "the mapping was that of \"{}\" in version {}, made by {} on {}",
                        version.tab,
                        version.version,
                        version.changed_by,
                        time(version.changed_at)
                    );
                    say("mapping", text);
                }
            }
            None if by_source && change.rule.is_some() && change.origin.mapping.is_none() => {
                say("how", "as it stood in the source: there is no mapping in between".into());
            }
            None => {}
        }
        say("why", self.reason(change));
        if let Some(owner) = self.say.as_ref().filter(|owner| by_source && !is(&owner.origin, &change.origin)) {
            let text = format!("{} has the say about this field, with priority {}", owner.origin, owner.priority);
            say("owner", text);
        }
    }

    /// Why this change was made, and what can change it again.
    fn reason(&self, change: &Change) -> String {
        let priority = change.making.as_ref().map_or(0, |making| making.priority);
        let next = match &self.say {
            Some(owner) => format!("{}, which has the say with priority {},", owner.origin, owner.priority),
            None => "a source that may write the field".into(),
        };
        match change.rule {
            Some(Rule::Forced) => {
                let reference = change.making.as_ref().is_some_and(|making| making.authority == Authority::Reference);
                let own = if reference {
                    "by itself it is only a reference for this field".into()
                } else {
                    format!("its own priority is {priority}")
                };
                format!("by force: {} let this run overwrite whatever was there ({own}), for this once", change.actor())
            }
            Some(Rule::ByHand | Rule::Recorded | Rule::Undo) => {
                format!("a person decided; it stays until {next} brings this row again and says something else")
            }
            Some(Rule::Taken) => "a person decided; it stays until the source that has the say says something new".into(),
            Some(Rule::SourceOfTruth) if change.origin.mapping.is_none() => {
                "the table belongs to this stream alone, so that what it says counts".into()
            }
            Some(Rule::SourceOfTruth) => {
                let losers = self.losers().any(|other| matches!(other.why, Why::LowerPriority { .. }));
                let equal = self.losers().any(|other| other.why == Why::Earlier);
                let rank = match (losers, equal) {
                    (true, _) => format!("its priority, {priority}, is the highest of all that say something about this field"),
                    (false, true) => format!("of sources of equal priority ({priority}) the one that spoke last counts"),
                    (false, false) if self.others.is_empty() => {
                        format!("no other source of truth says anything about this field (its priority is {priority})")
                    }
                    (false, false) => format!("its priority is {priority}"),
                };
                format!("this source is a source of truth for the field: {rank}")
            }
            Some(rule) => format!("rule: {rule}"),
            None => "not known: the run is from before rules were written down".into(),
        }
    }

    /// Who set it and when, in one sentence; what else there is to say is counted.
    #[must_use]
    pub fn brief(&self) -> String {
        let told = match (&self.standing, &self.set_by) {
            (Standing::Told | Standing::NoRow { .. }, Some(change)) => {
                format!("{}, on {}, in run {}", change.who(), time(change.at), change.run)
            }
            _ => return self.lines().into_iter().next().map(|line| line.text).unwrap_or_default(),
        };
        let losers = self.losers().count();
        let counted = [(losers, "value lost", "values lost"), (self.beside.len(), "reference beside it", "references beside it")];
        let counted = counted.into_iter().filter(|(count, ..)| *count > 0);
        let counted = counted.map(|(count, one, many)| format!("; {count} {}", if count == 1 { one } else { many }));
        counted.fold(told, |told, more| told + &more)
    }

    /// The first sentence: which field of which row, and what it is.
    #[must_use]
    pub fn headline(&self) -> String {
        let now = match (&self.standing, &self.value) {
            (Standing::NoRow { absence: Absence::Deleted { .. } }, _) => {
                let last = self.set_by.as_ref().and_then(|change| change.value.as_ref().or(change.previous.as_ref()));
                format!("is gone; it was {}", maybe(last))
            }
            (Standing::NoRow { .. }, _) => "is not there".into(),
            (_, Some(value)) => format!("is {}", quoted(value)),
            (_, None) => "has no value".into(),
        };
        format!("{} of {} {} {now}", self.field, self.entity, self.key)
    }
}

/// Whether two are the same mapping of the same connection.
fn is(one: &Origin, other: &Origin) -> bool {
    (&one.connection, &one.mapping) == (&other.connection, &other.mapping)
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.headline())?;
        for Line { about, text } in self.lines() {
            write!(f, "\n  {:<8} {text}", about)?;
        }
        Ok(())
    }
}
