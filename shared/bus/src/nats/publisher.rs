//! The publishing connection: made when it is needed, shared by all who publish, kept by a task of its own.
//!
//! Core NATS answers no PUB. Each batch is followed by a PING: its PONG says that the server has taken all of them, and
//! an error that came before it is that batch's.

use std::{collections::VecDeque, mem, sync::Arc};

use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

use super::{
    address::Address,
    connection::{Cause, Connection, Failure, RESPONSE_TIMEOUT},
    protocol::{self, Op},
    servers::{Server, Servers},
    subject,
};
use crate::{BusError, Publication};

/// Batches that wait for the task; who comes then waits itself.
const QUEUED: usize = 64;
/// Bytes that are written ahead of what the server takes, beyond one batch.
const AHEAD: usize = 1024 * 1024;
/// Of a server that does not say how much it takes.
const MAX_PAYLOAD: usize = 1024 * 1024;

#[derive(Debug)]
pub(super) struct Publisher {
    address: Arc<Address>,
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
}

#[derive(Debug)]
struct Job {
    batch: Vec<Publication>,
    done: oneshot::Sender<Result<(), PublishError>>,
    /// Said once already, on a connection that broke off.
    again: bool,
    /// Why some of it is not said.
    refused: Option<String>,
}

#[derive(Clone, Debug, thiserror::Error)]
enum PublishError {
    #[error(transparent)]
    Failed(#[from] Failure),
    /// The rest of the batch was taken.
    #[error("{server}: {reason}")]
    Refused { server: Server, reason: String },
    #[error("the publishing task has ended")]
    Ended,
}

impl From<PublishError> for BusError {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Refused { .. } => Self::Refused(error.to_string()),
            PublishError::Failed(_) | PublishError::Ended => Self::Unreachable(error.to_string()),
        }
    }
}

impl Publisher {
    pub(super) fn new(address: &Arc<Address>) -> Self {
        Self { address: Arc::clone(address), jobs: Mutex::new(None) }
    }

    pub(super) async fn send(&self, batch: Vec<Publication>) -> Result<(), BusError> {
        let (done, outcome) = oneshot::channel();
        let jobs = self.jobs();
        let sent = jobs.send(Job { batch, done, again: false, refused: None }).await;
        sent.map_err(|_| PublishError::Ended)?;
        outcome.await.unwrap_or(Err(PublishError::Ended)).map_err(BusError::from)
    }

    /// To the task, which is started if there is none, or none any more: it ends with the runtime that it was started on.
    fn jobs(&self) -> mpsc::Sender<Job> {
        let mut jobs = self.jobs.lock();
        match &*jobs {
            Some(jobs) if !jobs.is_closed() => jobs.clone(),
            _ => {
                let (sender, inbox) = mpsc::channel(QUEUED);
                tokio::spawn(Task::new(Arc::clone(&self.address), inbox).run());
                jobs.insert(sender).clone()
            }
        }
    }
}

struct Task {
    address: Arc<Address>,
    inbox: mpsc::Receiver<Job>,
    servers: Servers,
    /// What has yet to be said.
    queued: VecDeque<Job>,
    /// What was said and not answered, and what the server said against the first of it.
    said: VecDeque<Job>,
    refusal: Option<String>,
}

/// Nobody publishes any more.
struct Closed;

impl Task {
    fn new(address: Arc<Address>, inbox: mpsc::Receiver<Job>) -> Self {
        let servers = Servers::new(&address);
        Self { address, inbox, servers, queued: VecDeque::new(), said: VecDeque::new(), refusal: None }
    }

    async fn run(mut self) {
        loop {
            if self.queued.is_empty() {
                match self.inbox.recv().await {
                    Some(job) => self.queued.push_back(job),
                    None => return,
                }
            }
            match self.connect().await {
                Ok(connection) => match self.serve(connection).await {
                    Ok(failure) => self.broke_off(&failure),
                    Err(Closed) => return,
                },
                Err(failure) => self.fail(&failure),
            }
        }
    }

    /// Another server of a cluster does as well: all are tried before it is given up.
    async fn connect(&mut self) -> Result<Connection, Failure> {
        let mut tries = self.servers.count();
        loop {
            tries -= 1;
            match Connection::open(self.servers.next(), &self.address).await {
                Ok(connection) => return Ok(connection),
                Err(_) if tries > 0 => {}
                Err(failure) => return Err(failure),
            }
        }
    }

