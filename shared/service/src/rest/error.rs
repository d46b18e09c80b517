//! The one shape in which a request fails.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::RequestId;

/// A failed request: what its caller is told. `details` must not hold what they may not see.
#[derive(Debug, Clone, PartialEq)]
pub struct RestError {
    pub status: StatusCode,
    pub message: String,
    pub details: Map<String, Value>,
}

/// One thing that is wrong with a body or a query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// Where, with dots: `data.amount`; empty for the whole.
    pub path: String,
    /// For people.
    pub message: String,
    /// For programs: `required`, `invalid_type`, `too_long`, …
    pub code: &'static str,
}

impl RestError {
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), details: Map::new() }
    }

    /// 401: no token, or one that is refused.
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized")
    }

    /// 403: the token's holder lacks a permission.
    pub fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden")
    }

    /// 404
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not Found")
    }

    /// 503: something that is needed is away; the same request may succeed later.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// 422, with everything that is wrong.
    pub fn validation(causes: &[Cause]) -> Self {
        let mut error = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "ValidationError");
        error.details.insert("cause".to_owned(), json!(causes));
        error
    }
}

impl IntoResponse for RestError {
    /// Leaves the body to the layer of [`super::finish`], which knows the request's id.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(Pending(self));
        response
    }
}

#[derive(Clone)]
struct Pending(RestError);

pub(super) fn with_request_id(mut response: Response, id: &RequestId) -> Response {
    let Some(Pending(error)) = response.extensions_mut().remove::<Pending>() else {
        return response;
    };
    let body = json!({
        "message": error.message,
        "statusCode": error.status.as_u16(),
        "requestId": id.as_str(),
        "details": error.details,
    });
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *response.body_mut() = Body::from(body.to_string());
    response
}
