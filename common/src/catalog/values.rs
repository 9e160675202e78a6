//! What a product's fields may be, parsed once at the edge.

use utoipa::ToSchema;

use crate::money::{MAX_CHARGE, Money};

/// 1 to 200 characters in one line.
#[derive(Clone, Debug, PartialEq, Eq, ToSchema)]
#[schema(
    min_length = 1,
    max_length = 200,
    pattern = r"^[^\u0000-\u001f\u007f-\u009f]*[^\u0000-\u001f\u007f-\u009f\s][^\u0000-\u001f\u007f-\u009f]*$"
)]
pub struct ProductName(String);

/// Not a product's name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to 200 characters, no control characters among them")]
pub struct NotAProductName;

impl ProductName {
    /// Parses a name; blanks around it are taken off.
    ///
    /// # Errors
    /// When it isn't one.
    pub fn parse(raw: &str) -> Result<Self, NotAProductName> {
        let name = raw.trim();
        let fits = (1..=200).contains(&name.chars().count()) && !name.chars().any(char::is_control);
        if fits { Ok(Self(name.to_owned())) } else { Err(NotAProductName) }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// At most 10,000 characters, in as many lines as it takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, ToSchema)]
#[schema(max_length = 10_000, pattern = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$")]
pub struct Description(String);

/// Not a product's description.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have at most 10000 characters, and of control characters only tabs and line ends")]
pub struct NotADescription;

impl Description {
    /// Takes a text as it is.
    ///
    /// # Errors
    /// When it is too long, or holds control characters.
    pub fn parse(raw: String) -> Result<Self, NotADescription> {
        let fits = raw.chars().count() <= 10_000 && !raw.chars().any(|c| c.is_control() && !"\t\r\n".contains(c));
        if fits { Ok(Self(raw)) } else { Err(NotADescription) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What one unit costs: nothing, or up to the largest amount that can be charged at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ToSchema)]
#[schema(value_type = i64, minimum = 0, maximum = 99_999_999)]
pub struct Price(Money);

/// Not a price.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be from 0 to 99999999, in the smallest unit of the currency")]
pub struct NotAPrice;

impl Price {
    /// Takes an amount in minor units.
    ///
    /// # Errors
    /// When it is negative, or more than can be charged.
    pub fn parse(minor_units: i64) -> Result<Self, NotAPrice> {
        if (0..=MAX_CHARGE.0).contains(&minor_units) { Ok(Self(Money(minor_units))) } else { Err(NotAPrice) }
    }

    /// The amount.
    pub fn money(self) -> Money {
        self.0
    }
}

/// How many units there are, up to [`Stock::MAX`], which a schema can take as a literal only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(value_type = i64, minimum = 0, maximum = 1_000_000_000)]
pub struct Stock(i64);

/// Not a number of units.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be from 0 to {}", Stock::MAX)]
pub struct NotAStock;

impl Stock {
    /// More than any shop has, and few enough for all the sums that are made of it.
    pub const MAX: i64 = 1_000_000_000;

    /// Takes a number of units.
    ///
    /// # Errors
    /// When it is negative, or more than any shop has.
    pub fn parse(units: i64) -> Result<Self, NotAStock> {
        if (0..=Self::MAX).contains(&units) { Ok(Self(units)) } else { Err(NotAStock) }
    }

    /// The number.
    pub fn units(self) -> i64 {
        self.0
    }
}

/// What somebody looks for: at most 200 characters, in one line, with single blanks between the words.
#[derive(Clone, Debug, PartialEq, Eq, Hash, ToSchema)]
#[schema(max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
pub struct SearchText(String);

/// Not a text to search for.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have at most 200 characters, no control characters among them")]
pub struct NotASearchText;

impl SearchText {
    /// Takes a text; `None` if there is nothing but blanks in it.
    ///
    /// # Errors
    /// When it is too long, or holds control characters.
    pub fn parse(raw: &str) -> Result<Option<Self>, NotASearchText> {
        let text = raw.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.chars().count() > 200 || text.chars().any(char::is_control) {
            return Err(NotASearchText);
        }
        Ok((!text.is_empty()).then_some(Self(text)))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fill_one_line() {
        assert_eq!(ProductName::parse(" Blue <b>mug</b> ").expect("a name").as_str(), "Blue <b>mug</b>");
        assert!(ProductName::parse(&"ü".repeat(200)).is_ok());
        for name in ["", " ", "a\0", "a\nb", "\u{7f}x\u{85}y", &"x".repeat(201)] {
            assert_eq!(ProductName::parse(name), Err(NotAProductName), "{name:?}");
        }
    }

    #[test]
    fn descriptions_may_have_lines_but_nothing_that_postgres_refuses() {
        assert!(Description::parse("One.\r\n\tTwo.".into()).is_ok());
        assert!(Description::parse(String::new()).is_ok());
        assert_eq!(Description::parse("a\0".into()), Err(NotADescription));
        assert_eq!(Description::parse("x".repeat(10_001)), Err(NotADescription));
    }

    #[test]
    fn searches_are_short_and_in_one_line() {
        let parse = |raw: &str| SearchText::parse(raw).map(|text| text.map(|text| text.as_str().to_owned()));
        assert_eq!(parse(" blue \t\n mug "), Ok(Some("blue mug".into())));
        assert_eq!(parse(" \u{3000} "), Ok(None));
        assert!(parse(&"ü".repeat(200)).is_ok());
        for text in ["a\0", "\u{7f}", &"x".repeat(201)] {
            assert_eq!(parse(text), Err(NotASearchText), "{text:?}");
        }
    }

    #[test]
    fn prices_and_stocks_have_bounds() {
        assert!(Price::parse(0).is_ok() && Price::parse(99_999_999).is_ok());
        assert!(Stock::parse(0).is_ok() && Stock::parse(Stock::MAX).is_ok());
        for number in [-1, i64::MIN, i64::MAX, 1_000_000_001] {
            assert_eq!(Price::parse(number), Err(NotAPrice), "{number}");
            assert_eq!(Stock::parse(number), Err(NotAStock), "{number}");
        }
    }
}
