//! Edges that go, fall silent or go blind, and what the others say then.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use serde_json::{Value, json};
use signal_bus::{Event, memory::MemoryBus};
use signal_edge::ClusterSettings;
use signal_harness::{Issuer, eventually};
use signal_wire::envelope::Target;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    faulty_bus::{Faults, FaultyBus},
    fixture::{SOON, TestEdge, counted, quick},
    rest::ids_of,
};

/// As in a deployment: whoever does not answer is not waited for.
const REPLY: Duration = Duration::from_millis(500);

fn impatient() -> ClusterSettings {
    ClusterSettings { reply_timeout: REPLY, ..quick() }
}

async fn edge_on(shared: &MemoryBus, settings: ClusterSettings) -> (TestEdge, Arc<Faults>) {
    let (bus, faults) = FaultyBus::new(shared);
    let issuer = Issuer::launch().await;
    let url = issuer.jwks_url();
    (TestEdge::start_as(bus, &[], issuer, &url, settings).await, faults)
}

#[tokio::test]
async fn an_edge_that_falls_silent_is_missed_at_once_and_forgotten_after_its_lease() {
    let shared = MemoryBus::new();
    let settings = ClusterSettings { lease: Duration::from_secs(3), ..impatient() };
    let (asked, asker) = edge_on(&shared, settings).await;
    let (silent, faults) = edge_on(&shared, settings).await;
    let (here, there) = (asked.client("an").await, silent.client("binh").await);
    asked.knows(2).await;
    assert_eq!(asked.get("").await["data"].as_array().unwrap().len(), 2);

    // As if it had been killed: it says nothing any more.
    faults.mute.store(true, Ordering::SeqCst);
    let began = Instant::now();
    let page = asked.get("").await;
    assert!(began.elapsed() < 4 * REPLY, "{:?}", began.elapsed());
    assert_eq!((&page["complete"], ids_of(&page)), (&json!(false), vec![here.id.clone()]));
    assert_eq!(page["edges"], json!({"expected": 2, "answered": 1}));
    assert_eq!(asked.get("").await, page, "the next page does not wait for it and is as honest");
    // Not to be told from one that nobody has.
    for (method, path) in [("GET", format!("/{}", there.id)), ("DELETE", format!("/{}", Uuid::new_v4()))] {
        let answer = asked.ask(method, &path, None).await;
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.body["message"].as_str().unwrap().contains("did not answer"), "{answer:?}");
    }
    assert_eq!(asker.held(":reply:"), 0, "what was waited for in vain is let go of");
    // Who is here needs nobody's answer.
    assert_eq!(asked.get(&format!("/{}", here.id)).await["id"], json!(here.id));

    asked.knows(1).await;
    let page = asked.get("").await;
    assert_eq!((&page["complete"], ids_of(&page)), (&json!(true), vec![here.id]));
    assert_eq!(asked.ask("GET", &format!("/{}", there.id), None).await.status, 404);

    faults.mute.store(false, Ordering::SeqCst);
    asked.knows(2).await;
    assert_eq!(asked.get("").await["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn an_edge_whose_answers_are_lost_makes_an_answer_incomplete_and_no_more() {
    let shared = MemoryBus::new();
    let (asked, _) = edge_on(&shared, impatient()).await;
    let (speechless, faults) = edge_on(&shared, impatient()).await;
    let mut client = speechless.client("an").await;
    asked.knows(2).await;
    faults.speechless.store(true, Ordering::SeqCst);
    let incomplete = [("kind", "list"), ("result", "incomplete")];
    let before = counted("signal_edge_control_requests_total", &incomplete);
    assert_eq!(asked.get("").await["complete"], false);
    assert!(counted("signal_edge_control_requests_total", &incomplete) > before);
    // Sent all the same: only the word of it is lost.
    let sent = asked.ask("POST", &format!("/{}/send", client.id), Some(json!({"event": "hello"}))).await;
    assert_eq!(sent.status, 503);
    assert_eq!(client.socket.hear().await["event"], "hello");
}

#[tokio::test]
async fn the_edge_that_has_a_client_is_not_kept_waiting_by_another() {
    let shared = MemoryBus::new();
    let (asked, asker) = edge_on(&shared, quick()).await;
    let (has, _) = edge_on(&shared, quick()).await;
    let (_silent, faults) = edge_on(&shared, quick()).await;
    let mut client = has.client("an").await;
    asked.knows(3).await;
    faults.speechless.store(true, Ordering::SeqCst);
    let began = Instant::now();
    assert_eq!(asked.get(&format!("/{}", client.id)).await["userId"], "an");
    assert_eq!(asked.ask("DELETE", &format!("/{}", client.id), None).await.status, 204);
    assert!(began.elapsed() < SOON, "{:?} of what may take {:?} each", began.elapsed(), quick().reply_timeout);
    assert_eq!(client.socket.closed().await.0, 4007);
    assert_eq!(asker.held(":reply:"), 0, "nobody listens any more");
}

#[tokio::test]
async fn who_says_hello_is_known_at_once_and_is_told_who_else_there_is() {
    let shared = MemoryBus::new();
    // Nobody announces itself in time but to say hello and to answer it.
    let hours = Duration::from_secs(7200);
    let settings = ClusterSettings { announce_every: hours, lease: 5 * hours, ..quick() };
    let (first, _) = edge_on(&shared, settings).await;
    let (second, _) = edge_on(&shared, settings).await;
    for edge in [&first, &second] {
        eventually(SOON, || async { edge.get("/status").await["cluster"]["edges"] == 2 }).await;
        assert_eq!(edge.get("/status").await["cluster"]["complete"], false, "there may be more");
        assert_eq!(edge.get("").await["complete"], false);
    }
}

#[tokio::test]
async fn who_says_goodbye_is_expected_no_more_once_its_clients_are_gone() {
    let shared = MemoryBus::new();
    let settings = ClusterSettings { lease: Duration::from_secs(600), ..quick() };
    let (staying, _) = edge_on(&shared, settings).await;
    let (leaving, _) = edge_on(&shared, settings).await;
    let mut client = leaving.client("an").await;
    staying.knows(2).await;
    leaving.shutdown.trigger();
    while client.socket.hear_frame().await.is_ok() {}
    staying.knows(1).await;
    assert_eq!(leaving.edge.connections(), 0);
    let page = staying.get("").await;
    assert_eq!((&page["complete"], &page["edges"]["expected"]), (&json!(true), &json!(1)));
    leaving.shutdown.drain().await;
}

#[tokio::test]
async fn messages_that_are_none_are_counted_and_disturb_nobody() {
    let shared = MemoryBus::new();
    let (asked, _) = edge_on(&shared, impatient()).await;
    let (other, _) = edge_on(&shared, impatient()).await;
    let client = other.client("an").await;
    asked.knows(2).await;
    let id = Uuid::new_v4();
    let bad = [
        String::new(),
        "null".into(),
        "[]".into(),
        "{".into(),
        "{}".into(),
        r#"{"kind":7}"#.into(),
        r#"{"kind":"hello"}"#.into(),
        r#"{"kind":"hello","edge":"nobody"}"#.into(),
        r#"{"kind":"goodbye","edge":"nobody"}"#.into(),
        r#"{"kind":"announce","edge":7}"#.into(),
        format!(r#"{{"kind":"list","edge":"{id}","requestId":"{id}"}}"#),
        format!(r#"{{"kind":"get","edge":"{id}","requestId":"x","clientId":"x"}}"#),
        format!(r#"{{"kind":"get","edge":"x","requestId":"{id}","clientId":"x"}}"#),
        "[".repeat(100_000),
    ];
    let malformed = [("reason", "malformed")];
    let before = counted("signal_edge_control_refused_total", &malformed);
    for payload in &bad {
        asked.say_raw("signal:control", payload.clone()).await;
    }
    asked.say_raw("signal:control", vec![b'x'; 2 << 20]).await;
    asked.say_raw("signal:control", &b"\xff\xfe"[..]).await;
    // Not malformed: of a later version, of nobody's request.
    asked.say_raw("signal:control", format!(r#"{{"kind":"census","edge":"{id}"}}"#)).await;
    asked.say_raw(&format!("signal:control:reply:{id}"), "{}").await;
    let page = asked.get("").await;
    assert_eq!((&page["complete"], ids_of(&page)), (&json!(true), vec![client.id]));
    let counted_twice = 2.0 * (bad.len() + 1) as f64;
    eventually(SOON, || async { counted("signal_edge_control_refused_total", &malformed) >= before + counted_twice })
        .await;
    assert!(counted("signal_edge_control_refused_total", &[("reason", "too_large")]) >= 2.0);
}

#[tokio::test]
async fn without_a_backplane_who_is_here_is_reached_and_nobody_is_forgotten() {
    let shared = MemoryBus::new();
    let settings = ClusterSettings { lease: Duration::from_secs(2), ..impatient() };
    let (blind, faults) = edge_on(&shared, settings).await;
    let (other, _) = edge_on(&shared, settings).await;
    let (mut here, mut there) = (blind.client("an").await, other.client("binh").await);
    blind.knows(2).await;
    let losses = counted("signal_edge_bus_losses_total", &[]);
    faults.lose();
    eventually(SOON, || async { blind.get("/status").await["cluster"]["complete"] == false }).await;
    assert!(counted("signal_edge_bus_losses_total", &[]) > losses);

    for path in ["/broadcast", "/rooms/ws-default/send"] {
        let answer = blind.ask("POST", path, Some(json!({"event": path}))).await;
        assert_eq!((answer.status, &answer.body), (202, &json!({"complete": false})));
        assert_eq!(here.socket.hear().await["event"], path);
    }
    let sent = blind.ask("POST", &format!("/{}/send", here.id), Some(json!({"event": "to you"}))).await;
    assert_eq!(sent.status, 202);
    assert_eq!(here.socket.hear().await["event"], "to you");
    assert_eq!(blind.ask("DELETE", &format!("/{}", there.id), None).await.status, 503);

    // Longer than a lease, of which nothing runs out.
    let began = Instant::now();
    eventually(SOON, || async { began.elapsed() > 2 * settings.lease }).await;
    let page = blind.get("").await;
    assert_eq!((&page["complete"], &page["edges"]), (&json!(false), &json!({"expected": 2, "answered": 1})));
    assert!(blind.health.status("backplane").unwrap().up, "that is the canary's to say");

    faults.restore();
    let resync = json!({"event": "resync", "data": {"reason": "backplane"}});
    assert_eq!(here.socket.hear().await, resync);
    blind.knows(2).await;
    assert_eq!(blind.get("").await["data"].as_array().unwrap().len(), 2);
    other.say(Target::User("binh"), "end", Value::Null).await;
    assert_eq!(there.socket.hear().await["event"], "end", "who was not blind is not told to read again");
}

#[tokio::test]
async fn who_hears_nothing_of_itself_is_not_ready_whatever_its_socket_says() {
    let shared = MemoryBus::new();
    let settings = ClusterSettings { blind_after: Duration::from_secs(1), ..quick() };
    let (edge, faults) = edge_on(&shared, settings).await;
    let mut client = edge.client("an").await;
    edge.health.wait_until_ready().await;
    let measured = counted("signal_edge_bus_lag_seconds_count", &[]);
    eventually(SOON, || async { counted("signal_edge_bus_lag_seconds_count", &[]) > measured }).await;

    // No word of it from the socket.
    faults.deaf.store(true, Ordering::SeqCst);
    eventually(SOON, || async { !edge.health.is_ready() }).await;
    let reason = edge.health.status("backplane").unwrap().reason.unwrap();
    assert!(reason.contains("nothing is heard"), "{reason}");
    faults.deaf.store(false, Ordering::SeqCst);
    assert_eq!(client.socket.hear().await["event"], "resync");
    eventually(SOON, || async { edge.health.is_ready() }).await;

    // With its word: one resync when the socket is back, and none more when the canary is.
    faults.lose();
    eventually(SOON, || async { !edge.health.is_ready() }).await;
    let reason = edge.health.status("backplane").unwrap().reason.unwrap();
    assert!(reason.contains("somebody pulled the plug"), "{reason}");
    faults.restore();
    assert_eq!(client.socket.hear().await["event"], "resync");
    eventually(SOON, || async { edge.health.is_ready() }).await;
    client.socket.settle().await;
}

#[tokio::test]
async fn a_short_loss_is_no_blindness() {
    let shared = MemoryBus::new();
    let (edge, faults) = edge_on(&shared, quick()).await;
    let mut client = edge.client("an").await;
    edge.health.wait_until_ready().await;
    let since = edge.health.status("backplane").unwrap().since;
    faults.say(Event::Lost { reason: "a moment".into() });
    faults.say(Event::Restored);
    assert_eq!(client.socket.hear().await["event"], "resync");
    let status = edge.health.status("backplane").unwrap();
    assert_eq!((status.up, status.since), (true, since));
}
