use axum::{
    body::Body,
    http::{Request, StatusCode, header, response},
};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{responses::*, *};
use crate::rest;

async fn get_with(base: &str, path: &str, accept_encoding: &str) -> (response::Parts, Vec<u8>) {
    let request = Request::get(format!("{base}{path}")).header(header::ACCEPT_ENCODING, accept_encoding);
    let app = rest::finish(router(base));
    let response = app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    (parts, body.collect().await.unwrap().to_bytes().to_vec())
}

#[tokio::test]
async fn the_document_names_the_base_path_it_is_served_at() {
    for (base, url) in [("/v1/api/signal", "/v1/api/signal"), ("/elsewhere", "/elsewhere"), ("", "/")] {
        let (parts, body) = get_with(base, "/doc/openapi.json", "").await;
        let document: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((parts.status, &document["servers"]), (StatusCode::OK, &json!([{ "url": url }])));
        assert!(document["paths"]["/doc/openapi.json"]["get"].is_object(), "{document}");
        assert!(parts.headers.contains_key(rest::REQUEST_ID));
    }
}

#[tokio::test]
async fn the_page_loads_what_is_there_and_allows_nothing_else() {
    let (parts, body) = get_with("/base", "/doc", "").await;
    let page = String::from_utf8(body).unwrap();
    let policy = parts.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; "), "{policy}");
    assert!(!policy.contains("unsafe-eval") && !policy.contains("http") && !policy.contains('*'), "{policy}");
    assert!(!page.contains("{base}") && !page.contains("{version}") && !page.contains("://"), "{page}");
    let scripts: Vec<&str> = page.split("src=\"/base").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(scripts.len(), 2);
    for script in scripts {
        assert_eq!(get_with("/base", script, "gzip").await.0.status, StatusCode::OK, "{script}");
    }
}

#[tokio::test]
async fn the_viewer_is_the_same_packed_and_unpacked() {
    let path = format!("/doc/scalar-{}.js", include_str!("../../assets/scalar/VERSION").trim());
    let (packed, gzip) = get_with("", &path, "gzip").await;
    let (plain, script) = get_with("", &path, "identity").await;
    assert_eq!(packed.headers[header::CONTENT_ENCODING], "gzip");
    assert!(plain.headers.get(header::CONTENT_ENCODING).is_none());
    for parts in [packed, plain] {
        assert_eq!(parts.headers[CONTENT_TYPE], "text/javascript; charset=utf-8");
        assert_eq!(parts.headers[header::VARY], "accept-encoding");
    }
    let mut unpacked = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&gzip[..]), &mut unpacked).unwrap();
    assert!(unpacked == script && script.len() > 1_000_000);
}

/// One thing
#[utoipa::path(
    post,
    path = "/things/{id}",
    security(("bearer" = [])),
    responses((status = 200, description = "It", body = String), Guarded, WithBody, Addressed, TooManyRequests)
)]
#[allow(dead_code)]
fn thing() {}

#[test]
fn parts_become_one_document_whose_references_lead_somewhere() {
    #[derive(utoipa::OpenApi)]
    #[openapi(paths(thing))]
    struct Part;
    let document = serde_json::to_value(merged([openapi(), <Part as utoipa::OpenApi>::openapi()])).unwrap();
    let responses = document["paths"]["/things/{id}"]["post"]["responses"].as_object().unwrap();
    let statuses: Vec<&str> = responses.keys().map(String::as_str).collect();
    assert_eq!(statuses, ["200", "401", "403", "404", "413", "415", "422", "429", "503"]);
    assert_eq!(responses["404"]["$ref"], "#/components/responses/NotFound");
    for path in ["/doc", "/doc/openapi.json", "/things/{id}"] {
        assert!(document["paths"][path].is_object(), "{path}");
    }
    assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    let id = "#/components/headers/x-request-id";
    assert_eq!(responses["200"]["headers"]["x-request-id"]["$ref"], id);
    assert_eq!(document["components"]["responses"]["NotFound"]["headers"]["x-request-id"]["$ref"], id);

    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(document.pointer(reference).is_some(), "{reference} in {text}");
    }
}

#[tokio::test]
async fn what_the_document_says_of_errors_is_what_they_are() {
    let document = serde_json::to_value(merged([])).unwrap();
    let schemas = &document["components"]["schemas"];
    let error = rest::RestError::validation(&[rest::Cause::new("a", "b", "c")]);
    let app = rest::finish(Router::new().route("/", get(|| async { error })));
    let response = app.oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
    let body: Value = serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap();
    for (schema, value) in
        [("Error", &body), ("ErrorDetails", &body["details"]), ("ErrorCause", &body["details"]["cause"][0])]
    {
        let written: Vec<&String> = value.as_object().unwrap().keys().collect();
        let described: Vec<&String> = schemas[schema]["properties"].as_object().unwrap().keys().collect();
        assert_eq!(written.len(), described.len(), "{schema}: {written:?} {described:?}");
        assert!(written.iter().all(|key| described.contains(key)), "{schema}: {written:?} {described:?}");
    }
    assert_eq!(schemas["Error"]["required"], json!(["message", "statusCode", "requestId", "details"]));
}
