//! The channels that the holders of one subscription want, as the task sees it that keeps the subscription's connection.

use std::{
    future::Future,
    mem,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use crate::{
    BusError, Channels, Mode,
    confirmation::Confirmations,
    holdings::{Changes, Holdings},
};

/// Requests taken together.
const BATCH: usize = 256;

#[derive(Debug)]
enum Request {
    Acquire(Vec<String>, oneshot::Sender<()>),
    Release(Vec<String>),
}

/// Nobody holds the other end: the subscription is closed.
#[derive(Debug)]
pub(crate) struct Closed;

/// Those who wait for a confirmation.
pub(crate) type Waiters = Vec<oneshot::Sender<()>>;

#[derive(Debug)]
pub(crate) struct Interest {
    pub(crate) holdings: Holdings,
    pub(crate) confirmations: Confirmations,
    /// How many those are, for whoever asks.
    held: Arc<AtomicUsize>,
    inbox: mpsc::UnboundedReceiver<Request>,
    /// Empty between calls; kept for its memory.
    taken: Vec<Request>,
}

/// The two ends of what is asked for.
pub(crate) fn interest(mode: Mode) -> (Arc<dyn Channels>, Interest) {
    // Unbounded, because releasing must not wait. A connection has at most two requests in here at a time, and they are
    // taken out whether the backplane is there or not.
    let (requests, inbox) = mpsc::unbounded_channel();
    let held = Arc::new(AtomicUsize::new(0));
    let (holdings, confirmations) = Default::default();
    let interest = Interest { holdings, confirmations, held: Arc::clone(&held), inbox, taken: Vec::new() };
    (Arc::new(Asked { requests, mode, held }), interest)
}

impl Interest {
    /// Waits until something is asked for. Whoever waits for it is to be handed to [`Self::wait`] once the changes are
    /// on their way. Cancel-safe.
    pub(crate) async fn changes(&mut self) -> Result<(Changes, Waiters), Closed> {
        match self.inbox.recv_many(&mut self.taken, BATCH).await {
            0 => Err(Closed),
            _ => Ok(self.note()),
        }
    }

    /// They are answered once everything that was sent until now is confirmed.
    pub(crate) fn wait(&mut self, waiters: Waiters) {
        for waiter in waiters {
            self.confirmations.wait(waiter);
        }
    }

    /// Waits for `what` while there is no connection. Requests are noted meanwhile, which keeps their queue short.
    pub(crate) async fn away<T>(&mut self, what: impl Future<Output = T>) -> Result<T, Closed> {
        let mut what = pin!(what);
        loop {
            tokio::select! {
                done = &mut what => return Ok(done),
                changes = self.changes() => {
                    // A new connection is told all that is held, not what has changed.
                    let (_, waiters) = changes?;
                    self.wait(waiters);
                }
            }
        }
    }

    fn note(&mut self) -> (Changes, Waiters) {
        let mut waiters = Vec::new();
        let mut taken = mem::take(&mut self.taken);
        for request in taken.drain(..) {
            match request {
                Request::Acquire(channels, waiter) => {
                    waiters.push(waiter);
                    channels.into_iter().for_each(|channel| self.holdings.acquire(channel));
                }
                Request::Release(channels) => {
                    channels.into_iter().for_each(|channel| self.holdings.release(channel));
                }
            }
        }
        self.taken = taken;
        self.held.store(self.holdings.len(), Ordering::Relaxed);
        (self.holdings.changes(), waiters)
    }
}

/// The end that the edge holds.
#[derive(Debug)]
struct Asked {
    requests: mpsc::UnboundedSender<Request>,
    mode: Mode,
    /// As was last counted.
    held: Arc<AtomicUsize>,
}

impl Asked {
    /// The channels to subscribe to one by one: what a pattern hears too would be heard twice.
    fn exact(&self, mut channels: Vec<String>) -> Vec<String> {
        channels.retain(|channel| !self.mode.always_hears(channel));
        channels
    }
}

#[async_trait]
impl Channels for Asked {
    async fn acquire(&self, channels: Vec<String>) -> Result<(), BusError> {
        let (waiter, confirmed) = oneshot::channel();
        // Also with no channel left: the patterns have to be confirmed.
        self.requests.send(Request::Acquire(self.exact(channels), waiter)).map_err(|_| BusError::Closed)?;
        confirmed.await.map_err(|_| BusError::Closed)
    }

    fn release(&self, channels: Vec<String>) {
        let channels = self.exact(channels);
        if !channels.is_empty() {
            // After the subscription has closed there is nothing to release.
            let _ = self.requests.send(Request::Release(channels));
        }
    }

    fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn requests_are_taken_while_there_is_no_connection() {
        const REQUESTS: usize = 10 * BATCH;
        let (channels, mut interest) = interest(Mode::Exact);
        let mut waits = Vec::new();
        for number in 0..REQUESTS {
            let mut waiting = channels.acquire(vec!["a".to_owned(), number.to_string()]);
            assert!((&mut waiting).now_or_never().is_none());
            waits.push(waiting);
            channels.release(vec![number.to_string()]);
        }
        let outage = async {
            for _ in 0..REQUESTS {
                yield_now().await;
            }
        };
        assert!(interest.away(outage).await.is_ok());
        assert!(interest.inbox.is_empty());
        assert_eq!(interest.holdings.all().map(|(channel, _)| channel).collect::<Vec<_>>(), ["a"]);
        assert!(waits.iter_mut().all(|waiting| waiting.now_or_never().is_none()));
        assert_eq!(channels.held(), 1);

        drop(waits);
        drop(channels);
        assert!(interest.away(std::future::pending::<()>()).await.is_err(), "nobody can ask any more");
    }
}
