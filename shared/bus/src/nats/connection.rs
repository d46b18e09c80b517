//! One connection to a server that has let us in.

use std::{future::poll_fn, io, pin::pin, sync::Arc, task::Poll, time::Duration};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio_util::either::Either;

use super::{
    address::{Address, Login},
    protocol::{self, Info, Op, ProtocolError},
    servers::Server,
};
use crate::{
    reach::{self, LOGIN_TIMEOUT, Stream, in_time},
    tls,
};

/// How long an answer may take.
pub(super) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Read at once.
const READ: usize = 64 * 1024;
/// Memory that is kept for the next time.
const KEPT: usize = 256 * 1024;

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) server: Server,
    /// As the server last told of itself.
    pub(super) info: Info,
    stream: Stream,
    incoming: BytesMut,
    /// What is to be said, and how much of it is.
    outgoing: Vec<u8>,
    written: usize,
    /// TLS may hold back what it was given.
    flushed: bool,
}

/// What a server did instead of serving. A server's answers and the system's do not repeat credentials.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{server}: {cause}")]
pub(super) struct Failure {
    pub(super) server: Server,
    pub(super) cause: Cause,
}

#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Cause {
    #[error("{0}")]
    Io(Arc<io::Error>),
    #[error("the connection was closed")]
    Closed,
    /// In the server's words.
    #[error("{0}")]
    Said(String),
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    #[error("it does not offer TLS")]
    NoTls,
    #[error("it said something before TLS that TLS should have kept")]
    Injected,
    #[error("no answer to a ping in time")]
    Silent,
    #[error("no answer to a ping, though other things came")]
    Deaf,
    #[error("it is in lame duck mode")]
    LameDuck,
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Closed,
            _ => Self::Io(Arc::new(error)),
        }
    }
}

impl Cause {
    /// Whether the server has said no, and will the next time.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Said(said) if said.starts_with("Authorization Violation") || said.starts_with("Permissions"))
    }

    /// Whether the connection ended under what was being said, of which nothing is known then.
    pub(super) fn is_broken_off(&self) -> bool {
        match self {
            Self::Closed | Self::LameDuck => true,
            Self::Io(error) => error.kind() != io::ErrorKind::TimedOut,
            Self::Said(_) | Self::Protocol(_) | Self::NoTls | Self::Injected | Self::Silent | Self::Deaf => false,
        }
    }
}

impl Connection {
    pub(super) async fn open(server: Server, address: &Address) -> Result<Self, Failure> {
        match Self::log_in(&server, address).await {
            Ok(connection) => Ok(connection),
            Err(cause) => Err(Failure { server, cause }),
        }
    }

    async fn log_in(server: &Server, address: &Address) -> Result<Self, Cause> {
        let tcp = reach::tcp(&server.endpoint).await?;
        let logging_in = async {
            let mut connection = Self {
                server: server.clone(),
                info: Info::default(),
                stream: Either::Left(tcp),
                incoming: BytesMut::new(),
                outgoing: Vec::new(),
                written: 0,
                flushed: true,
            };
            connection.greet().await?;
            let connection = connection.secure(address.tls).await?;
            connection.introduce(address.login.as_ref()).await
        };
        // Boxed, since it would make everything that may connect as large.
        Box::pin(in_time(LOGIN_TIMEOUT, "no login", logging_in)).await
    }

    /// A server speaks first.
    async fn greet(&mut self) -> Result<(), Cause> {
        match self.answer().await? {
            Op::Info(info) => {
                self.info = *info;
                Ok(())
            }
            Op::Err(said) => Err(Cause::Said(said)),
            _ => Err(ProtocolError::Unknown.into()),
        }
    }

    /// TLS if it is asked for, or if the server has it no other way.
    async fn secure(mut self, asked: bool) -> Result<Self, Cause> {
        if !asked && !self.info.tls_required {
            return Ok(self);
        }
        if !self.info.tls_required && !self.info.tls_available {
            return Err(Cause::NoTls);
        }
        if !self.incoming.is_empty() {
            return Err(Cause::Injected);
        }
        let Either::Left(tcp) = self.stream else { return Ok(self) };
        self.stream = Either::Right(tls::connect(&self.server.name, tcp).await?);
        Ok(self)
    }

    async fn introduce(mut self, login: Option<&Login>) -> Result<Self, Cause> {
        let tls = matches!(self.stream, Either::Right(_));
        protocol::connect(login, tls, &mut self.outgoing);
        self.outgoing.extend_from_slice(protocol::PING);
        loop {
            match self.answer().await? {
                Op::Pong => return Ok(self),
                Op::Ping => self.outgoing.extend_from_slice(protocol::PONG),
                Op::Info(info) => self.info = *info,
                Op::Err(said) => return Err(Cause::Said(said)),
                Op::Message(_) => return Err(ProtocolError::Unknown.into()),
            }
        }
    }

    async fn answer(&mut self) -> Result<Op, Cause> {
        loop {
            if let Some(op) = self.op()? {
                return Ok(op);
            }
            self.turn(true).await?;
        }
    }

    /// What is to be said: it goes out as [`Self::turn`] is waited for.
    pub(super) fn outgoing(&mut self) -> &mut Vec<u8> {
        &mut self.outgoing
    }

    /// How much of that is left, in bytes.
    pub(super) fn backlog(&self) -> usize {
        self.outgoing.len() - self.written
    }

    /// The next op of those that have been read.
    pub(super) fn op(&mut self) -> Result<Option<Op>, ProtocolError> {
        let op = protocol::read(&mut self.incoming)?;
        if self.incoming.is_empty() && self.incoming.capacity() > KEPT {
            self.incoming = BytesMut::new();
        }
        Ok(op)
    }

    /// Writes what there is to say and, if `reading`, returns once something was read. Cancel-safe.
    pub(super) async fn turn(&mut self, reading: bool) -> io::Result<()> {
        if reading {
            self.incoming.reserve(READ);
        }
        poll_fn(|context| {
            while self.written < self.outgoing.len() {
                match pin!(&mut self.stream).poll_write(context, &self.outgoing[self.written..]) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(Ok(written)) => {
                        self.written += written;
                        self.flushed = false;
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => break,
                }
            }
            if self.written == self.outgoing.len() {
                self.outgoing.clear();
                self.outgoing.shrink_to(KEPT);
                self.written = 0;
            }
            if !self.flushed
                && let Poll::Ready(flushed) = pin!(&mut self.stream).poll_flush(context)
            {
                flushed?;
                self.flushed = true;
            }
            if !reading {
                return Poll::Pending;
            }
            match pin!(self.stream.read_buf(&mut self.incoming)).poll(context) {
                Poll::Ready(Ok(0)) => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                Poll::Ready(read) => Poll::Ready(read.map(drop)),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    pub(super) fn failure(self, cause: impl Into<Cause>) -> Failure {
        Failure { server: self.server, cause: cause.into() }
    }
}
