//! What a channel that somebody holds costs the servers.

use super::{candidate::Candidate, flow::channel};

const CHANNELS: usize = 100_000;
/// In one request, as when a crowd comes at once.
const TOGETHER: usize = 1000;

/// By how much resident memory has grown, in MiB.
pub(crate) async fn of_channels(candidate: &Candidate) -> anyhow::Result<f64> {
    let (channels, _events) = candidate.bus.subscribe();
    // What a first subscription takes is not a channel's.
    channels.acquire((0..TOGETHER).map(channel).collect()).await?;
    let before = candidate.rss_kib()?;
    for first in (TOGETHER..TOGETHER + CHANNELS).step_by(TOGETHER) {
        channels.acquire((first..first + TOGETHER).map(channel).collect()).await?;
    }
    Ok((candidate.rss_kib()? - before) / 1024.0)
}
