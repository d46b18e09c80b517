//! What librdkafka hands out, as a record of ours.

use std::{ffi::CStr, ptr, sync::Arc};

use bytes::Bytes;
use rdkafka::{
    Message, Timestamp,
    bindings::{rd_kafka_header_get_all, rd_kafka_message_headers},
    message::BorrowedMessage,
    types::RDKafkaRespErr,
};
use time::OffsetDateTime;

use crate::record::{Position, Record};

pub(super) fn record(message: &BorrowedMessage<'_>, topic: &Arc<str>) -> Record {
    Record {
        position: Position { topic: Arc::clone(topic), partition: message.partition(), offset: message.offset() },
        key: message.key().map(Bytes::copy_from_slice),
        value: message.payload().map(Bytes::copy_from_slice),
        headers: headers(message),
        timestamp: timestamp(message.timestamp()),
    }
}

/// Read past rdkafka, which panics over a name that is not UTF-8: anybody can produce one. It is replaced as Java's
/// clients replace it.
#[allow(unsafe_code, reason = "rdkafka has no other way to such names")]
fn headers(message: &BorrowedMessage<'_>) -> Vec<(String, Option<Bytes>)> {
    const DONE: RDKafkaRespErr = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;
    let mut headers = ptr::null_mut();
    // SAFETY: the message is alive. What it hands out belongs to it and stays as long.
    if unsafe { rd_kafka_message_headers(message.ptr(), &raw mut headers) } != DONE {
        return Vec::new();
    }
    let header = |at| {
        let (mut name, mut value, mut length) = (ptr::null(), ptr::null(), 0);
        // SAFETY: as above; beyond the last header there is an error and nothing is written.
        unsafe {
            if rd_kafka_header_get_all(headers, at, &raw mut name, &raw mut value, &raw mut length) != DONE {
                return None;
            }
            let name = CStr::from_ptr(name).to_string_lossy().into_owned();
            let value = (!value.is_null()).then(|| std::slice::from_raw_parts(value.cast::<u8>(), length));
            Some((name, value.map(Bytes::copy_from_slice)))
        }
    };
    (0..).map_while(header).collect()
}

/// A producer may have written any number.
fn timestamp(timestamp: Timestamp) -> Option<OffsetDateTime> {
    let ms = timestamp.to_millis()?;
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).ok()
}
