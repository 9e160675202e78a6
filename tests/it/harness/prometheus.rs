//! A Prometheus that scrapes a shop each second: with the configuration of `grafana/prometheus.yml`, but for the names of docker-compose,
//! which are addresses here.

use std::{
    collections::BTreeMap,
    env, fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use serde_json::Value;

use super::{
    client::{Client, text},
    ground::Ground,
    shop::Shop,
    wait::eventually,
};

const CONFIGURATION: &str = include_str!("../../../grafana/prometheus.yml");
/// How often it scrapes, and evaluates rules.
const INTERVAL: &str = "1s";
/// Another is tried where somebody takes the port between its choice and its use.
const STARTS: usize = 3;

/// See the module. It ends when it is dropped, and when this process is killed.
#[derive(Debug)]
pub(crate) struct Prometheus {
    /// Its standard input is what keeps the server alive: see `kassa-dev guard`.
    guard: Child,
    client: Client,
    folder: PathBuf,
}

/// What a query gives for one set of labels.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

/// An alert that is pending or firing.
#[derive(Clone, Debug)]
pub(crate) struct Alert {
    pub(crate) name: String,
    /// `pending` or `firing`.
    pub(crate) state: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
}

/// A program of Debian's package `prometheus`.
pub(crate) fn tool(name: &str) -> PathBuf {
    let named = env::var_os("PROMETHEUS_BIN").map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders = named.into_iter().chain(env::split_paths(&path));
    folders.find_map(|folder| Some(folder.join(name)).filter(|file| file.is_file())).unwrap_or_else(|| {
        panic!(
            "{name} is missing: install Prometheus (Debian: `apt-get install --no-install-recommends prometheus`), or name the folder \
             of its programs in PROMETHEUS_BIN"
        )
    })
}

impl Prometheus {
    /// Starts it with these rules (the text of a file of rules), and waits until it has scraped both programs.
    pub(crate) async fn start(shop: &Shop, rules: Option<&str>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("kassa-tests-{}-prometheus-{count}", std::process::id()));
        fs::create_dir_all(&folder).expect("the temporary folder can be written");
        let targets = [("kassa-api", shop.api.operations), ("kassa-worker", shop.worker.operations)];
        let mut configuration = configuration(CONFIGURATION, &targets);
        if let Some(rules) = rules {
            fs::write(folder.join("rules.yml"), rules).expect("it is our folder");
            configuration.push_str("rule_files: [rules.yml]\n");
        }
        fs::write(folder.join("prometheus.yml"), configuration).expect("it is our folder");
        let programs = Ground::get().await.programs();
        for _ in 0..STARTS {
            let started = Self::spawn(programs, &folder, shop);
            if let Some(ready) = started.once_ready().await {
                return ready;
            }
        }
        panic!("Prometheus ended at its start; its log:\n{}", log_of(&folder));
    }

    fn spawn(programs: &Path, folder: &Path, shop: &Shop) -> Self {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, dev::ports::any().expect("a free port")));
        let mut command = Command::new(programs.join("kassa-dev"));
        command.arg("guard").arg("--log").arg(folder.join("log")).arg("--").arg(tool("prometheus"));
        command.arg(format!("--config.file={}", folder.join("prometheus.yml").display()));
        command.arg(format!("--storage.tsdb.path={}", folder.join("data").display()));
        command.arg(format!("--web.listen-address={addr}")).arg("--log.level=warn");
        let guard = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("kassa-dev was built");
        let client = Client::new(shop.http.clone(), format!("http://{addr}"));
        Self { guard, client, folder: folder.to_owned() }
    }

    /// Itself once it has scraped both programs; none where it has ended.
    async fn once_ready(mut self) -> Option<Self> {
        let ready = eventually("Prometheus has scraped both programs", async || {
            if self.guard.try_wait().is_ok_and(|ended| ended.is_some()) {
                return Some(false);
            }
            let answer = self.client.request(reqwest::Method::GET, "/-/ready").send().await;
            let is_up = answer.is_ok_and(|answer| answer.status() == 200) && self.query("up == 1").await.len() == 2;
            is_up.then_some(true)
        })
        .await;
        ready.then_some(self)
    }

    /// What an expression gives now (<https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries>). A scalar is a series
    /// without labels.
    pub(crate) async fn query(&self, expression: &str) -> Vec<Series> {
        let request = self.client.request(reqwest::Method::GET, "/api/v1/query").query(&[("query", expression)]);
        let answer = request.send().await.expect("Prometheus answers");
        let answer: Value = answer.json().await.expect("JSON");
        assert_eq!(answer["status"], "success", "{expression}: {}", answer["error"]);
        let data = &answer["data"];
        match text(&data["resultType"]) {
            "scalar" => vec![Series { labels: BTreeMap::new(), value: number(&data["result"][1]) }],
            _ => data["result"].as_array().into_iter().flatten().map(Series::read).collect(),
        }
    }

    /// The sum of what an expression gives; none where it gives nothing.
    pub(crate) async fn sum(&self, expression: &str) -> Option<f64> {
        let series = self.query(expression).await;
        (!series.is_empty()).then(|| series.iter().map(|series| series.value).sum())
    }

    /// The alerts that are pending or firing.
    pub(crate) async fn alerts(&self) -> Vec<Alert> {
        let answer = self.client.get("/api/v1/alerts").await.expect(200);
        let alerts = answer["data"]["alerts"].as_array().cloned().unwrap_or_default();
        alerts.iter().map(Alert::read).collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of Prometheus ---\n{}", log_of(&self.folder));
        }
        drop(self.guard.stdin.take());
        let _reaped = self.guard.wait();
        let _left_to_the_system = fs::remove_dir_all(&self.folder);
    }
}

