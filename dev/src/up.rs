//! `cargo dev`: starts the shop, watches over it, and stops it when it is told to, or when a part of it dies.

use std::{path::Path, process::ExitCode};

use anyhow::{Result, bail};

use crate::{
    home::Home,
    programs::Programs,
    progress::{Step, alert, note, print, seconds},
    settings::Settings,
    shop::Shop,
    signals::Signals,
    state::State,
    table,
};

/// Runs the shop in the foreground until a signal comes. `built` is a folder with its programs; they are built without it.
/// `detached` leaves the table to whoever waits for this process.
pub(crate) async fn run(home: &Home, release: bool, built: Option<&Path>, detached: bool) -> Result<ExitCode> {
    let mut signals = Signals::listen()?;
    home.make()?;
    let Some(_lock) = home.lock()? else { bail!(runs_already(home)) };
    let settings = read_settings()?;
    let programs = tokio::select! {
        programs = find_programs(home, release, built) => programs?,
        _ = signals.next() => return Ok(ExitCode::FAILURE),
    };

    let began = std::time::Instant::now();
    let mut shop = Shop::new(home, &settings);
    let started = tokio::select! {
        started = shop.start(&programs) => started.map(|()| true),
        _ = signals.next() => Ok(false),
    };
    let outcome = match started {
        Ok(true) => {
            if !detached {
                print(format_args!(
                    "\nThe shop is ready after {}.\n\n{}",
                    seconds(began.elapsed()),
                    table::of(&shop.state, home, false)
                ));
            }
            watch(&mut shop, &mut signals).await
        }
        Ok(false) => Err(anyhow::anyhow!("interrupted before the shop was ready")),
        Err(error) => Err(error),
    };
    if let Err(error) = &outcome {
        alert(format_args!("\nerror: {error:#}\n"));
    }
    stop(&mut shop, &mut signals).await?;
    Ok(if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Settings, with what is left unheeded said.
pub(crate) fn read_settings() -> Result<Settings> {
    let settings = Settings::from_environment()?;
    for remark in &settings.remarks {
        note(remark);
    }
    Ok(settings)
}

/// The programs, built unless they were.
pub(crate) async fn find_programs(home: &Home, release: bool, built: Option<&Path>) -> Result<Programs> {
    if let Some(folder) = built {
        return Programs::within(folder);
    }
    print("Building kassa-api, kassa-worker and kassa (the first time takes minutes)");
    let began = std::time::Instant::now();
    let programs = Programs::build(home, release).await?;
    print(format_args!("Built after {}. Starting the shop", seconds(began.elapsed())));
    Ok(programs)
}

/// What to say to a second start.
pub(crate) fn runs_already(home: &Home) -> String {
    match State::running(home) {
        Ok(state) if !state.access.api.is_empty() => {
            format!(
                "the shop runs already at {} (see `cargo dev status`, stop it with `cargo dev stop`)",
                state.access.api
            )
        }
        _ => "another `cargo dev` is just building or starting this shop".into(),
    }
}

async fn watch(shop: &mut Shop<'_>, signals: &mut Signals) -> Result<()> {
    tokio::select! {
        told = shop.unexpected_end() => bail!(told),
        _ = signals.next() => Ok(()),
    }
}

async fn stop(shop: &mut Shop<'_>, signals: &mut Signals) -> Result<()> {
    if !shop.has_parts() {
        return shop.stop().await;
    }
    print("\nStopping (again: at once)");
    let began = Step::begin("stopping");
    let hurry = tokio::select! {
        stopped = shop.stop() => { stopped?; false }
        _ = signals.next() => true,
    };
    if hurry {
        shop.kill().await?;
    }
    began.done("the shop is stopped; its data stays");
    Ok(())
}
