//! Who may do what: policies asked about, answers remembered for a while.
//!
//! The policies are somebody else's ([`Policies`]): a binary that has a database brings them. Here is what holds for
//! all of them: roles that pass unasked, a bounded cache, one question in flight for the same thing, and a plain word
//! for each way in which there may be no answer.

mod answers;
mod settings;

use std::{fmt, sync::Arc, time::Instant};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::watch;

use self::answers::{Answers, Question};
pub use self::settings::{PermissionSettings, RoleList};
use crate::{clock::Clock, principal::Principal};

/// Questions that may be under way at once, each about something else. A database that is slow must not make a heap
/// of whoever asks meanwhile.
pub const MAX_FLIGHTS: usize = 256;

/// What is to be allowed: a row of the platform's `Permission` table, by its unique code and its action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Permission {
    pub code: &'static str,
    pub action: &'static str,
}

/// Whom policies name: `subject_type` and `subject_id` of a row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Subject {
    pub kind: String,
    pub id: String,
}

impl From<&Principal> for Subject {
    fn from(principal: &Principal) -> Self {
        Self { kind: principal.principal_type.clone(), id: principal.user_id.text().to_owned() }
    }
}

/// Where the platform's policies are kept.
#[async_trait]
pub trait Policies: fmt::Debug + Send + Sync + 'static {
    /// Whether policies give the subject the permission. Answers, one way or the other, within a few seconds.
    async fn holds(&self, subject: &Subject, permission: Permission) -> Result<bool, PolicyError>;

    async fn close(&self);
}

/// Why policies gave no answer; the same question may be answered later. The texts are for logs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    #[error("the database is away: {0}")]
    Away(String),
    #[error("the database did not answer in time")]
    TimedOut,
    /// Reached, but without the tables that the platform's core owns, or without the right to read them.
    #[error("the database lacks what holds the policies: {0}")]
    Schema(String),
}

/// Why somebody may not. The texts may be shown to whoever asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// They lack the permission; asking again before it is given is of no use.
    #[error("Forbidden")]
    Forbidden,
    /// It can't be known now whether they hold it.
    #[error("Permissions cannot be checked: {reason}")]
    Unavailable { reason: Unavailable },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    #[error("no database is configured")]
    NotConfigured,
    #[error("the database is away")]
    Away,
    #[error("the database lacks the platform's tables")]
    Schema,
    #[error("too many checks are under way")]
    Overloaded,
}

impl Unavailable {
    /// Stable, for metric labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotConfigured => "not_configured",
            Self::Away => "away",
            Self::Schema => "schema",
            Self::Overloaded => "overloaded",
        }
    }
}

impl From<&PolicyError> for Unavailable {
    fn from(error: &PolicyError) -> Self {
        match error {
            PolicyError::Away(_) | PolicyError::TimedOut => Self::Away,
            PolicyError::Schema(_) => Self::Schema,
        }
    }
}

/// Decides about permissions. One is shared by everything in a process.
#[derive(Debug)]
pub struct Permissions {
    policies: Option<Arc<dyn Policies>>,
    always_allow: RoleList,
    clock: Clock,
    answers: Arc<Mutex<Answers>>,
}

impl Permissions {
    /// Without `policies` nothing is allowed and everything [`Unavailable::NotConfigured`].
    pub fn new(policies: Option<Arc<dyn Policies>>, always_allow: RoleList, clock: Clock) -> Self {
        Self { policies, always_allow, clock, answers: Arc::default() }
    }

    /// Whether there are policies to ask, that is, whether what needs permissions is on at all.
    pub fn configured(&self) -> bool {
        self.policies.is_some()
    }

    /// Whether the principal holds the permission. To be called on a Tokio runtime.
    ///
    /// # Errors
    /// [`Denied::Forbidden`] if not, [`Denied::Unavailable`] if there is no telling.
    pub async fn check(&self, principal: &Principal, permission: Permission) -> Result<(), Denied> {
        let (outcome, source) = self.decide(principal, permission).await;
        let result = match outcome {
            Ok(()) => "allowed",
            Err(Denied::Forbidden) => "forbidden",
            Err(Denied::Unavailable { reason }) => reason.name(),
        };
        metrics::counter!("signal_permission_checks_total", "result" => result, "source" => source).increment(1);
        outcome
    }

    async fn decide(&self, principal: &Principal, permission: Permission) -> (Result<(), Denied>, &'static str) {
        let Some(policies) = &self.policies else {
            return (unavailable(Unavailable::NotConfigured), "none");
        };
        if principal.roles.iter().any(|role| self.always_allow.contains(&role.identifier)) {
            return (Ok(()), "role");
        }
        let question = Question { subject: principal.into(), permission };
        let flight = {
            let mut answers = self.answers.lock();
            match answers.find(&question, self.clock.unix_ms()) {
                Some(allowed) => return (verdict(allowed), "cache"),
                None => answers.join_or_start(&question, |landing| self.fly(policies, question.clone(), landing)),
            }
        };
        let Some(flight) = flight else {
            return (unavailable(Unavailable::Overloaded), "none");
        };
        let outcome = match landed(flight).await {
            Ok(allowed) => verdict(allowed),
            Err(reason) => unavailable(reason),
        };
        (outcome, "database")
    }

    /// Asks on a task of its own, so that a caller who gives up does not take the others' answer along.
    fn fly(&self, policies: &Arc<dyn Policies>, question: Question, landing: Landing) {
        let (policies, answers, clock) = (Arc::clone(policies), Arc::clone(&self.answers), self.clock.clone());
        tokio::spawn(async move {
            let (asked_at, started) = (clock.unix_ms(), Instant::now());
            let outcome = policies.holds(&question.subject, question.permission).await;
            let result = if outcome.is_ok() { "ok" } else { "error" };
            metrics::histogram!("signal_permission_query_duration_seconds", "result" => result)
                .record(started.elapsed());
            let news = answers.lock().land(question, asked_at, outcome.as_ref());
            match (&outcome, news) {
                (Err(error), true) => tracing::warn!(%error, "permissions cannot be checked"),
                (Ok(_), true) => tracing::info!("permissions are checked again"),
                (_, false) => {}
            }
            // Whoever waits is told last, so that whoever asks from here on finds the answer.
            landing.send_replace(Some(outcome.map_err(|error| Unavailable::from(&error))));
        });
    }
}

/// What a flight has brought, once it has.
type Landing = watch::Sender<Option<Result<bool, Unavailable>>>;
type Flight = watch::Receiver<Option<Result<bool, Unavailable>>>;

/// A flight whose task died has brought nothing.
async fn landed(mut flight: Flight) -> Result<bool, Unavailable> {
    flight.wait_for(Option::is_some).await.ok().and_then(|brought| *brought).unwrap_or(Err(Unavailable::Away))
}

fn verdict(allowed: bool) -> Result<(), Denied> {
    if allowed { Ok(()) } else { Err(Denied::Forbidden) }
}

fn unavailable(reason: Unavailable) -> Result<(), Denied> {
    Err(Denied::Unavailable { reason })
}
