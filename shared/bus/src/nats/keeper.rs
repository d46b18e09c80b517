//! The task that keeps one subscription's connection and its channels.
//!
//! Subscribing is batched (whatever was asked for while the task was busy leaves in one write) and pipelined (what comes
//! next does not wait for the last confirmation). A server answers in order: the PONG to a PING that was sent after a
//! SUB says that the SUB counts.
//!
//! What is read goes on in one queue, in the order in which it came. While the other end of the queue has not taken the
//! last batch no more is read, so that a flood waits in the server. A server that will not wait closes the connection,
//! which is an outage like any other.

use std::{future::Future, mem, sync::Arc, time::Duration};

use signal_wire::{backoff::Backoff, envelope::BROADCAST_CHANNEL};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until},
};

use super::{
    address::Address,
    connection::{Cause, Connection, Failure, RESPONSE_TIMEOUT},
    protocol::{self, Op},
    servers::Servers,
    subject,
};
use crate::{
    Event, Mode, Publication,
    holdings::{Changes, Held},
    interest::{Closed, Interest, Waiters},
    mode::PREFIXES,
    outage::{Outage, REFUSED},
    reach::REACH_TIMEOUT,
};

const LONGEST_DELAY: Duration = Duration::from_millis(400);
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), LONGEST_DELAY);
/// A half-open connection is noticed after at most the two together.
const PING_INTERVAL: Duration = Duration::from_secs(3);
const PING_TIMEOUT: Duration = RESPONSE_TIMEOUT;
/// The same where other things come all the time: an answer stands behind whatever the server had to say before it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Bounds of what is handed over at once.
const BATCH_EVENTS: usize = 256;
const BATCH_BYTES: usize = 1024 * 1024;

/// Everything is to be subscribed again 2 s after a server is back. A try that began just before that may hang to its
/// end, and the one after it be delayed: what is left is for connecting and subscribing.
const _: () = assert!(REACH_TIMEOUT.as_millis() + LONGEST_DELAY.as_millis() <= 1400);

/// The task's state that outlives a connection.
pub(super) struct Keeper {
    mode: Mode,
    interest: Interest,
    events: mpsc::Sender<Vec<Event>>,
    /// What was heard and not yet handed over.
    heard: Vec<Event>,
    heard_bytes: usize,
    servers: Servers,
    /// Failed tries since everything was last confirmed.
    attempt: u32,
    outage: Outage,
}

/// What belongs to one connection.
struct Confirming {
    /// The number of the next PONG.
    next: u64,
    /// The number of the PONG by which everything is subscribed again.
    restored: u64,
}

impl Keeper {
    pub(super) fn new(mode: Mode, interest: Interest, events: mpsc::Sender<Vec<Event>>, address: &Address) -> Self {
        let (heard, servers) = (Vec::new(), Servers::new(address));
        Self { mode, interest, events, heard, heard_bytes: 0, servers, attempt: 0, outage: Outage::default() }
    }

    /// Until the subscription is closed.
    pub(super) async fn run(mut self, address: Arc<Address>) {
        // Ends with `Closed`, which is no failure.
        let Err(Closed) = self.keep(&address).await;
    }

    async fn keep(&mut self, address: &Address) -> Result<std::convert::Infallible, Closed> {
        let mut delay = Duration::ZERO;
        loop {
            let server = self.servers.next();
            let connecting = async {
                sleep(delay).await;
                Connection::open(server, address).await
            };
            let failure = match self.away(connecting).await? {
                Ok(connection) => {
                    let failure = self.serve(connection).await?;
                    self.interest.confirmations.lost();
                    failure
                }
                Err(failure) => failure,
            };
            let reason = failure.to_string();
            if self.outage.is_news(&reason, Instant::now()) {
                self.heard.push(Event::Lost { reason });
            }
            if !self.heard.is_empty() {
                let (events, heard) = (self.events.clone(), mem::take(&mut self.heard));
                self.heard_bytes = 0;
                self.away(async move { events.send(heard).await.map_err(|_| Closed) }).await??;
            }
            // Where one server is away another one may not be: they are tried without much ado, and all of them once
            // more after a pause.
            let round = self.attempt / u32::try_from(self.servers.count()).unwrap_or(u32::MAX);
            let backoff = if failure.cause.is_refusal() { REFUSED } else { BACKOFF };
            delay = backoff.delay(round, getrandom::u32().unwrap_or(u32::MAX));
            self.attempt = self.attempt.saturating_add(1);
        }
    }

    /// Waits for `what` while there is no connection, unless nobody hears it any more.
    async fn away<T>(&mut self, what: impl Future<Output = T>) -> Result<T, Closed> {
        let Self { interest, events, .. } = self;
        let heard = async {
            tokio::select! {
                done = what => Ok(done),
                () = events.closed() => Err(Closed),
            }
        };
        interest.away(heard).await?
    }

