//! The conformance suite of ad platforms, and a platform in memory to try it and everything above it on.
//!
//! An author implements [`CampaignFixture`] over a simulated platform and calls [`run`]; [`MockAdapter`] is such a platform without HTTP.

mod create;
mod fixture;
mod later;
mod mock;
mod trial;

use futures_util::future::BoxFuture;

use self::{fixture::Subjects, trial::Trial};
pub use self::{
    fixture::{CampaignFixture, CampaignSetup, CampaignSubject, CampaignWorld, Held, LevelSubject, PlatformSide, Trouble},
    mock::{MockAdapter, Rates},
};
use super::{Finding, Report, Verdict, attempt, provider::Rule};

/// Every check there is, in the order they run.
#[must_use]
pub fn catalogue() -> Vec<Rule> {
    CHECKS.iter().map(|check| Rule { name: check.name, rule: check.rule }).collect()
}

/// Runs every check that fits the adapter of `fixture`.
pub async fn run(fixture: &dyn CampaignFixture) -> Report {
    let subject = fixture.subject();
    let mut report = Report::new(format!("{fixture:?}"));
    for check in CHECKS {
        let verdict = match check.needs.iter().find(|need| !need.met(fixture, &subject)) {
            Some(need) => Verdict::Skipped(need.why().to_owned()),
            None => attempt((check.run)(Subjects { fixture, subject: &subject })).await,
        };
        report.add(check.name, check.rule, verdict);
    }
    report
}

/// What a check needs of the fixture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Children,
    Parts,
    UniqueNames,
    Lost,
    Troubles,
}

impl Need {
    fn met(self, fixture: &dyn CampaignFixture, subject: &CampaignSubject) -> bool {
        match self {
            Self::Children => subject.levels.iter().any(|level| level.parent.is_some()),
            Self::Parts => Trial::new(Subjects { fixture, subject }).has_parts(),
            Self::UniqueNames => subject.unique_names,
            Self::Lost => Trial::new(Subjects { fixture, subject }).can(Trouble::LostAnswer),
            Self::Troubles => Trial::new(Subjects { fixture, subject }).can(Trouble::Refused),
        }
    }

    fn why(self) -> &'static str {
        match self {
            Self::Children => "no level has a parent",
            Self::Parts => "no object has parts",
            Self::UniqueNames => "the platform lets two objects have one name",
            Self::Lost => "the fixture cannot lose an answer",
            Self::Troubles => "the fixture cannot make a create fail",
        }
    }
}

struct Check {
    name: &'static str,
    rule: &'static str,
    needs: &'static [Need],
    run: for<'a> fn(Subjects<'a>) -> BoxFuture<'a, Result<(), Finding>>,
}

macro_rules! checks {
    ($($module:ident :: $name:ident [$($need:ident)*] $rule:literal;)*) => {
        &[$(Check { name: stringify!($name), rule: $rule, needs: &[$(Need::$need),*], run: |subjects| Box::pin($module::$name(subjects)) }),*]
    };
}

#[rustfmt::skip]
const CHECKS: &[Check] = checks! {
    create::create_makes_exactly_one_object [] "A create makes one object, as the draft says, and answers its id.";
    create::what_is_created_is_paused [] "An object is made paused.";
    create::a_child_needs_its_parent [Children] "A child is made under its parent; without one nothing is made.";
    create::parts_come_first_and_in_order [Parts] "Parts are the same when asked again, each is one object, and the whole needs all of them.";
    create::a_marker_finds_its_object [] "A look by marker and draft finds the one object and changes nothing.";
    create::a_taken_name_leads_to_the_object_there [UniqueNames] "A taken name makes nothing and no other name; a look finds who has it.";
    create::a_lost_create_is_unknown_and_found [Lost] "A create whose answer was lost is unknown, made at most once, and found if it arrived.";
    create::errors_of_a_create_are_honest [Troubles] "What surely did not arrive is not unknown, what may have arrived is not denied.";
    create::a_refused_permit_makes_nothing [] "Without a permit nothing is made.";
    later::an_update_may_be_repeated [] "An update changes that object alone and may be repeated.";
    later::a_status_may_be_set_again [] "Starting and stopping may be repeated.";
    later::a_delete_may_be_repeated [] "A delete removes that object alone and may be repeated.";
    later::an_unknown_id_is_not_found [] "An id the platform does not know is NotFound, and nothing is made.";
    later::fetch_by_ids_brings_those [] "A fetch by ids brings those objects.";
    later::fetch_by_level_brings_all_once [] "A fetch of a level brings every object once over all pages, the same page when asked again.";
};
