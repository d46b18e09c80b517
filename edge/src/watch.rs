//! Clients whose time is over: silent for too long, or with a token that has expired.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use signal_wire::close::CloseCode;
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

use crate::{app::Shared, clock, connection::Connection, metrics, registry::Registry};

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
        if let (true, Some(at)) = (self.enforced, connection.identity.expires_at) {
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
        for id in shared.expiries.due(clock::unix_seconds()) {
            if let Some(connection) = shared.registry.get(id) {
                connection.close(CloseCode::TokenExpired);
            }
        }
    }
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
