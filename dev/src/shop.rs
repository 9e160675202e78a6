//! The running shop: its parts, started in the order in which they need each other and stopped in the other.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use chrono::Utc;
use dev::{
    files::tail,
    mail::{Catcher, CatcherOptions},
    ports,
    postgres::{Cluster, DURABLE_DATABASE, Place},
    process::Identity,
    stripe::{Simulator, SimulatorOptions},
};
use nix::sys::signal::Signal;
use url::Url;

use crate::{
    child::{Program, command},
    client::http,
    demo,
    environment::{Environment, given, reach},
    home::Home,
    programs::Programs,
    progress::{Step, note},
    secrets::Secrets,
    settings::{SIMULATOR_PUBLISHABLE_KEY, SIMULATOR_SECRET_KEY, Settings},
    state::{Part, Phase, State},
};

const POSTGRES: u16 = 5433;
const API: u16 = 8080;
const API_METRICS: u16 = 9464;
const WORKER_METRICS: u16 = 9465;
const SIMULATOR: u16 = 12111;
const SMTP: u16 = 1025;
const INBOX: u16 = 8025;

/// See the module. What was started when a start fails or is interrupted is stopped like the rest.
pub(crate) struct Shop<'a> {
    home: &'a Home,
    settings: &'a Settings,
    pub(crate) state: State,
    http: reqwest::Client,
    cluster: Option<Cluster>,
    simulator: Option<Simulator>,
    catcher: Option<Catcher>,
    worker: Option<Program>,
    api: Option<Program>,
}

impl<'a> Shop<'a> {
    pub(crate) fn new(home: &'a Home, settings: &'a Settings) -> Self {
        Self {
            home,
            settings,
            state: State::new(),
            http: http(),
            cluster: None,
            simulator: None,
            catcher: None,
            worker: None,
            api: None,
        }
    }

    /// Starts everything; the shop is ready when this returns.
    pub(crate) async fn start(&mut self, programs: &Programs) -> Result<()> {
        end_leftovers(self.home).await?;
        self.state.save(self.home)?;
        let mut secrets = Secrets::of(self.home)?;
        if let Some(webhook_secrets) = given("STRIPE_WEBHOOK_SECRET") {
            secrets.webhook_secret = webhook_secrets;
        }
        self.state.access.admin_password.clone_from(&secrets.admin_password);
        self.state.access.shopper_password.clone_from(&secrets.shopper_password);
        self.state.access.stripe_webhook_secret.clone_from(&secrets.webhook_secret);

        self.start_database().await?;
        let api_addr = self.api_addr()?;
        self.start_simulator(&secrets, api_addr).await?;
        let mail_url = self.start_catcher().await?;
        let environment = Environment::new(self.settings, &secrets, &mut self.state.access, api_addr, mail_url);
        self.migrate(programs, &environment).await?;
        self.start_programs(programs, &environment).await?;

        demo::fill(&self.state.access, &programs.operator, &environment, self.home).await?;
        self.state.phase = Phase::Ready;
        self.state.save(self.home)
    }

    async fn start_database(&mut self) -> Result<()> {
        if let Some(url) = &self.settings.database {
            self.state.access.database.clone_from(url);
            note("DATABASE_URL is set: that database is used, none is started");
            return Ok(());
        }
        let step = Step::begin("Postgres");
        let place = Place::prepare(&self.home.postgres()).await?;
        if place.is_elsewhere() {
            note(format_args!("the database is in {}, as its user can't enter this folder", place.folder().display()));
        }
        let log = self.home.log("postgres");
        let cluster = Cluster::durable(place.folder(), POSTGRES, &log).await?;
        let port = cluster.port();
        self.state.access.database = cluster.url(DURABLE_DATABASE);
        let url = format!("127.0.0.1:{port}");
        self.add_part("postgres", Some(cluster.identity().clone()), &url, &url, Some(log))?;
        self.cluster = Some(cluster);
        step.done(format_args!("Postgres on port {port}{}", stepped(POSTGRES, port)));
        Ok(())
    }

    fn api_addr(&self) -> Result<SocketAddr> {
        let Some(addr) = self.settings.api_addr else { return Ok(loopback(ports::free(API)?)) };
        if ports::is_free(addr.port()) {
            Ok(addr)
        } else {
            bail!("API_ADDR is {addr}, but somebody listens on port {} already", addr.port())
        }
    }

