//! `expand[]`: shows the object itself where an answer has its id (`latest_charge`, `payment_intent.latest_charge`,
//! `data.charge`).

use serde_json::Value;

use super::{
    errors::ApiError,
    objects::{Charge, Intent, Method},
    store::Books,
};

/// Stripe expands four levels deep.
const DEEPEST: usize = 4;

/// Expands every path that the caller named.
///
/// # Errors
/// 400 for a path that leads nowhere, or too deep.
pub(crate) fn expand(shown: &mut Value, paths: &[String], books: &Books) -> Result<(), ApiError> {
    for path in paths {
        let parts: Vec<&str> = path.split('.').collect();
        if parts.len() > DEEPEST {
            let message = format!("You cannot expand more than {DEEPEST} levels of a property. Property: {path}");
            return Err(ApiError::parameter(None, "expand", message));
        }
        follow(shown, &parts, path, books)?;
    }
    Ok(())
}

fn follow(shown: &mut Value, parts: &[&str], path: &str, books: &Books) -> Result<(), ApiError> {
    let Some((name, rest)) = parts.split_first() else { return Ok(()) };
    if let Value::Array(items) = shown {
        return items.iter_mut().try_for_each(|item| follow(item, parts, path, books));
    }
    let Some(member) = shown.get_mut(*name) else {
        let message = format!("This property cannot be expanded ({path}).");
        return Err(ApiError::parameter("property_cannot_be_expanded", "expand", message));
    };
    if let Some(object) = member.as_str().and_then(|id| object(id, books)) {
        *member = object;
    }
    match member {
        Value::Null => Ok(()),
        Value::Object(_) | Value::Array(_) => follow(member, rest, path, books),
        _ => {
            let message = format!("This property cannot be expanded ({path}).");
            Err(ApiError::parameter("property_cannot_be_expanded", "expand", message))
        }
    }
}

/// Whatever has this id.
fn object(id: &str, books: &Books) -> Option<Value> {
    match id.split_once('_')?.0 {
        "pi" => books.intents.get(id).map(Intent::show),
        "ch" => books.charges.get(id).map(|charge: &Charge| charge.show(books)),
        "re" => books.refunds.get(id).map(|refund| refund.show(books)),
        "dp" => books.disputes.get(id).map(|dispute| dispute.show(books)),
        "pm" => books.methods.get(id).map(Method::show),
        _ => None,
    }
}
