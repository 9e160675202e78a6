//! What is shipped to run the shop with, held against the programs and against itself: without an engine for containers, which is not on
//! every machine, a name, a port or a folder that is wrong would be seen by whoever deploys it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use common::config::VARIABLES;
use serde_json::Value;

use crate::harness::{repository, text, yaml};

fn read(path: &str) -> String {
    fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn members<'a>(of: &'a Value, name: &str) -> BTreeMap<&'a str, &'a Value> {
    of[name].as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value)).collect()
}

fn list<'a>(of: &'a Value, name: &str) -> Vec<&'a str> {
    of[name].as_array().into_iter().flatten().map(text).collect()
}

fn is_known(name: &str) -> bool {
    VARIABLES.iter().any(|variable| variable.name == name)
}

/// The programs that the workspace makes for the shop.
const PROGRAMS: [&str; 3] = ["kassa-api", "kassa-worker", "kassa"];

/// The services that run our image, by name.
fn ours(compose: &Value) -> BTreeMap<&str, &Value> {
    members(compose, "services").into_iter().filter(|(_, service)| service["image"] == "kassa:local").collect()
}

/// The names in `${NAME:?why}`.
fn interpolated(text: &str) -> BTreeSet<&str> {
    let names = text.split("${").skip(1);
    names.filter_map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next()).collect()
}

#[test]
fn compose_sets_and_asks_for_variables_that_exist() {
    let compose = yaml("docker-compose.yml");
    for (service, settings) in ours(&compose) {
        assert_eq!(settings["env_file"], ".env", "{service}");
        for name in members(settings, "environment").keys() {
            assert!(is_known(name), "{service} sets {name}, which no program reads");
        }
    }
    let example = read(".env.example");
    let own: BTreeSet<_> = example
        .lines()
        .filter_map(|line| line.strip_prefix("# ")?.strip_suffix('='))
        .filter(|name| !name.contains(' '))
        .collect();
    let asked: BTreeSet<_> = interpolated(&read("docker-compose.yml")).into_iter().map(str::to_owned).collect();
    for name in &asked {
        assert!(is_known(name) || own.contains(name.as_str()), "{name} is in no line of .env.example");
    }
    for name in own {
        assert!(asked.contains(name), "{name} is asked for by nobody");
    }
}

#[test]
fn compose_runs_programs_that_the_image_has_as_a_user_without_rights() {
    let (compose, dockerfile) = (yaml("docker-compose.yml"), read("Dockerfile"));
    let services = ours(&compose);
    assert_eq!(services.keys().copied().collect::<Vec<_>>(), ["api", "doctor", "migrate", "worker"]);
    for (service, settings) in &services {
        let program = list(settings, "command")[0];
        assert!(PROGRAMS.contains(&program), "{service} runs {program}");
        assert_eq!(
            (&settings["read_only"], &settings["cap_drop"][0]),
            (&Value::Bool(true), &Value::from("ALL")),
            "{service}"
        );
    }
    for program in PROGRAMS {
        assert!(dockerfile.contains(&format!("target/release/{program}")), "{program} gets into the image");
    }
    let user = dockerfile.lines().find_map(|line| line.strip_prefix("USER ")).expect("it names a user");
    assert!(user.split(':').all(|id| id.parse::<u32>().is_ok_and(|id| id > 0)), "{user}");
    let migrated = |service: &str| services[service]["depends_on"]["migrate"]["condition"].clone();
    for service in ["api", "worker"] {
        assert_eq!(migrated(service), "service_completed_successfully", "{service}");
    }
}

#[test]
fn each_service_volume_and_network_that_is_named_is_there() {
    let compose = yaml("docker-compose.yml");
    let services = members(&compose, "services");
    let (volumes, networks) = (members(&compose, "volumes"), members(&compose, "networks"));
    for (name, service) in &services {
        let needs: Vec<&str> = match &service["depends_on"] {
            Value::Array(names) => names.iter().map(text).collect(),
            other => other.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect(),
        };
        assert!(needs.iter().all(|needed| services.contains_key(needed)), "{name} needs {needs:?}");
        assert!(list(service, "networks").iter().all(|network| networks.contains_key(network)), "{name}");
        for volume in list(service, "volumes") {
            let source = volume.split(':').next().expect("it has a source");
            match source.strip_prefix("./") {
                Some(path) => assert!(repository(path).exists(), "{name} mounts {path}"),
                None => assert!(volumes.contains_key(source), "{name} mounts {source}"),
            }
        }
    }
    let data: Vec<_> = services.iter().filter(|(_, service)| list(service, "networks").contains(&"data")).collect();
    assert!(data.iter().all(|(name, _)| ["postgres", "api", "worker", "migrate", "doctor"].contains(name)), "{data:?}");
}

