use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{Router, routing::post};
use http::Request as HttpRequest;
use http_body_util::BodyExt;
use hyper::body::Frame;
use serde::Deserialize;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::rest;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payment {
    amount: u32,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Debug, Deserialize)]
struct Tag {
    name: String,
}

#[derive(Debug, Deserialize)]
struct Page {
    limit: Option<u8>,
    user: Option<String>,
}

/// A body of which nobody knows how much there is before it has come.
struct Unannounced(Option<Bytes>);

impl HttpBody for Unannounced {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }
}

fn app() -> Router {
    let pay = |Body(payment): Body<Payment>| async move {
        let names: Vec<_> = payment.tags.into_iter().map(|tag| tag.name).collect();
        format!("{} {}", payment.amount, names.join("+"))
    };
    let list = |Query(page): Query<Page>| async move { format!("{:?} {:?}", page.limit, page.user) };
    let tip = |tip: Option<Body<Tag>>| async move { tip.map_or("none".to_owned(), |Body(tag)| tag.name) };
    let guarded = |Bearer(token): Bearer| async move { token.expose().to_owned() };
    rest::finish(
        Router::new()
            .route("/payments", post(pay).get(list))
            .route("/payments/{id}", post(|Path(id): Path<String>| async move { id }))
            .route("/tips", post(tip))
            .route("/guarded", post(guarded)),
    )
}

