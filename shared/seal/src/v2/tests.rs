use super::*;
use proptest::prelude::*;

const SALT: [u8; SALT_BYTES] = [1; SALT_BYTES];

/// A sealing end that has sealed `counter` frames before.
pub(crate) fn sealing_at(key: SessionKey, counter: u64) -> Sealing {
    Sealing { key, counter }
}

pub(crate) fn opening_at(key: SessionKey, counter: u64) -> Opening {
    Opening { key, counter }
}

fn cipher(side: Side) -> Cipher {
    let transcript = Transcript::new(&[4; 65], &[5; 65], &SALT, &[6; 16]);
    Cipher::new(&SharedSecret([7; 32]), &SALT, &transcript, side)
}

fn ends() -> (Cipher, Cipher) {
    (cipher(Side::Edge), cipher(Side::Client))
}

fn messages() -> impl Strategy<Value = Vec<Vec<u8>>> {
    proptest::collection::vec(any::<Vec<u8>>(), 0..12)
}

fn seal(cipher: &mut Cipher, plaintext: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    cipher.sealer().seal(plaintext, &mut out);
    out
}

#[test]
fn an_idle_connection_costs_two_keys_and_two_counters() {
    assert_eq!(size_of::<Cipher>(), 2 * (32 + 8));
}

#[test]
fn debug_output_has_no_key() {
    let key = SessionKey([0xab; 32]);
    let printed = format!("{:?} {:?}", cipher(Side::Edge), sealing_at(key, 3));
    assert!(!printed.contains("171") && !printed.contains("ab"), "{printed}");
}

#[test]
fn a_run_of_frames_is_sealed_behind_what_is_there() {
    let (mut edge, mut client) = ends();
    let mut out = b"header".to_vec();
    let mut sealer = edge.sealer();
    sealer.seal(b"one", &mut out);
    sealer.seal(b"", &mut out);
    assert_eq!(out.len(), 6 + sealed_len(3) + sealed_len(0));
    assert_eq!(&out[..6], b"header");
    assert_eq!(client.open(&out[6..6 + sealed_len(3)]).unwrap(), b"one");
    assert_eq!(client.open(&out[6 + sealed_len(3)..]).unwrap(), b"");
}

#[test]
fn equal_messages_never_look_alike() {
    let (mut edge, mut client) = ends();
    let frames = [seal(&mut edge, b"x"), seal(&mut edge, b"x"), seal(&mut client, b"x"), seal(&mut client, b"x")];
    for (at, frame) in frames.iter().enumerate() {
        assert!(!frames[..at].contains(frame));
    }
}

#[test]
fn another_handshake_has_other_keys() {
    let other = |client: u8, server: u8, salt: u8, id: u8, secret: u8| {
        let transcript = Transcript::new(&[client; 65], &[server; 65], &[salt; 32], &[id; 16]);
        Cipher::new(&SharedSecret([secret; 32]), &[salt; 32], &transcript, Side::Client)
    };
    let frame = seal(&mut cipher(Side::Edge), b"x");
    assert!(other(4, 5, 1, 6, 7).open(&frame).is_ok());
    for mut client in
        [other(9, 5, 1, 6, 7), other(4, 9, 1, 6, 7), other(4, 5, 9, 6, 7), other(4, 5, 1, 9, 7), other(4, 5, 1, 6, 9)]
    {
        assert_eq!(client.open(&frame), Err(DoesNotOpen));
    }
}

/// Between two frames that are as they should be, `disturb` may do what it likes with the second.
fn the_due_frame_still_opens(
    first: &[u8],
    second: &[u8],
    disturb: impl FnOnce(&mut Cipher, &mut Cipher, &[u8], &[u8]) -> Result<(), TestCaseError>,
) -> Result<(), TestCaseError> {
    let (mut edge, mut client) = ends();
    let (one, two) = (seal(&mut edge, first), seal(&mut edge, second));
    prop_assert_eq!(&client.open(&one).unwrap()[..], first);
    disturb(&mut edge, &mut client, &one, &two)?;
    prop_assert_eq!(&client.open(&two).unwrap()[..], second);
    Ok(())
}

