//! Looks after the database while nothing is written, so that readiness doesn't wait for the next event, and says when
//! its tables no longer fit.

use std::{sync::Arc, time::Duration};

use signal_service::health::Component;
use signal_wire::backoff::Backoff;
use tokio_util::sync::CancellationToken;

use super::Store;

const INTERVAL: Duration = Duration::from_secs(5);
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), INTERVAL);

/// Asks and reports until `stop`.
pub async fn watch(store: Arc<dyn Store>, health: Component, stop: CancellationToken) {
    let mut failures = 0;
    loop {
        let answer = tokio::select! {
            () = stop.cancelled() => return,
            answer = store.ping() => answer,
        };
        let pause = match answer {
            Ok(()) => {
                health.up();
                failures = 0;
                INTERVAL
            }
            Err(error) => {
                health.down(error.to_string());
                failures += 1;
                BACKOFF.delay(failures, getrandom::u32().unwrap_or(u32::MAX))
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}
