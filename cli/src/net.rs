//! Which addresses nobody outside can reach.

use std::net::IpAddr;

/// Whether an address is this machine's, or one of a private network.
pub(crate) fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local(),
    }
}

/// Whether a URL leads to this machine, or into a private network.
pub(crate) fn is_local(url: &str) -> bool {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest).split(['/', '?']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((v6, _)) => v6,
        None => authority.split_once(':').map_or(authority, |(host, _)| host),
    };
    host == "localhost" || host.ends_with(".localhost") || host.parse().is_ok_and(is_private)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_world_can_reach_is_not_local() {
        for local in [
            "http://localhost:8080",
            "http://127.0.0.1/x",
            "http://[::1]:80",
            "https://10.1.2.3",
            "http://192.168.1.2:8080",
        ] {
            assert!(is_local(local), "{local}");
        }
        for public in
            ["https://shop.example", "https://shop.example:8443/a", "http://192.0.2.1", "https://[2001:db8::1]"]
        {
            assert!(!is_local(public), "{public}");
        }
    }
}
