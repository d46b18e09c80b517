//! One document of the parts.

use serde_json::{Value, json};
use utoipa::openapi::{
    Components, Header, Info, License, OpenApi, PathItem, Paths, Ref, RefOr, Response,
    path::Operation,
    security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use super::responses;
use crate::rest::REQUEST_ID;

const DESCRIPTION: &str = "\
The REST side of Signal: people read their notifications and mark them as read, and operators see and steer connected \
clients, on whichever edge they are. What travels on the WebSocket is no REST: the source's docs/protocol.md has it.

Every answer carries `x-request-id`, which is the caller's if it sent a sane one, and every failure has the same shape. \
Only what is no HTTP request, or one with more than 16 KiB of headers, is refused without.";

/// The scheme's name in `security((\"bearer\" = []))`.
const BEARER: &str = "bearer";

/// The document of the whole service, with what all routes share.
pub fn merged(parts: impl IntoIterator<Item = OpenApi>) -> OpenApi {
    let mut info = Info::new("Signal", env!("CARGO_PKG_VERSION"));
    info.description = Some(DESCRIPTION.to_owned());
    info.license = Some(License::new("Apache-2.0"));
    let mut whole = OpenApi::new(info, Paths::new());
    whole.components = Some(shared_components());
    for part in parts {
        whole.merge(part);
    }
    for item in whole.paths.paths.values_mut() {
        for operation in operations(item) {
            for response in operation.responses.responses.values_mut() {
                name_the_request(response);
            }
        }
    }
    whole
}

/// The committed document as this deployment serves it.
pub(super) fn served_at(document: &str, base_path: &str) -> String {
    let mut document: Value = serde_json::from_str(document).expect("the committed document is JSON");
    let url = if base_path.is_empty() { "/" } else { base_path };
    document["servers"] = json!([{ "url": url }]);
    document.to_string()
}

fn shared_components() -> Components {
    let mut components = Components::new();
    components.schemas.extend(responses::schemas());
    components.responses = responses::components();
    components.responses.values_mut().for_each(name_the_request);
    let mut request_id = Header::default();
    request_id.description = Some("The request's id, as it stands in logs and traces".to_owned());
    components.headers.insert(REQUEST_ID.to_string(), request_id.into());
    let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    components.security_schemes.insert(BEARER.to_owned(), SecurityScheme::Http(token).into());
    components
}

fn name_the_request(response: &mut RefOr<Response>) {
    if let RefOr::T(response) = response {
        let header = Ref::new(format!("#/components/headers/{REQUEST_ID}"));
        response.headers.insert(REQUEST_ID.to_string(), RefOr::Ref(header));
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let all = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch, &mut item.head];
    all.into_iter().flatten()
}
