//! What comes of charging a payment method: a charge, a refusal, a debit that settles later. The events come in Stripe's order:
//! the charge's before the intent's.

use serde_json::json;

use super::{
    cards::{self, Decline, Outcome, Settlement},
    desk::Desk,
    disputes,
    errors::ApiError,
    intents::{self, unexpected_state},
    objects::{Charge, ChargeStatus, Intent, IntentStatus, Method, new_id},
};

/// Charges the payment method, with the outcome that it is made for.
pub(crate) fn attempt(
    desk: &mut Desk<'_>,
    intent: Intent,
    method: &Method,
    outcome: Outcome,
    authenticated: bool,
) -> Result<(), ApiError> {
    match outcome {
        Outcome::Declines(refusal) => return decline(desk, intent, method, refusal, authenticated),
        Outcome::Processes(settlement) => process(desk, intent, method, settlement),
        Outcome::Disputed(dispute) => {
            let charge = succeed(desk, intent, method, authenticated);
            disputes::open(desk, &charge, dispute.reason, dispute.inquiry);
        }
        Outcome::Succeeds | Outcome::RefundsPend | Outcome::RefundsFail | Outcome::Authenticates(_) => {
            succeed(desk, intent, method, authenticated);
        }
    }
    Ok(())
}

fn new_charge(desk: &Desk<'_>, intent: &Intent, method: &Method, status: ChargeStatus, authenticated: bool) -> Charge {
    Charge {
        id: new_id("ch"),
        intent: intent.id.clone(),
        method: method.id.clone(),
        amount: intent.amount,
        currency: intent.currency.clone(),
        status,
        created: desk.now(),
        metadata: intent.metadata.clone(),
        description: intent.description.clone(),
        receipt_email: intent.receipt_email.clone(),
        statement_descriptor: intent.statement_descriptor.clone(),
        statement_descriptor_suffix: intent.statement_descriptor_suffix.clone(),
        transfer_group: intent.transfer_group.clone(),
        shipping: intent.shipping.clone(),
        authenticated,
        amount_refunded: 0,
        disputed: false,
        failure: None,
        balance_transaction: (status == ChargeStatus::Succeeded).then(|| new_id("txn")),
    }
}

fn succeed(desk: &mut Desk<'_>, mut intent: Intent, method: &Method, authenticated: bool) -> Charge {
    let charge = new_charge(desk, &intent, method, ChargeStatus::Succeeded, authenticated);
    intent.status = IntentStatus::Succeeded;
    intent.latest_charge = Some(charge.id.clone());
    book(desk, intent, charge.clone(), "charge.succeeded", "payment_intent.succeeded");
    charge
}

/// Puts intent and charge away and tells of both.
fn book(desk: &mut Desk<'_>, intent: Intent, charge: Charge, of_charge: &str, of_intent: &str) {
    let charge_id = charge.id.clone();
    let shown = intent.show();
    desk.books.intents.put(intent);
    desk.books.charges.put(charge);
    if let Some(charge) = desk.books.charges.get(&charge_id) {
        let charge = charge.show(desk.books);
        desk.emit(of_charge, charge);
    }
    desk.emit(of_intent, shown);
}

/// Books a refusal of an intent that has no charge yet, and gives the error that tells of it.
pub(crate) fn decline(
    desk: &mut Desk<'_>,
    intent: Intent,
    method: &Method,
    refusal: Decline,
    authenticated: bool,
) -> Result<(), ApiError> {
    let charge = new_charge(desk, &intent, method, ChargeStatus::Failed, authenticated);
    Err(refuse(desk, intent, charge, method, refusal))
}

/// Books a refusal and gives the error that tells of it.
fn refuse(desk: &mut Desk<'_>, mut intent: Intent, mut charge: Charge, method: &Method, refusal: Decline) -> ApiError {
    charge.status = ChargeStatus::Failed;
    charge.failure = Some((refusal.code.into(), refusal.decline_code.into(), refusal.message.into()));
    let error = refusal.error().with("charge", json!(charge.id)).with("payment_method", method.show());
    back_to_start(&mut intent, &error);
    intent.latest_charge = Some(charge.id.clone());
    let error = error.with("payment_intent", intent.show());
    book(desk, intent, charge, "charge.failed", "payment_intent.payment_failed");
    error
}

/// Books a failure that never reached the bank.
pub(crate) fn fail(desk: &mut Desk<'_>, mut intent: Intent, method: &Method, error: ApiError) {
    back_to_start(&mut intent, &error.with("payment_method", method.show()));
    let shown = intent.show();
    desk.books.intents.put(intent);
    desk.emit("payment_intent.payment_failed", shown);
}

fn back_to_start(intent: &mut Intent, error: &ApiError) {
    intent.status = IntentStatus::RequiresPaymentMethod;
    intent.payment_method = None;
    intent.settles_at = None;
    intent.last_payment_error = Some(error.kept());
}

fn process(desk: &mut Desk<'_>, mut intent: Intent, method: &Method, settlement: Settlement) {
    let charge = new_charge(desk, &intent, method, ChargeStatus::Pending, false);
    intent.status = IntentStatus::Processing;
    intent.latest_charge = Some(charge.id.clone());
    intent.settles_at = (settlement != Settlement::Waits).then_some(desk.now_ms + desk.settings.processing_ms);
    if let Some(moment) = intent.settles_at {
        desk.books.due.insert((moment, intent.id.clone()));
    }
    book(desk, intent, charge, "charge.pending", "payment_intent.processing");
}

/// Ends the processing of an intent: as its payment method has it, or as the caller says.
pub(crate) fn settle(desk: &mut Desk<'_>, id: &str, succeeds: Option<bool>) -> Result<(), ApiError> {
    let mut intent = intents::find(desk, id, "intent")?;
    let charge = intent.latest_charge.as_ref().and_then(|id| desk.books.charges.get(id)).cloned();
    let method = intent.payment_method.as_ref().and_then(|id| desk.books.methods.get(id)).cloned();
    let (IntentStatus::Processing, Some(mut charge), Some(method)) = (intent.status, charge, method) else {
        let message = format!("This PaymentIntent is not processing: its status is {}.", intent.status.as_str());
        return Err(unexpected_state(&intent, message));
    };
    let own = match method.test().outcome {
        Outcome::Processes(Settlement::Fails(refusal)) => Some(refusal),
        _ => None,
    };
    let refusal = match succeeds {
        None => own,
        Some(true) => None,
        Some(false) => Some(own.unwrap_or(cards::ACCOUNT_CLOSED)),
    };
    if let Some(moment) = intent.settles_at.take() {
        desk.books.due.remove(&(moment, intent.id.clone()));
    }
    if let Some(refusal) = refusal {
        refuse(desk, intent, charge, &method, refusal);
        return Ok(());
    }
    charge.status = ChargeStatus::Succeeded;
    charge.balance_transaction = Some(new_id("txn"));
    intent.status = IntentStatus::Succeeded;
    book(desk, intent, charge, "charge.succeeded", "payment_intent.succeeded");
    Ok(())
}
