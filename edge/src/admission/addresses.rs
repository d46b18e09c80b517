//! How many connections each address has.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use parking_lot::Mutex;

/// Counts for as long as somebody is there; an address without connections costs nothing.
#[derive(Debug)]
pub(super) struct Addresses {
    /// 0 is no limit.
    limit: u32,
    held: Mutex<HashMap<IpAddr, u32>>,
}

/// One connection's place among those of its address; dropping it gives the place back.
#[derive(Debug)]
pub(crate) struct Slot(Option<(Arc<Addresses>, IpAddr)>);

impl Addresses {
    pub(super) fn new(limit: u32) -> Arc<Self> {
        Arc::new(Self { limit, held: Mutex::default() })
    }

    /// `None` if the address has all that it may have.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr) -> Option<Slot> {
        if self.limit == 0 {
            return Some(Slot(None));
        }
        let address = subscriber(address);
        let mut held = self.held.lock();
        let count = held.entry(address).or_default();
        if *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(Slot(Some((Arc::clone(self), address))))
    }
}

/// What one subscriber has: an IPv4 address, or an IPv6 /64, whose other half is theirs to choose (RFC 6177).
fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some((addresses, address)) = &self.0 else { return };
        if let Entry::Occupied(mut entry) = addresses.held.lock().entry(*address) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_given_back_and_then_had_again() {
        let addresses = Addresses::new(2);
        let an = "192.0.2.1".parse().unwrap();
        let (first, _second) = (addresses.take(an).unwrap(), addresses.take(an).unwrap());
        assert!(addresses.take(an).is_none());
        assert!(addresses.take("192.0.2.2".parse().unwrap()).is_some(), "another address has its own");
        drop(first);
        assert!(addresses.take(an).is_some());
    }

    #[test]
    fn nobody_is_remembered_who_is_gone() {
        let addresses = Addresses::new(1);
        drop(addresses.take("192.0.2.1".parse().unwrap()));
        assert!(addresses.held.lock().is_empty());
    }

    #[test]
    fn an_ipv6_subscriber_is_one_whatever_the_interface() {
        let addresses = Addresses::new(1);
        let _held = addresses.take("2001:db8:1:2::1".parse().unwrap()).unwrap();
        assert!(addresses.take("2001:db8:1:2:ffff::9".parse().unwrap()).is_none());
        assert!(addresses.take("2001:db8:1:3::1".parse().unwrap()).is_some());
        let _mapped = addresses.take("::ffff:192.0.2.1".parse().unwrap()).unwrap();
        assert!(addresses.take("192.0.2.1".parse().unwrap()).is_none(), "an IPv4 address in IPv6 clothes");
    }

    #[test]
    fn no_limit_counts_nothing() {
        let addresses = Addresses::new(0);
        let an = "192.0.2.1".parse().unwrap();
        let _slots: Vec<_> = (0..100).map(|_| addresses.take(an).unwrap()).collect();
        assert!(addresses.held.lock().is_empty());
    }
}
