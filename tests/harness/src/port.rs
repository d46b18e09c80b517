//! Ports that nobody else takes, also while the server on them is down.

use std::{
    fs::{self, File},
    net::TcpListener,
    process,
    sync::atomic::{AtomicU16, Ordering},
};

/// Below the range from which the kernel picks ports of outgoing connections, so that a
/// stopped server finds its port free when it comes back.
const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port of 127.0.0.1 that is free and stays reserved for this process: a lock file per port
/// keeps test binaries that run at the same time apart.
pub fn free_port() -> u16 {
    let leases = std::env::temp_dir().join("signal-harness-ports");
    fs::create_dir_all(&leases).unwrap();
    let seed = (process::id() % u32::from(COUNT)) as u16;
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_mul(7).wrapping_add(seed);
        let port = FIRST + step % COUNT;
        let lease = File::create(leases.join(port.to_string())).unwrap();
        if lease.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            // The lock lives as long as the file is open: until this process ends.
            std::mem::forget(lease);
            return port;
        }
    }
    panic!("no free port between {FIRST} and {}", FIRST + COUNT);
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    #[test]
    fn never_gives_a_port_twice() {
        let ports: HashSet<u16> = (0..200).map(|_| super::free_port()).collect();
        assert_eq!(ports.len(), 200);
    }
}
