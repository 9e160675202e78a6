//! Which parameters each call has at Stripe (API reference, version 2026-09-30). A genuine one is accepted even where the
//! simulator has no use for it; any other is refused, as Stripe refuses it.

use super::{
    errors::ApiError,
    form::{Form, Value},
};

/// What a parameter may hold.
enum Kind {
    /// Text, number or boolean.
    Plain,
    /// A list of plain values.
    List,
    /// An object with these parameters.
    Fields(&'static [(&'static str, Kind)]),
    /// An object whose members are the caller's own, or are not looked at here.
    Free,
}

/// The parameters of one call.
pub(crate) struct Params(&'static [(&'static str, Kind)]);

impl Params {
    /// # Errors
    /// 400 `parameter_unknown`, naming every parameter that the call doesn't have.
    pub(crate) fn check(&self, form: &Form) -> Result<(), ApiError> {
        let mut unknown = Vec::new();
        for (name, value) in &form.values {
            check(name, name, value, self.0, &mut unknown);
        }
        let Some(first) = unknown.first() else { return Ok(()) };
        let noun = if unknown.len() == 1 { "parameter" } else { "parameters" };
        let message = format!("Received unknown {noun}: {}", unknown.join(", "));
        Err(ApiError::parameter("parameter_unknown", first.clone(), message))
    }
}

fn check(name: &str, path: &str, value: &Value, known: &[(&str, Kind)], unknown: &mut Vec<String>) {
    match (known.iter().find(|(candidate, _)| *candidate == name), value) {
        (None, _) => unknown.push(path.to_owned()),
        (Some((_, Fields(fields))), Value::Map(members)) => {
            for (member, value) in members {
                check(member, &format!("{path}[{member}]"), value, fields, unknown);
            }
        }
        // An object where a plain value belongs is told of when the value is read.
        (Some((_, Plain | List | Fields(_) | Free)), _) => {}
    }
}

use Kind::{Fields, Free, List, Plain};

const ADDRESS: Kind = Fields(&[
    ("city", Plain),
    ("country", Plain),
    ("line1", Plain),
    ("line2", Plain),
    ("postal_code", Plain),
    ("state", Plain),
]);
const SHIPPING: Kind =
    Fields(&[("address", ADDRESS), ("carrier", Plain), ("name", Plain), ("phone", Plain), ("tracking_number", Plain)]);
const AUTOMATIC: Kind = Fields(&[("allow_redirects", Plain), ("enabled", Plain)]);
/// `created=…` or `created[gte]=…`.
const RANGE: Kind = Fields(&[("gt", Plain), ("gte", Plain), ("lt", Plain), ("lte", Plain)]);

pub(crate) const CREATE_INTENT: Params = Params(&[
    ("allowed_payment_method_types", List),
    ("amount", Plain),
    ("amount_details", Free),
    ("application_fee_amount", Plain),
    ("automatic_payment_methods", AUTOMATIC),
    ("capture_method", Plain),
    ("confirm", Plain),
    ("confirmation_method", Plain),
    ("confirmation_token", Plain),
    ("currency", Plain),
    ("customer", Plain),
    ("customer_account", Plain),
    ("description", Plain),
    ("error_on_requires_action", Plain),
    ("excluded_payment_method_types", List),
    ("expand", List),
    ("hooks", Free),
    ("mandate", Plain),
    ("mandate_data", Free),
    ("metadata", Free),
    ("off_session", Plain),
    ("on_behalf_of", Plain),
    ("payment_details", Free),
    ("payment_method", Plain),
    ("payment_method_configuration", Plain),
    ("payment_method_data", Free),
    ("payment_method_options", Free),
    ("payment_method_types", List),
    ("radar_options", Free),
    ("receipt_email", Plain),
    ("return_url", Plain),
    ("setup_future_usage", Plain),
    ("shipping", SHIPPING),
    ("statement_descriptor", Plain),
    ("statement_descriptor_suffix", Plain),
    ("transfer_data", Free),
    ("transfer_group", Plain),
    ("use_stripe_sdk", Plain),
]);
pub(crate) const CONFIRM_INTENT: Params = Params(&[
    ("allowed_payment_method_types", List),
    ("amount_details", Free),
    ("amount_to_confirm", Plain),
    ("capture_method", Plain),
    ("client_secret", Plain),
    ("confirmation_token", Plain),
    ("error_on_requires_action", Plain),
    ("excluded_payment_method_types", List),
    ("expand", List),
    ("expected_payment_method_type", Plain),
    ("hooks", Free),
    ("mandate", Plain),
    ("mandate_data", Free),
    ("off_session", Plain),
    ("payment_details", Free),
    ("payment_method", Plain),
    ("payment_method_data", Free),
    ("payment_method_options", Free),
    ("payment_method_types", List),
    ("radar_options", Free),
    ("receipt_email", Plain),
    ("return_url", Plain),
    ("setup_future_usage", Plain),
    ("shipping", SHIPPING),
    ("use_stripe_sdk", Plain),
]);
pub(crate) const CANCEL_INTENT: Params = Params(&[("cancellation_reason", Plain), ("expand", List)]);
pub(crate) const RETRIEVE_INTENT: Params = Params(&[("client_secret", Plain), ("expand", List)]);
pub(crate) const LIST_INTENTS: Params = Params(&[
    ("created", RANGE),
    ("customer", Plain),
    ("customer_account", Plain),
    ("ending_before", Plain),
    ("expand", List),
    ("limit", Plain),
    ("starting_after", Plain),
]);
pub(crate) const CREATE_REFUND: Params = Params(&[
    ("amount", Plain),
    ("charge", Plain),
    ("currency", Plain),
    ("customer", Plain),
    ("expand", List),
    ("instructions_email", Plain),
    ("metadata", Free),
    ("origin", Plain),
    ("payment_intent", Plain),
    ("reason", Plain),
    ("refund_application_fee", Plain),
    ("reverse_transfer", Plain),
]);
pub(crate) const LIST_REFUNDS: Params = Params(&[
    ("charge", Plain),
    ("created", RANGE),
    ("ending_before", Plain),
    ("expand", List),
    ("limit", Plain),
    ("payment_intent", Plain),
    ("starting_after", Plain),
]);
pub(crate) const LIST_CHARGES: Params = Params(&[
    ("created", RANGE),
    ("customer", Plain),
    ("ending_before", Plain),
    ("expand", List),
    ("limit", Plain),
    ("payment_intent", Plain),
    ("starting_after", Plain),
    ("transfer_group", Plain),
]);
pub(crate) const LIST_DISPUTES: Params = Params(&[
    ("charge", Plain),
    ("created", RANGE),
    ("ending_before", Plain),
    ("expand", List),
    ("limit", Plain),
    ("payment_intent", Plain),
    ("starting_after", Plain),
]);
pub(crate) const LIST_EVENTS: Params = Params(&[
    ("created", RANGE),
    ("delivery_success", Plain),
    ("ending_before", Plain),
    ("expand", List),
    ("limit", Plain),
    ("starting_after", Plain),
    ("type", Plain),
    ("types", List),
]);
pub(crate) const LIST_ENDPOINTS: Params =
    Params(&[("ending_before", Plain), ("expand", List), ("limit", Plain), ("starting_after", Plain)]);
/// Retrieving a refund, a charge, a dispute, an event, an endpoint or the account.
pub(crate) const RETRIEVE: Params = Params(&[("expand", List)]);
