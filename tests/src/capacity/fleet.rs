//! Arithmetic: a load on a fleet, in units of work.

use super::{
    costs::UnitCosts,
    load::{Audience, Mix, Need},
};

/// How often an SDK says that it is there.
pub const HEARTBEAT_SECONDS: f64 = 30.0;
/// The default of `SIGNAL_DRAIN_WINDOW`.
pub const DRAIN_SECONDS: f64 = 20.0;
/// Of an edge's processor, at most so much is planned with: the rest is for peaks, and for who comes back when an edge
/// is lost.
pub const BUSY: f64 = 0.6;
/// Of Redis' one thread.
pub const REDIS_BUSY: f64 = 0.7;
/// Clients of one edge at most, so that losing it is no event. The default of `SIGNAL_MAX_CONNECTIONS`.
pub const CLIENTS_PER_EDGE: f64 = 100_000.0;
/// A processor each: what is for single people, an edge reads, seals and writes on one thread.
pub const CORES_PER_EDGE: f64 = 1.0;
/// Ethernet, IP and TCP around each frame of 1,500 bytes or less.
pub const HEADERS_BYTES: f64 = 66.0;
/// What a frame adds to its message: the tag of AES-GCM and the header of a WebSocket frame.
pub const SEAL_BYTES: f64 = 20.0;

#[derive(Clone, Copy, Debug)]
pub struct Fleet<'a> {
    pub costs: &'a UnitCosts,
    pub edges: f64,
    pub need: Need,
    pub mix: Mix,
}

impl Fleet<'_> {
    /// A second's publications to an audience, the edges that read each of them, and the clients that it is for.
    fn traffic(&self) -> impl Iterator<Item = (f64, f64, f64)> + '_ {
        self.mix.parts.iter().map(|&(share, audience)| {
            let size = audience.size(self.need.connections);
            let edges = match audience {
                Audience::Person => 1.0,
                // Members are anywhere: an edge is left out if each of them is elsewhere.
                Audience::Room(_) => self.edges * (1.0 - (1.0 - 1.0 / self.edges).powf(size)),
                Audience::Everybody => self.edges,
            };
            (share * self.need.messages / size, edges, size)
        })
    }

    /// What all edges hear and send, in processors.
    pub fn message_cores(&self) -> f64 {
        // One client's part is what it is in a broadcast; what a message to one person costs beyond that is hearing it.
        let part = self.costs.broadcast_us;
        let hearing = (self.costs.unicast_us - part).max(0.0);
        let cost = |(publications, edges, size): (f64, f64, f64)| publications * (edges * hearing + size * part);
        self.traffic().map(cost).sum::<f64>() / 1e6
    }

    pub fn heartbeat_cores(&self) -> f64 {
        self.need.connections / HEARTBEAT_SECONDS * self.costs.heartbeat_us / 1e6
    }

    /// What edges do while nobody says anything: looking for the silent, and telling each other that they are there.
    pub fn idle_cores(&self) -> f64 {
        let talk = self.edges * self.edges * self.costs.unicast_light_us;
        (self.edges * self.costs.idle_us_per_second + talk) / 1e6
    }

    pub fn cores(&self) -> f64 {
        self.message_cores() + self.heartbeat_cores() + self.idle_cores()
    }

    /// Of all edges, in GiB: their own, and the kernel's.
    pub fn memory_gib(&self) -> (f64, f64) {
        let own = self.edges * self.costs.edge_mib * 1024.0 + self.need.connections * self.costs.connection_kib;
        let kernel = self.need.connections * self.costs.kernel_socket_kib;
        (own / 1024.0 / 1024.0, kernel / 1024.0 / 1024.0)
    }

    /// Publications and deliveries to edges in a second.
    pub fn backplane(&self) -> (f64, f64) {
        self.traffic().fold((0.0, 0.0), |(publications, deliveries), (more, edges, _)| {
            (publications + more, deliveries + more * edges)
        })
    }

    /// What Redis is busy with, in threads; each server has one.
    pub fn redis_threads(&self) -> f64 {
        let (publications, deliveries) = self.backplane();
        (publications * self.costs.redis_publication_us + deliveries * self.costs.redis_delivery_us) / 1e6
    }

    /// If publications came one by one to a Redis that has nothing else to do: the most that they can cost.
    pub fn redis_threads_one_by_one(&self) -> f64 {
        let (publications, deliveries) = self.backplane();
        (publications * self.costs.redis_light_us + (deliveries - publications) * self.costs.redis_delivery_us) / 1e6
    }

    pub fn redis_servers(&self) -> f64 {
        (self.redis_threads() / REDIS_BUSY).ceil().max(1.0)
    }

    /// If every edge read what is for anybody, as one does that subscribes by patterns.
    pub fn redis_threads_by_pattern(&self) -> f64 {
        let (publications, _) = self.backplane();
        let deliveries = publications * self.edges;
        (publications * self.costs.redis_publication_us + deliveries * self.costs.redis_delivery_us) / 1e6
    }

    /// Gbit/s from the backplane to all edges, and from those to clients.
    pub fn network_gbit(&self) -> (f64, f64) {
        let (_, deliveries) = self.backplane();
        let frame = self.costs.publication_bytes + SEAL_BYTES + HEADERS_BYTES;
        (deliveries * self.costs.publication_bytes * 8.0 / 1e9, self.need.messages * frame * 8.0 / 1e9)
    }

    /// Seconds of one processor until so many clients are let in again.
    pub fn handshake_seconds(&self, clients: f64) -> f64 {
        clients * self.costs.handshake_us / 1e6
    }

    /// Processors that are left over on so many edges.
    pub fn spare(&self, edges: f64) -> f64 {
        (edges * CORES_PER_EDGE - self.cores()).max(0.0)
    }
}

