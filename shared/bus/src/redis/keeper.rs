//! The task that keeps one subscription's connection and its channels.
//!
//! Subscribing is batched (whatever was asked for while the task was busy becomes one command) and pipelined (the next
//! command does not wait for the last one's confirmation).

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use redis::{
    RedisError, RedisResult,
    aio::{PubSubSink, PubSubStream},
};
use signal_wire::{backoff::Backoff, envelope::BROADCAST_CHANNEL};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until},
};

use super::{
    address::Address,
    node::{self, Node, NodeError, PING_INTERVAL},
    nodes::Nodes,
    sentinel::NoMaster,
};
use crate::{
    Mode,
    holdings::Changes,
    interest::{Closed, Interest},
    mode::PREFIXES,
    outage::{Outage, REFUSED},
    reach::REACH_TIMEOUT,
};

const LONGEST_DELAY: Duration = Duration::from_millis(400);
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), LONGEST_DELAY);
/// Nothing was answered for so long, although it was asked at least two seconds ago: the connection is half-open. Any
/// answer will do, since that to a ping comes behind those to whatever was subscribed before it: over a slow link, or
/// from a server on which everybody subscribes at once, it may take its time.
const SILENCE: Duration = PING_INTERVAL.saturating_add(Duration::from_secs(2));
/// Channels in one command when all are subscribed again.
const RESUBSCRIBE_CHUNK: usize = 1000;

/// Everything is to be subscribed again 2 s after Redis is back. A try that began just before that may hang to its end,
/// and the one after it be delayed: what is left is for connecting and subscribing.
const _: () = assert!(REACH_TIMEOUT.as_millis() + LONGEST_DELAY.as_millis() <= 1400);

/// What the task tells the reading end beside the messages themselves.
pub(super) enum Link {
    /// A connection; the sender is dropped when its stream ends.
    Up(PubSubStream, oneshot::Sender<()>),
    Lost(String),
    Restored,
}

type Confirmation = BoxFuture<'static, (u64, RedisResult<()>)>;

/// The task's state that outlives a connection.
pub(super) struct Keeper {
    mode: Mode,
    interest: Interest,
    links: mpsc::Sender<Link>,
    /// Failed tries since everything was last confirmed.
    attempt: u32,
    outage: Outage,
}

impl Keeper {
    pub(super) fn new(mode: Mode, interest: Interest, links: mpsc::Sender<Link>) -> Self {
        Self { mode, interest, links, attempt: 0, outage: Outage::default() }
    }

    /// Until the subscription is closed.
    pub(super) async fn run(mut self, address: Arc<Address>) {
        // Ends with `Closed`, which is no failure.
        let Err(Closed) = self.keep(Nodes::new(&address)).await;
    }

    async fn keep(&mut self, mut nodes: Nodes) -> Result<std::convert::Infallible, Closed> {
        let mut delay = Duration::ZERO;
        loop {
            // Boxed, since it would make all that waits for it as large.
            let connected = self.away(Box::pin(connect(&mut nodes, delay))).await?;
            let failure = match connected {
                Ok((node, sink, stream)) => {
                    let failure = self.serve(&node, &mut nodes, sink, stream).await?;
                    self.interest.confirmations.lost();
                    Failure { reason: format!("{node}: {}", failure.reason), ..failure }
                }
                Err(failure) => failure,
            };
            let Failure { reason, is_refusal } = failure;
            if self.outage.is_news(&reason, Instant::now()) {
                self.tell(Link::Lost(reason)).await?;
            }
            let backoff = if is_refusal { REFUSED } else { BACKOFF };
            delay = backoff.delay(self.attempt, getrandom::u32().unwrap_or(u32::MAX));
            self.attempt = self.attempt.saturating_add(1);
        }
    }

    /// Waits for `what` while there is no connection, unless nobody hears it any more.
    async fn away<T>(&mut self, what: impl Future<Output = T>) -> Result<T, Closed> {
        let Self { interest, links, .. } = self;
        let heard = async {
            tokio::select! {
                done = what => Ok(done),
                () = links.closed() => Err(Closed),
            }
        };
        interest.away(heard).await?
    }

