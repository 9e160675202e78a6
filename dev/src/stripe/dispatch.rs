//! Which operation a call is: method and path, the parameters that it has, and who may make it.

use serde_json::Value;

use super::{
    account,
    auth::Caller,
    confirm,
    desk::Desk,
    disputes,
    errors::ApiError,
    events,
    expand::expand,
    form::Form,
    intents,
    objects::Intent,
    params::{self, Params},
    refunds,
};

/// A call to the API.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) form: Form,
}

/// Carries out the call.
///
/// # Errors
/// Whatever Stripe would answer.
pub(crate) fn dispatch(desk: &mut Desk<'_>, call: &Call, caller: Caller) -> Result<Value, ApiError> {
    let path = call.path.strip_prefix("/v1/").unwrap_or_default();
    let segments: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    let form = &call.form;
    if caller == Caller::Browser {
        return as_browser(desk, call, &segments);
    }
    let checked = |params: &Params| params.check(form);
    let mut shown = match (call.method.as_str(), segments.as_slice()) {
        ("POST", ["payment_intents"]) => checked(&params::CREATE_INTENT).and_then(|()| intents::create(desk, form)),
        ("GET", ["payment_intents"]) => checked(&params::LIST_INTENTS).and_then(|()| intents::list(desk, form)),
        ("GET", ["payment_intents", id]) => {
            checked(&params::RETRIEVE_INTENT)?;
            check_secret(desk, id, form, false)?;
            intents::retrieve(desk, id)
        }
        ("POST", ["payment_intents", id, "confirm"]) => {
            checked(&params::CONFIRM_INTENT)?;
            check_secret(desk, id, form, false)?;
            confirm::confirm(desk, id, form)?;
            intents::retrieve(desk, id)
        }
        ("POST", ["payment_intents", id, "cancel"]) => {
            checked(&params::CANCEL_INTENT)?;
            intents::cancel(desk, id, form)
        }
        ("POST", ["refunds"]) => checked(&params::CREATE_REFUND).and_then(|()| refunds::create(desk, form)),
        ("GET", ["refunds"]) => checked(&params::LIST_REFUNDS).and_then(|()| refunds::list(desk, form)),
        ("GET", ["refunds", id]) => checked(&params::RETRIEVE).and_then(|()| refunds::retrieve(desk, id)),
        ("GET", ["charges"]) => checked(&params::LIST_CHARGES).and_then(|()| intents::list_charges(desk, form)),
        ("GET", ["charges", id]) => checked(&params::RETRIEVE).and_then(|()| intents::retrieve_charge(desk, id)),
        ("GET", ["disputes"]) => checked(&params::LIST_DISPUTES).and_then(|()| disputes::list(desk, form)),
        ("GET", ["disputes", id]) => checked(&params::RETRIEVE).and_then(|()| disputes::retrieve(desk, id)),
        ("GET", ["events"]) => checked(&params::LIST_EVENTS).and_then(|()| events::list(desk, form)),
        ("GET", ["events", id]) => checked(&params::RETRIEVE).and_then(|()| events::retrieve(desk, id)),
        ("GET", ["account"]) => checked(&params::RETRIEVE).map(|()| account::retrieve(desk)),
        ("GET", ["webhook_endpoints"]) => {
            checked(&params::LIST_ENDPOINTS).and_then(|()| account::list_endpoints(desk, form))
        }
        ("GET", ["webhook_endpoints", id]) => {
            checked(&params::RETRIEVE).and_then(|()| account::retrieve_endpoint(desk, id))
        }
        (method, _) => Err(ApiError::unknown_url(method, &call.path)),
    }?;
    expand(&mut shown, &form.list("expand")?, desk.books)?;
    Ok(shown)
}

/// A browser may look at an intent and confirm it, if it knows its client secret; it is shown less.
fn as_browser(desk: &mut Desk<'_>, call: &Call, segments: &[&str]) -> Result<Value, ApiError> {
    let form = &call.form;
    let id = match (call.method.as_str(), segments) {
        ("GET", ["payment_intents", id]) => {
            params::RETRIEVE_INTENT.check(form)?;
            check_secret(desk, id, form, true)?;
            id
        }
        ("POST", ["payment_intents", id, "confirm"]) => {
            params::CONFIRM_INTENT.check(form)?;
            check_secret(desk, id, form, true)?;
            confirm::confirm(desk, id, form).map_err(|error| {
                let shown = desk.books.intents.get(id).map_or(Value::Null, Intent::show_to_browser);
                if error.has("payment_intent") { error.with("payment_intent", shown) } else { error }
            })?;
            id
        }
        _ => return Err(ApiError::secret_key_required()),
    };
    Ok(intents::find(desk, id, "intent")?.show_to_browser())
}

fn check_secret(desk: &Desk<'_>, id: &str, form: &Form, required: bool) -> Result<(), ApiError> {
    let intent = intents::find(desk, id, "intent")?;
    match form.text("client_secret")? {
        None if required => form.required("client_secret").map(|_| ()),
        Some(secret) if secret != intent.client_secret => Err(ApiError::parameter(
            "payment_intent_invalid_parameter",
            "client_secret",
            "The client_secret provided does not match the client_secret associated with the PaymentIntent.",
        )),
        _ => Ok(()),
    }
}
