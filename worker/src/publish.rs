//! Pushes: each row as an envelope to its recipient's room.
//!
//! A push is worth a moment's patience, not a stop: the row is there and the REST list has it. While the backplane
//! is away pushes are tried for [`PATIENCE`] (for less once it is known to be away), then counted as missed, and
//! when it is back those who missed some are told to read the list again.

mod missed;

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::value::{RawValue, to_raw_value};
use signal_bus::{Bus, BusError, Event, Publication};
use signal_service::{health::Component, telemetry::traces};
use signal_wire::{
    backoff::Backoff,
    envelope::{EMITTER, Envelope, MAX_BYTES, Target},
    message::event,
    notification::Notification,
    room,
};
use time::OffsetDateTime;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout_at},
};
use tokio_util::sync::CancellationToken;

use self::missed::Missed;
use crate::{
    metrics,
    render::render,
    store::{Draft, StoredRow},
};

/// How long a push is tried while the backplane was last seen alive.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long while it is known to be away: an outage must not slow down the rows.
const PATIENCE_WHILE_AWAY: Duration = Duration::from_millis(100);
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_millis(500));
const RESYNC_BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
/// Bounds of what is handed to the backplane at once.
const GROUP_MESSAGES: usize = 1000;
const GROUP_BYTES: usize = 1024 * 1024;

/// What a batch's pushes are of: at one index what is said, and the trace that it belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Drafted<'a> {
    pub drafts: &'a [Draft],
    /// As `traceparent` is written (W3C Trace Context, 3.2).
    pub traces: &'a [Option<String>],
}

/// One row to be pushed.
#[derive(Clone, Debug, PartialEq)]
pub struct Push {
    /// Index into the drafts.
    pub draft: usize,
    pub row: PushedRow,
}

#[derive(Clone, Debug, PartialEq)]
pub enum PushedRow {
    New { id: String, recipient_id: String, created_at: OffsetDateTime, modified_at: OffsetDateTime },
    Stored(Box<StoredRow>),
}

/// What became of pushes, by their draft.
pub type Tallies = BTreeMap<usize, Tally>;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// The backplane took them.
    pub sent: u64,
    /// It did not; whom they were for is told to read again.
    pub missed: u64,
}

#[derive(Debug)]
pub struct Publisher {
    bus: Arc<dyn Bus>,
    health: Component,
    away: AtomicBool,
    missed: Mutex<Missed>,
    /// Wakes [`Publisher::watch`].
    news: Notify,
}

/// What is handed to the backplane at once.
#[derive(Default)]
struct Group {
    addressed: Vec<Addressed>,
    publications: Vec<Publication>,
    bytes: usize,
}

struct Addressed {
    draft: usize,
    recipient_id: String,
}

impl Publisher {
    pub fn new(bus: Arc<dyn Bus>, health: Component) -> Self {
        Self { bus, health, away: AtomicBool::new(false), missed: Mutex::default(), news: Notify::new() }
    }

    /// Pushes rows in order. Never fails: what can't be pushed is missed, and made good later.
    pub async fn publish(&self, drafted: Drafted<'_>, pushes: Vec<Push>) -> Tallies {
        let mut tallies = Tallies::new();
        let mut group = Group::default();
        let mut current: Option<(usize, Notification)> = None;
        for Push { draft, row } in pushes {
            let trace = drafted.traces.get(draft).and_then(Option::as_deref);
            let (recipient_id, payload) = match row {
                PushedRow::Stored(row) => (row.recipient_id.clone(), envelope(&stored(*row), trace)),
                PushedRow::New { id, recipient_id, created_at, modified_at } => {
                    // A draft is rendered once for a run of its recipients.
                    let (_, notification) = match &mut current {
                        Some(current) if current.0 == draft => current,
                        _ => current.insert((draft, notification(&drafted.drafts[draft]))),
                    };
                    notification.id = id;
                    notification.recipient_id.clone_from(&recipient_id);
                    (notification.created_at, notification.modified_at) = (created_at, modified_at);
                    (recipient_id, envelope(notification, trace))
                }
            };
            group.add(Addressed { draft, recipient_id }, payload);
            if group.is_full() {
                self.send(std::mem::take(&mut group), &mut tallies).await;
            }
        }
        self.send(group, &mut tallies).await;
        tallies
    }

    /// Says events to one person's windows, in order. Never fails either.
    pub async fn say(&self, recipient_id: &str, events: &[(&str, Box<RawValue>)]) {
        let mut group = Group::default();
        let room = room::recipient(recipient_id);
        let traceparent = traces::current_traceparent();
        for (event, data) in events {
            let mut envelope = Envelope::new(EMITTER, Target::Room(&room), event, Some(data));
            envelope.traceparent = traceparent.as_deref().map(Cow::Borrowed);
            group.add(Addressed { draft: 0, recipient_id: recipient_id.to_owned() }, envelope.encode());
        }
        self.send(group, &mut Tallies::new()).await;
    }

    async fn send(&self, group: Group, tallies: &mut Tallies) {
        let Group { mut publications, mut addressed, .. } = group;
        // Edges drop what is larger; its recipient is told to read the list instead.
        let fits = |publication: &Publication| publication.payload.len() <= MAX_BYTES;
        let mut missed = Vec::new();
        if !publications.iter().all(fits) {
            let (fitting, large): (Vec<_>, Vec<_>) =
                addressed.into_iter().zip(publications).partition(|(_, publication)| fits(publication));
            missed.extend(large.into_iter().map(|(addressed, _)| addressed));
            (addressed, publications) = fitting.into_iter().unzip();
        }
        if !publications.is_empty() {
            if self.try_to_publish(&publications).await {
                metrics::pushes("sent", publications.len());
                addressed.iter().for_each(|one| tallies.entry(one.draft).or_default().sent += 1);
            } else {
                missed.append(&mut addressed);
            }
        }
        if !missed.is_empty() {
            metrics::pushes("missed", missed.len());
            missed.iter().for_each(|one| tallies.entry(one.draft).or_default().missed += 1);
            self.missed.lock().add(missed.into_iter().map(|one| one.recipient_id));
            self.news.notify_one();
        }
    }

