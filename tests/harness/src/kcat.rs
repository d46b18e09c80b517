//! kcat: a Kafka client that shares no code with Signal's wiring.

use std::{ffi::OsString, fs, os::unix::ffi::OsStringExt, process::Command};

use serde_json::Value;

use crate::{
    Server,
    program::{find_program, run},
    scratch_dir,
};

/// One record to produce. Keys and headers may be any bytes but U+0000, values any at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    key: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    partition: Option<u32>,
    value: Option<Vec<u8>>,
}

impl Record {
    pub fn new(value: impl Into<Vec<u8>>) -> Record {
        Record { value: Some(value.into()), ..Record::default() }
    }

    pub fn tombstone() -> Record {
        Record::default()
    }

    pub fn key(mut self, key: impl Into<Vec<u8>>) -> Record {
        self.key = Some(key.into());
        self
    }

    pub fn header(mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Record {
        self.headers.push((name.into(), Some(value.into())));
        self
    }

    pub fn header_without_value(mut self, name: impl Into<Vec<u8>>) -> Record {
        self.headers.push((name.into(), None));
        self
    }

    pub fn partition(mut self, partition: u32) -> Record {
        self.partition = Some(partition);
        self
    }
}

/// One record as a topic holds it, to the byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumed {
    pub partition: i64,
    pub offset: i64,
    /// Unix time in milliseconds.
    pub timestamp: i64,
    pub key: Option<Vec<u8>>,
    /// In their order.
    pub headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    pub value: Option<Vec<u8>>,
}

impl Consumed {
    /// Whether it is what was produced, wherever it is.
    pub fn is(&self, record: &Record) -> bool {
        (&self.key, &self.headers, &self.value) == (&record.key, &record.headers, &record.value)
    }

    /// The last header of a name, as text.
    pub fn header(&self, name: &str) -> Option<String> {
        let (_, value) = self.headers.iter().rev().find(|(header, _)| header == name.as_bytes())?;
        Some(String::from_utf8_lossy(value.as_deref()?).into_owned())
    }
}

#[derive(Debug)]
pub struct Kcat;

impl Server for Kcat {
    const NAME: &'static str = "kcat";

    fn available() -> Result<(), String> {
        find_program("kcat").map(|_| ()).ok_or_else(|| "no kcat on the PATH (Debian: apt-get install kcat)".to_owned())
    }
}

impl Kcat {
    /// Produces one record and waits until the broker has it. One with an empty value needs a key.
    pub async fn produce(brokers: &str, topic: &str, record: &Record) {
        let file = scratch_dir("kcat").join("value");
        let mut command = producer(brokers, topic);
        // As large as a broker takes without being told.
        command.args(["-X", "message.max.bytes=1048588"]);
        let key = record.key.as_deref();
        match record.value.as_deref().unwrap_or_default() {
            // kcat passes over an empty file; of a line with nothing but a key it makes a record.
            [] => {
                let key = key.unwrap_or_default();
                assert!(!key.contains(&b'\n') && !key.windows(2).any(|pair| pair == b"=>"), "kcat would cut the key");
                assert_eq!(
                    key.is_empty(),
                    record.key.is_none() && record.value.is_none(),
                    "kcat can't tell an empty key from none"
                );
                fs::write(&file, [key, b"=>\n"].concat()).unwrap();
                command.args(["-l", "-K", "=>"]);
            }
            value => {
                fs::write(&file, value).unwrap();
                if let Some(key) = key {
                    command.arg("-k").arg(OsString::from_vec(key.to_owned()));
                }
            }
        }
        for (name, value) in &record.headers {
            let text = match value {
                Some(value) => [name, &b"="[..], value].concat(),
                None => name.clone(),
            };
            command.arg("-H").arg(OsString::from_vec(text));
        }
        if record.value.is_none() {
            command.arg("-Z");
        }
        if let Some(partition) = record.partition {
            command.args(["-p", &partition.to_string()]);
        }
        // A file name makes its whole content one record, newlines and all.
        command.arg(&file);
        finish(command).await;
    }

    /// Produces a record for each value, none of which may contain a newline.
    pub async fn produce_lines(brokers: &str, topic: &str, values: &[String]) {
        let file = scratch_dir("kcat").join("values");
        fs::write(&file, values.join("\n")).unwrap();
        let mut command = producer(brokers, topic);
        command.arg("-l").arg(&file);
        finish(command).await;
    }

    /// As [`Kcat::produce_lines`], in one batch that is compressed: `gzip`, `snappy`, `lz4` or `zstd`.
    pub async fn produce_compressed(brokers: &str, topic: &str, codec: &str, values: &[String]) {
        let file = scratch_dir("kcat").join("values");
        fs::write(&file, values.join("\n")).unwrap();
        let mut command = producer(brokers, topic);
        command.args(["-z", codec, "-X", "linger.ms=500", "-l"]).arg(&file);
        finish(command).await;
    }

