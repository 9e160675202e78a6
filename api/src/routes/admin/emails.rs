//! `/admin/emails`: the mails that the shop has sent, or means to.

use axum::{Json, extract::State};
use common::{
    mail::{self, Filter, Listed, Status},
    page::Page,
};
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{FilterText, text};
use crate::{
    extract::{Admin, Filtered, Paging},
    problem::{Invalid, Problem},
    state::AppState,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Filters {
    /// Only with this status.
    #[param(value_type = Option<Status>)]
    status: Option<String>,
    /// Only of this kind, such as `order_confirmed`.
    #[param(value_type = Option<FilterText>)]
    kind: Option<String>,
}

/// Mails, the newest first
///
/// One that has failed is sent by running its job again.
#[utoipa::path(
    get, path = "/admin/emails", operation_id = "list_emails", tag = "administration",
    params(Filters, Paging),
    responses((status = 200, description = "A page of them.", body = Page<Listed>)),
    security(("bearer" = ["admin"]))
)]
async fn list(
    State(app): State<AppState>,
    _: Admin,
    Filtered(paging, filters): Filtered<Filters>,
) -> Result<Json<Page<Listed>>, Problem> {
    let mut invalid = Invalid::default();
    let status = invalid.optional("/status", filters.status.map(|status| status.parse::<Status>()));
    let kind = invalid.field("/kind", text(filters.kind));
    let (Some(status), Some(kind)) = (status, kind) else { return Err(invalid.into()) };
    let filter = Filter { status, kind, before: paging.before()?, limit: paging.limit };
    Ok(Json(mail::page(&app.pool, &filter).await?))
}
