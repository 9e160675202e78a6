//! The kinds of faults. Each has a name for people, and times in which it is over.

use std::ops::RangeInclusive;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    ApiKilled,
    WorkerKilled,
    WorkerStopped,
    PostgresCrashed,
    DatabaseCut,
    DatabaseDelayed,
    DatabaseSwallowed,
    DatabaseBlackholed,
    StripeCut,
    StripeDelayed,
    StripeSwallowed,
    StripeBlackholed,
    ApiCut,
    ApiSwallowed,
    WebhooksRepeated,
    WebhooksReordered,
    WebhooksDropped,
    WebhooksDelayed,
    Stripe500,
    Stripe500Saved,
    Stripe429,
    StripeHangs,
    StripeReset,
    StripeReplyLost,
    StripeHtml,
    StripeTruncated,
    MailSlow,
    MailRefused,
    MailHangs,
    MailCut,
    MailAnswerLost,
}

impl Kind {
    pub(super) const ALL: [Self; 31] = [
        Self::ApiKilled,
        Self::WorkerKilled,
        Self::WorkerStopped,
        Self::PostgresCrashed,
        Self::DatabaseCut,
        Self::DatabaseDelayed,
        Self::DatabaseSwallowed,
        Self::DatabaseBlackholed,
        Self::StripeCut,
        Self::StripeDelayed,
        Self::StripeSwallowed,
        Self::StripeBlackholed,
        Self::ApiCut,
        Self::ApiSwallowed,
        Self::WebhooksRepeated,
        Self::WebhooksReordered,
        Self::WebhooksDropped,
        Self::WebhooksDelayed,
        Self::Stripe500,
        Self::Stripe500Saved,
        Self::Stripe429,
        Self::StripeHangs,
        Self::StripeReset,
        Self::StripeReplyLost,
        Self::StripeHtml,
        Self::StripeTruncated,
        Self::MailSlow,
        Self::MailRefused,
        Self::MailHangs,
        Self::MailCut,
        Self::MailAnswerLost,
    ];

    /// As the report calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ApiKilled => "API killed",
            Self::WorkerKilled => "worker killed",
            Self::WorkerStopped => "worker stopped past its lease",
            Self::PostgresCrashed => "Postgres restarted, immediate",
            Self::DatabaseCut => "Postgres cut off",
            Self::DatabaseDelayed => "Postgres slow",
            Self::DatabaseSwallowed => "Postgres' answers lost",
            Self::DatabaseBlackholed => "Postgres silent",
            Self::StripeCut => "Stripe cut off",
            Self::StripeDelayed => "Stripe slow",
            Self::StripeSwallowed => "Stripe's answers lost",
            Self::StripeBlackholed => "Stripe silent",
            Self::ApiCut => "API cut off",
            Self::ApiSwallowed => "API's answers lost",
            Self::WebhooksRepeated => "webhooks repeated",
            Self::WebhooksReordered => "webhooks reordered",
            Self::WebhooksDropped => "webhooks dropped",
            Self::WebhooksDelayed => "webhooks delayed",
            Self::Stripe500 => "Stripe 500",
            Self::Stripe500Saved => "Stripe 500, saved",
            Self::Stripe429 => "Stripe 429, Retry-After",
            Self::StripeHangs => "Stripe call without end",
            Self::StripeReset => "Stripe connection reset",
            Self::StripeReplyLost => "Stripe success, reply lost",
            Self::StripeHtml => "Stripe 502 in HTML",
            Self::StripeTruncated => "Stripe JSON truncated",
            Self::MailSlow => "SMTP slow",
            Self::MailRefused => "SMTP 451",
            Self::MailHangs => "SMTP silent",
            Self::MailCut => "SMTP connection cut",
            Self::MailAnswerLost => "SMTP mail taken, answer lost",
        }
    }

    /// How long it lasts, in milliseconds; of a kill, how long until the restart; of Stripe and mail, how long it waits for
    /// somebody to strike at most, or how long it keeps them waiting.
    pub(super) fn lasts(self) -> RangeInclusive<u64> {
        match self {
            Self::ApiKilled | Self::WorkerKilled => 0..=1_500,
            Self::WorkerStopped => 5_000..=8_000,
            Self::PostgresCrashed => 0..=0,
            Self::DatabaseCut | Self::StripeCut | Self::ApiCut => 300..=2_500,
            Self::DatabaseSwallowed | Self::ApiSwallowed | Self::StripeSwallowed => 500..=2_500,
            Self::DatabaseBlackholed | Self::StripeBlackholed => 1_000..=5_000,
            Self::DatabaseDelayed | Self::StripeDelayed => 2_000..=5_000,
            Self::WebhooksRepeated => 0..=0,
            Self::WebhooksReordered | Self::WebhooksDropped => 1_000..=3_000,
            Self::WebhooksDelayed => 2_000..=4_000,
            Self::StripeHangs | Self::MailHangs => 3_500..=5_000,
            Self::Stripe500
            | Self::Stripe500Saved
            | Self::Stripe429
            | Self::StripeReset
            | Self::StripeReplyLost
            | Self::StripeHtml
            | Self::StripeTruncated
            | Self::MailSlow
            | Self::MailRefused
            | Self::MailCut
            | Self::MailAnswerLost => 8_000..=8_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_kind_has_a_name_of_its_own() {
        let names: BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), Kind::ALL.len());
        assert_eq!(BTreeSet::from(Kind::ALL).len(), Kind::ALL.len());
    }
}
