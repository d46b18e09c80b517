use proptest::prelude::*;

use super::*;

fn message(subject: &str, payload: &[u8]) -> Op {
    Op::Message(Message {
        subject: Bytes::copy_from_slice(subject.as_bytes()),
        payload: Bytes::copy_from_slice(payload),
    })
}

/// All ops of `bytes`, which come in pieces of `piece`.
fn ops(bytes: &[u8], piece: usize) -> Result<Vec<Op>, ProtocolError> {
    let (mut buffer, mut ops) = (BytesMut::new(), Vec::new());
    for piece in bytes.chunks(piece) {
        buffer.extend_from_slice(piece);
        while let Some(op) = read(&mut buffer)? {
            ops.push(op);
        }
    }
    assert!(buffer.is_empty(), "{buffer:?}");
    Ok(ops)
}

#[test]
fn what_a_server_says_comes_in_any_pieces() {
    let said = b"INFO {\"server_id\":\"A\",\"max_payload\":1048576,\"connect_urls\":[\"10.0.0.1:4222\"],\"ldm\":true,\"new\":[1]}\r\n\
        PING\r\n+OK\r\nMSG ws.room.a 7 5\r\nPING\n\r\nMSG a 1 _INBOX.x 0\r\n\r\nPONG\r\n-ERR 'Slow Consumer'\r\n";
    let info = Info {
        max_payload: Some(1_048_576),
        connect_urls: vec!["10.0.0.1:4222".to_owned()],
        ldm: true,
        ..Info::default()
    };
    let expected = [
        Op::Info(Box::new(info)),
        Op::Ping,
        message("ws.room.a", b"PING\n"),
        message("a", b""),
        Op::Pong,
        Op::Err("Slow Consumer".to_owned()),
    ];
    for piece in 1..said.len() {
        assert_eq!(ops(said, piece).expect("valid"), expected, "{piece}");
    }
}

#[test]
fn what_a_server_cannot_mean() {
    for (said, error) in [
        ("HTTP/1.1 400 Bad Request\r\n", ProtocolError::Unknown),
        ("HMSG a 1 12 17\r\n", ProtocolError::Unknown),
        ("\r\n", ProtocolError::Unknown),
        ("INFO {\r\n", ProtocolError::Info),
        ("MSG a 1\r\n", ProtocolError::Message),
        ("MSG a 1 x\r\n", ProtocolError::Message),
        ("MSG a 1 99999999999\r\n", ProtocolError::Message),
        ("MSG a 1 1\r\nabc\r\n", ProtocolError::Message),
    ] {
        assert_eq!(read(&mut BytesMut::from(said)), Err(error), "{said}");
    }
    let endless = BytesMut::from(&vec![b'x'; LONGEST_LINE][..]);
    assert_eq!(read(&mut endless.clone()), Err(ProtocolError::Line));
}

#[test]
fn what_a_client_says() {
    let mut said = Vec::new();
    connect(Some(&Login::Token("t\"".to_owned())), true, &mut said);
    subscribe(|to| subject::write("ws:room:a b", to), 7, &mut said);
    unsubscribe(7, &mut said);
    publish(&Publication { channel: "ws:broadcast".to_owned(), payload: Bytes::from_static(b"{}\r\n") }, &mut said);
    let expected = format!(
        "CONNECT {{\"verbose\":false,\"pedantic\":false,\"tls_required\":true,\"name\":\"signal\",\"lang\":\"rust\",\
         \"version\":\"{}\",\"protocol\":1,\"auth_token\":\"t\\\"\"}}\r\n\
         SUB ws.room.a%20b 7\r\nUNSUB 7\r\nPUB ws.broadcast 4\r\n{{}}\r\n\r\n",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(String::from_utf8(said).expect("text"), expected);
}

proptest! {
    #[test]
    fn nothing_that_comes_is_too_odd(bytes in prop::collection::vec(any::<u8>(), 0..200), piece in 1..50usize) {
        let mut buffer = BytesMut::new();
        for piece in bytes.chunks(piece) {
            buffer.extend_from_slice(piece);
            while let Ok(Some(_)) = read(&mut buffer) {}
        }
        // A message that is announced makes room for itself, and for no more than a server may send.
        prop_assert!(buffer.capacity() <= LARGEST_PAYLOAD + 4096);
    }

    #[test]
    fn payloads_are_bytes(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..10), piece in 1..40usize) {
        let mut said = Vec::new();
        for payload in &payloads {
            said.extend_from_slice(format!("MSG a 1 {}\r\n", payload.len()).as_bytes());
            said.extend_from_slice(payload);
            said.extend_from_slice(b"\r\n");
        }
        let expected: Vec<_> = payloads.iter().map(|payload| message("a", payload)).collect();
        prop_assert_eq!(ops(&said, piece.min(said.len().max(1))).expect("valid"), expected);
    }
}
