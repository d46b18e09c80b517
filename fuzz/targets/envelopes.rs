//! What sister services say on the backplane. The first line is the channel, the rest the payload.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use signal_fuzz::memory::within;
use signal_wire::{
    envelope::{Envelope, Target},
    frame::ClientFrame,
    message,
};

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let (Some(channel), Some(payload)) = (parts.next(), parts.next()) else { return };
    let Ok(channel) = str::from_utf8(channel) else { return };

    if let Some(target) = Target::of_channel(channel) {
        assert_eq!(target.channel(), channel);
    }
    // An excluded client costs three bytes at least, and 24 in memory; a list that grows has twice that.
    let Ok((target, envelope)) = within(32, bytes, || Envelope::decode(channel, payload)) else { return };
    assert_eq!(target.channel(), channel);
    if let Ok(value) = serde_json::from_slice::<Value>(payload) {
        let mut parts = channel.splitn(3, ':').skip(1);
        assert_eq!(value["type"].as_str(), parts.next(), "type and target are the channel's");
        assert_eq!(value["target"].as_str(), parts.next(), "type and target are the channel's");
    }

    let encoded = envelope.encode();
    assert!(encoded.len() <= payload.len(), "encoding leaves out, and adds nothing");
    let (same_target, same) = Envelope::decode(channel, &encoded).expect("what was encoded decodes");
    assert_eq!(same_target, target);
    assert_eq!(same.encode(), encoded, "one envelope has one form");
    assert_eq!(
        (&same.server_id, &same.event, &same.exclude),
        (&envelope.server_id, &envelope.event, &envelope.exclude)
    );
    assert_eq!(same.traceparent, envelope.traceparent);
    assert_eq!(same.data.map(|data| data.get()), envelope.data.map(|data| data.get()), "data to the byte");

    let pushed = message::compose(&envelope.event, envelope.data);
    let heard = ClientFrame::parse(&pushed).expect("what a client is sent is a message");
    assert_eq!(heard.event, envelope.event);
    assert_eq!(heard.data.map(|data| data.get()), envelope.data.map(|data| data.get()));
});
