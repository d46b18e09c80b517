//! Places for connections that are nobody yet. When all are taken, whoever has said nothing for longest makes room: else
//! a few thousand silent sockets would shut everybody out for as long as they cared to.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

/// Nobody has to make room sooner: a crowd that comes back all at once is let in as fast as it can be, and not cut off
/// while its words are on their way.
pub(super) const GRACE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    /// Who may have to make room, by the order of coming.
    silent: Arc<Mutex<BTreeMap<u64, Silent>>>,
    next: AtomicU64,
    grace: Duration,
}

#[derive(Debug)]
struct Silent {
    since: Instant,
    leave: CancellationToken,
}

/// Held by a connection until it is an authenticated client, or gone.
#[derive(Debug)]
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    silent: Arc<Mutex<BTreeMap<u64, Silent>>>,
    number: u64,
    leave: CancellationToken,
}

impl Places {
    pub(super) fn new(count: usize, grace: Duration) -> Self {
        Self {
            free: Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS))),
            silent: Arc::default(),
            next: AtomicU64::new(0),
            grace,
        }
    }

    /// The right to a place, if there is one.
    pub(super) fn free(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).try_acquire_owned().ok()
    }

    /// Waits for the right to a place, and takes it from who has been silent for long enough.
    pub(super) async fn wait(&self) -> OwnedSemaphorePermit {
        loop {
            let freed = Arc::clone(&self.free).acquire_owned();
            tokio::select! {
                permit = freed => return permit.expect("the semaphore is never closed"),
                () = self.make_room() => {}
            }
        }
    }

    /// The place of a connection that has come just now.
    pub(super) fn take(&self, permit: OwnedSemaphorePermit) -> Place {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let leave = CancellationToken::new();
        self.silent.lock().insert(number, Silent { since: Instant::now(), leave: leave.clone() });
        Place { _permit: permit, silent: Arc::clone(&self.silent), number, leave }
    }

    /// Asks the one that has been silent for longest to leave, once its time is over.
    async fn make_room(&self) {
        loop {
            let due = match self.silent.lock().first_entry() {
                Some(first) if first.get().since.elapsed() >= self.grace => {
                    first.remove().leave.cancel();
                    return;
                }
                Some(first) => first.get().since + self.grace,
                // Everybody has said something; what they wait for has a time of its own.
                None => Instant::now() + self.grace,
            };
            sleep_until(due).await;
        }
    }
}

impl Place {
    /// Cancelled when it has to make room.
    pub(crate) fn make_room(&self) -> CancellationToken {
        self.leave.clone()
    }

    /// It has said what it wants: from here on it is not the one to make room.
    pub(crate) fn spoke(&self) {
        self.silent.lock().remove(&self.number);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.spoke();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_is_silent_for_longest_makes_room_and_who_spoke_does_not() {
        let places = Places::new(2, Duration::from_millis(30));
        let began = Instant::now();
        let spoke = places.take(places.free().unwrap());
        spoke.spoke();
        let silent = places.take(places.free().unwrap());
        assert!(places.free().is_none());
        let left = silent.make_room();
        let leaving = async {
            left.cancelled().await;
            drop(silent);
            Instant::now()
        };
        let (_permit, at) = tokio::join!(places.wait(), leaving);
        assert!(at - began >= Duration::from_millis(30), "not before its words had time to arrive");
        assert!(!spoke.make_room().is_cancelled());
        assert!(places.silent.lock().is_empty());
    }

    #[tokio::test]
    async fn a_place_that_is_given_back_is_had_at_once() {
        let places = Places::new(1, GRACE);
        let place = places.take(places.free().unwrap());
        let (_next, ()) = tokio::join!(places.wait(), async { drop(place) });
    }
}
