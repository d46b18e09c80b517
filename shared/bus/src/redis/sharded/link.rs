//! One connection to one master, for subscriptions.
//!
//! Each batch of commands ends with a numbered ping, whose pong says that all before it is done: what a node says of
//! single channels need not be counted. Messages go straight to the reading end, and while that has no room for more,
//! nothing is read: a flood waits in Redis, not in memory.

use std::{
    collections::{HashSet, VecDeque},
    io,
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut};
use redis::cmd;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval_at, sleep_until},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    reply::{self, Reply},
    slot::{Slot, slot},
};
use crate::{
    Event, Publication,
    reach::Stream,
    redis::node::{Node, PING_INTERVAL},
};

/// Read at once, and so about as much as one element of the queue to the reading end holds.
const READ: usize = 64 * 1024;
/// For anything to be said once a ping was sent. The answer itself comes behind those to whatever was subscribed before
/// it.
const PING_TIMEOUT: Duration = Duration::from_secs(2);
/// The number of a ping that ends no batch.
const ALIVE: u64 = 0;

pub(super) type LinkId = u64;

/// What a link tells the keeper.
#[derive(Debug)]
pub(super) enum News {
    Up,
    /// All commands of the batches up to this one are done.
    Confirmed(u64),
    /// The node does not serve this slot, or not any more.
    Moved(Slot),
    /// The last that is heard of this link.
    Failed(String),
}

/// Commands to be sent together.
#[derive(Debug, Default)]
pub(super) struct Commands {
    bytes: Vec<u8>,
    /// Channels that are let go of.
    leaving: Vec<String>,
}

impl Commands {
    /// `channels` are of one slot.
    pub(super) fn subscribe(&mut self, channels: &[&str]) {
        if !channels.is_empty() {
            self.bytes.extend(cmd("SSUBSCRIBE").arg(channels).get_packed_command());
        }
    }

    /// `channels` are of one slot.
    pub(super) fn unsubscribe(&mut self, channels: Vec<String>) {
        if !channels.is_empty() {
            self.bytes.extend(cmd("SUNSUBSCRIBE").arg(&channels).get_packed_command());
            self.leaving.extend(channels);
        }
    }
}

/// The keeper's end of a link, which ends with it.
#[derive(Debug)]
pub(super) struct Link {
    commands: mpsc::UnboundedSender<(u64, Commands)>,
    sent: u64,
    _task: AbortOnDropHandle<()>,
}

impl Link {
    /// Connects, and then is told commands.
    pub(super) fn open(
        id: LinkId,
        node: Node,
        news: mpsc::UnboundedSender<(LinkId, News)>,
        heard: mpsc::Sender<Vec<Event>>,
    ) -> Self {
        let (commands, inbox) = mpsc::unbounded_channel();
        let task = AbortOnDropHandle::new(tokio::spawn(async move {
            let failure = match node.join().await {
                Ok(stream) => {
                    // Without a keeper there is no subscription any more.
                    let _ = news.send((id, News::Up));
                    Line::default().keep(stream, inbox, heard, |told| drop(news.send((id, told)))).await
                }
                Err(error) => error.cause.to_string(),
            };
            let _ = news.send((id, News::Failed(format!("{node}: {failure}"))));
        }));
        Self { commands, sent: ALIVE, _task: task }
    }

    /// Returns the batch's number.
    pub(super) fn send(&mut self, commands: Commands) -> u64 {
        self.sent += 1;
        // A link that has failed says so itself.
        let _ = self.commands.send((self.sent, commands));
        self.sent
    }
}

#[derive(Default)]
struct Line {
    input: BytesMut,
    output: BytesMut,
    /// What there was no room for yet.
    heard: Vec<Event>,
    /// Channels that the node has not yet let go of, by the batches that ask for it.
    leaving: VecDeque<(u64, HashSet<String>)>,
}

