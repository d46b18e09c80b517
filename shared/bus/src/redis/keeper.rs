//! The task that keeps one subscription's connection and its channels.
//!
//! Subscribing is batched (whatever was asked for while the task was busy becomes one command) and pipelined (the next
//! command does not wait for the last one's confirmation).

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use redis::{
    ErrorKind, RedisResult,
    aio::{PubSubSink, PubSubStream},
};
use signal_wire::{backoff::Backoff, envelope::BROADCAST_CHANNEL};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval_at, sleep, timeout},
};

use super::{
    Mode, PATTERNS,
    address::Address,
    confirmation::Confirmations,
    holdings::{Changes, Holdings},
    node::{Node, REACH_TIMEOUT},
    nodes::Nodes,
};

const LONGEST_DELAY: Duration = Duration::from_millis(400);
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), LONGEST_DELAY);
/// A half-open connection is noticed after at most the two together.
pub(super) const PING_INTERVAL: Duration = Duration::from_secs(3);
pub(super) const PING_TIMEOUT: Duration = Duration::from_secs(2);
/// Channels in one command when all are subscribed again.
const RESUBSCRIBE_CHUNK: usize = 1000;
/// Requests taken together into one command.
const BATCH: usize = 256;

/// Everything is to be subscribed again 2 s after Redis is back. A try that began just before that may hang to its end,
/// and the one after it be delayed: what is left is for connecting and subscribing.
const _: () = assert!(REACH_TIMEOUT.as_millis() + LONGEST_DELAY.as_millis() <= 1400);

pub(super) enum Request {
    Acquire(Vec<String>, oneshot::Sender<()>),
    Release(Vec<String>),
}

/// What the task tells the reading end beside the messages themselves.
pub(super) enum Link {
    /// A connection; the sender is dropped when its stream ends.
    Up(PubSubStream, oneshot::Sender<()>),
    Lost(String),
    Restored,
}

/// The reading end is gone: the subscription is closed.
struct Closed;

type Confirmation = BoxFuture<'static, (u64, RedisResult<()>)>;

/// The task's state that outlives a connection.
pub(super) struct Keeper {
    mode: Mode,
    holdings: Holdings,
    /// How many those are, for whoever asks.
    held: Arc<AtomicUsize>,
    confirmations: Confirmations,
    inbox: mpsc::UnboundedReceiver<Request>,
    links: mpsc::Sender<Link>,
    /// Failed tries since everything was last confirmed.
    attempt: u32,
}

impl Keeper {
    pub(super) fn new(
        mode: Mode,
        inbox: mpsc::UnboundedReceiver<Request>,
        links: mpsc::Sender<Link>,
        held: Arc<AtomicUsize>,
    ) -> Self {
        let (holdings, confirmations) = Default::default();
        Self { mode, holdings, held, confirmations, inbox, links, attempt: 0 }
    }

    /// Until the subscription is closed.
    pub(super) async fn run(mut self, address: Arc<Address>) {
        // Ends with `Closed`, which is no failure.
        let Err(Closed) = self.keep(Nodes::new(&address)).await;
    }

    async fn keep(&mut self, mut nodes: Nodes) -> Result<std::convert::Infallible, Closed> {
        let mut delay = Duration::ZERO;
        loop {
            let connected = self.away(connect(&mut nodes, delay)).await?;
            let failure = match connected {
                Ok((node, sink, stream)) => {
                    let failure = self.serve(&node, &mut nodes, sink, stream).await?;
                    self.confirmations.lost();
                    format!("{node}: {failure}")
                }
                Err(failure) => failure,
            };
            // An outage is told of once, however many tries it takes.
            if self.attempt == 0 {
                self.tell(Link::Lost(failure)).await?;
            }
            delay = BACKOFF.delay(self.attempt, getrandom::u32().unwrap_or(u32::MAX));
            self.attempt = self.attempt.saturating_add(1);
        }
    }

    /// Waits for `what` while there is no connection. Requests are noted meanwhile, which keeps their queue short.
    async fn away<T>(&mut self, what: impl Future<Output = T>) -> Result<T, Closed> {
        let mut what = pin!(what);
        let mut requests = Vec::new();
        loop {
            tokio::select! {
                done = &mut what => return Ok(done),
                count = self.inbox.recv_many(&mut requests, BATCH) => {
                    if count == 0 {
                        return Err(Closed);
                    }
                    // A new connection is told all that is held, not what has changed.
                    let (_, waiters) = self.note(requests.drain(..));
                    self.wait(waiters);
                }
                () = self.links.closed() => return Err(Closed),
            }
        }
    }

    /// Keeps one connection until it fails, and says how it failed.
    async fn serve(
        &mut self,
        node: &Node,
        nodes: &mut Nodes,
        sink: PubSubSink,
        stream: PubSubStream,
    ) -> Result<String, Closed> {
        let mut answers = FuturesUnordered::new();
        let (end, mut ended) = oneshot::channel();
        self.tell(Link::Up(stream, end)).await?;
        self.subscribe_all(&sink, &mut answers);
        self.confirmations.connected();
        let (restored, mut is_restored) = oneshot::channel();
        self.confirmations.wait(restored);
        let mut announced = false;

        let mut moved = pin!(nodes.moved(&node.endpoint));
        let mut pings = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut requests = Vec::new();
        loop {
            tokio::select! {
                Some((number, answer)) = answers.next() => match answer {
                    Ok(()) => self.confirmations.confirm(number),
                    Err(error) => return Ok(error.to_string()),
                },
                _ = &mut is_restored, if !announced => {
                    announced = true;
                    self.attempt = 0;
                    tracing::info!(node = %node.endpoint, channels = self.holdings.len(), "backplane subscribed");
                    self.tell(Link::Restored).await?;
                }
                count = self.inbox.recv_many(&mut requests, BATCH) => {
                    if count == 0 {
                        return Err(Closed);
                    }
                    let (changes, waiters) = self.note(requests.drain(..));
                    self.apply(changes, &sink, &mut answers);
                    self.wait(waiters);
                }
                _ = &mut ended => return Ok("the connection was closed".to_owned()),
                _ = pings.tick() => answers.push(ping(sink.clone())),
                master = &mut moved => return Ok(format!("it is no longer the master, which is at {master}")),
                () = self.links.closed() => return Err(Closed),
            }
        }
    }
}

