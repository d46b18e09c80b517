//! The issuer's JWK set: fetched on demand, kept, shared.
//!
//! There is no background task. A verification that needs keys which are not there starts
//! a flight or joins the one under way; the flight is a task of its own, so that a caller
//! who gives up does not take the others' answer along.

mod fetch;

use std::{fmt, sync::Arc, time::Duration};

use parking_lot::Mutex;
use signal_service::health::Component;
use tokio::sync::watch;

pub use self::fetch::JwkSetError;
use self::fetch::Source;
use crate::{clock::Clock, jwk::KeySet, verifier::VerifyError};

#[derive(Debug, Clone)]
pub struct JwkSetOptions {
    /// How long a set is used without asking again.
    pub lifetime: Duration,
    /// Least time between two fetches while there is a set: an unknown `kid` costs the
    /// issuer at most one request per this.
    pub cool_down: Duration,
    /// Least time between two fetches while there is none.
    pub retry_pause: Duration,
    /// For one whole fetch, connection to last byte.
    pub timeout: Duration,
    /// Largest body accepted, in bytes.
    pub body_limit: usize,
    pub clock: Clock,
}

impl Default for JwkSetOptions {
    fn default() -> Self {
        Self {
            lifetime: Duration::from_secs(600),
            cool_down: Duration::from_secs(30),
            retry_pause: Duration::from_secs(1),
            timeout: Duration::from_secs(5),
            body_limit: 1 << 20,
            clock: Clock::system(),
        }
    }
}

/// Holds the JWK set of one issuer.
pub struct JwkSetClient {
    shared: Arc<Shared>,
}

struct Shared {
    source: Option<Source>,
    options: JwkSetOptions,
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    set: Option<Arc<KeySet>>,
    fetched_at_ms: i64,
    attempted_at_ms: Option<i64>,
    failure: Option<JwkSetError>,
    flight: Option<Flight>,
}

/// Closed when the fetch has landed, whichever way.
type Flight = watch::Receiver<()>;

impl JwkSetClient {
    /// # Errors
    /// [`JwkSetError::Address`] if the URL is not an absolute http(s) one, and
    /// [`JwkSetError::NoRoots`] if no HTTP client can be made.
    pub fn new(url: &str, options: JwkSetOptions) -> Result<Self, JwkSetError> {
        let source = Source::new(url, options.timeout, options.body_limit)?;
        Ok(Self::build(Some(source), options, Cache::default()))
    }

    /// A set that is known already and never fetched: a process that is its own issuer.
    pub fn fixed(set: KeySet) -> Self {
        let cache = Cache { set: Some(Arc::new(set)), ..Cache::default() };
        Self::build(None, JwkSetOptions::default(), cache)
    }

    fn build(source: Option<Source>, options: JwkSetOptions, cache: Cache) -> Self {
        Self { shared: Arc::new(Shared { source, options, cache: Mutex::new(cache) }) }
    }

    /// Whether there is a set to verify with, however old.
    pub fn ready(&self) -> bool {
        self.shared.cache.lock().set.is_some()
    }

