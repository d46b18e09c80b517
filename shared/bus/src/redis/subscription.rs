//! One subscription: a task that keeps the connection and its channels, and the stream that the edge reads.
//!
//! Subscribing is batched (whatever was asked for while the task was busy becomes one command) and pipelined (the next
//! command does not wait for the last one's confirmation).

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use redis::{
    Client, Msg, RedisResult,
    aio::{PubSubSink, PubSubStream},
};
use signal_wire::{backoff::Backoff, envelope::BROADCAST_CHANNEL};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval_at, sleep, timeout},
};

use super::{CONNECT_TIMEOUT, Mode, confirmation::Confirmations};
use crate::{BusError, Channels, Event, Events, Publication};

const BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
/// A half-open connection is noticed after at most the two together.
const PING_INTERVAL: Duration = Duration::from_secs(3);
const PING_TIMEOUT: Duration = Duration::from_secs(2);
/// Channels in one command when all are subscribed again.
const RESUBSCRIBE_CHUNK: usize = 1000;
/// Requests taken together into one command.
const BATCH: usize = 256;
const PATTERNS: [&str; 3] = ["ws:room:*", "ws:client:*", "ws:user:*"];

enum Request {
    Acquire(Vec<String>, oneshot::Sender<()>),
    Release(Vec<String>),
}

/// What the task tells the reading end beside the messages themselves.
enum Link {
    /// A connection; the sender is dropped when its stream ends.
    Up(PubSubStream, oneshot::Sender<()>),
    Lost(String),
    Restored,
}

pub(super) fn open(client: Client, mode: Mode) -> (Arc<dyn Channels>, Box<dyn Events>) {
    // Unbounded, because releasing must not wait; a connection has at most two requests in here at a time.
    let (requests, inbox) = mpsc::unbounded_channel();
    let (links, reader) = mpsc::channel(4);
    let keeper = Keeper { client, mode, counts: HashMap::new(), confirmations: Confirmations::default() };
    tokio::spawn(keeper.run(inbox, links));
    (Arc::new(RedisChannels { requests, mode }), Box::new(RedisEvents { links: reader, stream: None }))
}

#[derive(Debug)]
struct RedisChannels {
    requests: mpsc::UnboundedSender<Request>,
    mode: Mode,
}

#[async_trait]
impl Channels for RedisChannels {
    async fn acquire(&self, channels: Vec<String>) -> Result<(), BusError> {
        let (waiter, confirmed) = oneshot::channel();
        self.requests.send(Request::Acquire(channels, waiter)).map_err(|_| BusError::Closed)?;
        confirmed.await.map_err(|_| BusError::Closed)
    }

    fn release(&self, channels: Vec<String>) {
        if self.mode == Mode::Exact {
            // After the subscription has closed there is nothing to release.
            let _ = self.requests.send(Request::Release(channels));
        }
    }
}

struct RedisEvents {
    links: mpsc::Receiver<Link>,
    stream: Option<(PubSubStream, oneshot::Sender<()>)>,
}

#[async_trait]
impl Events for RedisEvents {
    async fn next(&mut self, events: &mut Vec<Event>, max: usize) -> bool {
        loop {
            let message = async {
                match &mut self.stream {
                    Some((stream, _)) => stream.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                message = message => {
                    let Some(message) = message else {
                        self.stream = None;
                        continue;
                    };
                    events.push(event(&message));
                    let at_hand = |stream: &mut PubSubStream| stream.next().now_or_never().flatten();
                    while events.len() < max
                        && let Some(message) = self.stream.as_mut().and_then(|(stream, _)| at_hand(stream))
                    {
                        events.push(event(&message));
                    }
                    return true;
                }
                link = self.links.recv() => match link {
                    Some(Link::Up(stream, ended)) => self.stream = Some((stream, ended)),
                    Some(Link::Lost(reason)) => {
                        self.stream = None;
                        events.push(Event::Lost { reason });
                        return true;
                    }
                    Some(Link::Restored) => {
                        events.push(Event::Restored);
                        return true;
                    }
                    None => return false,
                },
            }
        }
    }
}

fn event(message: &Msg) -> Event {
    Event::Message(Publication {
        channel: message.get_channel_name().to_owned(),
        payload: Bytes::copy_from_slice(message.get_payload_bytes()),
    })
}

type Confirmation = BoxFuture<'static, (u64, RedisResult<()>)>;

/// The task's state that outlives a connection.
struct Keeper {
    client: Client,
    mode: Mode,
    counts: HashMap<String, usize>,
    confirmations: Confirmations,
}

/// The reading end is gone: the subscription is closed.
struct Closed;

impl Keeper {
    async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Request>, links: mpsc::Sender<Link>) {
        let mut attempt = 0;
        let mut reported = false;
        loop {
            let failure = match self.connect().await {
                Ok((sink, stream)) => {
                    attempt = 0;
                    reported = false;
                    match self.serve(sink, stream, &mut inbox, &links).await {
                        Ok(failure) => failure,
                        Err(Closed) => return,
                    }
                }
                Err(error) => error.to_string(),
            };
            if !std::mem::replace(&mut reported, true) {
                // The address has no credentials in it.
                let reason = format!("Redis at {}: {failure}", self.client.get_connection_info().addr());
                if links.send(Link::Lost(reason)).await.is_err() {
                    return;
                }
            }
            if links.is_closed() {
                return;
            }
            let random = getrandom::u32().unwrap_or(u32::MAX);
            sleep(BACKOFF.delay(attempt, random)).await;
            attempt += 1;
        }
    }

