//! Free ports on loopback: a preferred one, or one that is near it.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

/// How far from the preferred port to look before any free one is taken.
const NEARBY: u16 = 20;

/// A connection on loopback is made or refused at once.
const KNOCK: Duration = Duration::from_millis(200);

/// Whether nobody listens there. On some systems one can listen on loopback although somebody has the port on all addresses:
/// so it is knocked on as well.
#[must_use]
pub fn is_free(port: u16) -> bool {
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(addr).is_ok() && TcpStream::connect_timeout(&addr, KNOCK).is_err()
}

/// The preferred port, or the next free one after it, or any. Until somebody listens there, another may take it.
///
/// # Errors
/// The system's, when no port at all can be had.
pub fn free(preferred: u16) -> io::Result<u16> {
    let nearby = preferred..=preferred.saturating_add(NEARBY);
    nearby.into_iter().find(|port| is_free(*port)).map_or_else(any, Ok)
}

/// Any free port.
///
/// # Errors
/// The system's, when no port at all can be had.
pub fn any() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_stepped_around() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = taken.local_addr().expect("it listens").port();
        assert!(!is_free(port));
        let next = free(port).expect("there are others");
        assert_ne!(next, port);
        assert!(is_free(next));
    }

    #[test]
    fn a_port_taken_on_all_addresses_is_not_free() {
        let taken = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a free port");
        assert!(!is_free(taken.local_addr().expect("it listens").port()));
    }
}
