//! The way of mails.

use common::config::{Inspection, MailTransport};
use worker::smtp::Mailer;

use super::finding::Finding;

const SERVER: &str = "mail server";
const TEST: &str = "test mail";

/// Connects and logs in; sends something only to somebody who is named.
pub(super) async fn check(inspection: &Inspection, to: Option<&str>) -> Vec<Finding> {
    let Some((transport, from, timeout)) = &inspection.mail else {
        return vec![Finding::skipped(SERVER, "MAIL_URL, MAIL_FROM or SMTP_TIMEOUT_SECONDS can't be used")];
    };
    if let MailTransport::Folder(folder) = transport {
        let finding = format!("mails become files in {}: nobody gets them", folder.display());
        return vec![Finding::warning(SERVER, finding, "set MAIL_URL to a server: smtps://user:password@host")];
    }
    let mailer = match Mailer::open(transport, from, *timeout) {
        Ok(mailer) => mailer,
        Err(problems) => {
            let remedy = "write it as .env.example shows";
            return problems.0.iter().map(|problem| Finding::wrong(SERVER, problem, remedy)).collect();
        }
    };
    if let Err(error) = mailer.probe().await {
        let remedy = "see that MAIL_URL has the host, port, user and password, and that this machine may reach it";
        return vec![Finding::wrong(SERVER, error.to_string(), remedy)];
    }
    let server = mailer.server().unwrap_or_default();
    let finding = format!("{server} takes connections, with TLS and login where MAIL_URL asks for them");
    let mut findings = vec![Finding::well(SERVER, finding)];
    if let Some(to) = to {
        let words = "This is a test mail of your shop: kassa doctor sent it.\n";
        findings.push(match mailer.send_words(to, "A test mail of your shop", words).await {
            Ok(()) => Finding::well(TEST, format!("handed over for {to}: see that it arrives, and not as spam")),
            Err(error) => {
                let remedy = "see that the server may send for MAIL_FROM, and that the address is right";
                Finding::wrong(TEST, error.to_string(), remedy)
            }
        });
    }
    findings
}
