use std::{collections::BTreeSet, path::Path, time::Duration};

use axum::body::Body;
use http::Request as HttpRequest;
use http_body_util::BodyExt;
use rdkafka::ClientConfig;
use signal_auth::{AuthSettings, ClaimsCipher, JwkSetClient, KeySet, Verifier};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use super::{payments::Payments, *};
use crate::embedded::data_dir::DataDir;

/// A demo whose payments go nowhere.
fn demo() -> Demo {
    let scratch = tempfile::tempdir().unwrap();
    let auth = AuthSettings {
        jwks_url: None,
        jwks_lifetime: Duration::from_secs(600),
        jwt_issuer: None,
        jwt_audience: None,
        application_secret: None,
        application_secret_previous: None,
        claims_cipher: ClaimsCipher::Aes256Cbc,
    };
    Demo {
        stream_path: "/stream".into(),
        base_path: "/v1/api/signal".into(),
        embedded: Embedded { database: true, backplane: false, broker: true, issuer: true },
        issuer: Some(Issuer::open(&DataDir::open(scratch.path()).unwrap(), &auth).unwrap()),
        payments: Payments::new(ClientConfig::new(), "T".into(), CancellationToken::new(), TaskTracker::new()).unwrap(),
        allow_remote: false,
    }
}

struct Answer {
    status: u16,
    headers: http::HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

async fn send(demo: Demo, request: http::request::Builder, body: &str) -> Answer {
    let behind = rest::finish(Router::new().route("/behind", get(|| async { "behind" })));
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let (parts, body) = router(demo, behind).oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    Answer { status: parts.status.as_u16(), headers: parts.headers, body }
}

async fn fetch(path: &str) -> Answer {
    send(demo(), HttpRequest::get(path).header("host", "localhost:31090"), "").await
}

async fn post(path: &str, body: &str) -> Answer {
    let request = HttpRequest::post(path).header("host", "127.0.0.1:31090").header("content-type", "application/json");
    send(demo(), request, body).await
}

#[tokio::test]
async fn the_page_is_served_strictly() {
    let page = fetch("/").await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert_eq!((page.header("cache-control"), page.header("x-content-type-options")), ("no-store", "nosniff"));
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
    assert!(String::from_utf8(page.body).unwrap().contains("<title>Signal</title>"));

    for (path, content_type) in [
        ("/assets/app.js", "text/javascript; charset=utf-8"),
        ("/assets/app.css", "text/css; charset=utf-8"),
        ("/assets/icon.svg", "image/svg+xml"),
    ] {
        let asset = fetch(path).await;
        assert_eq!((asset.status, asset.header("content-type")), (200, content_type));
        assert!(!asset.body.is_empty() && asset.header("x-content-type-options") == "nosniff");
    }
    assert_eq!(fetch("/assets/other.js").await.status, 404);
}

#[test]
fn every_built_file_is_embedded_and_the_page_asks_for_nothing_else() {
    fn walk(folder: &Path, found: &mut BTreeSet<String>, prefix: &str) {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = format!("{prefix}/{}", entry.file_name().to_str().unwrap());
            if entry.path().is_dir() {
                walk(&entry.path(), found, &path);
            } else {
                found.insert(path);
            }
        }
    }
    let mut built = BTreeSet::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("page/dist"), &mut built, "");
    let embedded = page::FILES.iter().map(|file| if file.path == "/" { "/index.html" } else { file.path });
    assert_eq!(built, embedded.map(str::to_owned).collect());
}

#[tokio::test]
async fn settings_and_people_are_what_the_page_expects() {
    let settings = fetch("/demo/settings").await.json();
    let expected = json!({
        "streamPath": "/stream", "basePath": "/v1/api/signal", "version": env!("CARGO_PKG_VERSION"),
        "embedded": { "database": true, "backplane": false, "broker": true, "issuer": true },
    });
    assert_eq!(settings, expected);

    let people = fetch("/demo/people").await.json();
    assert_eq!(people.as_array().unwrap().len(), 3);
    let cafe = json!({ "id": "mer-cafe-79", "name": "Cà Phê 79" });
    assert_eq!(people[1], json!({ "id": "user-minh", "name": "Minh", "role": "Cashier", "merchants": [cafe] }));
}

