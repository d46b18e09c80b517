//! Clients whose time is over: silent for too long, with a token that has expired, or here for long enough.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use signal_wire::close::CloseCode;
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

use crate::{app::Shared, clock, connection::Connection, drain, metrics, registry::Registry};

/// What a token may be late by, as when it was checked.
const LEEWAY_SECONDS: i64 = 5;

/// Clients by the second in which their token expires. Ids, not connections: who is gone keeps sixteen bytes until then.
#[derive(Debug, Default)]
pub(crate) struct Expiries {
    enforced: bool,
    by_second: Mutex<BTreeMap<i64, Vec<Uuid>>>,
}

impl Expiries {
    pub(crate) fn new(enforced: bool) -> Self {
        Self { enforced, by_second: Mutex::default() }
    }

    pub(crate) fn watch(&self, connection: &Connection) {
        if let (true, Some(at)) = (self.enforced, connection.expires_at()) {
            self.by_second.lock().entry(at.saturating_add(LEEWAY_SECONDS)).or_default().push(connection.identity.id);
        }
    }

    /// Everybody whose token has expired before `now`, in Unix seconds.
    fn due(&self, now: i64) -> Vec<Uuid> {
        let mut by_second = self.by_second.lock();
        let later = by_second.split_off(&now);
        std::mem::replace(&mut *by_second, later).into_values().flatten().collect()
    }
}

/// Closes sessions with 4005 within a second of their token's end. Runs until it is dropped.
pub(crate) async fn expire_tokens(shared: Arc<Shared>) {
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = clock::unix_seconds();
        for id in shared.expiries.due(now) {
            let Some(connection) = shared.registry.get(id) else { continue };
            // Who has refreshed meanwhile is also noted under a later second.
            if connection.expires_at().is_some_and(|at| at.saturating_add(LEEWAY_SECONDS) < now) {
                connection.close(CloseCode::TokenExpired);
            }
        }
    }
}

/// How many times within the maximum age it is looked who has reached it.
const LOOKS_PER_AGE: u32 = 100;

/// Sends clients to another edge that have been here for the maximum connection age. Runs until it is dropped.
pub(crate) async fn retire_old(shared: Arc<Shared>) {
    let age = shared.settings.max_connection_age;
    let tick = (age / LOOKS_PER_AGE).clamp(Duration::from_millis(10), Duration::from_secs(10));
    let mut ticks = interval(tick);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        shared.registry.for_each(|connection| {
            let over = connection.age().checked_sub(lifetime(age, connection.identity.id));
            match over {
                // Everybody who reached the age since the last look would come back at the same moment.
                Some(_) if connection.retire() => drain::announce(connection, spread(tick, connection.identity.id)),
                Some(over) if over > 2 * tick + drain::GRACE => connection.close(CloseCode::ServerShutdown),
                _ => {}
            }
        });
    }
}

/// `age`, a tenth more or less: else a fleet that has been started at once would for ever reconnect at once.
fn lifetime(age: Duration, id: Uuid) -> Duration {
    let random = id.as_u128() as u32;
    age.mul_f64(0.9 + 0.2 * f64::from(random) / f64::from(u32::MAX))
}

fn spread(window: Duration, id: Uuid) -> Duration {
    let random = (id.as_u128() >> 96) as u32;
    window.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// Closes clients that said nothing for too long with 4002. Runs until it is dropped.
pub(crate) async fn close_silent(shared: Arc<Shared>) {
    let mut ticks = interval(shared.settings.heartbeat_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let limit = shared.settings.heartbeat_timeout;
    loop {
        ticks.tick().await;
        metrics::outbound_waiting(close_silent_for(&shared.registry, limit, clock::seconds()));
    }
}

/// Returns how many bytes wait for clients that read slowly, since it looks at everybody anyway.
fn close_silent_for(registry: &Registry, limit: Duration, now: u32) -> usize {
    let limit = u32::try_from(limit.as_secs()).unwrap_or(u32::MAX);
    let mut waiting = 0;
    registry.for_each(|connection| {
        waiting += connection.link().waiting_bytes();
        if connection.link().silent_seconds(now) > limit {
            connection.close(CloseCode::HeartbeatTimeout);
        }
    });
    waiting
}
