//! One object of Stripe's against our books.

use common::{
    id::OrderId,
    order::{self, Applied, News, Source},
    payment::{IntentReport, NamedOrder, Seen},
    reconciliation::{self, Difference, InOurBooks, Kind, Outcome},
    webhook,
};

use super::{ReconcileError, Reconciliation};
use crate::{
    owner::{NotOurs, Owner, OwnerError},
    stripe::StripeError,
};

/// How often an object is asked about that changes while it is looked at.
const TRIES: usize = 3;

/// What a comparison found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Compared {
    /// The books agree, or it is nothing of this shop's.
    Same,
    /// They don't, or didn't.
    Different(Difference),
}

pub(super) fn intent_state(report: &IntentReport) -> String {
    let declined = report.last_error.as_ref().map(|error| error.code.as_str());
    reconciliation::intent_state(report.status.as_str(), report.amount_received, declined)
}

pub(super) fn dry_run() -> Outcome {
    Outcome::Left("nothing is changed in a dry run".into())
}

/// An object as the books have it.
struct Entry<'a> {
    kind: Kind,
    stripe_id: &'a str,
    order: OrderId,
    ours: Option<InOurBooks>,
    theirs: String,
}

impl Reconciliation<'_> {
    pub(super) async fn intent(self, id: &str) -> Result<Compared, ReconcileError> {
        for _ in 0..TRIES {
            // Our books first: what Stripe then says is the newer.
            let before = common::payment::known_intent(self.pool, id).await?;
            let answer = match self.stripe.retrieve_intent(id).await {
                Ok(answer) => answer,
                Err(e) => return untold(Kind::Intent, id, before.map(|known| known.order_id), e),
            };
            let report = &answer.report;
            let order = match (&before, report.order) {
                (Some(known), _) => known.order_id,
                (None, NamedOrder::Id(order)) => order,
                (None, NamedOrder::None) => return Ok(Compared::Same),
                (None, NamedOrder::Unreadable) => {
                    return Ok(unknown_order(Kind::Intent, id, intent_state(report)));
                }
            };
            let ours = reconciliation::booked_intent(self.pool, report).await?;
            let entry = Entry { kind: Kind::Intent, stripe_id: id, order, ours, theirs: intent_state(report) };
            let seen = before.map(|known| known.seen);
            if let Some(found) = self.settle(entry, News::Intent(report), answer.request_id.as_deref(), seen).await? {
                return Ok(found);
            }
        }
        Ok(restless(Kind::Intent, id))
    }

    pub(super) async fn refund(self, id: &str) -> Result<Compared, ReconcileError> {
        for _ in 0..TRIES {
            let ours = reconciliation::booked_refund(self.pool, id).await?;
            let answer = match self.stripe.retrieve_refund(id).await {
                Ok(answer) => answer,
                Err(e) => return untold(Kind::Refund, id, ours.map(|known| known.order_id), e),
            };
            let report = &answer.report;
            let theirs = report.status.name().to_owned();
            let owner = Owner::find(self.pool, self.stripe, report.intent.as_deref(), report.charge.as_deref()).await;
            let owner = match owner {
                Ok(Ok(owner)) => owner,
                Ok(Err(not_ours)) => return Ok(not_of_this_shop(Kind::Refund, id, theirs, not_ours)),
                Err(error) => return of_unknown_owner(Kind::Refund, id, ours.map(|known| known.order_id), error),
            };
            let seen = ours.as_ref().and_then(|known| known.seen);
            let entry = Entry { kind: Kind::Refund, stripe_id: id, order: owner.order, ours, theirs };
            let news = News::Refund(report, owner.payment());
            if let Some(found) = self.settle(entry, news, answer.request_id.as_deref(), seen).await? {
                return Ok(found);
            }
        }
        Ok(restless(Kind::Refund, id))
    }

    pub(super) async fn dispute(self, id: &str) -> Result<Compared, ReconcileError> {
        for _ in 0..TRIES {
            let ours = reconciliation::booked_dispute(self.pool, id).await?;
            let answer = match self.stripe.retrieve_dispute(id).await {
                Ok(answer) => answer,
                Err(e) => return untold(Kind::Dispute, id, ours.map(|known| known.order_id), e),
            };
            let report = &answer.report;
            let theirs = report.status.name().to_owned();
            let owner = Owner::find(self.pool, self.stripe, report.intent.as_deref(), report.charge.as_deref()).await;
            let owner = match owner {
                Ok(Ok(owner)) => owner,
                Ok(Err(not_ours)) => return Ok(not_of_this_shop(Kind::Dispute, id, theirs, not_ours)),
                Err(error) => return of_unknown_owner(Kind::Dispute, id, ours.map(|known| known.order_id), error),
            };
            let seen = ours.as_ref().and_then(|known| known.seen);
            let entry = Entry { kind: Kind::Dispute, stripe_id: id, order: owner.order, ours, theirs };
            let news = News::Dispute(report, owner.payment());
            if let Some(found) = self.settle(entry, news, answer.request_id.as_deref(), seen).await? {
                return Ok(found);
            }
        }
        Ok(restless(Kind::Dispute, id))
    }

    /// Books what Stripe says where the books differ; `None` where ours moved meanwhile.
    async fn settle(
        self,
        entry: Entry<'_>,
        news: News<'_>,
        stripe_request_id: Option<&str>,
        seen: Seen,
    ) -> Result<Option<Compared>, ReconcileError> {
        if entry.ours.as_ref().is_some_and(|ours| ours.state == entry.theirs) {
            return Ok(Some(Compared::Same));
        }
        let is_late = webhook::is_about_to_be_told(self.pool, entry.stripe_id).await?;
        let outcome = if self.dry_run {
            dry_run()
        } else {
            let source = Source { operation: "reconcile", stripe_request_id, seen };
            match order::apply(self.pool, None, entry.order, news, source, self.unfulfillable).await? {
                Applied::To(_) => Outcome::Healed,
                Applied::UnknownOrder => Outcome::Left(UNKNOWN_ORDER.into()),
                Applied::Stale => return Ok(None),
            }
        };
        if is_late && outcome == Outcome::Healed {
            return Ok(Some(Compared::Same)); // its event would have done the same in a moment
        }
        Ok(Some(Compared::Different(Difference {
            kind: entry.kind,
            stripe_object_id: entry.stripe_id.to_owned(),
            order_id: Some(entry.order),
            ours: entry.ours.map_or_else(|| "unknown".to_owned(), |ours| ours.state),
            theirs: entry.theirs,
            outcome,
        })))
    }
}

