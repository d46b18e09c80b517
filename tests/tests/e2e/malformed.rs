//! Malformed records and envelopes are counted and disturb nothing.

use serde_json::json;
use signal_harness::{Kafka, Kcat, Postgres, PubSub, Record, eventually, require};
use signal_tests::malformed;

use crate::platform::{Backplane, Platform, SOON, publish};

const REJECTED_RECORDS: &str = "signal_worker_records_rejected_total";
const REFUSED_ENVELOPES: &str = "signal_edge_bus_refused_total";

#[tokio::test]
async fn malformed_records_are_counted_and_the_next_good_one_arrives() {
    require!(Postgres, PubSub, Kafka, Kcat);
    let platform = Platform::up().await;
    platform.merchant("mer-1", &["an"]).await;
    let window = platform.window("an").await;
    let records = malformed::records::all();
    assert!(records.len() >= 30);

    for (index, (kind, value)) in records.iter().enumerate() {
        platform.produce_record(&Record::new(value.clone())).await;
        let expected = (index + 1) as f64;
        eventually(SOON, || async {
            let rejected = platform.worker.metrics().await.sum(REJECTED_RECORDS, &[]);
            if rejected == expected { Ok(()) } else { Err(format!("{kind}: {rejected} of {expected} rejected")) }
        })
        .await;
    }
    platform.fence("good", &[&window]).await;

    assert_eq!(window.event_ids(), ["good"]);
    assert_eq!(platform.rows().await, 1);
    assert_eq!(platform.worker.health("ready").await.unwrap().status, 200);
}

#[tokio::test]
async fn malformed_envelopes_are_counted_and_the_next_good_one_arrives() {
    require!(PubSub);
    let backplane = Backplane::up().await;
    let window = backplane.window("an").await;
    let envelopes = malformed::envelopes::all(window.id());
    assert!(envelopes.len() >= 30);

    for (index, (kind, channel, payload)) in envelopes.iter().enumerate() {
        publish(&backplane.pubsub, &[(channel.clone(), payload.clone())]).await;
        let expected = (index + 1) as f64;
        eventually(SOON, || async {
            let refused = backplane.edge.metrics().await.sum(REFUSED_ENVELOPES, &[]);
            if refused == expected { Ok(()) } else { Err(format!("{kind}: {refused} of {expected} refused")) }
        })
        .await;
    }
    let good = json!({ "serverId": "emitter", "type": "user", "target": "an", "event": "good", "later": {} });
    backplane.publish("ws:user:an", good.to_string().as_bytes()).await;
    window.wait_for("good", 1).await;

    assert_eq!(window.texts(), [r#"{"event":"good"}"#]);
    assert_eq!(backplane.edge.health("ready").await.unwrap().status, 200);
}
