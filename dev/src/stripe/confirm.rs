//! Confirming a PaymentIntent: the terms, the payment method, the shopper's authentication. Charging is `attempt`'s.

use serde_json::Value;

use super::{
    attempt::{attempt, decline, fail},
    cards::{self, Outcome},
    desk::Desk,
    errors::ApiError,
    form::Form,
    intents::{self, unexpected_state},
    objects::{Challenge, Intent, IntentStatus, Method, new_id},
};
use crate::random::alphanumeric;

/// The parameters of a confirmation.
#[derive(Debug, Default)]
pub(crate) struct Terms {
    payment_method: Option<String>,
    return_url: Option<String>,
    uses_sdk: bool,
    /// Nobody is there to authenticate.
    unattended: bool,
    receipt_email: Option<String>,
    shipping: Option<Value>,
    setup_future_usage: Option<String>,
}

impl Terms {
    /// # Errors
    /// 400 for a parameter that is wrong or missing, or that the simulator has no use for.
    pub(crate) fn read(form: &Form, intent: &Intent) -> Result<Self, ApiError> {
        for name in ["payment_method_data", "confirmation_token"] {
            if form.values.contains_key(name) {
                let message = format!(
                    "The simulator takes no {name}: pass payment_method with one of Stripe's test payment methods, such as \
                     pm_card_visa."
                );
                return Err(ApiError::parameter(None, name, message));
            }
        }
        let terms = Self {
            payment_method: form.text("payment_method")?,
            return_url: form.text("return_url")?,
            uses_sdk: form.boolean("use_stripe_sdk")?.unwrap_or(false),
            unattended: form.boolean("error_on_requires_action")?.unwrap_or(false)
                || form.text("off_session")?.is_some_and(|text| text != "false"),
            receipt_email: intents::email(form)?,
            shipping: intents::shipping(form)?,
            setup_future_usage: form.one_of("setup_future_usage", &["off_session", "on_session"])?,
        };
        let may_redirect = intent.automatic.as_deref() == Some("always");
        if may_redirect && terms.return_url.is_none() && !terms.uses_sdk && !terms.unattended {
            return Err(ApiError::parameter(
                "parameter_missing",
                "return_url",
                "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. Because some of these \
                 payment methods might redirect your customer off of your page, you must provide a `return_url`. If you don't \
                 want to accept redirect-based payment methods, set `automatic_payment_methods[enabled]` to `true` and \
                 `automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents and Payment Intents.",
            ));
        }
        if let Some(url) = &terms.return_url
            && url::Url::parse(url).is_err()
        {
            return Err(ApiError::parameter("url_invalid", "return_url", "Not a valid URL"));
        }
        Ok(terms)
    }
}

/// `POST /v1/payment_intents/{id}/confirm`.
pub(crate) fn confirm(desk: &mut Desk<'_>, id: &str, form: &Form) -> Result<(), ApiError> {
    let intent = intents::find(desk, id, "intent")?;
    run(desk, id, &Terms::read(form, &intent)?)
}

/// A payment method by its id, or a new one by its test name.
pub(crate) fn method(desk: &mut Desk<'_>, name: &str, intent: &Intent) -> Result<Method, ApiError> {
    let found = desk.books.methods.get(name).cloned();
    let method = match (found, cards::find(name)) {
        (Some(method), _) => method,
        (None, Some(_)) => Method { id: new_id("pm"), name: name.to_owned(), created: desk.now() },
        (None, None) => return Err(ApiError::missing("PaymentMethod", name, "payment_method")),
    };
    let kind = method.test().instrument.kind();
    if !intent.payment_method_types.iter().any(|allowed| allowed == kind) {
        let message = format!(
            "The PaymentMethod provided ({kind}) is not allowed for this PaymentIntent. Please attach one of the following \
             payment method types: {}.",
            intent.payment_method_types.join(", ")
        );
        return Err(ApiError::state("payment_intent_incompatible_payment_method", message).about("payment_method"));
    }
    desk.books.methods.put(method.clone());
    Ok(method)
}

