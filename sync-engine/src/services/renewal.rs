//! When a token is renewed, as a function of what is stored and the time.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sync_core::{
    Delivery, Error, ErrorKind, RefreshRule,
    store::{Renewal, SealedCredentials},
};

/// A token with less life than this is renewed at its next use (TS4).
const AHEAD: chrono::Duration = chrono::Duration::minutes(5);
/// After a failed attempt nobody tries again for so long.
pub(super) const COOLDOWN: Duration = Duration::from_secs(30);
/// After failing for so long the connection is given up until somebody connects it again.
const GIVEN_UP: chrono::Duration = chrono::Duration::days(4);
/// Attempts further apart than this do not show that the service failed all the time between them. One a day does.
const PAUSE: chrono::Duration = chrono::Duration::hours(36);

/// What to do with the token there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Send it.
    Good,
    /// Renew it; if that fails and it is `alive`, it may still be sent.
    Renew { alive: bool },
    /// There is need of a newer one, and the last attempt to renew it failed: not again before then.
    NotBefore(DateTime<Utc>),
    /// It has ended or was refused, and so was the grant.
    Revoked { at: DateTime<Utc> },
    /// Renewing it has failed for days.
    GivenUp { since: DateTime<Utc> },
    /// It has ended, and there is nothing to renew it with.
    Ended,
    /// The service refused it, and there is nothing to renew it with.
    Refused,
    /// It lives, and there is nothing to renew it with.
    Bare,
    /// It lives until `end`, and the answer to an attempt was lost: the refresh token may be spent, and sending it again end the grant.
    Doubtful { since: DateTime<Utc>, end: Option<DateTime<Utc>> },
}

/// What a caller wants of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// One to send now.
    Now,
    /// One to send now, and newer than this version, which the service has refused.
    Newer(u64),
    /// A newer one than this version, which nobody has refused: somebody asks for it whatever was found before.
    Asked(u64),
    /// None to send now: one newer than this version, where that ends within a time. A version that others have made since will do.
    Lasting { seen: u64, least: chrono::Duration },
}

/// What is stored, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored<'a> {
    pub(super) credentials: &'a SealedCredentials,
    pub(super) renewal: &'a Renewal,
    /// What becomes of the refresh token; `None` when the provider renews nothing.
    pub(super) rule: Option<RefreshRule>,
}

/// Judges a token.
pub(super) fn judge(stored: Stored<'_>, need: Need, now: DateTime<Utc>) -> Verdict {
    let Stored { credentials, renewal, rule } = stored;
    // A newer version than the refused one is another caller's fresh token.
    let refused = matches!(need, Need::Newer(version) if credentials.version <= version);
    let asked = matches!(need, Need::Asked(version) if credentials.version <= version);
    let dead = refused || credentials.expires_at.is_some_and(|end| end <= now);
    let Some(rule) = rule.filter(|_| credentials.grant.is_some()) else {
        return match (dead, refused) {
            (false, _) if asked => Verdict::Bare,
            (false, _) => Verdict::Good,
            (true, true) => Verdict::Refused,
            (true, false) => Verdict::Ended,
        };
    };
    if asked {
        let doubt = renewal.underway_since.filter(|_| !dead && rule == RefreshRule::Rotated);
        return match (renewal.not_before.filter(|end| *end > now), doubt) {
            (Some(end), _) => Verdict::NotBefore(end),
            (None, Some(since)) => Verdict::Doubtful { since, end: credentials.expires_at },
            (None, None) => Verdict::Renew { alive: false },
        };
    }
    let ahead = match need {
        Need::Lasting { seen, least } if credentials.version <= seen => ahead(credentials).max(least),
        _ => ahead(credentials),
    };
    if !dead && credentials.expires_at.is_none_or(|end| end - now >= ahead) {
        return Verdict::Good;
    }
    if let Some(at) = renewal.refused_at {
        return if dead { Verdict::Revoked { at } } else { Verdict::Good };
    }
    if let Some(since) = given_up(renewal) {
        return if dead { Verdict::GivenUp { since } } else { Verdict::Good };
    }
    if let Some(end) = renewal.not_before.filter(|end| *end > now) {
        return if dead { Verdict::NotBefore(end) } else { Verdict::Good };
    }
    // The answer of an attempt was lost. Using a rotated refresh token again may revoke the grant, so the token there is serves to its end.
    if !dead && rule == RefreshRule::Rotated && renewal.underway_since.is_some() {
        return Verdict::Good;
    }
    Verdict::Renew { alive: !dead }
}

