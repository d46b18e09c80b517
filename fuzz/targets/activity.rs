//! The value of a Kafka record: every field ends up where it belongs, and nothing that a database can't take gets by.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use signal_fuzz::memory::within;
use signal_wire::activity::{ActivityEvent, MAX_ID_BYTES};

const KNOWN: [&str; 9] =
    ["id", "type", "occurredAt", "organizerId", "merchantId", "userIds", "excludeUserIds", "actor", "data"];

fuzz_target!(|bytes: &[u8]| {
    // `{"":0}` is the dearest JSON there is: a map's first node has room for eleven entries.
    let Ok(event) = within(160, bytes, || ActivityEvent::parse(bytes)) else { return };
    let value: Value = serde_json::from_slice(bytes).expect("an event is JSON");
    let fields = value.as_object().expect("an event is an object");

    let scoped = event.organizer_id.is_some() || event.merchant_id.is_some() || !event.user_ids.is_empty();
    assert!(scoped, "somebody is meant");
    let ids = [&event.id, &event.organizer_id, &event.merchant_id].into_iter().flatten();
    let people = event.user_ids.iter().chain(&event.exclude_user_ids);
    let actor = event.actor.iter().map(|actor| &actor.id);
    for id in ids.chain(people).chain(actor).chain([&event.kind]) {
        assert!((1..=MAX_ID_BYTES).contains(&id.len()) && !id.contains('\0'), "{id:?}");
    }

    for (name, value) in fields {
        assert!(!name.contains('\0') && texts(value).all(|text| !text.contains('\0')), "{name:?}");
        if !KNOWN.contains(&name.as_str()) {
            assert_eq!(event.unknown.get(name), Some(value), "an unknown field is kept");
        }
    }
    for name in KNOWN {
        assert!(!event.unknown.contains_key(name), "{name} is known");
    }
    let listed = |name: &str| fields.get(name).and_then(Value::as_array).map_or(0, Vec::len);
    assert_eq!((event.user_ids.len(), event.exclude_user_ids.len()), (listed("userIds"), listed("excludeUserIds")));
    assert_eq!(event.data, fields.get("data").and_then(Value::as_object).cloned().unwrap_or_default());
});

/// Every text in a value, names included.
fn texts(value: &Value) -> Box<dyn Iterator<Item = &str> + '_> {
    match value {
        Value::String(text) => Box::new([text.as_str()].into_iter()),
        Value::Array(items) => Box::new(items.iter().flat_map(texts)),
        Value::Object(fields) => Box::new(fields.iter().flat_map(|(name, value)| texts(value).chain([name.as_str()]))),
        _ => Box::new([].into_iter()),
    }
}
