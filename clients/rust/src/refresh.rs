//! A token that takes the place of the one that a live session began with.

use std::time::Duration;

use signal_wire::refresh::Refreshed;
use tokio::sync::oneshot;

/// Who asked for a refresh and waits for what becomes of it.
pub(crate) type Waiting = oneshot::Sender<Result<Refreshed, RefreshError>>;

/// The session goes on with the token that it has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefreshError {
    #[error("there is no connection")]
    NotConnected,
    /// The token provider failed.
    #[error("no token: {0}")]
    Token(String),
    #[error("the token provider has no other token than the one in use")]
    SameToken,
    #[error("the token is longer than an edge takes")]
    TooLarge,
    #[error("the edge says: {0}")]
    Refused(String),
    /// An edge that does not know `refresh` says nothing.
    #[error("the edge gave no answer within {0:?}")]
    NoAnswer(Duration),
}

/// How long before the expiry the next token should be there.
const AHEAD: Duration = Duration::from_secs(60);
/// With less left than this the token is let expire.
const TOO_LATE: Duration = Duration::from_secs(1);

/// How long to wait before asking for the next token: a minute ahead of the expiry, or a quarter of the rest of a short
/// life, and up to a tenth earlier, so that tokens that were issued together are not renewed together. `random` is
/// uniform over all of `u32`.
pub(crate) fn delay(remaining: Duration, random: u32) -> Option<Duration> {
    if remaining < TOO_LATE {
        return None;
    }
    let latest = remaining - AHEAD.min(remaining / 4);
    Some(latest.mul_f64(1.0 - 0.1 * f64::from(random) / f64::from(u32::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(remaining: u64, random: u32) -> Option<f64> {
        delay(Duration::from_secs(remaining), random).map(|delay| delay.as_secs_f64())
    }

    #[test]
    fn a_token_is_renewed_ahead_of_its_expiry_and_not_with_all_others() {
        assert_eq!(seconds(600, 0), Some(540.0));
        assert_eq!(seconds(600, u32::MAX), Some(486.0));
        assert_eq!(seconds(100, 0), Some(75.0));
        assert_eq!(seconds(1, 0), Some(0.75));
        assert_eq!(seconds(0, 0), None);
    }

    #[test]
    fn tries_come_closer_and_end() {
        let mut remaining = Duration::from_secs(3600);
        let mut tries = 0;
        while let Some(delay) = delay(remaining, 0) {
            assert!(delay < remaining);
            remaining -= delay;
            tries += 1;
        }
        assert_eq!(tries, 4, "at 60, 15, 3.75 and 0.94 s before the end");
    }
}
