//! The life of an order: one total function from a status and an event to what follows.
//!
//! It knows nothing of rows and transactions. Each update in `common` is guarded by the status that was asked about here.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where an order stands. The names are those of the database and of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = OrderStatus)]
pub enum Status {
    /// Placed; stock is reserved, no intent is stored yet.
    Pending,
    /// The shopper can pay.
    AwaitingPayment,
    /// The shopper paid by a method that takes its time.
    Processing,
    /// A payment was declined; the shopper can try again until the order expires.
    PaymentFailed,
    /// Its intent is being canceled at Stripe.
    Canceling,
    /// Ended without payment; holds nothing.
    Canceled,
    /// Paid in full.
    Paid,
    /// Money came for an order that can't be completed by itself.
    PaymentReview,
    /// Sent to the shopper.
    Fulfilled,
    /// All that was received was given back.
    Refunded,
}

/// What can happen to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// Its intent exists at Stripe and is stored.
    IntentStored,
    /// Its payment is under way.
    Processing,
    /// Its payment was declined.
    Declined,
    /// Its payment succeeded, over its total.
    Succeeded,
    /// Its payment succeeded, over another amount or in another currency.
    AmountMismatch,
    /// The shopper or an operator wants it canceled.
    Cancel,
    /// Its time to be paid is over.
    Expire,
    /// Its intent is canceled at Stripe.
    IntentCanceled,
    /// Stripe refused this very order for good.
    Refused,
    /// An operator sent the goods.
    Fulfil,
    /// All that was received was given back.
    FullyRefunded,
    /// A refund that had succeeded came back: no longer all that was received was given back.
    RefundFailed,
    /// An operator takes the money as it is.
    Accept,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The order moves.
    To(Status),
    /// Reserve its lines again, all or none: then it is paid, else it goes to review.
    ReserveAgain,
    /// Booked in the log; the order stays where it is.
    Unchanged,
    /// Not possible in this status.
    Refused,
}

impl Status {
    /// Every status, in the order of the table.
    pub const ALL: [Self; 10] = [
        Self::Pending,
        Self::AwaitingPayment,
        Self::Processing,
        Self::PaymentFailed,
        Self::Canceling,
        Self::Canceled,
        Self::Paid,
        Self::PaymentReview,
        Self::Fulfilled,
        Self::Refunded,
    ];

