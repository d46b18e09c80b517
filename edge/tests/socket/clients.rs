//! The management API: every edge answers for all of them.

use std::{
    collections::HashSet,
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::future::select;
use serde_json::{Value, json};
use signal_bus::{Bus, memory::MemoryBus};
use signal_edge::ClusterSettings;
use signal_harness::{Issuer, eventually};
use signal_wire::envelope::Target;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    faulty_bus::FaultyBus,
    fixture::{Client, SOON, TestEdge, counted, quick},
    rest::{self, Answer, CLIENTS, ids_of, request},
};

/// Edges on one backplane that know each other.
async fn edges(count: usize, variables: &[(&str, &str)]) -> Vec<TestEdge> {
    let bus = MemoryBus::new();
    let mut edges = Vec::new();
    for _ in 0..count {
        let issuer = Issuer::launch().await;
        let url = issuer.jwks_url();
        edges.push(TestEdge::start_on(Arc::new(bus.clone()), variables, issuer, &url).await);
    }
    for edge in &edges {
        edge.knows(count).await;
    }
    edges
}

impl TestEdge {
    /// Waits until it expects so many edges, itself among them, and is sure of it.
    pub(crate) async fn knows(&self, count: usize) {
        eventually(SOON, || async {
            let status = self.get("/status").await;
            let cluster = &status["cluster"];
            if cluster["edges"] == count && cluster["complete"] == true { Ok(()) } else { Err(cluster.to_string()) }
        })
        .await;
    }

    async fn send(&self, path: &str, body: Value) -> Answer {
        self.ask("POST", path, Some(body)).await
    }
}

