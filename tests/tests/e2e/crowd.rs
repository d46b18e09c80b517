//! Many raw sessions: what an SDK would heal is what these tests count.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use signal_client::{Disconnect, Endpoint, Message, Session, session::Received};
use signal_harness::{Issuer, eventually};
use signal_tests::{ledger, open_files};
use tokio::{
    sync::{Mutex as AsyncMutex, MutexGuard},
    task::JoinSet,
};

/// For what thousands of clients do together, in a debug build, beside other tests.
pub const MANY_SOON: Duration = Duration::from_secs(120);
const AT_ONCE: usize = 32;
const READ_BUFFER: usize = 512;

/// One crowd at a time: two of them would measure each other.
pub async fn alone() -> MutexGuard<'static, ()> {
    static TURN: AsyncMutex<()> = AsyncMutex::const_new(());
    open_files::raise(15_000).unwrap();
    TURN.lock().await
}

pub fn tokens(issuer: &Issuer, prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| issuer.token(&format!("{prefix}-{number}"))).collect()
}

/// Sessions that read; they end with the value.
pub struct Crowd {
    pub members: Vec<Member>,
    reading: JoinSet<()>,
}

pub struct Member {
    pub id: String,
    pub user: String,
    heard: Arc<Mutex<Heard>>,
    writer: signal_client::session::Writer,
}

/// What one session was told.
#[derive(Debug, Default)]
pub struct Heard {
    /// Numbered messages, in the order in which they came.
    pub numbers: Vec<u64>,
    /// How many there were of each other event.
    pub events: BTreeMap<String, usize>,
    /// The delay of the last `reconnect`.
    pub announced_ms: Option<u64>,
    pub ended: Option<Ended>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    Closed(u16),
    Otherwise(String),
}

impl Heard {
    pub fn count(&self, event: &str) -> usize {
        self.events.get(event).copied().unwrap_or_default()
    }

    fn take(&mut self, message: &Message) {
        if message.event() == ledger::EVENT {
            self.numbers.push(message.data::<ledger::Numbered>().unwrap().number);
            return;
        }
        if message.event() == "reconnect" {
            self.announced_ms = message.data::<Value>().unwrap()["afterMs"].as_u64();
        }
        *self.events.entry(message.event().to_owned()).or_default() += 1;
    }
}

impl Crowd {
    /// One session for each token.
    pub async fn connect(edge: SocketAddr, tokens: &[String]) -> Crowd {
        let endpoint = Endpoint::new(&format!("ws://{edge}/stream")).unwrap();
        let endpoint = endpoint.read_buffer(READ_BUFFER).open_timeout(MANY_SOON).handshake_timeout(MANY_SOON);
        let opening = stream::iter(tokens).map(|token| Session::open(&endpoint, token)).buffer_unordered(AT_ONCE);
        let sessions: Vec<Session> = opening.try_collect().await.unwrap();
        let mut crowd = Crowd { members: Vec::new(), reading: JoinSet::new() };
        for session in sessions {
            let connected = session.connected();
            let (id, user) = (connected.client_id.clone(), connected.user_id.clone());
            let heard = Arc::<Mutex<Heard>>::default();
            let (mut reader, writer) = session.into_split();
            crowd.members.push(Member { id, user, heard: Arc::clone(&heard), writer });
            crowd.reading.spawn(async move {
                loop {
                    match reader.receive().await {
                        Ok(Received::Message(message)) => heard.lock().unwrap().take(&message),
                        Ok(Received::Alive) => {}
                        Ok(Received::Problem(problem)) => return end(&heard, Ended::Otherwise(problem.to_string())),
                        Err(Disconnect::Closed(close)) => return end(&heard, Ended::Closed(close.code)),
                        Err(error) => return end(&heard, Ended::Otherwise(error.to_string())),
                    }
                }
            });
        }
        crowd
    }

    /// Has the first of them join a room, which nothing answers.
    pub async fn join(&mut self, how_many: usize, room: &str) {
        for member in &mut self.members[..how_many] {
            member.writer.send("join", &json!({ "rooms": [room] })).await.unwrap();
        }
    }

    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// How many there are of whom this holds.
    pub fn count(&self, holds: impl Fn(&Heard) -> bool) -> usize {
        self.members.iter().filter(|member| holds(&member.heard.lock().unwrap())).count()
    }

    /// One answer of each.
    pub fn ask<T>(&self, question: impl Fn(&Heard) -> T) -> Vec<T> {
        self.members.iter().map(|member| question(&member.heard.lock().unwrap())).collect()
    }

    /// Waits until it holds of everybody.
    #[track_caller]
    pub fn all(&self, what: &str, holds: impl Fn(&Heard) -> bool) -> impl Future<Output = ()> {
        eventually(MANY_SOON, move || {
            let count = self.count(&holds);
            let seen = if count == self.len() { Ok(()) } else { Err(format!("{what}: {count} of {}", self.len())) };
            std::future::ready(seen)
        })
    }

    /// Fails if anybody's session has ended.
    #[track_caller]
    pub fn assert_nobody_left(&self) {
        let ended: Vec<_> = self.ask(|heard| heard.ended.clone()).into_iter().flatten().collect();
        assert_eq!(ended, [], "{} of {} sessions have ended", ended.len(), self.len());
    }
}

impl Member {
    pub fn ended(&self) -> Option<Ended> {
        self.heard.lock().unwrap().ended.clone()
    }
}

fn end(heard: &Mutex<Heard>, ended: Ended) {
    heard.lock().unwrap().ended = Some(ended);
}
