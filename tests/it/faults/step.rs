//! The steps of the shop's jobs at which a fault can strike: how each is reached, held there, let go, and where all ends.

use std::{collections::BTreeSet, fmt};

use dev::{
    mail::Fault as MailFault,
    proxy::{Direction, Proxy, Way},
};
use image::ImageFormat;
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::harness::{Client, Shop, eventually, file, payment, text};

/// A job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    CreateIntent,
    CancelIntent,
    Refund,
    ProcessWebhook,
    Decrement,
    Expire,
    SendEmail,
    ProcessImage,
}

/// A moment in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// Before what it does outside has its effect, or, where it does nothing outside, before it gets at its rows.
    Before,
    /// The effect is there, and nobody has told the job of it.
    After,
    /// All is written but committed.
    Uncommitted,
    /// All is committed, and nobody has told the job of it.
    Unacknowledged,
}

impl Work {
    pub(super) const ALL: [Self; 8] = [
        Self::CreateIntent,
        Self::CancelIntent,
        Self::Refund,
        Self::ProcessWebhook,
        Self::Decrement,
        Self::Expire,
        Self::SendEmail,
        Self::ProcessImage,
    ];

    /// The moments that it has.
    pub(super) const fn moments(self) -> &'static [Moment] {
        match self {
            Self::CreateIntent | Self::CancelIntent | Self::Refund | Self::SendEmail => {
                &[Moment::Before, Moment::After, Moment::Uncommitted, Moment::Unacknowledged]
            }
            Self::ProcessWebhook | Self::Decrement | Self::Expire | Self::ProcessImage => {
                &[Moment::Before, Moment::Uncommitted, Moment::Unacknowledged]
            }
        }
    }

    const fn queue(self) -> &'static str {
        match self {
            Self::CreateIntent => "payment.create_intent",
            Self::CancelIntent => "payment.cancel_intent",
            Self::Refund => "payment.refund",
            Self::ProcessWebhook => "webhook.process",
            Self::Decrement => "inventory.decrement",
            Self::Expire => "order.expire",
            Self::SendEmail => "email.send",
            Self::ProcessImage => "image.process",
        }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.queue())
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Before => "before its effect",
            Self::After => "effect done, reply lost",
            Self::Uncommitted => "before its commit",
            Self::Unacknowledged => "committed, reply lost",
        })
    }
}

/// A shop in which one job is held at one moment.
pub(super) struct Scene {
    pub(super) shop: Shop,
    /// The worker's way to the database.
    pub(super) proxy: Proxy,
    work: Work,
    product: Value,
    shopper: Client,
    admin: Client,
    order: Value,
    hold: Option<Hold>,
}

/// What holds it.
enum Hold {
    /// A fault of the Stripe simulator's.
    Stripe(String),
    /// The mail catcher.
    Mail,
    /// A row that the test has locked.
    Row(PgConnection),
    /// A trigger of the test's, which has each commit of its effect wait for a lock that the test has.
    Commit(PgConnection),
}

/// Commits that are held.
const COMMITS: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'";

const SETTINGS: &[(&str, &str)] = &[("JOB_LEASE_SECONDS", "1"), ("STRIPE_TIMEOUT_SECONDS", "20")];

impl Scene {
    /// A shop whose job of this kind has come to this moment.
    pub(super) async fn held(work: Work, moment: Moment) -> Self {
        let (shop, proxy) = Shop::with_its_worker_behind_a_proxy(SETTINGS).await;
        let product = shop.product(500, 10).await;
        let (shopper, admin) = (shop.shopper().await, shop.admin().await);
        let mut scene = Self { shop, proxy, work, product, shopper, admin, order: Value::Null, hold: None };
        scene.prepare().await;
        match moment {
            Moment::Before | Moment::After => scene.hold_at(moment).await,
            Moment::Uncommitted | Moment::Unacknowledged => scene.hold_the_commit().await,
        }
        scene.begin().await;
        scene.wait_until_it_is_there(moment).await;
        if moment == Moment::Unacknowledged {
            scene.commit_unheard().await;
        }
        scene
    }

    /// All that comes before the job.
    async fn prepare(&mut self) {
        match self.work {
            Work::CreateIntent => self.shopper.put_in_cart(&self.product, 1).await.expect(201),
            Work::CancelIntent | Work::ProcessWebhook | Work::Decrement | Work::Expire | Work::SendEmail => {
                self.order = self.shop.order(&self.shopper, &self.product, 1).await;
                Value::Null
            }
            Work::ProcessImage => Value::Null,
            Work::Refund => {
                self.order = self.shop.paid_order(&self.shopper, &self.product, 1).await;
                Value::Null
            }
        };
        self.shop.settle().await;
    }