fn sorted(clients: &[Client]) -> Vec<String> {
    let mut ids: Vec<_> = clients.iter().map(|client| client.id.clone()).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn any_edge_shows_every_client() {
    let edges = edges(3, &[]).await;
    let mut clients = Vec::new();
    for n in 0..9 {
        clients.push(edges[n % 3].client(&format!("user-{n}")).await);
    }
    for edge in &edges {
        let page = edge.get("").await;
        assert_eq!(ids_of(&page), sorted(&clients));
        assert_eq!(page["complete"], true, "{page}");
        assert_eq!(page["edges"], json!({"expected": 3, "answered": 3}));
        assert_eq!(page["nextCursor"], Value::Null);
        let on: HashSet<_> = page["data"].as_array().unwrap().iter().map(|c| c["edge"].to_string()).collect();
        assert_eq!(on.len(), 3);
    }
    let status = eventually(SOON, || async {
        let status = edges[1].get("/status").await;
        if status["cluster"]["authenticated"] == 9 { Ok(status) } else { Err(status.to_string()) }
    })
    .await;
    assert_eq!(status["edge"]["authenticated"], 3);
    assert_eq!(status["edge"]["connections"], 3);
    assert_eq!(status["cluster"]["users"], 9);
    assert_eq!(status["edge"]["version"], env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn a_client_is_shown_as_it_is_wherever_it_is() {
    let edges = edges(2, &[("SIGNAL_JOINABLE_ROOMS", "lobby")]).await;
    let mut socket = edges[0].open().await;
    let mut claims = Issuer::claims("7", Duration::from_secs(60));
    claims["userId"] = json!(7);
    let token = edges[0].issuer.mint(signal_harness::Algorithm::Es256, &claims);
    let connected = socket.authenticate(&token).await;
    socket.say_sealed(&json!({"event": "join", "data": {"rooms": ["lobby"]}})).await;
    socket.say_sealed(&json!({"event": "leave", "data": {"rooms": ["ws-default"]}})).await;
    socket.settle().await;
    let id = connected["id"].as_str().unwrap();
    for edge in &edges {
        let client = edge.get(&format!("/{id}")).await;
        let rooms = [id, "ws-notification", "signal/notification/7", "lobby"];
        assert_eq!(client["rooms"], json!(rooms));
        assert_eq!((&client["id"], &client["userId"]), (&json!(id), &json!(7)));
        assert_eq!((&client["state"], &client["encrypted"]), (&json!("authenticated"), &json!(true)));
        assert_eq!(client["protocol"], 1);
        let at = |field: &str| signal_wire::timestamp::parse(client[field].as_str().unwrap()).unwrap();
        assert!(at("connectedAt") <= at("lastActivity"));
        assert_eq!(client, edges[0].get("").await["data"][0], "listed as it is shown");
    }
}

#[tokio::test]
async fn filters_know_users_and_every_kind_of_room() {
    let edges = edges(2, &[("SIGNAL_JOINABLE_ROOMS", "lobby,order/*")]).await;
    let mut clients = Vec::new();
    for (edge, user) in [(0, "an"), (1, "an"), (0, "binh"), (1, "chi")] {
        clients.push(edges[edge].client(user).await);
    }
    for at in [1, 2] {
        clients[at].socket.say_sealed(&json!({"event": "join", "data": {"rooms": ["lobby", "order/a b"]}})).await;
        clients[at].socket.settle().await;
    }
    clients[3].socket.say_sealed(&json!({"event": "leave", "data": {"rooms": ["ws-default"]}})).await;
    clients[3].socket.settle().await;
    let own = format!("room={}", clients[3].id);
    for (query, shown) in [
        ("userId=an", &[0, 1][..]),
        ("userId=nobody", &[]),
        ("room=lobby", &[1, 2]),
        ("room=order%2Fa%20b", &[1, 2]),
        ("room=nowhere", &[]),
        ("room=lobby&userId=an", &[1]),
        ("room=lobby&userId=chi", &[]),
        ("room=ws-default", &[0, 1, 2]),
        ("room=ws-notification", &[0, 1, 2, 3]),
        ("room=signal/notification/an", &[0, 1]),
        ("room=signal/notification/an&userId=binh", &[]),
        (&own, &[3]),
    ] {
        let mut expected: Vec<_> = shown.iter().map(|at| clients[*at].id.clone()).collect();
        expected.sort();
        for edge in &edges {
            assert_eq!(edge.listed(&format!("limit=1&{query}")).await, expected, "{query}");
        }
    }
}

#[tokio::test]
async fn pages_show_everybody_who_stays_once_while_others_come_and_go() {
    let edges = edges(3, &[]).await;
    let mut staying = Vec::new();
    for n in 0..40 {
        staying.push(edges[n % 3].client(&format!("staying-{n}")).await);
    }
    let mut passing = Vec::new();
    let (mut seen, mut query, mut pages) = (Vec::new(), "?limit=7".to_owned(), 0);
    loop {
        let page = edges[pages % 3].get(&query).await;
        assert_eq!(page["complete"], true, "{page}");
        let ids = ids_of(&page);
        assert!(ids.len() <= 7);
        seen.extend(ids);
        pages += 1;
        let Some(cursor) = page["nextCursor"].as_str() else { break };
        query = format!("?limit=7&cursor={cursor}");
        passing.push(edges[pages % 3].client("passing").await);
        if pages % 2 == 0 {
            passing.remove(0);
        }
    }
    assert!(seen.is_sorted() && pages >= 6, "{pages} pages");
    let once: HashSet<_> = seen.iter().collect();
    assert_eq!(once.len(), seen.len(), "nobody is shown twice");
    assert!(staying.iter().all(|client| once.contains(&client.id)), "nobody who stays is passed over");
}

#[tokio::test]
async fn messages_reach_one_client_wherever_it_is() {
    let edges = edges(3, &[]).await;
    let mut client = edges[0].client("an").await;
    let mut other = edges[0].client("an").await;
    for (n, edge) in edges.iter().enumerate() {
        let answer = edge.send(&format!("/{}/send", client.id), json!({"event": "hello", "data": {"n": n}})).await;
        assert_eq!((answer.status, &answer.body), (202, &json!({"complete": true})));
        assert_eq!(client.socket.hear().await, json!({"event": "hello", "data": {"n": n}}));
    }
    let nobody = format!("/{}/send", Uuid::new_v4());
    assert_eq!(edges[1].send(&nobody, json!({"event": "hello"})).await.status, 404);
    edges[0].say(Target::User("an"), "end", json!(1)).await;
    assert_eq!(other.socket.hear().await["event"], "end", "nobody else was sent anything");
}

#[tokio::test]
async fn what_operators_send_through_one_edge_keeps_its_order() {
    let edges = edges(2, &[]).await;
    let mut here = edges[0].client("an").await;
    let mut there = edges[1].client("an").await;
    for n in 0..30 {
        let body = json!({"event": "n", "data": n});
        let path = ["/broadcast", "/rooms/ws-default/send", "/rooms/signal%2Fnotification%2Fan/send"][n % 3];
        assert_eq!(edges[0].send(path, body).await.status, 202);
    }
    for n in 0..30 {
        assert_eq!(here.socket.hear().await["data"], n);
        assert_eq!(there.socket.hear().await["data"], n);
    }
}

#[tokio::test]
async fn rooms_and_broadcasts_reach_all_edges_and_pass_over_the_excluded() {
    let edges = edges(2, &[]).await;
    let mut clients = Vec::new();
    for edge in [0, 0, 1, 1] {
        clients.push(edges[edge].client("an").await);
    }
    let exclude = json!([clients[1].id, clients[2].id, Uuid::new_v4().to_string()]);
    for path in ["/broadcast", "/rooms/ws-notification/send"] {
        let body = json!({"event": path, "data": [1.50, null], "exclude": exclude});
        let answer = edges[0].send(path, body).await;
        assert_eq!((answer.status, &answer.body), (202, &json!({"complete": true})));
    }
    // Through the same edge: what two of them are told at once has no order.
    edges[0].send("/broadcast", json!({"event": "resync", "data": {"reason": "operator"}})).await;
    for (at, client) in clients.iter_mut().enumerate() {
        if at == 0 || at == 3 {
            assert_eq!(client.socket.hear().await, json!({"event": "/broadcast", "data": [1.5, null]}));
            assert_eq!(client.socket.hear().await["event"], "/rooms/ws-notification/send");
        }
        assert_eq!(client.socket.hear().await["event"], "resync", "once, and nobody twice");
        client.socket.settle().await;
    }
}

#[tokio::test]
async fn a_client_is_disconnected_through_any_edge() {
    let edges = edges(3, &[]).await;
    for edge in &edges {
        let mut client = edges[0].client("an").await;
        let began = Instant::now();
        let answer = edge.ask("DELETE", &format!("/{}", client.id), None).await;
        assert_eq!((answer.status, &answer.body), (204, &Value::Null));
        assert!(began.elapsed() < SOON / 2, "it does not wait for those who have no such client");
        assert_eq!(client.socket.closed().await, (4007, "Disconnected by operator".into()));
        eventually(SOON, || async { edge.ask("GET", &format!("/{}", client.id), None).await.status == 404 }).await;
        assert_eq!(edge.ask("DELETE", &format!("/{}", client.id), None).await.status, 404);
    }
    for id in ["nobody", "%20", &"x".repeat(500)] {
        assert_eq!(edges[0].ask("DELETE", &format!("/{id}"), None).await.status, 404, "{id}");
    }
}

#[tokio::test]
async fn each_route_asks_for_its_permission_before_anything_else() {
    let edge = TestEdge::start(&[]).await;
    edge.knows(1).await;
    let id = Uuid::new_v4();
    let all = "list+get+broadcast+sendToRoom+sendToClient+disconnect";
    for (method, path, action, allowed) in [
        ("GET", String::new(), "list", 200),
        ("GET", format!("/{id}"), "get", 404),
        ("POST", "/broadcast".into(), "broadcast", 422),
        ("POST", "/rooms/lobby/send".into(), "sendToRoom", 422),
        ("POST", format!("/{id}/send"), "sendToClient", 422),
        ("DELETE", format!("/{id}"), "disconnect", 404),
    ] {
        let path = format!("{CLIENTS}{path}");
        let may = |holder: &str| edge.issuer.token(holder);
        let others: Vec<_> = all.split('+').filter(|other| *other != action).collect();
        for (token, status) in [
            (None, 401),
            (Some("no token".into()), 401),
            (Some(may(&format!("may:{}", others.join("+")))), 403),
            (Some(may("unknowable")), 503),
            (Some(may(&format!("may:{action}"))), allowed),
        ] {
            // A body that is refused, so that who comes so far has been let in.
            let answer = request(edge.addr, method, &path, token.as_deref(), Some(json!({}))).await;
            assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
            if status != 200 {
                assert_eq!(answer.body["statusCode"], status);
                assert!(answer.body["requestId"].is_string(), "{answer:?}");
            }
            assert_eq!(answer.head.contains("www-authenticate: bearer"), status == 401);
        }
    }
    assert_eq!(request(edge.addr, "GET", &format!("{CLIENTS}/status"), None, None).await.status, 200);
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_its_reason() {
    let edge = TestEdge::start(&[]).await;
    let long = "é".repeat(257);
    let many: Vec<_> = (0..10_001).map(|_| Uuid::nil().to_string()).collect();
    for (method, path, body, cause) in [
        ("GET", "?limit=0", None, "limit"),
        ("GET", "?limit=201", None, "limit"),
        ("GET", "?limit=many", None, "limit"),
        ("GET", "?cursor=x", None, "cursor"),
        ("GET", "?userId=", None, "userId"),
        ("GET", "?room=ws:broadcast", None, "room"),
        ("POST", "/rooms/ws:room/send", Some(json!({"event": "x"})), "room"),
        ("POST", "/broadcast", Some(json!({"data": 1})), "event"),
        ("POST", "/broadcast", Some(json!({"event": ""})), "event"),
        ("POST", "/broadcast", Some(json!({"event": long})), "event"),
        ("POST", "/broadcast", Some(json!({"event": "connected"})), "event"),
        ("POST", "/broadcast", Some(json!({"event": "reconnect"})), "event"),
        ("POST", "/broadcast", Some(json!({"event": "x", "exclude": ["binh"]})), "exclude.0"),
        ("POST", "/broadcast", Some(json!({"event": "x", "exclude": many})), "exclude"),
        ("POST", "/broadcast", Some(json!({"event": "x", "exlude": []})), "exlude"),
        ("POST", "/00000000-0000-4000-8000-000000000000/send", Some(json!({"event": "encrypted"})), "event"),
    ] {
        let answer = edge.ask(method, path, body).await;
        assert_eq!((answer.status, &answer.body["message"]), (422, &json!("ValidationError")), "{path}: {answer:?}");
        assert_eq!(answer.body["details"]["cause"][0]["path"], cause, "{path}: {answer:?}");
    }
    let large = json!({"event": "x", "data": "x".repeat((1 << 20) - 40)});
    assert!(large.to_string().len() < 1 << 20, "the body fits, the envelope does not");
    assert_eq!(edge.send("/broadcast", large).await.status, 413);
    assert_eq!(edge.send("/broadcast", json!({"event": "x", "data": "x".repeat(1 << 20)})).await.status, 413);
    let method = request(edge.addr, "PUT", CLIENTS, Some(&edge.operator()), None).await;
    assert_eq!((method.status, &method.body["statusCode"]), (405, &json!(405)));
}

#[tokio::test]
async fn every_documented_route_is_served_and_no_other() {
    let edge = TestEdge::start(&[]).await;
    let document = serde_json::to_value(signal_edge::openapi()).unwrap();
    let mut routes = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in ["get", "put", "post", "delete", "patch"] {
            let concrete = path.replace("{id}", &Uuid::new_v4().to_string()).replace("{room}", "lobby");
            let path = format!("{}{concrete}", rest::BASE);
            let answer = request(edge.addr, &method.to_ascii_uppercase(), &path, None, None).await;
            let operation = &item[method];
            if operation.is_null() {
                assert_eq!(answer.status, 405, "{method} {path} is served and not documented");
                continue;
            }
            routes += 1;
            let guarded = operation["security"] == json!([{ "bearer": [] }]);
            assert_eq!(answer.status, if guarded { 401 } else { 200 }, "{method} {path}");
            assert!(operation["responses"][answer.status.to_string()].is_object() || answer.status == 200);
        }
    }
    assert!(routes >= 7, "{routes}");
}

#[tokio::test]
async fn as_many_requests_wait_for_others_as_may_and_no_more() {
    let shared = MemoryBus::new();
    let settings = ClusterSettings { requests_in_flight: 1, reply_timeout: Duration::from_secs(2), ..quick() };
    let (bus, faults) = FaultyBus::new(&shared);
    let mut edges = Vec::new();
    for bus in [Arc::new(shared) as Arc<dyn Bus>, bus] {
        let issuer = Issuer::launch().await;
        let url = issuer.jwks_url();
        edges.push(TestEdge::start_as(bus, &[], issuer, &url, settings).await);
    }
    edges[0].knows(2).await;
    faults.speechless.store(true, Ordering::SeqCst);
    let too_many = [("kind", "list"), ("result", "too_many")];
    let before = counted("signal_edge_control_requests_total", &too_many);
    let (one, other) = (pin!(edges[0].ask("GET", "", None)), pin!(edges[0].ask("GET", "", None)));
    let (refused, waiting) = select(one, other).await.factor_first();
    assert_eq!(refused.status, 429, "{refused:?}");
    assert!(refused.head.contains("retry-after: 1"), "{refused:?}");
    assert!(counted("signal_edge_control_requests_total", &too_many) > before);
    let waited = waiting.await;
    assert_eq!((waited.status, &waited.body["complete"]), (200, &json!(false)));
    faults.speechless.store(false, Ordering::SeqCst);
    assert_eq!(edges[0].get("").await["complete"], true, "its place is given back");
}
