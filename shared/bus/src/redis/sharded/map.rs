//! Who serves which slot. Pure: what nodes say comes in as [`View`]s.

use std::{collections::HashMap, ops::RangeInclusive, sync::Arc};

use redis::Value;

use super::slot::{SLOTS, Slot};
use crate::endpoint::Endpoint;

/// A master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) endpoint: Endpoint,
    id: String,
    /// Of its configuration: of two that claim a slot, the greater one has it.
    epoch: u64,
}

/// What one node believes. Its slots exist.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct View(Vec<(RangeInclusive<Slot>, Arc<Owner>)>);

#[derive(Clone, Debug)]
pub(super) struct Map(Box<[Option<Arc<Owner>>]>);

impl Default for Map {
    fn default() -> Self {
        Self(vec![None; SLOTS].into())
    }
}

impl Map {
    pub(super) fn owner(&self, slot: Slot) -> Option<&Endpoint> {
        self.0.get(usize::from(slot))?.as_deref().map(|owner| &owner.endpoint)
    }

    /// Each once.
    pub(super) fn owners(&self) -> Vec<Endpoint> {
        // Whole ranges have one owner: there are few to be compared by what they say.
        let mut owners: Vec<&Arc<Owner>> = self.0.iter().flatten().collect();
        owners.dedup_by(|one, other| Arc::ptr_eq(one, other));
        let mut owners: Vec<Endpoint> = owners.into_iter().map(|owner| owner.endpoint.clone()).collect();
        owners.sort();
        owners.dedup();
        owners
    }

    /// Takes over what is newer. A node that is behind, or cut off from the others, changes nothing.
    pub(super) fn merge(&mut self, view: &View) {
        for (slots, owner) in &view.0 {
            for current in &mut self.0[range(slots)] {
                if owner.is_newer_than(current.as_deref()) {
                    *current = Some(Arc::clone(owner));
                }
            }
        }
    }

    /// Whether [`Self::merge`] would change anything.
    pub(super) fn is_behind(&self, view: &View) -> bool {
        let mut claims =
            view.0.iter().flat_map(|(slots, owner)| self.0[range(slots)].iter().map(move |of| (of, owner)));
        claims.any(|(current, owner)| owner.is_newer_than(current.as_deref()))
    }
}

fn range(slots: &RangeInclusive<Slot>) -> RangeInclusive<usize> {
    usize::from(*slots.start())..=usize::from(*slots.end())
}

impl Owner {
    fn is_newer_than(&self, current: Option<&Owner>) -> bool {
        // A node that started elsewhere keeps its id and its epoch.
        current.is_none_or(|current| {
            self.epoch > current.epoch || (self.id == current.id && self.endpoint != current.endpoint)
        })
    }
}

impl View {
    /// From the answers to CLUSTER SLOTS, which has the addresses that clients are to use, and CLUSTER NODES, which has
    /// the epochs. `asked` stands for an address that a node does not know of itself.
    pub(super) fn read(slots: &Value, nodes: &str, asked: &Endpoint) -> Option<Self> {
        let epochs = epochs(nodes);
        let Value::Array(ranges) = slots else { return None };
        let mut view = Vec::new();
        for range in ranges {
            let Value::Array(range) = range else { return None };
            let [Value::Int(first), Value::Int(last), Value::Array(master), ..] = range.as_slice() else { return None };
            let [host, Value::Int(port), Value::BulkString(id), ..] = master.as_slice() else { return None };
            let host = match host {
                Value::Nil => asked.host.clone(),
                Value::BulkString(host) if host.is_empty() => asked.host.clone(),
                Value::BulkString(host) => String::from_utf8(host.clone()).ok()?,
                _ => return None,
            };
            let id = String::from_utf8(id.clone()).ok()?;
            let epoch = epochs.get(id.as_str()).copied().unwrap_or(0);
            let slots = slot_of(*first)?..=slot_of(*last)?;
            if slots.is_empty() {
                return None;
            }
            // A name that is configured and not known yet is a question mark.
            if host != "?" {
                let endpoint = Endpoint { host, port: u16::try_from(*port).ok()? };
                view.push((slots, Arc::new(Owner { endpoint, id, epoch })));
            }
        }
        // A node that is in no cluster knows of nobody.
        (!view.is_empty()).then_some(Self(view))
    }
}

fn slot_of(number: i64) -> Option<Slot> {
    Slot::try_from(number).ok().filter(|slot| usize::from(*slot) < SLOTS)
}

