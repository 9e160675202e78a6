//! What a shopper sees of an order.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool, types::Json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{CancelReason, Status};
use crate::{
    id::{OrderId, OrderItemId, ProductId, UserId},
    money::Money,
    page::{Limit, Page},
};

/// An order as the API shows it to its shopper.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Order)]
pub struct OrderView {
    /// Its id.
    pub id: OrderId,
    /// What people call it.
    pub number: i64,
    /// Where it stands.
    pub status: Status,
    /// Its lines, as they were when it was placed.
    pub items: Vec<OrderItemView>,
    /// Minor units.
    pub total: Money,
    /// Lower-case ISO 4217 code.
    pub currency: String,
    /// Minor units given back so far.
    pub refunded_total: Money,
    /// How it can be paid.
    pub payment: PaymentView,
    /// Until when it holds its stock unpaid.
    pub expires_at: DateTime<Utc>,
    /// When it was placed.
    pub created_at: DateTime<Utc>,
    /// When it last moved.
    pub updated_at: DateTime<Utc>,
}

/// A line of an order.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = OrderItem)]
pub struct OrderItemView {
    /// Its id.
    pub id: OrderItemId,
    /// The product, which may have changed since.
    pub product_id: ProductId,
    /// The product's name then.
    pub name: String,
    /// Units.
    pub quantity: i32,
    /// Minor units for one.
    pub price: Money,
    /// Minor units for all.
    pub line_total: Money,
    /// Units that came back into the stock. Only administrators are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = i32, required = false)]
    pub restocked: Option<i32>,
}

/// What a client needs in order to pay.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Payment)]
pub struct PaymentView {
    /// `pi_…`, once it exists.
    pub intent_id: Option<String>,
    /// Only while the order can be paid.
    pub client_secret: Option<String>,
    /// `pk_…`
    pub publishable_key: String,
    /// Why the last payment was declined, until one succeeds.
    pub last_error: Option<LastError>,
}

/// Why a payment was declined.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = PaymentError)]
pub struct LastError {
    /// Stripe's decline code, or its error code.
    pub code: String,
    /// For the shopper.
    pub message: String,
}

/// The columns of a [`Row`] are asked for thrice; each query is checked at compile time all the same. What a line comes to was checked
/// when the order was placed.
macro_rules! rows {
    ($conditions:tt $(, $value:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"SELECT o.id AS "id: OrderId", o.number, o.status AS "status: Status", o.total AS "total: Money", o.currency,
                      o.refunded_total AS "refunded_total: Money", o.expires_at, o.created_at, o.updated_at,
                      o.cancel_reason AS "cancel_reason: CancelReason",
                      p.stripe_id AS "intent_id?", p.client_secret AS "client_secret?",
                      p.last_error_code AS "last_error_code?", p.last_error_message AS "last_error_message?",
                      (SELECT coalesce(json_agg(json_build_object(
                         'id', i.id, 'product_id', i.product_id, 'name', i.name_snapshot, 'quantity', i.quantity,
                         'price', i.price_snapshot, 'line_total', i.price_snapshot * i.quantity, 'restocked', i.restocked
                       ) ORDER BY i.id), '[]') FROM order_items i WHERE i.order_id = o.id) AS "items!: Json<Vec<OrderItemView>>"
               FROM orders o
               LEFT JOIN LATERAL (
                 SELECT * FROM payment_intents i WHERE i.order_id = o.id AND i.generation > 0 AND i.stripe_id IS NOT NULL
                 ORDER BY i.generation DESC LIMIT 1
               ) p ON true
               WHERE "# + $conditions
            $(, $value)*
        )
    };
}

/// One order of the user's.
///
/// # Errors
/// The database's.
pub async fn view(pool: &PgPool, user: UserId, id: OrderId, key: &str) -> sqlx::Result<Option<OrderView>> {
    let row = rows!("o.id = $1 AND o.user_id = $2", id.0, user.0).fetch_optional(pool).await?;
    Ok(row.map(|row| row.into_view(key).for_shopper()))
}

/// When each of these orders moved last. Those that aren't there are left out.
///
/// # Errors
/// The database's.
pub async fn moved(pool: &PgPool, orders: &[OrderId]) -> sqlx::Result<Vec<(OrderId, DateTime<Utc>)>> {
    let ids: Vec<Uuid> = orders.iter().map(|order| order.0).collect();
    let rows = sqlx::query!(r#"SELECT id AS "id: OrderId", updated_at FROM orders WHERE id = ANY($1)"#, &ids);
    Ok(rows.fetch_all(pool).await?.into_iter().map(|row| (row.id, row.updated_at)).collect())
}

/// The user's orders, newest first: `limit` of them, placed before `before`, in one status if asked for.
///
/// # Errors
/// The database's.
pub async fn list(
    pool: &PgPool,
    user: UserId,
    status: Option<Status>,
    before: Option<OrderId>,
    limit: Limit,
    key: &str,
) -> sqlx::Result<Page<OrderView>> {
    let one_more = limit.one_more();
    let rows = rows!(
        "o.user_id = $1 AND ($2::text IS NULL OR o.status = $2) AND ($3::uuid IS NULL OR o.id < $3)
         ORDER BY o.id DESC LIMIT $4",
        user.0,
        status.map(Status::name),
        before.map(|id| id.0),
        one_more,
    );
    let rows = rows.fetch_all(pool).await?;
    let orders = rows.into_iter().map(|row| row.into_view(key).for_shopper()).collect();
    Ok(Page::from_rows(orders, limit, |order| order.id))
}

/// An order as it is read, in one statement.
struct Row {
    id: OrderId,
    number: i64,
    status: Status,
    total: Money,
    currency: String,
    refunded_total: Money,
    expires_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    cancel_reason: Option<CancelReason>,
    intent_id: Option<String>,
    client_secret: Option<String>,
    last_error_code: Option<String>,
    last_error_message: Option<String>,
    items: Json<Vec<OrderItemView>>,
}

/// These orders, whoever's they are, the newest first.
pub(super) async fn views_of(conn: &mut PgConnection, ids: &[Uuid], key: &str) -> sqlx::Result<Vec<OrderView>> {
    let rows = rows!("o.id = ANY($1) ORDER BY o.id DESC", ids).fetch_all(conn).await?;
    Ok(rows.into_iter().map(|row| row.into_view(key)).collect())
}

impl OrderView {
    /// Without what only administrators are told.
    fn for_shopper(mut self) -> Self {
        self.items.iter_mut().for_each(|item| item.restocked = None);
        self
    }
}

impl Row {
    fn into_view(self, publishable_key: &str) -> OrderView {
        let last_error = match (self.status, self.last_error_code, self.last_error_message) {
            (Status::PaymentFailed | Status::Canceling | Status::Canceled, Some(code), Some(message)) => {
                Some(LastError { code, message })
            }
            (Status::Canceled, ..) if self.cancel_reason == Some(CancelReason::Refused) => Some(LastError {
                code: "payment_refused".into(),
                message: "The payment could not be set up. Nothing was charged.".into(),
            }),
            _ => None,
        };
        OrderView {
            id: self.id,
            number: self.number,
            status: self.status,
            items: self.items.0,
            total: self.total,
            currency: self.currency,
            refunded_total: self.refunded_total,
            payment: PaymentView {
                intent_id: self.intent_id,
                client_secret: self.client_secret.filter(|_| self.status.can_be_paid()),
                publishable_key: publishable_key.to_owned(),
                last_error,
            },
            expires_at: self.expires_at,
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }
}
