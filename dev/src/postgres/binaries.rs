//! Where the server's programs are. Distributions keep several versions side by side, mostly off the PATH; what counts is that
//! the files are there (Debian's `pg_config` names a folder even where the server is not installed).

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::install;

/// The oldest version that the shop runs on.
const OLDEST: u32 = 14;

/// Folders that hold one folder per version: the folder, what comes before the version, what comes after.
const VERSIONED: &[(&str, &str, &str)] = &[
    ("/usr/lib/postgresql", "", "bin"),                          // Debian, Ubuntu
    ("/usr", "pgsql-", "bin"),                                   // PostgreSQL's own packages for Fedora and RHEL
    ("/usr/lib", "postgresql", "bin"),                           // openSUSE
    ("/usr/lib64", "postgresql-", "bin"),                        // Gentoo
    ("/usr/libexec", "postgresql", ""),                          // Alpine
    ("/opt/homebrew/opt", "postgresql@", "bin"),                 // Homebrew on Apple's processors
    ("/usr/local/opt", "postgresql@", "bin"),                    // Homebrew on Intel's
    ("/home/linuxbrew/.linuxbrew/opt", "postgresql@", "bin"),    // Homebrew on Linux
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"), // Postgres.app
    ("/usr/local/pgsql", "", "bin"),                             // built from source
];

/// Folders that hold one version, whichever it is.
const PLAIN: &[&str] = &["/usr/bin", "/usr/local/bin", "/opt/homebrew/bin", "/usr/local/pgsql/bin"];

/// A folder with a server's programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// Holds `postgres` and `initdb`.
    pub folder: PathBuf,
    /// The major version.
    pub version: u32,
}

impl Binaries {
    /// One of the programs.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Why there are no programs to run a server with. Says what to do.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// There is none at all.
    #[error("{0}")]
    None(String),
    /// `PG_BIN` names a folder without them.
    #[error("PG_BIN is {0}, which holds no postgres and initdb of PostgreSQL {OLDEST} or newer")]
    Given(PathBuf),
    /// The data needs another version than those that are here.
    #[error(
        "the data was made by PostgreSQL {needed}, but only {} is here: install PostgreSQL {needed}, or name the folder of its \
         programs in PG_BIN, or wipe the data with `cargo dev reset`",
        list(.found)
    )]
    Version {
        /// The major version that made the data.
        needed: u32,
        /// Those that are here.
        found: Vec<u32>,
    },
}

fn list(versions: &[u32]) -> String {
    versions.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

/// Finds the programs: those in `PG_BIN` if it is set, else the newest on this machine, or of the version `needed`.
///
/// # Errors
/// When there are none; the message tells how to install them here.
pub fn find(needed: Option<u32>) -> Result<Binaries, FindError> {
    let given = env::var_os("PG_BIN").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let found = match &given {
        Some(folder) => inspect(vec![folder.clone()]),
        None => inspect(candidates(Path::new("/"), env::var_os("PATH").as_deref())),
    };
    match (needed, given) {
        (_, Some(folder)) if found.is_empty() => Err(FindError::Given(folder)),
        (_, None) if found.is_empty() => Err(FindError::None(install::message(OLDEST))),
        (None, _) => Ok(found[0].clone()),
        (Some(needed), _) => found.iter().find(|binaries| binaries.version == needed).cloned().ok_or_else(|| {
            let mut versions: Vec<u32> = found.iter().map(|binaries| binaries.version).collect();
            versions.dedup();
            FindError::Version { needed, found: versions }
        }),
    }
}

/// The folders below `root` that hold a server's programs, unordered.
fn candidates(root: &Path, path: Option<&OsStr>) -> Vec<PathBuf> {
    let below = |folder: &str| root.join(folder.trim_start_matches('/'));
    let mut folders = Vec::new();
    for (base, before, after) in VERSIONED {
        for entry in fs::read_dir(below(base)).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let version = name.to_str().and_then(|name| name.strip_prefix(before));
            if version.is_some_and(|version| version.starts_with(|first: char| first.is_ascii_digit())) {
                folders.push(entry.path().join(after));
            }
        }
    }
    folders.extend(PLAIN.iter().map(|folder| below(folder)));
    folders.extend(path.into_iter().flat_map(env::split_paths).filter(|folder| folder.is_absolute()));
    folders.retain(|folder| folder.join("postgres").is_file() && folder.join("initdb").is_file());
    folders
}

/// Asks each for its version: the newest first, each once, those too old left out.
fn inspect(folders: Vec<PathBuf>) -> Vec<Binaries> {
    let mut found: Vec<Binaries> = Vec::new();
    for folder in folders {
        let Some(version) = version_of(&folder.join("postgres")).filter(|version| *version >= OLDEST) else { continue };
        if !found.iter().any(|known| known.folder == folder) {
            found.push(Binaries { folder, version });
        }
    }
    found.sort_by_key(|binaries| std::cmp::Reverse(binaries.version));
    found
}

fn version_of(postgres: &Path) -> Option<u32> {
    let out = Command::new(postgres).arg("--version").output().ok()?;
    parse_version(&String::from_utf8_lossy(&out.stdout))
}

/// `postgres (PostgreSQL) 17beta1 (…)` → 17.
fn parse_version(line: &str) -> Option<u32> {
    let rest = line.split_once("(PostgreSQL)")?.1.trim_start();
    let digits = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A root folder with programs that say they are these versions.
    fn machine(installed: &[(&str, &str)]) -> PathBuf {
        let root = env::temp_dir().join(format!("kassa-binaries-{}", uuid::Uuid::new_v4()));
        for (folder, version) in installed {
            let folder = root.join(folder);
            fs::create_dir_all(&folder).expect("the folder for temporary files can be written");
            for name in ["postgres", "initdb"] {
                let file = folder.join(name);
                fs::write(&file, format!("#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")).expect("written");
                fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("ours");
            }
        }
        root
    }

    fn versions(root: &Path, path: Option<&OsStr>) -> Vec<u32> {
        let found = inspect(candidates(root, path));
        fs::remove_dir_all(root).expect("ours");
        found.iter().map(|binaries| binaries.version).collect()
    }

    #[test]
    fn the_newest_of_several_versions_comes_first_and_old_ones_are_left_out() {
        let root = machine(&[
            ("usr/lib/postgresql/13/bin", "13.14"),
            ("usr/lib/postgresql/15/bin", "15.8 (Debian 15.8-1)"),
            ("usr/pgsql-17/bin", "17beta1"),
            ("opt/homebrew/opt/postgresql@16/bin", "16.3 (Homebrew)"),
            ("usr/libexec/postgresql14", "14.2"),
        ]);
        assert_eq!(versions(&root, None), [17, 16, 15, 14]);
    }

    #[test]
    fn a_folder_without_the_servers_files_does_not_count() {
        let root = machine(&[("usr/lib/postgresql/15/bin", "15.8")]);
        fs::remove_file(root.join("usr/lib/postgresql/15/bin/postgres")).expect("made above");
        assert_eq!(versions(&root, None), [0_u32; 0]);
    }

    #[test]
    fn a_folder_on_the_path_is_found() {
        let root = machine(&[("home/me/pg/bin", "16.1")]);
        let path = root.join("home/me/pg/bin");
        assert_eq!(versions(&root, Some(path.as_os_str())), [16]);
    }

    #[test]
    fn versions_are_read_from_what_the_server_says() {
        assert_eq!(parse_version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(parse_version("postgres (PostgreSQL) 18devel"), Some(18));
        assert_eq!(parse_version("command not found"), None);
    }
}
