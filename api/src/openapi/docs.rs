//! `/docs`: the document as pages, by Swagger UI. Its files are in this program; nothing is loaded from elsewhere, which the pages'
//! own policy forbids, too.

use std::sync::Arc;

use axum::{
    extract::Path,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderName, HeaderValue, header};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::Config;

use crate::{problem::Problem, state::AppState};

const PAGE: &str = r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Kassa: the API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" type="image/png" href="/docs/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"#;

/// Without a validator: it would send the document's address to its maker.
const START: &str = r##"SwaggerUIBundle({ url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: "none" });
"##;

/// The files of Swagger UI that the page needs.
const FILES: [&str; 3] = ["swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"];

/// Scripts and styles of our own alone, none of them within the page; pictures also within the style sheet.
const POLICY: (HeaderName, HeaderValue) = (
    header::CONTENT_SECURITY_POLICY,
    HeaderValue::from_static(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
    ),
);

/// May be kept, but only another release may change it.
pub(super) const KEEP: [(HeaderName, HeaderValue); 1] =
    [(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"))];

#[expect(clippy::disallowed_methods, reason = "pages for people are no part of the API")]
pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .route("/docs", get(async || answer("text/html; charset=utf-8", PAGE)))
        .route("/docs/{file}", get(file))
}

fn answer(content_type: &str, body: impl IntoResponse) -> Response {
    let content_type = HeaderValue::from_str(content_type).map(|value| [(header::CONTENT_TYPE, value)]);
    match content_type {
        Ok(content_type) => (KEEP, [POLICY], content_type, body).into_response(),
        Err(error) => Problem::internal(&error).into_response(),
    }
}

async fn file(Path(name): Path<String>) -> Result<Response, Problem> {
    if name == "start.js" {
        return Ok(answer("text/javascript; charset=utf-8", START));
    }
    let served = FILES.contains(&name.as_str()).then(|| utoipa_swagger_ui::serve(&name, Arc::new(Config::default())));
    match served {
        Some(Ok(Some(file))) => Ok(answer(&file.content_type, file.bytes.into_owned())),
        _ => Err(Problem::not_found()),
    }
}
