//! Asking the process of this container how it is: an image without a shell has no other way to be probed.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

/// For the whole question; well below what probes commonly wait.
const WITHIN: Duration = Duration::from_secs(1);

/// More than health ever says; the end of a longer answer is not read.
const ANSWER_LIMIT: u64 = 64 * 1024;

/// What `health` is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::Args)]
pub struct Question {
    /// Ask whether the process lives instead of whether it is ready.
    #[arg(long)]
    pub live: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum Unhealthy {
    #[error("{addr} (SIGNAL_ADMIN_ADDR) does not answer")]
    Silent { addr: SocketAddr, source: io::Error },
    /// The answer's body says what is missing.
    #[error("{addr} (SIGNAL_ADMIN_ADDR) says {said}")]
    Says { addr: SocketAddr, said: String },
}

/// Asks the process that has `admin` as its `SIGNAL_ADMIN_ADDR`, and takes a second at most. Blocks.
///
/// # Errors
/// If there is no answer, or one other than 200.
pub fn ask(admin: SocketAddr, question: Question) -> Result<(), Unhealthy> {
    let addr = reachable(admin);
    let path = if question.live { "/health/live" } else { "/health/ready" };
    let answer = get(addr, path, WITHIN).map_err(|source| Unhealthy::Silent { addr, source })?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status_line = head.lines().next().unwrap_or_default();
    match status_line.split(' ').nth(1) {
        Some("200") => Ok(()),
        _ => Err(Unhealthy::Says { addr, said: format!("{status_line} {body}").trim().to_owned() }),
    }
}

/// Who listens on all addresses does so on loopback, too.
fn reachable(addr: SocketAddr) -> SocketAddr {
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, addr.port())
}

/// HTTP/1.0, whose answer ends with the connection.
fn get(addr: SocketAddr, path: &str, within: Duration) -> io::Result<String> {
    let deadline = Instant::now() + within;
    let mut stream = TcpStream::connect_timeout(&addr, within)?;
    stream.set_write_timeout(Some(within))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {addr}\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let read = (&mut stream).take(ANSWER_LIMIT - answer.len() as u64).read(&mut chunk)?;
        if read == 0 {
            return Ok(String::from_utf8_lossy(&answer).into_owned());
        }
        answer.extend_from_slice(&chunk[..read]);
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{admin, health::Health, listen, telemetry};

    const READY: Question = Question { live: false };
    const LIVE: Question = Question { live: true };

    /// As a probe does: from another thread than the one that serves.
    async fn asked(addr: SocketAddr, question: Question) -> Result<(), String> {
        let answer = tokio::task::spawn_blocking(move || ask(addr, question)).await.unwrap();
        answer.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn says_what_the_process_says() {
        let listener = listen::bind("0.0.0.0:0".parse().unwrap(), "SIGNAL_ADMIN_ADDR").unwrap();
        let addr = listener.local_addr().unwrap();
        let (health, stop) = (Health::new(), CancellationToken::new());
        let kafka = health.component("kafka");
        tokio::spawn(admin::serve(listener, admin::router(&health, telemetry::metrics()), stop.clone()));

        let said = asked(addr, READY).await.unwrap_err();
        assert!(said.contains("503") && said.contains("kafka") && said.contains("127.0.0.1"), "{said}");
        assert_eq!(asked(addr, LIVE).await, Ok(()));
        kafka.up();
        assert_eq!(asked(addr, READY).await, Ok(()));
    }

    #[tokio::test]
    async fn nobody_and_somebody_who_says_nothing_are_unhealthy_within_the_time() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let said = asked(addr, LIVE).await.unwrap_err();
        assert!(said.contains("does not answer") && said.contains("SIGNAL_ADMIN_ADDR"), "{said}");
        drop(listener);
        let said = asked(addr, READY).await.unwrap_err();
        assert!(said.contains("does not answer"), "{said}");
    }

    #[test]
    fn an_answer_without_an_end_is_not_read_to_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let babbler = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            while stream.write_all(&[b'x'; 4096]).is_ok() {}
        });
        let said = ask(addr, READY).unwrap_err().to_string();
        assert!(said.len() <= usize::try_from(ANSWER_LIMIT).unwrap() + 100, "{}", said.len());
        babbler.join().unwrap();
    }
}
