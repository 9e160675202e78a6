//! The rules of alerts, and the runbooks that they lead to. That they fire at a shop which needs somebody is in `operating`.

mod placeholders;
mod texts;

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use crate::harness::{Shop, eventually, files, repository, rules, tool};

/// Runs promtool, which must be content.
fn promtool(arguments: &[&str], files: &[impl AsRef<Path>], folder: &Path) {
    let mut promtool = Command::new(tool("promtool"));
    promtool.args(arguments).args(files.iter().map(AsRef::as_ref)).current_dir(folder);
    let ended = promtool.output().expect("it can be run");
    let told = String::from_utf8_lossy(&ended.stdout) + String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "promtool {arguments:?}:\n{told}");
}

#[test]
fn promtool_finds_no_fault_with_the_rules_and_each_fires_as_it_should() {
    let folder = repository("grafana/alerts/tests");
    promtool(&["check", "rules"], &files("grafana/alerts", "yml"), &folder);
    promtool(&["test", "rules"], &files("grafana/alerts/tests", "yml"), &folder);
    promtool(&["check", "config"], &[repository("grafana/prometheus.yml")], &folder);
}

#[test]
fn each_alert_says_what_to_do_and_is_tested_firing_and_not() {
    let read = |path| fs::read_to_string(path).expect("it can be read");
    let tests: String = files("grafana/alerts/tests", "yml").into_iter().map(read).collect();
    let index = read(repository("docs/runbooks/README.md"));
    let rules = rules();
    assert!(rules.len() > 25, "{rules:?}");
    let mut led_to = BTreeSet::new();
    for rule in &rules {
        let name = &rule.name;
        let expected =
            format!("exp_samples: [{{ labels: '{{alertname=\"{name}\", severity=\"{}\"}}', value: ", rule.severity);
        assert!(tests.contains(&expected), "{name} has no test in which it fires: {expected}");
        let quiet = format!("- expr: ALERTS{{alertname=\"{name}\",alertstate=\"firing\"}}");
        let nothing = tests.split(&quiet).nth(1).and_then(|after| after.lines().nth(2)).map(str::trim);
        assert_eq!(nothing, Some("exp_samples: []"), "{name} has no test in which it does not fire");
        assert!(["critical", "warning"].contains(&rule.severity.as_str()), "{rule:?}");
        assert!(!rule.summary.is_empty() && rule.description.len() > 50 && !rule.expression.is_empty(), "{rule:?}");
        let runbook = fs::read_to_string(repository(&rule.runbook)).unwrap_or_else(|error| panic!("{error}: {rule:?}"));
        assert!(runbook.contains(&format!("**{name}**")), "{} does not speak of {name}", rule.runbook);
        for part in ["What it means", "How to see it", "What to type", "Afterwards"] {
            assert!(runbook.contains(&format!("\n## {part}\n")), "{} lacks {part:?}", rule.runbook);
        }
        let file = rule.runbook.trim_start_matches("docs/runbooks/");
        assert!(index.contains(name) && index.contains(&format!("({file})")), "the index lacks {name} or {file}");
        led_to.insert(repository(&rule.runbook));
    }
    let all: BTreeSet<_> =
        files("docs/runbooks", "md").into_iter().filter(|path| !path.ends_with("README.md")).collect();
    assert_eq!(led_to, all, "each runbook has its alert");
}

#[test]
fn each_link_to_a_runbook_leads_to_one() {
    let mut links = 0;
    for file in [files("grafana/dashboards", "json"), files("docs/runbooks", "md")].concat() {
        let text = fs::read_to_string(&file).expect("it can be read");
        let before: &[&str] =
            if file.extension().is_some_and(|found| found == "md") { &["]("] } else { &["runbooks/", "runbooks}/"] };
        for link in before.iter().flat_map(|before| text.split(before).skip(1)) {
            let name = link.split_once(".md").map_or(link, |(name, _)| name);
            assert!(repository(format!("docs/runbooks/{name}.md")).is_file(), "{}: {name:.80}", file.display());
            links += 1;
        }
    }
    assert!(links > 30, "{links}");
}

/// What an expression asks for: the name of a metric, and the labels that must have a value.
fn selectors(expression: &str) -> Vec<(String, Vec<String>)> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for start in ["kassa_", "process_"] {
        for (at, _) in expression.match_indices(start) {
            if expression[..at].ends_with(is_of_name) || expression[..at].ends_with('"') {
                continue;
            }
            let name: String = expression[at..].chars().take_while(|c| is_of_name(*c)).collect();
            let rest = &expression[at + name.len()..];
            let labels =
                rest.strip_prefix('{').and_then(|rest| rest.split_once("\"}").map(|(labels, _)| format!("{labels}\"")));
            let labels = labels.unwrap_or_default();
            let exact = labels.split(',').filter(|label| label.contains("=\"") && !label.starts_with("job="));
            found.push((name, exact.map(str::to_owned).filter(|label| !label.contains("!=")).collect()));
        }
    }
    found
}

#[test]
fn what_an_expression_asks_for_is_understood() {
    let asked =
        selectors(r#"sum(rate(kassa_a_total{b="c",d=~"e|f",g!~"h"}[5m])) > 0 or max(process_x{job="kassa-y"})"#);
    let expected = [("kassa_a_total", vec![r#"b="c""#]), ("process_x", vec![])];
    let asked: Vec<_> =
        asked.iter().map(|(name, labels)| (name.as_str(), labels.iter().map(String::as_str).collect())).collect();
    assert_eq!(asked, expected);
}

#[tokio::test]
async fn each_figure_that_a_rule_asks_for_is_there_from_the_start_and_each_histogram_after_an_order() {
    let shop = Shop::start().await;
    let asked: BTreeSet<_> = rules().iter().flat_map(|rule| selectors(&rule.expression)).collect();
    assert!(asked.len() > 20, "{asked:?}");
    // Requests have a histogram, and jobs; it is there once the first one was measured.
    let (measured, counted): (BTreeSet<_>, BTreeSet<_>) =
        asked.into_iter().partition(|(name, _)| name.ends_with("_bucket"));
    assert!(!measured.is_empty(), "{counted:?}");
    are_exposed(&shop, &counted).await;
    let order = shop.order(&shop.shopper().await, &shop.product(500, 5).await, 1).await;
    assert_eq!(order["status"], "awaiting_payment");
    are_exposed(&shop, &measured).await;
    shop.finish().await;
}

/// Waits until the API or the worker has each of these figures, by name and labels.
async fn are_exposed(shop: &Shop, asked: &BTreeSet<(String, Vec<String>)>) {
    eventually("the figures are there", async || {
        let [api, worker] = shop.operations();
        let all = api.get("/metrics").await.raw + &worker.get("/metrics").await.raw;
        let has = |(name, labels): &(String, Vec<String>)| {
            let name = name.strip_suffix("_bucket").unwrap_or(name);
            all.lines().any(|line| match line.strip_prefix("# HELP ").and_then(|rest| rest.strip_prefix(name)) {
                Some(rest) => labels.is_empty() && rest.starts_with(' '),
                None => {
                    line.starts_with(&format!("{name}{{")) && labels.iter().all(|label| line.contains(label.as_str()))
                }
            })
        };
        let missing: Vec<_> = asked.iter().filter(|asked| !has(asked)).collect();
        println!("{} are missing: {missing:?}", missing.len());
        missing.is_empty().then_some(())
    })
    .await;
}
