//! When a token is renewed, as a function of what is stored and the time.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sync_core::{
    RefreshRule,
    store::{Renewal, SealedCredentials},
};

/// A token with less life than this is renewed at its next use (TS4).
const AHEAD: chrono::Duration = chrono::Duration::minutes(5);
/// After a failed attempt nobody tries again for so long.
pub(super) const COOLDOWN: Duration = Duration::from_secs(30);
/// After so long without a success the connection is given up until somebody connects it again.
const GIVEN_UP: chrono::Duration = chrono::Duration::days(4);

/// What to do with the token there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Send it.
    Good,
    /// Renew it; if that fails and it is `alive`, it may still be sent.
    Renew { alive: bool },
    /// It has ended or was refused, and the last attempt to renew it failed: not again before then.
    NotBefore(DateTime<Utc>),
    /// It has ended or was refused, and so was the grant.
    Revoked { at: DateTime<Utc> },
    /// Renewing it has failed for days.
    GivenUp { since: DateTime<Utc> },
    /// It has ended, and there is nothing to renew it with.
    Ended,
    /// The service refused it, and there is nothing to renew it with.
    Refused,
}

/// What a caller wants of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// One to send now.
    Now,
    /// One to send now, and newer than this version, which the service has refused.
    Newer(u64),
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
    let dead = refused || credentials.expires_at.is_some_and(|end| end <= now);
    let Some(rule) = rule.filter(|_| credentials.grant.is_some()) else {
        return match (dead, refused) {
            (false, _) => Verdict::Good,
            (true, true) => Verdict::Refused,
            (true, false) => Verdict::Ended,
        };
    };
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
    if let Some(since) = renewal.failing_since.filter(|since| now - *since >= GIVEN_UP) {
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
    fn after_a_failure_nobody_tries_for_half_a_minute_and_after_four_days_nobody_does() {
        let failed = Renewal { failing_since: Some(at(3500)), not_before: Some(at(3530)), ..Renewal::default() };
        assert_eq!(judged(&credentials(3600), failed, None, 3529), Verdict::Good, "the old one still serves");
        assert_eq!(judged(&credentials(3600), failed, None, 3530), Verdict::Renew { alive: true });
        assert_eq!(judged(&credentials(3500), failed, None, 3529), Verdict::NotBefore(at(3530)));
        let days = 4 * 24 * 3600;
        assert_eq!(judged(&credentials(3600), failed, None, 3500 + days - 1), Verdict::Renew { alive: false });
        assert_eq!(judged(&credentials(3600), failed, None, 3500 + days), Verdict::GivenUp { since: at(3500) });
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
