//! Tokens that take the place of others on a live session.

use std::time::Duration;

use serde_json::{Value, json};
use signal_harness::{Algorithm, Issuer};
use signal_wire::envelope::Target;

use crate::fixture::{Client, TestEdge, counted};

/// A token of this user that is good for so many seconds from now, the leeway of five among them.
fn token(edge: &TestEdge, user: &str, seconds: i64) -> (String, i64) {
    let mut claims = Issuer::claims(user, Duration::ZERO);
    let expires = claims["iat"].as_i64().unwrap() + seconds - 5;
    claims["exp"] = json!(expires);
    (edge.issuer.mint(Algorithm::Es256, &claims), expires)
}

async fn connect(edge: &TestEdge, token: &str) -> Client {
    let mut socket = edge.open().await;
    let connected = socket.authenticate(token).await;
    Client { id: connected["id"].as_str().unwrap().to_owned(), socket }
}

async fn refresh(client: &mut Client, token: &str) -> Value {
    client.socket.say_sealed(&json!({ "event": "refresh", "data": { "token": token } })).await;
    client.socket.hear().await
}

fn rfc3339(unix_seconds: i64) -> String {
    signal_wire::timestamp::format(time::OffsetDateTime::from_unix_timestamp(unix_seconds).unwrap())
}

#[tokio::test]
async fn a_session_outlives_the_token_that_it_began_with() {
    let edge = TestEdge::start(&[]).await;
    let mut kept = connect(&edge, &token(&edge, "an", 7).0).await;
    let mut ended = connect(&edge, &token(&edge, "an", 7).0).await;
    let (longer, expires) = token(&edge, "an", 600);
    let answer = refresh(&mut kept, &longer).await;
    assert_eq!(answer, json!({ "event": "refreshed", "data": { "expiresAt": rfc3339(expires) } }));
    assert_eq!(ended.socket.closed().await, (4005, "Token expired".to_owned()));
    // Both would have been closed in the same look at who is due.
    edge.say(Target::User("an"), "still here", json!(1)).await;
    assert_eq!(kept.socket.hear().await["event"], "still here");
}

#[tokio::test]
async fn a_refreshed_session_ends_with_its_new_token() {
    let edge = TestEdge::start(&[]).await;
    let mut client = connect(&edge, &token(&edge, "an", 3).0).await;
    assert_eq!(refresh(&mut client, &token(&edge, "an", 5).0).await["event"], "refreshed");
    assert_eq!(client.socket.closed().await.0, 4005);
}

#[tokio::test]
async fn a_token_without_an_end_never_ends_the_session() {
    let edge = TestEdge::start(&[]).await;
    let mut client = connect(&edge, &edge.issuer.token("an")).await;
    let mut claims = Issuer::claims("an", Duration::ZERO);
    claims.as_object_mut().unwrap().remove("exp");
    let answer = refresh(&mut client, &edge.issuer.mint(Algorithm::Es256, &claims)).await;
    assert_eq!(answer["data"], json!({ "expiresAt": null }));
}

#[tokio::test]
async fn what_is_refused_leaves_the_session_as_it_was() {
    let edge = TestEdge::start(&[]).await;
    let refused = |reason| counted("signal_edge_inbound_refused_total", &[("reason", reason)]);
    let mut client = connect(&edge, &token(&edge, "an", 600).0).await;
    for (offered, reason, message) in [
        (token(&edge, "binh", 900).0, "refresh_other_user", "Refresh failed: another user's token"),
        (token(&edge, "an", 300).0, "refresh_earlier", "Refresh failed"),
        (token(&edge, "an", -10).0, "refresh_refused", "Refresh failed"),
        ("nonsense".to_owned(), "refresh_refused", "Refresh failed"),
    ] {
        let before = refused(reason);
        let answer = refresh(&mut client, &offered).await;
        assert_eq!(answer["data"]["message"], message, "{reason}");
        assert!(refused(reason) > before, "{reason}");
    }
    for data in [json!(null), json!({}), json!({ "token": 7 }), json!([1])] {
        client.socket.say_sealed(&json!({ "event": "refresh", "data": data })).await;
        assert_eq!(client.socket.hear_error().await, "Refresh failed", "{data}");
    }
    edge.say(Target::User("an"), "still here", json!(1)).await;
    assert_eq!(client.socket.hear().await["event"], "still here");
    edge.say(Target::User("binh"), "not for an", json!(1)).await;
    client.socket.settle().await;
}
