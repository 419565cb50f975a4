//! The conformance suite of providers.
//!
//! An author implements [`ProviderFixture`] over a simulated service and calls [`run`]. Each check gets a fresh world, a virtual clock
//! and [`TestServices`](crate::TestServices); nothing waits in real time, nothing needs a network.

mod case;
mod cursor;
mod describe;
mod door;
mod find;
mod fixture;
mod lost;
mod push;
mod read;
mod secrets;
mod sending;
mod settings;
mod trouble;

use futures_util::future::BoxFuture;
use sync_core::{AuthScheme, StreamMode, Writes};

use self::case::{Case, Facts};
pub use self::fixture::{Exact, ProviderFixture, PushSubject, ServiceSide, Setup, Subject, World};
use super::{Finding, Report, Verdict, attempt, differs};
use crate::Canary;

/// One check of the suite: its name, and the rule it proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The name a [`Report`] has it by.
    pub name: &'static str,
    /// What every provider has to do.
    pub rule: &'static str,
}

/// Every check there is, in the order they run.
#[must_use]
pub fn catalogue() -> Vec<Rule> {
    CHECKS.iter().map(|check| Rule { name: check.name, rule: check.rule }).collect()
}

/// Runs every check that fits the provider of `fixture`.
pub async fn run(fixture: &dyn ProviderFixture) -> Report {
    run_only(fixture, |_| true).await
}

/// Runs the checks whose names `wanted` picks; the others are not in the report.
pub async fn run_only(fixture: &dyn ProviderFixture, wanted: impl Fn(&str) -> bool) -> Report {
    let subject = fixture.subject();
    let canary = Canary::new(7);
    let blank = Facts::unknown();
    let opening = Case { fixture, subject: &subject, canary: &canary, facts: &blank };
    let facts = match Facts::of(&opening).await {
        Ok(facts) => facts,
        Err(finding) => {
            let mut report = Report::new(format!("{fixture:?}"));
            report.add("the_fixture_works", "The streams of a fresh world can be listed.", Verdict::Failed(finding));
            return report;
        }
    };
    let case = Case { facts: &facts, ..opening };
    let mut report = Report::new(facts.descriptor.name);
    for check in CHECKS.iter().filter(|check| wanted(check.name)) {
        let verdict = match check.needs.iter().find(|need| !need.met(&case)) {
            Some(need) => Verdict::Skipped(need.why().to_owned()),
            None => attempt((check.run)(&case)).await,
        };
        report.add(check.name, check.rule, verdict);
    }
    report
}

impl Facts {
    fn unknown() -> Self {
        Self { descriptor: sync_core::Descriptor::new("unknown", ""), streams: Vec::new(), passthrough: false, campaigns: false }
    }

    async fn of(case: &Case<'_>) -> Result<Self, Finding> {
        let trial = case.trial();
        let provider = &trial.world.provider;
        let streams = provider.streams(&trial.cx).await.map_err(|error| differs("the streams of a fresh world", format!("{error:?}")))?;
        Ok(Self {
            descriptor: provider.descriptor().clone(),
            streams,
            passthrough: provider.as_passthrough().is_some(),
            campaigns: provider.as_campaign_platform().is_some(),
        })
    }
}

/// What a check needs of the provider or the fixture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Pull,
    Full,
    Incremental,
    Token,
    Identity,
    Reads,
    Required,
    Wrong,
    Add,
    Change,
    Remove,
    Unreadable,
    LastDigit,
    Expiry,
    NoPush,
    Push,
    Writes,
    Changed,
    Changes,
    Removes,
    Insert,
    Update,
    Deletes,
    Bad,
    NamedFields,
    Repeatable,
    NotRepeatable,
    Finds,
    NoFinds,
    Passthrough,
    Call,
}

