//! Every way in which an edge says no, what it says, and where it counts it. To be read as a table: each line has what
//! is attempted, the answer, and the counter that moves.

mod attempts;

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use reqwest::Method;
use serde_json::{Value, json};
use signal_client::{Session, session::RawFrame};
use signal_harness::{Algorithm, Issuer, Launch, PubSub, Service, eventually, require};
use signal_tests::{ledger, operator::Operator, sister::Sister, stalled};
use signal_wire::protocol::Protocol::{V1, V2};

use self::attempts::{greet, hear, say, say_in_vain, session, upgrade};
use crate::platform::{Backplane, SOON, migrate, policies};

struct Counter {
    name: &'static str,
    label: (&'static str, &'static str),
}

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{{{}=\"{}\"}}", self.name, self.label.0, self.label.1)
    }
}

fn closes(code: &'static str) -> Counter {
    Counter { name: "signal_edge_closes_total", label: ("code", code) }
}

fn inbound(reason: &'static str) -> Counter {
    Counter { name: "signal_edge_inbound_refused_total", label: ("reason", reason) }
}

fn not_admitted(limit: &'static str) -> Counter {
    Counter { name: "signal_edge_not_admitted_total", label: ("limit", limit) }
}

/// Requests by status; each is a sample of this histogram.
fn requests(status: &'static str) -> Counter {
    Counter { name: "signal_http_request_duration_seconds_count", label: ("status", status) }
}

/// One line of the table.
async fn row(edge: &Service, what: &str, answer: &str, counter: Counter, attempt: impl Future<Output = String>) {
    let look = async || edge.metrics().await.sum(counter.name, &[counter.label]);
    let before = look().await;
    assert_eq!(attempt.await, answer, "{what}");
    eventually(SOON, || async {
        let now = look().await;
        if now > before { Ok(()) } else { Err(format!("{what}: {counter} stays at {now}")) }
    })
    .await;
}

async fn ask(operator: &Operator, method: Method, path: &str, body: Value) -> String {
    let answer = operator.ask(method, path, &body).await.unwrap();
    format!("{} {}", answer.status, answer.body["message"].as_str().unwrap_or_default()).trim_end().to_owned()
}

async fn up(configure: impl FnOnce(Launch) -> Launch) -> Backplane {
    Backplane::with(configure).await
}

