//! What the other edges are asked, and what is made of their answers.
//!
//! Everybody who is expected has answered, or the answer says that it is not complete.

use std::{collections::HashSet, sync::Arc};

use bytes::Bytes;
use signal_bus::{Channels, Publication};
use signal_wire::control::{Answer, Ask, CHANNEL, Channel, Client, Control, Reply, Request};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};
use uuid::Uuid;

use super::{
    Cluster,
    ears::Replies,
    merge::{is_sound, merge},
};
use crate::metrics;

/// As many requests as there may be are under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many requests to other edges are under way")]
pub(crate) struct TooManyRequests;

/// A page of the clients of all edges.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) clients: Vec<(Uuid, Client)>,
    pub(crate) next: Option<Uuid>,
    pub(crate) complete: bool,
    /// This edge among them.
    pub(crate) expected: usize,
    pub(crate) answered: usize,
}

/// What became of a request about one client.
#[derive(Debug)]
pub(crate) enum Found {
    /// Its edge has answered.
    Client(Box<Client>, Uuid),
    Done,
    /// Its edge is too busy.
    Busy,
    /// No edge has it.
    Nowhere,
    /// No edge that answered has it, and not every edge answered.
    Unknown,
}

/// What the others said.
struct Answers {
    answers: Vec<(Uuid, Answer)>,
    expected: usize,
    complete: bool,
}

impl Cluster {
    pub(crate) async fn list(
        &self,
        user: Option<String>,
        room: Option<String>,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Listing, TooManyRequests> {
        let ask = Ask::List { user_id: user, room, after: after.map(|id| id.to_string()), limit };
        let own = self.answer(&ask);
        let others = self.ask(ask, |_| false).await?;
        let (mut pages, mut answered, mut sound) = (Vec::with_capacity(1 + others.answers.len()), 0, true);
        if let Answer::Page(page) = own {
            pages.push((self.edge, page));
        }
        for (edge, answer) in others.answers {
            match answer {
                Answer::Page(page) if is_sound(&page, after) => {
                    pages.push((edge, page));
                    answered += 1;
                }
                // Merged, it would hide what others show, or make the next page this one.
                _ => {
                    metrics::control_refused("unsound_page");
                    sound = false;
                }
            }
        }
        let merged = merge(pages, limit);
        Ok(Listing {
            clients: merged.clients,
            next: merged.next,
            complete: others.complete && sound,
            // Somebody may have answered who was not expected yet.
            expected: others.expected.max(answered) + 1,
            answered: answered + 1,
        })
    }

    /// Asks about one client: this edge first, then all others at once, until the one that has it has answered.
    pub(crate) async fn reach(&self, ask: Ask) -> Result<Found, TooManyRequests> {
        let own = self.answer(&ask);
        if own != Answer::Absent {
            return Ok(found(own, self.edge));
        }
        let others = self.ask(ask, |answer| *answer != Answer::Absent).await?;
        let unknown = if others.complete { Found::Nowhere } else { Found::Unknown };
        let somewhere = others.answers.into_iter().find(|(_, answer)| *answer != Answer::Absent);
        Ok(somewhere.map_or(unknown, |(edge, answer)| found(answer, edge)))
    }

    /// Collects answers until everybody has answered, one is `enough`, or the time is over.
    async fn ask(&self, ask: Ask, enough: impl Fn(&Answer) -> bool) -> Result<Answers, TooManyRequests> {
        let kind = ask.kind();
        let Ok(_permit) = self.in_flight.try_acquire() else {
            metrics::control_request(kind, "too_many");
            return Err(TooManyRequests);
        };
        let asked = Instant::now();
        let expected = self.membership.lock().expected(asked);
        let mut missing: HashSet<Uuid> = expected.peers.iter().copied().collect();
        // A list has many pages; what is asked of one client is worth the wait.
        let silent = if matches!(ask, Ask::List { .. }) { expected.silent } else { Vec::new() };
        let mut answers = Vec::new();
        if expected.hears && missing.len() > silent.len() {
            let collecting = self.collect(ask, &mut missing, &silent, &mut answers, enough);
            // What has come by then stands.
            if timeout(self.settings.reply_timeout, collecting).await.is_err() {
                self.membership.lock().unanswered(&missing, asked);
            }
        }
        let complete = expected.settled && missing.is_empty();
        metrics::control_request(kind, if complete { "complete" } else { "incomplete" });
        Ok(Answers { answers, expected: expected.peers.len(), complete })
    }

    async fn collect(
        &self,
        ask: Ask,
        missing: &mut HashSet<Uuid>,
        silent: &[Uuid],
        answers: &mut Vec<(Uuid, Answer)>,
        enough: impl Fn(&Answer) -> bool,
    ) {
        let id = Uuid::new_v4().to_string();
        let mut waiting = Waiting::new(&self.replies, &self.channels, &id, missing.len());
        let request = Control::Request(Request { edge: self.edge_name.to_string(), id, ask });
        let request = Publication { channel: CHANNEL.to_owned(), payload: request.encode().into() };
        // An answer must not be said before it can be heard.
        if self.channels.acquire(vec![waiting.channel.clone()]).await.is_err()
            || self.bus.publish(&[request]).await.is_err()
        {
            return;
        }
        // When only those are missing who do not answer anyway, the wait is over.
        while missing.iter().any(|edge| !silent.contains(edge)) {
            let Some(payload) = waiting.answers.recv().await else { return };
            let Some((edge, answer)) = read(&payload) else { continue };
            if !missing.remove(&edge) && !self.membership.lock().knows(edge) {
                metrics::control_refused("stranger");
                continue;
            }
            let last = enough(&answer);
            if answers.iter().all(|(answered, _)| *answered != edge) {
                answers.push((edge, answer));
            }
            if last {
                return;
            }
        }
    }
}

fn read(payload: &[u8]) -> Option<(Uuid, Answer)> {
    let refusal = match Reply::decode(payload) {
        Ok(Some(reply)) => match Uuid::try_parse(&reply.edge) {
            Ok(edge) => return Some((edge, reply.answer)),
            Err(_) => "malformed",
        },
        // It counts as no answer.
        Ok(None) => "unknown_answer",
        Err(refusal) => refusal.label(),
    };
    metrics::control_refused(refusal);
    None
}

fn found(answer: Answer, edge: Uuid) -> Found {
    match answer {
        Answer::Client(client) => Found::Client(Box::new(client), edge),
        Answer::Done => Found::Done,
        Answer::Busy => Found::Busy,
        Answer::Page(_) | Answer::Absent => Found::Unknown,
    }
}

/// The right to hear the answers to one request; given back when dropped, whatever ended the wait.
struct Waiting {
    id: Box<str>,
    channel: String,
    answers: mpsc::Receiver<Bytes>,
    replies: Arc<Replies>,
    channels: Arc<dyn Channels>,
}

impl Waiting {
    /// The channel is to be acquired next: until then there is nothing to release.
    fn new(replies: &Arc<Replies>, channels: &Arc<dyn Channels>, id: &str, expected: usize) -> Self {
        // Room for everybody who is expected, and for some who have just come.
        let (sender, answers) = mpsc::channel(2 * expected + 8);
        replies.lock().insert(id.into(), sender);
        let channel = Channel::Reply(id).name();
        Self { id: id.into(), channel, answers, replies: Arc::clone(replies), channels: Arc::clone(channels) }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.replies.lock().remove(&self.id);
        self.channels.release(vec![std::mem::take(&mut self.channel)]);
    }
}
