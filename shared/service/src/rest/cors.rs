//! Pages of other origins (the Fetch standard's CORS protocol).

use std::time::Duration;

use http::{HeaderName, Method, header};
use tower_http::cors::{AllowOrigin, Any, CorsLayer};

use super::REQUEST_ID;
use crate::{settings::AllowedOrigins, telemetry::traces};

/// How long a browser may remember what it was told; browsers cap it at two hours or less.
const REMEMBERED: Duration = Duration::from_secs(7200);

/// Tokens travel in `Authorization`, never in cookies: credentials in the standard's sense are not allowed.
pub(super) fn layer(origins: AllowedOrigins) -> CorsLayer {
    let methods = [Method::GET, Method::HEAD, Method::POST, Method::PATCH, Method::DELETE];
    let traceparent = HeaderName::from_static(traces::TRACEPARENT);
    let layer = CorsLayer::new()
        .allow_methods(methods)
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, REQUEST_ID, traceparent])
        .expose_headers([REQUEST_ID, header::RETRY_AFTER])
        .max_age(REMEMBERED);
    if origins == AllowedOrigins::Any {
        return layer.allow_origin(Any);
    }
    let allowed = AllowOrigin::predicate(move |origin, _| origin.to_str().is_ok_and(|origin| origins.allows(origin)));
    layer.allow_origin(allowed)
}
