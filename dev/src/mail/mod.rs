//! A mail catcher: takes every mail over SMTP, delivers none, and shows them over HTTP, to people and to programs. For
//! development and tests: no authentication, no TLS, loopback only. It can be told to behave badly.
//!
//! `smtp` talks to whoever sends, `mailbox` keeps what came, `inbox` shows it, `faults` makes it fail for tests.
//!
//! | call on the inbox's port | does |
//! |---|---|
//! | `GET /` | the inbox for people |
//! | `GET /messages?to=&wait=&count=` | [`Message`]s, newest first; waits so many seconds (60 at most) until there are `count` (1) |
//! | `GET /messages/{id}` | one as it came |
//! | `DELETE /messages` | forgets all |
//! | `GET`, `POST`, `DELETE /_control/faults` | [`Fault`]s in force, with `hits`; puts one in force (201, `id`); removes all |
//! | `DELETE /_control/faults/{id}` | removes one; what hangs on it ends |

mod faults;
mod inbox;
mod mailbox;
mod message;
mod page;
mod smtp;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use faults::{Fault, Moment};
pub use message::Message;

use faults::Faults;
use mailbox::Mailbox;

/// How the catcher is started. [`CatcherOptions::default`] suits a test: free ports, nothing kept over a restart.
#[derive(Debug, Clone)]
pub struct CatcherOptions {
    /// Where mail is taken; port 0 takes a free one.
    pub smtp_addr: SocketAddr,
    /// Where mail is shown; port 0 takes a free one.
    pub inbox_addr: SocketAddr,
    /// Where each mail is kept as an `.eml` file and found again; in memory only without it.
    pub folder: Option<PathBuf>,
}

impl Default for CatcherOptions {
    fn default() -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self { smtp_addr: any, inbox_addr: any, folder: None }
    }
}

/// Why the catcher did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address is taken, or not this machine's.
    #[error("the mail catcher can't listen on {addr}: {source}")]
    Listen {
        /// The address asked for.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The folder can't be used.
    #[error("the mail catcher can't keep its mail in {}: {source}", .folder.display())]
    Folder {
        /// The folder asked for.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What the parts share.
#[derive(Debug)]
struct App {
    mailbox: Mailbox,
    faults: Faults,
    stop: CancellationToken,
}

/// A running catcher. Dropping it stops it at once; [`Catcher::shutdown`] ends open answers first.
#[derive(Debug)]
pub struct Catcher {
    app: Arc<App>,
    smtp_addr: SocketAddr,
    inbox_addr: SocketAddr,
    tasks: TaskTracker,
}

impl Catcher {
    /// Starts listening; both ports answer as soon as this returns.
    ///
    /// # Errors
    /// When an address can't be had or the folder can't be used.
    pub async fn start(options: CatcherOptions) -> Result<Self, StartError> {
        let mailbox = match options.folder {
            Some(folder) => Mailbox::open(&folder).map_err(|source| StartError::Folder { folder, source })?,
            None => Mailbox::default(),
        };
        let (smtp, smtp_addr) = listen(options.smtp_addr).await?;
        let (inbox, inbox_addr) = listen(options.inbox_addr).await?;
        let app = Arc::new(App { mailbox, faults: Faults::default(), stop: CancellationToken::new() });
        let tasks = TaskTracker::new();
        tasks.spawn(smtp::serve(smtp, Arc::clone(&app), tasks.clone()));
        tasks.spawn(inbox::serve(inbox, Arc::clone(&app)));
        tasks.close();
        Ok(Self { app, smtp_addr, inbox_addr, tasks })
    }

    /// Where mail is sent to: what `MAIL_URL` takes.
    #[must_use]
    pub fn smtp_url(&self) -> String {
        format!("smtp://{}", self.smtp_addr)
    }

    /// The base of the inbox, without a path.
    #[must_use]
    pub fn inbox_url(&self) -> String {
        format!("http://{}", self.inbox_addr)
    }

    /// What came, newest first.
    #[must_use]
    pub fn messages(&self) -> Vec<Arc<Message>> {
        self.app.mailbox.list(None)
    }

    /// Puts a fault in force and gives its number.
    pub fn add_fault(&self, fault: Fault) -> u64 {
        self.app.faults.add(fault)
    }

    /// Removes all faults; what hangs on them ends.
    pub fn remove_faults(&self) {
        self.app.faults.remove(None);
    }

    /// Stops both ports. Sessions under way end where they are: a mail that was not acknowledged is its sender's still.
    pub async fn shutdown(self) {
        self.app.stop.cancel();
        self.tasks.wait().await;
    }
}

impl Drop for Catcher {
    fn drop(&mut self) {
        self.app.stop.cancel();
    }
}

async fn listen(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { addr, source };
    let listener = TcpListener::bind(addr).await.map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    Ok((listener, addr))
}
