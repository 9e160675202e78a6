//! `email.send`: one mail of the outbox leaves the shop.

use std::sync::Arc;

use common::{jobs::SendEmail, mail};

use super::Context;
use crate::{
    metrics::EMAILS,
    runtime::{Job, JobError},
    smtp::SendError,
};

/// Renders and sends the mail. A crash between the server's acceptance and our record repeats it, with the same Message-ID.
///
/// # Errors
/// For another try, or never again where the server refuses the mail for good.
pub async fn run(job: Job<SendEmail>, context: Arc<Context>) -> Result<(), JobError> {
    let Some(mut outgoing) = mail::load(&context.pool, job.payload.email_id).await? else {
        return Ok(());
    };
    let kind = outgoing.kind.name();
    if outgoing.is_moot() {
        let Some(now) = mail::withdraw(&context.pool, &job.lease, &outgoing).await? else {
            count(kind, "withdrawn");
            return Ok(());
        };
        outgoing = now;
    }
    let rendered = mail::render(&outgoing, &context.sender).map_err(JobError::give_up)?;
    match context.mailer.send(&outgoing, &rendered).await {
        Ok(()) => {
            count(kind, "sent");
            let message_id = context.mailer.message_id(&outgoing);
            Ok(mail::sent(&context.pool, &job.lease, &outgoing, &rendered.subject, &message_id).await?)
        }
        Err(e) => {
            let (outcome, fate): (_, fn(SendError) -> JobError) = match e {
                SendError::Permanent(_) => ("refused", |e| JobError::give_up(e)),
                SendError::Transient(_) => ("delayed", |e| JobError::retry(e)),
            };
            count(kind, outcome);
            mail::attempted(&context.pool, outgoing.id, &e.to_string()).await?;
            Err(fate(e))
        }
    }
}

fn count(kind: &'static str, outcome: &'static str) {
    metrics::counter!(EMAILS, "kind" => kind, "outcome" => outcome).increment(1);
}
