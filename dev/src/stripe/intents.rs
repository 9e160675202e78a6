//! PaymentIntents: create, retrieve, list, cancel. Confirming one is `confirm`'s.

use serde_json::{Value, json};

use super::{
    confirm,
    desk::Desk,
    errors::ApiError,
    form::{self, Form},
    lists::{self, Page},
    money,
    objects::{Charge, Intent, IntentStatus, new_id},
};
use crate::random::alphanumeric;

/// `POST /v1/payment_intents`.
pub(crate) fn create(desk: &mut Desk<'_>, form: &Form) -> Result<Value, ApiError> {
    let mut intent = read(desk, form)?;
    if let Some(name) = form.text("payment_method")? {
        intent.payment_method = Some(confirm::method(desk, &name, &intent)?.id);
        intent.status = IntentStatus::RequiresConfirmation;
    }
    let confirms = form.boolean("confirm")?.unwrap_or(false);
    let terms = if confirms { Some(confirm::Terms::read(form, &intent)?) } else { refuse_terms(form)? };
    let id = intent.id.clone();
    let shown = if confirms {
        // Created and confirmed at once: the event tells of it as it was in between.
        Intent { status: IntentStatus::RequiresPaymentMethod, payment_method: None, ..intent.clone() }.show()
    } else {
        intent.show()
    };
    desk.books.intents.put(intent);
    desk.emit("payment_intent.created", shown);
    if let Some(terms) = terms {
        confirm::run(desk, &id, &terms)?;
    }
    Ok(find(desk, &id, "intent")?.show())
}

/// What belongs to a confirmation has no meaning without one.
fn refuse_terms(form: &Form) -> Result<Option<confirm::Terms>, ApiError> {
    for name in ["return_url", "off_session", "error_on_requires_action", "mandate"] {
        if form.text(name)?.is_some() {
            let message = format!(
                "The parameter `{name}` cannot be passed when creating a PaymentIntent unless `confirm` is set to true."
            );
            return Err(ApiError::parameter("parameter_invalid_empty", name, message));
        }
    }
    Ok(None)
}

fn read(desk: &Desk<'_>, form: &Form) -> Result<Intent, ApiError> {
    let (amount, currency) = money::amount_and_currency(form)?;
    let capture_method =
        form.one_of("capture_method", &["automatic", "automatic_async", "manual"])?.unwrap_or("automatic_async".into());
    if capture_method == "manual" {
        let message = "The simulator has no manual capture: leave capture_method out, or use Stripe's test mode.";
        return Err(ApiError::parameter(None, "capture_method", message));
    }
    let (automatic, payment_method_types) = method_types(form, &currency)?;
    let id = new_id("pi");
    Ok(Intent {
        client_secret: format!("{id}_secret_{}", alphanumeric(25)),
        id,
        amount,
        status: IntentStatus::RequiresPaymentMethod,
        created: desk.now(),
        metadata: form.metadata()?,
        description: form.text("description")?,
        receipt_email: email(form)?,
        statement_descriptor: form.text("statement_descriptor")?,
        statement_descriptor_suffix: form.text("statement_descriptor_suffix")?,
        setup_future_usage: form.one_of("setup_future_usage", &["off_session", "on_session"])?,
        transfer_group: form.text("transfer_group")?,
        shipping: shipping(form)?,
        capture_method,
        confirmation_method: form
            .one_of("confirmation_method", &["automatic", "manual"])?
            .unwrap_or("automatic".into()),
        automatic,
        payment_method_types,
        payment_method: None,
        last_payment_error: None,
        latest_charge: None,
        challenge: None,
        canceled_at: None,
        cancellation_reason: None,
        settles_at: None,
        currency,
    })
}

/// `allow_redirects` of automatic payment methods, which are on unless types are listed, and the types.
fn method_types(form: &Form, currency: &str) -> Result<(Option<String>, Vec<String>), ApiError> {
    let listed = form.list("payment_method_types")?;
    let automatic = form.object("automatic_payment_methods")?;
    let enabled = match &automatic {
        Some(object) => object.boolean("enabled")?.ok_or_else(|| missing("automatic_payment_methods[enabled]"))?,
        None => listed.is_empty(),
    };
    if enabled && !listed.is_empty() {
        let message = "You may only specify one of these parameters: automatic_payment_methods, payment_method_types.";
        return Err(ApiError::parameter(None, "payment_method_types", message));
    }
    if !enabled {
        return Ok((None, if listed.is_empty() { vec!["card".to_owned()] } else { listed }));
    }
    let redirects =
        automatic.map(|object| object.one_of("allow_redirects", &["always", "never"])).transpose()?.flatten();
    let debit = match currency {
        "usd" => Some("us_bank_account"),
        "eur" => Some("sepa_debit"),
        _ => None,
    };
    let types = std::iter::once("card").chain(debit).map(str::to_owned).collect();
    Ok((Some(redirects.unwrap_or("always".into())), types))
}

fn missing(param: &str) -> ApiError {
    ApiError::parameter("parameter_missing", param, format!("Missing required param: {param}."))
}