impl Line {
    /// Until it fails, and says how.
    async fn keep(
        mut self,
        stream: Stream,
        mut inbox: mpsc::UnboundedReceiver<(u64, Commands)>,
        heard: mpsc::Sender<Vec<Event>>,
        tell: impl Fn(News),
    ) -> String {
        let mut pings = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // By when the node has to have said anything.
        let mut due: Option<Instant> = None;
        let mut chunk = BytesMut::new();
        let (mut reading, mut writing) = tokio::io::split(stream);
        loop {
            chunk.reserve(READ);
            let (is_full, silent_until) = (!self.heard.is_empty(), due.unwrap_or_else(Instant::now));
            tokio::select! {
                room = heard.reserve(), if is_full => {
                    let Ok(room) = room else { return "the subscription is closed".to_owned() };
                    room.send(std::mem::take(&mut self.heard));
                    // Whatever it has said meanwhile was not read.
                    due = due.map(|_| Instant::now() + PING_TIMEOUT);
                }
                read = reading.read_buf(&mut chunk), if !is_full => {
                    match read {
                        Ok(0) => return "the connection was closed".to_owned(),
                        Ok(_) => due = None,
                        Err(error) => return error.to_string(),
                    }
                    if let Err(failure) = self.take(&mut chunk, &tell) {
                        return failure;
                    }
                }
                written = writing.write_buf(&mut self.output), if !self.output.is_empty() => {
                    if let Err(error) = written {
                        return error.to_string();
                    }
                }
                Some((number, commands)) = inbox.recv() => self.say(number, commands),
                _ = pings.tick(), if !is_full => {
                    self.ping(ALIVE);
                    due = due.or(Some(Instant::now() + PING_TIMEOUT));
                }
                () = sleep_until(silent_until), if !is_full && due.is_some() => {
                    return "no answer to a ping in time".to_owned();
                }
            }
        }
    }

    fn say(&mut self, number: u64, Commands { bytes, leaving }: Commands) {
        self.output.extend_from_slice(&bytes);
        if !leaving.is_empty() {
            self.leaving.push_back((number, leaving.into_iter().collect()));
        }
        self.ping(number);
    }

    fn ping(&mut self, number: u64) {
        self.output.extend_from_slice(&cmd("PING").arg(number).get_packed_command());
    }

    /// Reads all that is complete, or says what ends the link.
    fn take(&mut self, chunk: &mut BytesMut, tell: &impl Fn(News)) -> Result<(), String> {
        // Whoever has read everything so far goes on where it is.
        if self.input.is_empty() {
            std::mem::swap(&mut self.input, chunk);
        } else {
            self.input.extend_from_slice(chunk);
            chunk.clear();
        }
        let mut input = std::mem::take(&mut self.input);
        while let Some((reply, length)) = reply::read(&input).map_err(|error| error.to_string())? {
            self.heed(reply, tell)?;
            input.advance(length);
        }
        self.input = input;
        Ok(())
    }

    fn heed(&mut self, reply: Reply<'_>, tell: &impl Fn(News)) -> Result<(), String> {
        match reply {
            Reply::Message { channel, payload } => self.heard.push(Event::Message(Publication {
                channel: String::from_utf8_lossy(channel).into_owned(),
                payload: Bytes::copy_from_slice(payload),
            })),
            Reply::Unsubscribed(channel) => {
                let channel = String::from_utf8_lossy(channel);
                if !self.leaving.iter_mut().any(|(_, leaving)| leaving.remove(&*channel)) {
                    // Nobody has asked: the node has handed the slot to another one.
                    tell(News::Moved(slot(&channel)));
                }
            }
            Reply::Pong(number) => match number_of(number) {
                Some(ALIVE) => {}
                Some(number) => {
                    // What is still in there the node has refused.
                    self.leaving.retain(|(batch, _)| *batch > number);
                    tell(News::Confirmed(number));
                }
                None => return Err(io::Error::from(io::ErrorKind::InvalidData).to_string()),
            },
            Reply::Error(error) => {
                let error = String::from_utf8_lossy(error);
                match error.strip_prefix("MOVED ").and_then(|rest| rest.split(' ').next()?.parse().ok()) {
                    Some(slot) => tell(News::Moved(slot)),
                    None => return Err(error.into_owned()),
                }
            }
            Reply::Other => {}
        }
        Ok(())
    }
}

fn number_of(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The queue between links and the reading end: so many reads' worth.
pub(super) const QUEUE: usize = 16;
