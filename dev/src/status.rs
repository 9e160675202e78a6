//! `cargo dev status` and `cargo dev env`: what runs and how it is, for people and for shells.

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use chrono::Utc;
use futures::future::join_all;
use tokio::{net::TcpStream, time::timeout};

use crate::{
    client::http,
    home::Home,
    progress::print,
    state::{Part, Phase, State},
};

/// A healthy part answers at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// Each part with its process, address, age and health. Fails when the shop is not running or a part is not well.
pub(crate) async fn show(home: &Home) -> Result<ExitCode> {
    let state = State::running(home)?;
    let phase = match state.phase {
        Phase::Starting => "starting",
        Phase::Ready => "ready",
        Phase::Stopping => "stopping",
    };
    print(format_args!("The shop is {phase} (process {}).\n", state.supervisor.pid));
    let http = http();
    let health = join_all(state.parts.iter().map(|part| check(&http, part))).await;
    print(format_args!("  {:<18}{:<10}{:<12}{:<28}health", "", "process", "up for", "address"));
    for (part, health) in state.parts.iter().zip(&health) {
        let pid = part.process.as_ref().unwrap_or(&state.supervisor).pid;
        let age = age((Utc::now() - part.since).to_std().unwrap_or_default());
        let health = health.as_deref().unwrap_or("well");
        print(format_args!("  {:<18}{pid:<10}{age:<12}{:<28}{health}", part.name, part.url));
    }
    Ok(if health.iter().all(Option::is_none) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is wrong with a part, if anything is.
async fn check(http: &reqwest::Client, part: &Part) -> Option<String> {
    if part.process.as_ref().is_some_and(|process| !process.is_running()) {
        return Some("has ended".into());
    }
    if part.health.starts_with("http") {
        return match http.get(&part.health).timeout(PATIENCE).send().await {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("answers {}", answer.status())),
            Err(_) => Some("does not answer".into()),
        };
    }
    match timeout(PATIENCE, TcpStream::connect(&part.health)).await {
        Ok(Ok(_)) => None,
        _ => Some("takes no connections".into()),
    }
}

fn age(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// Lines that a shell takes: `eval "$(cargo dev env)"`.
pub(crate) fn environment(home: &Home) -> Result<ExitCode> {
    let state = State::ready(home)?;
    for (name, value) in state.access.variables() {
        print(format_args!("export {name}={}", quoted(value)));
    }
    Ok(ExitCode::SUCCESS)
}

/// For every POSIX shell: nothing is special between single quotes but a single quote.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        let nasty = "a'b\"c$(id)`id`\\ d\n; e!";
        let script = format!("printf %s {}", quoted(nasty));
        let output = std::process::Command::new("sh").args(["-c", &script]).output().expect("a shell");
        assert_eq!(String::from_utf8_lossy(&output.stdout), nasty);
    }

    #[test]
    fn ages_are_short() {
        let age = |seconds| age(Duration::from_secs(seconds));
        assert_eq!([age(5), age(125), age(7260)], ["5 s", "2 min", "2 h 1 min"]);
    }
}
