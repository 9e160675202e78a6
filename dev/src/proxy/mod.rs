//! A proxy between a program and what it depends on, so that a test can take that away and give it back: connections are cut,
//! slowed, swallowed or held, at once or when something certain is said on the way. For development and tests: loopback only.
//!
//! `forward` moves the bytes, `control` takes orders over HTTP, on a port of its own.
#![doc = include_str!("endpoints.md")]

mod control;
mod forward;

use std::{
    io, mem,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{
    net::TcpListener,
    sync::{Mutex, watch},
    task::JoinHandle,
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Where bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// To the target: questions.
    Up,
    /// From the target: answers.
    Down,
}

/// What becomes of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "way", rename_all = "snake_case", deny_unknown_fields)]
pub enum Way {
    /// They are let through.
    Open,
    /// They are ended, and new ones refused, as when a server goes down.
    Cut,
    /// They are let through, but all that is sent arrives so many milliseconds later.
    Delayed {
        /// For what goes to the target.
        #[serde(default)]
        up_ms: u64,
        /// For what comes from it.
        #[serde(default)]
        down_ms: u64,
    },
    /// What is sent in one direction is taken, and lost. A connection that has lost something says nothing more in that
    /// direction and is reset when the way changes; the others go on.
    Swallowing {
        /// The one direction.
        direction: Direction,
    },
    /// Nothing moves, not even an end: connections are accepted and silent. When the way opens they go on where they were,
    /// as after a network that was gone.
    Blackhole,
}

impl Way {
    fn moves(self) -> bool {
        !matches!(self, Self::Cut | Self::Blackhole)
    }

    fn delay(self, direction: Direction) -> Duration {
        Duration::from_millis(match (self, direction) {
            (Self::Delayed { up_ms, .. }, Direction::Up) => up_ms,
            (Self::Delayed { down_ms, .. }, Direction::Down) => down_ms,
            _ => 0,
        })
    }
}

/// Changes the way as soon as somebody sends a text to the target, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trap {
    /// `COMMIT`, say. What is sent with it goes the new way already.
    pub text: String,
    /// The way from then on.
    pub then: Way,
}

/// What the parts share.
#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    addr: SocketAddr,
    way: watch::Sender<Way>,
    trap: watch::Sender<Option<Trap>>,
    /// Whoever accepts; nobody while the way is cut.
    door: Mutex<Option<JoinHandle<()>>>,
    stop: CancellationToken,
}

impl Shared {
    async fn set(self: &Arc<Self>, way: Way) -> io::Result<()> {
        let mut door = self.door.lock().await;
        if way == Way::Cut {
            if let Some(accepting) = door.take() {
                accepting.abort();
                let _aborted = accepting.await; // the port is free once the task is gone
            }
        } else if door.is_none() {
            let listener = TcpListener::bind(self.addr).await?;
            *door = Some(forward::open(listener, Arc::clone(self)));
        }
        self.way.send_if_modified(|now| mem::replace(now, way) != way);
        Ok(())
    }
}

/// A way to a target that can be made worse. It is cut when dropped.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    control: SocketAddr,
    _stop: DropGuard,
}

impl Proxy {
    /// One on a free port of loopback, its control endpoints on another.
    ///
    /// # Errors
    /// The system's.
    pub async fn start(target: SocketAddr) -> io::Result<Self> {
        Self::start_on(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), target).await
    }

    /// One on `addr`; port 0 takes a free one. The system may give such a port to an outgoing connection while the way is cut.
    ///
    /// # Errors
    /// The system's.
    pub async fn start_on(addr: SocketAddr, target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let orders = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let control = orders.local_addr()?;
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            target,
            addr: listener.local_addr()?,
            way: watch::Sender::new(Way::Open),
            trap: watch::Sender::new(None),
            door: Mutex::new(None),
            stop: stop.clone(),
        });
        *shared.door.lock().await = Some(forward::open(listener, Arc::clone(&shared)));
        tokio::spawn(control::serve(orders, Arc::clone(&shared)));
        Ok(Self { shared, control, _stop: stop.drop_guard() })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.shared.addr
    }

    /// The base of the control endpoints; `GET` prints them.
    #[must_use]
    pub fn control_url(&self) -> String {
        format!("http://{}/_control", self.control)
    }

    /// How the way is now.
    #[must_use]
    pub fn way(&self) -> Way {
        *self.shared.way.borrow()
    }

    /// Changes the way, for connections that there are and for new ones.
    ///
    /// # Errors
    /// The system's, after a cut: somebody else may have taken the port meanwhile.
    pub async fn set(&self, way: Way) -> io::Result<()> {
        self.shared.set(way).await
    }

    /// Cuts all connections, and refuses new ones.
    pub async fn cut(&self) {
        self.set(Way::Cut).await.expect("nothing is listened on");
    }

    /// Opens the way again, and takes a trap away.
    ///
    /// # Errors
    /// See [`Proxy::set`].
    pub async fn restore(&self) -> io::Result<()> {
        self.shared.trap.send_replace(None);
        self.set(Way::Open).await
    }

    /// Sets a trap, in the place of another.
    pub fn trap(&self, text: &str, then: Way) {
        self.shared.trap.send_replace(Some(Trap { text: text.to_owned(), then }));
    }

    /// Waits until no trap is set: the last one has sprung, and its way is the way now.
    pub async fn sprung(&self) {
        let mut trap = self.shared.trap.subscribe();
        let _the_sender_is_ours = trap.wait_for(Option::is_none).await;
    }
}