/// Since when renewing has failed, where that was long enough to give up: by attempts over that time, not by time that went by.
pub(crate) fn given_up(renewal: &Renewal) -> Option<DateTime<Utc>> {
    renewal.failing_since.zip(renewal.failed_at).filter(|(since, last)| *last - *since >= GIVEN_UP).map(|(since, _)| since)
}

/// What is kept of an attempt that failed and did not say that the grant is gone.
pub(super) fn failed(before: &Renewal, error: &Error, now: DateTime<Utc>) -> Renewal {
    let noted = Renewal {
        not_before: Some(now + COOLDOWN),
        // An answer that was lost before is not found by an attempt that fails.
        underway_since: if error.delivery() == Delivery::Unknown { Some(now) } else { before.underway_since },
        error_kind: Some(error.kind()),
        ..*before
    };
    if !of_the_service(error) {
        return noted;
    }
    let since = before.failing_since.zip(before.failed_at).filter(|(_, last)| now - *last <= PAUSE).map(|(since, _)| since);
    let failures = since.map_or(0, |_| before.failures).saturating_add(1);
    Renewal { failing_since: since.or(Some(now)), failed_at: Some(now), failures, ..noted }
}

/// Whether it was the service that failed: then asking the user again may help one day. What the host has to mend, and what never left,
/// says nothing about the grant.
fn of_the_service(error: &Error) -> bool {
    use ErrorKind::{Cancelled, CircuitOpen, Config, Internal, Key, LeaseLost, Storage, Unsupported};
    error.delivery() != Delivery::NotSent
        && !matches!(error.kind(), Config | Key | Storage | Internal | Unsupported | Cancelled | CircuitOpen | LeaseLost)
}

/// How long before its end a token is renewed: 5 minutes or a fifth of its life, but never more than half of it.
fn ahead(credentials: &SealedCredentials) -> chrono::Duration {
    match (credentials.issued_at, credentials.expires_at) {
        (Some(issued), Some(end)) if end > issued => AHEAD.max((end - issued) / 5).min((end - issued) / 2),
        _ => AHEAD,
    }
}

