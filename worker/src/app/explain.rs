//! The wiring of `signal-worker explain`: what it looks at.

use std::sync::Arc;

use super::{BROKERS, DATABASE, StartError, bus, consume_settings, database};
use crate::{
    config::{ExplainArgs, WorkerSettings},
    consume::range::Topic,
    explain::{Facts, Question, Sources, explain as look},
};

/// `signal-worker explain`. Without a backplane nothing is said of pushes.
pub async fn explain(settings: &WorkerSettings, args: &ExplainArgs) -> Result<Facts, StartError> {
    super::complete(&[
        (BROKERS, settings.pipeline.kafka_brokers.is_some()),
        (DATABASE, settings.database.database_url.is_some()),
    ])?;
    let consume = consume_settings(&settings.pipeline)?;
    let database = database(settings)?;
    let sources = Sources {
        topic: Topic::open(&consume, &consume.topic)?,
        dead_letters: Topic::open(&consume, &settings.pipeline.dead_letter_topic()?)?,
        group: consume.group.clone(),
        database: Arc::clone(&database),
        domains: settings.pipeline.domains(),
        bus: settings.backplane.is_set().then(|| bus(settings)).transpose()?,
    };
    let question = Question { event: args.event.clone(), from: args.from, limit: args.limit };
    let facts = look(&question, &sources).await;
    database.close().await;
    Ok(facts?)
}