    /// Fetches now, or joins the fetch under way.
    ///
    /// # Errors
    /// What went wrong; the last good set, if any, stays in use.
    pub async fn refresh(&self) -> Result<(), JwkSetError> {
        let flight = {
            let mut cache = self.shared.cache.lock();
            self.shared.join_or_start(&mut cache)
        };
        landed(flight).await;
        match &self.shared.cache.lock().failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(()),
        }
    }

    /// Fetches until there is a set, with growing pauses, and reports to `component`.
    pub async fn warm(&self, component: &Component) {
        let (mut pause, longest) = (Duration::from_millis(250), Duration::from_secs(15));
        while let Err(error) = self.refresh().await {
            if self.ready() {
                break;
            }
            component.down(format!("the JWK set cannot be fetched: {error}"));
            tokio::time::sleep(jittered(pause)).await;
            pause = (pause * 2).min(longest);
        }
        component.up();
    }

    /// The set in which a token's key should be looked up, fetched anew where that can
    /// help: there is none, it has outlived its time, or it does not have `kid`. While the
    /// issuer is away nobody waits for it whose key is there.
    pub(crate) async fn keys_for(&self, kid: Option<&str>) -> Result<Arc<KeySet>, VerifyError> {
        let shared = &self.shared;
        let flight = {
            let mut cache = shared.cache.lock();
            let known = kid.is_some_and(|kid| cache.set.as_ref().is_some_and(|set| set.has(kid)));
            let hopeless = known && cache.failure.is_some();
            let now = shared.options.clock.unix_ms();
            let (due, pause) = match &cache.set {
                None => (true, shared.options.retry_pause),
                Some(set) => {
                    let old = passed(cache.fetched_at_ms, now, shared.options.lifetime);
                    (old || kid.is_some_and(|kid| !set.has(kid)), shared.options.cool_down)
                }
            };
            let flight = if due { shared.join_or_start_after(&mut cache, now, pause) } else { None };
            flight.filter(|_| !hopeless)
        };
        landed(flight).await;

        let cache = shared.cache.lock();
        match &cache.set {
            // The key may be one that the issuer made since: that is not the token's fault.
            Some(set) if cache.failure.is_some() && kid.is_some_and(|kid| !set.has(kid)) => {
                Err(VerifyError::Unavailable)
            }
            Some(set) => Ok(Arc::clone(set)),
            None => Err(VerifyError::Unavailable),
        }
    }
}

impl Shared {
    fn join_or_start_after(self: &Arc<Self>, cache: &mut Cache, now: i64, pause: Duration) -> Option<Flight> {
        let resting = cache.attempted_at_ms.is_some_and(|at| !passed(at, now, pause));
        match under_way(cache) {
            Some(flight) => Some(flight),
            None if resting => None,
            None => self.join_or_start(cache),
        }
    }

    /// `None` where there is nothing to fetch from.
    fn join_or_start(self: &Arc<Self>, cache: &mut Cache) -> Option<Flight> {
        self.source.as_ref()?;
        if let Some(flight) = under_way(cache) {
            return Some(flight);
        }
        let (landing, flight) = watch::channel(());
        cache.attempted_at_ms = Some(self.options.clock.unix_ms());
        cache.flight = Some(flight.clone());
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            if let Some(source) = &shared.source {
                shared.land(source.fetch().await);
            }
            drop(landing);
        });
        Some(flight)
    }

    fn land(&self, outcome: Result<KeySet, JwkSetError>) {
        let mut cache = self.cache.lock();
        match outcome {
            Ok(set) => {
                if cache.failure.take().is_some() || cache.set.is_none() {
                    tracing::info!(keys = set.len(), "JWK set fetched");
                }
                cache.set = Some(Arc::new(set));
                cache.fetched_at_ms = self.options.clock.unix_ms();
            }
            Err(error) => {
                if cache.failure.as_ref() != Some(&error) {
                    tracing::warn!(%error, stale = cache.set.is_some(), "JWK set cannot be fetched");
                }
                cache.failure = Some(error);
            }
        }
    }
}

/// A flight whose task is gone (it landed, or panicked) is not under way.
fn under_way(cache: &Cache) -> Option<Flight> {
    cache.flight.clone().filter(|flight| flight.has_changed().is_ok())
}

async fn landed(flight: Option<Flight>) {
    if let Some(mut flight) = flight {
        // Nothing is ever sent: the channel closes, and that is the message.
        while flight.changed().await.is_ok() {}
    }
}

/// A clock that was set back must not stretch a pause: then it has passed.
fn passed(since_ms: i64, now_ms: i64, pause: Duration) -> bool {
    now_ms < since_ms || u128::from(now_ms.abs_diff(since_ms)) >= pause.as_millis()
}

/// Between half and the whole of a pause, so that a fleet does not knock in step.
fn jittered(pause: Duration) -> Duration {
    let share = getrandom::u32().map_or(1.0, |random| f64::from(random) / f64::from(u32::MAX));
    pause.mul_f64(0.5 + share / 2.0)
}

impl fmt::Debug for JwkSetClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwkSetClient").field("source", &self.shared.source).field("ready", &self.ready()).finish()
    }
}
