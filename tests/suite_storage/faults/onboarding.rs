//! Onboarding, seen by the checks that need storages to keep it.

use syncline::core::{
    RunId,
    store::{Event, OnboardingStep, RunStatus},
};

use crate::{faults::Fault, harm::Harm};

fn advances(event: &Event) -> bool {
    event.body.contains("onboarding-advanced")
}

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "writes down whoever is asked for",
        harm: Harm::WritesDownWhoAsked,
        fails: &["who_is_unknown_has_no_onboarding", "what_is_refused_moves_nobody"],
    },
    Fault { name: "begins again and again", harm: Harm::BeginsAgain, fails: &["seeing_the_first_page_begins_an_onboarding"] },
    Fault {
        name: "counts the connections of nobody",
        harm: Harm::Connect(|new| new.connected_by = None),
        fails: &[
            "seeing_the_first_page_begins_an_onboarding",
            "connecting_moves_to_the_first_sync",
            "healing_counts_nothing_anew",
            "disconnecting_counts_one_less",
            "the_first_sync_completes",
            "each_advance_leaves_one_event",
            "who_arrived_is_told_of_no_more",
            "what_is_refused_moves_nobody",
            "onboardings_are_of_one_workspace",
        ],
    },
    Fault { name: "counts what is healed anew", harm: Harm::HealsAnew, fails: &["healing_counts_nothing_anew"] },
    Fault {
        name: "moves back who has no connection left",
        harm: Harm::Onboarding(|onboarding| {
            if onboarding.services_connected == 0 {
                onboarding.current_step = onboarding.current_step.min(OnboardingStep::ConnectServices);
            }
        }),
        fails: &["disconnecting_counts_one_less", "what_is_refused_moves_nobody"],
    },
    Fault {
        name: "never counts less",
        harm: Harm::Onboarding(|onboarding| onboarding.services_connected = onboarding.services_connected.max(1)),
        fails: &[
            "seeing_the_first_page_begins_an_onboarding",
            "healing_counts_nothing_anew",
            "disconnecting_counts_one_less",
            "what_is_refused_moves_nobody",
            "onboardings_are_of_one_workspace",
        ],
    },
    Fault {
        name: "completes with a run that failed",
        harm: Harm::RunEnd(|end| end.status = RunStatus::Completed),
        fails: &["the_first_sync_completes", "an_advance_is_told_to_whoever_made_it"],
    },
    Fault {
        name: "completes with no run",
        harm: Harm::RunEnd(|end| {
            if end.status == RunStatus::Completed {
                end.status = RunStatus::Cancelled;
            }
        }),
        fails: &[
            "the_first_sync_completes",
            "each_advance_leaves_one_event",
            "who_arrived_is_told_of_no_more",
            "an_advance_is_told_to_whoever_made_it",
            "of_many_first_syncs_one_completes",
            "onboardings_are_of_one_workspace",
        ],
    },
    Fault {
        name: "forgets when it was completed",
        harm: Harm::Onboarding(|onboarding| onboarding.completed_at = None),
        fails: &["the_first_sync_completes", "an_advance_is_told_to_whoever_made_it"],
    },
    Fault {
        name: "leaves no events",
        harm: Harm::Events(|events| events.retain(|event| !advances(event))),
        fails: &[
            "seeing_the_first_page_begins_an_onboarding",
            "healing_counts_nothing_anew",
            "disconnecting_counts_one_less",
            "each_advance_leaves_one_event",
            "who_arrived_is_told_of_no_more",
            "what_is_refused_moves_nobody",
            "of_many_first_syncs_one_completes",
            "onboardings_are_of_one_workspace",
        ],
    },
    Fault {
        name: "leaves an event of completion twice",
        harm: Harm::Events(|events| {
            let again: Vec<Event> = events.iter().filter(|event| event.body.contains("\"completed\"")).cloned().collect();
            events.extend(again);
        }),
        fails: &["each_advance_leaves_one_event", "who_arrived_is_told_of_no_more", "of_many_first_syncs_one_completes"],
    },
    Fault {
        name: "tells the newest event first",
        harm: Harm::Events(|events| events.reverse()),
        fails: &[
            "seeing_the_first_page_begins_an_onboarding",
            "healing_counts_nothing_anew",
            "disconnecting_counts_one_less",
            "each_advance_leaves_one_event",
            "who_arrived_is_told_of_no_more",
            "of_many_first_syncs_one_completes",
        ],
    },
    Fault {
        name: "gives advances a run",
        harm: Harm::Events(|events| events.iter_mut().filter(|event| advances(event)).for_each(|event| event.run = Some(RunId(1)))),
        fails: &[
            "seeing_the_first_page_begins_an_onboarding",
            "healing_counts_nothing_anew",
            "disconnecting_counts_one_less",
            "each_advance_leaves_one_event",
            "who_arrived_is_told_of_no_more",
            "what_is_refused_moves_nobody",
            "of_many_first_syncs_one_completes",
            "onboardings_are_of_one_workspace",
        ],
    },
    Fault { name: "connects what it refuses", harm: Harm::TakesForeignSeals, fails: &["what_is_refused_moves_nobody"] },
    Fault {
        name: "does not tell who advanced",
        harm: Harm::TellsNothing,
        fails: &["an_advance_is_told_to_whoever_made_it", "of_many_first_syncs_one_completes"],
    },
    Fault {
        name: "tells of everybody who connects",
        harm: Harm::TellsAlways,
        fails: &["an_advance_is_told_to_whoever_made_it", "of_many_first_syncs_one_completes"],
    },
    Fault { name: "sees the onboarding of others", harm: Harm::Leaks("onboarding"), fails: &["onboardings_are_of_one_workspace"] },
    Fault { name: "moves the onboarding of others", harm: Harm::Leaks("begin_onboarding"), fails: &["onboardings_are_of_one_workspace"] },
];
