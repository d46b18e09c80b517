//! The page's files, built beforehand and part of the binary.

use axum::{
    Router,
    response::{IntoResponse, Response},
    routing::get,
};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};

/// Everything comes from here and nothing is inline. `'self'` covers the WebSocket, too.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) struct File {
    pub(super) path: &'static str,
    content_type: &'static str,
    content: &'static [u8],
}

macro_rules! file {
    ($path:literal, $name:literal, $content_type:literal) => {
        File { path: $path, content_type: $content_type, content: include_bytes!(concat!("../../page/dist/", $name)) }
    };
}

pub(super) const FILES: [File; 4] = [
    file!("/", "index.html", "text/html; charset=utf-8"),
    file!("/assets/app.js", "assets/app.js", "text/javascript; charset=utf-8"),
    file!("/assets/app.css", "assets/app.css", "text/css; charset=utf-8"),
    file!("/assets/icon.svg", "assets/icon.svg", "image/svg+xml"),
];

pub(super) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES.iter().fold(Router::new(), |router, file| router.route(file.path, get(move || async { answer(file) })))
}

fn answer(file: &'static File) -> Response {
    let cache = if file.path == "/" { "no-store" } else { "no-cache" };
    let headers = [
        (CONTENT_TYPE, file.content_type),
        (CACHE_CONTROL, cache),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
    ];
    (headers, file.content).into_response()
}
