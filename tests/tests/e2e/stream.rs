//! What was accepted is never lost, never doubled and never kept from anybody, whatever dies meanwhile.
//!
//! The engine is in `tests/src/stream`; `make soak` runs the same at full size. The seed is printed: with it
//! `cargo run -p signal-tests --bin soak -- --quick --seed SEED` makes the same stream and the same choices.

use signal_harness::{Kafka, Kcat, Postgres, PubSub, require};
use signal_tests::stream::{Scale, crowd, faults, random::Random, run::Run, stage::Stage};

/// What a worker may take, whatever waits.
const MEMORY_MIB: u64 = 150;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_killed_twenty_times_loses_and_doubles_nothing() {
    require!(Postgres, PubSub, Kafka, Kcat);
    let (postgres, kafka) = tokio::join!(Postgres::shared(), Kafka::shared());
    let stage = Stage::set(postgres, kafka, Scale::QUICK).await.unwrap();
    let mut run = Run::begin(&stage, seed()).await.unwrap();
    let done = faults::kills(&mut run).await.unwrap();
    println!("{}: {}", done.what, run.finish().await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kafka_postgres_and_the_backplane_may_go_and_come_back_in_any_order() {
    require!(Postgres, PubSub, Kafka, Kcat);
    let (postgres, kafka) = tokio::join!(Postgres::launch(), Kafka::launch());
    let stage = Stage::set(&postgres, &kafka, Scale::QUICK).await.unwrap();
    let mut run = Run::begin(&stage, seed()).await.unwrap();
    let done = faults::outages(&mut run).await.unwrap();
    println!("{}: {}", done.what, run.finish().await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_then_four_then_one_share_the_stream_and_one_worker_id() {
    require!(Postgres, PubSub, Kafka, Kcat);
    let (postgres, kafka) = tokio::join!(Postgres::shared(), Kafka::shared());
    let stage = Stage::set(postgres, kafka, Scale::QUICK).await.unwrap();
    let mut run = Run::begin(&stage, seed()).await.unwrap();
    let done = faults::comings_and_goings(&mut run).await.unwrap();
    println!("{}: {}", done.what, run.finish().await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_recipients_and_a_backlog_leave_memory_where_it_is() {
    require!(Postgres, PubSub, Kafka, Kcat);
    let (postgres, kafka) = tokio::join!(Postgres::shared(), Kafka::shared());
    let stage = Stage::set(postgres, kafka, Scale::QUICK).await.unwrap();
    let measured = crowd::measure(&stage).await.unwrap();
    println!("crowd: {measured}");
    measured.check(MEMORY_MIB).unwrap();
}

fn seed() -> u64 {
    let seed = Random::seed();
    println!("seed {seed}");
    seed
}
