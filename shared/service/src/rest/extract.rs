//! What a handler takes from a request, refused in the one shape if it does not fit.
//!
//! | extractor | refuses with |
//! |---|---|
//! | [`Body`] | 413 above the limit, 415 for what is not JSON, 422; as an `Option`, none for no byte and for `null` |
//! | [`Query`] | 422 |
//! | [`Path`] | 404: what cannot be a name names nothing |
//! | [`Bearer`] | 401 |

use axum::{
    body::{Bytes, HttpBody},
    extract::{FromRequest, FromRequestParts, OptionalFromRequest, Request, rejection::BytesRejection},
};
use http::{HeaderMap, StatusCode, header, request::Parts};
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};

use super::{BODY_LIMIT, Cause, RestError, cause};
use crate::Secret;

/// A JSON object as body.
#[derive(Debug, Clone, Copy, Default)]
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = RestError;

    async fn from_request(request: Request, state: &S) -> Result<Self, RestError> {
        if !is_json(request.headers()) {
            return Err(RestError::unsupported_media_type());
        }
        object(&bytes(request, state).await?).map(Self)
    }
}

impl<S: Send + Sync, T: DeserializeOwned> OptionalFromRequest<S> for Body<T> {
    type Rejection = RestError;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, RestError> {
        let is_json = is_json(request.headers());
        let bytes = bytes(request, state).await?;
        match bytes.trim_ascii() {
            b"" => Ok(None),
            _ if !is_json => Err(RestError::unsupported_media_type()),
            b"null" => Ok(None),
            body => object(body).map(|body| Some(Self(body))),
        }
    }
}

async fn bytes<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, RestError> {
    // Hyper knows how much was announced; whoever announces too much need not send it to be told so.
    if request.body().size_hint().lower() > BODY_LIMIT as u64 {
        return Err(RestError::too_large());
    }
    Bytes::from_request(request, state).await.map_err(|rejection| unreadable(&rejection))
}

/// serde would take an array of a struct's fields, too; nobody is told of that, so nobody may.
fn object<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, RestError> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        IgnoredAny::deserialize(&mut json).and_then(|_| json.end()).map_err(|error| cause::of_syntax(&error))?;
        return Err(RestError::validation(&[Cause::new("", "must be a JSON object", "invalid_type")]));
    }
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| cause::of_json(&error))?;
    json.end().map_err(|error| cause::of_syntax(&error))?;
    Ok(value)
}

/// `application/json` and `application/…+json`, whatever its parameters say.
fn is_json(headers: &HeaderMap) -> bool {
    let essence = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = essence.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn unreadable(rejection: &BytesRejection) -> RestError {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => RestError::too_large(),
        // Nobody is there any more to read why.
        _ => RestError::new(StatusCode::BAD_REQUEST, "The body ended early"),
    }
}

/// The parameters of the query string; what `T` does not know is ignored unless it denies it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = RestError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, RestError> {
        let query = form(parts.uri.query().unwrap_or_default())?;
        serde_path_to_error::deserialize(query).map(Self).map_err(|error| cause::of_query(&error))
    }
}

/// Decodes a query, which has to be UTF-8: what is not would be replaced, and mean something else.
fn form(query: &str) -> Result<serde_urlencoded::Deserializer<'_>, RestError> {
    let utf8 = percent_encoding::percent_decode_str(query).decode_utf8().is_ok();
    if !utf8 {
        return Err(RestError::validation(&[Cause::new("", "must be UTF-8", "invalid_value")]));
    }
    Ok(serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes())))
}

/// The parameters of the path.
#[derive(Debug, Clone, Copy, Default)]
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = RestError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, RestError> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(_) => Err(RestError::not_found()),
        }
    }
}

/// The token of `Authorization: Bearer` (RFC 6750, 2.1), not checked yet.
#[derive(Debug, Clone)]
pub struct Bearer(pub Secret);

impl<S: Send + Sync> FromRequestParts<S> for Bearer {
    type Rejection = RestError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, RestError> {
        bearer(&parts.headers).map(|token| Self(Secret::new(token))).ok_or_else(RestError::unauthorized)
    }
}

/// With two of them nobody knows which one another party on the way has looked at.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && !token.contains(' ')).then_some(token)
}

#[cfg(test)]
mod tests;
