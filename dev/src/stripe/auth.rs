//! Who calls: the shop's server with the secret key, or a shopper's browser with the publishable one. Bearer and Basic.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use axum::http::{HeaderMap, header};
use base64::{Engine, engine::general_purpose::STANDARD};

use super::{account, dispatch::Call, errors::ApiError};

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    Server,
    Browser,
}

/// The API keys of the simulated account.
#[derive(Debug)]
pub(crate) struct ApiKeys {
    secret: String,
    publishable: String,
    /// Keys that may do some things only, each with its permissions.
    restricted: Mutex<BTreeMap<String, Vec<String>>>,
}

impl ApiKeys {
    pub(crate) fn new(secret: String, publishable: String) -> Self {
        Self { secret, publishable, restricted: Mutex::default() }
    }

    /// From now on this key is one that may do so much.
    pub(crate) fn restrict(&self, key: String, permissions: Vec<String>) {
        self.restricted.lock().unwrap_or_else(PoisonError::into_inner).insert(key, permissions);
    }

    pub(crate) fn forget_restricted(&self) {
        self.restricted.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Takes the key out of the header or, as browsers send it, out of the form, where it is no parameter.
    ///
    /// # Errors
    /// 401 in Stripe's words for a key that is missing, malformed or not the account's; 403 for one that may not do this.
    pub(crate) fn identify(&self, headers: &HeaderMap, call: &mut Call) -> Result<Caller, ApiError> {
        let form = &mut call.form;
        let in_form = form.text("key")?.filter(|key| key.starts_with("pk_"));
        if in_form.is_some() {
            form.values.remove("key");
            form.pairs.retain(|(name, _)| name != "key");
        }
        let Some(key) = from_header(headers).or(in_form) else {
            return Err(ApiError::unauthorized(
                "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer \
                 auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See https://stripe.com/docs/api#authentication for \
                 details, or we can help at https://support.stripe.com/.",
            ));
        };
        if key == self.secret {
            Ok(Caller::Server)
        } else if key == self.publishable {
            Ok(Caller::Browser)
        } else if let Some(permissions) =
            self.restricted.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
        {
            match lacking(call, &permissions) {
                Some(lacking) => Err(ApiError::permission_required(&masked(&key), account::ID, &lacking)),
                None => Ok(Caller::Server),
            }
        } else {
            Err(ApiError::unauthorized(format!("Invalid API Key provided: {}", masked(&key))))
        }
    }
}

/// The permission that the call needs and is not among these.
fn lacking(call: &Call, permissions: &[String]) -> Option<String> {
    let resource = call.path.strip_prefix("/v1/").unwrap_or_default().split('/').next().unwrap_or_default();
    let name = match resource {
        "payment_intents" => "rak_payment_intent",
        "charges" | "refunds" => "rak_charge",
        "disputes" => "rak_dispute",
        "events" => "rak_event",
        "webhook_endpoints" => "rak_webhook",
        "account" => "rak_accounts_kyc_basic",
        _ => return None, // there is nothing that it could get
    };
    let (read, write) = (format!("{name}_read"), format!("{name}_write"));
    let has = |wanted: &String| permissions.contains(wanted);
    if call.method == "GET" { (!has(&read) && !has(&write)).then_some(read) } else { (!has(&write)).then_some(write) }
}

fn from_header(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = text.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned()).filter(|key| !key.is_empty());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
    let user = decoded.split_once(':').map_or(decoded.as_str(), |(user, _)| user);
    (!user.is_empty()).then(|| user.to_owned())
}

/// `sk_test_51abc…wxyz` → `sk_test_******wxyz`.
fn masked(key: &str) -> String {
    let characters: Vec<char> = key.chars().collect();
    let (head, tail) = (characters.len().min(8), characters.len().saturating_sub(4).max(8).min(characters.len()));
    let hidden = "*".repeat(tail - head);
    format!(
        "{}{hidden}{}",
        characters[..head].iter().collect::<String>(),
        characters[tail..].iter().collect::<String>()
    )
}