proptest! {
    #[test]
    fn sealed_messages_open_at_the_other_end(from_edge in messages(), from_client in messages()) {
        let (mut edge, mut client) = ends();
        for message in &from_edge {
            let frame = seal(&mut edge, message);
            prop_assert_eq!(frame.len(), sealed_len(message.len()));
            prop_assert_eq!(&client.open(&frame).unwrap(), message);
        }
        let (mut sealing, mut opening) = (client.into_split().0, edge.into_split().1);
        for message in &from_client {
            let mut frame = Vec::new();
            sealing.sealer().seal(message, &mut frame);
            prop_assert_eq!(&opening.open(&frame).unwrap(), message);
        }
    }

    #[test]
    fn a_replayed_frame_does_not_open(first: Vec<u8>, second: Vec<u8>, times in 1..4) {
        the_due_frame_still_opens(&first, &second, |_, client, one, _| {
            for _ in 0..times {
                prop_assert_eq!(client.open(one), Err(DoesNotOpen));
            }
            Ok(())
        })?;
    }

    #[test]
    fn a_frame_before_its_turn_does_not_open(first: Vec<u8>, second: Vec<u8>, dropped in 1usize..5) {
        the_due_frame_still_opens(&first, &second, |edge, client, _, _| {
            for _ in 0..dropped {
                let early = seal(edge, &first);
                prop_assert_eq!(client.open(&early), Err(DoesNotOpen));
            }
            Ok(())
        })?;
    }

    #[test]
    fn a_reflected_frame_does_not_open(first: Vec<u8>, second: Vec<u8>) {
        the_due_frame_still_opens(&first, &second, |edge, client, one, two| {
            // One was its frame number 0, two its number 1: both counters are tried.
            prop_assert_eq!(edge.open(one), Err(DoesNotOpen));
            let own = seal(client, &first);
            prop_assert_eq!(client.open(&own), Err(DoesNotOpen));
            prop_assert!(edge.open(&own).is_ok());
            prop_assert_eq!(edge.open(two), Err(DoesNotOpen));
            let own = seal(client, &first);
            prop_assert_eq!(client.open(&own), Err(DoesNotOpen));
            Ok(())
        })?;
    }

    #[test]
    fn a_truncated_or_longer_frame_does_not_open(
        first: Vec<u8>,
        second: Vec<u8>,
        at: proptest::sample::Index,
        more in proptest::collection::vec(any::<u8>(), 1..20),
    ) {
        the_due_frame_still_opens(&first, &second, |_, client, _, two| {
            prop_assert_eq!(client.open(&two[..at.index(two.len())]), Err(DoesNotOpen));
            prop_assert_eq!(client.open(&two[1..]), Err(DoesNotOpen));
            prop_assert_eq!(client.open(&[two, &more].concat()), Err(DoesNotOpen));
            prop_assert_eq!(client.open(&[&more, two].concat()), Err(DoesNotOpen));
            Ok(())
        })?;
    }

    #[test]
    fn a_frame_with_a_flipped_bit_does_not_open(
        first: Vec<u8>,
        second: Vec<u8>,
        at: proptest::sample::Index,
        bit in 0..8u8,
    ) {
        the_due_frame_still_opens(&first, &second, |_, client, _, two| {
            let mut flipped = two.to_vec();
            flipped[at.index(two.len())] ^= 1 << bit;
            prop_assert_eq!(client.open(&flipped), Err(DoesNotOpen));
            Ok(())
        })?;
    }

    #[test]
    fn any_bytes_open_or_not_without_panic(first: Vec<u8>, second: Vec<u8>, bytes: Vec<u8>) {
        the_due_frame_still_opens(&first, &second, |_, client, _, two| {
            prop_assume!(bytes != two);
            prop_assert_eq!(client.open(&bytes), Err(DoesNotOpen));
            Ok(())
        })?;
    }

    #[test]
    fn counters_go_on_wherever_they_are(counter in 0..u64::MAX - 3) {
        let (mut sealing, mut opening) =
            (sealing_at(SessionKey([7; 32]), counter), opening_at(SessionKey([7; 32]), counter));
        for message in [&b"one"[..], b"two", b"three"] {
            let mut frame = Vec::new();
            sealing.sealer().seal(message, &mut frame);
            prop_assert_eq!(&opening.open(&frame).unwrap()[..], message);
        }
        prop_assert_eq!((sealing.counter, opening.counter), (counter + 3, counter + 3));
    }
}

/// A nonce that came round again would give the plaintexts of two frames away.
#[test]
#[should_panic(expected = "2^64 frames")]
fn a_counter_never_comes_round() {
    let mut sealing = sealing_at(SessionKey([7; 32]), u64::MAX - 1);
    sealing.sealer().seal(b"x", &mut Vec::new());
    sealing.sealer().seal(b"x", &mut Vec::new());
}
