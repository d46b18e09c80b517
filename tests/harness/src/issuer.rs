//! An issuer: it publishes a JWK set and mints the tokens that the set verifies.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{Json, Router, extract::State, routing::get};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot};

use crate::free_port;

mod keys;

pub use keys::Algorithm;
use keys::Keys;

const LIFETIME: Duration = Duration::from_secs(3600);

/// Keys of all three algorithms behind `http://127.0.0.1:{port}/jwks`.
#[derive(Debug)]
pub struct Issuer {
    port: u16,
    keys: Keys,
    published: Published,
    server: Mutex<Option<Running>>,
}

#[derive(Debug, Clone)]
struct Published {
    set: Arc<Mutex<Value>>,
    fetches: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Running {
    stop: oneshot::Sender<()>,
    thread: thread::JoinHandle<()>,
}

impl Issuer {
    pub async fn launch() -> Issuer {
        let issuer = Issuer::reserved();
        issuer.start().await;
        issuer
    }

    /// A URL and keys, with nobody there until `start`.
    pub fn reserved() -> Issuer {
        let keys = Keys::generate();
        let published = Published { set: Arc::new(Mutex::new(keys.jwk_set())), fetches: Arc::default() };
        Issuer { port: free_port(), keys, published, server: Mutex::new(None) }
    }

    pub fn jwks_url(&self) -> String {
        format!("http://127.0.0.1:{}/jwks", self.port)
    }

    /// How often the set was asked for.
    pub fn fetches(&self) -> usize {
        self.published.fetches.load(Ordering::SeqCst)
    }

    /// Publishes another set, say one without a key, or something that is no set at all.
    pub fn publish(&self, set: Value) {
        *self.published.set.lock().unwrap() = set;
    }

    /// The set that verifies this issuer's tokens.
    pub fn jwk_set(&self) -> Value {
        self.keys.jwk_set()
    }

    /// Serves on a thread with a runtime of its own, so that tests with runtimes of their own
    /// can share it.
    pub async fn start(&self) {
        let addr = SocketAddr::from(([127, 0, 0, 1], self.port));
        let router = Router::new().route("/jwks", get(answer)).with_state(self.published.clone());
        let (stop, stopped) = oneshot::channel::<()>();
        let (bound, listening) = oneshot::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::bind(addr).await.unwrap();
                let _ = bound.send(());
                tokio::select! {
                    served = axum::serve(listener, router) => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        listening.await.expect("the port is ours");
        *self.server.lock().unwrap() = Some(Running { stop, thread });
    }

    /// Closes the port and every connection.
    pub async fn stop(&self) {
        self.halt();
    }

    /// An ES256 token of a user, good for an hour.
    pub fn token(&self, user_id: &str) -> String {
        self.mint(Algorithm::Es256, &Issuer::claims(user_id, LIFETIME))
    }

    /// The claims of a user's token, to be added to before minting.
    pub fn claims(user_id: &str, lifetime: Duration) -> Value {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        json!({ "userId": user_id, "principalType": "User", "roles": [],
                "iat": now, "nbf": now, "exp": now + lifetime.as_secs() })
    }

    /// Signs these claims and no others.
    pub fn mint(&self, algorithm: Algorithm, claims: &Value) -> String {
        let header = json!({ "alg": algorithm.name(), "typ": "JWT", "kid": algorithm.kid() });
        self.mint_with(algorithm, &header, claims)
    }

    /// Signs under a header of the caller's, which may claim anything.
    pub fn mint_with(&self, algorithm: Algorithm, header: &Value, claims: &Value) -> String {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature = self.keys.sign(algorithm, message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn halt(&self) {
        if let Some(Running { stop, thread }) = self.server.lock().unwrap().take() {
            drop(stop);
            thread.join().expect("the issuer's thread ends when told to");
        }
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.halt();
    }
}

async fn answer(State(published): State<Published>) -> Json<Value> {
    published.fetches.fetch_add(1, Ordering::SeqCst);
    Json(published.set.lock().unwrap().clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn publishes_its_keys_while_it_runs() {
        let issuer = Issuer::launch().await;
        let addr = SocketAddr::from(([127, 0, 0, 1], issuer.port));
        let answer = crate::get(addr, "/jwks").await.unwrap();
        assert_eq!(answer.status, 200);
        assert_eq!(serde_json::from_str::<Value>(&answer.body).unwrap(), issuer.jwk_set());
        assert_eq!(issuer.fetches(), 1);
        issuer.stop().await;
        assert!(crate::get(addr, "/jwks").await.is_err());
        issuer.start().await;
        assert_eq!(crate::get(addr, "/jwks").await.unwrap().status, 200);
    }
}
