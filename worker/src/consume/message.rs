//! What librdkafka hands out, as a record of ours.

use std::sync::Arc;

use bytes::Bytes;
use rdkafka::{Message, Timestamp, message::BorrowedMessage, message::Headers};
use time::OffsetDateTime;

use crate::record::{Position, Record};

pub(super) fn record(message: &BorrowedMessage<'_>, topic: &Arc<str>) -> Record {
    Record {
        position: Position { topic: Arc::clone(topic), partition: message.partition(), offset: message.offset() },
        key: message.key().map(Bytes::copy_from_slice),
        value: message.payload().map(Bytes::copy_from_slice),
        headers: message.headers().map(headers).unwrap_or_default(),
        timestamp: timestamp(message.timestamp()),
    }
}

fn headers(headers: &impl Headers) -> Vec<(String, Option<Bytes>)> {
    headers.iter().map(|header| (header.key.to_owned(), header.value.map(Bytes::copy_from_slice))).collect()
}

/// A producer may have written any number.
fn timestamp(timestamp: Timestamp) -> Option<OffsetDateTime> {
    let ms = timestamp.to_millis()?;
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).ok()
}
