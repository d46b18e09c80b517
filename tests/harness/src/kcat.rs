//! kcat: a Kafka client that shares no code with Signal's wiring.

use std::{fs, process::Command};

use crate::{
    Server,
    program::{find_program, run},
    scratch_dir,
};

/// One record to produce.
#[derive(Debug, Clone, Default)]
pub struct Record {
    key: Option<String>,
    headers: Vec<(String, String)>,
    partition: Option<u32>,
    value: Vec<u8>,
}

impl Record {
    pub fn new(value: impl Into<Vec<u8>>) -> Record {
        Record { value: value.into(), ..Record::default() }
    }

    pub fn key(mut self, key: &str) -> Record {
        self.key = Some(key.to_owned());
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Record {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn partition(mut self, partition: u32) -> Record {
        self.partition = Some(partition);
        self
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
    /// Produces one record, whose value is any bytes, and waits until the broker has it.
    pub async fn produce(brokers: &str, topic: &str, record: &Record) {
        let file = scratch_dir("kcat").join("value");
        fs::write(&file, &record.value).unwrap();
        let mut command = producer(brokers, topic);
        if let Some(key) = &record.key {
            command.args(["-k", key]);
        }
        for (name, value) in &record.headers {
            command.args(["-H", &format!("{name}={value}")]);
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
        outcome
    }
}

fn producer(brokers: &str, topic: &str) -> Command {
    let mut command = Command::new("kcat");
    command.args(["-P", "-q", "-b", brokers, "-t", topic, "-X", "message.timeout.ms=20000"]);
    command
}

async fn finish(command: Command) {
    try_to_finish(command).await.unwrap_or_else(|said| panic!("kcat: {said}"));
}

async fn try_to_finish(command: Command) -> Result<(), String> {
    let output = run(command).await.unwrap();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}
