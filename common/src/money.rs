//! Money: whole minor units (cents, yen) with checked arithmetic, and the currencies that a shop can be run in.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An amount in the minor unit of the shop's currency; never negative where a shopper could set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(transparent)]
#[sqlx(transparent)]
pub struct Money(pub i64);

impl Money {
    /// Nothing at all.
    pub const ZERO: Self = Self(0);

    /// The sum, or `None` where it would not fit.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// This amount `quantity` times, or `None` where it would not fit.
    pub fn checked_mul(self, quantity: i32) -> Option<Self> {
        self.0.checked_mul(i64::from(quantity)).map(Self)
    }
}

/// The largest amount that Stripe charges at once, in minor units (<https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts>).
pub const MAX_CHARGE: Money = Money(99_999_999);

/// A lower-case ISO 4217 code with two decimals or none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ToSchema)]
#[schema(value_type = String, pattern = "^[a-z]{3}$")]
pub struct Currency([u8; 3]);

/// Why a code is not a currency of ours.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotACurrency {
    /// Not three lower-case letters.
    #[error("must be a lower-case ISO 4217 code such as usd")]
    Malformed,
    /// A currency whose minor unit is a thousandth; Stripe rounds those to ten, which we don't.
    #[error("has three decimals, which is not supported")]
    ThreeDecimals,
    /// A currency without decimals of which Stripe takes hundredths all the same, always 00; we would charge others.
    #[error("has no decimals, but Stripe takes it in hundredths: it is not supported")]
    WholeHundreds,
}

// https://docs.stripe.com/currencies#zero-decimal and #three-decimal
const ZERO_DECIMAL: &[&str] =
    &["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"];
const WHOLE_HUNDREDS: &[&str] = &["isk", "ugx"]; // #special-cases of the same page
const THREE_DECIMAL: &[&str] = &["bhd", "iqd", "jod", "kwd", "lyd", "omr", "tnd"];

/// Smallest charge in minor units where it is not 50 (<https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts>).
const MIN_CHARGES: &[(&str, i64)] = &[
    ("aed", 200),
    ("bgn", 100),
    ("czk", 1500),
    ("dkk", 250),
    ("gbp", 30),
    ("hkd", 400),
    ("huf", 17500),
    ("jpy", 50),
    ("mxn", 1000),
    ("myr", 200),
    ("nok", 300),
    ("pln", 200),
    ("ron", 200),
    ("sek", 300),
    ("thb", 1000),
];

impl Currency {
    /// The code, in lower case.
    pub fn code(&self) -> &str {
        str::from_utf8(&self.0).expect("made of ASCII letters only")
    }

    /// How many digits stand behind the point: 2 or 0.
    pub fn decimals(&self) -> usize {
        if ZERO_DECIMAL.contains(&self.code()) { 0 } else { 2 }
    }

    /// The smallest amount that Stripe charges in this currency.
    pub fn smallest_charge(&self) -> Money {
        Money(MIN_CHARGES.iter().find(|(code, _)| *code == self.code()).map_or(50, |(_, least)| *least))
    }

    /// An amount as a person reads it: `12.34 USD`, `500 JPY`.
    pub fn show(&self, amount: Money) -> String {
        let code = self.code().to_uppercase();
        match self.decimals() {
            0 => format!("{} {code}", amount.0),
            _ => {
                let sign = if amount.0 < 0 { "-" } else { "" };
                let cents = amount.0.unsigned_abs();
                format!("{sign}{}.{:02} {code}", cents / 100, cents % 100)
            }
        }
    }
}

impl FromStr for Currency {
    type Err = NotACurrency;

    fn from_str(code: &str) -> Result<Self, NotACurrency> {
        let letters: [u8; 3] = code.as_bytes().try_into().map_err(|_| NotACurrency::Malformed)?;
        if !letters.iter().all(u8::is_ascii_lowercase) {
            return Err(NotACurrency::Malformed);
        }
        if THREE_DECIMAL.contains(&code) {
            return Err(NotACurrency::ThreeDecimals);
        }
        if WHOLE_HUNDREDS.contains(&code) {
            return Err(NotACurrency::WholeHundreds);
        }
        Ok(Self(letters))
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_as_people_write_them() {
        let usd: Currency = "usd".parse().expect("a currency");
        assert_eq!(usd.show(Money(1234)), "12.34 USD");
        assert_eq!(usd.show(Money(5)), "0.05 USD");
        assert_eq!(usd.show(Money(-5)), "-0.05 USD");
        let jpy: Currency = "jpy".parse().expect("a currency");
        assert_eq!(jpy.show(Money(500)), "500 JPY");
    }

    #[test]
    fn currencies_that_would_be_charged_wrongly_are_refused() {
        assert_eq!("kwd".parse::<Currency>(), Err(NotACurrency::ThreeDecimals));
        assert_eq!("isk".parse::<Currency>(), Err(NotACurrency::WholeHundreds));
        for code in ["", "us", "USD", "usdx", "u d", "€"] {
            assert_eq!(code.parse::<Currency>(), Err(NotACurrency::Malformed), "{code:?}");
        }
    }

    #[test]
    fn the_smallest_charge_depends_on_the_currency() {
        for (code, least) in [("usd", 50), ("eur", 50), ("gbp", 30), ("jpy", 50), ("huf", 17_500), ("mxn", 1000)] {
            assert_eq!(code.parse::<Currency>().expect("a currency").smallest_charge(), Money(least), "{code}");
        }
    }

    #[test]
    fn sums_that_would_not_fit_are_none() {
        assert_eq!(Money(i64::MAX).checked_add(Money(1)), None);
        assert_eq!(Money(i64::MAX).checked_mul(2), None);
        assert_eq!(Money(250).checked_mul(4), Some(Money(1000)));
    }
}