    async fn connect(&self) -> RedisResult<(PubSubSink, PubSubStream)> {
        match timeout(CONNECT_TIMEOUT, self.client.get_async_pubsub()).await {
            Ok(connected) => connected.map(redis::aio::PubSub::split),
            Err(_) => Err((redis::ErrorKind::Io, "no connection in time").into()),
        }
    }

    /// Keeps one connection until it fails, and says how it failed.
    async fn serve(
        &mut self,
        sink: PubSubSink,
        stream: PubSubStream,
        inbox: &mut mpsc::UnboundedReceiver<Request>,
        links: &mpsc::Sender<Link>,
    ) -> Result<String, Closed> {
        let mut answers = FuturesUnordered::new();
        let waiters = self.confirmations.reset();
        let (end, mut ended) = oneshot::channel();
        links.send(Link::Up(stream, end)).await.map_err(|_| Closed)?;
        self.subscribe_all(&sink, &mut answers);
        for waiter in waiters {
            self.confirmations.wait(waiter);
        }
        let (restored, mut is_restored) = oneshot::channel();
        self.confirmations.wait(restored);
        let mut announced = false;

        let mut pings = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut requests = Vec::new();
        let failure = loop {
            tokio::select! {
                Some((number, answer)) = answers.next() => match answer {
                    Ok(()) => self.confirmations.confirm(number),
                    Err(error) => break error.to_string(),
                },
                _ = &mut is_restored, if !announced => {
                    announced = true;
                    tracing::info!(channels = self.counts.len(), "backplane subscribed");
                    links.send(Link::Restored).await.map_err(|_| Closed)?;
                }
                count = inbox.recv_many(&mut requests, BATCH) => {
                    if count == 0 {
                        return Err(Closed);
                    }
                    self.apply(requests.drain(..), &sink, &mut answers);
                }
                _ = &mut ended => break "the connection was closed".to_owned(),
                _ = pings.tick() => answers.push(ping(sink.clone())),
                () = links.closed() => return Err(Closed),
            }
        };
        Ok(failure)
    }

    fn subscribe_all(&mut self, sink: &PubSubSink, answers: &mut FuturesUnordered<Confirmation>) {
        match self.mode {
            Mode::Pattern => {
                self.send(sink, answers, |mut sink| async move { sink.psubscribe(&PATTERNS[..]).await });
                self.send(sink, answers, |mut sink| async move { sink.subscribe(BROADCAST_CHANNEL).await });
            }
            Mode::Exact => {
                let channels: Vec<String> = self.counts.keys().cloned().collect();
                for chunk in channels.chunks(RESUBSCRIBE_CHUNK) {
                    let chunk = chunk.to_vec();
                    self.send(sink, answers, |mut sink| async move { sink.subscribe(&chunk).await });
                }
            }
        }
    }

    /// Turns a batch of requests into at most one SUBSCRIBE and one UNSUBSCRIBE.
    fn apply(
        &mut self,
        requests: impl Iterator<Item = Request>,
        sink: &PubSubSink,
        answers: &mut FuturesUnordered<Confirmation>,
    ) {
        let mut waiters = Vec::new();
        let mut changed = HashMap::new();
        for request in requests {
            match request {
                Request::Acquire(channels, waiter) => {
                    waiters.push(waiter);
                    if self.mode == Mode::Pattern {
                        continue;
                    }
                    for channel in channels {
                        let count = self.counts.entry(channel.clone()).or_default();
                        changed.entry(channel).or_insert(*count > 0);
                        *count += 1;
                    }
                }
                Request::Release(channels) => {
                    for channel in channels {
                        let Some(count) = self.counts.get_mut(&channel) else { continue };
                        *count -= 1;
                        if *count == 0 {
                            self.counts.remove(&channel);
                        }
                        changed.entry(channel).or_insert(true);
                    }
                }
            }
        }
        let (mut subscribe, mut unsubscribe) = (Vec::new(), Vec::new());
        for (channel, was_subscribed) in changed {
            match (was_subscribed, self.counts.contains_key(&channel)) {
                (false, true) => subscribe.push(channel),
                (true, false) => unsubscribe.push(channel),
                _ => {}
            }
        }
        if !unsubscribe.is_empty() {
            self.send(sink, answers, |mut sink| async move { sink.unsubscribe(&unsubscribe).await });
        }
        if !subscribe.is_empty() {
            self.send(sink, answers, |mut sink| async move { sink.subscribe(&subscribe).await });
        }
        for waiter in waiters {
            self.confirmations.wait(waiter);
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

fn ping(mut sink: PubSubSink) -> Confirmation {
    async move {
        let answer = match timeout(PING_TIMEOUT, sink.ping::<redis::Value>()).await {
            Ok(answer) => answer.map(drop),
            Err(_) => Err((redis::ErrorKind::Io, "no answer to a ping in time").into()),
        };
        (0, answer)
    }
    .boxed()
}
