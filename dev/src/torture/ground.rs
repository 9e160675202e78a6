//! What the shop of a torture runs on, all of it its own: a Postgres, a Stripe simulator, a mail catcher, two APIs and two
//! workers, and between them the ways that can be made worse.

use std::{
    net::{Ipv4Addr, SocketAddr},
    ops::Range,
    path::{Path, PathBuf},
    process::{self, Output, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use dev::{
    mail::{Catcher, CatcherOptions},
    ports,
    postgres::Throwaway,
    proxy::Proxy,
    random::alphanumeric,
    stripe::{Simulator, SimulatorOptions},
};
use futures::future::{join_all, try_join_all};
use serde_json::json;
use sqlx::postgres::PgConnectOptions;
use tokio::{io::AsyncWriteExt, process::Command, sync::Mutex};
use url::Url;

use super::member::Member;
use crate::{
    client::{Client, http, http_within},
    programs::Programs,
    progress::Step,
    settings::{SIMULATOR_PUBLISHABLE_KEY, SIMULATOR_SECRET_KEY},
};

/// Where ports are looked for: below those that systems give to outgoing connections, so that nobody takes one from somebody
/// who is coming back; and in one of many places, so that two tortures which start at once don't choose the same.
const PORTS: Range<u16> = 20_000..30_000;
/// So many lie between two places.
const MOST_PORTS: u16 = 50;
/// How long a shopper waits for an answer before asking again.
const SHOPPERS_PATIENCE: Duration = Duration::from_secs(8);
const DATABASE: &str = "postgres";
/// How long an order is kept for its shopper, in seconds: short, so that many expire.
pub(super) const RESERVATION: u64 = 15;

/// A way, and whose turn it is to make it worse.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) proxy: Proxy,
    pub(super) turn: Mutex<()>,
}

impl Way {
    async fn to(ports: &mut Ports, target: SocketAddr) -> Result<Self> {
        let proxy = Proxy::start_on(ports.next()?, target).await.context("starting a proxy")?;
        Ok(Self { proxy, turn: Mutex::default() })
    }

    fn url(&self) -> String {
        format!("http://{}", self.proxy.addr())
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) logs: PathBuf,
    pub(super) postgres: Mutex<Throwaway>,
    /// Past all proxies.
    pub(super) database: PgConnectOptions,
    pub(super) stripe: Simulator,
    /// Whose turn it is to change what happens to webhooks.
    pub(super) webhooks: Mutex<()>,
    pub(super) mail: Catcher,
    pub(super) apis: Vec<Member>,
    pub(super) workers: Vec<Member>,
    /// Of the APIs, then of the workers.
    pub(super) to_database: Vec<Way>,
    /// Of the workers.
    pub(super) to_stripe: Vec<Way>,
    /// Of the shoppers and of Stripe's webhooks.
    pub(super) to_apis: Vec<Way>,
    pub(super) http: reqwest::Client,
    operator: PathBuf,
    operators_environment: Vec<(&'static str, String)>,
}

impl Ground {
    /// Starts everything; both APIs and both workers are ready when this returns.
    pub(super) async fn start(logs: &Path, programs: &Programs) -> Result<Self> {
        let step = Step::begin("Postgres, Stripe simulator, mail catcher");
        let mut ports = Ports::anywhere();
        let postgres = Throwaway::start_victim(ports.next()?.port(), &logs.join("postgres.log")).await?;
        let mut secrets = Secrets::new(logs);
        let stripe = Simulator::start(SimulatorOptions {
            addr: ports.next()?,
            secret_key: SIMULATOR_SECRET_KEY.into(),
            publishable_key: SIMULATOR_PUBLISHABLE_KEY.into(),
            webhook_secret: secrets.webhook.clone(),
            ..SimulatorOptions::default()
        })
        .await?;
        let mail = Catcher::start(CatcherOptions { smtp_addr: ports.next()?, inbox_addr: ports.next()?, folder: None })
            .await?;
        step.done("Postgres, Stripe simulator, mail catcher");

        let server = loopback(postgres.port());
        let mut ground = Self {
            logs: logs.to_owned(),
            database: postgres.options(DATABASE),
            apis: Vec::new(),
            workers: Vec::new(),
            to_database: Vec::new(),
            to_stripe: Vec::new(),
            to_apis: Vec::new(),
            http: http(),
            operator: programs.operator.clone(),
            operators_environment: secrets.environment(&postgres.url(DATABASE), &stripe.base_url(), &mail.smtp_url()),
            postgres: Mutex::new(postgres),
            stripe,
            webhooks: Mutex::default(),
            mail,
        };
        for (name, logs) in [("api-1", logs), ("api-2", logs)] {
            let (addr, metrics) = (ports.next()?, ports.next()?);
            let way = Way::to(&mut ports, server).await?;
            let environment = ground.environment_of(&mut secrets, &way, None, addr, metrics).await;
            let health = format!("http://{addr}/health/ready");
            ground.apis.push(Member::new(name, &programs.api, environment, health, logs));
            ground.to_database.push(way);
            ground.to_apis.push(Way::to(&mut ports, addr).await?);
        }
        for (name, logs) in [("worker-1", logs), ("worker-2", logs)] {
            let (addr, metrics) = (ports.next()?, ports.next()?);
            let way = Way::to(&mut ports, server).await?;
            let to_stripe = Way::to(&mut ports, ground.stripe.addr()).await?;
            let environment = ground.environment_of(&mut secrets, &way, Some(&to_stripe), addr, metrics).await;
            let health = format!("http://{metrics}/health/ready");
            ground.workers.push(Member::new(name, &programs.worker, environment, health, logs));
            ground.to_database.push(way);
            ground.to_stripe.push(to_stripe);
        }
        ground.start_members().await?;
        ground.send_webhooks_to(0)?;
        Ok(ground)
    }

    async fn environment_of(
        &self,
        secrets: &mut Secrets,
        to_database: &Way,
        to_stripe: Option<&Way>,
        addr: SocketAddr,
        metrics: SocketAddr,
    ) -> Vec<(&'static str, String)> {
        let mut database = Url::parse(&self.postgres.lock().await.url(DATABASE)).expect("it is a URL");
        database.set_port(Some(to_database.proxy.addr().port())).expect("its host is an address");
        let stripe = to_stripe.map_or_else(|| self.stripe.base_url(), Way::url);
        let mut environment = secrets.environment(database.as_str(), &stripe, &self.mail.smtp_url());
        environment.extend([("API_ADDR", addr.to_string()), ("METRICS_ADDR", metrics.to_string())]);
        environment
    }

    async fn start_members(&self) -> Result<()> {
        let step = Step::begin("migrations, two APIs and two workers");
        self.operate(&["migrate"], "").await?;
        for member in self.members() {
            member.start(&mut *member.take().await).await?;
        }
        try_join_all(self.members().map(|member| member.ready(&self.http))).await?;
        step.done("migrations, two APIs and two workers");
        Ok(())
    }

    pub(super) fn members(&self) -> impl Iterator<Item = &Member> {
        self.apis.iter().chain(&self.workers)
    }

    pub(super) fn ways(&self) -> impl Iterator<Item = &Way> {
        self.to_database.iter().chain(&self.to_stripe).chain(&self.to_apis)
    }

    /// Webhooks go to this API from now on.
    pub(super) fn send_webhooks_to(&self, api: usize) -> Result<()> {
        let target = format!("{}/webhooks/stripe", self.to_apis[api % self.to_apis.len()].url());
        self.stripe.set_webhook_target(Some(Url::parse(&target).context("making the address of the webhooks")?));
        Ok(())
    }

    /// A client of each API, as shoppers have them.
    pub(super) fn shops(&self) -> Vec<Client> {
        let http = http_within(SHOPPERS_PATIENCE);
        self.to_apis.iter().map(|way| Client::over(&http, &way.url())).collect()
    }

    /// A client of Stripe's API, as browsers have it.
    pub(super) fn stripe_api(&self) -> Client {
        Client::over(&self.http, &self.stripe.base_url())
    }

    /// A client of Stripe's API with the secret key.
    pub(super) fn stripe_account(&self) -> Client {
        self.stripe_api().with_token(SIMULATOR_SECRET_KEY)
    }

    /// A client of the simulator's control endpoints.
    pub(super) fn control(&self) -> Client {
        Client::over(&self.http, &self.stripe.control_url())
    }

    /// A client of the mail catcher's control endpoints.
    pub(super) fn mail_control(&self) -> Client {
        Client::over(&self.http, &format!("{}/_control", self.mail.inbox_url()))
    }

    /// Runs the operator's tool, past all proxies, and gives what it says. Fails when it fails.
    pub(super) async fn operate(&self, arguments: &[&str], input: &str) -> Result<String> {
        let output = self.try_to_operate(arguments, input).await?;
        if !output.status.success() {
            let (out, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            bail!("`kassa {}` failed ({}):\n{}{}", arguments.join(" "), output.status, out, told.trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    pub(super) async fn try_to_operate(&self, arguments: &[&str], input: &str) -> Result<Output> {
        let mut command = Command::new(&self.operator);
        command.args(arguments).env_clear().current_dir("/").kill_on_drop(true);
        command.envs(self.operators_environment.iter().map(|(name, value)| (name, value)));
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn().with_context(|| format!("running {}", self.operator.display()))?;
        let mut to = child.stdin.take().context("telling kassa something")?;
        // A tool that ends before it has read says why.
        let _told = to.write_all(input.as_bytes()).await;
        drop(to);
        child.wait_with_output().await.context("waiting for kassa")
    }

    /// Ends every fault that may be left in what stands around the shop: all ways are open again.
    pub(super) async fn mend(&self) -> Result<()> {
        self.control().delete("/faults").await?.expect(&[200])?;
        self.mail_control().delete("/faults").await?.expect(&[200])?;
        let plan = json!({ "mode": "deliver", "delay_ms": 0 });
        self.control().put("/webhooks", &plan).await?.expect(&[200])?;
        for way in self.ways() {
            way.proxy.restore().await.context("opening a way again")?;
        }
        Ok(())
    }

    /// Stops everything in order, and says what went wrong in it.
    pub(super) async fn stop(self) -> Vec<String> {
        let mut problems: Vec<String> =
            join_all(self.apis.iter().map(Member::stop)).await.into_iter().flatten().collect();
        problems.extend(join_all(self.workers.iter().map(Member::stop)).await.into_iter().flatten());
        self.stripe.shutdown().await;
        self.mail.shutdown().await;
        self.postgres.into_inner().stop().await;
        problems
    }

    /// The same for somebody in a hurry.
    pub(super) async fn kill(self) {
        for member in self.members() {
            member.take().await.kill().await;
        }
        self.postgres.into_inner().stop().await;
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Gives each port once, although nobody listens there yet.
struct Ports(u16);

impl Ports {
    fn anywhere() -> Self {
        let places = (PORTS.end - PORTS.start) / MOST_PORTS;
        Self(PORTS.start + u16::try_from(process::id() % u32::from(places)).unwrap_or_default() * MOST_PORTS)
    }

    fn next(&mut self) -> Result<SocketAddr> {
        let port = ports::free(self.0)?;
        self.0 = port + 1;
        Ok(loopback(port))
    }
}

/// What the members are configured with: everything that takes a while is short.
struct Secrets {
    jwt: String,
    webhook: String,
    images: String,
}

impl Secrets {
    fn new(logs: &Path) -> Self {
        let images = format!("file:{}", logs.join("images").display());
        Self { jwt: alphanumeric(48), webhook: format!("whsec_{}", alphanumeric(32)), images }
    }

    fn environment(&mut self, database: &str, stripe: &str, mail: &str) -> Vec<(&'static str, String)> {
        #[expect(clippy::cast_precision_loss, reason = "seconds")]
        let reservation = RESERVATION as f64 / 60.0;
        let set = |name, value: &str| (name, value.to_owned());
        let log = std::env::var("LOG").unwrap_or_else(|_| "info".into());
        vec![
            set("DATABASE_URL", database),
            set("DATABASE_MAX_CONNECTIONS", "8"),
            set("JWT_SECRET", &self.jwt),
            set("STRIPE_API_BASE", stripe),
            set("STRIPE_SECRET_KEY", SIMULATOR_SECRET_KEY),
            set("STRIPE_PUBLISHABLE_KEY", SIMULATOR_PUBLISHABLE_KEY),
            set("STRIPE_WEBHOOK_SECRET", &self.webhook),
            set("STRIPE_TIMEOUT_SECONDS", "3"),
            set("MAIL_URL", mail),
            set("MAIL_FROM", "Kassa <shop@kassa.example>"),
            set("SMTP_TIMEOUT_SECONDS", "3"),
            set("OBJECT_STORE_URL", &self.images),
            set("RESERVATION_MINUTES", &reservation.to_string()),
            set("MAX_UNPAID_ORDERS", "5"),
            set("ACCESS_TOKEN_MINUTES", "1440"),
            set("RATE_LIMITS", "off"), // its crowd comes from one address
            set("JOB_LEASE_SECONDS", "3"),
            set("JOB_BACKOFF_SECONDS", "0.1"),
            set("JOB_BACKOFF_CAP_SECONDS", "2"),
            set("LOG", &log),
        ]
    }
}
