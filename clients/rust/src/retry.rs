//! What to do after a connection ended: a pure function of the close table. Whoever calls brings time and randomness.

use std::time::Duration;

use signal_wire::{
    backoff::Backoff,
    close::{CloseCode, Retry as Rule},
    message::error::AUTHENTICATION_ERROR,
};
use tokio::time::Instant;

use crate::{disconnect::Disconnect, session::OpenError};

/// A draining edge that announces more than this is mistaken; the client would seem dead.
const LONGEST_ANNOUNCEMENT: Duration = Duration::from_secs(300);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    Wait(Duration),
    Stop,
}

/// What holds for a token that was presented before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SameToken {
    Present,
    /// It has expired: a later one will come.
    AskLater,
    /// It was refused: nothing will come of it.
    Stop,
}

#[derive(Debug)]
pub(crate) struct Retry {
    backoff: Backoff,
    /// A connection that held for less has not ended a series of failures.
    stable_after: Duration,
    failures: u32,
    same_token: SameToken,
    connected_at: Option<Instant>,
    announced: Option<Instant>,
}

impl Retry {
    pub(crate) fn new(backoff: Backoff, stable_after: Duration) -> Self {
        let same_token = SameToken::Present;
        Self { backoff, stable_after, failures: 0, same_token, connected_at: None, announced: None }
    }

    /// Whether a token may be presented; `same` says that it is the one before.
    pub(crate) fn may_present(&mut self, same: bool) -> bool {
        if !same {
            // Only another token lifts the rule: a socket that broke meanwhile does not make the old one better.
            self.same_token = SameToken::Present;
        }
        self.same_token == SameToken::Present
    }

    pub(crate) fn connected(&mut self, now: Instant) {
        self.connected_at = Some(now);
    }

    /// The edge asks to come back after `delay`.
    pub(crate) fn announced(&mut self, now: Instant, delay: Duration) -> Instant {
        *self.announced.insert(now + delay.min(LONGEST_ANNOUNCEMENT))
    }

