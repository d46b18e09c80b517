//! A rolling deploy under load, as Kubernetes makes it: nothing lost, nothing doubled, nobody rushed.
//!
//! The engine is in `tests/src/rollout`; `make soak` plays it with the times of a production deployment.

use signal_harness::{Kafka, Kcat, Postgres, PubSub, require};
use signal_tests::{
    rollout::{Scale, play::play},
    stream::random::Random,
};

use crate::crowd::alone;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_edges_and_two_workers_become_another_version_and_back_and_nobody_misses_anything() {
    require!(Postgres, PubSub, Kafka, Kcat);
    let _turn = alone().await;
    let (postgres, kafka) = tokio::join!(Postgres::shared(), Kafka::shared());
    let seed = Random::seed();
    println!("seed {seed}");
    println!("rollout: {}", play(postgres, kafka, Scale::QUICK, seed).await.unwrap());
}
