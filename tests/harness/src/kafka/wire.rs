//! The requests of Kafka's protocol that make topics and remove them, and tell whether they and a broker are there, and
//! where a group is.
//!
//! Written by hand, in the oldest versions that Kafka 4 speaks, so that the harness does not
//! make every crate that uses it build librdkafka. Source: the Kafka protocol guide.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const METADATA: (i16, i16) = (3, 1);
const OFFSET_FETCH: (i16, i16) = (9, 1);
const API_VERSIONS: (i16, i16) = (18, 0);
const CREATE_TOPICS: (i16, i16) = (19, 2);
const DELETE_TOPICS: (i16, i16) = (20, 1);
const CREATE_PARTITIONS: (i16, i16) = (37, 0);

const TOPIC_ALREADY_EXISTS: i16 = 36;
const TIMEOUT_MS: i32 = 20_000;

/// Whether the broker answers at all.
pub(super) async fn is_up(addr: SocketAddr) -> Result<(), String> {
    let mut answer = call(addr, API_VERSIONS, &[]).await.map_err(|error| error.to_string())?;
    accept(answer.i16()?, None)
}

pub(super) async fn create_topic(addr: SocketAddr, topic: &str, partitions: u32) -> Result<(), String> {
    let mut body = Vec::new();
    put_i32(&mut body, 1);
    put_str(&mut body, topic);
    put_i32(&mut body, i32::try_from(partitions).unwrap());
    body.extend(1_i16.to_be_bytes());
    put_i32(&mut body, 0);
    put_i32(&mut body, 0);
    put_i32(&mut body, TIMEOUT_MS);
    body.push(0);
    let mut answer = call(addr, CREATE_TOPICS, &body).await.map_err(|error| error.to_string())?;
    let (_throttle, _topics, _name) = (answer.i32()?, answer.i32()?, answer.string()?);
    match answer.i16()? {
        TOPIC_ALREADY_EXISTS => Ok(()),
        code => accept(code, answer.string()?),
    }
}

/// `partitions` is how many there are to be in all.
pub(super) async fn create_partitions(addr: SocketAddr, topic: &str, partitions: u32) -> Result<(), String> {
    let mut body = Vec::new();
    put_i32(&mut body, 1);
    put_str(&mut body, topic);
    put_i32(&mut body, i32::try_from(partitions).unwrap());
    put_i32(&mut body, -1);
    put_i32(&mut body, TIMEOUT_MS);
    body.push(0);
    let mut answer = call(addr, CREATE_PARTITIONS, &body).await.map_err(|error| error.to_string())?;
    let (_throttle, _topics, _name) = (answer.i32()?, answer.i32()?, answer.string()?);
    let code = answer.i16()?;
    accept(code, answer.string()?)
}

pub(super) async fn delete_topic(addr: SocketAddr, topic: &str) -> Result<(), String> {
    let mut body = Vec::new();
    put_i32(&mut body, 1);
    put_str(&mut body, topic);
    put_i32(&mut body, TIMEOUT_MS);
    let mut answer = call(addr, DELETE_TOPICS, &body).await.map_err(|error| error.to_string())?;
    let (_throttle, _topics, _name) = (answer.i32()?, answer.i32()?, answer.string()?);
    accept(answer.i16()?, None)
}

/// `Ok` when the topic has that many partitions, each with a leader.
pub(super) async fn leaders(addr: SocketAddr, topic: &str, partitions: u32) -> Result<(), String> {
    let mut body = Vec::new();
    put_i32(&mut body, 1);
    put_str(&mut body, topic);
    let mut answer = call(addr, METADATA, &body).await.map_err(|error| error.to_string())?;
    for _ in 0..answer.i32()? {
        let (_id, _host, _port, _rack) = (answer.i32()?, answer.string()?, answer.i32()?, answer.string()?);
    }
    let (_controller, _topics) = (answer.i32()?, answer.i32()?);
    accept(answer.i16()?, Some("topic".to_owned()))?;
    let (_name, _internal) = (answer.string()?, answer.bytes(1)?);
    let found = answer.i32()?;
    if found != i32::try_from(partitions).unwrap() {
        return Err(format!("{found} of {partitions} partitions"));
    }
    for _ in 0..found {
        let (code, partition, leader) = (answer.i16()?, answer.i32()?, answer.i32()?);
        accept(code, Some(format!("partition {partition}")))?;
        if leader < 0 {
            return Err(format!("partition {partition} has no leader"));
        }
        for _replicas_then_in_sync in 0..2 {
            let count = answer.i32()?;
            answer.bytes(4 * usize::try_from(count).unwrap_or(0))?;
        }
    }
    Ok(())
}

