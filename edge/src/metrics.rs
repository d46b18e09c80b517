//! Every metric of the edge, named once.

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use signal_wire::{close::CloseCode, control::Counts, protocol::Protocol};
use std::time::Duration;

use crate::admission::NotAdmitted;

const CONNECTIONS: &str = "signal_edge_connections";
const MAX_CONNECTIONS: &str = "signal_edge_max_connections";
const SOCKETS: &str = "signal_edge_sockets";
const HANDSHAKES: &str = "signal_edge_handshakes_total";
const HANDSHAKE_SECONDS: &str = "signal_edge_handshake_seconds";
const PHASE_SECONDS: &str = "signal_edge_handshake_phase_seconds";
const CLOSES: &str = "signal_edge_closes_total";
const INBOUND: &str = "signal_edge_inbound_messages_total";
const INBOUND_REFUSED: &str = "signal_edge_inbound_refused_total";
const OUTBOUND: &str = "signal_edge_outbound_messages_total";
const DROPPED: &str = "signal_edge_dropped_messages_total";
const BUS_MESSAGES: &str = "signal_edge_bus_messages_total";
const BUS_REFUSED: &str = "signal_edge_bus_refused_total";
const RESYNCS: &str = "signal_edge_resyncs_total";
const OUTBOUND_WAITING: &str = "signal_edge_outbound_waiting_bytes";
const FANOUT_WAITING: &str = "signal_edge_fanout_waiting_bytes";
const SUBSCRIPTIONS: &str = "signal_edge_subscriptions";
const USERS: &str = "signal_edge_users";
const ROOMS: &str = "signal_edge_rooms";
const UPGRADES_REFUSED: &str = "signal_edge_upgrades_refused_total";
const CONTROL_REQUESTS: &str = "signal_edge_control_requests_total";
const CONTROL_REFUSED: &str = "signal_edge_control_refused_total";
const PEERS: &str = "signal_edge_peers";
const BUS_LAG: &str = "signal_edge_bus_lag_seconds";
const BUS_LOSSES: &str = "signal_edge_bus_losses_total";
const RECONNECTS: &str = "signal_edge_reconnects_announced_total";
const NOT_ADMITTED: &str = "signal_edge_not_admitted_total";
const ACCEPT_HELD: &str = "signal_edge_accept_held_total";

/// Why a message is dropped that waits for those before it.
pub(crate) const FANOUT_LAG: &str = "fanout_lag";

/// Says what each metric means and counts; called once the recorder is installed.
pub(crate) fn describe() {
    describe_gauge!(CONNECTIONS, "Authenticated clients by version of the protocol.");
    describe_gauge!(MAX_CONNECTIONS, "WebSockets that this edge accepts at most.");
    describe_gauge!(SOCKETS, "Open WebSockets by state: greeting, live, closing.");
    describe_counter!(HANDSHAKES, "Ended handshakes by result.");
    describe_histogram!(HANDSHAKE_SECONDS, Unit::Seconds, "From authenticate to connected.");
    describe_histogram!(PHASE_SECONDS, Unit::Seconds, "What a handshake spends its time on, by phase.");
    describe_counter!(CLOSES, "Closes begun by this edge, by code.");
    describe_counter!(INBOUND, "Messages from clients by kind.");
    describe_counter!(INBOUND_REFUSED, "Messages from clients that were refused, by reason.");
    describe_counter!(OUTBOUND, "Messages pushed to clients, one for each client.");
    describe_counter!(DROPPED, "Messages dropped on the way out, by reason.");
    describe_counter!(BUS_MESSAGES, "Envelopes read from the backplane.");
    describe_counter!(BUS_REFUSED, "Payloads from the backplane that were dropped, by reason.");
    describe_gauge!(OUTBOUND_WAITING, Unit::Bytes, "What waits for clients that read slowly, at the last look.");
    describe_gauge!(FANOUT_WAITING, Unit::Bytes, "Messages that wait for those before them to be sent.");
    describe_gauge!(SUBSCRIPTIONS, "Channels of the backplane that this edge hears one by one.");
    describe_gauge!(USERS, "Users with at least one client.");
    describe_gauge!(ROOMS, "Rooms that clients have joined.");
    describe_counter!(RESYNCS, "Times that all clients were told to read again.");
    describe_counter!(UPGRADES_REFUSED, "Requests for the stream that were no WebSocket upgrade.");
    describe_counter!(CONTROL_REQUESTS, "Requests to the other edges, by kind and result.");
    describe_counter!(CONTROL_REFUSED, "Messages between edges that were dropped, by reason.");
    describe_gauge!(PEERS, "Other edges that are there.");
    describe_histogram!(BUS_LAG, Unit::Seconds, "From a publication to the backplane until this edge hears it itself.");
    describe_counter!(BUS_LOSSES, "Times that the connection to the backplane was lost.");
    gauge!(PEERS).set(0.0);
    describe_counter!(RECONNECTS, "Clients that were told to come back to another edge.");
    describe_counter!(NOT_ADMITTED, "Connections that were refused, by the limit that they would exceed.");
    describe_counter!(ACCEPT_HELD, "Times that accepting waited for SIGNAL_MAX_HANDSHAKES.");
    for state in [SocketState::Greeting, SocketState::Live, SocketState::Closing] {
        gauge!(SOCKETS, "state" => state.label()).set(0.0);
    }
    for protocol in [Protocol::V1, Protocol::V2] {
        connections(protocol, 0.0);
    }
    // An alert on what has not happened yet needs something to look at.
    for limit in NotAdmitted::ALL {
        counter!(NOT_ADMITTED, "limit" => limit.label()).increment(0);
    }
    for code in CloseCode::ALL {
        counter!(CLOSES, "code" => code.code().to_string()).increment(0);
    }
    counter!(DROPPED, "reason" => FANOUT_LAG).increment(0);
    for counter in [ACCEPT_HELD, RECONNECTS, RESYNCS, BUS_LOSSES, UPGRADES_REFUSED] {
        counter!(counter).increment(0);
    }
}

