//! The list that a client reads again when it may have missed pushes: the worker's REST API.

use std::{net::SocketAddr, time::Duration};

use anyhow::ensure;
use serde::Deserialize;
use tokio::time::sleep;

/// Whoever reads while the database is away is told so, and tries again, as an application does.
const AGAIN_AFTER: Duration = Duration::from_millis(200);
/// Far above what an answer takes.
const WITHIN: Duration = Duration::from_secs(30);

/// Clones share connections.
#[derive(Clone, Debug)]
pub struct List {
    http: reqwest::Client,
    notifications: String,
}

/// As far as a stream looks at it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    pub id: String,
    pub event_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    data: Vec<Listed>,
    next_cursor: Option<String>,
}

impl List {
    /// Of a worker with the base path that it has unless told.
    ///
    /// # Errors
    /// If there is no HTTP client.
    pub fn of(worker: SocketAddr) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().timeout(WITHIN).no_proxy().build()?;
        Ok(Self { http, notifications: format!("http://{worker}/v1/api/signal/notifications?limit=100") })
    }

    /// All notifications of a token's person, newest first. Returns once they were read.
    pub async fn read(&self, token: &str) -> Vec<Listed> {
        let mut read = Vec::new();
        let mut cursor = String::new();
        loop {
            match self.page(token, &cursor).await {
                Ok(Page { data, next_cursor }) => {
                    read.extend(data);
                    let Some(next) = next_cursor else { return read };
                    cursor = format!("&cursor={next}");
                }
                Err(_) => sleep(AGAIN_AFTER).await,
            }
        }
    }

    async fn page(&self, token: &str, cursor: &str) -> anyhow::Result<Page> {
        let request = self.http.get(format!("{}{cursor}", self.notifications)).bearer_auth(token);
        let answer = request.send().await?;
        ensure!(answer.status().is_success(), "{}", answer.status());
        Ok(answer.json().await?)
    }
}
