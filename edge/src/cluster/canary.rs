//! Whether this edge hears: it says something to itself and listens. What the backplane's socket says of itself is no
//! proof: a socket can be open and carry nothing.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use parking_lot::Mutex;
use signal_bus::{Bus, Channels, Publication};
use signal_service::health::Component;
use signal_wire::control::Channel;
use tokio::time::{MissedTickBehavior, interval, timeout};
use uuid::Uuid;

use crate::metrics;

/// Songs whose round trip can still be measured.
const REMEMBERED: usize = 16;

#[derive(Debug)]
pub(super) struct Canary {
    channel: String,
    blind_after: Duration,
    health: Component,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    next: u64,
    sung: VecDeque<(u64, Instant)>,
    /// When it was last heard; at first when it began.
    heard: Instant,
    /// When the backplane last said that everything is subscribed.
    restored: Instant,
    /// Why the backplane is gone, while it says so.
    lost: Option<String>,
    /// Messages may have been missed of which nobody was told.
    missed: bool,
}

impl Canary {
    pub(super) fn new(edge: Uuid, blind_after: Duration, health: Component, now: Instant) -> Self {
        let state = State { next: 0, sung: VecDeque::new(), heard: now, restored: now, lost: None, missed: false };
        let channel = Channel::Canary(&edge.to_string()).name();
        Self { channel, blind_after, health, state: Mutex::new(state) }
    }

    /// What is to be said next.
    fn song(&self, now: Instant) -> Publication {
        let mut state = self.state.lock();
        let number = state.next;
        state.next += 1;
        if state.sung.len() == REMEMBERED {
            state.sung.pop_front();
        }
        state.sung.push_back((number, now));
        Publication { channel: self.channel.clone(), payload: number.to_string().into() }
    }

    /// Looks whether nothing was heard for too long.
    fn check(&self, now: Instant) {
        let mut state = self.state.lock();
        if now.saturating_duration_since(state.heard) <= self.blind_after {
            return;
        }
        // What is missed while the backplane is lost everybody is told when it is restored.
        if state.lost.is_none() && now.saturating_duration_since(state.restored) > self.blind_after {
            state.missed = true;
        }
        let silence = format!("nothing is heard from the backplane for more than {:?}", self.blind_after);
        self.health.down(match &state.lost {
            Some(reason) => format!("{silence}: {reason}"),
            None => silence,
        });
    }

    /// `true` if messages were missed of which nobody was told.
    pub(super) fn heard(&self, payload: &Bytes, now: Instant) -> bool {
        let Some(number) = std::str::from_utf8(payload).ok().and_then(|text| text.parse::<u64>().ok()) else {
            metrics::control_refused("malformed");
            return false;
        };
        let mut state = self.state.lock();
        if let Some((_, sung)) = state.sung.iter().find(|(sung, _)| *sung == number) {
            metrics::bus_lag(now.saturating_duration_since(*sung));
        }
        state.heard = now;
        self.health.up();
        std::mem::take(&mut state.missed)
    }

    pub(super) fn lost(&self, reason: &str) {
        self.state.lock().lost = Some(reason.to_owned());
    }

    /// Everybody is told that messages may have been missed.
    pub(super) fn restored(&self, now: Instant) {
        let mut state = self.state.lock();
        state.lost = None;
        state.restored = now;
        state.missed = false;
    }
}

/// Sings and listens. Runs until it is dropped.
pub(super) async fn sing(canary: Arc<Canary>, bus: Arc<dyn Bus>, channels: Arc<dyn Channels>, every: Duration) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut subscribed = std::pin::pin!(channels.acquire(vec![canary.channel.clone()]));
    let mut listening = false;
    loop {
        tokio::select! {
            biased;
            _ = &mut subscribed, if !listening => listening = true,
            _ = ticks.tick() => {}
        }
        canary.check(Instant::now());
        if listening {
            let song = [canary.song(Instant::now())];
            // Whether it was taken is known from whether it is heard.
            let _ = timeout(every, bus.publish(&song)).await;
        }
    }
}