pub(crate) fn max_connections(count: usize) {
    gauge!(MAX_CONNECTIONS).set(count as f64);
}

pub(crate) fn connections(protocol: Protocol, change: f64) {
    gauge!(CONNECTIONS, "protocol" => protocol.number().to_string()).increment(change);
}

/// How far a socket has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SocketState {
    Greeting,
    Live,
    Closing,
}

impl SocketState {
    fn label(self) -> &'static str {
        match self {
            Self::Greeting => "greeting",
            Self::Live => "live",
            Self::Closing => "closing",
        }
    }
}

/// One socket in the gauge, under the state that it has; dropping it takes it out.
#[derive(Debug)]
pub(crate) struct SocketGauge(SocketState);

impl SocketGauge {
    pub(crate) fn new(state: SocketState) -> Self {
        gauge!(SOCKETS, "state" => state.label()).increment(1.0);
        Self(state)
    }

    pub(crate) fn enter(&mut self, state: SocketState) {
        *self = Self::new(state);
    }
}

impl Drop for SocketGauge {
    fn drop(&mut self) {
        gauge!(SOCKETS, "state" => self.0.label()).decrement(1.0);
    }
}

pub(crate) fn handshake(result: &'static str, took: Duration) {
    counter!(HANDSHAKES, "result" => result).increment(1);
    histogram!(HANDSHAKE_SECONDS, "result" => result).record(took);
}

pub(crate) fn phase(phase: &'static str, took: Duration) {
    histogram!(PHASE_SECONDS, "phase" => phase).record(took);
}

pub(crate) fn closed(code: CloseCode) {
    counter!(CLOSES, "code" => code.code().to_string()).increment(1);
}

pub(crate) fn inbound(kind: &'static str) {
    counter!(INBOUND, "kind" => kind).increment(1);
}

pub(crate) fn inbound_refused(reason: &'static str) {
    counter!(INBOUND_REFUSED, "reason" => reason).increment(1);
}

pub(crate) fn messages_out(count: usize) {
    counter!(OUTBOUND).increment(count as u64);
}

pub(crate) fn dropped(reason: &'static str) {
    counter!(DROPPED, "reason" => reason).increment(1);
}

pub(crate) fn bus_message() {
    counter!(BUS_MESSAGES).increment(1);
}

pub(crate) fn bus_refused(reason: &'static str) {
    counter!(BUS_REFUSED, "reason" => reason).increment(1);
}

pub(crate) fn resynced() {
    counter!(RESYNCS).increment(1);
}

pub(crate) fn outbound_waiting(bytes: usize) {
    gauge!(OUTBOUND_WAITING).set(bytes as f64);
}

pub(crate) fn fanout_waiting(change: f64) {
    gauge!(FANOUT_WAITING).increment(change);
}

/// What this edge holds, as it announces it.
pub(crate) fn held(counts: &Counts, subscriptions: usize) {
    gauge!(USERS).set(counts.users as f64);
    gauge!(ROOMS).set(counts.rooms as f64);
    gauge!(SUBSCRIPTIONS).set(subscriptions as f64);
}

pub(crate) fn upgrade_refused() {
    counter!(UPGRADES_REFUSED).increment(1);
}

pub(crate) fn control_request(kind: &'static str, result: &'static str) {
    counter!(CONTROL_REQUESTS, "kind" => kind, "result" => result).increment(1);
}

pub(crate) fn control_refused(reason: &'static str) {
    counter!(CONTROL_REFUSED, "reason" => reason).increment(1);
}

pub(crate) fn peers(count: usize) {
    gauge!(PEERS).set(count as f64);
}

pub(crate) fn bus_lag(lag: Duration) {
    histogram!(BUS_LAG).record(lag);
}

pub(crate) fn bus_lost() {
    counter!(BUS_LOSSES).increment(1);
}

pub(crate) fn not_admitted(limit: &'static str) {
    counter!(NOT_ADMITTED, "limit" => limit).increment(1);
}

pub(crate) fn accept_held() {
    counter!(ACCEPT_HELD).increment(1);
}

pub(crate) fn reconnect_announced() {
    counter!(RECONNECTS).increment(1);
}
