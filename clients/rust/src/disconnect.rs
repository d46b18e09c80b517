//! Why there is no connection.

use std::{fmt, time::Duration};

use signal_wire::close::CloseCode;

use crate::session::{FrameProblem, OpenError};

/// A close frame of the edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    pub code: u16,
    pub reason: String,
}

impl Close {
    /// The row of the protocol's table; `None` for a code that is not in it.
    pub fn known(&self) -> Option<CloseCode> {
        CloseCode::from_code(self.code)
    }
}

impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.code, self.reason)
    }
}

/// How a connection ended, or why it did not come to be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Disconnect {
    #[error("the edge closed with {0}")]
    Closed(Close),
    #[error("the connection broke: {0}")]
    Broken(String),
    /// Neither a push nor the answer to a ping.
    #[error("the edge was silent for {0:?}")]
    Silent(Duration),
    /// The edge asked to come back, and the time that it gave is over.
    #[error("the edge is draining")]
    Draining,
    /// A frame of a v2 connection is not the one that is due: it was replayed, reordered, dropped, altered or made up on
    /// the way. The edge was told by a close 4006.
    #[error("the edge, or somebody in between, broke the protocol: {0}")]
    Violation(FrameProblem),
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The token provider failed.
    #[error("no token: {0}")]
    Token(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The token provider gave once more what an edge had refused.
    #[error("the token is the one that was refused")]
    RefusedToken,
}