    /// What will hold it.
    async fn hold_at(&mut self, moment: Moment) {
        let path = match self.work {
            Work::CreateIntent => "/v1/payment_intents",
            Work::CancelIntent => "/v1/payment_intents/*/cancel",
            Work::Refund => "/v1/refunds",
            Work::ProcessWebhook => {
                self.lock(&format!("SELECT FROM orders WHERE id = '{}' FOR UPDATE", text(&self.order["id"]))).await;
                return;
            }
            Work::Expire => {
                let over = format!("UPDATE orders SET expires_at = now() WHERE id = '{}'", text(&self.order["id"]));
                self.lock(&over).await;
                return;
            }
            Work::Decrement => {
                self.lock(&format!("SELECT FROM products WHERE id = '{}' FOR UPDATE", text(&self.product["id"]))).await;
                return;
            }
            Work::ProcessImage => {
                // All its objects are written by then, and no row names them.
                let waits = "CREATE TRIGGER waits_for_the_test BEFORE UPDATE ON product_images
                             FOR EACH ROW WHEN (NEW.status = 'ready') EXECUTE FUNCTION wait_for_the_test()";
                self.hold_at_a_trigger(waits).await;
                return;
            }
            Work::SendEmail => {
                self.hold_mails(moment == Moment::After);
                self.hold = Some(Hold::Mail);
                return;
            }
        };
        let at = if moment == Moment::After { "after" } else { "arrival" };
        let fault = json!({ "method": "POST", "path": path, "at": at, "hold": true, "times": 1 });
        self.hold = Some(Hold::Stripe(self.shop.inject(&fault).await));
    }

    /// Has the mail server say nothing: from the beginning, or once it has taken a mail.
    fn hold_mails(&self, taken: bool) {
        let at = if taken { "message" } else { "connect" };
        let silence: MailFault =
            serde_json::from_value(json!({ "at": at, "keep": taken, "hang": true })).expect("a fault");
        self.shop.mail.add_fault(silence);
    }

    /// Keeps a row locked by a transaction that has done this.
    async fn lock(&mut self, statement: &str) {
        let mut connection = PgConnection::connect_with(&self.shop.database.options()).await.expect("it answers");
        let lock = format!("BEGIN; {statement}");
        connection.execute(lock.as_str()).await.expect("nobody else has it");
        self.hold = Some(Hold::Row(connection));
    }

    /// What leads to the job.
    async fn begin(&mut self) {
        match self.work {
            Work::CreateIntent => self.order = self.shopper.post("/checkout", &json!({})).await.expect(202),
            Work::CancelIntent => {
                self.shopper.cancel(&self.order).await.expect(202);
            }
            Work::Refund => {
                self.admin.refund(&self.order, &json!({})).await.expect(202);
            }
            Work::ProcessWebhook => {
                self.shop.confirm(&self.order, "pm_card_visa").await.expect(200);
            }
            Work::Decrement => {
                self.shop.pay(&self.shopper, &self.order).await;
            }
            Work::Expire if matches!(self.hold, Some(Hold::Commit(_))) => self.shop.expire(&self.order).await,
            Work::Expire => {
                // The order's time is over in the transaction that holds its row.
                let due = format!(
                    "UPDATE jobs SET run_at = now() WHERE job_type = 'order.expire' AND dedupe_key = '{}'",
                    text(&self.order["id"])
                );
                self.shop.database.run(&due).await;
            }
            Work::SendEmail => {
                self.shop.pay(&self.shopper, &self.order).await;
            }
            Work::ProcessImage => {
                let photo = file(600, 400, ImageFormat::Jpeg);
                self.admin.upload(&self.product, &photo).await.expect(202);
            }
        }
    }

    async fn wait_until_it_is_there(&self, moment: Moment) {
        match &self.hold {
            Some(Hold::Stripe(fault)) => self.shop.wait_until_held(fault).await,
            Some(Hold::Mail) if moment == Moment::After => {
                self.shop.mails(&self.shopper.email, 1).await;
            }
            Some(Hold::Mail) => {
                let running = "SELECT count(*) FROM jobs WHERE job_type = 'email.send' AND status = 'Running'";
                eventually("the mail is on its way", async || (self.shop.count(running).await == 1).then_some(()))
                    .await;
            }
            Some(Hold::Commit(_)) => {
                eventually("the commit is held", async || (self.shop.count(COMMITS).await > 0).then_some(())).await;
            }
            Some(Hold::Row(_)) | None => {
                let blocked = "SELECT count(*) FROM pg_stat_activity
                               WHERE datname = current_database() AND wait_event_type = 'Lock'";
                eventually("the job waits for the row", async || (self.shop.count(blocked).await > 0).then_some(()))
                    .await;
            }
        }
    }

