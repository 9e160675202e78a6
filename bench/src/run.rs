//! A run: the ground is made, the rows are measured one after the other, and what was found is told.

use std::{path::PathBuf, time::Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use crate::{
    figures::Figures,
    ground::Ground,
    options::{Options, Scale},
    programs::{self, workspace},
    progress::{Step, note, seconds},
    report::{Report, Row},
    rows::{
        self, Bench,
        growth::{self, GROWTH},
    },
    store::Store,
    subjects::Subject,
};

/// Measures what the options ask for. Where that comes to no good end, what was measured before is written down all the same, but not among
/// the documents.
///
/// # Errors
/// When something can't be measured.
pub(crate) async fn run(options: &Options) -> Result<()> {
    let names = wanted(options, &rows::NAMES);
    let grown_names = wanted_grown(options);
    ensure!(!names.is_empty() || !grown_names.is_empty(), "no row is called so; `--list` shows their names");
    let scale = Scale::of(options);
    if !programs::is_released() {
        note("this is a debug build: the figures mean nothing; `cargo bench-shop` makes the right one");
    }
    let ground = Ground::prepare().await?;
    let mut store = Store::fill(&ground, "shop", scale).await?;
    let mut circumstances = circumstances(options, &store).await?;
    let began = Instant::now();
    let mut measured = Vec::new();
    let outcome = measure(&ground, &mut store, scale, (&names, &grown_names), &mut measured).await;
    store.close().await;
    let most =
        |of: fn(&Row) -> Option<Figures>| measured.iter().filter_map(of).map(|side| side.generator).fold(0.0, f64::max);
    circumstances.push(format!(
        "the load generator kept {:.2} cores busy at most against the shop, and {:.2} against its limits",
        most(|row| row.ours),
        most(|row| row.theirs)
    ));
    circumstances.push(format!("measured within {}", seconds(began.elapsed())));
    if let Err(error) = &outcome {
        circumstances.push(format!("not all of it: {error:#}"));
    }
    let report = Report { rows: measured, circumstances };
    println!("{}", report.table());
    let folder = options.out.clone().unwrap_or_else(|| usual_folder(options, outcome.is_ok()));
    report.write(&folder)?;
    ground.pgbench.hand_over(&folder.join("pgbench"))?;
    if let Some(file) = &options.json {
        std::fs::write(file, report.json()).with_context(|| format!("writing {}", file.display()))?;
    }
    note(format_args!("written to {}", folder.display()));
    outcome
}

/// Measures these rows, and those on grown tables, as far as it gets.
async fn measure(
    ground: &Ground,
    store: &mut Store,
    scale: Scale,
    (names, grown_names): (&[&str], &[(&str, Subject)]),
    measured: &mut Vec<Row>,
) -> Result<()> {
    for name in names {
        let step = Step::begin(name);
        let mut bench = Bench { ground, store, scale };
        let found = rows::measure(name, &mut bench).await.with_context(|| format!("measuring {name}"))?;
        step.done(found.iter().map(told).collect::<Vec<_>>().join("; "));
        measured.extend(found);
    }
    if grown_names.is_empty() {
        return Ok(());
    }
    let mut grown = Store::fill(ground, "shop_grown", scale.grown()).await?;
    for (name, subject) in grown_names {
        let step = Step::begin(name);
        let row = growth::measure((name, *subject), ground, store, &mut grown, &scale).await;
        let row = row.with_context(|| format!("measuring {name}"))?;
        step.done(told(&row));
        measured.push(row);
    }
    grown.close().await;
    Ok(())
}

/// The rows whose names begin as asked for; without a wish all, but those that a quick run has no time for.
fn wanted(options: &Options, names: &[&'static str]) -> Vec<&'static str> {
    let is_wanted = |name: &&&str| match options.rows.as_slice() {
        [] => !(options.quick && rows::SLOW.contains(name)),
        asked => asked.iter().any(|asked| name.starts_with(asked.as_str())),
    };
    names.iter().filter(is_wanted).copied().collect()
}

fn wanted_grown(options: &Options) -> Vec<(&'static str, Subject)> {
    if !options.growth {
        return vec![];
    }
    let wanted = wanted(options, &GROWTH.map(|(name, _)| name));
    GROWTH.into_iter().filter(|(name, _)| wanted.contains(name)).collect()
}

/// What belongs to the documents is a whole run on a quiet machine; anything else goes where nobody takes it for that.
fn usual_folder(options: &Options, has_ended_well: bool) -> PathBuf {
    let is_asked_for = options.rows.is_empty() && !options.quick && !options.tiny && programs::is_released();
    if is_asked_for && has_ended_well {
        workspace().join("docs/performance")
    } else {
        workspace().join("target/bench-shop")
    }
}

/// What a reader has to know to judge the figures.
async fn circumstances(options: &Options, store: &Store) -> Result<Vec<String>> {
    let version: String = sqlx::query_scalar("SHOW server_version").fetch_one(&store.pool).await?;
    let settings = "SELECT string_agg(name || ' = ' || current_setting(name), ', ' ORDER BY name) FROM pg_settings
                    WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes', 'shared_buffers', 'max_wal_size')";
    let settings: String = sqlx::query_scalar(settings).fetch_one(&store.pool).await?;
    let scale = store.scale;
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kind = match options {
        Options { tiny: true, .. } => "a try, whose figures mean nothing",
        Options { quick: true, .. } => "quick",
        _ => "full",
    };
    let build = if programs::is_released() { "release" } else { "debug, so the figures mean nothing" };
    Ok(vec![
        format!(
            "{kind} run of a {build} build on {cores} cores; all of it, load generator and Postgres included, on this machine"
        ),
        format!("PostgreSQL {version}: {settings}"),
        format!("{} products, {} accounts, {} past orders", scale.products, scale.accounts, scale.past),
        format!(
            "{} rounds of {} each; latencies over {} at half the rate that the slower side can do",
            scale.rounds,
            seconds(scale.window),
            seconds(scale.latency_window)
        ),
        format!("load of the machine before: {}", load()),
        format!("revision {}", revision().await.unwrap_or_else(|| "unknown".to_owned())),
    ])
}

/// What is measured, as git calls it; `-dirty` where something was changed since.
async fn revision() -> Option<String> {
    let mut git = Command::new("git");
    git.args(["describe", "--always", "--dirty", "--exclude=*"]).current_dir(workspace());
    let told = git.output().await.ok().filter(|told| told.status.success())?;
    Some(String::from_utf8_lossy(&told.stdout).trim().to_owned())
}

/// The processes that wanted to run, over the last minute.
fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().filter(|load| !load.is_empty()).unwrap_or("unknown").to_owned()
}

/// A row in a line.
fn told(row: &Row) -> String {
    let ratio = row.ratio.map_or(String::new(), |ratio| format!(" {:.2}", ratio.median));
    let generator = row.ours.map(|ours| format!("; the load generator took {:.2} of a core", ours.generator));
    format!("{}:{ratio}{}", row.title, generator.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn names(arguments: &[&str]) -> Vec<&'static str> {
        wanted(&Options::parse_from([&["bench"], arguments].concat()), &rows::NAMES)
    }

    #[test]
    fn rows_are_asked_for_by_the_beginning_of_their_names() {
        assert_eq!(names(&[]), rows::NAMES);
        assert_eq!(names(&["--row", "checkout", "--row", "start"]), ["checkout", "checkout_hot", "start"]);
        assert_eq!(names(&["--row", "nothing"]), [""; 0]);
        assert_eq!(names(&["--quick"]).len() + rows::SLOW.len(), rows::NAMES.len());
        assert_eq!(names(&["--quick", "--row", "jobs_pg"]), ["jobs_pg_boss"]);
    }

    #[test]
    fn growth_is_measured_where_it_is_asked_for() {
        let grown = |arguments: &[&str]| wanted_grown(&Options::parse_from([&["bench"], arguments].concat())).len();
        assert_eq!(
            [grown(&[]), grown(&["--growth"]), grown(&["--growth", "--row", "growth_jobs"])],
            [0, GROWTH.len(), 1]
        );
    }
}