/// An address that a receipt could go to.
pub(crate) fn email(form: &Form) -> Result<Option<String>, ApiError> {
    let email = form.text("receipt_email")?;
    match email {
        Some(text) if !text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.')) => {
            Err(ApiError::parameter("email_invalid", "receipt_email", format!("Invalid email address: {text}")))
        }
        other => Ok(other),
    }
}

/// Where the goods go.
pub(crate) fn shipping(form: &Form) -> Result<Option<Value>, ApiError> {
    let Some(shipping) = form.object("shipping")? else { return Ok(None) };
    let address = shipping.object("address")?.ok_or_else(|| missing("shipping[address]"))?;
    let name = shipping.text("name")?.ok_or_else(|| missing("shipping[name]"))?;
    Ok(Some(json!({
        "address": {
            "city": address.text("city")?,
            "country": address.text("country")?,
            "line1": address.text("line1")?,
            "line2": address.text("line2")?,
            "postal_code": address.text("postal_code")?,
            "state": address.text("state")?,
        },
        "carrier": shipping.text("carrier")?,
        "name": name,
        "phone": shipping.text("phone")?,
        "tracking_number": shipping.text("tracking_number")?,
    })))
}

/// The intent with this id, as it is.
pub(crate) fn find(desk: &Desk<'_>, id: &str, param: &str) -> Result<Intent, ApiError> {
    desk.books.intents.get(id).cloned().ok_or_else(|| ApiError::missing("payment_intent", id, param))
}

/// `GET /v1/payment_intents/{id}`.
pub(crate) fn retrieve(desk: &Desk<'_>, id: &str) -> Result<Value, ApiError> {
    Ok(find(desk, id, "intent")?.show())
}

/// `GET /v1/payment_intents`, newest first. No intent of the simulator's has a customer.
pub(crate) fn list(desk: &Desk<'_>, form: &Form) -> Result<Value, ApiError> {
    let page = Page::read(form)?;
    let created = lists::Range::read(form)?;
    let customer = form.text("customer")?.or(form.text("customer_account")?);
    page.cut(
        &desk.books.intents,
        "/v1/payment_intents",
        "payment_intent",
        |intent| customer.is_none() && created.holds(intent.created),
        Intent::show,
    )
}

/// `POST /v1/payment_intents/{id}/cancel`.
pub(crate) fn cancel(desk: &mut Desk<'_>, id: &str, form: &Form) -> Result<Value, ApiError> {
    let reasons = ["duplicate", "fraudulent", "requested_by_customer", "abandoned"];
    let reason = form.one_of("cancellation_reason", &reasons)?;
    let mut intent = find(desk, id, "intent")?;
    if matches!(intent.status, IntentStatus::Succeeded | IntentStatus::Canceled | IntentStatus::Processing) {
        let message = format!(
            "You cannot cancel this PaymentIntent because it has a status of {}. Only a PaymentIntent with one of the \
             following statuses may be canceled: requires_payment_method, requires_capture, requires_confirmation, \
             requires_action.",
            intent.status.as_str()
        );
        return Err(unexpected_state(&intent, message));
    }
    intent.status = IntentStatus::Canceled;
    intent.canceled_at = Some(desk.now());
    intent.cancellation_reason = reason;
    intent.challenge = None;
    let shown = intent.show();
    desk.books.intents.put(intent);
    desk.emit("payment_intent.canceled", shown.clone());
    Ok(shown)
}

/// 400 `payment_intent_unexpected_state`, with the intent inside.
pub(crate) fn unexpected_state(intent: &Intent, message: String) -> ApiError {
    ApiError::state("payment_intent_unexpected_state", message).with("payment_intent", intent.show())
}

/// `GET /v1/charges/{id}`.
pub(crate) fn retrieve_charge(desk: &Desk<'_>, id: &str) -> Result<Value, ApiError> {
    let charge = desk.books.charges.get(id).ok_or_else(|| ApiError::missing("charge", id, "id"))?;
    Ok(charge.show(desk.books))
}

/// `GET /v1/charges`, newest first.
pub(crate) fn list_charges(desk: &Desk<'_>, form: &Form) -> Result<Value, ApiError> {
    let page = Page::read(form)?;
    let created = lists::Range::read(form)?;
    let intent = form.text("payment_intent")?;
    let stranger = form.text("customer")?.is_some();
    let wanted = |charge: &Charge| {
        !stranger && created.holds(charge.created) && intent.as_ref().is_none_or(|id| *id == charge.intent)
    };
    page.cut(&desk.books.charges, "/v1/charges", "charge", wanted, |charge| charge.show(desk.books))
}

/// An amount given as a parameter.
pub(crate) fn optional_amount(form: &Form) -> Result<Option<i64>, ApiError> {
    let amount = form.text("amount")?.map(|text| form::whole_number("amount", &text)).transpose()?;
    if let Some(amount) = amount {
        money::at_least_one(amount, "amount")?;
    }
    Ok(amount)
}