    async fn hold_the_commit(&mut self) {
        let (table, effect) = match self.work {
            // Other events are processed as well: the one that matters pays the order.
            Work::ProcessWebhook => ("orders", "NEW.status = 'paid'".to_owned()),
            work => ("jobs", format!("NEW.status = 'Done' AND NEW.job_type = '{}'", work.queue())),
        };
        let waits = format!(
            "CREATE CONSTRAINT TRIGGER commit_waits_for_the_test AFTER UPDATE ON {table} DEFERRABLE INITIALLY DEFERRED
               FOR EACH ROW WHEN ({effect}) EXECUTE FUNCTION wait_for_the_test()"
        );
        self.hold_at_a_trigger(&waits).await;
    }

    async fn hold_at_a_trigger(&mut self, trigger: &str) {
        let hold = format!(
            "CREATE FUNCTION wait_for_the_test() RETURNS trigger LANGUAGE plpgsql AS
               'BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END';
             {trigger};
             SELECT pg_advisory_lock(1)"
        );
        let mut connection = PgConnection::connect_with(&self.shop.database.options()).await.expect("it answers");
        connection.execute(hold.as_str()).await.expect("it can be held");
        self.hold = Some(Hold::Commit(connection));
    }

    /// Lets the held commit happen, and its answer get lost.
    async fn commit_unheard(&mut self) {
        self.proxy.set(Way::Swallowing { direction: Direction::Down }).await.expect("it was not cut");
        self.let_go().await;
        eventually("it is committed", async || (self.shop.count(COMMITS).await == 0).then_some(())).await;
    }

    /// Has the held commit, if there is one, never happen: the server gives it up, as when it hears of the worker's end in time.
    pub(super) async fn roll_back(&self) {
        if let Some(Hold::Commit(_)) = self.hold {
            let gone = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                        WHERE datname = current_database() AND wait_event = 'advisory'";
            assert!(self.shop.count(gone).await > 0, "a commit is held");
        }
    }

    /// Lets go what holds it, if anything still does.
    async fn let_go(&mut self) {
        match self.hold.take() {
            Some(Hold::Stripe(fault)) => self.shop.relieve(&fault).await,
            Some(Hold::Mail) => self.shop.mail.remove_faults(),
            Some(Hold::Row(mut connection)) => {
                connection.execute("COMMIT").await.expect("it was open");
            }
            Some(Hold::Commit(connection)) => connection.close().await.expect("it was open"),
            None => {}
        }
    }

    /// Ends all that holds anything, and opens all ways.
    pub(super) async fn all_goes_on(&mut self) {
        self.let_go().await;
        self.shop.mail.remove_faults();
        self.proxy.restore().await.expect("the port is still free");
    }

    /// The same for an image: there is one, whole, and nothing else in the store but perhaps what was uploaded.
    async fn image_is_shown(self) {
        let shown = self.shop.images_shown(&self.product, 1).await;
        for link in ["url", "thumbnail_url"] {
            assert_eq!(self.shop.visitor().fetch(&shown[0][link]).await.0, 200);
        }
        self.shop.settle().await;
        let (uploads, images): (Vec<_>, Vec<_>) =
            self.shop.image_files().into_iter().partition(|name| name.ends_with(".upload"));
        assert!(images.len() == 3 && uploads.len() <= 1, "{images:?} {uploads:?}");
        self.shop.finish().await;
    }

    /// Waits for where all ends, and checks that nothing happened twice; then every invariant.
    pub(super) async fn ends_well(mut self) {
        if self.work == Work::ProcessImage {
            return self.image_is_shown().await;
        }
        let status = match self.work {
            Work::CreateIntent => {
                self.order = self.shopper.wait_for(&self.order, "awaiting_payment").await;
                self.shop.pay(&self.shopper, &self.order).await;
                "paid"
            }
            Work::CancelIntent | Work::Expire => "canceled",
            Work::Refund => "refunded",
            Work::ProcessWebhook | Work::Decrement | Work::SendEmail | Work::ProcessImage => "paid",
        };
        self.shopper.wait_for(&self.order, status).await;
        self.shop.settle().await;
        let stock = if status == "canceled" { (10, 10) } else { (9, 9) };
        assert_eq!(self.shop.stock(&self.product).await, stock, "the stock");
        let stripe = self.shop.stripe_api().with_token("sk_test_simulator");
        let intents = stripe.get("/v1/payment_intents").await.expect(200)["data"].as_array().map(Vec::len);
        assert_eq!(intents, Some(1), "intents at Stripe");
        self.order = self.shopper.see(&self.order).await;
        assert!(!payment(&self.order, "intent_id").is_empty());
        let refunds = self.shop.refunds_at_stripe(&self.order).await.len();
        assert_eq!(refunds, usize::from(self.work == Work::Refund), "refunds at Stripe");
        let told = self.shop.mail.messages();
        let ids: BTreeSet<_> = told.iter().map(|mail| mail.message_id.clone()).collect();
        let due = if self.work == Work::Refund { 2 } else { 1 };
        assert_eq!(ids.len(), due, "mails, repeated ones aside");
        assert!(told.len() <= due + 1, "the one that was on its way is repeated once at most");
        self.shop.finish().await;
    }
}
