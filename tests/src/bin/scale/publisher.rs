//! A sister service: messages to single people, to rooms and to everybody, each numbered for those who get it.

use std::time::Duration;

use anyhow::Context;
use signal_tests::{ledger, sister::Sister};
use tokio::time::{Instant, sleep_until};

use crate::crowd::Crowd;

/// To people, to rooms, to everybody.
pub(crate) const KINDS: usize = 3;
const PADDING: usize = 256;
/// Messages leave in so many portions a second.
const PORTIONS: u32 = 200;
/// What is published without waiting for what was published before.
const AHEAD: u64 = 2000;
const FLOOD_PORTION: usize = 250;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Person,
    Room,
    Everybody,
}

pub(crate) struct Publisher {
    sister: Sister,
    /// How many of each kind were sent, to each person or room in turn.
    sent: [usize; KINDS],
    users: Vec<String>,
    room_size: usize,
    padding: String,
    /// Messages that must arrive, ever, all together.
    due: u64,
}

/// What was published, and how long it took until all of it had arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Published {
    pub(crate) publications: u64,
    /// Messages to a client each.
    pub(crate) messages: u64,
    /// What Redis writes to somebody who hears all of it.
    pub(crate) bytes: u64,
    pub(crate) took: Duration,
}

impl Publisher {
    /// To this crowd, each so many of whom are in a room.
    pub(crate) async fn new(url: &str, crowd: &Crowd, room_size: usize) -> anyhow::Result<Self> {
        let sister = Sister::connect(url).await.context("no connection to Redis")?;
        let users: Vec<String> = crowd.clients.iter().map(|client| client.user.clone()).collect();
        let due = crowd.arrived();
        Ok(Self { sister, sent: [0; KINDS], users, room_size, padding: "x".repeat(PADDING), due })
    }

    /// At an even rate, in publications a second, for so long; waits until all have arrived.
    pub(crate) async fn paced(
        &mut self,
        crowd: &Crowd,
        kind: Kind,
        rate: usize,
        length: Duration,
    ) -> anyhow::Result<Published> {
        let count = (rate as f64 * length.as_secs_f64()) as usize;
        let portion = rate.div_ceil(PORTIONS as usize);
        let between = length / (count.div_ceil(portion) as u32);
        let (began, mut published) = (Instant::now(), Published::nothing());
        for (number, first) in (0..count).step_by(portion).enumerate() {
            // A pause of the load generator's is made up for: what counts is how much there was.
            sleep_until(began + between * number as u32).await;
            self.publish(kind, portion.min(count - first), &mut published).await?;
        }
        crowd.reached(self.due).await?;
        Ok(Published { took: began.elapsed(), ..published })
    }

    /// To single people as fast as it goes, with a bounded number on their way.
    pub(crate) async fn flood(&mut self, crowd: &Crowd, count: usize) -> anyhow::Result<Published> {
        let (began, mut published) = (Instant::now(), Published::nothing());
        for _ in 0..count / FLOOD_PORTION {
            self.publish(Kind::Person, FLOOD_PORTION, &mut published).await?;
            crowd.reached(self.due.saturating_sub(AHEAD)).await?;
        }
        crowd.reached(self.due).await?;
        Ok(Published { took: began.elapsed(), ..published })
    }

    /// One at a time, each when all have the one before.
    pub(crate) async fn in_turn(&mut self, crowd: &Crowd, kind: Kind, count: usize) -> anyhow::Result<Published> {
        let (began, mut published) = (Instant::now(), Published::nothing());
        for _ in 0..count {
            self.publish(kind, 1, &mut published).await?;
            crowd.reached(self.due).await?;
        }
        Ok(Published { took: began.elapsed(), ..published })
    }

    async fn publish(&mut self, kind: Kind, count: usize, published: &mut Published) -> anyhow::Result<()> {
        let mut messages = Vec::with_capacity(count);
        for _ in 0..count {
            let (channel, payload) = self.compose(kind);
            let audience = match kind {
                Kind::Person => 1,
                Kind::Room => self.room_size as u64,
                Kind::Everybody => self.users.len() as u64,
            };
            published.publications += 1;
            published.messages += audience;
            published.bytes += ledger::published_bytes(&channel, &payload);
            self.due += audience;
            messages.push((channel, payload));
        }
        self.sister.publish_all(messages).await.context("Redis takes no messages")
    }

    /// The next message of a kind: its channel, and what is said there.
    fn compose(&mut self, kind: Kind) -> (String, String) {
        let audiences = match kind {
            Kind::Person => self.users.len(),
            Kind::Room => self.users.len() / self.room_size,
            Kind::Everybody => 1,
        };
        let sent = &mut self.sent[kind as usize];
        let (turn, number) = (*sent % audiences, *sent / audiences);
        *sent += 1;
        let (channel, target) = match kind {
            Kind::Person => {
                let user = &self.users[turn];
                (format!("ws:user:{user}"), format!(r#""type":"user","target":"{user}""#))
            }
            Kind::Room => (format!("ws:room:{}", room(turn)), format!(r#""type":"room","target":"{}""#, room(turn))),
            Kind::Everybody => ("ws:broadcast".to_owned(), r#""type":"broadcast""#.to_owned()),
        };
        let (kind, padding) = (kind as usize, &self.padding);
        let data = format!(r#"{{"kind":{kind},"number":{number},"padding":"{padding}"}}"#);
        let payload = format!(r#"{{"serverId":"emitter",{target},"event":"scale","data":{data}}}"#);
        (channel, payload)
    }
}

impl Published {
    fn nothing() -> Self {
        Self { publications: 0, messages: 0, bytes: 0, took: Duration::ZERO }
    }
}

pub(crate) fn room(number: usize) -> String {
    format!("room-{number}")
}
