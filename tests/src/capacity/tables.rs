//! The tables of `docs/capacity.md`.

mod table;

pub use self::table::Table;
use super::{
    costs::UnitCosts,
    fleet::{
        BUSY, CLIENTS_PER_EDGE, CORES_PER_EDGE, DRAIN_SECONDS, Fleet, HEARTBEAT_SECONDS, REDIS_BUSY,
        moves_in_a_rollout, sizing as size,
    },
    load::{GOAL, GOAL_CORES, GOAL_GIB, MIXED, MIXES, Mix, Need, PEOPLE},
};

/// Edges of the goal.
const EDGES: f64 = 10.0;
/// The backoff of a client's first try after its edge was lost, in seconds: all come within it.
const FIRST_TRY_SECONDS: f64 = 0.5;
const SIZES: [Need; 5] = [
    Need { connections: 1e3, messages: 1e3 },
    Need { connections: 10e3, messages: 5e3 },
    Need { connections: 100e3, messages: 20e3 },
    Need { connections: 250e3, messages: 100e3 },
    GOAL,
];

/// All of them, under their headings.
pub fn all(costs: &UnitCosts) -> String {
    let parts = [
        ("Unit costs", unit_costs(costs)),
        ("Messages", messages(costs)),
        ("Memory", memory(costs)),
        ("Backplane", backplane(costs)),
        ("Everybody comes back", storms(costs)),
        ("If a cost were twice what it is", sensitivity(costs)),
        ("Workers", workers(costs)),
        ("Fleets", sizing(costs, &SIZES)),
    ];
    parts.map(|(heading, table)| format!("### {heading}\n\n{table}")).join("\n")
}

pub fn unit_costs(costs: &UnitCosts) -> String {
    let mut table = Table::new(&["unit", &format!("on {} cores", costs.cores)]);
    let mut costs = *costs;
    for (name, value) in costs.values() {
        table.row([name.to_owned(), format!("{value:.2}")]);
    }
    table.to_string()
}

fn goal(costs: &UnitCosts, mix: Mix) -> Fleet<'_> {
    Fleet { costs, edges: EDGES, need: GOAL, mix }
}

/// Whether a need is met by what there is, and how much of that it takes.
fn verdict(need: f64, have: f64) -> String {
    let share = 100.0 * need / have;
    let word = match need / have {
        over if over > 1.0 => "no",
        // Nothing is left for what nobody has thought of.
        tight if tight > 0.8 => "barely",
        _ => "yes",
    };
    format!("{word}: {share:.0} %")
}

fn messages(costs: &UnitCosts) -> String {
    let mut table =
        Table::new(&["500,000 messages/s to", "cores: messages", "heartbeats", "else", "all", "on 10 cores"]);
    for mix in MIXES {
        let fleet = goal(costs, mix);
        table.row([
            mix.name.to_owned(),
            format!("{:.2}", fleet.message_cores()),
            format!("{:.2}", fleet.heartbeat_cores()),
            format!("{:.2}", fleet.idle_cores()),
            format!("{:.2}", fleet.cores()),
            verdict(fleet.cores(), GOAL_CORES),
        ]);
    }
    table.to_string()
}

fn memory(costs: &UnitCosts) -> String {
    let mut table = Table::new(&["1 M connections on", "edges, GiB", "kernel, GiB", "all, GiB", "in 8 GiB"]);
    for edges in [EDGES, 20.0, 40.0] {
        let (own, kernel) = Fleet { edges, ..goal(costs, PEOPLE) }.memory_gib();
        table.row([
            format!("{edges} edges"),
            format!("{own:.2}"),
            format!("{kernel:.2}"),
            format!("{:.2}", own + kernel),
            verdict(own + kernel, GOAL_GIB),
        ]);
    }
    table.to_string()
}

fn backplane(costs: &UnitCosts) -> String {
    let columns = [
        "500,000 messages/s to",
        "publications/s",
        "deliveries/s",
        "Redis threads",
        "servers",
        "one by one",
        "by pattern",
        "to edges, Gbit/s",
        "to clients",
    ];
    let mut table = Table::new(&columns);
    for mix in MIXES {
        let fleet = goal(costs, mix);
        let (publications, deliveries) = fleet.backplane();
        let (to_edges, to_clients) = fleet.network_gbit();
        table.row([
            mix.name.to_owned(),
            thousands(publications),
            thousands(deliveries),
            format!("{:.2}", fleet.redis_threads()),
            format!("{}", fleet.redis_servers()),
            format!("{:.2}", fleet.redis_threads_one_by_one()),
            format!("{:.2}", fleet.redis_threads_by_pattern()),
            format!("{to_edges:.2}"),
            format!("{to_clients:.2}"),
        ]);
    }
    let one = 1e6 / (costs.redis_publication_us + costs.redis_delivery_us);
    let subscriptions = GOAL.connections * costs.redis_connection_kib / 1024.0 / 1024.0;
    format!(
        "{table}\nOne Redis takes {} messages a second to single people at {:.0} % of its thread. The channels of 1 M \
         clients take {subscriptions:.2} GiB of it.\n",
        thousands(one * REDIS_BUSY),
        100.0 * REDIS_BUSY
    )
}

