//! From which address a request comes: that of the connection or, where a trusted proxy hands requests on, the one that the
//! proxy names.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::Once,
};

use http::{Extensions, HeaderMap, HeaderName};
use ipnet::IpNet;

use crate::state::App;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The other end of the connection; in each request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// An address from which requests come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Client(pub(crate) IpAddr);

impl Client {
    /// What stands for the address where something is counted by address. Of IPv6 that is the network of 64 bits, for whoever
    /// has one address of it has them all (RFC 4291, section 2.5.4).
    pub(crate) fn key(self) -> [u8; 16] {
        match self.0 {
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).octets(),
        }
    }
}

/// Where a request comes from.
pub(crate) fn of(app: &App, extensions: &Extensions, headers: &HeaderMap) -> Client {
    let proxies = &app.config.http.trusted_proxies;
    let peer = extensions.get().copied().unwrap_or(Peer(Ipv6Addr::UNSPECIFIED.into()));
    let client = named_by(peer, headers, proxies);
    if client.0 == peer.0.to_canonical() && headers.contains_key(FORWARDED_FOR) {
        tell_of_an_unknown_proxy(peer, proxies);
    }
    client
}

/// Whether this address is a proxy's that is trusted.
pub(crate) fn is_trusted(address: IpAddr, proxies: &[IpNet]) -> bool {
    let address = address.to_canonical();
    proxies.iter().any(|network| network.contains(&address))
}

/// Each proxy adds the address that it was called from at the right: so the client is the first one from there that is no
/// trusted proxy's. What stands further left, anybody can have written.
fn named_by(peer: Peer, headers: &HeaderMap, proxies: &[IpNet]) -> Client {
    let mut client = peer.0.to_canonical();
    if proxies.is_empty() {
        return Client(client);
    }
    let lines = headers.get_all(FORWARDED_FOR).iter().rev();
    let mut named = lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
    while is_trusted(client, proxies) {
        let Some(address) = named.next().and_then(address) else { break };
        client = address.to_canonical();
    }
    Client(client)
}

/// Some proxies add the port.
fn address(raw: &str) -> Option<IpAddr> {
    let raw = raw.trim();
    let bare = raw.strip_prefix('[').and_then(|raw| raw.strip_suffix(']')).unwrap_or(raw);
    bare.parse().ok().or_else(|| raw.parse().ok().map(|address: SocketAddr| address.ip()))
}

/// Behind a proxy that is not configured, all clients are one: their limits are reached soon.
fn tell_of_an_unknown_proxy(Peer(peer): Peer, proxies: &[IpNet]) {
    static TOLD: Once = Once::new();
    let is_near = match peer.to_canonical() {
        IpAddr::V4(address) => address.is_private() || address.is_loopback(),
        IpAddr::V6(address) => address.is_unique_local() || address.is_loopback(),
    };
    if is_near && !is_trusted(peer, proxies) {
        TOLD.call_once(|| tracing::warn!(%peer, "X-Forwarded-For is not believed; if a proxy of yours sends it, name it in TRUSTED_PROXIES"));
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn client(peer: &str, proxies: &[&str], forwarded_for: &[&'static str]) -> String {
        let peer = Peer(peer.parse().expect("an address"));
        let proxies: Vec<IpNet> = proxies.iter().map(|network| network.parse().expect("a network")).collect();
        let lines = forwarded_for.iter().map(|line| (FORWARDED_FOR, HeaderValue::from_static(line)));
        named_by(peer, &HeaderMap::from_iter(lines), &proxies).0.to_string()
    }

    #[test]
    fn nobody_is_believed_who_is_not_trusted() {
        assert_eq!(client("192.0.2.1", &[], &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(client("192.0.2.1", &["10.0.0.0/8"], &["198.51.100.7"]), "192.0.2.1");
    }

    #[test]
    fn the_client_is_the_rightmost_address_that_is_not_trusted() {
        let proxies = ["10.0.0.0/8", "2001:db8::/32"];
        for (lines, expected) in [
            (vec![], "10.0.0.1"),
            (vec!["198.51.100.7"], "198.51.100.7"),
            (vec!["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
            (vec!["203.0.113.9,198.51.100.7 , 10.3.2.1,2001:db8::7"], "198.51.100.7"),
            (vec!["203.0.113.9", "198.51.100.7", "10.3.2.1"], "198.51.100.7"),
            (vec!["10.3.2.1, 10.9.9.9"], "10.3.2.1"),
            (vec!["198.51.100.7:4711"], "198.51.100.7"),
            (vec!["[2001:dead::1]:4711"], "2001:dead::1"),
            (vec!["[2001:dead::1]"], "2001:dead::1"),
            (vec!["::ffff:198.51.100.7"], "198.51.100.7"),
            (vec!["198.51.100.7, unknown"], "10.0.0.1"),
            (vec!["198.51.100.7, unknown, 10.3.2.1"], "10.3.2.1"),
            (vec![""], "10.0.0.1"),
        ] {
            assert_eq!(client("10.0.0.1", &proxies, &lines), expected, "{lines:?}");
            assert_eq!(client("::ffff:10.0.0.1", &proxies, &lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one() {
        let key = |address: &str| Client(address.parse().expect("an address")).key();
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
    }
}
