//! A record on the topic becomes a row and a push for each of its people, and for nobody else.

use serde_json::json;
use signal_harness::{Kafka, Kcat, Postgres, PubSub, Record, require};

use crate::platform::{Platform, payment};

#[tokio::test]
async fn a_payment_reaches_each_window_of_the_merchants_people_once() {
    require!(Postgres, PubSub, Kafka, Kcat);
    let platform = Platform::up().await;
    platform.merchant("mer-1", &["an", "binh"]).await;
    platform.merchant("mer-2", &["chi"]).await;
    let an_at_the_till = platform.window("an").await;
    let an_on_the_phone = platform.window("an").await;
    let binh = platform.window("binh").await;
    let chi = platform.window("chi").await;
    let stranger = platform.window("stranger").await;
    let all = [&an_at_the_till, &an_on_the_phone, &binh, &chi, &stranger];

    let event = payment("evt_1", &json!({ "organizerId": "org-1", "merchantId": "mer-1", "later": [1] }));
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let record = Record::new(event.to_string()).key("mer-1").header("traceparent", traceparent);
    platform.produce_record(&record).await;
    let push = binh.wait_for_notification("evt_1").await;
    platform.fence("fence_1", &all).await;

    assert_eq!(platform.recipients("evt_1").await, ["an", "binh"]);
    for window in [&an_at_the_till, &an_on_the_phone, &binh] {
        assert_eq!(window.event_ids(), ["evt_1", "fence_1"], "{}", window.user());
    }
    for window in [&chi, &stranger] {
        assert_eq!(window.event_ids(), ["fence_1"], "{}", window.user());
    }

    let row = r#"select id, organizer_id, merchant_id, title, metadata->'later', read_at is null
                 from "ActivityNotification" where event_id = 'evt_1' and recipient_id = 'binh'"#;
    let row = platform.postgres.sql(platform.database.name(), row).await;
    let (id, title) = (push["id"].as_str().unwrap(), push["title"].as_str().unwrap());
    assert_eq!(row, format!("{id}|org-1|mer-1|{title}|[1]|t"));
    assert_eq!(push["type"], "PAYMENT_SUCCESS");
    assert_eq!(push["recipientId"], "binh");
    assert_eq!(push["merchantId"], "mer-1");
    assert_eq!(push["title"], "Payment received");
    let content = push["content"].as_str().unwrap();
    for part in ["125.000", "A-1042", "Cà Phê 79"] {
        assert!(content.contains(part), "{content}");
    }
    assert!(push["html"].as_str().unwrap().starts_with("<p>"), "{push}");
    assert!(push["readAt"].is_null() && push["createdAt"].is_string(), "{push}");

    // The same record again: no second row, and a push at most of the notification that is known.
    platform.produce_record(&record).await;
    platform.fence("fence_2", &all).await;
    assert_eq!(platform.recipients("evt_1").await, ["an", "binh"]);
    let again = binh.notifications().into_iter().filter(|data| data["eventId"] == "evt_1");
    for repeated in again {
        assert_eq!(repeated["id"], push["id"]);
    }
    assert_eq!(chi.event_ids(), ["fence_1", "fence_2"]);
    assert_eq!(stranger.event_ids(), ["fence_1", "fence_2"]);
}

#[tokio::test]
async fn scopes_add_up_and_exclusions_take_away() {
    require!(Postgres, PubSub, Kafka, Kcat);
    let platform = Platform::up().await;
    platform.organizer("org-1", &["an", "binh", "chi"]).await;
    platform.merchant("mer-1", &["binh", "dung"]).await;
    let names = ["an", "binh", "chi", "dung", "em"];
    let windows = futures_util::future::join_all(names.map(|name| platform.window(name))).await;
    let windows: Vec<_> = windows.iter().collect();

    let cases = [
        ("organizer", json!({ "organizerId": "org-1" }), vec!["an", "binh", "chi"]),
        // The merchant is the narrower scope, and who is named twice is still one person.
        (
            "merchant and named",
            json!({ "organizerId": "org-1", "merchantId": "mer-1", "userIds": ["binh", "em", "em"] }),
            vec!["binh", "dung", "em"],
        ),
        ("named", json!({ "userIds": ["em", "dung"] }), vec!["dung", "em"]),
        (
            "excluded",
            json!({ "organizerId": "org-1", "userIds": ["em"], "excludeUserIds": ["an", "nobody"] }),
            vec!["binh", "chi", "em"],
        ),
        ("everybody excluded", json!({ "userIds": ["an"], "excludeUserIds": ["an"] }), vec![]),
        ("unknown merchant", json!({ "merchantId": "mer-none" }), vec![]),
    ];
    for (id, scope, _) in &cases {
        platform.produce(&payment(id, scope)).await;
    }
    platform.fence("fence", &windows).await;

    for (id, _, recipients) in &cases {
        assert_eq!(&platform.recipients(id).await, recipients, "{id}");
        for window in &windows {
            let pushes = window.event_ids().iter().filter(|event| event == id).count();
            let expected = usize::from(recipients.contains(&window.user()));
            assert_eq!(pushes, expected, "{id} to {}", window.user());
        }
    }
}

#[tokio::test]
async fn a_record_without_an_id_has_its_place_for_one() {
    require!(Postgres, PubSub, Kafka, Kcat);
    let platform = Platform::up().await;
    let window = platform.window("an").await;
    let mut event = payment("", &json!({ "userIds": ["an"] }));
    event.as_object_mut().unwrap().remove("id");

    platform.produce(&event).await;
    platform.produce(&event).await;
    platform.fence("fence", &[&window]).await;

    let topic = &platform.topic;
    assert_eq!(window.event_ids(), [format!("{topic}/0/0"), format!("{topic}/0/1"), "fence".to_owned()]);
    assert_eq!(platform.rows().await, 3);
}
