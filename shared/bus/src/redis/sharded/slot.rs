//! Which of a cluster's slots a channel is in: CRC-16 (XMODEM) of its hash tag, or of all of it, by the Redis Cluster
//! specification.

pub(super) type Slot = u16;

pub(super) const SLOTS: usize = 16384;

pub(super) fn slot(channel: &str) -> Slot {
    crc16(hashed(channel.as_bytes())) % SLOTS as u16
}

/// What lies between the first `{` and the first `}` behind it, unless nothing does.
fn hashed(channel: &[u8]) -> &[u8] {
    let tag = || {
        let behind = &channel[channel.iter().position(|&byte| byte == b'{')? + 1..];
        let end = behind.iter().position(|&byte| byte == b'}')?;
        (end > 0).then(|| &behind[..end])
    };
    tag().unwrap_or(channel)
}

const TABLE: [u16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, &byte| (crc << 8) ^ TABLE[usize::from((crc >> 8) as u8 ^ byte)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_one_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        for (channel, expected) in [("foo", 12182), ("", 0), ("123456789", 0x31C3)] {
            assert_eq!(slot(channel), expected, "{channel}");
        }
    }

    #[test]
    fn a_hash_tag_stands_for_the_whole() {
        for (channel, hashed) in [
            ("{user1000}.following", "user1000"),
            ("ws:room:{foo}{bar}", "foo"),
            ("foo{{bar}}zap", "{bar"),
            ("foo{}{bar}", "foo{}{bar}"),
            ("foo{bar", "foo{bar"),
            ("}foo{", "}foo{"),
        ] {
            assert_eq!(slot(channel), crc16(hashed.as_bytes()) % 16384, "{channel}");
        }
    }
}
