//! The layer below: one socket, no healing.

use std::net::IpAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use signal_client::{
    CloseCode, Disconnect, Endpoint, Protocol, Session,
    dial::Tcp,
    session::{FrameProblem, OpenError, RawFrame, Received, WriteError},
};
use signal_seal::DoesNotOpen;
use tokio::net::TcpListener;
use tokio_tungstenite::accept_async;

use crate::fake_edge::{FakeEdge, soon};

fn endpoint(pipe: crate::fake_edge::Pipe) -> Endpoint {
    Endpoint::new("ws://edge.test/stream").unwrap().dial_with(pipe).read_buffer(512)
}

#[tokio::test(start_paused = true)]
async fn a_session_talks_in_both_directions() {
    // Sealed in an envelope of v1, a message is a third larger.
    for (protocol, fits, too_large) in [(Protocol::V1, 98_000, 100_000), (Protocol::V2, 131_000, 131_072)] {
        let (mut edge, pipe) = FakeEdge::new();
        let endpoint = endpoint(pipe).protocol(protocol);
        let (session, mut peer) = tokio::join!(Session::open(&endpoint, "t"), edge.admit());
        let mut session = session.unwrap();
        assert_eq!(session.connected().user_id, "42");
        assert_eq!(session.connected().protocol, protocol);

        session.send("hello", &json!([1])).await.unwrap();
        assert_eq!(peer.hear().await, json!({ "event": "hello", "data": [1] }));
        // Larger than its buffer by far.
        let long = "x".repeat(300_000);
        peer.push("long", json!(long)).await;
        match session.receive().await.unwrap() {
            Received::Message(message) => assert_eq!(message.data::<String>().unwrap(), long),
            other => panic!("{other:?}"),
        }
        assert_eq!(session.send("large", &"x".repeat(too_large)).await, Err(WriteError::TooLarge));
        session.send("fits", &"x".repeat(fits)).await.unwrap();
        assert_eq!(peer.hear().await["event"], "fits");
        tokio::join!(peer.close(4007), async {
            match session.receive().await {
                Err(Disconnect::Closed(close)) => assert_eq!(close.code, 4007),
                other => panic!("{other:?}"),
            }
            drop(session);
        });
    }
}

#[tokio::test(start_paused = true)]
async fn raw_frames_go_both_ways() {
    for protocol in [Protocol::V1, Protocol::V2] {
        let (mut edge, pipe) = FakeEdge::new();
        let endpoint = endpoint(pipe).protocol(protocol);
        let (session, mut peer) = tokio::join!(Session::open(&endpoint, "t"), edge.admit());
        let (mut reader, mut writer) = session.unwrap().into_split();

        writer.send_raw(RawFrame::text("not json")).await.unwrap();
        assert_eq!(peer.hear_raw().await, Some(RawFrame::text("not json")));
        let sealed = peer.seal(r#"{"event":"x","data": 1}"#);
        peer.say_raw(sealed.clone()).await;
        let frame = reader.receive_raw().await.unwrap();
        assert_eq!(frame, sealed);
        assert_eq!(reader.open_raw(&frame.into_data()).unwrap(), br#"{"event":"x","data": 1}"#);
        writer.ping().await.unwrap();
        assert!(matches!(peer.hear_raw().await, Some(RawFrame::Ping(_))));
        writer.close_with(CloseCode::ProtocolViolation).await.unwrap();
        assert_eq!(peer.expect_close().await, Some(4006));
    }
}

#[tokio::test(start_paused = true)]
async fn frames_can_be_forged_for_an_edge_to_refuse() {
    let (mut edge, pipe) = FakeEdge::new();
    let endpoint = endpoint(pipe);
    let (session, mut peer) = tokio::join!(Session::open(&endpoint, "t"), edge.admit());
    let (mut reader, mut writer) = session.unwrap().into_split();

    let [first, second] = [br#"{"event":"first"}"#, br#"{"event":"later"}"#].map(|message| writer.seal(message));
    let truncated = RawFrame::binary(first.clone().into_data().slice(1..));
    let reflected = peer.seal(r#"{"event":"x"}"#);
    for forged in [&second, &truncated, &reflected, &RawFrame::text(r#"{"event":"x"}"#)] {
        writer.send_raw(forged.clone()).await.unwrap();
        let heard = peer.hear_raw().await.unwrap();
        assert_eq!(peer.open(&heard), Err(DoesNotOpen), "{forged:?}");
    }
    for (frame, message) in [(first.clone(), "first"), (second, "later")] {
        writer.send_raw(frame).await.unwrap();
        assert_eq!(peer.hear().await["event"], message);
    }
    writer.send_raw(first).await.unwrap();
    let replayed = peer.hear_raw().await.unwrap();
    assert_eq!(peer.open(&replayed), Err(DoesNotOpen));

    assert_eq!(reader.open_raw(b"too short"), Err(FrameProblem::DoesNotOpen));
    assert_eq!(reader.open_raw(&reflected.into_data()).unwrap(), br#"{"event":"x"}"#);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_not_split_closes_on_a_violation_by_itself() {
    let (mut edge, pipe) = FakeEdge::new();
    let endpoint = endpoint(pipe);
    let (session, mut peer) = tokio::join!(Session::open(&endpoint, "t"), edge.admit());
    let mut session = session.unwrap();
    peer.say_raw(RawFrame::text(r#"{"event":"push"}"#)).await;
    assert!(matches!(session.receive().await, Err(Disconnect::Violation(FrameProblem::NotSealed))));
    assert_eq!(peer.expect_close().await, Some(4006));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_tells_what_the_edge_said() {
    let (mut edge, pipe) = FakeEdge::new();
    let endpoint = endpoint(pipe);
    let refuse = async {
        let applicant = edge.accept().await.authenticate().await;
        applicant.refuse("Encryption handshake failed", 4004, "Encryption required").await;
    };
    let (session, ()) = tokio::join!(Session::open(&endpoint, "t"), refuse);
    match session.unwrap_err() {
        OpenError::Refused { close, said } => {
            assert_eq!((close.code, close.reason.as_str()), (4004, "Encryption required"));
            assert_eq!(said.as_deref(), Some("Encryption handshake failed"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn connections_come_from_the_address_that_was_chosen() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/stream", listener.local_addr().unwrap());
    let local: IpAddr = "127.0.3.1".parse().unwrap();
    let endpoint = Endpoint::new(&url).unwrap().dial_with(Tcp::from_address(local));
    let edge = async {
        let (stream, from) = listener.accept().await.unwrap();
        let mut socket = accept_async(stream).await.unwrap();
        let _authenticate = socket.next().await;
        socket.send(RawFrame::Close(None)).await.unwrap();
        from.ip()
    };
    let (session, from) = soon(async { tokio::join!(Session::open(&endpoint, "t"), edge) }).await;
    assert_eq!(from, local);
    assert!(matches!(session, Err(OpenError::Refused { close, .. }) if close.code == 1005));
}