#[test]
fn ports_and_paths_agree_from_the_image_to_prometheus() {
    let (compose, dockerfile) = (yaml("docker-compose.yml"), read("Dockerfile"));
    let services = members(&compose, "services");
    let environment = &services["api"]["environment"];
    let port = |name: &str| text(&environment[name]).rsplit(':').next().expect("a port").to_owned();
    let (api, metrics) = (port("API_ADDR"), port("METRICS_ADDR"));
    assert!(dockerfile.contains(&format!("API_ADDR=0.0.0.0:{api} METRICS_ADDR=0.0.0.0:{metrics}")));
    assert!(dockerfile.contains(&format!("EXPOSE {api}\n")));
    assert_eq!(list(services["api"], "ports"), [format!("127.0.0.1:{api}:{api}")]);
    for (name, service) in ours(&compose) {
        let published = list(service, "ports");
        assert!(published.iter().all(|port| !port.ends_with(&metrics)), "{name} publishes its metrics");
    }

    // Where the image looks for health, and Stripe's events go: paths that the API has.
    let document: Value = serde_json::from_str(&read("docs/openapi.json")).expect("JSON");
    let probe = dockerfile.split("GET ").nth(1).and_then(|rest| rest.split(' ').next()).expect("it is probed");
    assert!(document["paths"][probe].is_object(), "{probe}");
    let listen = list(services["stripe"], "command");
    let forwarded = listen.last().and_then(|target| target.strip_prefix(&format!("api:{api}"))).expect("to the API");
    assert!(document["paths"][forwarded].is_object(), "{forwarded}");
    let doctor = list(services["doctor"], "command").join(" ");
    assert!(doctor.contains(&format!("--api api:{metrics} --worker worker:{metrics}")), "{doctor}");

    // What Prometheus asks, and what Grafana asks Prometheus.
    let prometheus = yaml("grafana/prometheus.yml");
    for job in prometheus["scrape_configs"].as_array().expect("a list") {
        let found = &job["dns_sd_configs"][0];
        assert_eq!(found["port"].to_string(), metrics, "{job}");
        for name in list(found, "names") {
            assert!(list(services[name], "networks").contains(&"shop"), "Prometheus reaches {name}");
        }
    }
    let targets: Vec<_> = services.values().flat_map(|service| list(service, "volumes")).collect();
    let is_mounted = |path: &str| targets.iter().any(|volume| volume.split(':').nth(1) == Some(path));
    // A relative path is one from the configuration's folder.
    let (config, rules) = (Path::new("/etc/prometheus"), list(&prometheus, "rule_files"));
    let folders = rules.iter().filter_map(|rules| config.join(rules).parent().map(Path::to_path_buf));
    let folders: Vec<_> = folders.map(|folder| folder.display().to_string()).collect();
    assert!(!rules.is_empty() && folders.iter().all(|folder| is_mounted(folder)), "{folders:?}");
    let dashboards = yaml("grafana/provisioning/dashboards/kassa.yml");
    assert!(is_mounted(text(&dashboards["providers"][0]["options"]["path"])));
    let source = yaml("grafana/provisioning/datasources/prometheus.yml");
    assert_eq!(source["datasources"][0]["url"], "http://prometheus:9090");
    let images = text(&environment["OBJECT_STORE_URL"]).trim_start_matches("file:").to_owned();
    assert!(is_mounted(&images) && dockerfile.contains(&format!("--group=65532 {images}")), "{images}");
}

#[test]
fn the_image_is_built_from_what_the_engine_is_given() {
    let (ignored, cargo, dockerfile) = (read(".dockerignore"), read("Cargo.toml"), read("Dockerfile"));
    let given: BTreeSet<_> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let (_, members) = cargo.split_once("members = [").expect("it is a workspace");
    let members = members.split(']').next().unwrap_or_default();
    let needed = members.split(',').map(|member| member.trim().trim_matches('"')).filter(|member| !member.is_empty());
    for member in needed.chain(["Cargo.toml", "Cargo.lock", ".sqlx", "migrations"]) {
        assert!(given.contains(member), "{member} is not given to the engine");
        assert!(repository(member).exists(), "{member}");
    }
    let copied =
        dockerfile.lines().filter_map(|line| line.strip_prefix("COPY ")).filter(|line| !line.starts_with("--from"));
    for line in copied {
        let sources: Vec<_> = line.split(' ').collect();
        for source in &sources[..sources.len() - 1] {
            assert!(repository(source).exists(), "{source} is copied");
        }
    }
}

#[test]
fn units_run_programs_that_exist_with_variables_that_exist_and_little_else() {
    for (unit, command) in
        [("kassa-api", "kassa-api"), ("kassa-worker", "kassa-worker"), ("kassa-migrate", "kassa migrate")]
    {
        let text = read(&format!("deploy/systemd/{unit}.service"));
        let has = |line: &str| text.lines().any(|one| one == line);
        assert!(has(&format!("ExecStart=/usr/local/bin/{command}")), "{unit}");
        for hardened in
            ["User=kassa", "NoNewPrivileges=yes", "ProtectSystem=strict", "PrivateTmp=yes", "CapabilityBoundingSet="]
        {
            assert!(has(hardened), "{unit}: {hardened}");
        }
        let set = text.lines().filter_map(|line| line.strip_prefix("Environment=")).flat_map(|line| line.split(' '));
        for name in set.filter_map(|assignment| assignment.split('=').next()) {
            assert!(is_known(name), "{unit} sets {name}");
        }
    }
}