/// How often a client moves, on average, while edges are replaced one after the other and those who must leave come to
/// any of the others, old or new. The edge that takes the place of the one that drains is there already.
pub fn moves_in_a_rollout(edges: f64) -> f64 {
    // Of those who leave, each edge that is still to go takes its share, and sends it away again.
    let share = 1.0 / (edges + 1.0);
    ((1.0 + share).powf(edges) - 1.0) / (edges * share)
}

/// What a fleet of a given size is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sizing {
    pub edges: f64,
    /// Clients of each while all are there.
    pub clients_per_edge: f64,
    /// Of a processor, while all are there.
    pub busy: f64,
    /// To be asked for by each.
    pub memory_mib: f64,
    /// Clients of an edge from which on another one is started.
    pub scale_at: f64,
    pub redis_servers: f64,
}

/// What an edge asks for at least, and in which steps.
const LEAST_MIB: f64 = 256.0;
const STEP_MIB: f64 = 128.0;
/// For what waits for slow readers and in lanes, beside a quarter of all the rest.
const WAITING_MIB: f64 = 64.0;
const RESERVE: f64 = 1.25;

/// Edges that are enough, and one more.
pub fn sizing(costs: &UnitCosts, need: Need, mix: Mix) -> Sizing {
    let enough = |edges: &f64| {
        let left = Fleet { costs, edges: *edges, need, mix };
        left.cores() <= BUSY * CORES_PER_EDGE * edges && need.connections <= CLIENTS_PER_EDGE * edges
    };
    let enough = (1..10_000).map(f64::from).find(enough).unwrap_or(f64::NAN);
    let fleet = Fleet { costs, edges: enough + 1.0, need, mix };
    let client_mib = (costs.connection_kib + costs.kernel_socket_kib) / 1024.0;
    let wanted = RESERVE * (costs.edge_mib + need.connections / enough * client_mib) + WAITING_MIB;
    let memory_mib = (wanted / STEP_MIB).ceil().max(LEAST_MIB / STEP_MIB) * STEP_MIB;
    let fit = ((memory_mib - WAITING_MIB) / RESERVE - costs.edge_mib) / client_mib;
    Sizing {
        edges: fleet.edges,
        clients_per_edge: need.connections / fleet.edges,
        busy: fleet.cores() / fleet.edges / CORES_PER_EDGE,
        memory_mib,
        // While one starts, those there are fill up further.
        scale_at: (0.8 * fit.min(CLIENTS_PER_EDGE) / 1000.0).floor() * 1000.0,
        redis_servers: fleet.redis_servers(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::load::{GOAL, MIXES, PEOPLE};

    const COSTS: UnitCosts = UnitCosts {
        cores: 2,
        edge_mib: 16.0,
        connection_kib: 4.0,
        kernel_socket_kib: 4.0,
        handshake_us: 200.0,
        idle_us_per_second: 0.0,
        heartbeat_us: 30.0,
        unicast_us: 12.0,
        unicast_light_us: 0.0,
        broadcast_us: 8.0,
        room_us: 9.0,
        room_size: 20,
        publication_bytes: 414.0,
        redis_publication_us: 2.0,
        redis_delivery_us: 3.0,
        redis_light_us: 7.0,
        redis_subscribing_us: 10.0,
        redis_connection_kib: 1.0,
        event_us: 50.0,
        row_us: 10.0,
    };

    fn fleet(mix: Mix) -> Fleet<'static> {
        Fleet { costs: &COSTS, edges: 10.0, need: GOAL, mix }
    }

    fn near(value: f64, expected: f64) {
        assert!((value - expected).abs() <= expected.abs() * 1e-3, "{value} instead of {expected}");
    }

    #[test]
    fn messages_to_people_cost_what_one_was_measured_to() {
        near(fleet(PEOPLE).message_cores(), 500e3 * 12.0 / 1e6);
        near(fleet(PEOPLE).heartbeat_cores(), 1e6 / 30.0 * 30.0 / 1e6);
        assert_eq!(fleet(PEOPLE).backplane(), (500e3, 500e3));
        near(fleet(PEOPLE).redis_threads(), 500e3 * 5.0 / 1e6);
        near(fleet(PEOPLE).redis_threads_by_pattern(), 500e3 * 32.0 / 1e6);
    }

    #[test]
    fn a_broadcast_is_heard_once_by_each_edge_and_sealed_for_everybody() {
        let [_, _, _, everybody, _] = MIXES;
        // Half a message a second.
        assert_eq!(fleet(everybody).backplane(), (0.5, 5.0));
        near(fleet(everybody).message_cores(), (500e3 * 8.0 + 5.0 * 4.0) / 1e6);
    }

    #[test]
    fn a_room_is_heard_by_edges_that_have_a_member() {
        let [_, small, large, _, _] = MIXES;
        let (publications, deliveries) = fleet(small).backplane();
        near(publications, 25e3);
        // Ten edges, twenty members: an edge has none of them once in eight times.
        near(deliveries / publications, 10.0 * (1.0 - 0.9f64.powi(20)));
        let (publications, deliveries) = fleet(large).backplane();
        near(deliveries / publications, 10.0);
    }

    #[test]
    fn memory_is_the_edges_own_and_the_kernels() {
        let (own, kernel) = fleet(PEOPLE).memory_gib();
        near(own, (1e6 * 4.0 + 10.0 * 16.0 * 1024.0) / 1024.0 / 1024.0);
        near(kernel, 1e6 * 4.0 / 1024.0 / 1024.0);
    }

    #[test]
    fn a_rollout_moves_some_clients_twice() {
        near(moves_in_a_rollout(1.0), 1.0);
        near(moves_in_a_rollout(2.0), (1.0 + 4.0 / 3.0) / 2.0);
        near(moves_in_a_rollout(3.0), (1.0 + 1.25 + 1.25 * 1.25) / 3.0);
        assert!(moves_in_a_rollout(1000.0) < std::f64::consts::E - 1.0);
    }

    #[test]
    fn a_fleet_does_without_one_of_its_edges() {
        let need = Need { connections: 250e3, messages: 50e3 };
        let sized = sizing(&COSTS, need, PEOPLE);
        // Three hold the clients, and have 0.85 of their 1.8 processors to do; a fourth may be lost.
        assert_eq!((sized.edges, sized.clients_per_edge, sized.redis_servers), (4.0, 62_500.0, 1.0));
        near(sized.busy, (0.6 + 0.25) / 4.0);
        let small = sizing(&COSTS, Need { connections: 10.0, messages: 1.0 }, PEOPLE);
        // 192 MiB, less a fifth and the edge's own 16, at 8 KiB each; four fifths of them.
        assert_eq!((small.edges, small.memory_mib, small.scale_at), (2.0, 256.0, 14_000.0));
    }
}
