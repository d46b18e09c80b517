//! Prometheus, which scrapes what a test starts and evaluates the rules that Signal ships.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::Value;
use tokio::time::Instant;

use crate::{
    Server,
    eventually::until,
    free_port, http,
    process::{Process, Signal},
    program::{find_program, run},
    scratch_dir,
};

const START: Duration = Duration::from_secs(30);

/// One server that scrapes every second.
#[derive(Debug)]
pub struct Prometheus {
    address: SocketAddr,
    process: Process,
}

impl Server for Prometheus {
    const NAME: &'static str = "Prometheus";

    fn available() -> Result<(), String> {
        let missing = ["prometheus", "promtool"].into_iter().find(|program| find_program(program).is_none());
        missing.map_or(Ok(()), |program| Err(format!("no {program} on the PATH (Debian: apt-get install prometheus)")))
    }
}

impl Prometheus {
    /// `targets` are the jobs to scrape, `rules` the rule files to load.
    pub async fn launch(targets: &[(&str, SocketAddr)], rules: &[PathBuf]) -> Prometheus {
        let (dir, port) = (scratch_dir("prometheus"), free_port());
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let configuration = dir.join("prometheus.yml");
        fs::write(&configuration, configured(targets, rules)).unwrap();
        let mut starting = Command::new(find_program("prometheus").expect("a test asks for it with require!"));
        starting
            .arg(format!("--config.file={}", configuration.display()))
            .arg(format!("--storage.tsdb.path={}", dir.join("data").display()))
            .arg(format!("--web.listen-address={address}"));
        let process = Process::spawn("prometheus", starting, Signal::Kill);
        let mut ready = || async { http::get(address, "/-/ready").await.is_ok_and(|answer| answer.status == 200) };
        if let Err(last) = until(Instant::now() + START, &mut ready).await {
            panic!("prometheus is not ready: {last}\n{}", process.output());
        }
        Prometheus { address, process }
    }

    /// What an expression comes to now: an instant vector's elements.
    ///
    /// # Errors
    /// Prometheus' own words, if it can't be evaluated.
    pub async fn query(&self, expression: &str) -> Result<Vec<Value>, String> {
        let answer = self.ask(&format!("/api/v1/query?query={}", encoded(expression))).await?;
        answer["result"].as_array().cloned().ok_or_else(|| format!("no vector: {answer}"))
    }

    /// The loaded rules, recording and alerting.
    pub async fn rules(&self) -> Result<Vec<Value>, String> {
        let answer = self.ask("/api/v1/rules").await?;
        let groups = answer["groups"].as_array().cloned().unwrap_or_default();
        Ok(groups.iter().flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default()).collect())
    }

    async fn ask(&self, path: &str) -> Result<Value, String> {
        let answer = http::get(self.address, path).await.map_err(|error| error.to_string())?;
        let answer: Value = serde_json::from_str(&answer.body).map_err(|error| format!("{error}: {}", answer.body))?;
        match answer["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer["data"].clone()),
        }
    }

    pub fn output(&self) -> String {
        self.process.output()
    }

    /// Runs `promtool`; `Err` has all that it said, if it was not content.
    pub async fn promtool(arguments: &[&str], dir: &Path) -> Result<String, String> {
        let mut command = Command::new(find_program("promtool").expect("a test asks for it with require!"));
        command.args(arguments).current_dir(dir);
        let output = run(command).await.map_err(|error| error.to_string())?;
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        if output.status.success() { Ok(said) } else { Err(said) }
    }
}

fn configured(targets: &[(&str, SocketAddr)], rules: &[PathBuf]) -> String {
    let jobs = targets.iter().map(|(job, address)| {
        serde_json::json!({ "job_name": job, "static_configs": [{ "targets": [address.to_string()] }] })
    });
    // JSON is YAML.
    serde_json::json!({
        "global": { "scrape_interval": "1s", "evaluation_interval": "1s" },
        "rule_files": rules,
        "scrape_configs": jobs.collect::<Vec<_>>(),
    })
    .to_string()
}

/// A value of a query string: all but what RFC 3986 never reserves is escaped.
fn encoded(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}
