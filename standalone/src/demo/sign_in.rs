//! A token for whomever the page chose to be.

use axum::{
    Json,
    extract::{State, rejection::JsonRejection},
};
use serde_json::{Value, json};
use signal_service::rest::{Cause, RestError};
use signal_wire::timestamp;
use time::{Duration, OffsetDateTime};

use super::{Shared, object, person_json};
use crate::embedded::{issuer::LIFETIME_SECONDS, people};

pub(super) async fn sign_in(
    State(demo): Shared,
    body: Result<Json<Value>, JsonRejection>,
) -> Result<Json<Value>, RestError> {
    let Some(issuer) = &demo.issuer else {
        return Err(RestError::unavailable(
            "Tokens come from the issuer at SIGNAL_JWKS_URL: the demo cannot make them",
        ));
    };
    let body = object(body)?;
    let person = body["userId"].as_str().and_then(people::person).ok_or_else(|| {
        RestError::validation(&[Cause {
            path: "userId".to_owned(),
            message: "must be one of GET /demo/people".to_owned(),
            code: "invalid_value",
        }])
    })?;
    let now = OffsetDateTime::now_utc();
    Ok(Json(json!({
        "token": issuer.token(person, now.unix_timestamp()),
        "expiresAt": timestamp::format(now + Duration::seconds(LIFETIME_SECONDS)),
        "person": person_json(person),
    })))
}
