//! Records that can't be handled: kept on a topic of their own, and taken in again once the cause is mended.
//!
//! [`letter`] is what one looks like, and [`producer`] keeps them while the pipeline runs. Whoever looks after them has
//! three commands, [`list`], [`show`] and [`retry`].

pub mod arguments;
pub mod letter;
pub mod list;
mod pending;
pub mod producer;
pub(crate) mod readable;
pub mod retry;
pub mod selection;
pub mod show;

use std::{fmt, io};

use async_trait::async_trait;

use self::selection::Place;
use crate::{consume::range::RangeError, rejection::Rejected, store::StoreError};

/// Where rejected records are kept.
#[async_trait]
pub trait DeadLetters: fmt::Debug + Send + Sync {
    /// Returns once every one of them is kept, and waits for as long as they can't be: a record is never lost, and its
    /// offset never committed, because its dead letter has nowhere to go. After a failure all may be kept once more.
    ///
    /// # Errors
    /// If the worker stops meanwhile.
    async fn keep(&self, rejected: &[Rejected]) -> Result<(), Stopped>;
}

/// Given up because the worker stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stopped while dead letters could not be kept")]
pub struct Stopped;

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error(transparent)]
    Topic(#[from] RangeError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("there is no dead letter at {place} on the topic {topic}")]
    NotThere { place: Place, topic: String },
    #[error("standard output is closed")]
    Output(#[from] io::Error),
}