#[cfg(test)]
mod tests {
    use sync_core::GrantKind;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_000_000 + seconds, 0).expect("a time")
    }

    fn credentials(life: i64) -> SealedCredentials {
        SealedCredentials {
            access: vec![1],
            refresh: Some(vec![2]),
            grant: Some(GrantKind::RefreshToken),
            scopes: None,
            client_id: None,
            issued_at: Some(at(0)),
            expires_at: Some(at(life)),
            version: 3,
        }
    }

    fn judged(credentials: &SealedCredentials, renewal: Renewal, rejected: Option<u64>, now: i64) -> Verdict {
        let need = rejected.map_or(Need::Now, Need::Newer);
        judge(Stored { credentials, renewal: &renewal, rule: Some(RefreshRule::Kept) }, need, at(now))
    }

    #[test]
    fn a_token_is_renewed_five_minutes_or_a_fifth_of_its_life_ahead() {
        let quiet = Renewal::default();
        for (life, good_at, due_at) in [
            // an hour: a fifth is 12 minutes
            (3600, 3600 - 721, 3600 - 719),
            // 20 minutes: 5 minutes are more than a fifth
            (1200, 1200 - 301, 1200 - 299),
            // a minute: half of it, so that it is used at all
            (60, 29, 31),
        ] {
            assert_eq!(judged(&credentials(life), quiet, None, good_at), Verdict::Good, "{life} at {good_at}");
            assert_eq!(judged(&credentials(life), quiet, None, due_at), Verdict::Renew { alive: true }, "{life} at {due_at}");
            assert_eq!(judged(&credentials(life), quiet, None, life), Verdict::Renew { alive: false }, "{life} at its end");
        }
        let unknown_issue = SealedCredentials { issued_at: None, ..credentials(3600) };
        assert_eq!(judged(&unknown_issue, quiet, None, 3600 - 301), Verdict::Good);
        assert_eq!(judged(&unknown_issue, quiet, None, 3600 - 299), Verdict::Renew { alive: true });
    }

    #[test]
    fn a_tick_renews_what_would_end_before_the_next_one_but_not_what_others_have_renewed() {
        let quiet = Renewal::default();
        let due = |life, now, seen| {
            let need = Need::Lasting { seen, least: chrono::Duration::minutes(20) };
            judge(Stored { credentials: &credentials(life), renewal: &quiet, rule: Some(RefreshRule::Rotated) }, need, at(now))
        };
        assert_eq!(due(3600, 3600 - 1200, 3), Verdict::Good);
        assert_eq!(due(3600, 3600 - 1199, 3), Verdict::Renew { alive: true });
        assert_eq!(due(3600, 3600, 3), Verdict::Renew { alive: false });
        // However short its life, or each process whose tick comes next would renew it again.
        assert_eq!(due(600, 0, 3), Verdict::Renew { alive: true });
        assert_eq!(due(600, 0, 2), Verdict::Good);
        let failed = Renewal { failing_since: Some(at(0)), not_before: Some(at(3000)), ..Renewal::default() };
        let need = Need::Lasting { seen: 3, least: chrono::Duration::minutes(20) };
        let stored = credentials(3600);
        let cooling = judge(Stored { credentials: &stored, renewal: &failed, rule: Some(RefreshRule::Kept) }, need, at(2999));
        assert_eq!(cooling, Verdict::Good, "the service is left alone");
    }

    #[test]
    fn an_unknown_end_is_no_end() {
        let endless = SealedCredentials { expires_at: None, ..credentials(1) };
        assert_eq!(judged(&endless, Renewal::default(), None, 1_000_000_000), Verdict::Good);
    }

    #[test]
    fn a_refused_token_is_renewed_unless_a_newer_one_is_there() {
        let quiet = Renewal::default();
        assert_eq!(judged(&credentials(3600), quiet, Some(3), 1), Verdict::Renew { alive: false });
        assert_eq!(judged(&credentials(3600), quiet, Some(2), 1), Verdict::Good);
    }

    #[test]
    fn what_cannot_be_renewed_serves_to_its_end() {
        let bare = SealedCredentials { refresh: None, grant: None, ..credentials(60) };
        let quiet = Renewal::default();
        assert_eq!(judged(&bare, quiet, None, 59), Verdict::Good);
        assert_eq!(judged(&bare, quiet, None, 60), Verdict::Ended);
        assert_eq!(judged(&bare, quiet, Some(3), 1), Verdict::Refused);
        let no_role = judge(Stored { credentials: &credentials(60), renewal: &quiet, rule: None }, Need::Now, at(60));
        assert_eq!(no_role, Verdict::Ended, "a provider without OAuth renews nothing");
    }

    #[test]
    fn after_a_failure_nobody_tries_for_half_a_minute() {
        let failed = Renewal { failing_since: Some(at(3500)), failed_at: Some(at(3500)), not_before: Some(at(3530)), ..Renewal::default() };
        assert_eq!(judged(&credentials(3600), failed, None, 3529), Verdict::Good, "the old one still serves");
        assert_eq!(judged(&credentials(3600), failed, None, 3530), Verdict::Renew { alive: true });
        assert_eq!(judged(&credentials(3500), failed, None, 3529), Verdict::NotBefore(at(3530)));
    }

    const DAY: i64 = 24 * 3600;

    fn down() -> Error {
        Error::new(ErrorKind::Transport, "token", "503")
    }

    /// What is kept after failures at these times.
    fn after(failures: &[(i64, Error)]) -> Renewal {
        failures.iter().fold(Renewal::default(), |before, (second, error)| failed(&before, error, at(*second)))
    }

    #[test]
    fn a_service_is_given_up_after_failing_over_four_days_and_not_after_four_days_without_an_attempt() {
        let judged = |renewal, now| judged(&credentials(0), renewal, None, now);
        let once = after(&[(0, down())]);
        assert_eq!(judged(once, 100 * DAY), Verdict::Renew { alive: false }, "nobody has asked since");
        let daily: Vec<_> = (0..=4).map(|day| (day * DAY, down())).collect();
        assert_eq!(judged(after(&daily[..4]), 3 * DAY + 60), Verdict::Renew { alive: false }, "three days");
        assert_eq!(judged(after(&daily), 4 * DAY + 60), Verdict::GivenUp { since: at(0) });
        assert_eq!(after(&daily).failures, 5);
        let gap = after(&[(0, down()), (DAY, down()), (5 * DAY, down())]);
        assert_eq!((gap.failing_since, gap.failures), (Some(at(5 * DAY)), 1), "nobody knows what was between");
        assert_eq!(judged(gap, 5 * DAY + 60), Verdict::Renew { alive: false });
    }

    #[test]
    fn what_the_host_has_to_mend_and_what_never_left_gives_nothing_up() {
        use ErrorKind::{Cancelled, CircuitOpen, Config, Decode, Forbidden, Internal, Invalid, Key, RateLimited, Storage, Transport};
        let answered = |kind| Error::new(kind, "token", "no");
        for (error, counts) in [
            (answered(Transport), true),
            (answered(Transport).with_delivery(Delivery::Unknown), true),
            (answered(Transport).with_delivery(Delivery::NotSent), false),
            (answered(Decode), true),
            (answered(Forbidden), true),
            (answered(Invalid), true),
            (answered(RateLimited), true),
            (answered(Config), false),
            (answered(Key), false),
            (answered(Storage), false),
            (answered(Internal), false),
            (answered(CircuitOpen), false),
            (answered(Cancelled), false),
        ] {
            let what = format!("{error:?}");
            let kind = error.kind();
            let first = failed(&Renewal::default(), &error, at(0));
            assert_eq!((first.failing_since.is_some(), first.failures), (counts, u32::from(counts)), "{what}");
            assert_eq!((first.error_kind, first.not_before), (Some(kind), Some(at(30))), "{what}");
            let days = (0..=40).fold(first, |before, n| failed(&before, &error, at(n * DAY / 4)));
            assert_eq!(given_up(&days), counts.then(|| at(0)), "{what}");
        }
        // Between failures of the service they neither count nor end the streak.
        let mixed = after(&[(0, down()), (DAY, answered(Config)), (DAY + 60, down())]);
        assert_eq!((mixed.failing_since, mixed.failures, mixed.error_kind), (Some(at(0)), 2, Some(Transport)));
    }

    #[test]
    fn who_asks_for_a_renewal_gets_one_attempt_whatever_was_found_before() {
        let stored = credentials(3600);
        let asked =
            |renewal: Renewal, seen, rule, now| judge(Stored { credentials: &stored, renewal: &renewal, rule }, Need::Asked(seen), at(now));
        let (kept, rotated) = (Some(RefreshRule::Kept), Some(RefreshRule::Rotated));
        let attempt = Verdict::Renew { alive: false };
        assert_eq!(asked(Renewal::default(), 3, kept, 1), attempt, "the token lives");
        assert_eq!(asked(Renewal::default(), 2, kept, 1), Verdict::Good, "others have renewed it since");
        let daily: Vec<_> = (0..=4).map(|day| (day * DAY, down())).collect();
        assert_eq!(asked(after(&daily), 3, kept, 9 * DAY), attempt, "it was given up");
        assert_eq!(asked(Renewal { refused_at: Some(at(1)), ..Renewal::default() }, 3, kept, 9), attempt, "it was refused");
        assert_eq!(asked(after(&[(5, down())]), 3, kept, 34), Verdict::NotBefore(at(35)), "the service is left alone");
        assert_eq!(asked(Renewal::default(), 3, None, 9), Verdict::Bare);
        assert_eq!(asked(Renewal::default(), 3, None, 3600), Verdict::Ended);
        let lost = Renewal { underway_since: Some(at(7)), ..Renewal::default() };
        assert_eq!(asked(lost, 3, rotated, 3599), Verdict::Doubtful { since: at(7), end: Some(at(3600)) });
        assert_eq!(asked(lost, 3, rotated, 3600), attempt, "there is nothing to lose any more");
        assert_eq!(asked(lost, 3, kept, 9), attempt, "a token that stays may be sent again");
    }

    proptest::proptest! {
        #[test]
        fn whatever_the_attempts_given_up_is_only_what_failed_for_four_days_without_a_longer_pause(
            pauses in proptest::collection::vec(30..3 * DAY, 0..20)
        ) {
            let (mut now, mut note, mut times) = (0, Renewal::default(), Vec::new());
            for pause in pauses {
                now += pause;
                note = failed(&note, &down(), at(now));
                times.push(now);
            }
            let mut first = now;
            for two in times.windows(2).rev() {
                if two[1] - two[0] > 36 * 3600 {
                    break;
                }
                first = two[0];
            }
            let expected = (now - first >= 4 * DAY).then(|| at(first));
            proptest::prop_assert_eq!(given_up(&note), expected);
        }
    }

    #[test]
    fn a_grant_that_was_refused_is_not_tried_again() {
        let refused = Renewal { refused_at: Some(at(10)), ..Renewal::default() };
        assert_eq!(judged(&credentials(3600), refused, None, 3599), Verdict::Good, "the last token serves to its end");
        assert_eq!(judged(&credentials(3600), refused, None, 3600), Verdict::Revoked { at: at(10) });
        assert_eq!(judged(&credentials(3600), refused, Some(3), 20), Verdict::Revoked { at: at(10) });
    }

    #[test]
    fn a_rotated_refresh_token_whose_answer_was_lost_is_not_used_while_the_access_token_lives() {
        let lost = Renewal { underway_since: Some(at(0)), ..Renewal::default() };
        let stored = credentials(3600);
        let judged = |rule, now| judge(Stored { credentials: &stored, renewal: &lost, rule: Some(rule) }, Need::Now, at(now));
        assert_eq!(judged(RefreshRule::Rotated, 3599), Verdict::Good);
        assert_eq!(judged(RefreshRule::Rotated, 3600), Verdict::Renew { alive: false });
        assert_eq!(judged(RefreshRule::Kept, 3599), Verdict::Renew { alive: true });
    }
}
