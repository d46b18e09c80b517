//! Who and what is refused, and what the API says of itself.

use serde_json::json;
use signal_harness::{Algorithm, Issuer};
use signal_worker::inbox;

use super::{Desk, SOON, filled};

/// Each route, with something that it would refuse.
const ROUTES: [(&str, &str, Option<&str>); 5] = [
    ("GET", "?limit=0", None),
    ("GET", "/count?unread=x", None),
    ("PATCH", "/unknown/read", None),
    ("PATCH", "/read", Some("{}")),
    ("PATCH", "/read-all", Some("[]")),
];

#[tokio::test]
async fn nobody_is_told_anything_without_a_token() {
    let desk = Desk::open().await;
    let mut expired = Issuer::claims("ann", SOON);
    expired["exp"] = json!(1_700_000_000);
    let expired = desk.issuer.mint(Algorithm::Es256, &expired);
    let others = Issuer::launch().await.token("ann");
    for (method, path, body) in ROUTES {
        for token in [None, Some("no token"), Some(expired.as_str()), Some(others.as_str())] {
            let answer = desk.send(method, path, token, body).await;
            assert_eq!(answer.status, 401, "{method} {path} {answer:?}");
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
            assert_eq!(answer.headers["cache-control"], "no-store");
        }
    }
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_its_reason() {
    let desk = Desk::open().await;
    filled(&desk, 3).await;
    let many = json!({ "ids": vec!["x"; 501] }).to_string();
    // What looks like a cursor, of times that are none.
    let cursor = "?cursor=WyJ5ZXN0ZXJkYXkiLCJpZCJd";
    for (method, path, body, cause) in [
        ("GET", "?limit=0", None, "limit"),
        ("GET", "?limit=101", None, "limit"),
        ("GET", "?limit=-1", None, "limit"),
        ("GET", "?limit=many", None, "limit"),
        ("GET", "?cursor=", None, "cursor"),
        ("GET", "?cursor=x", None, "cursor"),
        ("GET", cursor, None, "cursor"),
        ("GET", "?unread=yes", None, "unread"),
        ("GET", "?type=", None, "type"),
        ("GET", "/count?unread=1", None, "unread"),
        ("GET", "/count?type=", None, "type"),
        ("PATCH", "/read", Some("{}"), "ids"),
        ("PATCH", "/read", Some(r#"{"ids":[]}"#), "ids"),
        ("PATCH", "/read", Some(r#"{"ids":"id-00"}"#), "ids"),
        ("PATCH", "/read", Some(r#"{"ids":["a",7]}"#), "ids.1"),
        ("PATCH", "/read", Some(r#"{"ids":["a"],"all":true}"#), "all"),
        ("PATCH", "/read", Some(many.as_str()), "ids"),
        ("PATCH", "/read-all", Some("[]"), ""),
        ("PATCH", "/read-all", Some(r#"{"before":"yesterday"}"#), "before"),
        ("PATCH", "/read-all", Some(r#"{"before":7}"#), "before"),
        ("PATCH", "/read-all", Some(r#"{"befor":null}"#), "befor"),
    ] {
        let answer = desk.send(method, path, Some(&desk.issuer.token("ann")), body).await;
        assert_eq!((answer.status, &answer.body["message"]), (422, &json!("ValidationError")), "{path}: {answer:?}");
        assert_eq!(answer.body["details"]["cause"][0]["path"], cause, "{path} {body:?}: {answer:?}");
    }
    assert_eq!(desk.ask("ann", "PATCH", "/read", None).await.status, 415);
    assert_eq!(desk.unread("ann").await, 3);
    assert_eq!(desk.told().await, []);
}

#[tokio::test]
async fn every_documented_route_is_served_and_no_other() {
    let desk = Desk::open().await;
    let document = serde_json::to_value(inbox::openapi()).unwrap();
    let mut routes = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in ["get", "put", "post", "delete", "patch"] {
            let path = path.strip_prefix("/notifications").unwrap().replace("{id}", "unknown");
            let answer = desk.send(&method.to_ascii_uppercase(), &path, None, None).await;
            let operation = &item[method];
            if operation.is_null() {
                assert_eq!(answer.status, 405, "{method} {path} is served and not documented");
                continue;
            }
            routes += 1;
            assert_eq!(operation["security"], json!([{ "bearer": [] }]), "{method} {path}");
            assert_eq!(answer.status, 401, "{method} {path}");
            assert!(operation["responses"]["401"].is_object() && operation["responses"]["503"].is_object());
        }
    }
    assert_eq!(routes, ROUTES.len());
}
