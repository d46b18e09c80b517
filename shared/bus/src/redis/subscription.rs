//! One subscription: the ends that the edge holds. What it hears of, [`super::keeper`] keeps.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use redis::{Msg, aio::PubSubStream};
use tokio::sync::{mpsc, oneshot};

use super::{
    Mode,
    address::Address,
    keeper::{Keeper, Link, Request},
};
use crate::{BusError, Channels, Event, Events, Publication};

pub(super) fn open(address: &Arc<Address>, mode: Mode) -> (Arc<dyn Channels>, Box<dyn Events>) {
    // Unbounded, because releasing must not wait. A connection has at most two requests in here at a time, and the
    // keeper takes them out whether Redis is there or not.
    let (requests, inbox) = mpsc::unbounded_channel();
    let (links, reader) = mpsc::channel(4);
    tokio::spawn(Keeper::new(mode, inbox, links).run(Arc::clone(address)));
    (Arc::new(RedisChannels { requests, mode }), Box::new(RedisEvents { links: reader, stream: None }))
}

#[derive(Debug)]
struct RedisChannels {
    requests: mpsc::UnboundedSender<Request>,
    mode: Mode,
}

impl RedisChannels {
    /// The channels to subscribe to one by one: what a pattern hears too would be heard twice.
    fn exact(&self, mut channels: Vec<String>) -> Vec<String> {
        channels.retain(|channel| !self.mode.always_hears(channel));
        channels
    }
}

#[async_trait]
impl Channels for RedisChannels {
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
