//! People with open windows: SDK clients that read the list again when they are told to, and what each of them knows.

use std::{
    collections::HashMap,
    convert::Infallible,
    future::ready,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, ensure};
use signal_client::{Client, Event, Events, Notification};
use signal_harness::Issuer;
use tokio::{task::JoinSet, time::timeout};

use super::{list::List, plan::Plan};
use crate::balancer::Balancer;

const WITHIN: Duration = Duration::from_secs(60);

/// Ends with the value.
#[derive(Debug)]
pub struct People {
    windows: Vec<Arc<Mutex<Window>>>,
    _clients: Vec<Client>,
    _listening: JoinSet<()>,
}

/// One client, and what it has been told.
#[derive(Debug, Default)]
pub struct Window {
    pub user: String,
    /// The notification of each event.
    pub known: HashMap<String, String>,
    /// Of these, how many were pushed before the list had them.
    pub pushed: usize,
    pub sessions: usize,
    pub resyncs: usize,
    /// What should not have happened.
    pub complaints: Vec<String>,
    /// The last event that was new in this session, of each key.
    last: HashMap<String, usize>,
}

impl People {
    /// One client of each user, connected. Users may come twice: a person with two windows.
    ///
    /// # Errors
    /// If one of them is not let in.
    pub async fn gather(
        users: &[String],
        balancer: &Balancer,
        issuer: &Issuer,
        list: &List,
        plan: &Arc<Plan>,
    ) -> anyhow::Result<Self> {
        let (mut windows, mut clients, mut listening) = (Vec::new(), Vec::new(), JoinSet::new());
        for user in users {
            let token = issuer.token(user);
            let to_read = token.clone();
            let (client, events) = Client::builder("ws://fleet/stream")
                .dial_with(balancer.clone())
                .token(move || ready(Ok::<_, Infallible>(token.clone())))
                .open_timeout(WITHIN)
                .handshake_timeout(WITHIN)
                .connect()?;
            let window = Arc::new(Mutex::new(Window { user: user.clone(), ..Window::default() }));
            listening.spawn(listen(events, Arc::clone(&window), list.clone(), to_read, Arc::clone(plan)));
            windows.push(window);
            clients.push(client);
        }
        for client in &clients {
            let ready = timeout(WITHIN, client.ready()).await;
            ensure!(ready.with_context(|| format!("no connection within {WITHIN:?}"))?, "a client was refused");
        }
        Ok(Self { windows, _clients: clients, _listening: listening })
    }

    pub fn len(&self) -> usize {
        self.windows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.windows.is_empty()
    }

    /// One answer of each.
    pub fn ask<T>(&self, question: impl Fn(&Window) -> T) -> Vec<T> {
        self.windows.iter().map(|window| question(&window.lock().unwrap_or_else(PoisonError::into_inner))).collect()
    }
}

async fn listen(mut events: Events, window: Arc<Mutex<Window>>, list: List, token: String, plan: Arc<Plan>) {
    let with = |act: &mut dyn FnMut(&mut Window)| act(&mut window.lock().unwrap_or_else(PoisonError::into_inner));
    while let Some(event) = events.next().await {
        let read_again = matches!(event, Event::Connected(_) | Event::Resync { .. });
        with(&mut |window| window.heard(&event, &plan));
        if read_again {
            // This is what an application does; pushes wait meanwhile, and come behind what the list had.
            let rows = list.read(&token).await;
            with(&mut |window| {
                for row in &rows {
                    window.learn(&row.event_id, &row.id);
                }
            });
        }
    }
}

impl Window {
    fn heard(&mut self, event: &Event, plan: &Plan) {
        match event {
            Event::Connected(_) => {
                self.sessions += 1;
                self.last.clear();
            }
            Event::Resync { .. } => {
                self.resyncs += 1;
                // What was missed is made good by the list, in whatever order.
                self.last.clear();
            }
            Event::Message(message) => match message.notification() {
                Some(Ok(notification)) => self.pushed(&notification, plan),
                Some(Err(error)) => self.complaints.push(format!("a notification that is none: {error}")),
                None => {}
            },
            Event::Error(problem) => self.complaints.push(problem.to_string()),
            Event::Closed(closed) => self.complaints.push(closed.to_string()),
            // It comes back by itself.
            _ => {}
        }
    }

    fn pushed(&mut self, notification: &Notification, plan: &Plan) {
        let Notification { id, event_id, recipient_id, .. } = notification;
        if *recipient_id != self.user {
            self.complaints.push(format!("{event_id} is {recipient_id}'s"));
        }
        if !self.learn(event_id, id) {
            return;
        }
        self.pushed += 1;
        let Some((key, number)) = plan.order.get(event_id) else {
            return self.complaints.push(format!("nobody produced {event_id}"));
        };
        if let Some(last) = self.last.insert(key.clone(), *number).filter(|last| last > number) {
            self.complaints.push(format!("of {key}, {number} came after {last}"));
        }
    }

    /// Whether it is news. What was there already must be the same.
    fn learn(&mut self, event: &str, id: &str) -> bool {
        let before = self.known.insert(event.to_owned(), id.to_owned());
        if let Some(other) = before.as_deref().filter(|before| *before != id) {
            self.complaints.push(format!("{event} is {other}, and {id} as well"));
        }
        before.is_none()
    }
}
