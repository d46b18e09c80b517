//! Just enough of NATS's protocol to say something and to listen.

use std::sync::Arc;

use anyhow::{Context, bail};
use futures_util::{Stream, stream};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    sync::Mutex,
    time::timeout,
};

use super::WITHIN;

/// Clones share the connection, one at a time.
#[derive(Clone, Debug)]
pub(super) struct Nats(Arc<Mutex<Connection>>);

#[derive(Debug)]
struct Connection(BufReader<TcpStream>);

/// What a server says.
enum Said {
    Pong,
    Message { subject: String, payload: Vec<u8> },
}

impl Nats {
    /// # Errors
    /// If nobody is there.
    pub(super) async fn connect(url: &str) -> anyhow::Result<Self> {
        Ok(Self(Arc::new(Mutex::new(Connection::open(url).await?))))
    }

    /// Returns once the server has taken all of them.
    ///
    /// # Errors
    /// If it does not.
    pub(super) async fn publish(&self, messages: Vec<(String, Vec<u8>)>) -> anyhow::Result<()> {
        let mut said = Vec::new();
        for (channel, payload) in messages {
            said.extend_from_slice(format!("PUB {} {}\r\n", subject(&channel), payload.len()).as_bytes());
            said.extend_from_slice(&payload);
            said.extend_from_slice(b"\r\n");
        }
        let mut connection = self.0.lock().await;
        connection.confirmed(said).await
    }
}

/// What is said on the channels that begin with `prefix`.
pub(super) async fn listen(url: &str, prefix: &str) -> anyhow::Result<impl Stream<Item = Vec<u8>> + Send + use<>> {
    let prefix = subject(prefix);
    let (kind, _) = prefix.rsplit_once('.').context("a prefix ends within the third part")?;
    let mut connection = Connection::open(url).await?;
    connection.confirmed(format!("SUB {kind}.* 1\r\n").into_bytes()).await?;
    Ok(stream::unfold((connection, prefix), |(mut connection, prefix)| async {
        loop {
            // Until the connection is lost.
            let Said::Message { subject, payload } = connection.next().await.ok()? else { continue };
            if subject.starts_with(&prefix) {
                return Some((payload, (connection, prefix)));
            }
        }
    }))
}

impl Connection {
    async fn open(url: &str) -> anyhow::Result<Self> {
        let address = url.strip_prefix("nats://").context("not an address of NATS")?;
        let stream = timeout(WITHIN, TcpStream::connect(address)).await.context("not reached")??;
        stream.set_nodelay(true)?;
        let mut connection = Self(BufReader::new(stream));
        connection.confirmed(b"CONNECT {\"verbose\":false,\"protocol\":0}\r\n".to_vec()).await?;
        Ok(connection)
    }

    /// Sends it and waits for the server's word that it came.
    async fn confirmed(&mut self, mut said: Vec<u8>) -> anyhow::Result<()> {
        said.extend_from_slice(b"PING\r\n");
        let confirming = async {
            self.0.write_all(&said).await?;
            while !matches!(self.next().await?, Said::Pong) {}
            anyhow::Ok(())
        };
        timeout(WITHIN, confirming).await.context("NATS does not answer")?
    }

    async fn next(&mut self) -> anyhow::Result<Said> {
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).await? == 0 {
                bail!("the connection was closed");
            }
            let words: Vec<_> = line.split_ascii_whitespace().collect();
            match words[..] {
                ["INFO", ..] => {}
                ["PING"] => self.0.write_all(b"PONG\r\n").await?,
                ["PONG"] => return Ok(Said::Pong),
                ["MSG", subject, _, .., size] => {
                    let mut payload = vec![0; size.parse::<usize>()? + 2];
                    self.0.read_exact(&mut payload).await?;
                    payload.truncate(payload.len() - 2);
                    return Ok(Said::Message { subject: subject.to_owned(), payload });
                }
                _ => bail!("NATS says {line:?}"),
            }
        }
    }
}

/// Split at the first two colons, each part percent-encoded, joined by dots; an empty part is a `%`.
fn subject(channel: &str) -> String {
    let part = |part: &str| match part {
        "" => "%".to_owned(),
        part => part.bytes().map(token).collect(),
    };
    channel.splitn(3, ':').map(part).collect::<Vec<_>>().join(".")
}

fn token(byte: u8) -> String {
    match byte {
        b'.' | b'*' | b'>' | b'$' | b'%' => format!("%{byte:02X}"),
        0x21..=0x7e => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_those_of_the_protocol() {
        for (channel, expected) in [
            ("ws:broadcast", "ws.broadcast"),
            ("ws:room:signal/notification/u1", "ws.room.signal/notification/u1"),
            ("ws:room:orders:42", "ws.room.orders:42"),
            ("ws:room:", "ws.room.%"),
            ("ws:user:an@example.com", "ws.user.an@example%2Ecom"),
            ("ws:room:Cà Phê 79", "ws.room.C%C3%A0%20Ph%C3%AA%2079"),
        ] {
            assert_eq!(subject(channel), expected);
        }
    }
}
