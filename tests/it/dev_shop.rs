//! The shop of `cargo dev`: `cargo dev env` gives a shell all that `kassa` needs to be in it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use uuid::Uuid;

use crate::harness::programs;

/// What `cargo dev` takes for a checkout, with a shop of its own. Both are gone at the end.
struct Checkout {
    folder: PathBuf,
    programs: &'static Path,
}

impl Checkout {
    fn make(programs: &'static Path) -> Self {
        let folder = env::temp_dir().join(format!("kassa-dev-shop-{}", Uuid::new_v4().simple()));
        fs::create_dir_all(folder.join("dev")).expect("a folder can be made");
        for file in ["Cargo.toml", "dev/Cargo.toml"] {
            fs::write(folder.join(file), "").expect("a file can be written");
        }
        Self { folder, programs }
    }

    /// A shell's lines, where the programs are found by their names, and nothing of the caller's shop.
    fn shell(&self, script: &str) -> Output {
        let path = format!("{}:{}", self.programs.display(), env::var("PATH").unwrap_or_default());
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).current_dir(&self.folder).env_clear().env("PATH", path);
        for name in ["HOME", "USER", "TMPDIR"] {
            shell.envs(env::var_os(name).map(|value| (name, value)));
        }
        shell.output().expect("a shell")
    }

    /// The same, which must succeed; what it said.
    #[track_caller]
    fn done(&self, script: &str) -> String {
        let ended = self.shell(script);
        let (out, err) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        assert!(ended.status.success(), "{script}: {out}{err}");
        out.into_owned()
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        let taken_away = self.shell("kassa-dev stop && kassa-dev reset");
        let _kept_where_it_runs = taken_away.status.success().then(|| fs::remove_dir_all(&self.folder));
        assert!(taken_away.status.success() || std::thread::panicking(), "{taken_away:?}");
    }
}

#[tokio::test]
async fn in_the_environment_of_cargo_dev_the_doctor_finds_nothing_to_complain_about() {
    let checkout = Checkout::make(programs().await);
    checkout.done(&format!("kassa-dev --detach --programs '{}'", checkout.programs.display()));
    let told = checkout.done(r#"eval "$(kassa-dev env)" && kassa doctor"#);
    assert!(told.ends_with("\nall is well\n"), "{told}");
    assert!(told.lines().all(|line| line.starts_with("✓ ") || line == "all is well"), "all was looked at: {told}");
    // What is printed of one shop is no choice for the next, on whichever ports.
    checkout.done("kassa-dev stop");
    let stale = "API_URL=http://127.0.0.1:9 PUBLIC_URL=http://127.0.0.1:9 MAIL_URL=smtp://127.0.0.1:9 MAIL_INBOX_URL=http://127.0.0.1:9";
    checkout.done(&format!("{stale} kassa-dev --detach --programs '{}'", checkout.programs.display()));
    let told = checkout.done(r#"eval "$(kassa-dev env)" && kassa doctor && kassa-dev buy"#);
    assert!(told.contains("\nall is well\n"), "{told}");
}