    async fn start_simulator(&mut self, secrets: &Secrets, api: SocketAddr) -> Result<()> {
        if let Some(stripe) = &self.settings.stripe {
            note(format_args!("STRIPE_SECRET_KEY is set: Stripe's test mode at {} is used", stripe.api_base));
            return Ok(());
        }
        let step = Step::begin("Stripe simulator");
        let target = format!("{}/webhooks/stripe", reach(api));
        let port = ports::free(SIMULATOR)?;
        let simulator = Simulator::start(SimulatorOptions {
            addr: loopback(port),
            secret_key: SIMULATOR_SECRET_KEY.into(),
            publishable_key: SIMULATOR_PUBLISHABLE_KEY.into(),
            // While one is replaced there are several: the first is the new one.
            webhook_secret: secrets.webhook_secret.split(',').next().unwrap_or_default().trim().to_owned(),
            webhook_target: Some(Url::parse(&target).context("making the address of the webhooks")?),
            state_file: Some(self.home.stripe()),
            ..SimulatorOptions::default()
        })
        .await?;
        let (url, control) = (simulator.base_url(), simulator.control_url());
        self.add_part("stripe simulator", None, &url, &control, None)?;
        self.state.access.stripe_api_base = url;
        self.state.access.stripe_control = Some(control);
        self.simulator = Some(simulator);
        step.done(format_args!("Stripe simulator on port {port}{}", stepped(SIMULATOR, port)));
        Ok(())
    }

    /// Gives the address that the worker sends mail to.
    async fn start_catcher(&mut self) -> Result<String> {
        if let Some(url) = &self.settings.mail {
            note("MAIL_URL is set: mail goes there, none is caught");
            return Ok(url.clone());
        }
        let step = Step::begin("mail catcher");
        let (smtp, inbox) = (ports::free(SMTP)?, ports::free(INBOX)?);
        let catcher = Catcher::start(CatcherOptions {
            smtp_addr: loopback(smtp),
            inbox_addr: loopback(inbox),
            folder: Some(self.home.mail()),
        })
        .await?;
        let (mail_url, url) = (catcher.smtp_url(), catcher.inbox_url());
        self.add_part("mail catcher", None, &url, &format!("{url}/_control/faults"), None)?;
        self.state.access.mail_inbox = Some(url);
        self.catcher = Some(catcher);
        let (aside, apart) = (stepped(SMTP, smtp), stepped(INBOX, inbox));
        step.done(format_args!("mail catcher on port {smtp}{aside}, its inbox on port {inbox}{apart}"));
        Ok(mail_url)
    }

    async fn migrate(&self, programs: &Programs, environment: &Environment) -> Result<()> {
        let step = Step::begin("migrations");
        let ran = command(&programs.operator, environment.common(), self.home).arg("migrate").output().await;
        let ran = ran.with_context(|| format!("running {}", programs.operator.display()))?;
        if !ran.status.success() {
            bail!("`kassa migrate` failed ({}):\n{}", ran.status, String::from_utf8_lossy(&ran.stderr).trim());
        }
        step.done("migrations");
        Ok(())
    }

    async fn start_programs(&mut self, programs: &Programs, environment: &Environment) -> Result<()> {
        let step = Step::begin("kassa-api and kassa-worker");
        let api_metrics = ports::free(API_METRICS)?;
        let worker_metrics = free_but(WORKER_METRICS, api_metrics)?;
        let (api_url, api_metrics_url) = (self.state.access.api.clone(), reach(loopback(api_metrics)));
        let worker_url = reach(loopback(worker_metrics));
        let (api_health, worker_health) = (format!("{api_url}/health/ready"), format!("{worker_url}/health/ready"));

        let api = Program::start("kassa-api", &programs.api, &environment.of_program(api_metrics), self.home)?;
        let api = self.api.insert(api);
        let (process, log) = (api.identity().clone(), api.log().to_owned());
        self.add_part("kassa-api", Some(process), &api_url, &api_health, Some(log))?;
        let worker =
            Program::start("kassa-worker", &programs.worker, &environment.of_program(worker_metrics), self.home)?;
        let worker = self.worker.insert(worker);
        let (process, log) = (worker.identity().clone(), worker.log().to_owned());
        self.add_part("kassa-worker", Some(process), &worker_url, &worker_health, Some(log))?;

        let Self { api: Some(api), worker: Some(worker), http, home, .. } = self else {
            unreachable!("both started above")
        };
        tokio::try_join!(api.ready(http, &api_health, home), worker.ready(http, &worker_health, home))?;
        self.state.access.api_metrics = api_metrics_url;
        self.state.access.worker_metrics = worker_url;
        let port = Url::parse(&api_url).ok().and_then(|url| url.port_or_known_default()).unwrap_or_default();
        let aside = if self.settings.api_addr.is_some() { String::new() } else { stepped(API, port) };
        let (apart, away) = (stepped(API_METRICS, api_metrics), stepped(WORKER_METRICS, worker_metrics));
        step.done(format_args!(
            "kassa-api on port {port}{aside}, its metrics on {api_metrics}{apart}; kassa-worker's on {worker_metrics}{away}"
        ));
        Ok(())
    }

