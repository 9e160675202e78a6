//! `/admin/users`: who has an account, and what they may do.

use axum::{Json, extract::State};
use common::{
    account::{
        self, EmailBeginning, Role, RoleError, User,
        users::{self, Filter},
    },
    id::UserId,
    page::Page,
};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    extract::{Admin, Body, Filtered, Paging, PathId},
    openapi::{Problems, tells},
    problem::{Invalid, Kind, Problem, kinds},
    state::AppState,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(set_role))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Filters {
    /// Only with an e-mail address that begins so, without regard to case.
    #[param(value_type = Option<EmailBeginning>)]
    email: Option<String>,
    /// Only with this role.
    #[param(value_type = Option<Role>)]
    role: Option<String>,
}

/// List users, the newest first
#[utoipa::path(
    get, path = "/admin/users", operation_id = "list_users", tag = "administration",
    params(Filters, Paging),
    responses((status = 200, description = "A page of them.", body = Page<User>)),
    security(("bearer" = ["admin"]))
)]
async fn list(
    State(app): State<AppState>,
    _: Admin,
    Filtered(paging, filters): Filtered<Filters>,
) -> Result<Json<Page<User>>, Problem> {
    let mut invalid = Invalid::default();
    let email = invalid.optional("/email", filters.email.as_deref().map(EmailBeginning::parse));
    let role = invalid.optional("/role", filters.role.map(|role| role.parse::<Role>()));
    let (Some(email), Some(role)) = (email, role) else { return Err(invalid.into()) };
    let filter = Filter { email, role, before: paging.before()?, limit: paging.limit };
    Ok(Json(users::page(&app.pool, &filter).await?))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RoleChange {
    role: Role,
}

/// Set a user's role
///
/// It holds from the user's next request on.
#[utoipa::path(
    put, path = "/admin/users/{id}/role", operation_id = "set_role", tag = "administration",
    params(("id" = UserId, Path, description = "Of any user.")),
    request_body = RoleChange,
    responses((status = 200, description = "The user.", body = User), Problems<RoleError>),
    security(("bearer" = ["admin"]))
)]
async fn set_role(
    State(app): State<AppState>,
    Admin(admin): Admin,
    PathId(id): PathId<UserId>,
    body: Body<RoleChange>,
) -> Result<Json<User>, Problem> {
    Ok(Json(account::set_role(&app.pool, admin.id, id, body.value.role).await?))
}

const LAST_ADMIN: Kind = Kind::new(StatusCode::CONFLICT, "last_admin", "Nobody would be left who runs the shop");

tells! { RoleError: LAST_ADMIN, kinds::FORBIDDEN }

impl From<RoleError> for Problem {
    fn from(error: RoleError) -> Self {
        match error {
            RoleError::NotFound => Self::not_found(),
            RoleError::NotAnAdmin => Self::new(kinds::FORBIDDEN, "This needs the role `admin`."),
            RoleError::LastAdmin => Self::new(LAST_ADMIN, "Make somebody else an administrator first."),
            RoleError::Database(error) => error.into(),
        }
    }
}
