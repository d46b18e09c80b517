//! The next token of a live session: when it is asked for, and what becomes of it.

use std::{pin::Pin, time::Duration};

use serde::Serialize;
use signal_wire::{
    frame::MAX_INBOUND_BYTES,
    message::{self, error, event},
    refresh::Refreshed,
    sealed::sealed_len,
    timestamp,
};
use time::OffsetDateTime;
use tokio::time::{Instant, sleep_until};

use super::random;
use crate::{
    refresh::{self, RefreshError, Waiting},
    token::{Token, TokenProvider},
};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Who waits beyond that waits to be let wait.
const MOST_WAITING: usize = 64;

pub(super) struct Renewal {
    provider: TokenProvider,
    clock: EdgeClock,
    current: Token,
    /// Of the token in use, if it has one that is known.
    expiry: Option<OffsetDateTime>,
    phase: Phase,
    waiting: Vec<Waiting>,
}

enum Phase {
    /// Until the next token is due, if ever.
    Idle {
        due: Option<Instant>,
    },
    Asking(Pin<Box<dyn Future<Output = Result<Token, RefreshError>> + Send>>),
    Offered {
        token: Token,
        answer_due: Instant,
    },
}

/// What is to be done.
pub(super) enum Step {
    /// Send this to the edge.
    Offer(Vec<u8>),
    Failed(Failure),
}

/// What the application is to be told of a failure: nothing if somebody waited and was told, or if it is no fault.
pub(super) type Failure = Option<RefreshError>;

impl Renewal {
    /// `time` is the edge's clock when it said `connected`.
    pub(super) fn new(provider: TokenProvider, current: Token, time: &str) -> Self {
        let (clock, expiry) = (EdgeClock::new(time), current.expiry());
        let mut renewal =
            Self { provider, clock, current, expiry, phase: Phase::Idle { due: None }, waiting: Vec::new() };
        renewal.rest();
        renewal
    }

    /// The next thing to do. Cancel-safe.
    pub(super) async fn next(&mut self) -> Step {
        loop {
            match &mut self.phase {
                Phase::Idle { due: None } => std::future::pending().await,
                Phase::Idle { due: Some(due) } => {
                    sleep_until(*due).await;
                    self.ask();
                }
                Phase::Asking(asked) => {
                    let asked = asked.await;
                    return self.asked(asked);
                }
                Phase::Offered { answer_due, .. } => {
                    sleep_until(*answer_due).await;
                    return Step::Failed(self.failed(RefreshError::NoAnswer(ANSWER_TIMEOUT)));
                }
            }
        }
    }

    /// Whether one more may wait.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < MOST_WAITING
    }

    /// Somebody wants a refresh now, or to wait for the one under way.
    pub(super) fn want(&mut self, waiting: Waiting) {
        self.waiting.push(waiting);
        if let Phase::Idle { .. } = self.phase {
            self.ask();
        }
    }

    /// The edge took a token: the one that is now in use, unless it was not offered from here.
    pub(super) fn refreshed(&mut self, refreshed: Refreshed) -> Option<Token> {
        self.expiry = refreshed.expires_at;
        if let Phase::Asking(_) = self.phase {
            return None;
        }
        let Phase::Offered { token, .. } = self.rest() else { return None };
        self.current = token.clone();
        self.answer(&Ok(refreshed));
        Some(token)
    }

    /// The edge sent an `error`, which may be the answer to what was offered.
    pub(super) fn refused(&mut self, said: &str) -> Option<Failure> {
        let answers = matches!(self.phase, Phase::Offered { .. }) && error::is_of_refresh(said);
        answers.then(|| self.failed(RefreshError::Refused(said.to_owned())))
    }

    fn ask(&mut self) {
        let provider = self.provider.clone();
        self.phase = Phase::Asking(Box::pin(async move {
            provider.ask().await.map_err(|error| RefreshError::Token(error.to_string()))
        }));
    }

    fn asked(&mut self, asked: Result<Token, RefreshError>) -> Step {
        let offered = asked.and_then(|token| {
            if token == self.current {
                return Err(RefreshError::SameToken);
            }
            let message = compose(&token)?;
            Ok((token, message))
        });
        match offered {
            Ok((token, message)) => {
                self.phase = Phase::Offered { token, answer_due: Instant::now() + ANSWER_TIMEOUT };
                Step::Offer(message)
            }
            Err(error) => Step::Failed(self.failed(error)),
        }
    }

    fn failed(&mut self, error: RefreshError) -> Failure {
        self.rest();
        if let RefreshError::NoAnswer(_) = error {
            // It would not know the next one either.
            self.phase = Phase::Idle { due: None };
        }
        tracing::debug!(%error, "token not refreshed");
        // A provider may keep a token until it expires, and an edge be an older one: neither went wrong.
        let expected = matches!(error, RefreshError::SameToken | RefreshError::NoAnswer(_));
        let told = self.answer(&Err(error.clone()));
        (!told && !expected).then_some(error)
    }

    /// Until the expiry comes near.
    fn rest(&mut self) -> Phase {
        let delay = self.expiry.and_then(|expiry| refresh::delay(self.clock.until(expiry), random()));
        std::mem::replace(&mut self.phase, Phase::Idle { due: delay.map(|delay| Instant::now() + delay) })
    }

    /// Whether anybody heard it.
    fn answer(&mut self, answer: &Result<Refreshed, RefreshError>) -> bool {
        let sent = self.waiting.drain(..).map(|waiting| waiting.send(answer.clone()));
        sent.filter(Result::is_ok).count() > 0
    }
}

fn compose(token: &Token) -> Result<Vec<u8>, RefreshError> {
    #[derive(Serialize)]
    struct Data<'a> {
        token: &'a str,
    }
    let message = message::compose_value(event::REFRESH, &Data { token: token.expose() });
    if sealed_len(message.len()) > MAX_INBOUND_BYTES { Err(RefreshError::TooLarge) } else { Ok(message) }
}

/// The clock by which tokens expire, whatever the one of this machine says.
struct EdgeClock {
    at: OffsetDateTime,
    since: Instant,
}

impl EdgeClock {
    fn new(time: &str) -> Self {
        Self { at: timestamp::parse(time).unwrap_or_else(OffsetDateTime::now_utc), since: Instant::now() }
    }

    /// Nothing for what is past.
    fn until(&self, then: OffsetDateTime) -> Duration {
        let left = Duration::try_from(then - self.at).unwrap_or_default();
        left.saturating_sub(self.since.elapsed())
    }
}
