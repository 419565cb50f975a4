//! Every fault that is planted into the reference provider, and the checks it has to turn red: those and no others.

use crate::reference::Style::{self, Blind, Ids, Keyed, ReadOnly};

macro_rules! planted {
    ($($name:ident in $style:ident [$($check:ident)*];)*) => {
        /// One thing the reference provider does wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Planted {
            $($name),*
        }

        /// The fault, the style of provider it is planted in, and the checks that fail.
        pub(crate) const TABLE: &[(Planted, Style, &[&str])] = &[$((Planted::$name, $style, &[$(stringify!($check)),*])),*];
    };
}

planted! {
    DescriptorMoves in Ids [descriptor_is_stable];
    NoTitle in Ids [descriptor_is_complete];
    SpacedName in Ids [names_are_well_formed];
    StreamsDiffer in Ids [streams_are_repeatable];
    PartitionsDiffer in Ids [partitions_are_repeatable];
    EmptyForUnknownStream in Ids [unknown_stream_is_refused];
    ValidatesByWriting in Ids [validating_changes_nothing];
    ValidatesWithoutAsking in Ids [a_bad_token_is_refused];
    ForgetsRequiredSetting in Ids [a_missing_setting_is_named];
    TakesAnySetting in Ids [an_unknown_setting_is_named];
    GuessesWrongSettings in Ids [a_wrong_setting_is_named];
    LosesTheLast in Ids [every_record_comes_once an_unreadable_record_does_not_stop_the_others a_cursor_brings_what_changed_alone an_expired_cursor_is_said_to_be one_failure_is_got_over too_many_calls_are_waited_for a_refused_token_is_renewed_once a_dropped_read_breaks_nothing];
    RefusesEmpty in Ids [an_empty_stream_is_read_as_empty];
    PagesDiffer in Ids [a_page_may_be_asked_for_again];
    NeverComplete in Ids [a_full_read_ends_complete];
    CompleteDespiteLimit in Ids [a_limited_read_is_not_complete];
    IgnoresLimit in Ids [a_limited_read_is_not_complete];
    AlwaysComplete in Ids [a_limited_read_is_not_complete a_read_from_a_cursor_is_not_complete];
    StopsAtUnreadable in Ids [an_unreadable_record_does_not_stop_the_others];
    SwallowsLaterFailures in Ids [a_read_that_fails_never_ends];
    IgnoresCursor in Ids [a_cursor_brings_what_changed_alone nothing_new_is_nothing_lost a_removed_record_is_said_to_be_gone a_cursor_of_another_form_is_expired];
    JumpsAhead in Ids [nothing_new_is_nothing_lost];
    ForgetsDeletes in Ids [a_removed_record_is_said_to_be_gone];
    FloatsCursors in Ids [a_removed_record_is_said_to_be_gone cursors_are_exact];
    TakesAnyCursor in Ids [a_cursor_of_another_form_is_expired];
    TakesGoneForMissing in Ids [an_expired_cursor_is_said_to_be];
    EmptyForUnreadable in Ids [unreadable_answers_are_errors];
    TriesTooOften in Ids [temporary_failures_are_tried_as_often_as_the_policy_says];
    TakesRefusalsForTrouble in Ids [refusals_are_not_tried_again a_delete_may_be_repeated a_lost_delete_may_be_made_again a_refusal_is_failed_and_not_unknown];
    NeverTriesAgain in Ids [one_failure_is_got_over too_many_calls_are_waited_for a_long_wait_is_left_to_the_caller every_permit_is_reported too_many_writes_are_waited_for];
    WaitsOneSecond in Ids [too_many_calls_are_waited_for a_long_wait_is_left_to_the_caller too_many_writes_are_waited_for];
    SleepsForHours in Ids [a_long_wait_is_left_to_the_caller the_deadline_is_kept];
    TakesUnauthorisedForForbidden in Ids [a_bad_token_is_refused a_refused_token_is_renewed_once passthrough_reads_with_the_connection a_refused_token_renewed_writes_once];
    CallsWithoutPermit in Ids [every_call_is_drawn_from_services];
    DropsPermits in Ids [every_call_is_drawn_from_services every_permit_is_reported];
    DrawsElsewhere in Ids [buckets_are_declared];
    IgnoresRefusedPermit in Ids [a_refused_permit_stops_the_call];
    StaysBusy in Ids [a_dropped_read_breaks_nothing];
    TokenInErrors in Ids [the_token_gets_out_nowhere];
    TokenInLogs in Ids [the_token_gets_out_nowhere];
    SwallowsPushes in ReadOnly [a_push_without_the_capability_is_unsupported];
    PassesAnywhere in Ids [passthrough_stays_with_the_service];
    PassesTwice in Ids [passthrough_reads_with_the_connection];
    ReversesOutcomes in Ids [outcomes_equal_items an_update_by_id_changes_that_record a_delete_removes_that_record a_lost_change_may_be_made_again a_lost_delete_may_be_made_again];
    WritesTwice in Ids [accepted_is_there_once what_is_there_is_not_written_twice an_update_by_id_changes_that_record insert_leaves_what_is_there a_delete_removes_that_record a_bad_item_fails_alone every_write_is_drawn_from_services too_many_writes_are_waited_for a_lost_answer_is_unknown nothing_is_sent_twice_by_itself a_lost_change_may_be_made_again a_lost_delete_may_be_made_again what_never_left_is_not_unknown looks_equal_items];
    RefusesNoItems in Ids [no_records_are_no_calls];
    IgnoresIds in Ids [what_is_there_is_not_written_twice an_update_by_id_changes_that_record insert_leaves_what_is_there a_lost_change_may_be_made_again];
    UpdatesTheWrongFields in Ids [what_is_there_is_not_written_twice an_update_by_id_changes_that_record a_lost_change_may_be_made_again];
    InsertOverwrites in Keyed [insert_leaves_what_is_there];
    UpdateCreates in Keyed [update_makes_nothing_new];
    OnlySaysDeleted in Ids [a_delete_removes_that_record a_lost_delete_may_be_made_again];
    GoneIsFailed in Ids [a_delete_may_be_repeated a_lost_delete_may_be_made_again];
    BadItemStopsOthers in Ids [a_bad_item_fails_alone];
    BadIsTemporary in Ids [a_bad_item_fails_alone];
    DropsForeignFields in Ids [a_foreign_field_is_refused];
    WritesAnyStream in Ids [a_stream_to_read_alone_is_not_written];
    WritesWithoutPermit in Ids [every_write_is_drawn_from_services];
    LimitedIsUnknown in Ids [too_many_writes_are_waited_for];
    AuthIsUnknown in Ids [a_refused_token_renewed_writes_once];
    LostIsFailed in Ids [a_lost_answer_is_unknown a_lost_change_may_be_made_again a_lost_delete_may_be_made_again];
    RepeatsCreates in Ids [a_lost_answer_is_unknown nothing_is_sent_twice_by_itself a_look_finds_what_arrived];
    AppendsWhatIsKeyed in Keyed [outcomes_equal_items what_is_there_is_not_written_twice an_update_by_id_changes_that_record insert_leaves_what_is_there update_makes_nothing_new a_lost_answer_is_unknown a_repeatable_write_is_repeated_without_harm a_lost_change_may_be_made_again what_never_left_is_not_unknown a_refusal_is_failed_and_not_unknown a_look_finds_what_arrived the_token_gets_out_of_no_push];
    LostChangeIsFailed in Ids [a_lost_change_may_be_made_again];
    LostDeleteIsDone in Ids [a_lost_delete_may_be_made_again];
    FindsDeletesByMarker in Ids [a_lost_delete_may_be_made_again];
    NotSentIsUnknown in Ids [what_never_left_is_not_unknown];
    NotSentIsFinal in Ids [what_never_left_is_not_unknown];
    AllFailuresAreUnknown in Ids [a_bad_item_fails_alone a_foreign_field_is_refused too_many_writes_are_waited_for a_refused_token_renewed_writes_once what_never_left_is_not_unknown a_refusal_is_failed_and_not_unknown the_token_gets_out_of_no_push];
    FindsNothing in Ids [a_lost_delete_may_be_made_again a_look_finds_what_arrived looks_equal_items a_look_that_fails_is_never_nothing];
    BlindSaysNothing in Blind [a_look_that_cannot_tell_says_so];
    LooksOnce in Ids [looks_equal_items];
    TakesOtherForSent in Keyed [a_look_tells_other_content_apart];
    FailedLookIsNothing in Ids [a_look_that_fails_is_never_nothing];
    TokenInOutcomes in Ids [the_token_gets_out_of_no_push];
}
