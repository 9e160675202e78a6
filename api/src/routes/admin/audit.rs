//! `/admin/audit`: what operators did.

use axum::{Json, extract::State};
use common::{
    audit::{self, Filter, Listed},
    page::Page,
};
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{FilterText, text, time};
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
    /// Only by this actor: `user:` and an administrator's id, or `operator:` and a name.
    #[param(value_type = Option<FilterText>)]
    actor: Option<String>,
    /// Only with this action, such as `order.accepted`.
    #[param(value_type = Option<FilterText>)]
    action: Option<String>,
    /// Only on this object: `order:` and its id, `product:`, `user:`, `job:`, `webhook:`, …
    #[param(value_type = Option<FilterText>)]
    object: Option<String>,
    /// Only from this time on.
    #[param(value_type = Option<DateTime<Utc>>)]
    since: Option<String>,
    /// Only before this time.
    #[param(value_type = Option<DateTime<Utc>>)]
    until: Option<String>,
}

/// List the audit log, the newest first
///
/// It has what operators did, by the API or by `kassa`.
#[utoipa::path(
    get, path = "/admin/audit", operation_id = "list_audit", tag = "administration",
    params(Filters, Paging),
    responses((status = 200, description = "A page of it.", body = Page<Listed>)),
    security(("bearer" = ["admin"]))
)]
async fn list(
    State(app): State<AppState>,
    _: Admin,
    Filtered(paging, filters): Filtered<Filters>,
) -> Result<Json<Page<Listed>>, Problem> {
    let mut invalid = Invalid::default();
    let actor = invalid.field("/actor", text(filters.actor));
    let action = invalid.field("/action", text(filters.action));
    let object = invalid.field("/object", text(filters.object));
    let since = invalid.field("/since", time(filters.since.as_deref()));
    let until = invalid.field("/until", time(filters.until.as_deref()));
    let (Some(actor), Some(action), Some(object), Some(since), Some(until)) = (actor, action, object, since, until)
    else {
        return Err(invalid.into());
    };
    let filter = Filter { actor, action, object, since, until, before: paging.before()?, limit: paging.limit };
    Ok(Json(audit::page(&app.pool, &filter).await?))
}
