//! The page: Scalar's viewer (MIT, `shared/service/assets/scalar`), which asks nobody but this service for anything.

use std::{io::Read, sync::OnceLock};

use axum::{
    Router,
    body::Bytes,
    http::{
        HeaderMap, HeaderValue,
        header::{
            ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
            VARY, X_CONTENT_TYPE_OPTIONS,
        },
    },
    response::{Html, IntoResponse, Response},
    routing::get,
};
use flate2::read::GzDecoder;

use super::TAG;

/// Gzip and not Brotli: browsers take the latter over TLS alone.
const VIEWER: &[u8] = include_bytes!("../../assets/scalar/standalone.js.gz");
const VERSION: &str = include_str!("../../assets/scalar/VERSION");
const START: &str = include_str!("../../assets/start.js");
const PAGE: &str = include_str!("../../assets/page.html");

/// Nothing comes from elsewhere and nothing goes there. The viewer writes style elements and attributes, which could
/// load nothing either.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) fn router(base_path: &str) -> Router {
    let base_path = base_path.to_owned();
    // The version is part of the name, so that a browser may keep the file for good.
    Router::new()
        .route(&format!("{base_path}/doc/scalar-{}.js", VERSION.trim()), get(viewer))
        .route(&format!("{base_path}/doc/start.js"), get(start))
        .route(&format!("{base_path}/doc"), get(move || document_page(base_path)))
}

/// The OpenAPI document as a page
#[utoipa::path(
    get,
    path = "/doc",
    tag = TAG,
    operation_id = "getDocumentPage",
    responses((status = 200, description = "The document in a viewer", content_type = "text/html", body = String))
)]
pub(super) async fn document_page(base_path: String) -> Response {
    let page = PAGE.replace("{base}", &base_path).replace("{version}", VERSION.trim());
    let headers = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, Html(page)).into_response()
}

async fn start() -> impl IntoResponse {
    let headers = [(CONTENT_TYPE, "text/javascript; charset=utf-8"), (CACHE_CONTROL, "no-cache")];
    (headers, START)
}

async fn viewer(headers: HeaderMap) -> Response {
    let mut response = if takes_gzip(&headers) {
        ([(CONTENT_ENCODING, "gzip")], VIEWER).into_response()
    } else {
        unpacked().into_response()
    };
    for (name, value) in [
        (CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (VARY, "accept-encoding"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// RFC 9110, 12.5.3, for the one coding that there is.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let listed = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    listed.flat_map(|value| value.split(',')).any(|item| {
        let (coding, parameters) = item.split_once(';').unwrap_or((item, ""));
        let weight = parameters.trim().strip_prefix("q=").and_then(|weight| weight.trim().parse::<f32>().ok());
        matches!(coding.trim(), "gzip" | "x-gzip" | "*") && weight.is_none_or(|weight| weight > 0.0)
    })
}

/// Unpacked once, for the rare client that takes no gzip.
fn unpacked() -> Bytes {
    static UNPACKED: OnceLock<Bytes> = OnceLock::new();
    let unpack = || {
        let mut script = Vec::new();
        GzDecoder::new(VIEWER).read_to_end(&mut script).expect("the embedded file is gzip");
        Bytes::from(script)
    };
    UNPACKED.get_or_init(unpack).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_goes_only_to_whom_takes_it() {
        for (value, takes) in [
            (Some("gzip, deflate, br"), true),
            (Some("br;q=1.0, gzip;q=0.5"), true),
            (Some("*"), true),
            (Some("gzip;q=0"), false),
            (Some("gzip; q=0.0, identity"), false),
            (Some("br"), false),
            (Some(""), false),
            (None, false),
        ] {
            let headers = value.map(|value| (ACCEPT_ENCODING, HeaderValue::from_str(value).unwrap()));
            assert_eq!(takes_gzip(&headers.into_iter().collect()), takes, "{value:?}");
        }
    }
}
