//! Stripe's test payment methods: the name that a client confirms with, what it is, and what comes of it. The names are
//! Stripe's own (docs.stripe.com/testing), so that what works here works in Stripe's test mode.

use super::errors::ApiError;

/// What happens when a payment method is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The charge succeeds.
    Succeeds,
    /// The bank says no at once.
    Declines(Decline),
    /// The shopper has to authenticate first; then this follows.
    Authenticates(&'static Outcome),
    /// The intent is processing until it settles: well, or with this failure, or never by itself.
    Processes(Settlement),
    /// The charge succeeds and is disputed at once.
    Disputed(&'static Dispute),
    /// The charge succeeds; its refunds stay pending for a while and then succeed.
    RefundsPend,
    /// The charge succeeds; its refunds succeed and then fail.
    RefundsFail,
}

/// How a debit ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settlement {
    Succeeds,
    Fails(Decline),
    /// Only a control call ends it.
    Waits,
}

/// A refusal: Stripe's `code`, `decline_code` and message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decline {
    pub(crate) code: &'static str,
    pub(crate) decline_code: &'static str,
    pub(crate) message: &'static str,
}

/// A dispute that opens by itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Dispute {
    pub(crate) reason: &'static str,
    pub(crate) inquiry: bool,
}

/// What the payment method is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instrument {
    Card { brand: &'static str, last4: &'static str, funding: &'static str },
    UsBankAccount { last4: &'static str },
    SepaDebit { last4: &'static str },
}

impl Instrument {
    /// Stripe's `type` of the payment method.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Card { .. } => "card",
            Self::UsBankAccount { .. } => "us_bank_account",
            Self::SepaDebit { .. } => "sepa_debit",
        }
    }
}

/// A test payment method.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TestMethod {
    pub(crate) name: &'static str,
    pub(crate) instrument: Instrument,
    pub(crate) outcome: Outcome,
}

const fn declined(decline_code: &'static str) -> Decline {
    Decline { code: "card_declined", decline_code, message: "Your card was declined." }
}

const GENERIC: Decline = declined("generic_decline");
const LOST: Decline = declined("lost_card");
const STOLEN: Decline = declined("stolen_card");
const FRAUDULENT: Decline = declined("fraudulent");
const INSUFFICIENT: Decline =
    Decline { message: "Your card has insufficient funds.", ..declined("insufficient_funds") };
const VELOCITY: Decline = Decline {
    message: "Your card was declined for making repeated attempts too frequently or exceeding its amount limit.",
    ..declined("card_velocity_exceeded")
};
const EXPIRED: Decline =
    Decline { code: "expired_card", decline_code: "expired_card", message: "Your card has expired." };
const INCORRECT_CVC: Decline = Decline {
    code: "incorrect_cvc",
    decline_code: "incorrect_cvc",
    message: "Your card's security code is incorrect.",
};
const PROCESSING_ERROR: Decline = Decline {
    code: "processing_error",
    decline_code: "processing_error",
    message: "An error occurred while processing your card. Try again in a little bit.",
};
/// Off session nobody is there to authenticate.
pub(crate) const AUTHENTICATION_REQUIRED: Decline = Decline {
    code: "authentication_required",
    decline_code: "authentication_required",
    message: "Your card was declined. This transaction requires authentication.",
};

/// How a debit fails when a control call says so.
pub(crate) const ACCOUNT_CLOSED: Decline = Decline {
    code: "account_closed",
    decline_code: "account_closed",
    message: "The customer's bank account has been closed.",
};

const fn bank(code: &'static str, decline_code: &'static str, message: &'static str) -> Outcome {
    Processes(Settlement::Fails(Decline { code, decline_code, message }))
}

const FRAUD_DISPUTE: Dispute = Dispute { reason: "fraudulent", inquiry: false };
const NOT_RECEIVED_DISPUTE: Dispute = Dispute { reason: "product_not_received", inquiry: false };
const INQUIRY: Dispute = Dispute { reason: "general", inquiry: true };

const fn visa(name: &'static str, last4: &'static str, outcome: Outcome) -> TestMethod {
    TestMethod { name, instrument: Instrument::Card { brand: "visa", last4, funding: "credit" }, outcome }
}

const fn card(name: &'static str, brand: &'static str, last4: &'static str, funding: &'static str) -> TestMethod {
    TestMethod { name, instrument: Instrument::Card { brand, last4, funding }, outcome: Succeeds }
}

const fn us(name: &'static str, last4: &'static str, outcome: Outcome) -> TestMethod {
    TestMethod { name, instrument: Instrument::UsBankAccount { last4 }, outcome }
}

const fn sepa(name: &'static str, last4: &'static str, outcome: Outcome) -> TestMethod {
    TestMethod { name, instrument: Instrument::SepaDebit { last4 }, outcome }
}

use Outcome::{Authenticates, Declines, Disputed, Processes, RefundsFail, RefundsPend, Succeeds};

