//! A tap on the line between a process and the server that it talks to: everything passes, and is counted.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// What passes at a time.
const CHUNK: usize = 64 * 1024;

/// Cuts its connections when it is dropped.
#[derive(Debug)]
pub struct Tap {
    address: SocketAddr,
    passed: Arc<Passed>,
    _passing: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Passed {
    to_server: AtomicU64,
    from_server: AtomicU64,
}

impl Tap {
    /// In front of a server, which need not be there yet.
    ///
    /// # Errors
    /// If there is no port to be had.
    pub async fn before(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let (address, passed) = (listener.local_addr()?, Arc::<Passed>::default());
        let mut passing = JoinSet::new();
        passing.spawn(accept(listener, server, Arc::clone(&passed)));
        Ok(Self { address, passed, _passing: passing })
    }

    /// Where to connect instead of to the server.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes that the server has sent so far, on all connections.
    pub fn from_server(&self) -> u64 {
        self.passed.from_server.load(Ordering::SeqCst)
    }

    /// Bytes that it was sent.
    pub fn to_server(&self) -> u64 {
        self.passed.to_server.load(Ordering::SeqCst)
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, passed: Arc<Passed>) {
    let mut connections = JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        let passed = Arc::clone(&passed);
        connections.spawn(async move {
            // Whoever is on a connection that ends sees it end: there is nobody else to tell.
            let _ = join(near, server, &passed).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn join(near: TcpStream, server: SocketAddr, passed: &Passed) -> io::Result<()> {
    let far = TcpStream::connect(server).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let (near_reader, near_writer) = near.into_split();
    let (far_reader, far_writer) = far.into_split();
    // The end of either direction is the end of both.
    tokio::select! {
        ended = pass(near_reader, far_writer, &passed.to_server) => ended,
        ended = pass(far_reader, near_writer, &passed.from_server) => ended,
    }
}

async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, count: &AtomicU64) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = from.read(&mut chunk).await?;
        if read == 0 {
            return Ok(());
        }
        // Before it is passed on: whoever has seen an answer finds it counted.
        count.fetch_add(read as u64, Ordering::SeqCst);
        to.write_all(&chunk[..read]).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_passes_is_counted_each_way() {
        let server = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let tap = Tap::before(server.local_addr().expect("bound")).await.expect("a port");
        let mut client = TcpStream::connect(tap.address()).await.expect("the tap listens");
        client.write_all(b"question").await.expect("open");
        let (mut accepted, _) = server.accept().await.expect("the tap has connected");
        let mut question = [0; 8];
        accepted.read_exact(&mut question).await.expect("the question comes through");
        accepted.write_all(b"a long answer").await.expect("open");
        let mut answer = [0; 13];
        client.read_exact(&mut answer).await.expect("the answer comes through");
        assert_eq!((&question, &answer), (b"question", b"a long answer"));
        assert_eq!((tap.to_server(), tap.from_server()), (8, 13));
        drop(accepted);
        assert_eq!(client.read(&mut answer).await.expect("an orderly end"), 0);
    }
}
