//! A Redis of one's own: one server, a cluster, or a master with sentinels.

mod cluster;
mod command;
mod sentinel;
mod tls;

use std::{
    ops::Deref,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tokio::time::Instant;

use self::command::command;
pub use self::{
    cluster::RedisCluster,
    sentinel::RedisSentinel,
    tls::{Certificates, RedisTls},
};
use crate::{
    Server,
    eventually::until,
    free_port,
    process::{Process, Signal},
    program::find_program,
    restartable::Restartable,
    scratch_dir,
};

const START: Duration = Duration::from_secs(20);

/// One `redis-server` without persistence: what it held is gone when it stops, as after a
/// failover to an empty replica.
#[derive(Debug)]
pub struct Redis {
    port: u16,
    tls_port: Option<u16>,
    password: Option<String>,
    arguments: Vec<String>,
    process: Restartable,
}

impl Deref for Redis {
    type Target = Restartable;

    fn deref(&self) -> &Restartable {
        &self.process
    }
}

impl Server for Redis {
    const NAME: &'static str = "Redis";

    fn available() -> Result<(), String> {
        find_program("redis-server")
            .map(|_| ())
            .ok_or_else(|| "no redis-server on the PATH (Debian: apt-get install redis-server)".to_owned())
    }
}

impl Redis {
    pub async fn launch() -> Redis {
        let redis = Redis::reserved();
        redis.start().await;
        redis
    }

    /// One whose URL is `rediss://`. A test asks for it with `require!(RedisTls)`.
    pub async fn launch_with_tls(certificates: &Certificates) -> Redis {
        let redis = Redis::reserved().with_tls(certificates);
        redis.start().await;
        redis
    }

    /// A port and a URL, with nobody there until `start`.
    pub fn reserved() -> Redis {
        Redis::with(&[])
    }

    fn with(options: &[&str]) -> Redis {
        let (port, dir) = (free_port(), scratch_dir("redis"));
        let mut arguments: Vec<String> =
            ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"].map(str::to_owned).into();
        arguments.extend(["--port".to_owned(), port.to_string(), "--dir".to_owned(), path(&dir)]);
        arguments.extend(options.iter().map(|&option| option.to_owned()));
        Redis { port, tls_port: None, password: None, arguments, process: Restartable::default() }
    }

    fn with_tls(mut self, certificates: &Certificates) -> Redis {
        let port = free_port();
        self.arguments.extend(certificates.server_arguments(port));
        self.tls_port = Some(port);
        self
    }

    /// Where it answers without TLS, which it always does.
    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        let scheme = if self.tls_port.is_some() { "rediss" } else { "redis" };
        format!("{scheme}://127.0.0.1:{}", self.service_port())
    }

    /// The port of its URL.
    fn service_port(&self) -> u16 {
        self.tls_port.unwrap_or(self.port)
    }

    pub async fn start(&self) {
        let program = find_program("redis-server").expect("a test asks for it with require!");
        let mut starting = Command::new(program);
        starting.args(&self.arguments);
        let process = Process::spawn("redis-server", starting, Signal::Kill);
        let answered = until(Instant::now() + START, &mut || self.command(&["PING"])).await;
        if let Err(last) = answered {
            panic!("redis-server does not answer: {last}\n{}", process.output());
        }
        self.process.runs(process);
    }

    pub async fn restart(&self) {
        self.stop().await;
        self.start().await;
    }

    /// Runs one command on a connection of its own. Arrays are flattened; a null is empty.
    pub async fn command(&self, words: &[&str]) -> Result<Vec<String>, String> {
        command(self.port, self.password.as_deref(), words).await
    }
}

fn path(path: &Path) -> String {
    path.to_str().expect("scratch folders have plain names").to_owned()
}

/// A configuration file that the server may write to.
fn configuration(lines: &str) -> PathBuf {
    let file = scratch_dir("redis").join("redis.conf");
    std::fs::write(&file, lines).unwrap();
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::require;

    #[tokio::test]
    async fn comes_back_on_the_port_it_had() {
        require!(Redis);
        let redis = Redis::launch().await;
        redis.command(&["SET", "a", "1"]).await.unwrap();
        redis.stop().await;
        assert!(redis.command(&["PING"]).await.is_err());
        redis.start().await;
        assert_eq!(redis.command(&["PING"]).await.unwrap(), ["PONG"]);
        assert_eq!(redis.command(&["GET", "a"]).await.unwrap(), [""]);
        assert_eq!(redis.command(&["CONFIG", "GET", "appendonly"]).await.unwrap(), ["appendonly", "no"]);
        assert!(redis.command(&["NONSENSE"]).await.unwrap_err().contains("unknown command"));
    }
}
