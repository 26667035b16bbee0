//! What all operations have in common is written into the OpenAPI document here: how a caller is known, and what every
//! one of them may answer beside its own.

use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, ResponseBuilder, SecurityRequirement, path::Operation};

use super::super::guard::COOKIE;

/// Status codes that any operation may answer, and when.
const COMMON: [(&str, &str); 12] = [
    ("400", "The request cannot be understood"),
    ("401", "Neither a good token nor a good session was sent"),
    ("403", "A web page of another origin asks, or the broker is not known by this Host"),
    ("404", "There is nothing of that name"),
    ("409", "It cannot be done as things are"),
    ("412", "Somebody else has changed it meanwhile"),
    ("413", "The body is too large"),
    ("415", "The body is not of the type that is asked for"),
    ("422", "What was given cannot be taken, or the configuration would have problems"),
    ("429", "Too many wrong tries from this address"),
    ("500", "Something failed that should not"),
    ("503", "The broker is stopping"),
];

/// Completes the document.
pub(super) fn finish(document: &mut OpenApi) {
    let schemes = document.components.get_or_insert_default();
    schemes.add_security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(COOKIE)));
    schemes.add_security_scheme("session", cookie);
    let nothing: [&str; 0] = [];
    document.security =
        Some(vec![SecurityRequirement::new("token", nothing), SecurityRequirement::new("session", nothing)]);
    for item in document.paths.paths.values_mut() {
        let all = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
        all.into_iter().flatten().for_each(common);
    }
}

fn common(operation: &mut Operation) {
    for (status, when) in COMMON {
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| {
            let problem = Content::new(Some(RefOr::Ref(Ref::from_schema_name("Problem"))));
            let response =
                ResponseBuilder::new().description(when).content("application/problem+json", problem);
            RefOr::T(response.build())
        });
    }
}
