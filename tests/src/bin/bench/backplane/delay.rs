//! How long one message takes: it is said, and once it is heard, the next.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use signal_bus::{Event, Publication};
use signal_tests::figures::quantile;
use tokio::time::timeout;

use super::{
    candidate::Candidate,
    flow::{channel, is_known, is_probe},
};

const MESSAGES: usize = 2000;
const CHANNELS: usize = 100;
const WITHIN: Duration = Duration::from_secs(10);

/// p50 and p99 in milliseconds.
pub(crate) async fn measure(candidate: &Candidate) -> anyhow::Result<(f64, f64)> {
    let (channels, mut events) = candidate.bus.subscribe();
    channels.acquire((0..CHANNELS).map(channel).collect()).await?;
    is_known(candidate.bus.as_ref(), channels.as_ref(), events.as_mut()).await?;
    let (mut samples, mut batch) = (Vec::with_capacity(MESSAGES), Vec::new());
    for number in 0..MESSAGES {
        let said = Publication { channel: channel(number % CHANNELS), payload: number.to_string().into() };
        let began = Instant::now();
        let (taken, heard) = tokio::join!(candidate.bus.publish(std::slice::from_ref(&said)), async {
            loop {
                let open = timeout(WITHIN, events.next(&mut batch, 1)).await.context("a message is missing")?;
                ensure!(open, "the subscription has closed");
                match batch.pop() {
                    Some(probe) if is_probe(&probe) => {}
                    Some(Event::Message(heard)) => break Ok((heard, began.elapsed())),
                    Some(Event::Lost { reason }) => anyhow::bail!("the backplane is lost: {reason}"),
                    _ => {}
                }
            }
        });
        taken?;
        let (heard, took) = heard?;
        ensure!(heard == said, "another message is heard than was said");
        samples.push(took.as_secs_f64() * 1e3);
    }
    Ok((quantile(&mut samples, 0.5), quantile(&mut samples, 0.99)))
}
