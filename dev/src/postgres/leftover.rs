//! A server that outlived whoever started it: found by the file that it keeps in its data, and ended. Files that no server
//! stands behind any more (the process id in them may be another's by now) are taken away, else Postgres would refuse to start.

use std::{
    fs,
    io::ErrorKind,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::Path,
    time::Duration,
};

use nix::sys::signal::Signal;

use super::{PostgresError, doing};
use crate::process::Identity;

/// Ends the server of this data, if one runs.
pub(super) async fn end(data: &Path) -> Result<(), PostgresError> {
    let file = data.join("postmaster.pid");
    let Ok(text) = fs::read_to_string(&file) else { return Ok(()) };
    if let Some(server) = server_of(&text, data) {
        for (signal, patience) in [(Signal::SIGINT, 20), (Signal::SIGQUIT, 5), (Signal::SIGKILL, 5)] {
            server.signal(signal);
            if server.ended_within(Duration::from_secs(patience)).await {
                break;
            }
        }
    }
    let mut stale = vec![file];
    let beside = fs::read_dir(data.parent().unwrap_or(data)).into_iter().flatten().flatten();
    stale.extend(
        beside.filter(|entry| entry.file_name().as_bytes().starts_with(b".s.PGSQL.")).map(|entry| entry.path()),
    );
    for file in stale {
        match fs::remove_file(&file) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(doing(format!("removing {}", file.display()))(error));
            }
            _ => {}
        }
    }
    Ok(())
}

fn server_of(text: &str, data: &Path) -> Option<Identity> {
    let pid: u32 = text.lines().next()?.trim().parse().ok()?;
    let server = Identity::of(pid)?;
    works_in(pid, data).then_some(server)
}

/// The server's working folder is its data, under whatever name that is now.
fn works_in(pid: u32, data: &Path) -> bool {
    if Path::new("/proc/self").exists() {
        let place = |path: &Path| fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
        let working = place(Path::new(&format!("/proc/{pid}/cwd")));
        return working.is_some() && working == place(data);
    }
    let out = std::process::Command::new("ps").args(["-o", "command=", "-p", &pid.to_string()]).output();
    out.is_ok_and(|out| String::from_utf8_lossy(&out.stdout).contains("postgres"))
}