    /// `random` is uniform over all of `u32`.
    pub(crate) fn after(&mut self, disconnect: &Disconnect, now: Instant, random: u32) -> Plan {
        let stable = self.connected_at.take().is_some_and(|since| now - since >= self.stable_after);
        let announced = self.announced.take();
        if stable {
            self.failures = 0;
        }
        let backoff = Plan::Wait(self.backoff.delay(self.failures, random));
        self.failures = self.failures.saturating_add(1);
        let code = match disconnect {
            Disconnect::Closed(close) => close.known(),
            Disconnect::Open(OpenError::Refused { close, said }) => match said.as_deref() {
                // The token could not be checked, which says nothing about the token.
                Some(AUTHENTICATION_ERROR) => None,
                _ => close.known(),
            },
            Disconnect::Draining => Some(CloseCode::ServerShutdown),
            Disconnect::RefusedToken if self.same_token == SameToken::Stop => return Plan::Stop,
            Disconnect::RefusedToken
            | Disconnect::Open(_)
            | Disconnect::Broken(_)
            | Disconnect::Silent(_)
            // Told 4006, a client has a fault that stays; here the fault is on the way, which may be another next time.
            | Disconnect::Violation(_)
            | Disconnect::Token(_) => None,
        };
        match code.map(CloseCode::retry) {
            None | Some(Rule::Yes | Rule::ThenResync) => backoff,
            Some(Rule::No) => Plan::Stop,
            Some(Rule::AfterAnnouncedDelay) => match announced {
                Some(at) => Plan::Wait(at.saturating_duration_since(now)),
                None => backoff,
            },
            Some(Rule::WithFreshToken) => {
                self.same_token = SameToken::AskLater;
                backoff
            }
            Some(Rule::OnlyWithAnotherToken) => {
                self.same_token = SameToken::Stop;
                backoff
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        disconnect::Close,
        session::{FrameProblem, IdentityError},
    };

    const BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
    const STABLE: Duration = Duration::from_secs(10);

    fn retry() -> Retry {
        Retry::new(BACKOFF, STABLE)
    }

    fn closed(code: u16) -> Disconnect {
        Disconnect::Closed(Close { code, reason: String::new() })
    }

    fn refused(said: &str) -> Disconnect {
        let close = Close { code: 4003, reason: String::new() };
        Disconnect::Open(OpenError::Refused { close, said: Some(said.to_owned()) })
    }

    fn wait(seconds: u64) -> Plan {
        Plan::Wait(Duration::from_secs(seconds))
    }

    #[test]
    fn every_code_of_the_table_has_its_plan() {
        let now = Instant::now();
        for close in CloseCode::ALL {
            let plan = retry().after(&closed(close.code()), now, u32::MAX);
            let expected = if matches!(close.code(), 1009 | 4004 | 4006 | 4007) { Plan::Stop } else { wait(1) };
            assert_eq!(plan, expected, "{close}");
        }
        for code in [1000, 1006, 1011, 4000, 4999] {
            assert_eq!(retry().after(&closed(code), now, u32::MAX), wait(1), "{code}");
        }
        assert_eq!(retry().after(&Disconnect::Broken(String::new()), now, u32::MAX), wait(1));
        assert_eq!(retry().after(&Disconnect::Silent(STABLE), now, u32::MAX), wait(1));
        let violation = Disconnect::Violation(FrameProblem::DoesNotOpen);
        assert_eq!(retry().after(&violation, now, u32::MAX), wait(1));
        let impostor = Disconnect::Open(IdentityError::Forged.into());
        assert_eq!(retry().after(&impostor, now, u32::MAX), wait(1));
    }

    #[test]
    fn delays_grow_until_a_connection_holds() {
        let (mut retry, mut now) = (retry(), Instant::now());
        let plans: Vec<_> = (0..7).map(|_| retry.after(&closed(4002), now, u32::MAX)).collect();
        assert_eq!(plans, [1, 2, 4, 8, 16, 30, 30].map(wait));
        // Full jitter: anything from nothing to the ceiling.
        assert_eq!(retry.after(&closed(4002), now, 0), wait(0));

        retry.connected(now);
        now += STABLE - Duration::from_millis(1);
        assert_eq!(retry.after(&closed(4002), now, u32::MAX), wait(30), "it did not hold");
        retry.connected(now);
        now += STABLE;
        assert_eq!(retry.after(&closed(4002), now, u32::MAX), wait(1));
    }

    #[test]
    fn an_announced_delay_counts_from_the_announcement() {
        let (mut retry, now) = (retry(), Instant::now());
        retry.connected(now);
        retry.announced(now, Duration::from_secs(20));
        assert_eq!(retry.after(&closed(1001), now + Duration::from_secs(5), 7), wait(15));
        // It is used up, and without one there is the backoff.
        assert_eq!(retry.after(&closed(1001), now, u32::MAX), wait(2));

        retry.announced(now, Duration::from_secs(20));
        assert_eq!(retry.after(&Disconnect::Draining, now + Duration::from_secs(20), u32::MAX), wait(0));
        retry.announced(now, Duration::MAX);
        assert_eq!(retry.after(&closed(1001), now, 0), Plan::Wait(LONGEST_ANNOUNCEMENT));
    }

    #[test]
    fn a_refused_token_is_not_presented_again() {
        let (mut retry, now) = (retry(), Instant::now());
        assert!(retry.may_present(false));
        assert_eq!(retry.after(&refused("Authentication failed"), now, u32::MAX), wait(1));
        // A failure in between changes nothing about the token.
        assert_eq!(retry.after(&Disconnect::Token("away".into()), now, u32::MAX), wait(2));
        assert!(!retry.may_present(true));
        assert_eq!(retry.after(&Disconnect::RefusedToken, now, u32::MAX), Plan::Stop);
    }

    #[test]
    fn another_token_gets_its_chance() {
        let (mut retry, now) = (retry(), Instant::now());
        retry.after(&refused("Authentication failed"), now, 0);
        assert!(retry.may_present(false));
        assert_eq!(retry.after(&Disconnect::Broken(String::new()), now, 0), wait(0));
        assert!(retry.may_present(true), "it was never refused");
    }

    #[test]
    fn a_token_that_could_not_be_checked_is_presented_again() {
        let (mut retry, now) = (retry(), Instant::now());
        assert_eq!(retry.after(&refused(AUTHENTICATION_ERROR), now, u32::MAX), wait(1));
        assert!(retry.may_present(true));
    }

    #[test]
    fn an_expired_token_is_waited_out() {
        let (mut retry, now) = (retry(), Instant::now());
        assert_eq!(retry.after(&closed(4005), now, u32::MAX), wait(1));
        assert!(!retry.may_present(true));
        assert_eq!(retry.after(&Disconnect::RefusedToken, now, u32::MAX), wait(2));
        assert!(!retry.may_present(true));
        assert!(retry.may_present(false));
    }
}