fn storms(costs: &UnitCosts) -> String {
    let mut table =
        Table::new(&["what", "clients", "handshakes/s", "cores for them", "spare cores", "all are back after"]);
    let fleet = goal(costs, MIXED);
    let rate = costs.handshake_us / 1e6;
    let mut add = |what: &str, clients: f64, over: f64, edges: f64| {
        let spare = fleet.spare(edges);
        let needed = fleet.handshake_seconds(clients);
        let back = if spare > 0.0 { (needed / spare).max(over) } else { f64::INFINITY };
        table.row([
            what.to_owned(),
            thousands(clients),
            thousands(clients / over),
            format!("{:.1}", clients / over * rate),
            format!("{spare:.1}"),
            if back.is_finite() { format!("{back:.0} s") } else { "never".to_owned() },
        ]);
    };
    add("one of ten edges drains", GOAL.connections / EDGES, DRAIN_SECONDS, EDGES);
    add("one of ten edges is lost", GOAL.connections / EDGES, FIRST_TRY_SECONDS, EDGES - 1.0);
    add("everybody is cut off at once", GOAL.connections, FIRST_TRY_SECONDS, EDGES);
    let redis = GOAL.connections * costs.redis_subscribing_us / 1e6;
    format!(
        "{table}\nA rollout of ten edges moves each client {:.2} times on average, some {} handshakes in all, {:.0} s of \
         one core. Redis is busy for {redis:.0} s with the channels of 1 M clients that come back at once.\n",
        moves_in_a_rollout(EDGES),
        thousands(moves_in_a_rollout(EDGES) * GOAL.connections),
        fleet.handshake_seconds(moves_in_a_rollout(EDGES) * GOAL.connections)
    )
}

fn sensitivity(costs: &UnitCosts) -> String {
    let mut table = Table::new(&[
        "twice",
        "cores, people",
        "cores, mixed",
        "memory, GiB",
        "one edge lost: back after",
        "Redis threads",
    ]);
    let mut add = |name: &str, costs: &UnitCosts| {
        let (people, mixed) = (goal(costs, PEOPLE), goal(costs, MIXED));
        let (own, kernel) = people.memory_gib();
        let spare = mixed.spare(EDGES - 1.0);
        let back = mixed.handshake_seconds(GOAL.connections / EDGES) / spare;
        table.row([
            name.to_owned(),
            format!("{:.2}", people.cores()),
            format!("{:.2}", mixed.cores()),
            format!("{:.2}", own + kernel),
            if spare > 0.0 { format!("{back:.0} s") } else { "never".to_owned() },
            format!("{:.2}", people.redis_threads()),
        ]);
    };
    add("nothing", costs);
    // By the order of `values`; those that enter none of these figures are left out.
    for number in [1, 2, 3, 5, 6, 8, 11, 12] {
        let mut doubled = *costs;
        let (name, value) = doubled.values().into_iter().nth(number).expect("a quantity that there is");
        *value *= 2.0;
        add(name, &doubled);
    }
    table.to_string()
}

fn workers(costs: &UnitCosts) -> String {
    let mut table = Table::new(&["recipients of an event", "events/s of one core", "rows/s of one core"]);
    for recipients in [1.0, 5.0, 20.0, 100.0] {
        let events = 1e6 / (costs.event_us + recipients * costs.row_us);
        table.row([format!("{recipients}"), thousands(events), thousands(events * recipients)]);
    }
    table.to_string()
}

/// What fleets of these sizes are made of, for messages to single people.
pub fn sizing(costs: &UnitCosts, needs: &[Need]) -> String {
    let columns = [
        "connections",
        "messages/s",
        "edges",
        "connections of each",
        "CPU of each",
        "memory of each",
        "HPA: CPU",
        "HPA: connections",
        "Redis servers",
    ];
    let mut table = Table::new(&columns);
    for need in needs {
        let sized = size(costs, *need, PEOPLE);
        table.row([
            thousands(need.connections),
            thousands(need.messages),
            format!("{}", sized.edges),
            thousands(sized.clients_per_edge),
            format!("{CORES_PER_EDGE} core, {:.0} % busy", 100.0 * sized.busy),
            format!("{:.0} MiB", sized.memory_mib),
            format!("{:.0} %", 100.0 * BUSY),
            thousands(sized.scale_at),
            format!("{}", sized.redis_servers),
        ]);
    }
    format!(
        "{table}\nTo single people, a heartbeat every {HEARTBEAT_SECONDS} s, one edge more than are needed, {} connections \
         of an edge at most.\n",
        thousands(CLIENTS_PER_EDGE)
    )
}

/// With separators; what is small as it is.
fn thousands(number: f64) -> String {
    if number < 10.0 && number.fract() != 0.0 {
        return format!("{number:.1}");
    }
    let digits = format!("{number:.0}");
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn the_document_has_what_is_printed_for_the_committed_costs() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("in the workspace").join("docs/capacity.md");
        let document = fs::read_to_string(path).expect("the document is there");
        for part in all(&UnitCosts::committed()).split("### ").skip(1) {
            let (heading, table) = part.split_once("\n\n").expect("a heading and a table");
            assert!(
                document.contains(&format!("### {heading}\n\n{}", table.trim_end())),
                "docs/capacity.md has another {heading:?}: take it from `cargo run -p signal-tests --bin scale -- --simulate`"
            );
        }
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!([0.5, 5.0, 999.0, 1000.0, 1_234_567.0].map(thousands), ["0.5", "5", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn a_verdict_says_how_much_is_taken() {
        assert_eq!(verdict(5.0, 10.0), "yes: 50 %");
        assert_eq!(verdict(9.0, 10.0), "barely: 90 %");
        assert_eq!(verdict(12.0, 10.0), "no: 120 %");
    }
}
