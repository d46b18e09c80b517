//! What `compose.yaml` describes, as processes: one origin, two edges, a worker, the demo, real servers.

mod compose;
mod processes;

use std::{convert::Infallible, net::SocketAddr};

use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::{SinkExt, StreamExt};
use reqwest::{Method, StatusCode, header::HOST};
use serde_json::{Value, json};
use signal_client::{Client, Event, Events};
use signal_harness::{Kafka, Nginx, Postgres, Redis, Signal, eventually, require};
use signal_seal::agreement::{KeyAgreement, Portable};
use signal_tests::operator::Operator;
use tokio::{net::TcpSocket, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{self, client::IntoClientRequest},
};

use self::processes::Topology;
use crate::{platform::SOON, window::Window};

/// A deployment as people see it: through the proxy.
struct Origin {
    addr: SocketAddr,
    http: reqwest::Client,
}

impl Origin {
    async fn get(&self, path: &str) -> reqwest::Response {
        self.http.get(format!("http://{}{path}", self.addr)).send().await.unwrap()
    }

    async fn json(&self, path: &str, token: &str) -> Value {
        let answer = self.http.get(format!("http://{}{path}", self.addr)).bearer_auth(token).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        answer.json().await.unwrap()
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let answer = self.http.post(format!("http://{}{path}", self.addr)).json(body).send().await.unwrap();
        let status = answer.status();
        let body = answer.json().await.unwrap();
        assert!(status.is_success(), "{status} {body}");
        body
    }

    async fn sign_in(&self, user: &str) -> String {
        let answer = self.post("/demo/sign-in", &json!({ "userId": user })).await;
        answer["token"].as_str().unwrap().to_owned()
    }

    async fn pay(&self, merchant: &str) -> String {
        let payment = json!({ "merchantId": merchant, "amount": "125000", "currency": "VND", "orderCode": "A-1042" });
        self.post("/demo/payments", &payment).await["eventId"].as_str().unwrap().to_owned()
    }
}

/// What one person's SDK was given.
struct Screen {
    client: Client,
    events: Events,
}

impl Screen {
    async fn open(origin: SocketAddr, token: String) -> Screen {
        let (client, events) = Client::builder(&format!("ws://{origin}/stream"))
            .token(move || std::future::ready(Ok::<_, Infallible>(token.clone())))
            .connect()
            .unwrap();
        assert!(timeout(SOON, client.ready()).await.unwrap(), "the client connects");
        Screen { client, events }
    }

    async fn wait_for_notification(&mut self, event_id: &str) {
        loop {
            let event = timeout(SOON, self.events.next()).await.expect("something arrives within the deadline");
            if let Event::Message(message) = event.expect("the client stays open")
                && message.notification().expect("a notification").unwrap().event_id == event_id
            {
                return;
            }
        }
    }
}

