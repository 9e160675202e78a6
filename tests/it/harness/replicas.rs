//! Programs that end before their time, and others beside them.

use nix::sys::signal::Signal;

use super::{
    ground::Ground,
    program::Program,
    shop::{Shop, log_of, with_database},
};

impl Shop {
    /// Another worker of this shop, with its own way to the database.
    pub(crate) async fn another_worker(&self) -> Program {
        self.start_another("kassa-worker", &self.urls.worker).await
    }

    /// Another API of this shop. Stripe and the harness know the first one only.
    pub(crate) async fn another_api(&self) -> Program {
        self.start_another("kassa-api", &self.urls.api).await
    }

    /// Another worker, which goes to the database directly.
    pub(crate) async fn worker_beside_the_proxy(&self) -> Program {
        self.start_another("kassa-worker", &super::url(&self.database.options())).await
    }

    async fn start_another(&self, name: &'static str, url: &str) -> Program {
        let (ground, variables) = (Ground::get().await, with_database(&self.variables, url));
        Program::start(name, ground.programs(), &variables, log_of(name, &self.database), &self.http).await
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
        self.api = self.another_api().await;
        let target = format!("http://{}/webhooks/stripe", self.api.api).parse().expect("a URL");
        self.stripe.set_webhook_target(Some(target));
    }
}
