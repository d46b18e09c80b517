//! The one shape in which a request fails.

use std::time::Duration;

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
    /// When asking again may help; `Retry-After`, in whole seconds.
    pub retry_after: Option<Duration>,
}

/// One thing that is wrong with a body or a query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = ErrorCause)]
pub struct Cause {
    /// Where, with dots: `data.amount`; empty for the whole.
    pub path: String,
    /// For people.
    pub message: String,
    /// For programs: `required`, `invalid_type`, `invalid_value`, `too_long`, …
    pub code: &'static str,
}

impl Cause {
    pub fn new(path: impl Into<String>, message: impl Into<String>, code: &'static str) -> Self {
        Self { path: path.into(), message: message.into(), code }
    }
}

impl RestError {
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), details: Map::new(), retry_after: None }
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

    /// 413: a body, or what would become of it, is larger than is taken.
    pub fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "Payload Too Large")
    }

    /// 415: a body that is not JSON, or does not say that it is.
    pub fn unsupported_media_type() -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body must be application/json")
    }

    /// 422, with everything that is wrong.
    pub fn validation(causes: &[Cause]) -> Self {
        let mut error = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "ValidationError");
        error.details.insert("cause".to_owned(), json!(causes));
        error
    }

    /// 429: the same request may succeed after `retry_after`.
    pub fn too_many_requests(retry_after: Duration) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests").retry_after(retry_after)
    }

    /// 503: something that is needed is away; the same request may succeed later.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}

impl IntoResponse for RestError {
    /// Leaves the body to the layer of [`super::finish`], which knows the request's id.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(wait) = self.retry_after {
            // Rounded up: whoever comes back a moment early is refused again.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
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
