//! Currencies and amounts: which ones Stripe takes, the least and the most it charges, and how its messages write them.

use super::{errors::ApiError, form::Form};

/// Stripe charges at most eight digits.
const MOST: i64 = 99_999_999;

/// What Stripe can charge in.
const CURRENCIES: &[&str] = &[
    "usd", "aed", "afn", "all", "amd", "ang", "aoa", "ars", "aud", "awg", "azn", "bam", "bbd", "bdt", "bgn", "bhd",
    "bif", "bmd", "bnd", "bob", "brl", "bsd", "bwp", "byn", "bzd", "cad", "cdf", "chf", "clp", "cny", "cop", "crc",
    "cve", "czk", "djf", "dkk", "dop", "dzd", "egp", "etb", "eur", "fjd", "fkp", "gbp", "gel", "gip", "gmd", "gnf",
    "gtq", "gyd", "hkd", "hnl", "htg", "huf", "idr", "ils", "inr", "isk", "jmd", "jod", "jpy", "kes", "kgs", "khr",
    "kmf", "krw", "kwd", "kyd", "kzt", "lak", "lbp", "lkr", "lrd", "lsl", "mad", "mdl", "mga", "mkd", "mmk", "mnt",
    "mop", "mur", "mvr", "mwk", "mxn", "myr", "mzn", "nad", "ngn", "nio", "nok", "npr", "nzd", "omr", "pab", "pen",
    "pgk", "php", "pkr", "pln", "pyg", "qar", "ron", "rsd", "rub", "rwf", "sar", "sbd", "scr", "sek", "sgd", "shp",
    "sle", "sos", "srd", "std", "szl", "thb", "tjs", "tnd", "top", "try", "ttd", "twd", "tzs", "uah", "ugx", "uyu",
    "uzs", "vnd", "vuv", "wst", "xaf", "xcd", "xof", "xpf", "yer", "zar", "zmw",
];

const ZERO_DECIMAL: &[&str] =
    &["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"];

const THREE_DECIMAL: &[&str] = &["bhd", "jod", "kwd", "omr", "tnd"];

/// The least amount in minor units, from Stripe's table of minimum charges.
fn least(currency: &str) -> i64 {
    match currency {
        "usd" | "aud" | "brl" | "cad" | "chf" | "eur" | "inr" | "jpy" | "nzd" | "sgd" => 50,
        "gbp" => 30,
        "aed" | "myr" | "pln" | "ron" => 200,
        "bgn" => 100,
        "czk" => 1500,
        "dkk" => 250,
        "hkd" => 400,
        "huf" => 17_500,
        "mxn" | "thb" => 1000,
        "nok" | "sek" => 300,
        // Elsewhere Stripe converts the minimum of the account's own currency; rates are not simulated.
        _ => 1,
    }
}

/// The amount and the currency of a new intent.
///
/// # Errors
/// 400, as Stripe words it: not an integer, below the minimum (`amount_too_small`), above 99,999,999 (`amount_too_large`),
/// a currency that Stripe doesn't know.
pub(crate) fn amount_and_currency(form: &Form) -> Result<(i64, String), ApiError> {
    let amount = form.required("amount").and_then(|_| form.integer("amount"))?.unwrap_or_default();
    let currency = form.required("currency")?;
    if !CURRENCIES.contains(&currency.as_str()) {
        let message = format!(
            "Invalid currency: {currency}. Stripe currently supports these currencies: {}",
            CURRENCIES.join(", ")
        );
        return Err(ApiError::parameter(None, "currency", message));
    }
    at_least_one(amount, "amount")?;
    if amount < least(&currency) {
        let message = format!("Amount must be at least {} {currency}", display(least(&currency), &currency));
        return Err(ApiError::parameter("amount_too_small", "amount", message));
    }
    if amount > MOST {
        let message = format!("Amount must be no more than {} {currency}", display(MOST, &currency));
        return Err(ApiError::parameter("amount_too_large", "amount", message));
    }
    Ok((amount, currency))
}

/// # Errors
/// 400 for zero and less.
pub(crate) fn at_least_one(amount: i64, param: &str) -> Result<(), ApiError> {
    if amount >= 1 {
        return Ok(());
    }
    let message = "This value must be greater than or equal to 1.";
    Err(ApiError::parameter("parameter_invalid_integer", param, message))
}

/// An amount as Stripe's messages write it: `$12.50`, `¥500`, `12.50 pln`.
pub(crate) fn display(amount: i64, currency: &str) -> String {
    let symbol = match currency {
        "usd" => "$",
        "eur" => "€",
        "gbp" => "£",
        "jpy" => "¥",
        _ => "",
    };
    let decimals = decimals(currency);
    match 10_i64.pow(decimals) {
        1 => format!("{symbol}{}", grouped(amount)),
        unit => format!("{symbol}{}.{:0width$}", grouped(amount / unit), amount % unit, width = decimals as usize),
    }
}

/// How many digits of an amount stand behind the point.
pub fn decimals(currency: &str) -> u32 {
    match currency {
        zero if ZERO_DECIMAL.contains(&zero) => 0,
        three if THREE_DECIMAL.contains(&three) => 3,
        _ => 2,
    }
}

fn grouped(amount: i64) -> String {
    let digits = amount.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> Form {
        Form::read(text.as_bytes()).expect("it is a form")
    }

    #[test]
    fn limits_depend_on_the_currency() {
        assert!(amount_and_currency(&form("amount=50&currency=usd")).is_ok());
        assert!(amount_and_currency(&form("amount=49&currency=usd")).is_err());
        assert!(amount_and_currency(&form("amount=30&currency=gbp")).is_ok());
        assert!(amount_and_currency(&form("amount=99999999&currency=jpy")).is_ok());
        assert!(amount_and_currency(&form("amount=100000000&currency=usd")).is_err());
        assert!(amount_and_currency(&form("amount=100&currency=USD")).is_err());
        assert!(amount_and_currency(&form("amount=100&currency=xxx")).is_err());
    }

    #[test]
    fn amounts_read_as_in_stripes_messages() {
        assert_eq!(display(MOST, "usd"), "$999,999.99");
        assert_eq!(display(50, "jpy"), "¥50");
        assert_eq!(display(1205, "kwd"), "1.205");
    }
}