async fn send(request: http::request::Builder, body: impl Into<axum::body::Body>) -> (u16, Value) {
    let response = app().oneshot(request.body(body.into()).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let text = || Value::from(String::from_utf8_lossy(&bytes).into_owned());
    (status, serde_json::from_slice(&bytes).unwrap_or_else(|_| text()))
}

async fn pay(body: impl Into<axum::body::Body>) -> (u16, Value) {
    send(HttpRequest::post("/payments").header("content-type", "application/json; charset=utf-8"), body).await
}

#[tokio::test]
async fn a_body_that_may_be_absent_is_none_or_has_to_fit() {
    let tip = async |content_type: &str, body: &'static str| {
        let body = axum::body::Body::new(Unannounced(Some(Bytes::from(body))));
        send(HttpRequest::post("/tips").header("content-type", content_type), body).await
    };
    let json = "application/json";
    assert_eq!(send(HttpRequest::post("/tips"), "").await, (200, json!("none")));
    for (content_type, body, status) in [
        (json, "", 200),
        ("text/plain", "", 200),
        (json, " null ", 200),
        (json, "{}", 422),
        (json, "nul", 422),
        (json, "[null]", 422),
        ("text/plain", "null", 415),
        ("text/plain", "{}", 415),
    ] {
        assert_eq!(tip(content_type, body).await.0, status, "{content_type} {body}");
    }
    assert_eq!(tip(json, r#"{"name":"a"}"#).await, (200, json!("a")));
    let large = "x".repeat(BODY_LIMIT + 1);
    assert_eq!(send(HttpRequest::post("/tips").header("content-type", json), large).await.0, 413);
}

#[tokio::test]
async fn a_body_that_fits_is_taken_and_any_other_says_where_it_does_not() {
    assert_eq!(pay(r#"{"amount":5,"tags":[{"name":"a"},{"name":"b"}]}"#).await, (200, json!("5 a+b")));
    for (body, path, code, words) in [
        (r#"{"tags":[]}"#, "amount", "required", "missing field"),
        (r#"{"amount":"5"}"#, "amount", "invalid_type", "expected u32"),
        (r#"{"amount":-5}"#, "amount", "invalid_value", "expected u32"),
        (r#"{"amount":5,"tags":[{"name":"a"},{"name":7}]}"#, "tags.1.name", "invalid_type", "expected a string"),
        (r#"{"amount":5,"tags":[{}]}"#, "tags.0.name", "required", "missing field"),
        (r#"{"amount":5,"ammount":5}"#, "ammount", "unknown_field", "expected `amount` or `tags`"),
        (r#"{"amount":5,"amount":5}"#, "amount", "duplicate_field", "duplicate"),
        ("[]", "", "invalid_type", "must be a JSON object"),
        ("[5,[]]", "", "invalid_type", "must be a JSON object"),
        (" null", "", "invalid_type", "must be a JSON object"),
        ("[5", "", "invalid_json", "EOF"),
        ("5 5", "", "invalid_json", "trailing"),
        ("", "", "invalid_json", "EOF"),
        (r#"{"amount":5"#, "", "invalid_json", "EOF"),
        (r#"{"amount":5} x"#, "", "invalid_json", "trailing"),
        ("\u{0}", "", "invalid_json", "line 1"),
    ] {
        let (status, answer) = pay(body).await;
        assert_eq!((status, &answer["message"]), (422, &json!("ValidationError")), "{body}: {answer}");
        let cause = &answer["details"]["cause"][0];
        assert_eq!((&cause["path"], &cause["code"]), (&json!(path), &json!(code)), "{body}: {answer}");
        let message = cause["message"].as_str().unwrap();
        assert!(message.contains(words), "{body}: {answer}");
        assert!(code == "invalid_json" || !message.contains("line 1"), "{body}: {answer}");
    }
    assert_eq!(pay(vec![0x22, 0xff, 0x22]).await.0, 422, "no UTF-8");
}

#[tokio::test]
async fn an_answer_does_not_repeat_a_long_body() {
    let (status, answer) = pay(json!({ "amount": "é".repeat(100_000) }).to_string()).await;
    assert_eq!(status, 422);
    assert!(answer.to_string().len() < 1000, "{} bytes", answer.to_string().len());
}

#[tokio::test]
async fn a_body_is_json_and_says_so() {
    for (content_type, status) in [
        (Some("application/json"), 200),
        (Some("Application/JSON"), 200),
        (Some("application/merge-patch+json"), 200),
        (Some("text/plain"), 415),
        (Some("application/jsonp"), 415),
        (Some("text/x+json"), 415),
        (None, 415),
    ] {
        let request = HttpRequest::post("/payments");
        let request = match content_type {
            Some(content_type) => request.header("content-type", content_type),
            None => request,
        };
        let (answered, body) = send(request, r#"{"amount":1}"#).await;
        assert_eq!(answered, status, "{content_type:?}: {body}");
        assert!(status == 200 || body["statusCode"] == 415, "{body}");
    }
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused_and_one_at_it_is_not() {
    let padded = |bytes: usize| {
        let body = r#"{"amount":1}"#;
        format!("{body}{}", " ".repeat(bytes - body.len()))
    };
    assert_eq!(pay(padded(BODY_LIMIT)).await.0, 200);
    let (status, answer) = pay(padded(BODY_LIMIT + 1)).await;
    assert_eq!((status, &answer["message"], &answer["statusCode"]), (413, &json!("Payload Too Large"), &json!(413)));
}

#[tokio::test]
async fn a_query_is_typed() {
    let list = async |query: &str| send(HttpRequest::get(format!("/payments?{query}")), "").await;
    assert_eq!(list("limit=7&user=a%20b&more=1").await, (200, json!(r#"Some(7) Some("a b")"#)));
    assert_eq!(list("").await, (200, json!("None None")));
    for (query, path) in
        [("limit=many", "limit"), ("limit=256", "limit"), ("limit=1&limit=2", "limit"), ("user=%ff", "")]
    {
        let (status, answer) = list(query).await;
        assert_eq!((status, &answer["details"]["cause"][0]["path"]), (422, &json!(path)), "{query}: {answer}");
    }
}

#[tokio::test]
async fn a_path_that_cannot_be_read_names_nothing() {
    assert_eq!(send(HttpRequest::post("/payments/a%20b"), "").await, (200, json!("a b")));
    let (status, answer) = send(HttpRequest::post("/payments/%ff"), "").await;
    assert_eq!((status, &answer["statusCode"]), (404, &json!(404)), "{answer}");
}

#[tokio::test]
async fn a_bearer_token_is_taken_and_everything_else_is_401() {
    let guarded = async |values: &[&str]| {
        let request =
            values.iter().fold(HttpRequest::post("/guarded"), |request, value| request.header("authorization", *value));
        send(request, "").await
    };
    assert_eq!(guarded(&["Bearer a.b.c"]).await, (200, json!("a.b.c")));
    assert_eq!(guarded(&["bearer a.b.c"]).await, (200, json!("a.b.c")));
    for values in
        [&[][..], &["a.b.c"], &["Basic a"], &["Bearer"], &["Bearer "], &["Bearer a b"], &["Bearer a", "Bearer b"]]
    {
        let (status, answer) = guarded(values).await;
        assert_eq!((status, &answer["message"]), (401, &json!("Unauthorized")), "{values:?}");
    }
}

#[test]
fn a_bearer_token_never_prints() {
    assert!(!format!("{:?}", Bearer(Secret::new("a.b.c"))).contains("a.b.c"));
}
