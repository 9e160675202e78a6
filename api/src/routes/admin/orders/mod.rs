//! `/admin/orders`: any shopper's orders: what is known of them, and what an operator does about them.
//!
//! The id of an operation has `any` in it where shoppers have the same for their own orders.

mod accept;
mod cancel;
mod dismiss_refund;
mod fulfil;
mod refund;

use axum::{Json, extract::State};
use common::{
    account::EmailBeginning,
    catalog::SearchText,
    id::OrderId,
    order::{
        self, AdminOrderView, Filter, OrderQuery, Status,
        timeline::{self, Entry},
    },
    page::Page,
    payment::RefundStatus,
};
use http::StatusCode;
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::time;
use crate::{
    extract::{Admin, Filtered, Paging, PathId, Unfiltered},
    problem::{Invalid, Kind, Problem},
    state::AppState,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(view))
        .routes(routes!(history))
        .merge(refund::routes())
        .merge(accept::routes())
        .merge(fulfil::routes())
        .merge(cancel::routes())
        .merge(dismiss_refund::routes())
}

async fn find(app: &AppState, id: OrderId) -> Result<Json<AdminOrderView>, Problem> {
    let key = &app.config.stripe_publishable_key;
    order::admin_view(&app.pool, id, key).await?.map(Json).ok_or_else(Problem::not_found)
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Filters {
    /// Only with this status.
    #[param(value_type = Option<Status>)]
    status: Option<String>,
    /// Only of accounts with an e-mail address that begins so, without regard to case.
    #[param(value_type = Option<EmailBeginning>)]
    email: Option<String>,
    /// An order's number or id, Stripe's id of its payment (`pi_…`), or how its shopper's name or e-mail address begins.
    #[param(value_type = Option<SearchText>)]
    q: Option<String>,
    /// Only placed from this time on.
    #[param(value_type = Option<DateTime<Utc>>)]
    since: Option<String>,
    /// Only placed before this time.
    #[param(value_type = Option<DateTime<Utc>>)]
    until: Option<String>,
    /// Only those whose payment is disputed: a dispute is open, or lost. `false`: only others.
    disputed: Option<bool>,
    /// Only those with a refund of this status. Refunds that were dismissed don't count.
    #[param(value_type = Option<RefundStatus>)]
    refund: Option<String>,
}

impl Filters {
    fn parse(self, paging: &Paging) -> Result<Filter, Problem> {
        let mut invalid = Invalid::default();
        let status = invalid.optional("/status", self.status.map(|name| name.parse::<Status>()));
        let email = invalid.optional("/email", self.email.as_deref().map(EmailBeginning::parse));
        let text = invalid.optional("/q", self.q.as_deref().map(SearchText::parse));
        let since = invalid.field("/since", time(self.since.as_deref()));
        let until = invalid.field("/until", time(self.until.as_deref()));
        let refund = invalid.optional("/refund", self.refund.map(|name| name.parse::<RefundStatus>()));
        match (status, email, text, since, until, refund) {
            (Some(status), Some(email), Some(text), Some(since), Some(until), Some(refund)) => {
                let query = text.flatten().as_ref().map(OrderQuery::from);
                let (disputed, before, limit) = (self.disputed, paging.before()?, paging.limit);
                Ok(Filter { status, email, query, since, until, disputed, refund, before, limit })
            }
            _ => Err(invalid.into()),
        }
    }
}

/// List all shoppers' orders, the newest first
#[utoipa::path(
    get, path = "/admin/orders", operation_id = "list_any_orders", tag = "administration",
    params(Filters, Paging),
    responses((status = 200, description = "A page of them.", body = Page<AdminOrderView>)),
    security(("bearer" = ["admin"]))
)]
async fn list(
    State(app): State<AppState>,
    _: Admin,
    Filtered(paging, filters): Filtered<Filters>,
) -> Result<Json<Page<AdminOrderView>>, Problem> {
    let filter = filters.parse(&paging)?;
    let key = &app.config.stripe_publishable_key;
    Ok(Json(order::page(&app.pool, &filter, key).await?))
}

/// Show any shopper's order
#[utoipa::path(
    get, path = "/admin/orders/{id}", operation_id = "get_any_order", tag = "administration",
    params(("id" = OrderId, Path, description = "Of any order.")),
    responses((status = 200, description = "The order.", body = AdminOrderView)),
    security(("bearer" = ["admin"]))
)]
async fn view(
    State(app): State<AppState>,
    _: Admin,
    PathId(id): PathId<OrderId>,
) -> Result<Json<AdminOrderView>, Problem> {
    find(&app, id).await
}

/// Show the timeline of an order, the oldest first
///
/// What happened to it: its requests, jobs, calls to Stripe, events, stock, mails and what operators did. Jobs that are done leave the
/// list after `JOB_RETENTION_DAYS`, settled events after `WEBHOOK_RETENTION_DAYS`.
#[utoipa::path(
    get, path = "/admin/orders/{id}/timeline", operation_id = "get_timeline", tag = "administration",
    params(("id" = OrderId, Path, description = "Of any order."), Paging),
    responses((status = 200, description = "A page of it.", body = Page<Entry>)),
    security(("bearer" = ["admin"]))
)]
async fn history(
    State(app): State<AppState>,
    _: Admin,
    PathId(id): PathId<OrderId>,
    Unfiltered(paging): Unfiltered,
) -> Result<Json<Page<Entry>>, Problem> {
    timeline::page(&app.pool, id, paging.before()?, paging.limit).await?.map(Json).ok_or_else(Problem::not_found)
}

const DISPUTED: Kind = Kind::new(StatusCode::CONFLICT, "disputed", "The payment is disputed");

fn disputed() -> Problem {
    Problem::new(DISPUTED, "Stripe refuses refunds while a dispute is open, or once it is lost. Answer it there first.")
}

/// A problem of this kind, where money of the order may be on its way back.
fn refund_under_way(kind: Kind) -> Problem {
    Problem::new(
        kind,
        "Its money is on its way back, or may be: wait until the refund has failed or succeeded. One whose `outcome_unknown` is true \
         waits for its job to be run again.",
    )
}