/// What a group has committed of a partition, as its coordinator, which a lone broker is; -1 for nothing.
pub(super) async fn committed(addr: SocketAddr, group: &str, topic: &str, partition: u32) -> Result<i64, String> {
    let mut body = Vec::new();
    put_str(&mut body, group);
    put_i32(&mut body, 1);
    put_str(&mut body, topic);
    put_i32(&mut body, 1);
    put_i32(&mut body, i32::try_from(partition).unwrap());
    let mut answer = call(addr, OFFSET_FETCH, &body).await.map_err(|error| error.to_string())?;
    let (_topics, _name, _partitions, _partition) = (answer.i32()?, answer.string()?, answer.i32()?, answer.i32()?);
    let (offset, _metadata) = (answer.i64()?, answer.string()?);
    accept(answer.i16()?, Some(format!("group {group}")))?;
    Ok(offset)
}

fn accept(code: i16, about: Option<String>) -> Result<(), String> {
    match (code, about) {
        (0, _) => Ok(()),
        (code, Some(about)) => Err(format!("{about}: error code {code}")),
        (code, None) => Err(format!("error code {code}")),
    }
}

/// Request header version 1: api key, version, correlation id, client id.
async fn call(addr: SocketAddr, (key, version): (i16, i16), body: &[u8]) -> io::Result<Answer> {
    let mut request = Vec::new();
    request.extend(key.to_be_bytes());
    request.extend(version.to_be_bytes());
    put_i32(&mut request, 1);
    put_str(&mut request, "signal-harness");
    request.extend(body);
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_i32(i32::try_from(request.len()).unwrap()).await?;
    stream.write_all(&request).await?;
    let length = stream.read_i32().await?;
    let _correlation_id = stream.read_i32().await?;
    let mut bytes = vec![0; usize::try_from(length - 4).unwrap_or(0)];
    stream.read_exact(&mut bytes).await?;
    Ok(Answer { bytes, at: 0 })
}

fn put_i32(out: &mut Vec<u8>, value: i32) {
    out.extend(value.to_be_bytes());
}

fn put_str(out: &mut Vec<u8>, value: &str) {
    out.extend(i16::try_from(value.len()).unwrap().to_be_bytes());
    out.extend(value.as_bytes());
}

struct Answer {
    bytes: Vec<u8>,
    at: usize,
}

impl Answer {
    fn bytes(&mut self, count: usize) -> Result<&[u8], String> {
        let from = self.at;
        self.at += count;
        self.bytes.get(from..self.at).ok_or_else(|| "the answer is too short".to_owned())
    }

    fn i16(&mut self) -> Result<i16, String> {
        Ok(i16::from_be_bytes(self.bytes(2)?.try_into().expect("two bytes")))
    }

    fn i32(&mut self) -> Result<i32, String> {
        Ok(i32::from_be_bytes(self.bytes(4)?.try_into().expect("four bytes")))
    }

    fn i64(&mut self) -> Result<i64, String> {
        Ok(i64::from_be_bytes(self.bytes(8)?.try_into().expect("eight bytes")))
    }

    fn string(&mut self) -> Result<Option<String>, String> {
        match usize::try_from(self.i16()?) {
            Ok(length) => Ok(Some(String::from_utf8_lossy(self.bytes(length)?).into_owned())),
            Err(_null) => Ok(None),
        }
    }
}
