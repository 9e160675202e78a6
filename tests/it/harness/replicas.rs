//! Programs that end before their time, and others beside them.

use nix::sys::signal::Signal;

use super::{
    database::{Database, url},
    ground::Ground,
    program::Program,
    shop::{Shop, Urls, images_of, log_of, with_database},
};

impl Shop {
    /// Another worker of this shop, with its own way to the database.
    pub(crate) async fn another_worker(&self) -> Program {
        self.another_worker_with(&[]).await
    }

    /// Another worker, with some variables of its own.
    pub(crate) async fn another_worker_with(&self, own: &[(&str, String)]) -> Program {
        self.start_another("kassa-worker", &self.urls.worker, own, "ready").await
    }

    /// Another API of this shop. Stripe and the harness know the first one only.
    pub(crate) async fn another_api(&self) -> Program {
        self.start_another("kassa-api", &self.urls.api, &[], "ready").await
    }

    /// Another API, with some variables of its own that may keep it from being ready.
    pub(crate) async fn another_api_with(&self, own: &[(&str, String)]) -> Program {
        self.start_another("kassa-api", &self.urls.api, own, "live").await
    }

    /// Another worker, which goes to the database directly.
    pub(crate) async fn worker_beside_the_proxy(&self) -> Program {
        self.start_another("kassa-worker", &url(&self.database.options()), &[], "ready").await
    }

    async fn start_another(&self, name: &'static str, url: &str, own: &[(&str, String)], probe: &str) -> Program {
        let (ground, mut variables) = (Ground::get().await, with_database(&self.variables, url));
        variables.extend(own.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        Program::start(name, ground.programs(), &variables, log_of(name, &self.database), &self.http, probe).await
    }

    /// Kills the worker as the system does when memory runs out: it can do nothing about it.
    pub(crate) async fn kill_worker(&mut self) {
        self.worker.signal(Signal::SIGKILL);
        self.worker.end().await;
    }

    /// Starts a worker in the place of the one that has ended.
    pub(crate) async fn restart_worker(&mut self) {
        self.worker = self.another_worker().await;
    }

    /// Kills the API, and starts another one, which Stripe is told of.
    pub(crate) async fn kill_and_restart_api(&mut self) {
        self.api.signal(Signal::SIGKILL);
        self.api.end().await;
        self.restart_api().await;
    }

    /// Starts an API in the place of the one that has ended, and has Stripe told of it.
    pub(crate) async fn restart_api(&mut self) {
        self.api = self.another_api().await;
        self.stripe_tells_the_api();
    }

    /// Starts both programs, which have ended, on another database, with a folder of images of their own; Stripe and the mail server stay.
    pub(crate) async fn move_to(&mut self, database: Database) {
        let to = url(&database.options());
        self.urls = Urls { api: to.clone(), worker: to };
        self.variables.retain(|(name, _)| name != "OBJECT_STORE_URL");
        self.variables.push(("OBJECT_STORE_URL".into(), format!("file:{}", images_of(&database).display())));
        self.pool = database.pool.clone();
        self.database = database;
        self.restart_api().await;
        self.restart_worker().await;
    }

    /// Has Stripe send its events to the API, which may be another one than before.
    pub(crate) fn stripe_tells_the_api(&self) {
        let target = format!("http://{}/webhooks/stripe", self.api.api).parse().expect("a URL");
        self.stripe.set_webhook_target(Some(target));
    }
}