/// Carries out a confirmation.
pub(crate) fn run(desk: &mut Desk<'_>, id: &str, terms: &Terms) -> Result<(), ApiError> {
    let mut intent = intents::find(desk, id, "intent")?;
    check_status(&intent)?;
    let Some(name) = terms.payment_method.as_ref().or(intent.payment_method.as_ref()) else {
        let message = "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the \
                       PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a \
                       payment method or ConfirmationToken.";
        return Err(unexpected_state(&intent, message.into()));
    };
    let method = method(desk, &name.clone(), &intent)?;
    intent.payment_method = Some(method.id.clone());
    intent.last_payment_error = None;
    intent.challenge = None;
    intent.receipt_email = terms.receipt_email.clone().or(intent.receipt_email);
    intent.shipping = terms.shipping.clone().or(intent.shipping);
    intent.setup_future_usage = terms.setup_future_usage.clone().or(intent.setup_future_usage);
    match method.test().outcome {
        Outcome::Authenticates(_) if terms.unattended => {
            decline(desk, intent, &method, cards::AUTHENTICATION_REQUIRED, false)
        }
        Outcome::Authenticates(_) => {
            challenge(desk, intent, terms);
            Ok(())
        }
        outcome => attempt(desk, intent, &method, outcome, false),
    }
}

fn check_status(intent: &Intent) -> Result<(), ApiError> {
    let message = match intent.status {
        IntentStatus::RequiresPaymentMethod | IntentStatus::RequiresConfirmation | IntentStatus::RequiresAction => {
            return Ok(());
        }
        IntentStatus::Succeeded => {
            "You cannot confirm this PaymentIntent because it has already succeeded after being previously confirmed."
                .into()
        }
        IntentStatus::Processing | IntentStatus::Canceled => format!(
            "You cannot confirm this PaymentIntent because it has a status of {}. Only a PaymentIntent with one of the \
             following statuses may be confirmed: requires_confirmation, requires_action.",
            intent.status.as_str()
        ),
    };
    Err(unexpected_state(intent, message))
}

fn challenge(desk: &mut Desk<'_>, mut intent: Intent, terms: &Terms) {
    let token = alphanumeric(24);
    intent.status = IntentStatus::RequiresAction;
    intent.challenge = Some(Challenge {
        url: format!("{}/3d_secure/{}/{token}", desk.base_url, intent.id),
        token,
        return_url: terms.return_url.clone().filter(|_| !terms.uses_sdk),
    });
    let shown = intent.show();
    desk.books.intents.put(intent);
    desk.emit("payment_intent.requires_action", shown);
}

/// Ends an authentication, well or badly. A refusal by the bank is no error here: the shopper is told by the intent.
pub(crate) fn authenticate(desk: &mut Desk<'_>, id: &str, succeeds: bool) -> Result<(), ApiError> {
    let mut intent = intents::find(desk, id, "intent")?;
    let method = intent.payment_method.as_ref().and_then(|id| desk.books.methods.get(id)).cloned();
    let (IntentStatus::RequiresAction, Some(method)) = (intent.status, method) else {
        let message =
            format!("This PaymentIntent waits for no authentication: its status is {}.", intent.status.as_str());
        return Err(unexpected_state(&intent, message));
    };
    intent.challenge = None;
    if !succeeds {
        let message = "The provided PaymentMethod has failed authentication. You can provide payment_method_data or a new \
                       PaymentMethod to attempt to fulfill this PaymentIntent again.";
        fail(desk, intent, &method, ApiError::state("payment_intent_authentication_failure", message));
        return Ok(());
    }
    let outcome = match method.test().outcome {
        Outcome::Authenticates(then) => *then,
        other => other,
    };
    // The decline is kept in the intent and told by an event.
    let _declined = attempt(desk, intent, &method, outcome, true);
    Ok(())
}
