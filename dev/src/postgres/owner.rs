//! Who runs the server. Postgres refuses to run as root; as root it runs as another user, who must be able to reach its data.

use std::{
    ffi::OsStr,
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::Path,
};

use nix::unistd::{Uid, User};
use tokio::process::Command;

use super::PostgresError;

/// The user that the server runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// Whoever runs this.
    Caller,
    /// Another one, since the caller is root.
    Other { uid: u32, gid: u32 },
}

impl Owner {
    /// Whoever made the data, if it is there; as root `postgres`, or else `nobody`.
    pub(super) fn of(data: &Path) -> Result<Self, PostgresError> {
        let made_by = fs::metadata(data).ok().map(|made| (made.uid(), made.gid()));
        let caller = Uid::effective();
        if !caller.is_root() {
            return match made_by {
                Some((uid, _)) if uid != caller.as_raw() => Err(PostgresError::NotOurs(data.to_owned())),
                _ => Ok(Self::Caller),
            };
        }
        if let Some((uid, gid)) = made_by.filter(|(uid, _)| *uid != 0) {
            return Ok(Self::Other { uid, gid });
        }
        let known = |name| User::from_name(name).ok().flatten();
        let user = known("postgres").or_else(|| known("nobody")).ok_or(PostgresError::NoUser)?;
        Ok(Self::Other { uid: user.uid.as_raw(), gid: user.gid.as_raw() })
    }

    /// A command that this user will run, in a process group of its own: a Ctrl-C at the terminal is not for it.
    pub(super) fn command(self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/").process_group(0).env("LC_ALL", "C").env_remove("PGDATA").env_remove("PGPORT");
        if let Self::Other { uid, gid } = self {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Makes a folder that only this user can enter (and root, who made it).
    pub(super) fn make_private(self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
        self.give(folder)
    }

    /// Makes this user the owner.
    pub(super) fn give(self, path: &Path) -> io::Result<()> {
        match self {
            Self::Caller => Ok(()),
            Self::Other { uid, gid } => chown(path, Some(uid), Some(gid)),
        }
    }

    /// Whether this user can enter the folder: a folder above it may be closed, as root's home is.
    pub(super) async fn reaches(self, folder: &Path) -> bool {
        self.command("true").current_dir(folder).status().await.is_ok_and(|status| status.success())
    }
}