impl Need {
    fn met(self, case: &Case<'_>) -> bool {
        let (subject, told) = (case.subject, &case.facts.descriptor);
        let stream = |name: &sync_core::StreamName| case.facts.streams.iter().find(|stream| stream.name == *name);
        let mode = |wanted| stream(&subject.stream).is_some_and(|stream| stream.mode == wanted);
        let service = |can: fn(&dyn ServiceSide) -> bool| can(&*case.trial().world.service);
        let push = subject.push.as_ref().filter(|_| told.capabilities.push);
        match self {
            Self::Pull => told.capabilities.pull,
            Self::Full => subject.complete,
            Self::Incremental => mode(StreamMode::Incremental),
            Self::Token => told.auth != AuthScheme::None,
            Self::Identity => !subject.identity.is_empty() || !subject.reads.is_empty(),
            Self::Reads => !subject.reads.is_empty(),
            Self::Required => !subject.required_settings.is_empty(),
            Self::Wrong => !subject.wrong_settings.is_empty(),
            Self::Add => service(|service| service.add().is_some()),
            Self::Change => service(|service| service.add().is_some() || service.change().is_some()),
            Self::Remove => service(|service| service.remove().is_some()),
            Self::Unreadable => service(ServiceSide::add_unreadable),
            Self::LastDigit => service(|service| service.add_at_last_digit().is_some()),
            Self::Expiry => subject.expired.is_some() && !subject.reads.is_empty(),
            Self::NoPush => !told.capabilities.push,
            Self::Push => push.is_some_and(|push| push.good.len() >= 3),
            Self::Writes => push.is_some_and(|push| !push.writes.is_empty()),
            Self::Changed => push.is_some_and(|push| push.changed.is_some()),
            Self::Changes => push.is_some_and(|push| push.changed.is_some() && !push.changes.is_empty()),
            Self::Removes => push.is_some_and(|push| push.deletes && !push.removes.is_empty()),
            Self::Insert => told.push.modes.contains(&sync_core::PushMode::Insert),
            Self::Update => told.push.modes.contains(&sync_core::PushMode::Update),
            Self::Deletes => push.is_some_and(|push| push.deletes),
            Self::Bad => push.is_some_and(|push| push.bad.is_some()),
            Self::NamedFields => {
                push.and_then(|push| stream(&push.stream)).is_some_and(|stream| matches!(stream.writes, Writes::Fields(_)))
            }
            Self::Repeatable => told.push.repeatable,
            Self::NotRepeatable => !told.push.repeatable,
            Self::Finds => push.is_some_and(|push| push.finds),
            Self::NoFinds => push.is_some_and(|push| !push.finds),
            Self::Passthrough => case.facts.passthrough,
            Self::Call => subject.passthrough.is_some(),
        }
    }

    /// Why a check that needs this is skipped.
    fn why(self) -> &'static str {
        match self {
            Self::Pull => "the provider does not pull",
            Self::Full => "the fixture says that no read of this stream is complete",
            Self::Incremental => "the stream is read in full each time",
            Self::Token => "the provider has no credential",
            Self::Identity => "the fixture names no operation of its calls",
            Self::Reads => "the fixture names no operation that reads",
            Self::Required => "the fixture names no setting that is required",
            Self::Wrong => "the fixture has no settings that are wrong",
            Self::Add => "the fixture cannot add a record",
            Self::Change => "the fixture can neither add nor change a record",
            Self::Remove => "the fixture cannot remove a record so that a cursor tells",
            Self::Unreadable => "the fixture cannot add an unreadable record",
            Self::LastDigit => "the fixture cannot add a record at the last digit",
            Self::Expiry => "the fixture does not say how cursors expire",
            Self::NoPush => "the provider pushes",
            Self::Push => "the provider does not push, or the fixture has no three records to write",
            Self::Writes => "the fixture names no operation that writes",
            Self::Changed => "the fixture has no changed record",
            Self::Changes => "the fixture names no operation that changes",
            Self::Removes => "the fixture names no operation that deletes",
            Self::Insert => "the provider does not offer insert",
            Self::Update => "the provider does not offer update",
            Self::Deletes => "the fixture says that records cannot be deleted",
            Self::Bad => "the fixture has no bad record",
            Self::NamedFields => "the stream does not name the fields it writes",
            Self::Repeatable => "writes cannot be repeated",
            Self::NotRepeatable => "writes can be repeated",
            Self::Finds => "the fixture says that lost writes cannot be found",
            Self::NoFinds => "lost writes can be found",
            Self::Passthrough => "the provider lets no calls through",
            Self::Call => "the fixture has no call to let through",
        }
    }
}

