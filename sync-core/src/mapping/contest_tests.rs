use proptest::prelude::*;

use super::*;

fn source(name: &str) -> FieldSource {
    FieldSource { connection: name.into(), mapping: "m".into() }
}

fn truth(priority: i32) -> FieldRule {
    FieldRule { authority: Authority::SourceOfTruth, priority }
}

/// A field as a storage keeps it.
#[derive(Clone, Debug, Default)]
struct Field {
    stored: Option<String>,
    owner: Option<FieldOwner>,
    rivals: Vec<Rival>,
}

impl Field {
    fn says(&mut self, name: &str, rule: FieldRule, value: &str) -> Decision {
        let priority = self.owner.as_ref().map(|owner| owner.priority);
        let stored = self.stored.as_deref().map(|value| Stored { value, priority });
        let (source, rivals) = (source(name), self.rivals.clone());
        let standing = Standing { stored, owner: self.owner.as_ref(), rivals: &rivals };
        let contested = contend(standing, Said { source: &source, rule, value });
        if contested.decision == Decision::Write {
            self.stored = Some(value.into());
        }
        if contested.owns {
            self.owner = Some(FieldOwner { source, priority: rule.priority });
        }
        for rival in contested.rivals {
            assert!(!self.rivals.contains(&rival), "only what changed is written: {rival:?}");
            self.rivals.retain(|known| known.source != rival.source);
            self.rivals.push(rival);
        }
        contested.decision
    }

    fn rival(&self, name: &str) -> &Rival {
        self.rivals.iter().find(|rival| rival.source == source(name)).expect("a rival")
    }

    fn state(&self, name: &str) -> ConflictState {
        self.rival(name).state
    }

    fn settle(&mut self, name: &str, state: ConflictState) {
        let rival = self.rivals.iter_mut().find(|rival| rival.source == source(name)).expect("a rival");
        rival.state = state;
        rival.accepted = state == ConflictState::Accepted;
        if state == ConflictState::Taken {
            self.stored = Some(rival.value.to_string());
        }
    }

    /// Who differs from the winner, and how.
    fn open(&self) -> Vec<(String, String, String)> {
        let open = self.rivals.iter().filter(|rival| rival.state == ConflictState::Open);
        let mut open: Vec<_> =
            open.map(|rival| (rival.source.connection.to_string(), rival.value.to_string(), rival.winning.to_string())).collect();
        open.sort();
        open
    }
}

use ConflictState::{Accepted, Open, Settled, Taken};

/// `high` says "h", `low` says "l".
fn two() -> Field {
    let mut field = Field::default();
    field.says("high", truth(9), "\"h\"");
    assert_eq!(field.says("low", truth(1), "\"l\""), Decision::Keep(Rule::LowerPriority));
    field
}

#[test]
fn what_loses_is_kept_and_follows_both_values() {
    let mut field = two();
    let rival = field.rival("low").clone();
    assert_eq!((rival.state, &*rival.value, &*rival.winning, rival.priority, rival.winner_priority), (Open, "\"l\"", "\"h\"", 1, 9));
    assert_eq!(rival.winner, Some(source("high")));
    field.says("high", truth(9), "\"H\"");
    assert_eq!((&*field.rival("low").winning, field.state("low")), ("\"H\"", Open));
    field.says("low", truth(1), "\"L\"");
    assert_eq!((&*field.rival("low").value, field.state("low")), ("\"L\"", Open));
    field.says("low", truth(1), "\"H\"");
    assert_eq!(field.state("low"), Settled);
    field.says("high", truth(9), "\"h\"");
    assert_eq!(field.state("low"), Open, "two that agreed differ again");
    field.says("high", truth(9), "\"H\"");
    assert_eq!(field.state("low"), Settled);
}

#[test]
fn an_accepted_one_opens_again_only_when_the_losing_value_changes() {
    let mut field = two();
    field.settle("low", Accepted);
    field.says("low", truth(1), "\"l\"");
    field.says("high", truth(9), "\"H\"");
    assert_eq!((field.state("low"), &*field.rival("low").winning), (Accepted, "\"H\""));
    field.says("high", truth(9), "\"l\"");
    assert_eq!(field.state("low"), Settled);
    field.says("high", truth(9), "\"h\"");
    assert_eq!(field.state("low"), Accepted, "what was accepted is said still");
    field.says("low", truth(1), "\"L\"");
    assert_eq!(field.state("low"), Open);
}

