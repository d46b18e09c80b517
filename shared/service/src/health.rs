//! Is the process alive, and is all there that it needs to do its work?
//!
//! Live means that the process answers. Ready means that every registered [`Component`]
//! is up; one that has never reported is down, so nothing is ready before it said so.
//! Serving means that all is up which requests need: work in the background may lack something
//! while requests are answered, and whoever leads requests here asks for this.

pub mod probe;

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, Router, extract::State, routing::get};
use http::StatusCode;
use parking_lot::RwLock;
use serde::Serialize;
use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::sync::Notify;

/// The components of one process. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Health {
    components: Arc<RwLock<BTreeMap<&'static str, Status>>>,
    changed: Arc<Notify>,
}

/// What is known about one component, as `/health/ready` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    pub up: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it last went up or down, RFC 3339.
    pub since: String,
    /// Whether no request needs it.
    #[serde(skip)]
    background: bool,
    /// False until the first report, which is always news.
    #[serde(skip)]
    reported: bool,
}

/// The right to report on one component.
#[derive(Debug, Clone)]
pub struct Component {
    name: &'static str,
    health: Health,
}

impl Health {
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a component, which is down until it reports otherwise.
    pub fn component(&self, name: &'static str) -> Component {
        self.register(name, false)
    }

    /// As [`Health::component`], of one that work in the background needs and no request does.
    pub fn background(&self, name: &'static str) -> Component {
        self.register(name, true)
    }

    fn register(&self, name: &'static str, background: bool) -> Component {
        self.components.write().entry(name).or_insert_with(Status::starting).background = background;
        Component { name, health: self.clone() }
    }

    pub fn is_ready(&self) -> bool {
        all_up(&self.components.read(), |_| true)
    }

    pub fn is_serving(&self) -> bool {
        all_up(&self.components.read(), |status| !status.background)
    }

    /// Returns once every component is up.
    pub async fn wait_until_ready(&self) {
        loop {
            let changed = self.changed.notified();
            let mut changed = std::pin::pin!(changed);
            // Registered before looking, so that a change in between is not missed.
            changed.as_mut().enable();
            if self.is_ready() {
                return;
            }
            changed.await;
        }
    }

    /// One component's status, if it is registered.
    pub fn status(&self, name: &str) -> Option<Status> {
        self.components.read().get(name).cloned()
    }

    /// `/health/live`, always 200, and `/health/ready` and `/health/serving`, 200 or 503.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/health/live", get(|| async { Json(json!({ "status": "live" })) }))
            .route("/health/ready", get(ready))
            .route("/health/serving", get(serving))
            .with_state(self.clone())
    }
}

impl Status {
    fn starting() -> Self {
        Self { up: false, reason: Some("starting".to_owned()), since: now(), background: false, reported: false }
    }
}

impl Component {
    pub fn up(&self) {
        self.report(None);
    }

    /// `reason` is for people: what is missing, and if known what to do.
    pub fn down(&self, reason: impl Into<String>) {
        self.report(Some(reason.into()));
    }

    pub fn is_up(&self) -> bool {
        self.health.status(self.name).is_some_and(|status| status.up)
    }

    /// Logs what is news.
    fn report(&self, reason: Option<String>) {
        let component = self.name;
        metrics::gauge!("signal_component_up", "component" => component).set(f64::from(u8::from(reason.is_none())));
        match (self.is_news(reason.clone()), reason) {
            (false, _) => {}
            (true, None) => tracing::info!(component, "component is up"),
            (true, Some(reason)) => tracing::warn!(component, reason, "component is down"),
        }
    }

    /// Keeps the report; the same state again, or another reason for the same outage, is no news.
    fn is_news(&self, reason: Option<String>) -> bool {
        let up = reason.is_none();
        let mut components = self.health.components.write();
        let status = components.entry(self.name).or_insert_with(Status::starting);
        let changed = status.up != up || !status.reported;
        let since = if changed { now() } else { std::mem::take(&mut status.since) };
        *status = Status { up, reason, since, background: status.background, reported: true };
        drop(components);
        if changed {
            self.health.changed.notify_waiters();
        }
        changed
    }
}

/// A process that has registered nothing yet has only begun to start.
fn all_up(components: &BTreeMap<&'static str, Status>, counts: impl Fn(&Status) -> bool) -> bool {
    !components.is_empty() && components.values().filter(|status| counts(status)).all(|status| status.up)
}

async fn ready(State(health): State<Health>) -> (StatusCode, Json<serde_json::Value>) {
    answer(&health, if health.is_ready() { Ok("ready") } else { Err("not_ready") })
}

async fn serving(State(health): State<Health>) -> (StatusCode, Json<serde_json::Value>) {
    answer(&health, if health.is_serving() { Ok("serving") } else { Err("not_serving") })
}

fn answer(health: &Health, status: Result<&str, &str>) -> (StatusCode, Json<serde_json::Value>) {
    let code = if status.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let status = status.unwrap_or_else(|status| status);
    (code, Json(json!({ "status": status, "components": *health.components.read() })))
}

fn now() -> String {
    OffsetDateTime::now_utc().format(&Rfc3339).expect("a year of four digits has an RFC 3339 form")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn going_up_and_going_down_are_news_and_another_reason_is_not() {
        let component = Health::new().component("kafka");
        for (reason, news) in [
            (Some("refused"), true),
            (Some("refused"), false),
            (Some("timed out"), false),
            (None, true),
            (None, false),
            (Some("refused"), true),
        ] {
            assert_eq!(component.is_news(reason.map(str::to_owned)), news, "{reason:?}");
        }
        assert!(Health::new().component("first").is_news(None), "the first report always is");
    }

    #[test]
    fn since_is_when_it_changed_and_the_reason_is_the_latest() {
        let health = Health::new();
        let component = health.component("kafka");
        component.down("refused");
        let first = health.status("kafka").unwrap();
        component.down("timed out");
        let second = health.status("kafka").unwrap();
        assert_eq!((first.since, second.reason.as_deref()), (second.since, Some("timed out")));
    }

    #[tokio::test]
    async fn waiting_ends_when_the_last_component_is_up() {
        let health = Health::new();
        let (one, two) = (health.component("one"), health.component("two"));
        let waits = health.clone();
        let waiting = tokio::spawn(async move { waits.wait_until_ready().await });
        one.up();
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        two.up();
        waiting.await.unwrap();
    }
}
