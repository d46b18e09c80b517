//! Answers that many routes have, for `responses(…)` of a handler's `#[utoipa::path]`.
//!
//! ```
//! use signal_service::doc::responses::{Addressed, Guarded};
//!
//! /// Reads one thing
//! #[utoipa::path(
//!     get,
//!     path = "/things/{id}",
//!     security(("bearer" = [])),
//!     responses((status = 200, description = "The thing", body = String), Guarded, Addressed)
//! )]
//! async fn read_thing() {}
//! ```

use std::collections::BTreeMap;

use utoipa::{
    IntoResponses, PartialSchema, ToResponse, ToSchema,
    openapi::{Content, Header, Object, Ref, RefOr, Response, ResponseBuilder, Type, schema::SchemaType},
};

use crate::rest::Cause;

/// A failed request
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code, reason = "the shape that signal_service::rest writes, for the document alone")]
pub(super) struct Error {
    /// What went wrong, for people
    message: String,
    /// The status once more
    #[schema(minimum = 400, maximum = 599)]
    status_code: u16,
    /// The `x-request-id` of the answer
    request_id: String,
    details: Details,
}

/// What there is to say beyond the message
#[derive(Debug, ToSchema)]
#[schema(as = ErrorDetails)]
#[allow(dead_code, reason = "see above")]
pub(super) struct Details {
    /// With 422: everything that is wrong
    #[schema(required = false, nullable = false)]
    cause: Option<Vec<Cause>>,
}

macro_rules! refusals {
    ($($name:ident = $status:literal $description:literal $(with $header:literal)?;)*) => {
        $(
            #[doc = concat!($status, ": ", $description)]
            #[derive(Debug, Clone, Copy)]
            pub struct $name;

            impl ToResponse<'_> for $name {
                fn response() -> (&'static str, RefOr<Response>) {
                    let response = refusal($description);
                    $(let response = response.header($header, seconds());)?
                    (stringify!($name), response.build().into())
                }
            }

            impl IntoResponses for $name {
                fn responses() -> BTreeMap<String, RefOr<Response>> {
                    BTreeMap::from([($status.to_string(), Ref::from_response_name(stringify!($name)).into())])
                }
            }
        )*

        /// All of them, as reusable components.
        pub(super) fn components() -> BTreeMap<String, RefOr<Response>> {
            [$($name::response()),*].into_iter().map(|(name, response)| (name.to_owned(), response)).collect()
        }
    };
}

refusals! {
    Unauthorized = 401 "No token, or one that is refused";
    Forbidden = 403 "The token's holder lacks the permission";
    NotFound = 404 "There is nothing under this name";
    PayloadTooLarge = 413 "The body is larger than 1 MiB, or what would become of it is larger than may be sent";
    UnsupportedMediaType = 415 "The body is not application/json";
    ValidationError = 422 "The body or the query does not validate; `details.cause` says why";
    TooManyRequests = 429 "More than is taken at once; come back after Retry-After" with "retry-after";
    Unavailable = 503 "Something that is needed is away; the same request may succeed later" with "retry-after";
}

fn refusal(description: &str) -> ResponseBuilder {
    let content = Content::new(Some(Ref::from_schema_name("Error")));
    ResponseBuilder::new().description(description).content("application/json", content)
}

fn seconds() -> Header {
    let mut header = Header::new(Object::with_type(SchemaType::from(Type::Integer)));
    header.description = Some("Seconds after which to come back, where that is known".to_owned());
    header
}

macro_rules! together {
    ($($(#[$doc:meta])* $name:ident = $($part:ident)*;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy)]
            pub struct $name;

            impl IntoResponses for $name {
                fn responses() -> BTreeMap<String, RefOr<Response>> {
                    let mut all = BTreeMap::new();
                    $(all.extend($part::responses());)*
                    all
                }
            }
        )*
    };
}

together! {
    /// A route that wants a token: 401, and 503 where the issuer's keys cannot be had.
    Authenticated = Unauthorized Unavailable;
    /// A route that wants a token and a permission: 401, 403, 503.
    Guarded = Unauthorized Forbidden Unavailable;
    /// A route that takes a [`Body`](crate::rest::Body): 413, 415, 422.
    WithBody = PayloadTooLarge UnsupportedMediaType ValidationError;
    /// A route that takes a [`Query`](crate::rest::Query): 422.
    WithQuery = ValidationError;
    /// A route with something's name in its path: 404.
    Addressed = NotFound;
}

/// The schemas that the answers refer to.
pub(super) fn schemas() -> Vec<(String, RefOr<utoipa::openapi::Schema>)> {
    let mut schemas = vec![(Error::name().into_owned(), Error::schema())];
    Error::schemas(&mut schemas);
    schemas
}