/// Every test payment method that the simulator knows.
pub(crate) const METHODS: &[TestMethod] = &[
    card("pm_card_visa", "visa", "4242", "credit"),
    card("pm_card_visa_debit", "visa", "5556", "debit"),
    card("pm_card_mastercard", "mastercard", "4444", "credit"),
    card("pm_card_mastercard_debit", "mastercard", "8210", "debit"),
    card("pm_card_mastercard_prepaid", "mastercard", "5100", "prepaid"),
    card("pm_card_amex", "amex", "8431", "credit"),
    card("pm_card_discover", "discover", "9424", "credit"),
    card("pm_card_diners", "diners", "0004", "credit"),
    card("pm_card_jcb", "jcb", "0505", "credit"),
    card("pm_card_unionpay", "unionpay", "0005", "credit"),
    visa("pm_card_bypassPending", "0077", Succeeds),
    visa("pm_card_chargeDeclined", "0002", Declines(GENERIC)),
    visa("pm_card_visa_chargeDeclined", "0002", Declines(GENERIC)),
    visa("pm_card_chargeDeclinedInsufficientFunds", "9995", Declines(INSUFFICIENT)),
    visa("pm_card_visa_chargeDeclinedInsufficientFunds", "9995", Declines(INSUFFICIENT)),
    visa("pm_card_chargeDeclinedLostCard", "9987", Declines(LOST)),
    visa("pm_card_visa_chargeDeclinedLostCard", "9987", Declines(LOST)),
    visa("pm_card_chargeDeclinedStolenCard", "9979", Declines(STOLEN)),
    visa("pm_card_visa_chargeDeclinedStolenCard", "9979", Declines(STOLEN)),
    visa("pm_card_chargeDeclinedExpiredCard", "0069", Declines(EXPIRED)),
    visa("pm_card_chargeDeclinedIncorrectCvc", "0127", Declines(INCORRECT_CVC)),
    visa("pm_card_chargeDeclinedProcessingError", "0119", Declines(PROCESSING_ERROR)),
    visa("pm_card_chargeDeclinedFraudulent", "0019", Declines(FRAUDULENT)),
    visa("pm_card_radarBlock", "0019", Declines(FRAUDULENT)),
    visa("pm_card_visa_chargeDeclinedVelocityLimitExceeded", "6975", Declines(VELOCITY)),
    visa("pm_card_chargeCustomerFail", "0341", Declines(GENERIC)),
    visa("pm_card_threeDSecure2Required", "3220", Authenticates(&Succeeds)),
    visa("pm_card_threeDSecureRequired", "3063", Authenticates(&Succeeds)),
    visa("pm_card_authenticationRequired", "3184", Authenticates(&Succeeds)),
    visa("pm_card_threeDSecureRequiredChargeDeclined", "8008", Authenticates(&Declines(GENERIC))),
    visa(
        "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds",
        "0178",
        Authenticates(&Declines(INSUFFICIENT)),
    ),
    visa("pm_card_threeDSecureOptional", "3055", Succeeds),
    visa("pm_card_createDispute", "0259", Disputed(&FRAUD_DISPUTE)),
    visa("pm_card_createDisputeProductNotReceived", "2685", Disputed(&NOT_RECEIVED_DISPUTE)),
    visa("pm_card_createDisputeInquiry", "1976", Disputed(&INQUIRY)),
    visa("pm_card_pendingRefund", "7726", RefundsPend),
    visa("pm_card_refundFail", "5126", RefundsFail),
    us("pm_usBankAccount_success", "6789", Processes(Settlement::Succeeds)),
    us("pm_usBankAccount_processing", "6789", Processes(Settlement::Waits)),
    us("pm_usBankAccount_accountClosed", "1113", Processes(Settlement::Fails(ACCOUNT_CLOSED))),
    us(
        "pm_usBankAccount_noAccount",
        "1116",
        bank("no_account", "no_account", "The customer's bank account could not be located."),
    ),
    us(
        "pm_usBankAccount_insufficientFunds",
        "2227",
        bank(
            "insufficient_funds",
            "insufficient_funds",
            "The customer's account has insufficient funds to cover this payment.",
        ),
    ),
    us(
        "pm_usBankAccount_debitNotAuthorized",
        "3335",
        bank(
            "debit_not_authorized",
            "debit_not_authorized",
            "The customer has notified their bank that this payment was unauthorized.",
        ),
    ),
    sepa("pm_sepaDebit_success_at", "3201", Processes(Settlement::Succeeds)),
    sepa(
        "pm_sepaDebit_failed_at",
        "3202",
        bank("payment_method_provider_decline", "generic_decline", "The payment failed."),
    ),
];

/// The test payment method of this name.
pub(crate) fn find(name: &str) -> Option<&'static TestMethod> {
    METHODS.iter().find(|method| method.name == name)
}

impl Decline {
    /// The error that the client gets.
    pub(crate) fn error(self) -> ApiError {
        ApiError::card(self.code, self.decline_code, self.message)
    }
}