#[test]
fn a_taken_value_stays_until_one_of_the_two_says_something_new() {
    let mut taken = two();
    taken.settle("low", Taken);
    assert_eq!(taken.says("high", truth(9), "\"h\""), Decision::Keep(Rule::Taken));
    assert_eq!(taken.says("low", truth(1), "\"l\""), Decision::Unchanged);
    assert_eq!((taken.state("low"), taken.stored.as_deref()), (Taken, Some("\"l\"")));
    assert_eq!(taken.owner.as_ref().map(|owner| owner.priority), Some(9), "the owner stays");

    let mut field = taken.clone();
    assert_eq!(field.says("high", truth(9), "\"H\""), Decision::Write);
    assert_eq!((field.state("low"), &*field.rival("low").winning), (Open, "\"H\""));
    let mut field = taken.clone();
    assert_eq!(field.says("high", truth(9), "\"l\""), Decision::Unchanged);
    assert_eq!(field.state("low"), Settled, "the winner came round");
    let mut field = taken.clone();
    field.says("low", truth(1), "\"L\"");
    assert_eq!(field.state("low"), Open);
    assert_eq!(field.says("high", truth(9), "\"h\""), Decision::Write, "what was decided was about another value");
    let mut field = taken.clone();
    field.says("other", truth(5), "\"l\"");
    assert_eq!((field.state("other"), &*field.rival("other").winning), (Open, "\"h\""), "it differs from what the winner says");
    let mut field = taken.clone();
    field.stored = Some("\"h\"".into());
    field.says("high", truth(9), "\"h\"");
    assert_eq!(field.state("low"), Open, "somebody took it back");
    let mut field = taken;
    assert_eq!(field.says("higher", truth(12), "\"h\""), Decision::Write);
    assert_eq!(field.open(), [("low".into(), "\"l\"".into(), "\"h\"".into())], "who won before said h, not l");
}

#[test]
fn a_source_has_no_conflict_with_itself() {
    let mut field = two();
    assert_eq!(field.says("high", truth(3), "\"H\""), Decision::Write, "its own earlier priority does not bind it");
    assert_eq!(field.owner.as_ref().map(|owner| owner.priority), Some(3));
    assert_eq!(field.says("low", truth(20), "\"L\""), Decision::Write);
    assert_eq!((field.state("low"), field.rival("low").live), (Settled, false), "who owns a field does not lose it");
    assert_eq!(field.open(), [("high".into(), "\"H\"".into(), "\"L\"".into())]);
}

#[test]
fn equal_priorities_are_no_conflict_the_last_word_stands() {
    let mut field = Field::default();
    field.says("a", truth(5), "1");
    assert_eq!(field.says("b", truth(5), "2"), Decision::Write);
    assert_eq!(field.rivals, []);
}

#[test]
fn a_source_that_becomes_a_reference_loses_no_more() {
    let mut field = two();
    let decision = field.says("low", FieldRule { authority: Authority::Reference, priority: 1 }, "\"l\"");
    assert_eq!((decision, field.state("low"), field.rival("low").live), (Decision::Keep(Rule::Reference), Settled, false));
}

#[test]
fn texts_of_one_value_are_no_conflict() {
    for (one, other, same) in
        [("1", "1.0", false), ("7", "\"7\"", true), ("{\"a\":1,\"b\":2}", "{ \"b\":2,\"a\":1}", true), ("null", "\"\"", false)]
    {
        assert_eq!(alike(one, other), same, "{one} {other}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn sources_end_alike_in_whatever_order_they_speak(
        said in prop::collection::vec((0..4usize, prop::sample::select(vec!["1", "2", "3", "null"])), 1..20),
    ) {
        const NAMES: [&str; 4] = ["a", "b", "c", "d"];
        let mut field = Field::default();
        for (who, value) in &said {
            field.says(NAMES[*who], truth(*who as i32), value);
        }
        let last = |who: usize| said.iter().rev().find(|(name, _)| *name == who).map(|(_, value)| *value);
        let winner = (0..4).rev().find(|who| last(*who).is_some()).expect("somebody spoke");
        prop_assert_eq!(field.stored.as_deref(), last(winner));
        prop_assert_eq!(field.owner.as_ref().map(|owner| owner.source.clone()), Some(source(NAMES[winner])));
        let differ = (0..winner).filter_map(|who| Some((who, last(who)?))).filter(|(_, value)| Some(*value) != last(winner));
        let expected: Vec<_> =
            differ.map(|(who, value)| (NAMES[who].to_owned(), value.to_owned(), last(winner).unwrap_or_default().to_owned())).collect();
        prop_assert_eq!(field.open(), expected);
    }

    #[test]
    fn what_was_said_before_changes_nothing(
        said in prop::collection::vec((0..4usize, prop::sample::select(vec!["1", "2", "3"])), 1..12),
        accepted in prop::option::of(0..4usize),
    ) {
        const NAMES: [&str; 4] = ["a", "b", "c", "d"];
        let mut field = Field::default();
        for (who, value) in &said {
            field.says(NAMES[*who], truth(*who as i32), value);
        }
        if let Some(name) = accepted.map(|who| NAMES[who])
            && field.open().iter().any(|(open, ..)| open == name)
        {
            field.settle(name, Accepted);
        }
        for (who, name) in NAMES.iter().enumerate() {
            let Some((_, value)) = said.iter().rev().find(|(said, _)| *said == who) else { continue };
            let before = field.clone();
            field.says(name, truth(who as i32), value);
            prop_assert_eq!(&field.rivals, &before.rivals);
            prop_assert_eq!(&field.owner, &before.owner);
        }
    }
}