    /// A try to connect has spoken for all who came during it: a crowd must not hang one after the other.
    fn fail(&mut self, failure: &Failure) {
        while let Ok(job) = self.inbox.try_recv() {
            self.queued.push_back(job);
        }
        for job in self.queued.drain(..) {
            job.end(Err(failure.clone().into()));
        }
    }

    /// Until the connection fails, or is better left.
    async fn serve(&mut self, mut connection: Connection) -> Result<Failure, Closed> {
        let info = connection.info.clone();
        self.servers.learn(&info, &connection.server);
        let mut leaving = false;
        let mut due = Instant::now() + RESPONSE_TIMEOUT;
        loop {
            while connection.backlog() < AHEAD
                && !leaving
                && let Some(job) = self.queued.pop_front()
            {
                self.say(job, &mut connection);
            }
            if leaving && self.said.is_empty() {
                return Ok(connection.failure(Cause::LameDuck));
            }
            let has_room = connection.backlog() < AHEAD && !leaving;
            let waits = !self.said.is_empty();
            tokio::select! {
                job = self.inbox.recv(), if has_room => {
                    self.queued.push_back(job.ok_or(Closed)?);
                    if !waits {
                        due = Instant::now() + RESPONSE_TIMEOUT;
                    }
                }
                turned = connection.turn(true) => {
                    let heard = match turned {
                        Ok(()) => self.hear(&mut connection, &mut leaving),
                        Err(error) => Err(error.into()),
                    };
                    match heard {
                        // Whoever answers one batch is given time for the next.
                        Ok(true) => due = Instant::now() + RESPONSE_TIMEOUT,
                        Ok(false) => {}
                        Err(cause) => return Ok(connection.failure(cause)),
                    }
                }
                () = sleep_until(due), if waits => return Ok(connection.failure(Cause::Silent)),
            }
        }
    }

    fn say(&mut self, mut job: Job, connection: &mut Connection) {
        let most = connection.info.max_payload.unwrap_or(MAX_PAYLOAD);
        let mut refused = None;
        let outgoing = connection.outgoing();
        // A server that is told more than it takes hangs up, and the rest of the batch would be lost with it.
        for publication in &job.batch {
            let size = publication.payload.len();
            match subject::check(&publication.channel) {
                Err(reason) => refused = Some(reason.to_string()),
                Ok(()) if size > most => {
                    refused = Some(format!("a message may have {most} bytes (max_payload), this one has {size}"));
                }
                Ok(()) => protocol::publish(publication, outgoing),
            }
        }
        outgoing.extend_from_slice(protocol::PING);
        job.refused = refused;
        self.said.push_back(job);
    }

    /// Whether something was answered.
    fn hear(&mut self, connection: &mut Connection, leaving: &mut bool) -> Result<bool, Cause> {
        let mut answered = false;
        while let Some(op) = connection.op()? {
            match op {
                Op::Pong => {
                    answered = true;
                    let Some(job) = self.said.pop_front() else { continue };
                    let refusal = self.refusal.take().or_else(|| job.refused.clone());
                    let server = || connection.server.clone();
                    job.end(refusal.map_or(Ok(()), |reason| Err(PublishError::Refused { server: server(), reason })));
                }
                Op::Ping => connection.outgoing().extend_from_slice(protocol::PONG),
                Op::Info(info) => {
                    self.servers.learn(&info, &connection.server);
                    *leaving = info.ldm && self.servers.count() > 1;
                    connection.info.max_payload = info.max_payload.or(connection.info.max_payload);
                }
                // The one error after which a server goes on.
                Op::Err(said) if said.starts_with("Permissions Violation") => self.refusal = Some(said),
                Op::Err(said) => return Err(Cause::Said(said)),
                Op::Message(_) => {}
            }
        }
        Ok(answered)
    }

    /// Of what was said nothing is known. It is said once more if the connection ended under it: saying it twice is
    /// better than losing it although another server, or the same one, is there.
    fn broke_off(&mut self, failure: &Failure) {
        self.refusal = None;
        for mut job in mem::take(&mut self.said).into_iter().rev() {
            if failure.cause.is_broken_off() && !mem::replace(&mut job.again, true) {
                self.queued.push_front(job);
            } else {
                job.end(Err(failure.clone().into()));
            }
        }
    }
}

impl Job {
    fn end(self, outcome: Result<(), PublishError>) {
        // Whoever no longer waits needs no word.
        let _ = self.done.send(outcome);
    }
}
