//! As many messages as one publisher gets through: it says the next batch once the last one was taken.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures_util::future::try_join_all;
use signal_bus::{Bus, Channels, Event, Events, Publication};
use tokio::{task::JoinHandle, time::timeout};

use super::{CHANNELS, MESSAGES_PER_CHANNEL, candidate::Candidate};

/// As large as an edge's own reads.
const BATCH: usize = 256;
const PAYLOAD: usize = 350;
const PROBE: &str = "ws:room:probe";
const PROBES: usize = 600;
const PROBE_WITHIN: Duration = Duration::from_millis(100);
const WITHIN: Duration = Duration::from_secs(60);

pub(crate) struct Flow {
    /// Messages per second, from the first that is said to the last that is heard.
    pub(crate) rate: f64,
    pub(crate) cpu_us: f64,
    /// Of the server that had most to do.
    pub(crate) busiest_us: f64,
}

pub(crate) fn channel(number: usize) -> String {
    format!("ws:user:01JDQ{number:021}")
}

/// To so many subscriptions that hold an equal part of the channels each.
pub(crate) async fn measure(candidate: &Candidate, subscriptions: usize) -> anyhow::Result<Flow> {
    let bus = candidate.bus.as_ref();
    let mut hearing = Vec::new();
    let mut held = Vec::new();
    for part in 0..subscriptions {
        let (channels, mut events) = bus.subscribe();
        channels.acquire((part..CHANNELS).step_by(subscriptions).map(channel).collect()).await?;
        is_known(bus, channels.as_ref(), events.as_mut()).await?;
        hearing.push(hear(events, CHANNELS.div_ceil(subscriptions) * MESSAGES_PER_CHANNEL));
        held.push(channels);
    }
    let before = candidate.cpu()?;
    let began = Instant::now();
    say(bus).await?;
    timeout(WITHIN, try_join_all(hearing))
        .await
        .context("not all is heard")??
        .into_iter()
        .collect::<Result<(), _>>()?;
    let took = began.elapsed();
    let after = candidate.cpu()?;
    let messages = (CHANNELS * MESSAGES_PER_CHANNEL) as f64;
    let each = after.into_iter().zip(before).map(|(after, before)| (after - before).total_us() / messages);
    let (cpu_us, busiest_us) = each.fold((0.0, 0.0f64), |(all, most), cost| (all + cost, most.max(cost)));
    Ok(Flow { rate: messages / took.as_secs_f64(), cpu_us, busiest_us })
}

/// Waits until what was acquired is known wherever it may be said: in a cluster servers tell each other, in order.
pub(crate) async fn is_known(bus: &dyn Bus, channels: &dyn Channels, events: &mut dyn Events) -> anyhow::Result<()> {
    channels.acquire(vec![PROBE.to_owned()]).await?;
    let probe = [Publication { channel: PROBE.to_owned(), payload: bytes(1) }];
    let mut batch = Vec::new();
    for _ in 0..PROBES {
        bus.publish(&probe).await?;
        if let Ok(open) = timeout(PROBE_WITHIN, events.next(&mut batch, BATCH)).await {
            ensure!(open, "the subscription has closed");
        }
        if batch.drain(..).any(|event| is_probe(&event)) {
            return Ok(());
        }
    }
    anyhow::bail!("what is said is not heard")
}

pub(crate) fn is_probe(event: &Event) -> bool {
    matches!(event, Event::Message(message) if message.channel == PROBE)
}

async fn say(bus: &dyn Bus) -> anyhow::Result<()> {
    let payload = bytes(PAYLOAD);
    let mut batch = Vec::with_capacity(BATCH);
    for number in 0..CHANNELS * MESSAGES_PER_CHANNEL {
        batch.push(Publication { channel: channel(number % CHANNELS), payload: payload.clone() });
        if batch.len() == BATCH || number + 1 == CHANNELS * MESSAGES_PER_CHANNEL {
            bus.publish(&batch).await?;
            batch.clear();
        }
    }
    Ok(())
}

fn bytes(length: usize) -> bytes::Bytes {
    vec![b'x'; length].into()
}

fn hear(mut events: Box<dyn Events>, expected: usize) -> JoinHandle<anyhow::Result<()>> {
    tokio::spawn(async move {
        let (mut heard, mut batch) = (0, Vec::new());
        while heard < expected {
            ensure!(events.next(&mut batch, BATCH).await, "the subscription has closed");
            for event in batch.drain(..) {
                match event {
                    probe if is_probe(&probe) => {}
                    Event::Message(_) => heard += 1,
                    Event::Lost { reason } => anyhow::bail!("the backplane is lost: {reason}"),
                    Event::Restored => {}
                }
            }
        }
        ensure!(heard == expected, "{heard} messages are heard, and {expected} are said");
        Ok(())
    })
}