type Run = for<'a> fn(&'a Case<'a>) -> BoxFuture<'a, Result<(), Finding>>;

struct Check {
    name: &'static str,
    rule: &'static str,
    needs: &'static [Need],
    run: Run,
}

macro_rules! checks {
    ($($module:ident :: $name:ident [$($need:ident)*] $rule:literal;)*) => {
        &[$(Check { name: stringify!($name), rule: $rule, needs: &[$(Need::$need),*], run: |case| Box::pin($module::$name(case)) }),*]
    };
}

#[rustfmt::skip]
const CHECKS: &[Check] = checks! {
    describe::descriptor_is_stable [] "The descriptor is data: the same every time, without a call.";
    describe::descriptor_is_complete [] "The descriptor says what a host needs: title, capabilities, quotas, settings, limits.";
    describe::names_are_well_formed [] "Names of provider and settings are plain; settings, streams and fields are named once.";
    describe::streams_are_repeatable [] "The streams are the same when asked again, the fixed ones among them.";
    describe::partitions_are_repeatable [Pull] "The partitions are the same when asked again.";
    describe::unknown_stream_is_refused [Pull] "A stream that is not there is an error that names it, never an empty page.";
    settings::validating_changes_nothing [] "Proving credentials changes nothing and answers the same account each time.";
    settings::a_bad_token_is_refused [Token Pull] "A token the service refuses is Auth.";
    settings::a_missing_setting_is_named [Required] "A missing setting is Config by its name, before anything is sent.";
    settings::an_unknown_setting_is_named [] "An unknown setting is Config by its name, before anything is sent.";
    settings::a_wrong_setting_is_named [Wrong] "A setting of the wrong type or range is Config by its name, before anything is sent.";
    read::every_record_comes_once [Pull] "A read over all pages brings every record exactly once.";
    read::an_empty_stream_is_read_as_empty [Pull] "A stream without records is read without an error.";
    read::a_page_may_be_asked_for_again [Pull] "A page asked for again is the same page.";
    read::a_full_read_ends_complete [Pull Full] "A whole read without an error ends complete, or nothing gone is ever noticed.";
    read::a_limited_read_is_not_complete [Pull] "A page keeps to the limit, and a read that left records out does not end complete.";
    read::an_unreadable_record_does_not_stop_the_others [Pull Unreadable] "One unreadable record is a failure of its own; the others come.";
    read::a_read_that_fails_never_ends [Pull Reads] "Whichever call of a read fails for good, the read fails and does not end.";
    cursor::a_cursor_brings_what_changed_alone [Pull Incremental Change] "A stored cursor brings what came or changed since, and not the rest.";
    cursor::nothing_new_is_nothing_lost [Pull Incremental Add] "A read that brings nothing keeps the position.";
    cursor::a_read_from_a_cursor_is_not_complete [Pull Incremental] "A read from a cursor never ends complete.";
    cursor::a_removed_record_is_said_to_be_gone [Pull Incremental Remove] "A delete the service reports arrives as a delete.";
    cursor::cursors_are_exact [Pull Incremental LastDigit] "A cursor keeps the service's position to the last digit.";
    cursor::a_cursor_of_another_form_is_expired [Pull Incremental] "A cursor of an unknown version is CursorExpired.";
    cursor::an_expired_cursor_is_said_to_be [Pull Incremental Expiry] "A position the service no longer accepts is CursorExpired.";
    trouble::unreadable_answers_are_errors [Pull Reads] "HTML, empty, cut and huge answers are Decode, never an empty page.";
    trouble::temporary_failures_are_tried_as_often_as_the_policy_says [Pull Reads] "A failing call is made as often as the policy says at most, then it is Transport.";
    trouble::refusals_are_not_tried_again [Pull Reads] "A refusal is of its kind and is not asked for again.";
    trouble::one_failure_is_got_over [Pull Reads] "One temporary failure of a read is got over.";
    trouble::too_many_calls_are_waited_for [Pull Reads] "429 is waited for as long as asked, through Services.";
    trouble::a_long_wait_is_left_to_the_caller [Pull Reads] "A wait past the deadline is not slept but answered, with the wait.";
    trouble::the_deadline_is_kept [Pull Reads] "A peer that stalls meets the deadline.";
    trouble::a_refused_token_is_renewed_once [Pull Token] "After 401 the token is renewed once; a second 401 is Auth.";
    trouble::every_call_is_drawn_from_services [Pull] "Every call draws a permit and asks for a token.";
    trouble::every_permit_is_reported [Pull] "Every permit is given back with how the call went.";
    trouble::buckets_are_declared [Pull] "Calls draw from the descriptor's quotas alone.";
    trouble::a_refused_permit_stops_the_call [Pull] "Without a permit no call is made.";
    trouble::a_dropped_read_breaks_nothing [Pull] "A read dropped at any await leaves the next one whole.";
    secrets::the_token_gets_out_nowhere [Pull Token Identity] "No error, record, Debug or log holds the token, whatever the service repeats.";
    door::a_push_without_the_capability_is_unsupported [NoPush] "Without the capability a push is Unsupported and nothing is sent.";
    door::passthrough_stays_with_the_service [Passthrough] "A call of the host's own leads nowhere but below the base URL.";
    door::passthrough_reads_with_the_connection [Passthrough Call] "A call of the host's own has permit, token, typed errors and no repeat of its own.";
    push::outcomes_equal_items [Push] "One outcome per record, in their order, with the record's id.";
    push::accepted_is_there_once [Push] "What was accepted is at the service exactly once; other records stay as they were.";
    push::no_records_are_no_calls [Push] "An empty batch has no outcomes and changes nothing.";
    push::what_is_there_is_not_written_twice [Push Changed] "A record written again by its id is still there once.";
    push::an_update_by_id_changes_that_record [Push Changed] "A write with an id changes that record and no other one.";
    push::insert_leaves_what_is_there [Push Changed Insert] "Insert skips a record that is there.";
    push::update_makes_nothing_new [Push Update] "Update skips a record that is not there.";
    push::a_delete_removes_that_record [Push Deletes] "A delete removes that record and no other one.";
    push::a_delete_may_be_repeated [Push Deletes] "Deleting what is gone is no failure.";
    push::a_bad_item_fails_alone [Push Bad] "A refused record fails with a lasting reason; the others get through.";
    push::a_foreign_field_is_refused [Push NamedFields] "A field the stream does not write is refused by its name.";
    push::a_stream_to_read_alone_is_not_written [Push] "A stream that is only read, or not there, is not written.";
    push::every_write_is_drawn_from_services [Push] "Every call of a push draws a permit of a declared quota and reports it.";
    push::too_many_writes_are_waited_for [Push Writes] "429 on a write is waited for, or left to the caller, and the record is there once.";
    push::a_refused_token_renewed_writes_once [Push Token] "401 on a write renews the token once and writes once.";
    lost::a_lost_answer_is_unknown [Push Writes] "A write that may have arrived is Unknown, never Failed.";
    lost::nothing_is_sent_twice_by_itself [Push Writes NotRepeatable] "A write that cannot be repeated is not sent again by itself.";
    lost::a_repeatable_write_is_repeated_without_harm [Push Writes Repeatable] "A repeatable write sent again is there once.";
    lost::a_lost_change_may_be_made_again [Push Changes] "A change whose answer was lost is unknown, and made again it is there once.";
    lost::a_lost_delete_may_be_made_again [Push Removes] "A delete whose answer was lost is unknown, can be looked for, and made again it removes nothing else.";
    lost::what_never_left_is_not_unknown [Push Writes] "A write that surely never left fails and may be tried again.";
    lost::a_refusal_is_failed_and_not_unknown [Push Writes] "A write the service refused is Failed.";
    find::a_look_finds_what_arrived [Push Writes Finds] "A look finds what arrived and says Nothing for what did not.";
    find::a_look_that_cannot_tell_says_so [Push NoFinds] "Who cannot look says CannotTell.";
    find::looks_equal_items [Push Finds] "One answer per record looked for, in their order.";
    find::a_look_tells_other_content_apart [Push Finds Changed] "A record with the key but other content is not taken for what was sent.";
    find::a_look_that_fails_is_never_nothing [Push Finds] "A look that failed is an error, never Nothing.";
    lost::the_token_gets_out_of_no_push [Push Token Writes] "No outcome, error or log of a push holds the token.";
};
