//! The backplane: how sister services, workers and edges reach each other.
//!
//! One trait, [`Bus`]; [`redis`] or [`nats`] for a deployment, [`memory`] for one process. Messages carry whatever
//! `signal_wire::envelope` wrote; nothing here reads them.

pub mod memory;
pub mod nats;
pub mod redis;
pub mod tandem;

mod confirmation;
mod holdings;
mod interest;
mod mode;
mod open;
mod outage;
mod reach;
mod tls;

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;

use signal_service::settings::endpoint;

pub use self::{
    mode::Mode,
    open::{OpenError, VARIABLES, open},
};

/// Something to say on a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    pub channel: String,
    pub payload: Bytes,
}

/// What a subscription hears, in the order in which the backplane delivered it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Message(Publication),
    /// The backplane, or a part of it, is gone; of what is said from here on something is not heard. Heard again within
    /// an outage when there is another reason for it.
    Lost {
        reason: String,
    },
    /// The backplane is there and every acquired channel is subscribed again.
    Restored,
}

#[derive(Debug, thiserror::Error)]
pub enum BusError {
    #[error("the backplane does not answer: {0}")]
    Unreachable(String),
    /// Saying the same again changes nothing.
    #[error("the backplane refuses: {0}")]
    Refused(String),
    #[error("the backplane's address is not valid: {0}")]
    Address(String),
    #[error("the subscription is closed")]
    Closed,
}

/// A backplane. Cheap to share; publishing and each subscription have connections of their own.
#[async_trait]
pub trait Bus: Debug + Send + Sync + 'static {
    /// Says all of `batch`, in order, in as few round trips as there are. When this returns an error, any part of the
    /// batch may have been heard, and some of it twice.
    async fn publish(&self, batch: &[Publication]) -> Result<(), BusError>;

    /// Opens a subscription that hears nothing yet. It connects, and connects again, by itself.
    fn subscribe(&self) -> (Arc<dyn Channels>, Box<dyn Events>);
}

/// Which channels a subscription hears. Channels are counted: one that was acquired twice is heard until it was
/// released twice.
#[async_trait]
pub trait Channels: Debug + Send + Sync + 'static {
    /// Returns once the backplane has confirmed all of them: whatever is said afterwards is heard. Waits for a
    /// backplane that is away. A caller that stops waiting still holds the channels until it releases them.
    async fn acquire(&self, channels: Vec<String>) -> Result<(), BusError>;

    fn release(&self, channels: Vec<String>);

    /// How many channels are held one by one, each counted once.
    fn held(&self) -> usize;
}

/// The hearing end of a subscription; dropping it closes the subscription.
#[async_trait]
pub trait Events: Send + 'static {
    /// Waits for at least one event, then appends all that are at hand, up to `max`. `false` once the subscription is
    /// closed. Cancel-safe: what was appended was heard, and nothing else was.
    async fn next(&mut self, events: &mut Vec<Event>, max: usize) -> bool;
}
