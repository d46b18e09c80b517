//! `docs/openapi.json`, made from the handlers of the whole service.

use signal_service::doc;

/// The document, relative to the base path: where it is served, its `servers` say what that is.
pub fn document() -> String {
    let parts = [doc::openapi(), signal_edge::openapi(), signal_worker::inbox::openapi()];
    let document = doc::merged(parts).to_pretty_json().expect("an OpenAPI document is JSON");
    document + "\n"
}
