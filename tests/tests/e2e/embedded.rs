//! The all-in-one, as `make run` starts it: no server beside it, and the Rust SDK for a client.

use std::{convert::Infallible, time::Duration};

use serde_json::{Value, json};
use signal_client::{Client, Event, Events};
use signal_harness::{Service, scratch_dir};
use tokio::time::timeout;

use crate::platform::SOON;

struct Demo {
    service: Service,
    http: reqwest::Client,
}

impl Demo {
    async fn up() -> Demo {
        let service = Service::standalone().dir(&scratch_dir("embedded")).spawn();
        service.wait_ready(SOON).await;
        Demo { service, http: reqwest::Client::new() }
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let url = format!("http://{}{path}", self.service.http_addr());
        let answer = self.http.post(url).json(body).timeout(SOON).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn open(&self, person: &Value) -> Screen {
        let (status, answer) = self.post("/demo/sign-in", &json!({ "userId": person["id"] })).await;
        assert_eq!(status, 200, "{answer}");
        let token = answer["token"].as_str().unwrap().to_owned();
        let (client, events) = Client::builder(&format!("ws://{}/stream", self.service.http_addr()))
            .token(move || std::future::ready(Ok::<_, Infallible>(token.clone())))
            .connect()
            .unwrap();
        assert!(timeout(SOON, client.ready()).await.unwrap(), "the client connects");
        Screen { _client: client, events, event_ids: Vec::new() }
    }

    async fn pay(&self, merchant: &Value) -> String {
        let payment = json!({ "merchantId": merchant["id"], "amount": "125000", "currency": "VND",
                              "orderCode": "A-1042", "paymentMethod": "CARD" });
        let (status, answer) = self.post("/demo/payments", &payment).await;
        assert_eq!(status, 202, "{answer}");
        answer["eventId"].as_str().unwrap().to_owned()
    }
}

/// What one person's SDK was given, in order.
struct Screen {
    _client: Client,
    events: Events,
    event_ids: Vec<String>,
}

impl Screen {
    async fn wait_for_notification(&mut self, event_id: &str) -> signal_client::Notification {
        loop {
            let event = timeout(SOON, self.events.next()).await.expect("something arrives within the deadline");
            match event.expect("the client stays open") {
                Event::Connected(_) => {}
                Event::Message(message) => {
                    let notification = message.notification().expect("a notification").unwrap();
                    self.event_ids.push(notification.event_id.clone());
                    if notification.event_id == event_id {
                        return notification;
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

fn works_at(person: &Value, merchant: &Value) -> bool {
    person["merchants"].as_array().unwrap().iter().any(|own| own["id"] == merchant["id"])
}

#[tokio::test]
async fn a_payment_of_the_demo_reaches_the_merchants_people_and_nobody_else() {
    let demo = Demo::up().await;
    let people: Value = serde_json::from_str(&demo.service.get("/demo/people").await.unwrap().body).unwrap();
    let people = people.as_array().unwrap();
    assert_eq!(people.len(), 3);
    let mut screens = Vec::new();
    for person in people {
        screens.push(demo.open(person).await);
    }

    // Merchant after merchant: what the second brings shows that nothing of the first is still to come.
    let mut merchants: Vec<&Value> = Vec::new();
    for merchant in people.iter().flat_map(|person| person["merchants"].as_array().unwrap()) {
        if !merchants.contains(&merchant) {
            merchants.push(merchant);
        }
    }
    assert_eq!(merchants.len(), 2);
    let rounds = [merchants[0], merchants[1], merchants[0], merchants[1]];
    let mut paid = Vec::new();
    for merchant in rounds {
        let event_id = demo.pay(merchant).await;
        for (person, screen) in people.iter().zip(&mut screens) {
            if works_at(person, merchant) {
                let push = screen.wait_for_notification(&event_id).await;
                assert_eq!(push.recipient_id, person["id"].as_str().unwrap());
                assert_eq!(push.merchant_id.as_deref(), merchant["id"].as_str());
            }
        }
        paid.push(event_id);
    }
    for (person, screen) in people.iter().zip(&screens) {
        let expected: Vec<_> = rounds.iter().zip(&paid).filter(|(merchant, _)| works_at(person, merchant)).collect();
        let expected: Vec<_> = expected.into_iter().map(|(_, event_id)| event_id.clone()).collect();
        assert_eq!(screen.event_ids, expected, "{}", person["id"]);
    }
}

#[tokio::test]
async fn a_stop_is_orderly_and_quick() {
    let demo = Demo::up().await;
    demo.service.signal(signal_harness::Signal::Term);
    let status = demo.service.wait_exit(Duration::from_secs(40)).await;
    assert!(status.success(), "{status}\n{}", demo.service.output());
}
