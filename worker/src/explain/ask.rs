//! Asks every running worker what it remembers of an event.

use std::time::Duration;

use bytes::Bytes;
use signal_bus::{Bus, BusError, Event, Publication};
use signal_wire::journal::{CHANNEL, Reply, Request, reply_channel};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

/// Nobody knows how many workers there are: whoever has not answered by then is counted as away.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long the backplane may take to let itself be heard.
const CONNECT: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error("the backplane does not answer within {} s", CONNECT.as_secs())]
    Silent,
    #[error(transparent)]
    Bus(#[from] BusError),
}

/// The answers, in the order of the workers' ids.
///
/// # Errors
/// If the backplane is away; that no worker answers is none.
pub(super) async fn ask(bus: &dyn Bus, event: &str) -> Result<Vec<Reply>, AskError> {
    let request = Request { request_id: Uuid::new_v4().to_string(), event: event.to_owned() };
    let channel = reply_channel(&request.request_id);
    let (channels, mut events) = bus.subscribe();
    let connected = Instant::now() + CONNECT;
    timeout_at(connected, channels.acquire(vec![channel.clone()])).await.map_err(|_| AskError::Silent)??;
    let payload = serde_json::to_vec(&request).expect("two strings have a JSON form");
    let question = [Publication { channel: CHANNEL.to_owned(), payload: Bytes::from(payload) }];
    timeout_at(connected, bus.publish(&question)).await.map_err(|_| AskError::Silent)??;

    let mut replies: Vec<Reply> = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    let mut heard = Vec::new();
    while let Ok(true) = timeout_at(deadline, events.next(&mut heard, 64)).await {
        for event in heard.drain(..) {
            if let Event::Message(message) = event
                && message.channel == channel
                && let Ok(reply) = serde_json::from_slice::<Reply>(&message.payload)
            {
                replies.push(reply);
            }
        }
    }
    replies.sort_by(|one, other| one.worker.cmp(&other.worker));
    replies.dedup_by(|one, other| one.worker == other.worker);
    Ok(replies)
}
