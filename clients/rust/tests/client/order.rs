//! Protocol v2: what the edge sealed arrives as it was sealed, or the connection ends.

use serde_json::json;
use signal_client::{
    Disconnect, Event, Protocol,
    session::{FrameProblem, OpenError},
};
use tokio_tungstenite::tungstenite::Message as RawFrame;

use crate::fake_edge::{
    FakeEdge, Peer, builder, connected, expect_connected, expect_disconnected, expect_message, expect_resync, next,
};

#[tokio::test(start_paused = true)]
async fn v2_is_asked_for_and_v1_is_taken() {
    let (mut edge, pipe) = FakeEdge::new();
    let (_client, mut events) = builder(pipe).connect().unwrap();
    let applicant = edge.accept().await.authenticate().await;
    assert_eq!(applicant.protocol, Some(2));
    let peer = applicant.admit().await;
    let hello = expect_connected(&mut events).await;
    assert_eq!((hello.protocol, hello.identity), (Protocol::V2, None));

    // The next edge is an older one.
    drop(peer);
    expect_disconnected(&mut events).await;
    let mut peer = edge.accept().await.authenticate().await.admit_v1().await;
    assert_eq!(expect_connected(&mut events).await.protocol, Protocol::V1);
    expect_resync(&mut events).await;
    peer.push("push", json!(1)).await;
    assert_eq!(expect_message(&mut events).await.0, "push");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_wants_v1_says_what_v1_clients_say() {
    let (mut edge, pipe) = FakeEdge::new();
    let (client, mut events) = builder(pipe).protocol(Protocol::V1).connect().unwrap();
    let applicant = edge.accept().await.authenticate().await;
    assert_eq!(applicant.protocol, None);
    let mut peer = applicant.admit().await;
    assert_eq!(expect_connected(&mut events).await.protocol, Protocol::V1);
    client.send("hello", &1).unwrap();
    assert!(matches!(peer.hear_raw().await, Some(RawFrame::Text(text)) if text.contains("encrypted")));
}

#[tokio::test(start_paused = true)]
async fn everything_after_connected_is_binary() {
    let (_edge, mut peer, client, mut events) = connected(|builder| builder.rooms(["a"])).await;
    client.send("hello", &1).unwrap();
    for event in ["join", "hello", "heartbeat"] {
        let frame = peer.hear_raw().await.unwrap();
        assert!(matches!(frame, RawFrame::Binary(_)), "{frame:?}");
        let message: serde_json::Value = serde_json::from_slice(&peer.open(&frame).unwrap()).unwrap();
        assert_eq!(message["event"], event);
    }
    peer.push("push", json!(1)).await;
    assert_eq!(expect_message(&mut events).await.0, "push");
}

/// One push arrives; then `attack` does something to what comes next, and the session must end.
async fn ends_the_session(name: &str, expected: FrameProblem, attack: impl AsyncFnOnce(&mut Peer, RawFrame)) {
    let (mut edge, mut peer, client, mut events) = connected(|builder| builder).await;
    client.send("of the client", &1).unwrap();
    let sealed = peer.seal(r#"{"event":"first"}"#);
    peer.say_raw(sealed.clone()).await;
    assert_eq!(expect_message(&mut events).await.0, "first");

    attack(&mut peer, sealed).await;
    // What would open after it is not to be relied on.
    peer.push("after", json!(1)).await;
    match expect_disconnected(&mut events).await.0 {
        Disconnect::Violation(problem) => assert_eq!(problem, expected, "{name}"),
        other => panic!("{name}: {other:?}"),
    }
    assert_eq!(peer.expect_close().await, Some(4006), "{name}");

    let mut peer = edge.admit().await;
    expect_connected(&mut events).await;
    assert_eq!(expect_resync(&mut events).await, "reconnected", "{name}");
    peer.push("again", json!(1)).await;
    assert_eq!(expect_message(&mut events).await.0, "again", "{name}");
}

#[tokio::test(start_paused = true)]
async fn a_replayed_frame_ends_the_session() {
    ends_the_session("replayed", FrameProblem::DoesNotOpen, async |peer, first| peer.say_raw(first).await).await;
}

#[tokio::test(start_paused = true)]
async fn reordered_frames_end_the_session() {
    ends_the_session("reordered", FrameProblem::DoesNotOpen, async |peer, _| {
        let (one, other) = (peer.seal(r#"{"event":"one"}"#), peer.seal(r#"{"event":"other"}"#));
        peer.say_raw(other).await;
        peer.say_raw(one).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_dropped_frame_ends_the_session() {
    ends_the_session("dropped", FrameProblem::DoesNotOpen, async |peer, _| drop(peer.seal("dropped"))).await;
}

#[tokio::test(start_paused = true)]
async fn a_reflected_frame_ends_the_session() {
    ends_the_session("reflected", FrameProblem::DoesNotOpen, async |peer, _| {
        let own = peer.hear_raw().await.unwrap();
        peer.say_raw(own).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn truncated_and_altered_frames_end_the_session() {
    for keep in [0, 15, 16, 20] {
        ends_the_session("truncated", FrameProblem::DoesNotOpen, async |peer, _| {
            let sealed = peer.seal(r#"{"event":"due"}"#).into_data();
            peer.say_raw(RawFrame::binary(sealed.slice(..keep))).await;
        })
        .await;
    }
    ends_the_session("altered", FrameProblem::DoesNotOpen, async |peer, _| {
        let mut sealed = peer.seal(r#"{"event":"due"}"#).into_data().to_vec();
        sealed[3] ^= 1;
        peer.say_raw(RawFrame::binary(sealed)).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn text_ends_the_session_whatever_it_says() {
    for text in [r#"{"event":"push"}"#, r#"{"event":"encrypted","data":{"iv":"","ct":""}}"#, "nonsense", ""] {
        ends_the_session(text, FrameProblem::NotSealed, async |peer, _| peer.say_raw(RawFrame::text(text)).await).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_edge_itself_sealed_badly_is_told_of_and_passed_over() {
    let (_edge, mut peer, _client, mut events) = connected(|builder| builder).await;
    for plaintext in ["not json", "[]", "{}", r#"{"event":"connected","data":{}}"#] {
        peer.push_text(plaintext).await;
        assert!(matches!(next(&mut events).await, Event::Error(_)), "{plaintext}");
    }
    peer.push("still here", json!(1)).await;
    assert_eq!(expect_message(&mut events).await.0, "still here");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_fits_no_version_is_none() {
    let answers: [(Protocol, &str, serde_json::Value); 5] = [
        (Protocol::V1, "protocol", json!(2)),
        (Protocol::V2, "protocol", json!(3)),
        (Protocol::V2, "protocol", json!(0)),
        (Protocol::V2, "protocol", json!("2")),
        // The transcript has its 16 bytes.
        (Protocol::V2, "id", json!("no UUID")),
    ];
    for (asked, name, value) in answers {
        let (mut edge, pipe) = FakeEdge::new();
        let (_client, mut events) = builder(pipe).protocol(asked).connect().unwrap();
        let applicant = edge.accept().await.authenticate().await;
        let _peer = applicant.answer(None, |offer| offer[name] = value.clone()).await;
        let (cause, _) = expect_disconnected(&mut events).await;
        assert!(matches!(cause, Disconnect::Open(OpenError::Malformed)), "{name} {value}: {cause:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn v1_may_be_said_aloud() {
    let (mut edge, pipe) = FakeEdge::new();
    let (_client, mut events) = builder(pipe).connect().unwrap();
    let mut applicant = edge.accept().await.authenticate().await;
    applicant.protocol = None;
    let _peer = applicant.answer(None, |offer| offer["protocol"] = json!(1)).await;
    assert_eq!(expect_connected(&mut events).await.protocol, Protocol::V1);
}
