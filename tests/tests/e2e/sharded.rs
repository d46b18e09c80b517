//! A fleet on sharded pub/sub: what goes through it reaches the right clients, and edges reach each other.

use reqwest::Method;
use serde_json::{Value, json};
use signal_harness::{Issuer, RedisCluster, Service, eventually, require};
use signal_tests::operator::Operator;

use crate::{
    platform::{SOON, policies},
    window::Window,
};

struct Fleet {
    cluster: RedisCluster,
    issuer: Issuer,
    edges: [Service; 2],
}

impl Fleet {
    async fn up() -> Fleet {
        let (cluster, issuer) = tokio::join!(RedisCluster::launch(), Issuer::launch());
        let policies = policies();
        let edges = [(); 2].map(|()| {
            Service::edge()
                .env("SIGNAL_REDIS_URL", cluster.sharded_url())
                .env("SIGNAL_JWKS_URL", issuer.jwks_url())
                .env("SIGNAL_DATABASE_URL", &policies)
                .env("SIGNAL_JOINABLE_ROOMS", "till/*")
                .spawn()
        });
        for edge in &edges {
            edge.wait_ready(SOON).await;
        }
        Fleet { cluster, issuer, edges }
    }

    async fn window(&self, edge: usize, user: &str) -> Window {
        Window::open(self.edges[edge].http_addr(), &self.issuer.token(user)).await
    }

    /// An operator who asks an edge that knows of both.
    async fn operator(&self, edge: usize) -> Operator {
        let operator = Operator::new(self.edges[edge].http_addr(), Some(Operator::token(&self.issuer)));
        eventually(SOON, || async {
            let status = operator.get("/status").await.unwrap().body;
            let cluster = &status["cluster"];
            if cluster["edges"] == 2 && cluster["complete"] == true { Ok(()) } else { Err(status.to_string()) }
        })
        .await;
        operator
    }

    /// Publishes as a sister service does: to the node that does not say that another one has the slot.
    async fn publish(&self, channel: &str, envelope: &Value) {
        let payload = envelope.to_string();
        for node in self.cluster.nodes() {
            match node.command(&["SPUBLISH", channel, &payload]).await {
                Ok(_) => return,
                Err(refused) => assert!(refused.starts_with("MOVED "), "{refused}"),
            }
        }
        panic!("no node takes {channel}");
    }
}

fn envelope(kind: &str, target: &str, event: &str) -> Value {
    json!({ "serverId": "emitter", "type": kind, "target": target, "event": event, "data": event })
}

#[tokio::test]
async fn a_fleet_on_shards_is_one() {
    require!(RedisCluster);
    let fleet = Fleet::up().await;
    let (first, second) = (fleet.window(0, "an").await, fleet.window(1, "binh").await);
    pushes_reach_their_clients(&fleet, &first, &second).await;
    any_edge_answers_for_both(&fleet, &first, &second).await;
    a_slot_that_moves_is_told(&fleet, &first).await;
}

async fn pushes_reach_their_clients(fleet: &Fleet, first: &Window, second: &Window) {
    for window in [first, second] {
        window.send("join", json!({ "rooms": ["till/{7}ü"] })).await;
    }
    // A join is answered by nothing: it has worked when a message to the room arrives.
    eventually(SOON, || async {
        fleet.publish("ws:room:till/{7}ü", &envelope("room", "till/{7}ü", "probe")).await;
        [first, second].iter().all(|window| !window.data_of("probe").is_empty())
    })
    .await;
    fleet.publish("ws:user:an", &envelope("user", "an", "to-an")).await;
    fleet.publish(&format!("ws:client:{}", second.id()), &envelope("client", second.id(), "to-the-second")).await;
    let notified = "signal/notification/binh";
    fleet.publish(&format!("ws:room:{notified}"), &envelope("room", notified, "to-binh")).await;
    fleet.publish("ws:broadcast", &json!({ "serverId": "emitter", "type": "broadcast", "event": "to-all" })).await;
    first.wait_for("to-an", 1).await;
    second.wait_for("to-the-second", 1).await;
    second.wait_for("to-binh", 1).await;
    for window in [first, second] {
        window.wait_for("to-all", 1).await;
    }
    assert!(second.data_of("to-an").is_empty() && first.data_of("to-binh").is_empty());
}

async fn any_edge_answers_for_both(fleet: &Fleet, first: &Window, second: &Window) {
    let operators = [fleet.operator(0).await, fleet.operator(1).await];
    for operator in &operators {
        let pages = operator.pages("").await.unwrap();
        assert_eq!(pages.len(), 1);
        assert_eq!((pages[0]["data"].as_array().unwrap().len(), &pages[0]["complete"]), (2, &json!(true)));
    }
    // Through the edge that does not have the client.
    let message = json!({ "event": "from-afar", "data": 1 });
    let path = format!("/{}/send", first.id());
    assert_eq!(operators[1].ask(Method::POST, &path, &message).await.unwrap().status, 202);
    first.wait_for("from-afar", 1).await;
    let everybody = json!({ "event": "from-one", "data": 1 });
    assert_eq!(operators[0].ask(Method::POST, "/broadcast", &everybody).await.unwrap().status, 202);
    for window in [first, second] {
        window.wait_for("from-one", 1).await;
    }
    let leaving = fleet.window(0, "chi").await;
    assert_eq!(operators[1].disconnect(leaving.id()).await.unwrap().status, 204);
    eventually(SOON, || async { leaving.closed().ok_or("still there") }).await;
    assert_eq!(leaving.closed(), Some(4007));
}

/// What was said while a slot went from one node to another nobody has heard.
async fn a_slot_that_moves_is_told(fleet: &Fleet, window: &Window) {
    let (slot, from) = (fleet.cluster.slot("ws:user:an").await, fleet.cluster.first_owner("ws:user:an").await);
    let to = fleet.cluster.nodes().iter().find(|node| node.port() != from.port()).unwrap();
    fleet.cluster.migrate(slot, from, to).await;
    window.wait_for("resync", 1).await;
    fleet.publish("ws:user:an", &envelope("user", "an", "after-the-move")).await;
    window.wait_for("after-the-move", 1).await;
}