#[tokio::test]
async fn requests_to_the_management_api() {
    require!(PubSub);
    let database = policies();
    migrate(&database).await;
    let Backplane { edge, issuer, .. } = &up(|edge| edge.env("SIGNAL_DATABASE_URL", &database)).await;
    let as_who = |token: Option<String>| Operator::new(edge.http_addr(), token);
    let (nobody, forger) = (as_who(None), as_who(Some("not.a.token".to_owned())));
    let (clerk, operator) = (as_who(Some(issuer.token("clerk"))), as_who(Some(Operator::token(issuer))));
    let list = |who: Operator| async move { ask(&who, Method::GET, "", Value::Null).await };
    let broadcast = |body: Value| ask(&operator, Method::POST, "/broadcast", body);
    let absent = "/0b1f5c3e-1111-4222-8333-944455566677";

    row(edge, "no token", "401 Unauthorized", requests("401"), list(nobody)).await;
    row(edge, "a token that is none", "401 Unauthorized", requests("401"), list(forger)).await;
    row(edge, "no permission", "403 Forbidden", requests("403"), list(clerk)).await;
    let get = |path| ask(&operator, Method::GET, path, Value::Null);
    // For its first second an edge cannot know whether there are others.
    eventually(SOON, || async {
        let status = operator.get("/status").await.map_err(|error| error.to_string())?.body;
        if status["cluster"]["complete"] == true { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    row(edge, "a client that is nowhere", "404 Not Found", requests("404"), get(absent)).await;
    row(edge, "a page of 201", "422 ValidationError", requests("422"), get("?limit=201")).await;
    row(edge, "no event", "422 ValidationError", requests("422"), broadcast(json!({ "data": 1 }))).await;
    let reserved = json!({ "event": "connected" });
    row(edge, "an event of the protocol's", "422 ValidationError", requests("422"), broadcast(reserved)).await;
    let large = json!({ "event": "e", "data": "x".repeat(1100 * 1024) });
    row(edge, "a body above 1 MiB", "413 Payload Too Large", requests("413"), broadcast(large)).await;
}

#[tokio::test]
async fn requests_to_an_edge_without_a_database() {
    require!(PubSub);
    let Backplane { edge, issuer, .. } = &up(|edge| edge).await;
    let operator = Operator::new(edge.http_addr(), Some(Operator::token(issuer)));
    let answer = "503 Permissions cannot be checked: no database is configured";
    row(edge, "a list", answer, requests("503"), ask(&operator, Method::GET, "", Value::Null)).await;
    // What needs no permission needs no database, and sockets need neither.
    assert_eq!(ask(&operator, Method::GET, "/status", Value::Null).await, "200");
    session(edge, &issuer.token("an"), V2).await;
}

#[tokio::test]
async fn connections() {
    require!(PubSub);
    let one =
        |edge: Launch| edge.env("SIGNAL_MAX_CONNECTIONS", "1").env("SIGNAL_ALLOWED_ORIGINS", "https://shop.example");
    let Backplane { edge, .. } = &up(one).await;
    let attempt = async |headers: &str| upgrade(edge, headers).await.0;
    let elsewhere = "Origin: https://elsewhere.example\r\n";
    let answer = "403 Pages of this origin are not allowed";
    row(edge, "a page of another origin", answer, not_admitted("origin"), attempt(elsewhere)).await;
    let (status, _held) = upgrade(edge, "Origin: https://shop.example\r\n").await;
    assert_eq!(status, "101");
    let answer = "503 This edge has all the connections that it may have";
    row(edge, "one connection too many", answer, not_admitted("full"), attempt("")).await;

    let Backplane { edge, .. } = &up(|edge| edge.env("SIGNAL_MAX_CONNECTIONS_PER_IP", "1")).await;
    let (status, _held) = upgrade(edge, "").await;
    assert_eq!(status, "101");
    let answer = "429 Too many connections from this address";
    row(edge, "one too many of an address", answer, not_admitted("address"), async { upgrade(edge, "").await.0 }).await;
}

#[tokio::test]
async fn handshakes() {
    require!(PubSub);
    let hasty = |edge: Launch| edge.env("SIGNAL_AUTHENTICATION_TIMEOUT", "1s");
    let Backplane { edge, issuer, .. } = &up(hasty).await;
    let authenticate =
        |data: Value| async move { greet(edge, &json!({ "event": "authenticate", "data": data })).await };
    let key = "BGsX0fLhLEJH+Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT+NC4v4af5uO5+tKfA+eFivOM1drMV7Oy7ZAaDe/UfU=";
    let token = issuer.token("an");

    row(edge, "saying nothing", "4001 Authentication timeout", closes("4001"), greet(edge, &Value::Null)).await;
    let early = json!({ "event": "join", "data": { "rooms": ["ws-default"] } });
    let answer = "Not authenticated; 4001 Authentication timeout";
    row(edge, "anything else first", answer, inbound("unauthenticated"), greet(edge, &early)).await;
    let answer = "Authentication failed; 4003 Authentication failed";
    let forged = json!({ "token": "not.a.token", "publicKey": key });
    row(edge, "a token that is none", answer, closes("4003"), authenticate(forged)).await;
    let answer = "Encryption handshake failed; 4004 Encryption required";
    row(edge, "no public key", answer, closes("4004"), authenticate(json!({ "token": token }))).await;
    let off_curve = json!({ "token": token, "publicKey": "AAAA" });
    row(edge, "a public key that is none", answer, closes("4004"), authenticate(off_curve)).await;
}

#[tokio::test]
async fn messages_that_end_no_session() {
    require!(PubSub);
    let Backplane { edge, issuer, .. } = &up(|edge| edge.env("SIGNAL_JOINABLE_ROOMS", "r/*")).await;
    let mut an = session(edge, &issuer.token("an"), V1).await;
    let join = |rooms: Vec<String>| json!({ "rooms": rooms });
    let of = |name: &str| join(vec![name.to_owned()]);

    // A room's name says who may be in it; who may not learns nothing.
    for (what, reason, rooms) in [
        ("a room that the policy does not name", "room_policy", of("secrets")),
        ("another user's recipient room", "room_of_another_user", of("signal/notification/binh")),
        ("another client's room", "room_of_another_client", of("0b1f5c3e-1111-4222-8333-944455566677")),
        ("a name that is none", "room_name", of("ws:broadcast")),
        ("the 257th room", "room_limit", join((0..257).map(|number| format!("r/{number}")).collect())),
        ("rooms that are no list", "rooms", json!({ "rooms": "r/1" })),
    ] {
        row(edge, what, "(silence)", inbound(reason), say_in_vain(&mut an, "join", &rooms)).await;
    }
    let never = of("r/never");
    let unjoined = say_in_vain(&mut an, "leave", &never);
    row(edge, "leaving what was not joined", "(silence)", inbound("not_joined"), unjoined).await;

    let again = say(&mut an, "authenticate", &Value::Null).await;
    assert_eq!(again, "Already authenticated");
    for (what, answer, reason, token) in [
        ("another user's", "Refresh failed: another user's token", "refresh_other_user", issuer.token("binh")),
        ("none at all", "Refresh failed", "refresh_refused", "not.a.token".to_owned()),
    ] {
        let refresh = json!({ "token": token });
        row(edge, what, answer, inbound(reason), say(&mut an, "refresh", &refresh)).await;
    }
    let (mut reader, mut writer) = an.into_split();
    let mut raw = async |text: &str| {
        writer.send_raw(RawFrame::text(text.to_owned())).await.unwrap();
        let signal_client::session::Received::Message(message) = reader.receive().await.unwrap() else { panic!() };
        message.data::<Value>().unwrap()["message"].as_str().unwrap().to_owned()
    };
    let answer = "Invalid message format";
    row(edge, "what is not JSON", answer, inbound("malformed"), raw("hello")).await;
    let sealed_by_nobody = r#"{"event":"encrypted","data":{"iv":"AAAAAAAAAAAAAAAA","ct":"AAAA"}}"#;
    row(edge, "a seal that does not open", "Decryption failed", inbound("decryption"), raw(sealed_by_nobody)).await;
}

#[tokio::test]
async fn sessions_that_are_ended() {
    require!(PubSub);
    let strict = |edge: Launch| {
        edge.env("SIGNAL_MESSAGE_RATE", "2")
            .env("SIGNAL_OUTBOUND_LIMIT", "64KiB")
            .env("SIGNAL_DATABASE_URL", policies())
    };
    let backplane = up(strict).await;
    let Backplane { edge, issuer, pubsub } = &backplane;
    let (an, operator) = (issuer.token("an"), Operator::new(edge.http_addr(), Some(Operator::token(issuer))));

    let expired = async { hear(&mut session(edge, &about_to_expire(issuer), V2).await).await };
    row(edge, "a token that has expired", "4005 Token expired", closes("4005"), expired).await;
    let answer = "4006 Protocol violation";
    let plaintext = send_raw(session(edge, &an, V2).await, RawFrame::text(r#"{"event":"heartbeat"}"#));
    row(edge, "plaintext in v2", answer, inbound("text_frame"), plaintext).await;
    let forged = send_raw(session(edge, &an, V2).await, RawFrame::binary(vec![7; 64]));
    row(edge, "a frame in v2 that does not open", answer, inbound("frame_does_not_open"), forged).await;
    let large = send_raw(session(edge, &an, V1).await, RawFrame::text("x".repeat(129 * 1024)));
    row(edge, "a frame above 128 KiB", "1009 Frame too large", closes("1009"), large).await;
    let loud = talk_without_end(session(edge, &an, V2).await);
    row(edge, "more frames than the rate", "4009 Too many requests", inbound("rate"), loud).await;

    let unwanted = async {
        let mut session = session(edge, &an, V2).await;
        let answer = operator.disconnect(&session.connected().client_id).await.unwrap();
        assert_eq!(answer.status, 204);
        hear(&mut session).await
    };
    row(edge, "an operator's word", "4007 Disconnected by operator", closes("4007"), unwanted).await;
    let slow = async {
        let mut session = stalled::open(edge.http_addr(), std::slice::from_ref(&an)).await.unwrap().remove(0);
        let sister = Sister::connect(&pubsub.url()).await.unwrap();
        let padding = "x".repeat(32 * 1024);
        while edge.metrics().await.sum("signal_edge_closes_total", &[("code", "4008")]) == 0.0 {
            sister.publish("ws:broadcast", ledger::envelope(0, &padding)).await.unwrap();
        }
        hear(&mut session).await
    };
    row(edge, "not reading", "4008 Too slow", closes("4008"), slow).await;
}

#[tokio::test]
async fn silence() {
    require!(PubSub);
    let watchful = |edge: Launch| edge.env("SIGNAL_HEARTBEAT_INTERVAL", "100ms").env("SIGNAL_HEARTBEAT_TIMEOUT", "1s");
    let Backplane { edge, issuer, .. } = &up(watchful).await;
    let silent = async { hear(&mut session(edge, &issuer.token("an"), V2).await).await };
    row(edge, "a client that says nothing", "4002 Heartbeat timeout", closes("4002"), silent).await;
}

/// Good for a moment more, by the leeway of five seconds.
fn about_to_expire(issuer: &Issuer) -> String {
    let mut claims = Issuer::claims("an", Duration::ZERO);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    claims["exp"] = json!(now - 2);
    issuer.mint(Algorithm::Es256, &claims)
}

/// How a session takes this frame.
async fn send_raw(session: Session, frame: RawFrame) -> String {
    let (mut reader, mut writer) = session.into_split();
    // The edge may close while it is still being said.
    let _ = writer.send_raw(frame).await;
    match tokio::time::timeout(SOON, reader.receive()).await.expect("a close within the deadline") {
        Err(signal_client::Disconnect::Closed(close)) => format!("{} {}", close.code, close.reason),
        other => panic!("{other:?}"),
    }
}

async fn talk_without_end(mut session: Session) -> String {
    // Twenty may come at once; a minute's worth is too much however slow the machine is.
    for _ in 0..140 {
        if session.send("heartbeat", &Value::Null).await.is_err() {
            break;
        }
    }
    hear(&mut session).await
}