impl Keeper {
    async fn tell(&self, link: Link) -> Result<(), Closed> {
        self.links.send(link).await.map_err(|_| Closed)
    }

    fn subscribe_all(&mut self, sink: &PubSubSink, answers: &mut FuturesUnordered<Confirmation>) {
        if self.mode == Mode::Pattern {
            self.send(sink, answers, |mut sink| async move { sink.psubscribe(&PATTERNS[..]).await });
            self.send(sink, answers, |mut sink| async move { sink.subscribe(BROADCAST_CHANNEL).await });
        }
        let channels = self.holdings.all();
        for chunk in channels.chunks(RESUBSCRIBE_CHUNK) {
            let chunk = chunk.to_vec();
            self.send(sink, answers, |mut sink| async move { sink.subscribe(&chunk).await });
        }
    }

    /// Counts what is asked for. Whoever waits for it may be answered once the changes are confirmed.
    fn note(&mut self, requests: impl Iterator<Item = Request>) -> (Changes, Vec<oneshot::Sender<()>>) {
        let mut waiters = Vec::new();
        for request in requests {
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
        self.held.store(self.holdings.len(), Ordering::Relaxed);
        (self.holdings.changes(), waiters)
    }

    fn wait(&mut self, waiters: Vec<oneshot::Sender<()>>) {
        for waiter in waiters {
            self.confirmations.wait(waiter);
        }
    }

    /// At most one UNSUBSCRIBE and one SUBSCRIBE.
    fn apply(&mut self, changes: Changes, sink: &PubSubSink, answers: &mut FuturesUnordered<Confirmation>) {
        let Changes { subscribe, unsubscribe } = changes;
        if !unsubscribe.is_empty() {
            self.send(sink, answers, |mut sink| async move { sink.unsubscribe(&unsubscribe).await });
        }
        if !subscribe.is_empty() {
            self.send(sink, answers, |mut sink| async move { sink.subscribe(&subscribe).await });
        }
    }

    /// Sends a command now, so that commands leave in the order of these calls, and keeps its answer for later.
    fn send<F>(
        &mut self,
        sink: &PubSubSink,
        answers: &mut FuturesUnordered<Confirmation>,
        command: impl FnOnce(PubSubSink) -> F,
    ) where
        F: Future<Output = RedisResult<()>> + Send + 'static,
    {
        let number = self.confirmations.sent();
        let mut answer: Confirmation = command(sink.clone()).map(move |answer| (number, answer)).boxed();
        // The sink hands a command to the connection when its future is first polled.
        match (&mut answer).now_or_never() {
            Some(answered) => answers.push(std::future::ready(answered).boxed()),
            None => answers.push(answer),
        }
    }
}

async fn connect(nodes: &mut Nodes, delay: Duration) -> Result<(Node, PubSubSink, PubSubStream), String> {
    sleep(delay).await;
    let node = nodes.next().await.map_err(|error| error.to_string())?;
    let (sink, stream) = node.listen().await.map_err(|error| error.to_string())?;
    Ok((node, sink, stream))
}

fn ping(mut sink: PubSubSink) -> Confirmation {
    async move {
        let answer = match timeout(PING_TIMEOUT, sink.ping::<redis::Value>()).await {
            Ok(answer) => answer.map(drop),
            Err(_) => Err((ErrorKind::Io, "no answer to a ping in time").into()),
        };
        (0, answer)
    }
    .boxed()
}

#[cfg(test)]
mod tests {
    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn requests_are_taken_while_there_is_no_connection() {
        const REQUESTS: usize = 10 * BATCH;
        let (requests, inbox) = mpsc::unbounded_channel();
        let (links, _reader) = mpsc::channel(4);
        let mut keeper = Keeper::new(Mode::Exact, inbox, links, Arc::default());
        let mut waits = Vec::new();
        for number in 0..REQUESTS {
            let (waiter, confirmed) = oneshot::channel();
            let _ = requests.send(Request::Acquire(vec!["a".to_owned(), number.to_string()], waiter));
            let _ = requests.send(Request::Release(vec![number.to_string()]));
            waits.push(confirmed);
        }
        let outage = async {
            for _ in 0..REQUESTS {
                yield_now().await;
            }
        };
        assert!(keeper.away(outage).await.is_ok());
        assert!(keeper.inbox.is_empty());
        assert_eq!(keeper.holdings.all(), ["a"]);
        assert!(waits.iter_mut().all(|confirmed| confirmed.try_recv().is_err()));

        drop(requests);
        assert!(keeper.away(std::future::pending::<()>()).await.is_err(), "nobody can ask any more");
    }
}
