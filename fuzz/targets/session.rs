//! The session machine, through the talk of one client. Each line is a message; one that begins with `!` is sealed by
//! the client first, one with `~` is sealed and then damaged, and `=` lets a token that is being checked be accepted.
#![no_main]

// The machine is private to the edge, and pure: it is compiled here as it stands, so that nobody can give it a clock
// or a socket without this noticing, and fuzzing needs neither the edge's servers nor a door into its inside.
#[allow(dead_code)]
#[path = "../../edge/src/session/machine.rs"]
mod machine;

use libfuzzer_sys::fuzz_target;
use machine::{After, Before, Greeting, PlaintextInbound, Wrapping, after, before};
use signal_fuzz::{memory::within, shared_key};
use signal_seal::{Side, v1::Cipher};
use signal_wire::{
    frame::ClientFrame,
    message::{error, event},
};

/// Lists of rooms grow by doubling, 24 bytes for every three.
const FACTOR: usize = 32;

fuzz_target!(|bytes: &[u8]| {
    for policy in [PlaintextInbound::Compat, PlaintextInbound::HeartbeatOnly] {
        let mut lines = bytes.split(|byte| *byte == b'\n');
        if greet(&mut lines) {
            talk(lines, policy);
        }
    }
});

/// Until the client is somebody; `false` if it never becomes that.
fn greet<'a>(lines: &mut impl Iterator<Item = &'a [u8]>) -> bool {
    let mut greeting = Greeting::Fresh;
    for line in lines {
        if line == b"=" && greeting == Greeting::Checking {
            return true;
        }
        match within(FACTOR, line, || before(line, greeting)) {
            Before::Authenticate(_) => {
                assert_eq!(greeting, Greeting::Fresh, "one token is checked at a time");
                greeting = Greeting::Checking;
            }
            Before::Error(text) => assert_eq!(text == error::INVALID_FORMAT, ClientFrame::parse(line).is_err()),
            Before::Silence => {
                let frame = ClientFrame::parse(line).expect("what is no frame is told so");
                assert!(frame.event.is_empty() || frame.is_heartbeat());
            }
        }
    }
    false
}

fn talk<'a>(lines: impl Iterator<Item = &'a [u8]>, policy: PlaintextInbound) {
    let (mut edge, mut client) = (shared_key::v1(Side::Edge), shared_key::v1(Side::Client));
    for line in lines {
        let Some((mark @ (b'!' | b'~'), message)) = line.split_first() else {
            hear(&edge, line, policy);
            continue;
        };
        let mut sealed = Vec::new();
        client.sealer().seal(message, &mut Vec::new(), &mut sealed);
        let damage = sealed.len() - 4 - message.len() % 16;
        if *mark == b'~' {
            sealed[damage] = if sealed[damage] == b'A' { b'B' } else { b'A' };
        }
        let opened = hear(&edge, &sealed, policy);
        assert_eq!(opened.as_deref(), (*mark == b'!').then_some(message), "what was sealed opens, unless damaged");
    }
    // What the edge says opens at the other end, whatever the client has said.
    let mut pushed = Vec::new();
    edge.sealer().seal(b"{\"event\":\"x\"}", &mut Vec::new(), &mut pushed);
    assert_eq!(hear(&client, &pushed, policy).as_deref(), Some(&b"{\"event\":\"x\"}"[..]));
}

/// What a live session does with a message; the plaintext, if it was an envelope that opens.
fn hear(cipher: &Cipher, message: &[u8], policy: PlaintextInbound) -> Option<Vec<u8>> {
    let meaning = within(FACTOR, message, || after(message, Wrapping::Plain, policy));
    if let After::Open(sealed) = meaning {
        let plaintext = within(2, message, || cipher.open(&sealed)).ok()?;
        let inner = within(FACTOR, &plaintext, || after(&plaintext, Wrapping::Sealed, policy));
        assert!(!matches!(inner, After::Open(_)), "an envelope within an envelope is not opened");
        // But for envelopes, a message means the same whether it was sealed or not.
        let envelope = ClientFrame::parse(&plaintext).is_ok_and(|frame| frame.event == event::ENCRYPTED);
        let plain = after(&plaintext, Wrapping::Plain, PlaintextInbound::Compat);
        assert!(envelope || format!("{inner:?}") == format!("{plain:?}"));
        return Some(plaintext);
    }
    if policy == PlaintextInbound::HeartbeatOnly {
        assert!(
            !matches!(meaning, After::Join(_) | After::Leave(_) | After::Refresh(_)),
            "only envelopes ask for anything"
        );
    }
    None
}
