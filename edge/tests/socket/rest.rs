//! The management API as an operator's tool uses it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Value, json};
use signal_auth::{Clock, Permission, Permissions, Policies, PolicyError, Subject};
use signal_harness::{Algorithm, Issuer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::fixture::{SOON, TestEdge};

pub(crate) const BASE: &str = "/v1/api/signal";
pub(crate) const CLIENTS: &str = "/v1/api/signal/socket/websocket/clients";

/// Policies after which a user holds what their id lists behind `may:`, and nobody knows what `unknowable` holds.
#[derive(Debug)]
struct NamedPolicies;

#[async_trait]
impl Policies for NamedPolicies {
    async fn holds(&self, subject: &Subject, permission: Permission) -> Result<bool, PolicyError> {
        assert!(permission.code.ends_with(permission.action), "{permission:?}");
        match subject.id.strip_prefix("may:") {
            Some(actions) => Ok(actions.split('+').any(|action| action == permission.action)),
            None if subject.id == "unknowable" => Err(PolicyError::TimedOut),
            None => Ok(false),
        }
    }

    async fn close(&self) {}
}

pub(crate) fn permissions() -> Arc<Permissions> {
    Arc::new(Permissions::new(Some(Arc::new(NamedPolicies)), "super-admin".parse().unwrap(), Clock::system()))
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Value,
}

impl TestEdge {
    /// A token of somebody who may do everything.
    pub(crate) fn operator(&self) -> String {
        let mut claims = Issuer::claims("operator", Duration::from_secs(3600));
        claims["roles"] = json!([{ "id": "1", "identifier": "super-admin", "priority": 1 }]);
        self.issuer.mint(Algorithm::Es256, &claims)
    }

    /// Asks as the operator. The path is relative to the clients' routes.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        request(self.addr, method, &format!("{CLIENTS}{path}"), Some(&self.operator()), body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", path, None).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }

    /// Ids of the listed clients, of all pages.
    pub(crate) async fn listed(&self, query: &str) -> Vec<String> {
        let (mut ids, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("?{query}{cursor}")).await;
            assert_eq!(page["complete"], true, "{page}");
            ids.extend(ids_of(&page));
            match page["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return ids,
            }
        }
    }
}

pub(crate) fn ids_of(page: &Value) -> Vec<String> {
    page["data"].as_array().unwrap().iter().map(|client| client["id"].as_str().unwrap().to_owned()).collect()
}

pub(crate) async fn request(
    addr: SocketAddr,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Option<Value>,
) -> Answer {
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let authorization = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: edge\r\nconnection: close\r\n{authorization}\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    let exchange = async {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        // Who is refused by its head need not be heard to the end.
        let _ = stream.write_all(body.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    };
    let answer = tokio::time::timeout(2 * SOON, exchange).await.expect("no answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer of HTTP");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
    let body = if body.is_empty() { Value::Null } else { serde_json::from_str(body).unwrap() };
    Answer { status, head: head.to_ascii_lowercase(), body }
}
