//! One subscription: the ends that the edge holds. What it hears of, [`super::keeper`] keeps.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use redis::{Msg, aio::PubSubStream};
use tokio::sync::{mpsc, oneshot};

use super::{
    address::Address,
    keeper::{Keeper, Link},
};
use crate::{Channels, Event, Events, Mode, Publication, interest::interest};

pub(super) fn open(address: &Arc<Address>, mode: Mode) -> (Arc<dyn Channels>, Box<dyn Events>) {
    let (channels, interest) = interest(mode);
    let (links, reader) = mpsc::channel(4);
    tokio::spawn(Keeper::new(mode, interest, links).run(Arc::clone(address)));
    (channels, Box::new(RedisEvents { links: reader, stream: None }))
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