    /// Keeps one connection until it fails, and says how it failed.
    async fn serve(&mut self, mut connection: Connection) -> Result<Failure, Closed> {
        let info = connection.info.clone();
        self.servers.learn(&info, &connection.server);
        let mut confirming = self.subscribe_all(&mut connection);
        let events = self.events.clone();
        let mut pings = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Whether something was read since the last tick, and until when something has to be.
        let (mut read, mut due) = (false, None::<Instant>);
        // Which PONG is awaited, and until when: what else comes says that the server is there, but not that it hears.
        let mut asked = None::<(u64, Instant)>;
        loop {
            if let Err(cause) = self.hear(&mut connection, &mut confirming) {
                return Ok(connection.failure(cause));
            }
            asked = asked.filter(|(number, _)| *number >= confirming.next);
            let reading = !self.is_full();
            tokio::select! {
                permit = events.reserve(), if !self.heard.is_empty() => {
                    permit.map_err(|_| Closed)?.send(mem::take(&mut self.heard));
                    self.heard_bytes = 0;
                    // What was not read does not say that nobody was there.
                    due = due.map(|_| Instant::now() + PING_TIMEOUT);
                    if !reading {
                        asked = asked.map(|(number, _)| (number, Instant::now() + ANSWER_TIMEOUT));
                    }
                }
                turned = connection.turn(reading) => match turned {
                    Ok(()) => (read, due) = (true, None),
                    Err(error) => return Ok(connection.failure(error)),
                },
                changes = self.interest.changes() => {
                    let (changes, waiters) = changes?;
                    self.apply(changes, waiters, &mut connection);
                }
                _ = pings.tick() => {
                    if asked.is_none() {
                        asked = Some((self.ping(&mut connection), Instant::now() + ANSWER_TIMEOUT));
                    }
                    if !mem::take(&mut read) && due.is_none() {
                        due = Some(Instant::now() + PING_TIMEOUT);
                    }
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if reading && due.is_some() => {
                    return Ok(connection.failure(Cause::Silent));
                }
                () = sleep_until(asked.map_or_else(Instant::now, |(_, until)| until)), if reading && asked.is_some() => {
                    return Ok(connection.failure(Cause::Deaf));
                }
                () = events.closed() => return Err(Closed),
            }
        }
    }

    /// Takes what has been read, until there is enough to hand over.
    fn hear(&mut self, connection: &mut Connection, confirming: &mut Confirming) -> Result<(), Cause> {
        while !self.is_full()
            && let Some(op) = connection.op()?
        {
            match op {
                Op::Message(message) => {
                    let Some(channel) = subject::read(&message.subject) else {
                        tracing::debug!("dropped a message whose subject is no channel's");
                        continue;
                    };
                    self.heard_bytes += message.payload.len();
                    self.heard.push(Event::Message(Publication { channel, payload: message.payload }));
                }
                Op::Pong => {
                    self.interest.confirmations.confirm(confirming.next);
                    if confirming.next == confirming.restored {
                        self.attempt = 0;
                        self.outage.is_over();
                        let channels = self.interest.holdings.len();
                        tracing::info!(node = %connection.server.endpoint, channels, "backplane subscribed");
                        self.heard.push(Event::Restored);
                    }
                    confirming.next += 1;
                }
                Op::Ping => connection.outgoing().extend_from_slice(protocol::PONG),
                Op::Info(info) => {
                    self.servers.learn(&info, &connection.server);
                    if info.ldm && self.servers.count() > 1 {
                        return Err(Cause::LameDuck);
                    }
                }
                // Whatever it is, something is not subscribed that should be.
                Op::Err(said) => return Err(Cause::Said(said)),
            }
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.heard.len() >= BATCH_EVENTS || self.heard_bytes >= BATCH_BYTES
    }

    fn subscribe_all(&mut self, connection: &mut Connection) -> Confirming {
        let outgoing = connection.outgoing();
        if self.mode == Mode::Pattern {
            for (prefix, number) in PREFIXES.into_iter().zip(PATTERN_NUMBERS) {
                let pattern = |to: &mut Vec<u8>| {
                    subject::write(prefix.trim_end_matches(':'), to);
                    to.extend_from_slice(b".*");
                };
                protocol::subscribe(pattern, number, outgoing);
            }
            let [.., broadcast] = PATTERN_NUMBERS;
            protocol::subscribe(|to| subject::write(BROADCAST_CHANNEL, to), broadcast, outgoing);
        }
        for (channel, number) in self.interest.holdings.all() {
            protocol::subscribe(|to| subject::write(channel, to), number, outgoing);
        }
        let restored = self.ping(connection);
        self.interest.confirmations.connected();
        Confirming { next: restored, restored }
    }

    fn apply(&mut self, changes: Changes, waiters: Waiters, connection: &mut Connection) {
        let outgoing = connection.outgoing();
        for Held { number, .. } in changes.unsubscribe {
            protocol::unsubscribe(number, outgoing);
        }
        if !changes.subscribe.is_empty() {
            for Held { channel, number } in changes.subscribe {
                protocol::subscribe(|to| subject::write(&channel, to), number, outgoing);
            }
            self.ping(connection);
        }
        self.interest.wait(waiters);
    }

    /// Returns the number of the PONG that confirms everything up to here.
    fn ping(&mut self, connection: &mut Connection) -> u64 {
        connection.outgoing().extend_from_slice(protocol::PING);
        self.interest.confirmations.sent()
    }
}

/// Of the patterns and the broadcast channel: numbers that no held channel comes to.
const PATTERN_NUMBERS: [u64; 4] = [u64::MAX - 3, u64::MAX - 2, u64::MAX - 1, u64::MAX];