    fn add_part(
        &mut self,
        name: &str,
        process: Option<Identity>,
        url: &str,
        health: &str,
        log: Option<PathBuf>,
    ) -> Result<()> {
        let (name, url, health) = (name.to_owned(), url.to_owned(), health.to_owned());
        self.state.parts.push(Part { name, process, url, health, since: Utc::now(), log });
        self.state.save(self.home)
    }

    /// Waits until a part ends that should not, and tells of it.
    pub(crate) async fn unexpected_end(&mut self) -> String {
        let home = self.home;
        tokio::select! {
            told = program_ends(&mut self.api, home) => told,
            told = program_ends(&mut self.worker, home) => told,
            how = cluster_ends(&mut self.cluster) => {
                let log = home.log("postgres");
                format!("Postgres ended by itself ({how}). The end of {}:\n{}", home.shown(&log), tail(&log, 20))
            }
        }
    }

    /// Whether anything was started.
    pub(crate) fn has_parts(&self) -> bool {
        !self.state.parts.is_empty()
    }

    /// Stops everything in order: nothing new comes in, what is under way is finished, then what it needed goes.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        self.state.phase = Phase::Stopping;
        self.state.save(self.home)?;
        for (name, program) in [("kassa-api", &mut self.api), ("kassa-worker", &mut self.worker)] {
            if let Some(running) = program.as_mut().filter(|program| program.runs()) {
                let step = Step::begin(format_args!("stopping {name}"));
                running.stop().await;
                step.done(format_args!("{name} stopped"));
            }
            *program = None;
        }
        self.stop_stand_ins().await;
        State::remove(self.home)
    }

    /// The same for somebody in a hurry: the programs are killed, which loses nothing but time.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        for program in [&mut self.api, &mut self.worker] {
            if let Some(mut running) = program.take() {
                running.kill().await;
            }
        }
        self.stop_stand_ins().await;
        State::remove(self.home)
    }

    async fn stop_stand_ins(&mut self) {
        if let Some(simulator) = self.simulator.take() {
            simulator.shutdown().await;
        }
        if let Some(catcher) = self.catcher.take() {
            catcher.shutdown().await;
        }
        if let Some(cluster) = self.cluster.take() {
            let step = Step::begin("stopping Postgres");
            cluster.stop().await;
            step.done("Postgres stopped");
        }
    }
}

async fn program_ends(program: &mut Option<Program>, home: &Home) -> String {
    match program {
        Some(program) => program.ended(home).await,
        None => std::future::pending().await,
    }
}

async fn cluster_ends(cluster: &mut Option<Cluster>) -> String {
    match cluster {
        Some(cluster) => cluster.ended().await,
        None => std::future::pending().await,
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// A free port from `preferred` on that is not the one given to somebody else a moment ago.
fn free_but(preferred: u16, given: u16) -> Result<u16> {
    let port = ports::free(preferred)?;
    if port == given { Ok(ports::free(given.saturating_add(1))?) } else { Ok(port) }
}

fn stepped(preferred: u16, port: u16) -> String {
    if port == preferred { String::new() } else { format!(" ({preferred} is taken)") }
}

/// Ends the programs of a run that crashed. They are known by their start times, not by their numbers alone.
pub(crate) async fn end_leftovers(home: &Home) -> Result<()> {
    let Some(last) = State::load(home) else { return Ok(()) };
    for part in last.parts.iter().filter(|part| part.name.starts_with("kassa-")) {
        let Some(process) = part.process.as_ref().filter(|process| process.is_running()) else { continue };
        process.signal(Signal::SIGTERM);
        if !process.ended_within(Duration::from_secs(10)).await {
            process.signal(Signal::SIGKILL);
            if !process.ended_within(Duration::from_secs(10)).await {
                bail!("{} (process {}) is left over from an earlier run and can't be ended", part.name, process.pid);
            }
        }
        note(format_args!("ended {} (process {}), left over from a run that crashed", part.name, process.pid));
    }
    Ok(())
}
