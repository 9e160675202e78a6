//! Where a durable cluster is. Mostly where it was asked for; as root, in a checkout that no other user can enter (root's home
//! is closed), it is under /var/lib, and what was asked for is a symbolic link to it.

use std::{
    fs, io,
    os::unix::{
        ffi::OsStrExt,
        fs::{PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
};

use serde_json::json;
use sha2::{Digest, Sha256};

use super::{PostgresError, doing, leftover, owner::Owner};
use crate::files::write_private;

/// Says that `cargo dev` made the cluster, so that it may wipe it.
const MARKER: &str = "kassa-dev.json";

/// Clusters that can't be where they were asked for.
const ELSEWHERE: &str = "/var/lib/kassa-dev";

/// Where a cluster is, or will be.
#[derive(Debug)]
pub struct Place {
    /// As asked for; a link to the folder where that is elsewhere.
    asked: PathBuf,
    /// Holds the cluster.
    folder: PathBuf,
}

impl Place {
    /// Finds the place for the cluster asked for in `asked`, and makes and marks it.
    ///
    /// # Errors
    /// When it can't be made, or holds something that `cargo dev` did not make.
    pub async fn prepare(asked: &Path) -> Result<Self, PostgresError> {
        let parent = asked.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(parent).map_err(doing(format!("making {}", parent.display())))?;
        let parent = parent.canonicalize().map_err(doing(format!("finding {}", parent.display())))?;
        let asked = parent.join(asked.file_name().unwrap_or_default());
        if let Ok(folder) = asked.canonicalize() {
            return Ok(Self { asked, folder });
        }
        if asked.is_symlink() {
            fs::remove_file(&asked).map_err(doing(format!("removing the broken link {}", asked.display())))?;
        }
        let owner = Owner::of(&asked.join("data"))?;
        let folder = if owner.reaches(&parent).await { asked.clone() } else { elsewhere(&asked).await? };
        owner.make_private(&folder).map_err(doing(format!("making {}", folder.display())))?;
        let marker = json!({ "made_by": "cargo dev", "for": asked }).to_string();
        write_private(&folder.join(MARKER), &marker).map_err(doing(format!("marking {}", folder.display())))?;
        if folder != asked {
            symlink(&folder, &asked).map_err(doing(format!("linking {}", asked.display())))?;
        }
        Ok(Self { asked, folder })
    }

    /// The folder for [`super::Cluster::durable`].
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether the cluster is not where it was asked for.
    #[must_use]
    pub fn is_elsewhere(&self) -> bool {
        self.folder != self.asked
    }
}

/// Whether `cargo dev` made what is in this folder. `None` if nothing is there.
#[must_use]
pub fn made_by_us(asked: &Path) -> Option<bool> {
    let folder = asked.canonicalize().ok()?;
    Some(folder.join(MARKER).is_file())
}

/// Stops a server that a crash left over there.
///
/// # Errors
/// When it can't be stopped, or leaves files that can't be removed.
pub async fn end_leftover(asked: &Path) -> Result<(), PostgresError> {
    match asked.canonicalize() {
        Ok(folder) => leftover::end(&folder.join("data")).await,
        Err(_) => Ok(()),
    }
}

/// Stops what may run there and removes it, wherever it is.
///
/// # Errors
/// When something can't be removed.
pub async fn wipe(asked: &Path) -> Result<(), PostgresError> {
    if let Ok(folder) = asked.canonicalize() {
        end_leftover(&folder).await?;
        fs::remove_dir_all(&folder).map_err(doing(format!("removing {}", folder.display())))?;
        if folder.parent() == Some(Path::new(ELSEWHERE)) {
            let _others_are_there = fs::remove_dir(ELSEWHERE);
        }
    }
    if asked.is_symlink() {
        fs::remove_file(asked).map_err(doing(format!("removing {}", asked.display())))?;
    }
    Ok(())
}

/// A folder that the server's user can reach, always the same for this checkout. What an earlier shop of this checkout left
/// there, whose own folder is gone, is removed. Not in a folder for temporary files: those are tidied up file by file.
async fn elsewhere(asked: &Path) -> Result<PathBuf, PostgresError> {
    let all = Path::new(ELSEWHERE);
    let open = fs::create_dir_all(all).and_then(|()| fs::set_permissions(all, fs::Permissions::from_mode(0o755)));
    open.map_err(doing(format!("making {ELSEWHERE}")))?;
    let folder = all.join(hex::encode(&Sha256::digest(asked.as_os_str().as_bytes())[..8]));
    match made_by_us(&folder) {
        Some(true) => wipe(&folder).await?,
        Some(false) => {
            return Err(doing(format!("{} is in the way", folder.display()))(io::ErrorKind::AlreadyExists.into()));
        }
        None => {}
    }
    Ok(folder)
}