    async fn try_to_publish(&self, publications: &[Publication]) -> bool {
        let patience = if self.away.load(Ordering::Relaxed) { PATIENCE_WHILE_AWAY } else { PATIENCE };
        let deadline = Instant::now() + patience;
        for attempt in 0.. {
            let reason = match timeout_at(deadline, self.bus.publish(publications)).await {
                Ok(Ok(())) => {
                    self.is_back();
                    return true;
                }
                // It would be refused again, and what was taken would be said twice.
                Ok(Err(error @ BusError::Refused(_))) => {
                    self.is_away(error.to_string());
                    break;
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => "it does not answer".to_owned(),
            };
            let pause = BACKOFF.delay(attempt, jitter());
            if Instant::now() + pause >= deadline {
                self.is_away(reason);
                break;
            }
            sleep(pause).await;
        }
        false
    }

    fn is_back(&self) {
        if self.away.swap(false, Ordering::Relaxed) || !self.health.is_up() {
            self.health.up();
        }
    }

    fn is_away(&self, reason: String) {
        self.away.store(true, Ordering::Relaxed);
        self.health.down(reason);
    }

    /// Watches over the backplane and sends `resync` to those who missed pushes, until `stop`.
    pub async fn watch(&self, stop: CancellationToken) {
        let (_channels, mut events) = self.bus.subscribe();
        let mut heard = Vec::new();
        let mut subscribed = true;
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.news.notified() => {}
                open = events.next(&mut heard, 16), if subscribed => subscribed = open,
            }
            for event in heard.drain(..) {
                match event {
                    Event::Restored => self.is_back(),
                    Event::Lost { reason } => self.is_away(reason),
                    Event::Message(_) => {}
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.make_good() => {}
            }
        }
    }

    /// Sends `resync` until it is sent: at once, or for as long as the backplane is away. For who pushes without
    /// [`Publisher::watch`].
    pub async fn make_good(&self) {
        for attempt in 0.. {
            if self.try_to_make_good().await {
                return;
            }
            sleep(RESYNC_BACKOFF.delay(attempt, jitter())).await;
        }
    }

    /// The same while the backplane is not known to be away, so that nobody is held up.
    pub async fn make_good_if_possible(&self) {
        if !self.away.load(Ordering::Relaxed) {
            self.try_to_make_good().await;
        }
    }

    /// Returns whether everybody knows who missed a push.
    async fn try_to_make_good(&self) -> bool {
        let missed = std::mem::take(&mut *self.missed.lock());
        if missed.is_empty() {
            return true;
        }
        let (scope, publications) = missed.resyncs();
        let mut published = true;
        for group in publications.chunks(GROUP_MESSAGES) {
            let answer = tokio::time::timeout(PATIENCE, self.bus.publish(group)).await;
            published = published && matches!(answer, Ok(Ok(())));
        }
        if published {
            self.is_back();
            metrics::resyncs(scope, publications.len());
            tracing::info!(scope, messages = publications.len(), "told those who missed pushes to read again");
        } else {
            self.missed.lock().merge(missed);
        }
        published
    }
}

impl Group {
    fn add(&mut self, addressed: Addressed, payload: Vec<u8>) {
        let channel = Target::Room(&room::recipient(&addressed.recipient_id)).channel();
        self.bytes += payload.len();
        self.publications.push(Publication { channel, payload: Bytes::from(payload) });
        self.addressed.push(addressed);
    }

    fn is_full(&self) -> bool {
        self.publications.len() >= GROUP_MESSAGES || self.bytes >= GROUP_BYTES
    }
}

fn notification(draft: &Draft) -> Notification {
    let rendered = render(&draft.content);
    Notification {
        id: String::new(),
        event_id: draft.event_id.clone(),
        kind: draft.kind.clone(),
        recipient_id: String::new(),
        organizer_id: draft.organizer_id.clone(),
        merchant_id: draft.merchant_id.clone(),
        title: draft.title.clone(),
        content: rendered.plain,
        html: rendered.html,
        metadata: draft.metadata.clone(),
        read_at: None,
        created_at: OffsetDateTime::UNIX_EPOCH,
        modified_at: OffsetDateTime::UNIX_EPOCH,
    }
}

/// A row as it goes out.
pub(crate) fn stored(row: StoredRow) -> Notification {
    Notification {
        id: row.id,
        recipient_id: row.recipient_id,
        read_at: row.read_at,
        created_at: row.created_at,
        modified_at: row.modified_at,
        ..notification(&row.draft)
    }
}

fn envelope(notification: &Notification, trace: Option<&str>) -> Vec<u8> {
    let data = to_raw_value(notification).expect("a notification has string keys and times that can be written");
    let room = room::recipient(&notification.recipient_id);
    let mut envelope = Envelope::new(EMITTER, Target::Room(&room), event::NOTIFICATION_CREATED, Some(&data));
    envelope.traceparent = trace.map(Cow::Borrowed);
    envelope.encode()
}

/// Without randomness the longest delay is taken.
fn jitter() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX)
}
