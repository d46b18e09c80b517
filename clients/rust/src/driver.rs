//! The background task: connects, stays, comes back.

mod live;
mod renewal;

use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{
    builder::Settings,
    client::State,
    disconnect::Disconnect,
    event::{Closed, Event},
    refresh::Waiting,
    retry::{Plan, Retry},
    rooms::Rooms,
    seen::Seen,
    session::{Endpoint, Session},
    token::{Token, TokenProvider},
};

/// The task's ends of what it shares with the application.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) rooms: watch::Receiver<Rooms>,
    pub(crate) outgoing: mpsc::Receiver<Vec<u8>>,
    pub(crate) refreshes: mpsc::Receiver<Waiting>,
    pub(crate) state: watch::Sender<State>,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) stop: CancellationToken,
}

#[derive(Debug)]
pub(crate) struct Driver {
    endpoint: Endpoint,
    provider: TokenProvider,
    settings: Settings,
    link: Link,
    retry: Retry,
    seen: Seen,
    /// The token that was presented last, or taken since.
    token: Option<Token>,
    was_connected: bool,
}

/// How a session ended.
#[derive(Debug)]
enum Over {
    Lost(Disconnect),
    Stopped,
}

impl Driver {
    pub(crate) fn new(endpoint: Endpoint, provider: TokenProvider, settings: Settings, link: Link) -> Self {
        let retry = Retry::new(settings.backoff, settings.stable_after);
        let seen = Seen::default();
        Self { endpoint, provider, settings, link, retry, seen, token: None, was_connected: false }
    }

    pub(crate) async fn run(mut self) {
        let closed = self.heal().await;
        self.link.state.send_replace(State::Closed);
        tracing::debug!(cause = %closed, "closed");
        // An application that does not listen any more does not want to know.
        let _ = self.link.events.send(Event::Closed(closed)).await;
    }

    /// Returns once there is to be no connection any more.
    async fn heal(&mut self) -> Closed {
        let stop = self.link.stop.clone();
        loop {
            self.link.state.send_replace(State::Connecting);
            let cause = match stop.run_until_cancelled(self.open()).await {
                None => return Closed::Requested,
                Some(Err(cause)) => cause,
                Some(Ok(session)) => match live::run(self, session).await {
                    Over::Lost(cause) => cause,
                    Over::Stopped => return Closed::Requested,
                },
            };
            let Plan::Wait(retry_in) = self.retry.after(&cause, Instant::now(), random()) else {
                return Closed::Final(cause);
            };
            self.link.state.send_replace(State::Waiting);
            tracing::debug!(%cause, retry_in_ms = retry_in.as_millis(), "disconnected");
            let retry_at = Instant::now() + retry_in;
            let wait = async {
                // The wait for an application that is slow to listen counts.
                let _ = self.link.events.send(Event::Disconnected { cause, retry_in }).await;
                sleep_until(retry_at).await;
            };
            if stop.run_until_cancelled(wait).await.is_none() {
                return Closed::Requested;
            }
        }
    }

    async fn open(&mut self) -> Result<Session, Disconnect> {
        let token = self.provider.ask().await.map_err(Disconnect::Token)?;
        if !self.retry.may_present(self.token.as_ref() == Some(&token)) {
            return Err(Disconnect::RefusedToken);
        }
        let token = self.token.insert(token);
        Ok(Session::open(&self.endpoint, token.expose()).await?)
    }
}

/// Spreads what many clients do; nothing secret depends on it.
fn random() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX / 2)
}
