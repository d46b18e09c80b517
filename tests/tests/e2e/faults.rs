//! Small versions of what `make soak` plays at full size: bad networks, and what nobody should say.

use signal_harness::{Kafka, Kcat, Network, Postgres, PubSub, require};
use signal_tests::faults::{Size, backplane, malformed, silence};

const SIZE: Size = Size::QUICK;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_that_is_out_of_reach_of_the_backplane_notices_and_the_other_does_not() {
    require!(PubSub);
    println!("backplane: {}", backplane::play(SIZE).await.unwrap().join("; "));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_router_that_drops_packets_is_noticed() {
    require!(PubSub, Network);
    println!("silence: {}", silence::play(SIZE).await.unwrap().join("; "));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_malformed_is_counted_once() {
    require!(Postgres, PubSub, Kafka, Kcat);
    let (postgres, kafka) = tokio::join!(Postgres::shared(), Kafka::shared());
    println!("malformed: {}", malformed::play(SIZE, postgres, kafka).await.unwrap().join("; "));
}
