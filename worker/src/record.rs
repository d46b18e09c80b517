//! What the pipeline takes in, whatever it is read from.

use std::{fmt, sync::Arc};

use bytes::Bytes;

/// One record of a topic.
#[derive(Clone)]
pub struct Record {
    pub position: Position,
    pub value: Bytes,
}

/// Where a record is; an event that brings no id is known by it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    pub topic: Arc<str>,
    pub partition: i32,
    pub offset: i64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values are people's payments: they are not for logs.
        write!(f, "Record({}, {} bytes)", self.position, self.value.len())
    }
}
