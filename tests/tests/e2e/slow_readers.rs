//! Clients that stop reading are sent away, and nobody else notices.

use signal_harness::{PubSub, require};
use signal_tests::faults::{Size, slow_readers};

use crate::crowd::alone;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_clients_that_stop_reading_are_closed_and_leave_nothing_behind() {
    require!(PubSub);
    let _turn = alone().await;
    let found = slow_readers::play(Size::QUICK).await.unwrap();
    println!("slow readers: {}", found.join("; "));
}