impl Series {
    fn read(series: &Value) -> Self {
        Self { labels: labels(&series["metric"]), value: number(&series["value"][1]) }
    }
}

impl Alert {
    fn read(alert: &Value) -> Self {
        let labels = labels(&alert["labels"]);
        Self {
            name: labels.get("alertname").cloned().unwrap_or_default(),
            state: text(&alert["state"]).to_owned(),
            annotations: self::labels(&alert["annotations"]),
            labels,
        }
    }
}

fn log_of(folder: &Path) -> String {
    fs::read_to_string(folder.join("log")).unwrap_or_default()
}

fn labels(object: &Value) -> BTreeMap<String, String> {
    let pairs = object.as_object().into_iter().flatten();
    pairs.map(|(name, value)| (name.clone(), text(value).to_owned())).collect()
}

/// `NaN` and `+Inf` are numbers, too.
fn number(value: &Value) -> f64 {
    text(value).parse().expect("a number")
}

/// The repository's configuration, with these targets where it looks for them by DNS, and without its files of rules.
fn configuration(shipped: &str, targets: &[(&str, SocketAddr)]) -> String {
    let mut job = String::new();
    let (mut lines, mut found, mut in_rules) = (Vec::new(), Vec::new(), false);
    for line in shipped.lines() {
        let trimmed = line.trim_start();
        let indent = &line[..line.len() - trimmed.len()];
        in_rules = trimmed.starts_with("rule_files:") || in_rules && (trimmed.starts_with("- ") || trimmed.is_empty());
        if in_rules {
            continue;
        }
        if let Some(name) = trimmed.strip_prefix("- job_name:") {
            name.trim().clone_into(&mut job);
        }
        let every = ["scrape_interval:", "evaluation_interval:"].into_iter().find(|name| trimmed.starts_with(name));
        let target = targets.iter().find(|(name, _)| *name == job && trimmed.starts_with("dns_sd_configs:"));
        lines.push(match (every, target) {
            (Some(name), _) => format!("{indent}{name} {INTERVAL}"),
            (None, Some((_, addr))) => {
                found.push(addr);
                format!("{indent}static_configs: [{{ targets: [\"{addr}\"] }}]")
            }
            (None, None) => line.to_owned(),
        });
    }
    assert_eq!(found.len(), targets.len(), "grafana/prometheus.yml has other jobs than the tests: {targets:?}");
    lines.join("\n") + "\n"
}