const UNKNOWN_ORDER: &str = "it names an order that we don't know";

fn unknown_order(kind: Kind, id: &str, theirs: String) -> Compared {
    left(kind, id, None, theirs, UNKNOWN_ORDER)
}

fn restless(kind: Kind, id: &str) -> Compared {
    left(kind, id, None, "changing".into(), "it changed each time that it was looked at: the next run will see it")
}

fn not_of_this_shop(kind: Kind, id: &str, theirs: String, why: NotOurs) -> Compared {
    match why {
        NotOurs::NamesNoOrder => Compared::Same,
        NotOurs::UnknownOrder => unknown_order(kind, id, theirs),
    }
}

/// See [`untold`]: it is of the payment that an object belongs to that Stripe does not tell.
fn of_unknown_owner(
    kind: Kind,
    id: &str,
    order: Option<OrderId>,
    error: OwnerError,
) -> Result<Compared, ReconcileError> {
    match error {
        OwnerError::Stripe { error, .. } => untold(kind, id, order, error),
        OwnerError::Database(error) => Err(error.into()),
    }
}

/// What Stripe does not tell of this one object, whenever it is asked: it has never heard of it (another account's, perhaps), or speaks
/// of it in a way that we don't understand. Any other failure ends the run.
fn untold(kind: Kind, id: &str, order: Option<OrderId>, error: StripeError) -> Result<Compared, ReconcileError> {
    let (theirs, why) = if error.is_code("resource_missing") {
        ("missing", "Stripe doesn't know it: is STRIPE_SECRET_KEY of the account that it was made in?")
    } else if matches!(error, StripeError::Unreadable) {
        (
            "unreadable",
            "what Stripe says of it can't be read by this version of Kassa: look at it in Stripe's dashboard",
        )
    } else {
        return Err(error.into());
    };
    Ok(left(kind, id, order, theirs.into(), why))
}

fn left(kind: Kind, id: &str, order_id: Option<OrderId>, theirs: String, why: &str) -> Compared {
    let outcome = Outcome::Left(why.to_owned());
    Compared::Different(Difference {
        kind,
        stripe_object_id: id.to_owned(),
        order_id,
        ours: "unknown".into(),
        theirs,
        outcome,
    })
}
