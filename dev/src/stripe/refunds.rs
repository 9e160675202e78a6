//! Refunds: create, retrieve, list, and how they end. A pending refund counts against what can still be refunded; one that fails
//! gives it back.

use serde_json::{Value, json};

use super::{
    cards::Outcome,
    desk::Desk,
    errors::ApiError,
    form::Form,
    intents,
    lists::{Page, Range},
    money::display,
    objects::{Charge, ChargeStatus, IntentStatus, Refund, RefundStatus, new_id},
};

/// `POST /v1/refunds`.
pub(crate) fn create(desk: &mut Desk<'_>, form: &Form) -> Result<Value, ApiError> {
    let metadata = form.metadata()?;
    let reason = form.one_of("reason", &["duplicate", "fraudulent", "requested_by_customer"])?;
    let asked = intents::optional_amount(form)?;
    let charge = charge_of(desk, form)?;
    let amount = refundable(desk, &charge, asked)?;
    let (status, then) = fate(desk, &charge);
    let settles_at = (status != then).then_some(desk.now_ms + desk.settings.refund_ms);
    let refund = Refund {
        id: new_id("re"),
        charge: charge.id.clone(),
        intent: charge.intent.clone(),
        amount,
        currency: charge.currency.clone(),
        status,
        reason,
        created: desk.now(),
        metadata,
        failure_reason: (status == RefundStatus::Failed).then(|| "unknown".to_owned()),
        balance_transaction: Some(new_id("txn")),
        settles_at,
        settles_as: then,
    };
    let id = refund.id.clone();
    if let Some(moment) = settles_at {
        desk.books.due.insert((moment, id.clone()));
    }
    desk.books.refunds.put(refund);
    if status == RefundStatus::Failed {
        tell(desk, &id, &["refund.created", "refund.failed"]);
    } else {
        tell(desk, &id, &["refund.created"]);
        add_to_charge(desk, &charge.id, amount);
    }
    retrieve(desk, &id)
}

/// The status that a refund begins with, and the one that it ends with by itself.
fn fate(desk: &Desk<'_>, charge: &Charge) -> (RefundStatus, RefundStatus) {
    let outcome = desk.books.methods.get(&charge.method).map(|method| method.test().outcome);
    match (desk.settings.refunds, outcome) {
        (RefundStatus::Succeeded, Some(Outcome::RefundsPend | Outcome::Processes(_))) => {
            (RefundStatus::Pending, RefundStatus::Succeeded)
        }
        (RefundStatus::Succeeded, Some(Outcome::RefundsFail)) => (RefundStatus::Succeeded, RefundStatus::Failed),
        (set, _) => (set, set),
    }
}

fn charge_of(desk: &Desk<'_>, form: &Form) -> Result<Charge, ApiError> {
    let id = match (form.text("payment_intent")?, form.text("charge")?) {
        (None, None) => {
            let message = "One of the following params should be provided for this request: payment_intent or charge.";
            return Err(ApiError::parameter("parameter_missing", "payment_intent", message));
        }
        (None, Some(id)) => id,
        (Some(id), charge) => {
            let intent = intents::find(desk, &id, "payment_intent")?;
            let latest = intent.latest_charge.filter(|_| intent.status == IntentStatus::Succeeded);
            let Some(latest) = latest else {
                let message = format!("This PaymentIntent ({id}) does not have a successful charge to refund.");
                return Err(ApiError::state("payment_intent_unexpected_state", message).about("payment_intent"));
            };
            if charge.is_some_and(|id| id != latest) {
                let message = "The charge provided does not belong to the payment_intent provided.";
                return Err(ApiError::parameter(None, "charge", message).after_start());
            }
            latest
        }
    };
    desk.books.charges.get(&id).cloned().ok_or_else(|| ApiError::missing("charge", &id, "charge"))
}