    /// Keeps one connection until it fails, and says how it failed.
    async fn serve(
        &mut self,
        node: &Node,
        nodes: &mut Nodes,
        sink: PubSubSink,
        stream: PubSubStream,
    ) -> Result<Failure, Closed> {
        let mut answers = FuturesUnordered::new();
        let (end, mut ended) = oneshot::channel();
        self.tell(Link::Up(stream, end)).await?;
        self.subscribe_all(&sink, &mut answers);
        self.interest.confirmations.connected();
        let (restored, mut is_restored) = oneshot::channel();
        self.interest.confirmations.wait(restored);
        let mut announced = false;

        let mut moved = pin!(nodes.moved(&node.endpoint));
        let mut pings = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut answered = Instant::now();
        loop {
            tokio::select! {
                Some((number, answer)) = answers.next() => match answer {
                    Ok(()) => {
                        answered = Instant::now();
                        self.interest.confirmations.confirm(number);
                    }
                    Err(error) => return Ok(error.into()),
                },
                () = sleep_until(answered + SILENCE) => return Ok(Failure::of("no answer to a ping in time")),
                _ = &mut is_restored, if !announced => {
                    announced = true;
                    self.attempt = 0;
                    self.outage.is_over();
                    tracing::info!(node = %node.endpoint, channels = self.interest.holdings.len(), "backplane subscribed");
                    self.tell(Link::Restored).await?;
                }
                changes = self.interest.changes() => {
                    let (changes, waiters) = changes?;
                    self.apply(changes, &sink, &mut answers);
                    self.interest.wait(waiters);
                }
                _ = &mut ended => return Ok(Failure::of("the connection was closed")),
                _ = pings.tick() => answers.push(ping(sink.clone())),
                master = &mut moved => return Ok(Failure::of(format!("it is no longer the master, which is at {master}"))),
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
            let patterns = PREFIXES.map(|prefix| format!("{prefix}*"));
            self.send(sink, answers, |mut sink| async move { sink.psubscribe(&patterns[..]).await });
            self.send(sink, answers, |mut sink| async move { sink.subscribe(BROADCAST_CHANNEL).await });
        }
        let channels: Vec<_> = self.interest.holdings.all().map(|(channel, _)| channel.to_owned()).collect();
        for chunk in channels.chunks(RESUBSCRIBE_CHUNK) {
            let chunk = chunk.to_vec();
            self.send(sink, answers, |mut sink| async move { sink.subscribe(&chunk).await });
        }
    }

    /// At most one UNSUBSCRIBE and one SUBSCRIBE.
    fn apply(&mut self, changes: Changes, sink: &PubSubSink, answers: &mut FuturesUnordered<Confirmation>) {
        let [subscribe, unsubscribe] = [changes.subscribe, changes.unsubscribe]
            .map(|held| held.into_iter().map(|held| held.channel).collect::<Vec<_>>());
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
        let number = self.interest.confirmations.sent();
        let mut answer: Confirmation = command(sink.clone()).map(move |answer| (number, answer)).boxed();
        // The sink hands a command to the connection when its future is first polled.
        match (&mut answer).now_or_never() {
            Some(answered) => answers.push(std::future::ready(answered).boxed()),
            None => answers.push(answer),
        }
    }
}

/// How a connection failed, or why there is none.
struct Failure {
    reason: String,
    /// The next try will fail in the same way.
    is_refusal: bool,
}

impl Failure {
    fn of(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_refusal: false }
    }
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        Self { is_refusal: node::is_refusal(&error), ..Self::of(error.to_string()) }
    }
}

impl From<NodeError> for Failure {
    fn from(error: NodeError) -> Self {
        Self { is_refusal: node::is_refusal(&error.cause), ..Self::of(error.to_string()) }
    }
}

impl From<NoMaster> for Failure {
    fn from(error: NoMaster) -> Self {
        Self::of(error.to_string())
    }
}

async fn connect(nodes: &mut Nodes, delay: Duration) -> Result<(Node, PubSubSink, PubSubStream), Failure> {
    sleep(delay).await;
    let node = nodes.next().await?;
    let (sink, stream) = node.listen().await?;
    Ok((node, sink, stream))
}

fn ping(mut sink: PubSubSink) -> Confirmation {
    async move { (0, sink.ping::<redis::Value>().await.map(drop)) }.boxed()
}
