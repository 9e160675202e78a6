//! What administrators look for among all orders.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{AdminOrderView, OrderRef, Status, admin_view::admin_views};
use crate::{account::Email, catalog::SearchText, db, id::OrderId, page::Page};

/// Which orders. What isn't said doesn't matter.
#[derive(Clone, Debug, Default)]
pub struct OrderFilter {
    /// Those that stand there.
    pub status: Option<Status>,
    /// Those of this account, in whatever case.
    pub email: Option<Email>,
    /// What somebody has typed.
    pub query: Option<OrderQuery>,
    /// Those placed then, or later.
    pub from: Option<DateTime<Utc>>,
    /// Those placed before.
    pub to: Option<DateTime<Utc>>,
}

/// What leads to orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderQuery {
    /// What people call it.
    Order(OrderRef),
    /// Stripe's id of its payment: `pi_…`
    Intent(String),
    /// How its shopper's name or e-mail address begins, in whatever case.
    Beginning(String),
}

impl From<&SearchText> for OrderQuery {
    fn from(text: &SearchText) -> Self {
        let text = text.as_str();
        if let Ok(order) = text.parse() {
            Self::Order(order)
        } else if text.starts_with("pi_") {
            Self::Intent(text.to_owned())
        } else {
            Self::Beginning(text.to_owned())
        }
    }
}

impl OrderQuery {
    /// For `LIKE`: its special characters stand for themselves.
    fn pattern(&self) -> Option<String> {
        let Self::Beginning(text) = self else { return None };
        Some(text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_") + "%")
    }
}

/// The orders that match, the newest first: `limit` of them, placed before `before`. `key` is the publishable one.
///
/// # Errors
/// The database's.
pub async fn search(
    pool: &PgPool,
    filter: &OrderFilter,
    before: Option<OrderId>,
    limit: usize,
    key: &str,
) -> sqlx::Result<Page<AdminOrderView>> {
    let mut tx = db::begin_snapshot(pool).await?;
    // Each filter has its index: a plan that has to do for all of them together would use none.
    sqlx::query!("SELECT set_config('plan_cache_mode', 'force_custom_plan', true)").fetch_one(&mut *tx).await?;
    let rows = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let found = ids(&mut tx, filter, before, rows).await?;
    let orders = admin_views(&mut tx, &found, key).await?;
    Ok(Page::from_rows(orders, limit, |order| order.order.id))
}

/// Shoppers whose orders are looked up by their ids. Where more of them match, orders that match are met soon enough on the way from the
/// newest to the oldest.
const FEW: i64 = 1_000;

/// Whose name or address begins so.
#[derive(Default)]
struct Shoppers {
    /// All of them, if they are few.
    few: Option<Vec<Uuid>>,
    /// Else the pattern, for `LIKE`.
    pattern: Option<String>,
}

async fn shoppers(tx: &mut PgConnection, query: &OrderQuery) -> sqlx::Result<Shoppers> {
    let Some(pattern) = query.pattern() else { return Ok(Shoppers::default()) };
    let found = sqlx::query_scalar!(
        r#"SELECT id AS "id!" FROM users WHERE lower(email::text) LIKE lower($1)
           UNION SELECT id FROM users WHERE lower(name) LIKE lower($1) LIMIT $2"#,
        pattern,
        FEW + 1,
    )
    .fetch_all(tx)
    .await?;
    let are_few = i64::try_from(found.len()).is_ok_and(|found| found <= FEW);
    Ok(if are_few {
        Shoppers { few: Some(found), pattern: None }
    } else {
        Shoppers { few: None, pattern: Some(pattern) }
    })
}

async fn ids(
    tx: &mut PgConnection,
    filter: &OrderFilter,
    before: Option<OrderId>,
    rows: i64,
) -> sqlx::Result<Vec<Uuid>> {
    let query = filter.query.as_ref();
    let intent = query.and_then(|query| if let OrderQuery::Intent(id) = query { Some(id.as_str()) } else { None });
    let id = match query {
        Some(OrderQuery::Order(order)) => match order.id(&mut *tx).await? {
            None => return Ok(vec![]),
            found => found,
        },
        _ => None,
    };
    let shoppers = match query {
        Some(query) => shoppers(tx, query).await?,
        None => Shoppers::default(),
    };
    sqlx::query_scalar!(
        "SELECT o.id FROM orders o
         WHERE ($1::uuid IS NULL OR o.id < $1)
           AND ($2::text IS NULL OR o.status = $2)
           AND ($3::text IS NULL OR o.user_id = (SELECT id FROM users WHERE email = $3::text::citext))
           AND ($4::timestamptz IS NULL OR o.created_at >= $4)
           AND ($5::timestamptz IS NULL OR o.created_at < $5)
           AND ($6::text IS NULL OR o.id = (SELECT order_id FROM payment_intents WHERE stripe_id = $6))
           AND ($7::uuid IS NULL OR o.id = $7)
           AND ($8::uuid[] IS NULL OR o.user_id = ANY($8))
           AND ($9::text IS NULL OR (
                 SELECT lower(u.email::text) LIKE lower($9) OR lower(coalesce(u.name, '')) LIKE lower($9)
                 FROM users u WHERE u.id = o.user_id))
         ORDER BY o.id DESC LIMIT $10",
        before.map(|id| id.0),
        filter.status.map(Status::name),
        filter.email.as_ref().map(Email::as_str),
        filter.from,
        filter.to,
        intent,
        id.map(|id| id.0),
        shoppers.few.as_deref(),
        shoppers.pattern,
        rows,
    )
    .fetch_all(tx)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(raw: &str) -> OrderQuery {
        let text = SearchText::parse(raw).expect("a text").expect("words");
        OrderQuery::from(&text)
    }

    #[test]
    fn what_is_typed_is_taken_for_what_it_looks_like() {
        let id = OrderId::new();
        assert_eq!(query(" 1002 "), OrderQuery::Order(OrderRef::Number(1002)));
        assert_eq!(query("#1002"), OrderQuery::Order(OrderRef::Number(1002)));
        assert_eq!(query(&id.to_string()), OrderQuery::Order(OrderRef::Id(id)));
        assert_eq!(query("pi_3AfoxZ"), OrderQuery::Intent("pi_3AfoxZ".into()));
        for name in ["Ada", "42@example.com", "-1", "99999999999999999999"] {
            assert_eq!(query(name), OrderQuery::Beginning(name.into()));
        }
        assert_eq!(query(r"100%_\").pattern().as_deref(), Some(r"100\%\_\\%"));
    }
}