fn refundable(desk: &Desk<'_>, charge: &Charge, asked: Option<i64>) -> Result<i64, ApiError> {
    let id = &charge.id;
    let disputed =
        desk.books.disputes.all().iter().any(|dispute| dispute.charge == *id && super::disputes::blocks(dispute));
    if charge.status != ChargeStatus::Succeeded {
        let message = format!("Charge {id} has not succeeded and cannot be refunded.");
        return Err(ApiError::state("charge_not_refundable", message).about("charge"));
    }
    if disputed {
        let message = format!("Charge {id} has been charged back; cannot issue a refund.");
        return Err(ApiError::state("charge_disputed", message));
    }
    let left = charge.refundable();
    if left == 0 {
        return Err(ApiError::state("charge_already_refunded", format!("Charge {id} has already been refunded.")));
    }
    let amount = asked.unwrap_or(left);
    if amount > left {
        let money = |amount| display(amount, &charge.currency);
        let message = if amount > charge.amount {
            format!("Refund amount ({}) is greater than charge amount ({})", money(amount), money(charge.amount))
        } else {
            format!("Refund amount ({}) is greater than unrefunded amount on charge ({})", money(amount), money(left))
        };
        return Err(ApiError::parameter(None, "amount", message).after_start());
    }
    Ok(amount)
}

/// Adds to what a charge has given back, and tells of it.
fn add_to_charge(desk: &mut Desk<'_>, id: &str, amount: i64) {
    let Some(charge) = desk.books.charges.get_mut(id) else { return };
    let before = json!({ "amount_refunded": charge.amount_refunded, "refunded": charge.refundable() == 0 });
    charge.amount_refunded += amount;
    if let Some(charge) = desk.books.charges.get(id) {
        let shown = charge.show(desk.books);
        desk.emit_change(if amount > 0 { "charge.refunded" } else { "charge.updated" }, shown, Some(before));
    }
}

fn tell(desk: &mut Desk<'_>, id: &str, kinds: &[&str]) {
    let Some(refund) = desk.books.refunds.get(id) else { return };
    let shown = refund.show(desk.books);
    for kind in kinds {
        desk.emit(kind, shown.clone());
    }
}

/// Gives a refund the status that it was to have by now, or the one that the caller says.
pub(crate) fn settle(desk: &mut Desk<'_>, id: &str, status: Option<RefundStatus>) -> Result<(), ApiError> {
    let Some(refund) = desk.books.refunds.get_mut(id) else { return Err(ApiError::missing("refund", id, "id")) };
    let (before, after) = (refund.status, status.unwrap_or(refund.settles_as));
    let counted = |status| !matches!(status, RefundStatus::Failed | RefundStatus::Canceled);
    if let Some(moment) = refund.settles_at.take() {
        desk.books.due.remove(&(moment, id.to_owned()));
    }
    if before == after {
        return Ok(());
    }
    refund.status = after;
    refund.settles_as = after;
    refund.failure_reason = (after == RefundStatus::Failed).then(|| "expired_or_canceled_card".to_owned());
    let (charge, amount) = (refund.charge.clone(), refund.amount);
    let kinds: &[&str] = match after {
        RefundStatus::Failed => &["refund.failed", "charge.refund.updated"],
        _ => &["refund.updated", "charge.refund.updated"],
    };
    tell(desk, id, kinds);
    match (counted(before), counted(after)) {
        (true, false) => add_to_charge(desk, &charge, -amount),
        (false, true) => add_to_charge(desk, &charge, amount),
        _ => {}
    }
    Ok(())
}

/// `GET /v1/refunds/{id}`.
pub(crate) fn retrieve(desk: &Desk<'_>, id: &str) -> Result<Value, ApiError> {
    let refund = desk.books.refunds.get(id).ok_or_else(|| ApiError::missing("refund", id, "id"))?;
    Ok(refund.show(desk.books))
}

/// `GET /v1/refunds`, newest first.
pub(crate) fn list(desk: &Desk<'_>, form: &Form) -> Result<Value, ApiError> {
    let page = Page::read(form)?;
    let created = Range::read(form)?;
    let (intent, charge) = (form.text("payment_intent")?, form.text("charge")?);
    let wanted = |refund: &Refund| {
        created.holds(refund.created)
            && intent.as_ref().is_none_or(|id| *id == refund.intent)
            && charge.as_ref().is_none_or(|id| *id == refund.charge)
    };
    page.cut(&desk.books.refunds, "/v1/refunds", "refund", wanted, |refund| refund.show(desk.books))
}
