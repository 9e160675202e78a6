//! What administrators look for among all orders.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{AdminOrderView, Status, admin_view::admin_views};
use crate::{account::EmailBeginning, catalog::SearchText, db, id::OrderId, page::Page};

/// Which orders. What isn't said doesn't matter.
#[derive(Clone, Debug, Default)]
pub struct OrderFilter {
    /// Those that stand there.
    pub status: Option<Status>,
    /// Those of accounts whose e-mail begins so.
    pub email: Option<EmailBeginning>,
    /// What somebody has typed.
    pub query: Option<OrderQuery>,
    /// Those placed then, or later.
    pub since: Option<DateTime<Utc>>,
    /// Those placed before.
    pub until: Option<DateTime<Utc>>,
}

/// What leads to orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderQuery {
    /// The number that people call it: `1002` or `#1002`.
    Number(i64),
    /// Stripe's id of its payment: `pi_…`
    Intent(String),
    /// Ours.
    Id(OrderId),
    /// How its shopper's name or e-mail address begins, in whatever case.
    Beginning(String),
}

impl From<&SearchText> for OrderQuery {
    fn from(text: &SearchText) -> Self {
        let text = text.as_str();
        if let Ok(number) = text.strip_prefix('#').unwrap_or(text).parse::<u32>() {
            Self::Number(number.into())
        } else if let Ok(id) = text.parse() {
            Self::Id(id)
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

/// The id of the order with this number.
///
/// # Errors
/// The database's.
pub async fn id_of(pool: &PgPool, number: i64) -> sqlx::Result<Option<OrderId>> {
    sqlx::query_scalar!(r#"SELECT id AS "id: OrderId" FROM orders WHERE number = $1"#, number)
        .fetch_optional(pool)
        .await
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
    let number = query.and_then(|query| if let OrderQuery::Number(number) = query { Some(*number) } else { None });
    let intent = query.and_then(|query| if let OrderQuery::Intent(id) = query { Some(id.as_str()) } else { None });
    let id = query.and_then(|query| if let OrderQuery::Id(id) = query { Some(id.0) } else { None });
    let shoppers = match query {
        Some(query) => shoppers(tx, query).await?,
        None => Shoppers::default(),
    };
    let (email, behind) = filter.email.as_ref().map(EmailBeginning::range).unzip();
    sqlx::query_scalar!(
        "SELECT o.id FROM orders o
         WHERE ($1::uuid IS NULL OR o.id < $1)
           AND ($2::text IS NULL OR o.status = $2)
           AND ($3::text IS NULL OR o.user_id IN (
                 SELECT id FROM users
                 WHERE lower(email::text) ~>=~ $3 AND ($12::text IS NULL OR lower(email::text) ~<~ $12)))
           AND ($4::timestamptz IS NULL OR o.created_at >= $4)
           AND ($5::timestamptz IS NULL OR o.created_at < $5)
           AND ($6::bigint IS NULL OR o.number = $6)
           AND ($7::text IS NULL OR o.id = (SELECT order_id FROM payment_intents WHERE stripe_id = $7))
           AND ($8::uuid IS NULL OR o.id = $8)
           AND ($9::uuid[] IS NULL OR o.user_id = ANY($9))
           AND ($10::text IS NULL OR (
                 SELECT lower(u.email::text) LIKE lower($10) OR lower(coalesce(u.name, '')) LIKE lower($10)
                 FROM users u WHERE u.id = o.user_id))
         ORDER BY o.id DESC LIMIT $11",
        before.map(|id| id.0),
        filter.status.map(Status::name),
        email,
        filter.since,
        filter.until,
        number,
        intent,
        id,
        shoppers.few.as_deref(),
        shoppers.pattern,
        rows,
        behind.flatten(),
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
        assert_eq!(query(" 1002 "), OrderQuery::Number(1002));
        assert_eq!(query("#1002"), OrderQuery::Number(1002));
        assert_eq!(query(&id.to_string()), OrderQuery::Id(id));
        assert_eq!(query("pi_3AfoxZ"), OrderQuery::Intent("pi_3AfoxZ".into()));
        for name in ["Ada", "42@example.com", "-1", "99999999999999999999"] {
            assert_eq!(query(name), OrderQuery::Beginning(name.into()));
        }
        assert_eq!(query(r"100%_\").pattern().as_deref(), Some(r"100\%\_\\%"));
    }
}