/// The ids of a user's clients, each with its edge.
async fn clients_of(operator: &Operator, user: &str) -> Vec<(String, String)> {
    let pages = operator.pages(&format!("userId={user}")).await.unwrap();
    let clients = pages.iter().flat_map(|page| page["data"].as_array().unwrap());
    let text = |client: &Value, name: &str| client[name].as_str().unwrap().to_owned();
    clients.map(|client| (text(client, "id"), text(client, "edge"))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_deployment_of_compose_yaml_works_as_one() {
    require!(Postgres, Redis, Kafka, Nginx);
    let topology = Topology::up().await;
    let origin =
        Origin { addr: topology.proxy(), http: reqwest::Client::builder().timeout(SOON).no_proxy().build().unwrap() };

    page_document_and_nothing_else(&origin).await;

    let lan = origin.sign_in("user-lan").await;
    let mut windows = Vec::new();
    for _ in 0..4 {
        windows.push(Window::open(origin.addr, &lan).await);
    }
    let minh = origin.sign_in("user-minh").await;
    let mut screens = [Screen::open(origin.addr, minh.clone()).await, Screen::open(origin.addr, minh.clone()).await];
    let operator = Operator::new(origin.addr, Some(origin.sign_in("operator").await));
    for user in ["user-lan", "user-minh"] {
        let clients = clients_of(&operator, user).await;
        let first = &clients[0].1;
        assert!(clients.iter().any(|(_, edge)| edge != first), "{user} is on both edges: {clients:?}");
    }

    let paid = origin.pay("mer-cafe-79").await;
    for window in &windows {
        let push = window.wait_for_notification(&paid).await;
        assert_eq!(push["merchantId"], "mer-cafe-79");
    }
    for screen in &mut screens {
        screen.wait_for_notification(&paid).await;
    }
    let query = format!(r#"select recipient_id from "ActivityNotification" where event_id = '{paid}' order by 1"#);
    assert_eq!(topology.postgres.sql("signal", &query).await, "user-lan\nuser-minh");
    let list = origin.json("/v1/api/signal/notifications", &minh).await;
    assert_eq!(list["data"][0]["eventId"], json!(paid), "{list}");

    // Whichever edge is asked, the client may be on the other.
    for window in windows.drain(..2) {
        let answer = operator.ask(Method::DELETE, &format!("/{}", window.id()), &Value::Null).await.unwrap();
        assert_eq!(answer.status, 204, "{}", answer.body);
        let code = eventually(SOON, || async { window.closed() }).await;
        assert_eq!(code, 4007);
    }

    an_address_has_its_share_whatever_it_claims(origin.addr, &lan).await;
    an_edge_stops(&topology, &origin, &operator, &mut screens).await;
}

async fn page_document_and_nothing_else(origin: &Origin) {
    assert!(origin.get("/").await.text().await.unwrap().contains("<title>Signal</title>"));
    assert_eq!(origin.get("/assets/app.js").await.status(), StatusCode::OK);
    assert_eq!(origin.get("/v1/api/signal/doc").await.status(), StatusCode::OK);
    let document: Value = origin.get("/v1/api/signal/doc/openapi.json").await.json().await.unwrap();
    assert!(document["paths"].is_object());
    for path in ["/metrics", "/health/live", "/health/ready", "/v1/api/signal", "/v1/api/signal/other"] {
        assert_eq!(origin.get(path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
    // Where a name of somebody else's leads here, nobody signs in.
    let foreign = origin.http.get(format!("http://{}/demo/people", origin.addr)).header(HOST, "signal.example");
    assert_eq!(foreign.send().await.unwrap().status(), StatusCode::MISDIRECTED_REQUEST);
}

/// A socket that comes from `from`, and claims to come from elsewhere; `Err` is the status with which it is refused.
async fn socket(from: SocketAddr, to: SocketAddr, claimed: u8) -> Result<WebSocketStream<tokio::net::TcpStream>, u16> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(from).unwrap();
    let stream = socket.connect(to).await.unwrap();
    let mut request = format!("ws://{to}/stream").into_client_request().unwrap();
    request.headers_mut().insert("x-forwarded-for", format!("198.51.100.{claimed}").parse().unwrap());
    match client_async(request, stream).await {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::Error::Http(answer)) => Err(answer.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

/// Edges count by the address that the proxy saw: neither by the proxy's own nor by one that a client made up.
async fn an_address_has_its_share_whatever_it_claims(origin: SocketAddr, token: &str) {
    // SIGNAL_MAX_CONNECTIONS_PER_IP, on each of two edges.
    const LIMIT: usize = 20;
    let greedy = SocketAddr::from(([127, 0, 0, 2], 0));
    let public_key = STANDARD.encode(Portable::generate().unwrap().public_key());
    let mut held = Vec::new();
    let refused = loop {
        assert!(held.len() <= 2 * LIMIT, "both edges are beyond their limit");
        match socket(greedy, origin, held.len() as u8).await {
            Ok(mut socket) => {
                // Who is somebody stays.
                let data = json!({ "type": "Bearer", "token": token, "publicKey": public_key });
                let frame = json!({ "event": "authenticate", "data": data });
                socket.send(tungstenite::Message::text(frame.to_string())).await.unwrap();
                let answer = socket.next().await.unwrap().unwrap();
                assert!(answer.to_text().unwrap().contains("\"connected\""), "{answer}");
                held.push(socket);
            }
            Err(status) => break status,
        }
    };
    assert_eq!(refused, 429);
    assert!(held.len() >= LIMIT, "{} were let in", held.len());
    let other = SocketAddr::from(([127, 0, 0, 3], 0));
    assert!(socket(other, origin, 1).await.is_ok(), "somebody else is let in");
}

async fn an_edge_stops(topology: &Topology, origin: &Origin, operator: &Operator, screens: &mut [Screen]) {
    let edge = topology.service("edge-1");
    edge.signal(Signal::Term);
    let status = edge.wait_exit(SOON).await;
    assert!(status.success(), "{status}\n{}", edge.output());
    eventually(SOON, || async {
        let clients = clients_of(operator, "user-minh").await;
        let together = clients.iter().all(|(_, edge)| *edge == clients[0].1);
        if clients.len() == 2 && together { Ok(()) } else { Err(format!("{clients:?}")) }
    })
    .await;
    let paid = origin.pay("mer-cafe-79").await;
    for screen in screens {
        screen.wait_for_notification(&paid).await;
        screen.client.close();
    }
}
