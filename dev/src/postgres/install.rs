//! What to type on this system to get a Postgres server.

use std::fs;

/// Tells that there is no server, and what to do about it.
pub(super) fn message(oldest: u32) -> String {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let command = if cfg!(target_os = "macos") { Some("brew install postgresql@17") } else { command(&release) };
    let sudo = if nix::unistd::Uid::effective().is_root() || cfg!(target_os = "macos") { "" } else { "sudo " };
    let install = match command {
        Some(command) => format!("Install one:\n\n    {sudo}{command}\n\n"),
        None => "Install one with your system's package manager. ".to_owned(),
    };
    format!(
        "No PostgreSQL server ({oldest} or newer) is on this machine. {install}The server need not run: only its programs are \
         used. If they are in an unusual place, name the folder in PG_BIN; to use a database that runs already, set DATABASE_URL."
    )
}

/// By the name of the distribution, or of those that it is like. What some of them call contrib holds extensions that the shop
/// uses.
fn command(release: &str) -> Option<&'static str> {
    let value = |name: &str| {
        let line = release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or_default().trim_matches(['"', '\'']).to_owned()
    };
    let names = format!("{} {}", value("ID"), value("ID_LIKE"));
    names.split_ascii_whitespace().find_map(|name| match name {
        "debian" | "ubuntu" => Some("apt-get install postgresql"),
        "fedora" | "rhel" | "centos" | "rocky" | "almalinux" => {
            Some("dnf install postgresql-server postgresql-contrib")
        }
        "arch" => Some("pacman -S postgresql"),
        "alpine" => Some("apk add postgresql postgresql-contrib"),
        "suse" | "opensuse" => Some("zypper install postgresql-server postgresql-contrib"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_that_of_the_distribution_or_of_what_it_is_like() {
        assert_eq!(command("NAME=\"Debian GNU/Linux\"\nID=debian\n"), Some("apt-get install postgresql"));
        assert_eq!(command("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"), Some("apt-get install postgresql"));
        assert_eq!(command("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"").map(|c| &c[..3]), Some("dnf"));
        assert_eq!(command("ID=alpine"), Some("apk add postgresql postgresql-contrib"));
        assert_eq!(command("ID=manjaro\nID_LIKE=arch"), Some("pacman -S postgresql"));
        assert_eq!(command("ID=plan9"), None);
        assert_eq!(command(""), None);
    }

    #[test]
    fn the_message_names_the_ways_out() {
        let message = message(14);
        assert!(message.contains("PG_BIN") && message.contains("DATABASE_URL") && message.contains("14"));
    }
}
