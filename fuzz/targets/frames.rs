//! What a client says, text or binary: `ClientFrame` against an independent reading of the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use signal_fuzz::memory::within;
use signal_wire::{frame::ClientFrame, message, room};

fuzz_target!(|bytes: &[u8]| {
    let Ok(frame) = within(4, bytes, || ClientFrame::parse(bytes)) else { return };
    // An array of empty names costs three bytes each, a name in memory 24, and a list that grows twice that.
    let rooms = within(32, bytes, || frame.rooms());
    let offer = within(8, bytes, || frame.authenticate());

    let composed = message::compose(&frame.event, frame.data);
    assert!(composed.len() <= bytes.len() + 24, "composing adds the frame's own letters at most");
    let again = ClientFrame::parse(&composed).expect("what was composed is a frame");
    assert_eq!(again.event, frame.event);
    assert_eq!(again.data.map(|data| data.get()), frame.data.map(|data| data.get()));

    for room in rooms.iter().flatten() {
        assert_eq!(room::is_valid_name(room), {
            let units = room.encode_utf16().count();
            (1..=256).contains(&units) && !room.starts_with("ws:")
        });
    }

    // A `Value` refuses nesting and numbers that a frame passes over unread.
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return };
    assert!(value.is_object());
    assert_eq!(frame.event, value.get("event").and_then(Value::as_str).unwrap_or_default());
    let data = value.get("data");
    assert_eq!(frame.data.map(|data| serde_json::from_str(data.get()).expect("it is JSON")).as_ref(), data);
    let field = |name: &str| data.and_then(|data| data.get(name));
    if let Ok(rooms) = rooms {
        assert_eq!(field("rooms"), Some(&rooms.iter().map(|room| Value::from(&**room)).collect()));
    }
    if let Ok(token) = frame.refresh() {
        assert_eq!(field("token").and_then(Value::as_str), Some(&*token));
    }
    for (read, name) in [(offer.token, "token"), (offer.public_key, "publicKey"), (offer.scheme, "type")] {
        if let Some(text) = read {
            assert_eq!(field(name).and_then(Value::as_str), Some(&*text), "{name}");
        }
    }
});
