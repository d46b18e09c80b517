//! SDK clients that come back by themselves, and what each of them knows.

use std::{
    convert::Infallible,
    future::ready,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, ensure};
use signal_client::{Builder, Client, Disconnect, Event, Events};
use tokio::{task::JoinSet, time::timeout};

use crate::{
    balancer::Balancer,
    ledger::{Ledger, Numbered},
};

/// Handshakes at a time while the population gathers.
const AT_ONCE: usize = 64;
const WITHIN: Duration = Duration::from_secs(60);

/// Ends with the value.
#[derive(Debug, Default)]
pub struct Population {
    people: Vec<Arc<Mutex<Person>>>,
    clients: Vec<Client>,
    listening: JoinSet<()>,
}

/// What one client has been told.
#[derive(Debug, Default)]
pub struct Person {
    /// By number, whether the message is known: pushed, or read from the list.
    known: Vec<bool>,
    /// The last number that was pushed in this session.
    last: Option<u64>,
    pub sessions: usize,
    /// Why each of the sessions but the present one ended.
    pub ended: Vec<Ended>,
    /// What should not have happened.
    pub complaints: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The client left when it had been told to.
    Draining,
    Closed(u16),
    Otherwise,
}

impl Population {
    /// One client for each token, all of them connected once.
    ///
    /// # Errors
    /// If one is not.
    pub async fn gather(tokens: Vec<String>, balancer: &Balancer, ledger: &Ledger) -> anyhow::Result<Self> {
        let mut population = Self::default();
        let mut tokens = tokens.into_iter().peekable();
        while tokens.peek().is_some() {
            let begun = population.clients.len();
            for token in tokens.by_ref().take(AT_ONCE) {
                population.add(token, balancer, ledger)?;
            }
            for client in &population.clients[begun..] {
                let ready = timeout(WITHIN, client.ready()).await;
                ensure!(ready.with_context(|| format!("no connection within {WITHIN:?}"))?, "a client was refused");
            }
        }
        Ok(population)
    }

    fn add(&mut self, token: String, balancer: &Balancer, ledger: &Ledger) -> anyhow::Result<()> {
        let client = Client::builder("ws://fleet/stream")
            .token(move || ready(Ok::<_, Infallible>(token.clone())))
            .dial_with(balancer.clone())
            .open_timeout(WITHIN)
            .handshake_timeout(WITHIN)
            .queue(16);
        self.join(client, ledger)
    }

    /// One more client, which may not be connected yet.
    ///
    /// # Errors
    /// If its settings cannot work.
    pub fn join(&mut self, client: Builder, ledger: &Ledger) -> anyhow::Result<()> {
        let (client, events) = client.connect()?;
        let person = Arc::<Mutex<Person>>::default();
        self.listening.spawn(listen(events, Arc::clone(&person), ledger.clone()));
        self.people.push(person);
        self.clients.push(client);
        Ok(())
    }

    pub fn len(&self) -> usize {
        self.people.len()
    }

    pub fn is_empty(&self) -> bool {
        self.people.is_empty()
    }

    /// How many there are of whom this holds.
    pub fn count(&self, holds: impl Fn(&Person) -> bool) -> usize {
        let look = |person: &Mutex<Person>| holds(&person.lock().unwrap_or_else(PoisonError::into_inner));
        self.people.iter().filter(|person| look(person)).count()
    }

    /// Whatever should not have happened to anybody.
    pub fn complaints(&self) -> Vec<String> {
        let of = |person: &Arc<Mutex<Person>>| person.lock().unwrap_or_else(PoisonError::into_inner).complaints.clone();
        self.people.iter().flat_map(of).collect()
    }
}

impl Person {
    /// Whether every number below is known.
    pub fn knows_all(&self, below: u64) -> bool {
        self.known.len() as u64 >= below && self.known.iter().take(below as usize).all(|known| *known)
    }

    fn learn(&mut self, number: u64) {
        let at = usize::try_from(number).expect("numbers count messages of one run");
        if self.known.len() <= at {
            self.known.resize(at + 1, false);
        }
        self.known[at] = true;
    }

    fn heard(&mut self, event: Event, ledger: &Ledger) {
        match event {
            Event::Connected(_) => {
                self.sessions += 1;
                self.last = None;
            }
            Event::Message(message) => match message.data::<Numbered>() {
                Ok(Numbered { number }) => {
                    if self.last.is_some_and(|last| last >= number) {
                        self.complaints.push(format!("{number} came after {:?}", self.last));
                    }
                    self.last = Some(number);
                    self.learn(number);
                }
                Err(error) => self.complaints.push(error.to_string()),
            },
            // This is what an application does: it reads the list again.
            Event::Resync { .. } => (0..ledger.len()).for_each(|number| self.learn(number)),
            Event::Disconnected { cause, .. } => self.ended.push(match cause {
                Disconnect::Draining => Ended::Draining,
                Disconnect::Closed(close) => Ended::Closed(close.code),
                _ => Ended::Otherwise,
            }),
            other => self.complaints.push(format!("{other:?}")),
        }
    }
}

async fn listen(mut events: Events, person: Arc<Mutex<Person>>, ledger: Ledger) {
    while let Some(event) = events.next().await {
        person.lock().unwrap_or_else(PoisonError::into_inner).heard(event, &ledger);
    }
}
