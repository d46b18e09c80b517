//! What units of work cost.

use std::{fs, path::Path};

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// CPU in microseconds of the process that does the work, user and system; memory in KiB or MiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitCosts {
    /// Of the machine that they were measured on.
    pub cores: usize,

    /// Resident memory of an edge without clients, and what it grows by for each idle one.
    pub edge_mib: f64,
    pub connection_kib: f64,
    /// What the kernel holds for the edge's end of an idle connection.
    pub kernel_socket_kib: f64,
    /// From accepting a connection to `connected`: upgrade, token, key agreement.
    pub handshake_us: f64,
    /// What an edge with all those clients spends in a second in which nobody says anything.
    pub idle_us_per_second: f64,
    /// What an SDK says every half a minute: a sealed heartbeat, and a ping that is answered.
    pub heartbeat_us: f64,

    /// A message to one person, from the backplane to the socket: while an edge has as many as it can take, and while
    /// it has few, and so handles each by itself.
    pub unicast_us: f64,
    pub unicast_light_us: f64,
    /// Of a message to everybody, or to a room of so many, each client's part.
    pub broadcast_us: f64,
    pub room_us: f64,
    pub room_size: usize,

    /// What one message is to a subscriber, in bytes.
    pub publication_bytes: f64,
    /// Of Redis: to take a publication, to hand it to one subscriber, to subscribe an edge to one more client's channels,
    /// and the memory for those.
    pub redis_publication_us: f64,
    pub redis_delivery_us: f64,
    /// Both, where publications come few and far between.
    pub redis_light_us: f64,
    pub redis_subscribing_us: f64,
    pub redis_connection_kib: f64,

    /// Of a worker: an event, and a row of it with its push.
    pub event_us: f64,
    pub row_us: f64,
}

impl UnitCosts {
    /// Those in the repository, which `docs/capacity.md` is about.
    pub fn committed() -> Self {
        serde_json::from_str(include_str!("../../unit-costs.json")).expect("`scale` wrote it")
    }

    /// # Errors
    /// If there is no such file, or it holds something else.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} holds no unit costs", path.display()))
    }

    /// # Errors
    /// If the file can't be written.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(&self.rounded())?;
        fs::write(path, text + "\n").with_context(|| format!("{}", path.display()))
    }

    /// To the hundredth, beyond which there is nothing but noise.
    fn rounded(&self) -> Self {
        let mut rounded = *self;
        for (_, value) in rounded.values() {
            *value = (*value * 100.0).round() / 100.0;
        }
        rounded
    }

    /// Every quantity by its name, to be changed.
    pub fn values(&mut self) -> [(&'static str, &mut f64); 18] {
        [
            ("memory of an edge without clients, MiB", &mut self.edge_mib),
            ("memory of an idle client, KiB", &mut self.connection_kib),
            ("the kernel's for its socket, KiB", &mut self.kernel_socket_kib),
            ("handshake, µs", &mut self.handshake_us),
            ("a second in which nobody says anything, µs", &mut self.idle_us_per_second),
            ("heartbeat and ping, µs", &mut self.heartbeat_us),
            ("message to one person, under load, µs", &mut self.unicast_us),
            ("the same, few and far between, µs", &mut self.unicast_light_us),
            ("message to everybody, each client's part, µs", &mut self.broadcast_us),
            ("message to a room, each client's part, µs", &mut self.room_us),
            ("a publication to a subscriber, bytes", &mut self.publication_bytes),
            ("Redis: a publication, µs", &mut self.redis_publication_us),
            ("Redis: handing it to one edge, µs", &mut self.redis_delivery_us),
            ("Redis: both, few and far between, µs", &mut self.redis_light_us),
            ("Redis: one more client's channels, µs", &mut self.redis_subscribing_us),
            ("Redis: memory for those, KiB", &mut self.redis_connection_kib),
            ("worker: an event, µs", &mut self.event_us),
            ("worker: a row and its push, µs", &mut self.row_us),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_to_the_hundredth() {
        let path = signal_harness::scratch_dir("costs").join("unit-costs.json");
        let costs = UnitCosts { handshake_us: 223.456, cores: 2, ..UnitCosts::default() };
        costs.write(&path).expect("a folder of its own");
        let read = UnitCosts::read(&path).expect("it was just written");
        assert_eq!(read, UnitCosts { handshake_us: 223.46, cores: 2, ..UnitCosts::default() });
    }

    #[test]
    fn what_is_no_unit_cost_is_named() {
        let path = signal_harness::scratch_dir("costs").join("unit-costs.json");
        fs::write(&path, r#"{"handshakeUs": 1}"#).expect("a folder of its own");
        let error = format!("{:#}", UnitCosts::read(&path).expect_err("no such field"));
        assert!(error.contains("unit-costs.json") && error.contains("handshakeUs"), "{error}");
    }
}
