//! Disputes and inquiries: retrieve, list, open, close. One that is open or lost forbids refunds of its charge; an inquiry
//! forbids nothing.

use serde_json::{Value, json};

use super::{
    desk::Desk,
    errors::ApiError,
    form::Form,
    lists::{Page, Range},
    objects::{Charge, Dispute, DisputeStatus, new_id},
};

/// Opens a dispute over the whole charge and gives its id.
pub(crate) fn open(desk: &mut Desk<'_>, charge: &Charge, reason: &str, inquiry: bool) -> String {
    let dispute = Dispute {
        id: new_id("dp"),
        charge: charge.id.clone(),
        intent: charge.intent.clone(),
        amount: charge.amount,
        currency: charge.currency.clone(),
        reason: reason.to_owned(),
        status: if inquiry { DisputeStatus::WarningNeedsResponse } else { DisputeStatus::NeedsResponse },
        created: desk.now(),
    };
    let id = dispute.id.clone();
    desk.books.disputes.put(dispute);
    if let Some(charge) = desk.books.charges.get_mut(&charge.id) {
        charge.disputed = true;
    }
    tell(desk, &id, "charge.dispute.created", None);
    if !inquiry {
        tell(desk, &id, "charge.dispute.funds_withdrawn", None);
    }
    id
}

/// Gives a dispute another status; a final one closes it.
///
/// # Errors
/// 404 for an unknown one, 400 for one that is closed.
pub(crate) fn change(desk: &mut Desk<'_>, id: &str, status: DisputeStatus) -> Result<(), ApiError> {
    let Some(dispute) = desk.books.disputes.get_mut(id) else { return Err(ApiError::missing("dispute", id, "id")) };
    if dispute.status.is_final() {
        return Err(ApiError::state("dispute_closed", "This dispute is closed already."));
    }
    let before = json!({ "status": dispute.status });
    dispute.status = status;
    if status == DisputeStatus::Won {
        tell(desk, id, "charge.dispute.funds_reinstated", None);
    }
    let kind = if status.is_final() { "charge.dispute.closed" } else { "charge.dispute.updated" };
    tell(desk, id, kind, Some(before));
    Ok(())
}

/// Whether a dispute forbids refunds of its charge.
pub(crate) fn blocks(dispute: &Dispute) -> bool {
    !dispute.status.is_inquiry() && dispute.status != DisputeStatus::Won
}

fn tell(desk: &mut Desk<'_>, id: &str, kind: &str, previous: Option<Value>) {
    let Some(dispute) = desk.books.disputes.get(id) else { return };
    let shown = dispute.show(desk.books);
    desk.emit_change(kind, shown, previous);
}

/// `GET /v1/disputes/{id}`.
pub(crate) fn retrieve(desk: &Desk<'_>, id: &str) -> Result<Value, ApiError> {
    let dispute = desk.books.disputes.get(id).ok_or_else(|| ApiError::missing("dispute", id, "dispute"))?;
    Ok(dispute.show(desk.books))
}

/// `GET /v1/disputes`, newest first.
pub(crate) fn list(desk: &Desk<'_>, form: &Form) -> Result<Value, ApiError> {
    let page = Page::read(form)?;
    let created = Range::read(form)?;
    let (intent, charge) = (form.text("payment_intent")?, form.text("charge")?);
    let wanted = |dispute: &Dispute| {
        created.holds(dispute.created)
            && intent.as_ref().is_none_or(|id| *id == dispute.intent)
            && charge.as_ref().is_none_or(|id| *id == dispute.charge)
    };
    page.cut(&desk.books.disputes, "/v1/disputes", "dispute", wanted, |dispute| dispute.show(desk.books))
}
