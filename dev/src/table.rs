//! What people need to know of the running shop.

use crate::{
    home::Home,
    secrets::{ADMIN_EMAIL, SHOPPER_EMAIL},
    state::State,
};

/// Addresses, logins, and what to do next.
pub(crate) fn of(state: &State, home: &Home, detached: bool) -> String {
    let access = &state.access;
    let stripe = match &access.stripe_control {
        Some(control) => format!("{}  (a simulator; its controls: {control})", access.stripe_api_base),
        None => format!("{}  (Stripe's test mode)", access.stripe_api_base),
    };
    let mail = match &access.mail_inbox {
        Some(inbox) => format!("{inbox}  (all mail lands here, none is delivered)"),
        None => "goes to your MAIL_URL".to_owned(),
    };
    let alarms = if detached { "of all in dev.log" } else { "show up here as well" };
    let rows = [
        ("API", format!("{}  (try /products)", access.api)),
        ("Metrics", format!("{}/metrics (API), {}/metrics (worker)", access.api_metrics, access.worker_metrics)),
        ("Stripe", stripe),
        ("Mail", mail),
        ("Admin", format!("{ADMIN_EMAIL}  {}", access.admin_password)),
        ("Shopper", format!("{SHOPPER_EMAIL}  {}", access.shopper_password)),
        ("Logs", format!("{}  (warnings and errors {alarms})", home.shown(&home.logs()))),
    ];
    let mut text: String = rows.iter().map(|(name, value)| format!("  {name:<9}{value}\n")).collect();
    if access.stripe_control.is_none() {
        let webhooks = format!("{}/webhooks/stripe", access.api);
        text.push_str(&format!("\n  Stripe's webhooks come while this runs:  stripe listen --forward-to {webhooks}\n"));
    }
    text.push_str(
        "\n  cargo dev buy        buys something (--decline, --3ds and --abandon show the other ways)\n  \
         cargo dev env        all of this for a shell: eval \"$(cargo dev env)\"\n  \
         cargo dev stop       stops it, as Ctrl-C does; the data stays until cargo dev reset",
    );
    text
}
