//! `signal-worker dead-letters`: its commands with the parts that they work on.

use std::{
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

use signal_service::{health::Health, shutdown::Shutdown};
use signal_wire::snowflake::Snowflakes;
use time::OffsetDateTime;
use tokio::time::timeout;

use super::{BACKPLANE, BROKERS, DATABASE, StartError, bus, complete, consume_settings, database};
use crate::{
    config::WorkerSettings,
    consume::range::Topic,
    dead_letters::{
        self,
        arguments::{DeadLettersCommand, RetryArguments, ShowArguments},
        list::list,
        retry::{Outcome, Retry},
        show::show,
    },
    persist::Persister,
    pipeline::{Occasion, Pipeline},
    publish::Publisher,
    resolve::Limits,
    selection::Selection,
    store::{Store, dry_run::DryRun, patient::Patient},
};

/// How long a retry tries at its end to tell those to read again who have missed pushes.
const LAST_PUSHES: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Command(#[from] dead_letters::CommandError),
}

/// Does what is asked for and writes to `out`. Returns whether all of it succeeded.
///
/// # Errors
/// If something is not set, or can't be reached.
pub async fn run(
    settings: &WorkerSettings,
    command: &DeadLettersCommand,
    out: &mut dyn Write,
) -> Result<bool, CommandError> {
    let mut needed = vec![(BROKERS, settings.pipeline.kafka_brokers.is_some())];
    if let DeadLettersCommand::Retry(arguments) = command {
        needed.push((DATABASE, settings.database.database_url.is_some()));
        needed.push((BACKPLANE, settings.backplane.is_set() || !arguments.pushes()));
    }
    complete(&needed)?;
    let consume = consume_settings(&settings.pipeline)?;
    let name = settings.pipeline.dead_letter_topic().map_err(StartError::from)?;
    let topic = Topic::open(&consume, &name).map_err(dead_letters::CommandError::from)?;
    let now = OffsetDateTime::now_utc();
    match command {
        DeadLettersCommand::List(arguments) => {
            shown(list(&topic, &arguments.which.selection(now), arguments.limit(), arguments.json, out).await)
        }
        &DeadLettersCommand::Show(ShowArguments { position, raw }) => shown(show(&topic, position, raw, out).await),
        DeadLettersCommand::Retry(arguments) => {
            let outcome = retry(settings, arguments, &topic, now, out).await?;
            Ok(outcome.is_success())
        }
    }
}

/// Whoever closes the output of something that is only shown, as `head` does, has seen enough.
fn shown(result: Result<(), dead_letters::CommandError>) -> Result<bool, CommandError> {
    match result {
        Err(dead_letters::CommandError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(true),
        result => Ok(result.map(|()| true)?),
    }
}

async fn retry(
    settings: &WorkerSettings,
    arguments: &RetryArguments,
    dead_letters: &Topic,
    now: OffsetDateTime,
    out: &mut dyn Write,
) -> Result<Outcome, CommandError> {
    let shutdown = Shutdown::new(settings.shutdown.shutdown_deadline);
    shutdown.on_signal().map_err(StartError::Signals)?;
    let (stop, health) = (shutdown.token(), Health::new());
    let database = database(settings)?;
    let patient = Arc::new(Patient::new(Arc::clone(&database) as _, health.component("database"), stop.clone()));
    let store: Arc<dyn Store> = if arguments.dry_run { Arc::new(DryRun::new(patient)) } else { patient };
    let publisher = if arguments.pushes() {
        Some(Arc::new(Publisher::new(bus(settings)?, health.component("backplane"))))
    } else {
        None
    };
    let consume = consume_settings(&settings.pipeline)?;
    let origin = Topic::open(&consume, &settings.pipeline.kafka_topic).map_err(dead_letters::CommandError::from)?;
    let pipeline = Pipeline {
        store,
        persister: Persister::new(Snowflakes::new(settings.pipeline.snowflake_worker_id).ok_or(StartError::WorkerId)?),
        publisher: publisher.clone(),
        domains: settings.pipeline.domains(),
        limits: Limits::DEFAULT,
        dead_letters: None,
        journal: Arc::default(),
        broker_id: None,
        selection: Selection::default(),
        occasion: Occasion::News,
    };
    let retry = Retry { dead_letters, origin: &origin, pipeline: &pipeline, stop: &stop };
    let outcome = retry.run(&arguments.selection(now), out).await?;
    writeln!(out, "{outcome}").map_err(dead_letters::CommandError::from)?;
    if arguments.dry_run {
        writeln!(out, "This is what would happen: nothing was written.").map_err(dead_letters::CommandError::from)?;
    }
    if let Some(publisher) = publisher
        && timeout(LAST_PUSHES, publisher.make_good()).await.is_err()
    {
        writeln!(out, "The rows are written, but pushes were missed: the backplane is away.")
            .map_err(dead_letters::CommandError::from)?;
    }
    database.close().await;
    Ok(outcome)
}
