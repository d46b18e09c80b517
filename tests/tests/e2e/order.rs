//! Messages to one person arrive in the order in which they were published.

use serde_json::json;
use signal_harness::{PubSub, require};

use crate::platform::{Backplane, publish};

#[tokio::test]
async fn five_hundred_messages_to_one_person_arrive_in_order() {
    require!(PubSub);
    let backplane = Backplane::up().await;
    let windows = [backplane.window("an").await, backplane.window("an").await];
    let other = backplane.window("binh").await;

    let message = |number: u32| {
        // Sizes differ, so that whoever seals or writes concurrently is found out.
        let padding = "x".repeat((number as usize * 37) % 3000);
        let envelope = json!({ "serverId": "emitter", "type": "user", "target": "an", "event": "numbered",
                               "data": { "number": number, "padding": padding } });
        ("ws:user:an".to_owned(), envelope.to_string().into_bytes())
    };
    let messages: Vec<_> = (0..500).map(message).collect();
    publish(&backplane.pubsub, &messages).await;

    for window in &windows {
        let numbers: Vec<u64> =
            window.wait_for("numbered", 500).await.iter().map(|data| data["number"].as_u64().unwrap()).collect();
        assert_eq!(numbers, (0..500).collect::<Vec<u64>>());
    }
    assert_eq!(other.data_of("numbered").len(), 0);
}
