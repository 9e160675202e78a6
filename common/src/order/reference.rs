//! What people call an order.

use std::{fmt, str::FromStr};

use sqlx::PgExecutor;

use crate::id::OrderId;

/// What people call an order: its number, `1002` or `#1002`, or its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderRef {
    /// Its number.
    Number(i64),
    /// Its id.
    Id(OrderId),
}

/// Neither a number nor an id.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a number such as 1002, or an order's id")]
pub struct NotAnOrder;

impl FromStr for OrderRef {
    type Err = NotAnOrder;

    fn from_str(raw: &str) -> Result<Self, NotAnOrder> {
        let digits = raw.strip_prefix('#').unwrap_or(raw);
        // `parse` alone would take a sign, too.
        let number =
            Some(digits).filter(|text| text.bytes().all(|b| b.is_ascii_digit())).and_then(|text| text.parse().ok());
        number.map(Self::Number).or_else(|| raw.parse().ok().map(Self::Id)).ok_or(NotAnOrder)
    }
}

impl fmt::Display for OrderRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Id(id) => id.fmt(f),
        }
    }
}

impl OrderRef {
    /// The order's id; `None` where no order has this number. An id is not looked up: it may be nobody's.
    ///
    /// # Errors
    /// The database's.
    pub async fn id(self, db: impl PgExecutor<'_>) -> sqlx::Result<Option<OrderId>> {
        match self {
            Self::Id(id) => Ok(Some(id)),
            Self::Number(number) => {
                sqlx::query_scalar!(r#"SELECT id AS "id: OrderId" FROM orders WHERE number = $1"#, number)
                    .fetch_optional(db)
                    .await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_called_by_its_number_or_its_id() {
        let id = OrderId::new();
        assert_eq!(id.to_string().parse(), Ok(OrderRef::Id(id)));
        for number in ["1002", "#1002"] {
            assert_eq!(number.parse(), Ok(OrderRef::Number(1002)));
        }
        assert_eq!(i64::MAX.to_string().parse(), Ok(OrderRef::Number(i64::MAX)));
        let with_a_hash = format!("#{id}");
        for neither in
            ["", "#", "##1", "-1", "+1", "#+1", " 1", "1.0", "abc", "pi_1", "9223372036854775808", &with_a_hash]
        {
            assert_eq!(neither.parse::<OrderRef>(), Err(NotAnOrder), "{neither}");
        }
    }
}