    /// Its name in the database and the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::AwaitingPayment => "awaiting_payment",
            Self::Processing => "processing",
            Self::PaymentFailed => "payment_failed",
            Self::Canceling => "canceling",
            Self::Canceled => "canceled",
            Self::Paid => "paid",
            Self::PaymentReview => "payment_review",
            Self::Fulfilled => "fulfilled",
            Self::Refunded => "refunded",
        }
    }

    /// Whether the shopper may confirm a payment now.
    pub fn can_be_paid(self) -> bool {
        matches!(self, Self::AwaitingPayment | Self::PaymentFailed)
    }

    /// Whether its payment is still to come: it has not come yet, and nothing ended the order.
    pub fn awaits_payment(self) -> bool {
        matches!(self, Self::Pending | Self::AwaitingPayment | Self::Processing | Self::PaymentFailed)
    }

    /// What follows when `event` happens in this status.
    pub fn next(self, event: Event) -> Next {
        use Next::{Refused, ReserveAgain, To, Unchanged};
        match self {
            Self::Pending => match event {
                Event::IntentStored => To(Self::AwaitingPayment),
                Event::Processing => To(Self::Processing),
                Event::Declined => To(Self::PaymentFailed),
                Event::Succeeded => To(Self::Paid),
                Event::AmountMismatch => To(Self::PaymentReview),
                Event::Cancel | Event::Expire | Event::IntentCanceled | Event::Refused => To(Self::Canceled),
                Event::FullyRefunded | Event::RefundFailed => Unchanged,
                Event::Fulfil | Event::Accept => Refused,
            },
            Self::AwaitingPayment | Self::PaymentFailed => match event {
                Event::IntentStored | Event::FullyRefunded | Event::RefundFailed => Unchanged,
                Event::Processing => To(Self::Processing),
                Event::Declined if self == Self::PaymentFailed => Unchanged,
                Event::Declined => To(Self::PaymentFailed),
                Event::Succeeded => To(Self::Paid),
                Event::AmountMismatch => To(Self::PaymentReview),
                Event::Cancel | Event::Expire => To(Self::Canceling),
                Event::IntentCanceled | Event::Refused => To(Self::Canceled),
                Event::Fulfil | Event::Accept => Refused,
            },
            Self::Processing => match event {
                Event::IntentStored | Event::Processing | Event::FullyRefunded | Event::RefundFailed => Unchanged,
                Event::Declined => To(Self::PaymentFailed),
                Event::Succeeded => To(Self::Paid),
                Event::AmountMismatch => To(Self::PaymentReview),
                // Stripe may yet take the money: it is asked, and the order looked at again later.
                Event::Expire => Unchanged,
                Event::IntentCanceled | Event::Refused => To(Self::Canceled),
                Event::Cancel | Event::Fulfil | Event::Accept => Refused,
            },
            Self::Canceling => match event {
                Event::Succeeded => To(Self::Paid),
                Event::AmountMismatch => To(Self::PaymentReview),
                Event::IntentCanceled | Event::Refused => To(Self::Canceled),
                Event::IntentStored
                | Event::Processing
                | Event::Declined
                | Event::Cancel
                | Event::Expire
                | Event::FullyRefunded
                | Event::RefundFailed => Unchanged,
                Event::Fulfil | Event::Accept => Refused,
            },
            Self::Canceled => match event {
                Event::Succeeded => ReserveAgain,
                Event::AmountMismatch => To(Self::PaymentReview),
                // An intent that is stored now is canceled by whoever stores it.
                Event::IntentStored
                | Event::Processing
                | Event::Declined
                | Event::Cancel
                | Event::Expire
                | Event::IntentCanceled
                | Event::Refused
                | Event::FullyRefunded
                | Event::RefundFailed => Unchanged,
                Event::Fulfil | Event::Accept => Refused,
            },
            Self::Paid | Self::PaymentReview | Self::Fulfilled | Self::Refunded => match event {
                Event::IntentStored
                | Event::Processing
                | Event::Declined
                | Event::Succeeded
                | Event::AmountMismatch
                | Event::Expire
                | Event::IntentCanceled
                | Event::Refused => Unchanged,
                Event::FullyRefunded if self == Self::Refunded => Unchanged,
                Event::FullyRefunded => To(Self::Refunded),
                Event::RefundFailed if self == Self::Refunded => To(Self::PaymentReview),
                Event::RefundFailed => Unchanged,
                Event::Fulfil if self == Self::Paid => To(Self::Fulfilled),
                Event::Accept if self == Self::PaymentReview => To(Self::Paid),
                Event::Cancel | Event::Fulfil | Event::Accept => Refused,
            },
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(name: &str) -> Result<Self, UnknownStatus> {
        Self::ALL.into_iter().find(|status| status.name() == name).ok_or(UnknownStatus)
    }
}

/// Not the name of a status.
#[derive(Debug, thiserror::Error)]
#[error("is not the status of an order")]
pub struct UnknownStatus;

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: [Event; 13] = [
        Event::IntentStored,
        Event::Processing,
        Event::Declined,
        Event::Succeeded,
        Event::AmountMismatch,
        Event::Cancel,
        Event::Expire,
        Event::IntentCanceled,
        Event::Refused,
        Event::Fulfil,
        Event::FullyRefunded,
        Event::RefundFailed,
        Event::Accept,
    ];

    const DOCUMENT: &str = include_str!("../../../docs/architecture.md");

    #[test]
    fn each_pair_of_status_and_event_leads_where_the_table_of_the_documentation_says() {
        let rows: Vec<Vec<&str>> = DOCUMENT
            .lines()
            .skip_while(|line| !line.starts_with("| status |"))
            .take_while(|line| line.starts_with('|'))
            .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
            .collect();
        let [head, _ruler, rows @ ..] = rows.as_slice() else { panic!("there is a table") };
        let mut pairs = 0;
        for row in rows {
            let status: Status = row[0].parse().expect("a status");
            let cells = head
                .iter()
                .zip(row)
                .skip(1)
                .flat_map(|(events, cell)| events.split(", ").map(move |event| (event, *cell)));
            for ((name, cell), event) in cells.zip(EVENTS) {
                assert_eq!(name, words(event));
                let expected = match cell.split(" (").next() {
                    Some("=") => Next::Unchanged,
                    Some("✗") => Next::Refused,
                    Some("reserve again: paid, else payment_review") => Next::ReserveAgain,
                    status => Next::To(status.expect("a cell").parse().expect("a status")),
                };
                assert_eq!(status.next(event), expected, "{status} × {event:?}");
                pairs += 1;
            }
        }
        assert_eq!(pairs, Status::ALL.len() * EVENTS.len());
    }

    /// `IntentStored` as the documentation writes it: `intent stored`.
    fn words(event: Event) -> String {
        let name = format!("{event:?}");
        let spaced = name.chars().flat_map(|c| c.is_uppercase().then_some(' ').into_iter().chain(c.to_lowercase()));
        spaced.collect::<String>().trim_start().to_owned()
    }

    #[test]
    fn the_diagram_of_the_documentation_has_these_moves_and_no_others() {
        let (_, diagram) = DOCUMENT.split_once("stateDiagram-v2").expect("there is a diagram");
        let (diagram, _) = diagram.split_once("```").expect("it ends");
        let arrows = diagram.lines().filter_map(|line| line.split(':').next()?.split_once("-->"));
        let mut drawn: Vec<_> = arrows
            .filter_map(|(from, to)| Some((from.trim().parse::<Status>().ok()?, to.trim().parse::<Status>().ok()?)))
            .map(|(from, to)| (from.name(), to.name()))
            .collect();
        let mut moves = Vec::new();
        for (status, event) in Status::ALL.into_iter().flat_map(|status| EVENTS.map(|event| (status, event))) {
            match status.next(event) {
                Next::To(next) => moves.push((status.name(), next.name())),
                Next::ReserveAgain => {
                    moves.extend([Status::Paid, Status::PaymentReview].map(|next| (status.name(), next.name())));
                }
                Next::Unchanged | Next::Refused => {}
            }
        }
        drawn.sort_unstable();
        moves.sort_unstable();
        moves.dedup();
        assert_eq!(drawn, moves);
    }

    #[test]
    fn a_final_status_is_left_only_by_a_refund_or_an_operator() {
        for status in [Status::Paid, Status::Fulfilled, Status::Refunded, Status::PaymentReview] {
            for event in EVENTS {
                if let Next::To(next) = status.next(event) {
                    assert!(
                        matches!(event, Event::Fulfil | Event::FullyRefunded | Event::RefundFailed | Event::Accept),
                        "{status} → {next}"
                    );
                }
            }
        }
    }
}
