//! A Redis of one's own.

use std::{path::PathBuf, process::Command, sync::Mutex, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};

use crate::{
    Server,
    eventually::until,
    free_port,
    process::{Process, Signal},
    program::find_program,
    scratch_dir,
};

const START: Duration = Duration::from_secs(20);

/// One `redis-server` without persistence: what it held is gone when it stops, as after a
/// failover to an empty replica.
#[derive(Debug)]
pub struct Redis {
    port: u16,
    dir: PathBuf,
    process: Mutex<Option<Process>>,
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

    /// A port and a URL, with nobody there until `start`.
    pub fn reserved() -> Redis {
        Redis { port: free_port(), dir: scratch_dir("redis"), process: Mutex::new(None) }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub async fn start(&self) {
        let program = find_program("redis-server").expect("a test asks for it with require!");
        let mut command = Command::new(program);
        command
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(&self.dir);
        let process = Process::spawn("redis-server", command, Signal::Kill);
        let answered = until(Instant::now() + START, &mut || ping(self.port)).await;
        if let Err(last) = answered {
            panic!("redis-server does not answer: {last}\n{}", process.output());
        }
        *self.process.lock().unwrap() = Some(process);
    }

    /// Cuts every connection and leaves the port closed.
    pub async fn stop(&self) {
        drop(self.process.lock().unwrap().take());
    }

    pub async fn restart(&self) {
        self.stop().await;
        self.start().await;
    }

    /// Freezes the server: connections stay open and nothing is answered.
    pub fn pause(&self) {
        self.signal(Signal::Stop);
    }

    pub fn resume(&self) {
        self.signal(Signal::Continue);
    }

    fn signal(&self, signal: Signal) {
        self.process.lock().unwrap().as_ref().expect("the server runs").signal(signal);
    }
}

async fn ping(port: u16) -> Result<(), String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(|error| error.to_string())?;
    stream.write_all(b"PING\r\n").await.map_err(|error| error.to_string())?;
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).await.map_err(|error| error.to_string())?;
    if &answer == b"+PONG\r\n" { Ok(()) } else { Err(String::from_utf8_lossy(&answer).into_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::require;

    #[tokio::test]
    async fn comes_back_on_the_port_it_had() {
        require!(Redis);
        let redis = Redis::launch().await;
        ping(redis.port()).await.unwrap();
        redis.stop().await;
        assert!(ping(redis.port()).await.is_err());
        redis.start().await;
        ping(redis.port()).await.unwrap();
    }
}