    /// All that a topic holds at this moment, in the order of partitions and offsets.
    pub async fn consume(brokers: &str, topic: &str) -> Vec<Consumed> {
        let mut command = Command::new("kcat");
        command.args(["-C", "-J", "-e", "-q", "-b", brokers, "-t", topic, "-o", "beginning"]);
        let output = run(command).await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "kcat: {said}");
        let mut records: Vec<Consumed> =
            output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(consumed).collect();
        records.sort_by_key(|record| (record.partition, record.offset));
        records
    }

    /// When each record of a partition was produced, in milliseconds since the Unix epoch.
    pub async fn times(brokers: &str, topic: &str, partition: u32) -> Vec<i64> {
        let mut command = Command::new("kcat");
        command.args(["-C", "-q", "-e", "-b", brokers, "-t", topic, "-o", "beginning", "-f", "%T\n"]);
        command.args(["-p", &partition.to_string()]);
        let said = finish(command).await;
        said.lines().map(|time| time.parse().unwrap()).collect()
    }

    /// Produces records of a key and a value each, none of which may contain a tab or a newline, in order.
    ///
    /// # Errors
    /// If the broker did not take all of them; some it may have.
    pub async fn try_produce_keyed(brokers: &str, topic: &str, records: &[(String, String)]) -> Result<(), String> {
        let file = scratch_dir("kcat").join("values");
        let lines: Vec<String> = records.iter().map(|(key, value)| format!("{key}\t{value}")).collect();
        fs::write(&file, lines.join("\n")).unwrap();
        let mut command = producer(brokers, topic);
        command.args(["-X", "enable.idempotence=true", "-K", "\\t", "-l"]).arg(&file);
        let outcome = try_to_finish(command).await;
        let _ = fs::remove_file(&file);
        outcome.map(drop)
    }
}

/// kcat escapes what JSON wants escaped and leaves other bytes as they are, UTF-8 or not. Read as Latin-1, in which each
/// byte is a character, its lines are JSON whatever is in them.
fn consumed(line: &[u8]) -> Consumed {
    let latin1: String = line.iter().copied().map(char::from).collect();
    let record: Value = serde_json::from_str(&latin1).unwrap_or_else(|error| panic!("{error} in {latin1}"));
    let bytes = |value: &Value| {
        let byte = |character: char| u8::try_from(character).expect("a character of Latin-1");
        value.as_str().map(|text| text.chars().map(byte).collect::<Vec<u8>>())
    };
    let headers = record["headers"].as_array().map(Vec::as_slice).unwrap_or_default();
    Consumed {
        partition: record["partition"].as_i64().unwrap(),
        offset: record["offset"].as_i64().unwrap(),
        timestamp: record["ts"].as_i64().unwrap(),
        key: bytes(&record["key"]),
        headers: headers.chunks(2).map(|pair| (bytes(&pair[0]).unwrap(), bytes(&pair[1]))).collect(),
        value: bytes(&record["payload"]),
    }
}

fn producer(brokers: &str, topic: &str) -> Command {
    let mut command = Command::new("kcat");
    command.args(["-P", "-q", "-b", brokers, "-t", topic, "-X", "message.timeout.ms=20000"]);
    command
}

/// What it wrote to standard output.
async fn finish(command: Command) -> String {
    try_to_finish(command).await.unwrap_or_else(|said| panic!("kcat: {said}"))
}

async fn try_to_finish(command: Command) -> Result<String, String> {
    let output = run(command).await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kafka, require};

    #[tokio::test]
    async fn what_is_consumed_is_what_was_produced() {
        require!(Kafka, Kcat);
        let kafka = Kafka::shared().await;
        let topic = kafka.topic("kcat", 2).await;
        let every_byte: Vec<u8> = (0..=255).collect();
        let records = [
            Record::new(every_byte.clone()).key(&every_byte[1..]).header("a", &every_byte[1..]).header("a", ""),
            Record::new("\u{2028}\"\\ \u{1f600}").header_without_value("b").header([0xff], "not UTF-8").key(""),
            Record::tombstone().key("k"),
            Record::new("").key("k").header("h", "v"),
            Record::tombstone(),
            Record::new(vec![b'x'; 1_000_000]),
        ];
        for record in &records {
            Kcat::produce(&kafka.brokers(), &topic, &record.clone().partition(1)).await;
        }
        let consumed = Kcat::consume(&kafka.brokers(), &topic).await;
        assert_eq!(consumed.len(), records.len());
        for (at, (consumed, record)) in consumed.iter().zip(&records).enumerate() {
            assert!(consumed.is(record), "{at}: {:?} {:?}", consumed.key, consumed.headers);
            assert_eq!((consumed.partition, consumed.offset), (1, at as i64));
        }
    }
}
