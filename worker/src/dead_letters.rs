//! Records that can't be handled, kept on a topic of their own: [`letter`] is what one looks like, [`producer`] keeps
//! them.

pub mod letter;
pub mod producer;

use std::fmt;

use async_trait::async_trait;

use crate::rejection::Rejected;

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
