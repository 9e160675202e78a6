//! The mail that a purchase ends with.

use anyhow::{Result, bail};

use super::text;
use crate::{
    client::Client,
    progress::{print, seconds},
    state::Access,
};

/// Waits for the shopper's first mail and shows it.
pub(super) async fn show(access: &Access, email: &str) -> Result<()> {
    let Some(inbox) = &access.mail_inbox else {
        print("         mail goes to your MAIL_URL, and can't be shown here");
        return Ok(());
    };
    let reply = Client::new(inbox).get(&format!("/messages?to={email}&wait=15")).await?.expect(&[200])?;
    let Some(mail) = reply.body.get(0) else { bail!("no mail for {email} has come within 15 s") };
    print(format_args!("  ✓ mail {:>6}  to {email}, from {}\n", seconds(reply.took), text(&mail["from"])));
    print(format_args!("    {}\n", text(&mail["subject"])));
    for line in text(&mail["text"]).lines() {
        print(format_args!("    {line}"));
    }
    print(format_args!("\n    {inbox}/read/{}", text(&mail["id"])));
    Ok(())
}