#[tokio::test]
async fn signing_in_gives_a_token_that_the_published_keys_verify() {
    let demo = demo();
    let set = demo.issuer.as_ref().unwrap().jwks();
    let request =
        HttpRequest::post("/demo/sign-in").header("host", "localhost").header("content-type", "application/json");
    let answer = send(demo, request, r#"{"userId":"user-lan"}"#).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"));
    let body = answer.json();
    assert_eq!(body["person"]["name"], "Lan");

    let keys = JwkSetClient::fixed(KeySet::parse(set.to_string().as_bytes()).unwrap());
    let verifier = Verifier::new(signal_auth::VerifierSettings::default(), Arc::new(keys));
    let principal = verifier.verify(body["token"].as_str().unwrap()).await.unwrap();
    assert_eq!(principal.user_id.text(), "user-lan");
    let expires_at = signal_wire::timestamp::parse(body["expiresAt"].as_str().unwrap()).unwrap();
    assert_eq!(Some(expires_at.unix_timestamp()), principal.expires_at);

    let request =
        HttpRequest::post("/demo/sign-in").header("host", "localhost").header("content-type", "application/json");
    let operator = send(self::demo(), request, r#"{"userId":"operator"}"#).await.json();
    assert_eq!(
        operator["person"],
        json!({ "id": "operator", "name": "Operator", "role": "Operator", "merchants": [] })
    );

    let jwks = fetch("/.well-known/jwks.json").await.json();
    assert_eq!(jwks["keys"][0]["alg"], "ES256");
    assert_eq!(jwks["keys"][0].as_object().unwrap().len(), 7, "nothing private: {jwks}");
}

#[tokio::test]
async fn bad_bodies_are_refused_in_the_shape_of_all_errors() {
    for (path, body, code) in [
        ("/demo/sign-in", r#"{"userId":"user-nobody"}"#, "invalid_value"),
        ("/demo/sign-in", r#"{"userId":7}"#, "invalid_value"),
        ("/demo/sign-in", "{}", "invalid_value"),
        ("/demo/sign-in", "[]", "invalid_type"),
        ("/demo/sign-in", "{", "invalid_json"),
        ("/demo/payments", "null", "invalid_type"),
        ("/demo/payments", "{}", "required"),
    ] {
        let answer = post(path, body).await;
        let json = answer.json();
        assert_eq!((answer.status, &json["message"]), (422, &json!("ValidationError")), "{path} {body}");
        assert_eq!(json["requestId"], answer.header("x-request-id"));
        assert_eq!(json["details"]["cause"][0]["code"], code, "{path} {body}");
    }
    assert_eq!(post("/demo/payments", "{}").await.json()["details"]["cause"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn once_it_stops_no_payment_is_taken() {
    let stop = CancellationToken::new();
    stop.cancel();
    let stopping =
        Demo { payments: Payments::new(ClientConfig::new(), "T".into(), stop, TaskTracker::new()).unwrap(), ..demo() };
    let request =
        HttpRequest::post("/demo/payments").header("host", "localhost").header("content-type", "application/json");
    let body = r#"{"merchantId":"mer-cafe-79","amount":"1","currency":"VND","orderCode":"A-1"}"#;
    let answer = send(stopping, request, body).await;
    assert_eq!(answer.status, 503);
    assert!(answer.json()["message"].as_str().unwrap().contains("stopping"));
}

#[tokio::test]
async fn without_its_own_issuer_it_signs_nobody_in() {
    let foreign = || Demo { issuer: None, ..demo() };
    let request = HttpRequest::get("/.well-known/jwks.json").header("host", "localhost");
    assert_eq!(send(foreign(), request, "").await.status, 404);
    let request =
        HttpRequest::post("/demo/sign-in").header("host", "localhost").header("content-type", "application/json");
    let answer = send(foreign(), request, r#"{"userId":"user-lan"}"#).await;
    assert_eq!(answer.status, 503);
    assert!(answer.json()["message"].as_str().unwrap().contains("SIGNAL_JWKS_URL"));
}

#[tokio::test]
async fn public_keys_are_for_whoever_asks_under_whatever_name() {
    let keys = send(demo(), HttpRequest::get("/.well-known/jwks.json").header("host", "demo:3000"), "").await;
    assert_eq!((keys.status, keys.header("cache-control")), (200, "no-store"));
}

#[tokio::test]
async fn foreign_pages_are_kept_out() {
    let ask = |host: &'static str| send(demo(), HttpRequest::get("/demo/people").header("host", host), "");
    for host in ["localhost", "LOCALHOST:31090", "127.0.0.1:31090", "127.8.8.8", "[::1]:31090"] {
        assert_eq!(ask(host).await.status, 200, "{host}");
    }
    for host in ["evil.example", "localhost.evil.example:31090", "192.168.1.7:31090", "127.0.0.1.nip.io", "", "a b"] {
        assert_eq!(ask(host).await.status, 421, "{host}");
    }
    let remote = Demo { allow_remote: true, ..demo() };
    assert_eq!(send(remote, HttpRequest::get("/demo/people").header("host", "signal.test"), "").await.status, 200);

    // What a foreign page can send without asking first is no JSON.
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        let request =
            HttpRequest::post("/demo/sign-in").header("host", "localhost").header("content-type", content_type);
        assert_eq!(send(demo(), request, r#"{"userId":"user-lan"}"#).await.status, 415);
    }
}

#[tokio::test]
async fn everything_else_is_left_to_what_is_behind() {
    assert_eq!(fetch("/behind").await.body, b"behind");
    assert_eq!(fetch("/nowhere").await.json()["message"], "Not Found");
    assert_eq!(post("/demo/people", "{}").await.status, 405);
}
