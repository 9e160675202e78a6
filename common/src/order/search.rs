//! What administrators look for among all orders.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{AdminOrderView, OrderRef, Status, admin_view::admin_views};
use crate::{
    account::{self, EmailBeginning, users::FEW},
    catalog::SearchText,
    db,
    id::OrderId,
    page::{Limit, Page},
    payment::RefundStatus,
};

/// Which orders. What isn't said doesn't matter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
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
    /// Those whose payment is disputed, by a dispute that is open or lost; or all others.
    pub disputed: Option<bool>,
    /// Those with a refund that stands there and that nobody has put aside.
    pub refund: Option<RefundStatus>,
    /// Those placed before this one.
    pub before: Option<OrderId>,
    /// At most so many.
    pub limit: Limit,
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

/// A page of the orders that match, the newest first. `key` is the publishable one.
///
/// # Errors
/// The database's.
pub async fn page(pool: &PgPool, filter: &Filter, key: &str) -> sqlx::Result<Page<AdminOrderView>> {
    let mut tx = db::begin_list(pool).await?;
    let found = ids(&mut tx, filter).await?;
    let orders = admin_views(&mut tx, &found, key).await?;
    Ok(Page::from_rows(orders, filter.limit, |order| order.order.id))
}

/// Whose address, or name, begins so.
#[derive(Default)]
struct Shoppers {
    /// All of them, if they are few.
    few: Option<Vec<Uuid>>,
    /// Else the beginning, and what comes behind it: see [`EmailBeginning::range`].
    from: Option<String>,
    behind: Option<String>,
}

impl Shoppers {
    /// Those that were found, at least one more than are few if there are more.
    fn new(found: Vec<Uuid>, beginning: &EmailBeginning) -> Self {
        if found.len() <= FEW {
            return Self { few: Some(found), ..Self::default() };
        }
        let (from, behind) = beginning.range();
        Self { few: None, from: Some(from.to_owned()), behind }
    }

    async fn by_email(tx: &mut PgConnection, beginning: &EmailBeginning) -> sqlx::Result<Self> {
        Ok(Self::new(account::beginning_with(tx, beginning, FEW + 1).await?, beginning))
    }

    /// Names are more than ASCII: the database has its own rules for their lower case.
    async fn by_email_or_name(tx: &mut PgConnection, text: &str) -> sqlx::Result<Self> {
        let lower = sqlx::query_scalar!(r#"SELECT lower($1) AS "lower!""#, text).fetch_one(&mut *tx).await?;
        let beginning = EmailBeginning::of_lower_case(lower);
        let (from, behind) = beginning.range();
        // The comparisons of the indexes: by code points, whatever the collation.
        let found = sqlx::query_scalar!(
            r#"SELECT id AS "id!" FROM users
               WHERE lower(email::text) ~>=~ $1 AND ($2::text IS NULL OR lower(email::text) ~<~ $2)
               UNION
               SELECT id FROM users WHERE lower(name) ~>=~ $1 AND ($2::text IS NULL OR lower(name) ~<~ $2)
               LIMIT $3"#,
            from,
            behind,
            i64::try_from(FEW + 1).unwrap_or(i64::MAX),
        )
        .fetch_all(tx)
        .await?;
        Ok(Self::new(found, &beginning))
    }
}

async fn ids(tx: &mut PgConnection, filter: &Filter) -> sqlx::Result<Vec<Uuid>> {
    let query = filter.query.as_ref();
    let intent = query.and_then(|query| if let OrderQuery::Intent(id) = query { Some(id.as_str()) } else { None });
    let id = match query {
        Some(OrderQuery::Order(order)) => match order.id(&mut *tx).await? {
            None => return Ok(vec![]),
            found => found,
        },
        _ => None,
    };
    let by_email = match &filter.email {
        Some(beginning) => Shoppers::by_email(tx, beginning).await?,
        None => Shoppers::default(),
    };
    let shoppers = match query {
        Some(OrderQuery::Beginning(text)) => Shoppers::by_email_or_name(tx, text).await?,
        _ => Shoppers::default(),
    };
    sqlx::query_scalar!(
        "SELECT o.id FROM orders o
         WHERE ($1::uuid IS NULL OR o.id < $1)
           AND ($2::text IS NULL OR o.status = $2)
           AND ($3::uuid[] IS NULL OR o.user_id = ANY($3))
           AND ($4::timestamptz IS NULL OR o.created_at >= $4)
           AND ($5::timestamptz IS NULL OR o.created_at < $5)
           AND ($6::text IS NULL OR o.id = (SELECT order_id FROM payment_intents WHERE stripe_id = $6))
           AND ($7::uuid IS NULL OR o.id = $7)
           AND ($8::uuid[] IS NULL OR o.user_id = ANY($8))
           AND ($9::text IS NULL OR EXISTS (
                 SELECT FROM users u
                 WHERE u.id = o.user_id AND lower(u.email::text) ~>=~ $9 AND ($10::text IS NULL OR lower(u.email::text) ~<~ $10)))
           AND ($11::text IS NULL OR EXISTS (
                 SELECT FROM users u
                 WHERE u.id = o.user_id
                   AND (lower(u.email::text) ~>=~ $11 AND ($12::text IS NULL OR lower(u.email::text) ~<~ $12)
                        OR lower(u.name) ~>=~ $11 AND ($12::text IS NULL OR lower(u.name) ~<~ $12))))
           -- What is rare is looked up first.
           AND ($14::boolean IS DISTINCT FROM true
                OR o.id = ANY(ARRAY(SELECT order_id FROM disputes WHERE status IN ('open', 'lost'))))
           AND ($14::boolean IS DISTINCT FROM false
                OR NOT EXISTS (SELECT FROM disputes d WHERE d.order_id = o.id AND d.status IN ('open', 'lost')))
           AND ($15::text IS NULL
                OR o.id = ANY(ARRAY(SELECT order_id FROM refunds WHERE status = $15 AND dismissed_at IS NULL)))
         ORDER BY o.id DESC LIMIT $13",
        filter.before.map(|id| id.0),
        filter.status.map(Status::name),
        by_email.few.as_deref(),
        filter.since,
        filter.until,
        intent,
        id.map(|id| id.0),
        shoppers.few.as_deref(),
        by_email.from,
        by_email.behind,
        shoppers.from,
        shoppers.behind,
        filter.limit.one_more(),
        filter.disputed,
        filter.refund.map(RefundStatus::name),
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
    }
}
