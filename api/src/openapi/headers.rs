//! Headers, as the document tells of them: those of answers by name, those of requests by whatever reads them.

use serde_json::{Map, Value, json};
use utoipa::openapi::{
    Required,
    path::{Parameter, ParameterBuilder, ParameterIn},
    schema::{ObjectBuilder, Type},
};

/// A header of requests, as text that may have to match a pattern.
pub(crate) fn request_header(name: &str, required: Required, description: &str, pattern: Option<&str>) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(required)
        .description(Some(description))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).min_length(pattern.map(|_| 1)).pattern(pattern)))
        .build()
}

/// Every header that an answer may have and a client may act on.
pub(super) fn components() -> Map<String, Value> {
    let text = json!({ "type": "string" });
    let number = json!({ "type": "integer", "minimum": 0 });
    let header = |name: &str, description: &str, required: bool, schema: &Value, example: Value| {
        let header = json!({ "description": description, "required": required, "schema": schema, "example": example });
        (name.to_owned(), header)
    };
    Map::from_iter([
        header(
            "X-Request-Id",
            "The request's own where that is sane, else a new one; it is in the logs, too.",
            true,
            &json!({ "type": "string", "minLength": 1, "maxLength": 128 }),
            json!("0c0a7f2e-9b1d-4f0c-8a51-0e6f2d9b7c11"),
        ),
        header("ETag", "Names this version; good for `If-None-Match` and `If-Match`.", true, &text, json!("\"4f1c\"")),
        header("Location", "Where it is.", true, &text, json!("/orders/01a209b7-b6ef-7c1e-9a55-2d0f6b1c3e77")),
        header("Cache-Control", "How long it may be kept, and by whom.", true, &text, json!("no-store")),
        header("WWW-Authenticate", "RFC 6750.", true, &text, json!("Bearer realm=\"kassa\"")),
        header("Retry-After", "Seconds after which a repeat makes sense.", false, &number, json!(1)),
        header(
            "Idempotency-Replayed",
            "`true` where an earlier request with this key did the work.",
            false,
            &json!({ "type": "string", "enum": ["true"] }),
            json!("true"),
        ),
        header("RateLimit-Limit", "How many requests are taken a minute.", false, &number, json!(6000)),
        header("RateLimit-Remaining", "How many of these are left.", false, &number, json!(5999)),
        header("RateLimit-Reset", "Seconds until all are there again.", false, &number, json!(1)),
    ])
}
