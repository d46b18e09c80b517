//! One session from `connected` to its end.

use std::{collections::VecDeque, time::Duration};

use serde::Deserialize;
use signal_wire::{close::CloseCode, message::event, refresh::Refreshed};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until, timeout};

use super::{
    Driver, Over,
    renewal::{Failure, Renewal, Step},
};
use crate::{
    client::State,
    disconnect::Disconnect,
    event::{Event, Problem},
    message::Message,
    rooms::{self, Rooms},
    session::{Connected, FrameProblem, Received, Session, WriteError, Writer, error_text},
};

/// A socket that takes nothing for so long carries nothing any more.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// For the last word, which nothing depends on.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

struct Live<'a> {
    driver: &'a mut Driver,
    writer: Writer,
    /// What the application is to be told, in order. While there is any, the socket is not read.
    queue: VecDeque<Event>,
    /// The rooms that this edge was told of.
    told: Rooms,
    heartbeat: Interval,
    /// When an answer to the last ping is overdue.
    pong_due: Option<Instant>,
    /// When to leave an edge that is draining.
    leave_at: Option<Instant>,
    renewal: Renewal,
}

pub(super) async fn run(driver: &mut Driver, session: Session) -> Over {
    let connected = session.connected().clone();
    let (mut reader, writer) = session.into_split();
    let mut live = Live::new(driver, writer, connected);
    let (stop, events) = (live.driver.link.stop.clone(), live.driver.link.events.clone());
    let over = loop {
        let idle = live.queue.is_empty();
        let step = tokio::select! {
            () = stop.cancelled() => break Over::Stopped,
            permit = events.reserve(), if !idle => match (permit, live.queue.pop_front()) {
                (Ok(permit), Some(event)) => {
                    permit.send(event);
                    live.resume();
                    Ok(())
                }
                // Nobody listens: the guard in `Events` has stopped or is about to stop us.
                (Err(_), _) => break Over::Stopped,
                (Ok(_), None) => Ok(()),
            },
            received = reader.receive(), if idle => live.received(received),
            Ok(()) = live.driver.link.rooms.changed() => live.tell_rooms().await,
            Some(message) = live.driver.link.outgoing.recv() => live.send(&message).await,
            step = live.renewal.next() => live.renew(step).await,
            Some(waiting) = live.driver.link.refreshes.recv(), if live.renewal.has_room() => {
                live.renewal.want(waiting);
                Ok(())
            }
            _ = live.heartbeat.tick() => live.beat().await,
            () = until(live.pong_due), if idle => Err(Disconnect::Silent(live.driver.settings.pong_timeout)),
            () = until(live.leave_at) => Err(Disconnect::Draining),
        };
        if let Err(cause) = step {
            break Over::Lost(cause);
        }
    };
    live.end(&over).await;
    over
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

impl<'a> Live<'a> {
    fn new(driver: &'a mut Driver, writer: Writer, connected: Connected) -> Self {
        let now = Instant::now();
        driver.retry.connected(now);
        // What was meant for the connection before is not for this one.
        while driver.link.outgoing.try_recv().is_ok() {}
        while driver.link.refreshes.try_recv().is_ok() {}
        let token = driver.token.clone().expect("a session is opened with a token");
        let renewal = Renewal::new(driver.provider.clone(), token, &connected.time);
        // The first turn tells the edge the rooms.
        driver.link.rooms.mark_changed();
        driver.link.state.send_replace(State::Connected);
        let mut queue = VecDeque::from([Event::Connected(connected)]);
        if std::mem::replace(&mut driver.was_connected, true) {
            queue.push_back(Event::Resync { reason: "reconnected".to_owned() });
        }
        let every = driver.settings.heartbeat;
        let mut heartbeat = interval_at(now + every, every);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { driver, writer, queue, told: Rooms::new(), heartbeat, pong_due: None, leave_at: None, renewal }
    }

    /// While the application was slow nothing was read, so nothing can be said about the edge's silence.
    fn resume(&mut self) {
        if self.queue.is_empty() && self.pong_due.is_some() {
            self.pong_due = Some(Instant::now() + self.driver.settings.pong_timeout);
        }
    }

    fn received(&mut self, received: Result<Received, Disconnect>) -> Result<(), Disconnect> {
        let received = received?;
        self.pong_due = None;
        match received {
            Received::Alive => {}
            Received::Message(message) => self.message(message),
            Received::Problem(problem) => self.problem(problem),
        }
        Ok(())
    }

    fn message(&mut self, message: Message) {
        match message.event() {
            event::ERROR => {
                let text = error_text(message.raw_data().map(|data| data.get())).unwrap_or_default();
                match self.renewal.refused(&text) {
                    Some(failure) => self.not_refreshed(failure),
                    None => self.queue.push_back(Event::Error(Problem::Edge(text))),
                }
            }
            event::REFRESHED => match message.data::<Refreshed>() {
                Ok(refreshed) => {
                    if let Some(token) = self.renewal.refreshed(refreshed) {
                        self.driver.token = Some(token);
                    }
                    self.queue.push_back(Event::Refreshed(refreshed));
                }
                Err(_) => self.problem(FrameProblem::Malformed),
            },
            event::RESYNC => {
                #[derive(Default, Deserialize)]
                struct Data {
                    #[serde(default)]
                    reason: String,
                }
                let Data { reason } = message.data().unwrap_or_default();
                self.queue.push_back(Event::Resync { reason });
            }
            event::RECONNECT => {
                #[derive(Deserialize)]
                #[serde(rename_all = "camelCase")]
                struct Data {
                    after_ms: u64,
                }
                match message.data() {
                    // Waiting for the edge's close instead would bring everybody back at the same moment.
                    Ok(Data { after_ms }) => {
                        let after = Duration::from_millis(after_ms);
                        self.leave_at = Some(self.driver.retry.announced(Instant::now(), after));
                    }
                    Err(_) => self.problem(FrameProblem::Malformed),
                }
            }
            event::CONNECTED | event::ENCRYPTED => self.problem(FrameProblem::Malformed),
            _ if self.driver.seen.is_new(&message) => self.queue.push_back(Event::Message(message)),
            _ => {}
        }
    }

    fn problem(&mut self, problem: FrameProblem) {
        self.queue.push_back(Event::Error(problem.into()));
        // A push that does not open is a push that was missed.
        if problem == FrameProblem::DoesNotOpen {
            self.queue.push_back(Event::Resync { reason: "undecryptable".to_owned() });
        }
    }

    async fn tell_rooms(&mut self) -> Result<(), Disconnect> {
        let wanted = self.driver.link.rooms.borrow_and_update().clone();
        for message in rooms::difference(&self.told, &wanted) {
            self.send(&message).await?;
        }
        self.told = wanted;
        Ok(())
    }

    async fn renew(&mut self, step: Step) -> Result<(), Disconnect> {
        match step {
            Step::Offer(message) => self.send(&message).await,
            Step::Failed(failure) => {
                self.not_refreshed(failure);
                Ok(())
            }
        }
    }

    fn not_refreshed(&mut self, failure: Failure) {
        self.queue.extend(failure.map(|error| Event::Error(Problem::Refresh(error))));
    }

    async fn beat(&mut self) -> Result<(), Disconnect> {
        let heartbeat = signal_wire::message::compose(event::HEARTBEAT, None);
        self.send(&heartbeat).await?;
        // The heartbeat has no answer; a ping has.
        written(self.writer.ping()).await?;
        if self.pong_due.is_none() {
            self.pong_due = Some(Instant::now() + self.driver.settings.pong_timeout);
        }
        Ok(())
    }

    async fn send(&mut self, message: &[u8]) -> Result<(), Disconnect> {
        written(self.writer.send_plaintext(message)).await
    }

    async fn end(&mut self, over: &Over) {
        let goodbye = async {
            match over {
                Over::Lost(Disconnect::Closed(_)) => self.writer.flush().await,
                Over::Lost(Disconnect::Broken(_)) => {}
                Over::Lost(Disconnect::Violation(_)) => {
                    drop(self.writer.close_with(CloseCode::ProtocolViolation).await);
                }
                // Whether the edge still hears it changes nothing.
                Over::Lost(_) | Over::Stopped => drop(self.writer.close().await),
            }
        };
        let _ = timeout(GOODBYE_TIMEOUT, goodbye).await;
    }
}

async fn written(write: impl Future<Output = Result<(), WriteError>>) -> Result<(), Disconnect> {
    match timeout(WRITE_TIMEOUT, write).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Disconnect::Broken(error.to_string())),
        Err(_) => Err(Disconnect::Silent(WRITE_TIMEOUT)),
    }
}
