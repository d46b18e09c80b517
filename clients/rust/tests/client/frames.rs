//! Frames of a v1 connection that are not what they should be: each is told of, and none disturbs the next.

use serde_json::json;
use signal_client::{Event, Problem, session::FrameProblem};
use tokio_tungstenite::tungstenite::Message as RawFrame;

use crate::fake_edge::{connected_v1, expect_message, expect_resync, next};

#[tokio::test(start_paused = true)]
async fn what_cannot_be_used_is_told_of_and_passed_over() {
    let (_edge, mut peer, _client, mut events) = connected_v1(|builder| builder).await;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let malformed = [
        RawFrame::text("nonsense"),
        RawFrame::text("null"),
        RawFrame::text(deep),
        RawFrame::text(r#"{"event":"encrypted"}"#),
        RawFrame::text(r#"{"event":"encrypted","data":null}"#),
        RawFrame::text(r#"{"event":"encrypted","data":{"iv":7,"ct":""}}"#),
        RawFrame::binary(vec![1, 2, 3]),
        peer.seal("not json"),
        peer.seal("[]"),
        peer.seal("{}"),
        peer.seal(r#"{"event":"connected","data":{}}"#),
        peer.seal(r#"{"event":"reconnect","data":{"afterMs":-1}}"#),
    ];
    for frame in malformed {
        peer.say_raw(frame.clone()).await;
        expect_problem(&mut events, FrameProblem::Malformed, &frame).await;
    }
    for frame in [r#"{"event":"push","data":1}"#, r#"{"event":"error","data":{"message":"x"}}"#] {
        let frame = RawFrame::text(frame);
        peer.say_raw(frame.clone()).await;
        expect_problem(&mut events, FrameProblem::NotSealed, &frame).await;
    }

    peer.push("still here", json!(1)).await;
    assert_eq!(expect_message(&mut events).await.0, "still here");
}

#[tokio::test(start_paused = true)]
async fn a_push_that_does_not_open_is_a_push_that_was_missed() {
    let (_edge, mut peer, _client, mut events) = connected_v1(|builder| builder).await;
    let sealed = peer.seal(r#"{"event":"push"}"#);
    let altered = RawFrame::text(sealed.to_text().unwrap().replacen("\"ct\":\"", "\"ct\":\"AAAA", 1));
    peer.say_raw(altered.clone()).await;
    expect_problem(&mut events, FrameProblem::DoesNotOpen, &altered).await;
    assert_eq!(expect_resync(&mut events).await, "undecryptable");
    peer.push("still here", json!(1)).await;
    assert_eq!(expect_message(&mut events).await.0, "still here");
}

#[tokio::test(start_paused = true)]
async fn the_edges_own_events_have_their_own_names() {
    let (_edge, mut peer, _client, mut events) = connected_v1(|builder| builder).await;
    peer.push("resync", json!({ "reason": "backplane" })).await;
    assert_eq!(expect_resync(&mut events).await, "backplane");
    peer.push_text(r#"{"event":"resync"}"#).await;
    assert_eq!(expect_resync(&mut events).await, "");
    peer.push("error", json!({ "message": "Decryption failed" })).await;
    match next(&mut events).await {
        Event::Error(Problem::Edge(text)) => assert_eq!(text, "Decryption failed"),
        other => panic!("{other:?}"),
    }
}

async fn expect_problem(events: &mut signal_client::Events, expected: FrameProblem, frame: &RawFrame) {
    match next(events).await {
        Event::Error(Problem::Frame(problem)) => assert_eq!(problem, expected, "{frame:?}"),
        other => panic!("{frame:?}: {other:?}"),
    }
}
