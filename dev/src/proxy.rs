//! A proxy between a program and what it depends on, so that a test can take that away and give it back: connections are cut
//! and new ones refused, as when a server goes down.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// A way to `target` that can be cut; it is cut when dropped.
#[derive(Debug)]
pub struct Proxy {
    target: SocketAddr,
    addr: SocketAddr,
    way: Option<JoinHandle<()>>,
}

impl Proxy {
    /// One on a free port of loopback.
    ///
    /// # Errors
    /// The system's.
    pub async fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        Ok(Self { target, addr, way: Some(tokio::spawn(forward(listener, target))) })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Cuts all connections, and refuses new ones.
    pub async fn cut(&mut self) {
        if let Some(way) = self.way.take() {
            way.abort();
            let _aborted = way.await; // the port is free once the task is gone
        }
    }

    /// Lets connections through again.
    ///
    /// # Errors
    /// The system's: somebody else may have taken the port meanwhile.
    pub async fn restore(&mut self) -> io::Result<()> {
        if self.way.is_none() {
            let listener = TcpListener::bind(self.addr).await?;
            self.way = Some(tokio::spawn(forward(listener, self.target)));
        }
        Ok(())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(way) = &self.way {
            way.abort();
        }
    }
}

/// The connections end with this future.
async fn forward(listener: TcpListener, target: SocketAddr) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((mut near, _)) = accepted else { continue }; // it was gone again
                connections.spawn(async move {
                    if let Ok(mut far) = TcpStream::connect(target).await {
                        let _how_it_ended = copy_bidirectional(&mut near, &mut far).await;
                    }
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn what_is_cut_is_refused_until_it_is_restored() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let mut proxy = Proxy::start(server.local_addr().unwrap()).await.unwrap();
        for _ in 0..2 {
            let mut near = TcpStream::connect(proxy.addr()).await.unwrap();
            let (mut far, _) = server.accept().await.unwrap();
            near.write_all(b"there").await.unwrap();
            let mut read = [0; 5];
            far.read_exact(&mut read).await.unwrap();
            assert_eq!(&read, b"there");
            proxy.cut().await;
            assert_eq!(near.read(&mut read).await.unwrap_or(0), 0);
            TcpStream::connect(proxy.addr()).await.expect_err("it is cut");
            proxy.restore().await.unwrap();
        }
    }
}
