//! The versions of what clients and edges say to each other.

/// v1 is what existing clients speak, and what is spoken unless both ends say otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// JSON text frames, sealed in envelopes with one key both ways.
    #[default]
    V1,
    /// Binary frames, sealed with a key for each direction, in an order that cannot be altered.
    V2,
}

impl Protocol {
    /// The best version for a peer that knows up to `number`.
    pub const fn asked_for(number: u64) -> Self {
        if number >= 2 { Self::V2 } else { Self::V1 }
    }

    pub const fn number(self) -> u8 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }
}
