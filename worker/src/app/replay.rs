//! The wiring of `signal-worker replay`: the worker's parts, but for the group, and only those that it will need.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal, Write as _},
    sync::Arc,
};

use signal_service::{health::Health, shutdown::Shutdown, telemetry};
use signal_wire::{snowflake::Snowflakes, timestamp};
use tokio_util::sync::CancellationToken;

use super::{BACKPLANE, BROKERS, DATABASE, StartError, bus, consume_settings};
use crate::{
    config::WorkerSettings,
    consume::range::Topic,
    persist::Persister,
    pipeline::{Occasion, Pipeline},
    publish::Publisher,
    replay::{Display, Parts, ReplaySettings, Report, replay as run},
    resolve::Limits,
    store::{Draft, NewRow, Store, StoreError, dry_run::DryRun, patient::Patient},
};

/// What came of it, and the number of the signal that ended it before its end.
#[derive(Debug)]
pub struct Replayed {
    pub report: Report,
    pub signal: Option<i32>,
}

/// `signal-worker replay`: to the end of the range or until a signal.
pub async fn replay(settings: &WorkerSettings, asked: &ReplaySettings) -> Result<Replayed, StartError> {
    let mut needed = vec![
        (BROKERS, settings.pipeline.kafka_brokers.is_some()),
        (DATABASE, settings.database.database_url.is_some()),
    ];
    if asked.pushes() {
        needed.push((BACKPLANE, settings.backplane.is_set()));
    }
    super::complete(&needed)?;
    let shutdown = Shutdown::new(settings.shutdown.shutdown_deadline);
    shutdown.on_signal().map_err(StartError::Signals)?;
    let (health, stop) = (Health::new(), shutdown.token());
    let topic = Topic::open(&consume_settings(&settings.pipeline)?, &settings.pipeline.kafka_topic)?;
    let store: Arc<dyn Store> = super::database(settings)?;
    let database = health.component("database");
    match store.ping().await {
        Ok(()) => database.up(),
        // What is away is waited for; tables that are missing will not come.
        Err(error @ (StoreError::Schema(_) | StoreError::Unfit(_))) => return Err(StartError::Schema(error)),
        Err(error) => database.down(error.to_string()),
    }
    let pipeline = pipeline(settings, asked, &store, &health, &stop)?;
    let parts = Parts { topic, pipeline, health, display: display(asked), stop };
    let report = run(&parts, asked).await?;
    store.close().await;
    Ok(Replayed { report, signal: shutdown.signal() })
}

fn pipeline(
    settings: &WorkerSettings,
    asked: &ReplaySettings,
    store: &Arc<dyn Store>,
    health: &Health,
    stop: &CancellationToken,
) -> Result<Pipeline, StartError> {
    let ids = Snowflakes::new(settings.pipeline.snowflake_worker_id).ok_or(StartError::WorkerId)?;
    let patient = Patient::new(Arc::clone(store), health.component("database"), stop.clone());
    let store: Arc<dyn Store> = match (asked.dry_run, asked.list) {
        (false, _) => Arc::new(patient),
        (true, false) => Arc::new(DryRun::new(Arc::new(patient))),
        (true, true) => {
            let (json, stop) = (asked.json, stop.clone());
            // Whoever read the list is gone.
            let list = move |draft: &Draft, row: &NewRow| list(draft, row, json).unwrap_or_else(|_| stop.cancel());
            Arc::new(DryRun::telling(Arc::new(patient), list))
        }
    };
    let publisher = if asked.pushes() {
        Some(Arc::new(Publisher::new(bus(settings)?, health.component("backplane"))))
    } else {
        None
    };
    Ok(Pipeline {
        store,
        persister: Persister::new(ids),
        publisher,
        domains: settings.pipeline.domains(),
        limits: Limits::DEFAULT,
        journal: Arc::default(),
        // They are there already: the live worker has set them aside.
        dead_letters: None,
        broker_id: None,
        selection: asked.selection(),
        occasion: Occasion::History,
    })
}

fn display(asked: &ReplaySettings) -> Display {
    match (asked.quiet, io::stderr().is_terminal()) {
        (true, _) => Display::Nothing,
        (false, true) => Display::Bar,
        (false, false) => Display::Log,
    }
}

/// A line on standard output.
fn list(draft: &Draft, row: &NewRow, json: bool) -> io::Result<()> {
    let mut line = if json { as_json(draft, row) } else { as_text(draft, row) };
    line.push('\n');
    let mut written = Ok(());
    telemetry::beside(&mut || written = io::stdout().write_all(line.as_bytes()));
    written
}

fn as_json(draft: &Draft, row: &NewRow) -> String {
    let object = serde_json::json!({
        "eventId": draft.event_id, "type": draft.kind, "recipientId": row.recipient_id,
        "createdAt": timestamp::format(row.created_at),
    });
    object.to_string()
}

fn as_text(draft: &Draft, row: &NewRow) -> String {
    let mut line = String::new();
    for text in [&draft.event_id, &draft.kind, &row.recipient_id] {
        for letter in text.chars() {
            // Ids are whatever producers wrote: a tab would be another column, an escape sequence a command.
            if letter.is_control() {
                let _ = write!(line, "{}", letter.escape_default());
            } else {
                line.push(letter);
            }
        }
        line.push('\t');
    }
    line + &timestamp::format(row.created_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listed_row_is_one_line_whatever_its_ids() {
        let draft = Draft {
            event_id: "evt\t1\u{1b}[2J\n".to_owned(),
            kind: "PAYMENT_SUCCESS".to_owned(),
            organizer_id: None,
            merchant_id: None,
            title: String::new(),
            content: String::new(),
            metadata: serde_json::Map::new(),
        };
        let created_at = timestamp::parse("2026-11-23T08:51:04.867Z").unwrap();
        let row = NewRow { id: "x".to_owned(), draft: 0, recipient_id: "bình".to_owned(), created_at };
        assert_eq!(as_text(&draft, &row), "evt\\t1\\u{1b}[2J\\n\tPAYMENT_SUCCESS\tbình\t2026-11-23T08:51:04.867Z");
        let json: serde_json::Value = serde_json::from_str(&as_json(&draft, &row)).unwrap();
        assert_eq!((&json["eventId"], &json["recipientId"]), (&draft.event_id.into(), &"bình".into()));
    }
}
