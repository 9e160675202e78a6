//! The checkout and its `.dev` folder: where everything is that `cargo dev` makes, and the lock that says that it runs.

use std::{
    env,
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    /// The checkout.
    pub(crate) root: PathBuf,
    /// `.dev` in it.
    folder: PathBuf,
}

/// Held while the shop runs; the system lets it go however the process ends.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "holding it is its use")] Flock<File>);

impl Home {
    /// The checkout that cargo ran this from, or the one around the working folder.
    pub(crate) fn find() -> Result<Self> {
        let from_cargo = env::var_os("CARGO_MANIFEST_DIR").and_then(|dev| Some(Path::new(&dev).parent()?.to_owned()));
        let here = env::current_dir().context("finding the working folder")?;
        let mut around = from_cargo.iter().map(PathBuf::as_path).chain(here.ancestors());
        let root = around.find(|folder| folder.join("Cargo.toml").is_file() && folder.join("dev/Cargo.toml").is_file());
        let Some(root) = root else { bail!("{} is in no checkout of Kassa", here.display()) };
        let root = root.canonicalize().with_context(|| format!("finding {}", root.display()))?;
        Ok(Self { folder: root.join(".dev"), root })
    }

    /// Makes the folder. Nobody else can look into it: its files hold passwords.
    pub(crate) fn make(&self) -> Result<()> {
        for folder in [&self.folder, &self.logs()] {
            fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        }
        // Entering is for all, as another user may run the database; reading is not.
        let permissions = fs::Permissions::from_mode(0o711);
        fs::set_permissions(&self.folder, permissions).with_context(|| format!("closing {}", self.folder.display()))
    }

    /// Takes the lock; `None` if somebody has it.
    pub(crate) fn lock(&self) -> Result<Option<Lock>> {
        let path = self.folder.join("lock");
        let file = File::create(&path).with_context(|| format!("opening {}", path.display()))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Some(Lock(lock))),
            Err((_, Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, error)) => Err(error).with_context(|| format!("locking {}", path.display())),
        }
    }

    /// Whether a shop of this checkout runs or starts.
    pub(crate) fn is_locked(&self) -> Result<bool> {
        Ok(self.folder.join("lock").exists() && self.lock()?.is_none())
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.join("state.json")
    }

    pub(crate) fn secrets(&self) -> PathBuf {
        self.folder.join("secrets.json")
    }

    pub(crate) fn postgres(&self) -> PathBuf {
        self.folder.join("postgres")
    }

    pub(crate) fn mail(&self) -> PathBuf {
        self.folder.join("mail")
    }

    pub(crate) fn images(&self) -> PathBuf {
        self.folder.join("images")
    }

    /// The simulator's books.
    pub(crate) fn stripe(&self) -> PathBuf {
        self.folder.join("stripe.json")
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.folder.join("logs")
    }

    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.logs().join(format!("{name}.log"))
    }

    /// A path as people read it: from the checkout on, when they are there.
    pub(crate) fn shown(&self, path: &Path) -> String {
        let here = env::current_dir().is_ok_and(|here| here == self.root);
        let short = path.strip_prefix(&self.root).ok().filter(|_| here);
        short.unwrap_or(path).display().to_string()
    }
}
