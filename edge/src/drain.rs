//! The end of an edge: everybody is told when to come back elsewhere, spread over a window, so that no other edge sees
//! them all at once.

use std::{sync::Arc, time::Duration};

use serde::Serialize;
use signal_wire::{
    close::CloseCode,
    message::{self, event},
};
use tokio::time::{Instant, sleep_until};

use crate::{connection::Connection, metrics, registry::Registry};

/// An edge that is asked to stop takes so long, unless it is told otherwise.
pub const WINDOW: Duration = Duration::from_secs(20);
/// How much later than announced a client is closed that has not left by itself, because it does not know `reconnect`
/// or its clock is slow.
pub(crate) const GRACE: Duration = Duration::from_secs(1);
/// What a stop needs beside the window: a second's grace for who has not left by itself, then as long as a close may take
/// for the last to close, then a second for everything after the clients.
pub const RESERVE: Duration =
    GRACE.saturating_add(crate::session::CLOSE_TIMEOUT).saturating_add(Duration::from_secs(1));
/// Clients that come due within so long are closed together.
const TURN: Duration = Duration::from_millis(20);
/// Clients told before others may run.
const TOLD_PER_TURN: usize = 64;

/// As much of the wanted window as the deadline of the stop leaves room for.
pub(crate) fn fitting(window: Duration, deadline: Duration) -> Duration {
    let room = deadline.saturating_sub(RESERVE);
    if window > room {
        tracing::warn!(
            window_ms = window.as_millis(),
            cut_to_ms = room.as_millis(),
            deadline_ms = deadline.as_millis(),
            "SIGNAL_DRAIN_WINDOW does not fit into SIGNAL_SHUTDOWN_DEADLINE"
        );
    }
    window.min(room)
}

/// Sends everybody away who is here; returns once all of them are told to close.
pub(crate) async fn send_away(registry: &Registry, window: Duration) {
    let began = Instant::now();
    let mut leaving = Vec::with_capacity(registry.len());
    registry.for_each(|connection| leaving.push(Arc::clone(connection)));
    // Client ids are random: their order has nothing to do with who came when or from where.
    leaving.sort_unstable_by_key(|connection| connection.identity.id);
    let places = leaving.len();
    tracing::info!(clients = places, window_ms = window.as_millis(), "draining");
    // Where there is no window, their own backoff is what spreads them.
    let told = if window.is_zero() { &[][..] } else { &leaving };
    for (place, connection) in told.iter().enumerate() {
        // Telling many takes a while itself.
        announce(connection, place_in(window, place, places).saturating_sub(began.elapsed()));
        if place % TOLD_PER_TURN == TOLD_PER_TURN - 1 {
            tokio::task::yield_now().await;
        }
    }
    for (place, connection) in leaving.into_iter().enumerate() {
        let due = place_in(window, place, places) + grace(window);
        if began.elapsed() < due {
            sleep_until(began + due + TURN).await;
        }
        connection.close(CloseCode::ServerShutdown);
    }
}

/// Nobody waits for who is to leave at once.
fn grace(window: Duration) -> Duration {
    if window.is_zero() { Duration::ZERO } else { GRACE }
}

/// The middle of the `place`th of as many equal parts as there are places: the rate is even, whatever the number.
fn place_in(window: Duration, place: usize, places: usize) -> Duration {
    window.mul_f64((place as f64 + 0.5) / places.max(1) as f64)
}

/// Says `reconnect`: come back after so long.
pub(crate) fn announce(connection: &Connection, after: Duration) {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Data {
        after_ms: u64,
    }
    let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
    connection.push([&message::compose_value(event::RECONNECT, &Data { after_ms })[..]]);
    metrics::reconnect_announced();
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_window_leaves_the_last_client_its_time_before_the_deadline() {
        let seconds = Duration::from_secs;
        assert_eq!(fitting(seconds(20), seconds(30)), seconds(20));
        assert_eq!(fitting(seconds(60), seconds(30)), seconds(23));
        assert_eq!(fitting(seconds(60), seconds(3)), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn places_are_even_and_within_the_window(places in 1usize..5000, window_ms in 1u64..60_000) {
            let window = Duration::from_millis(window_ms);
            let all: Vec<_> = (0..places).map(|place| place_in(window, place, places)).collect();
            prop_assert!(all[places - 1] < window);
            let step = window.as_secs_f64() / places as f64;
            for pair in all.windows(2) {
                prop_assert!(((pair[1] - pair[0]).as_secs_f64() - step).abs() < 1e-6);
            }
        }
    }
}
