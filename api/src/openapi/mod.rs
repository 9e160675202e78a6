//! The OpenAPI document of the API, made from the code: the router gives the paths, the handlers their words, the shop's types
//! their shapes. What many operations have in common (`problems`, `headers`, `examples`) is added to the whole.
//!
//! A route without its place in the document can't be written: `clippy.toml` bans the ways to add one. Why it is done so:
//! docs/adr/0011.

mod docs;
mod examples;
mod finish;
mod headers;
mod problems;

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use common::{
    account::EmailBeginning,
    catalog::{Listing, SearchText, Sort},
    order::{OpenOrder, Shortfall},
};
use serde_json::Value;
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(crate) use self::{
    headers::request_header,
    problems::{Problems, Tells, tells},
};
use crate::{extract::IfNoneMatch, ops, problem::Problem, respond::Rendered, routes, state::AppState};

/// What is said of the API as a whole.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Kassa",
        description = "The API of a shop: accounts, catalogue, cart, checkout, orders, payment by Stripe.\n\n\
            Money is an integer in the minor unit of the currency beside it. Ids are UUIDs, times are RFC 3339 in UTC. What can't be \
            answered as wished is a problem (RFC 9457): clients tell problems apart by `code`, which never changes.\n\n\
            Paths that don't exist answer 404 `not_found`, methods that a path doesn't know 405 `method_not_allowed` with `Allow`; every \
            `GET` answers to `HEAD`, too. Members that a body may not have are refused (422 `validation_failed`), and so are parameters that the query of a list of `/admin` \
            may not have; elsewhere these are ignored.",
    ),
    components(schemas(EmailBeginning, Listing, OpenOrder, SearchText, Shortfall, Sort)), // those that only parameters and problems have
    servers((url = "/", description = "Where this document is from")),
    tags(
        (name = "accounts", description = "Registering, logging in and out, forgotten passwords"),
        (name = "catalogue", description = "What the shop sells"),
        (name = "cart", description = "What the caller means to buy"),
        (name = "orders", description = "Checkout, and the caller's own orders"),
        (name = "webhooks", description = "What Stripe tells"),
        (name = "administration", description = "What administrators do"),
        (name = "operations", description = "Health, and this document"),
    )
)]
struct Frame;

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let routes = routes::router().merge(ops::routes()).merge(document_route());
    let (_, api) = OpenApiRouter::with_openapi(Frame::openapi()).merge(routes).split_for_parts();
    let mut document = serde_json::to_value(api).expect("a document is JSON");
    finish::finish(&mut document);
    document
});

/// Each method of each route, as the metrics name them.
pub(crate) fn operations() -> Vec<(&'static str, String)> {
    let (_, api) = routes::router().merge(ops::routes()).merge(document_route()).split_for_parts();
    let mut operations = Vec::new();
    for (route, item) in api.paths.paths {
        let methods = [
            ("DELETE", item.delete.is_some()),
            ("GET", item.get.is_some()),
            ("PATCH", item.patch.is_some()),
            ("POST", item.post.is_some()),
            ("PUT", item.put.is_some()),
        ];
        operations.extend(methods.into_iter().filter(|(_, has)| *has).map(|(method, _)| (method, route.clone())));
    }
    operations
}

/// The document as text, for people to read.
pub fn text() -> String {
    format!("{:#}\n", *DOCUMENT)
}

/// Where the document and its pages are. They need no database.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    document_route().merge(docs::router())
}

fn document_route() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(document))
}

/// This document
///
/// For people: `/docs`.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "get_document", tag = "operations",
    params(IfNoneMatch),
    responses(
        (status = 200, description = "OpenAPI 3.1.", body = Object, headers(("ETag"))),
        (status = 304, description = "The client has it already.", headers(("ETag"))),
    ),
    security(())
)]
async fn document(known: IfNoneMatch) -> Result<Response, Problem> {
    static RENDERED: LazyLock<Result<Rendered, Problem>> = LazyLock::new(|| Rendered::new(&*DOCUMENT));
    Ok((docs::KEEP, RENDERED.clone()?.unless_known(&known)).into_response())
}
