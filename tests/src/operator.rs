//! An operator of a fleet: the management API as a client sees it.

use std::{net::SocketAddr, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};
use signal_harness::{Algorithm, Issuer};

/// Far above what an answer takes: that answers come at all is what this bounds.
const WITHIN: Duration = Duration::from_secs(20);
const LIFETIME: Duration = Duration::from_secs(3600);

/// One person who asks one edge. Clones share connections.
#[derive(Clone, Debug)]
pub struct Operator {
    http: reqwest::Client,
    clients: String,
    token: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// Null where there is none.
    pub body: Value,
}

impl Operator {
    /// Of an edge with the base path that it has unless told.
    pub fn new(edge: SocketAddr, token: Option<String>) -> Self {
        let http = reqwest::Client::builder().timeout(WITHIN).no_proxy().build().expect("no setting can fail");
        Self { http, clients: format!("http://{edge}/v1/api/signal/socket/websocket/clients"), token }
    }

    /// A token whose role passes every check of permissions.
    pub fn token(issuer: &Issuer) -> String {
        let mut claims = Issuer::claims("operator", LIFETIME);
        claims["roles"] = json!([{ "id": "1", "identifier": "super-admin", "priority": 1 }]);
        issuer.mint(Algorithm::Es256, &claims)
    }

    /// Asks for `path` under the clients; `body` may be null.
    ///
    /// # Errors
    /// If there is no answer, or one that is no JSON.
    pub async fn ask(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<Answer> {
        let mut request = self.http.request(method, format!("{}{path}", self.clients));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if !body.is_null() {
            request = request.json(body);
        }
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let text = answer.text().await?;
        let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? };
        Ok(Answer { status, body })
    }

    /// See [`Operator::ask`].
    ///
    /// # Errors
    /// As there.
    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.ask(Method::GET, path, &Value::Null).await
    }

    /// See [`Operator::ask`].
    ///
    /// # Errors
    /// As there.
    pub async fn disconnect(&self, client: &str) -> anyhow::Result<Answer> {
        self.ask(Method::DELETE, &format!("/{client}"), &Value::Null).await
    }

    /// All pages of a listing, by their cursors. `query` is without `?`, and may be empty.
    ///
    /// # Errors
    /// If a page cannot be had.
    pub async fn pages(&self, query: &str) -> anyhow::Result<Vec<Value>> {
        let mut pages: Vec<Value> = Vec::new();
        loop {
            let cursor = pages.last().map(|page| page["nextCursor"].as_str().unwrap_or_default());
            let cursor = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
            let Answer { status, body } = self.get(&format!("?{query}{cursor}")).await?;
            anyhow::ensure!(status == 200, "{status} {body}");
            let more = body["nextCursor"].is_string();
            pages.push(body);
            if !more {
                return Ok(pages);
            }
        }
    }
}