/// `<id> <address> <flags> <master> <ping> <pong> <epoch> <state> <slots>…`
fn epochs(nodes: &str) -> HashMap<&str, u64> {
    nodes
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next()?, words.nth(5)?.parse().ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(port: u16) -> Endpoint {
        Endpoint { host: "10.0.0.1".to_owned(), port }
    }

    fn view(claims: &[(RangeInclusive<Slot>, &str, u16, u64)]) -> View {
        let owner = |id: &str, port, epoch| Arc::new(Owner { endpoint: endpoint(port), id: id.to_owned(), epoch });
        View(claims.iter().map(|(slots, id, port, epoch)| (slots.clone(), owner(id, *port, *epoch))).collect())
    }

    /// Whether it has changed.
    fn told(map: &mut Map, claims: &[(RangeInclusive<Slot>, &str, u16, u64)]) -> bool {
        let (view, before) = (view(claims), map.0.clone());
        let is_behind = map.is_behind(&view);
        map.merge(&view);
        assert_eq!(is_behind, map.0 != before);
        is_behind
    }

    fn ports(map: &Map) -> [Option<u16>; 3] {
        [0, 100, 16383].map(|slot| map.owner(slot).map(|owner| owner.port))
    }

    #[test]
    fn of_two_that_claim_a_slot_the_greater_epoch_has_it() {
        let mut map = Map::default();
        assert_eq!(ports(&map), [None; 3]);
        assert!(told(&mut map, &[(0..=99, "a", 1, 1), (100..=16383, "b", 2, 2)]));
        assert_eq!(ports(&map), [Some(1), Some(2), Some(2)]);
        // One that is cut off still claims all.
        assert!(!told(&mut map, &[(0..=16383, "a", 1, 1)]));
        // Slots move, and whoever is behind does not call them back, whichever comes first.
        assert!(told(&mut map, &[(0..=100, "a", 1, 3), (101..=16383, "b", 2, 2)]));
        assert!(!told(&mut map, &[(0..=99, "a", 1, 1), (100..=16383, "b", 2, 2)]));
        assert_eq!(ports(&map), [Some(1), Some(1), Some(2)]);
        // A failover.
        assert!(told(&mut map, &[(101..=16383, "c", 3, 4)]));
        assert_eq!(ports(&map), [Some(1), Some(1), Some(3)]);
        assert_eq!(map.owners(), [endpoint(1), endpoint(3)]);
    }

    #[test]
    fn a_node_that_started_elsewhere_is_the_same() {
        let mut map = Map::default();
        assert!(told(&mut map, &[(0..=16383, "a", 1, 7)]));
        assert!(told(&mut map, &[(0..=16383, "a", 9, 7)]));
        assert_eq!(ports(&map), [Some(9); 3]);
        assert!(!told(&mut map, &[(0..=16383, "b", 2, 7)]));
    }

    #[test]
    fn is_read_from_what_nodes_answer() {
        let text = |text: &str| Value::BulkString(text.into());
        let node = |host, id| Value::Array(vec![host, Value::Int(7000), text(id), Value::Array(vec![])]);
        let range = |first, last, master| {
            Value::Array(vec![Value::Int(first), Value::Int(last), master, node(text("10.0.0.9"), "replica")])
        };
        let slots = Value::Array(vec![
            range(0, 99, node(text("cache-1.example"), "a")),
            range(100, 100, node(Value::Nil, "b")),
            range(101, 102, node(text("?"), "c")),
        ]);
        let nodes = "a 10.0.0.1:7000@17000,cache-1.example master - 0 1 12 connected 0-99\n\
                     b 10.0.0.2:7000@17000 myself,master - 0 0 3 connected 100 [101->-c]\n\
                     c :0@0 master,noaddr - 0 0 0 disconnected\n";
        let mut map = Map::default();
        map.merge(&View::read(&slots, nodes, &endpoint(1)).expect("valid"));
        assert_eq!(map.owner(99).map(ToString::to_string).as_deref(), Some("cache-1.example:7000"));
        assert_eq!(map.owner(100).map(ToString::to_string).as_deref(), Some("10.0.0.1:7000"));
        assert_eq!(map.owner(101), None);
        assert_eq!(map.0[5].as_ref().map(|owner| owner.epoch), Some(12));

        for odd in
            [Value::Nil, Value::Array(vec![Value::Nil]), Value::Array(vec![range(0, 16_384, node(text("a"), "a"))])]
        {
            assert_eq!(View::read(&odd, "", &endpoint(1)), None);
        }
    }
}
