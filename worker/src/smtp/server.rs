//! The mail server of `MAIL_URL`: where it is, and what it is asked for.

use std::fmt;

use lettre::transport::smtp::{
    SMTP_PORT, SUBMISSION_PORT, SUBMISSIONS_PORT, authentication::Credentials, client::TlsParameters,
    extension::ClientId,
};
use percent_encoding::percent_decode_str;
use url::{Host, Url};

/// See the module.
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) encryption: Encryption,
    /// What we say that we are (RFC 5321, section 4.1.1.1).
    pub(super) hello: ClientId,
    pub(super) login: Option<Login>,
}

/// Whether and when TLS begins.
pub(super) enum Encryption {
    Never,
    /// By STARTTLS, where the server has it.
    IfOffered(TlsParameters),
    /// By STARTTLS, or not at all.
    Required(TlsParameters),
    /// From the first byte on.
    AtOnce(TlsParameters),
}

pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: String,
}

impl Login {
    pub(super) fn credentials(&self) -> Credentials {
        Credentials::new(self.user.clone(), self.password.clone())
    }
}

impl Server {
    /// From `smtp[s]://[user:password@]host[:port][/name-for-EHLO][?tls=required|opportunistic]`, as lettre documents it; without a port,
    /// the usual one. `None` where it is another URL.
    pub(super) fn from_url(url: &str) -> Option<Self> {
        let url = Url::parse(url).ok()?;
        let host = match url.host()? {
            Host::Ipv6(address) => address.to_string(), // without brackets
            host => host.to_string(),
        };
        let tls = || TlsParameters::new(host.clone()).ok();
        let how = url.query_pairs().find(|(name, _)| name == "tls").map(|(_, how)| how.into_owned());
        let (port, encryption) = match (url.scheme(), how.as_deref()) {
            ("smtp", None) => (SMTP_PORT, Encryption::Never),
            ("smtp", Some("required")) => (SUBMISSION_PORT, Encryption::Required(tls()?)),
            ("smtp", Some("opportunistic")) => (SUBMISSION_PORT, Encryption::IfOffered(tls()?)),
            ("smtps", _) => (SUBMISSIONS_PORT, Encryption::AtOnce(tls()?)),
            _ => return None,
        };
        let decoded = |text: &str| Some(percent_decode_str(text).decode_utf8().ok()?.into_owned());
        let login = match url.password() {
            Some(password) => Some(Login { user: decoded(url.username())?, password: decoded(password)? }),
            None => None,
        };
        let hello = match url.path().trim_matches('/') {
            "" => ClientId::default(),
            name => ClientId::Domain(name.to_owned()),
        };
        Some(Self { port: url.port().unwrap_or(port), host, encryption, hello, login })
    }
}

/// `host:port`, and no secret.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_as_they_are_documented() {
        let read = |url| {
            let server = Server::from_url(url)?;
            let encryption = match server.encryption {
                Encryption::Never => "never",
                Encryption::IfOffered(_) => "if offered",
                Encryption::Required(_) => "required",
                Encryption::AtOnce(_) => "at once",
            };
            Some((server.to_string(), encryption))
        };
        for (url, place, encryption) in [
            ("smtp://mail", "mail:25", "never"),
            ("smtp://127.0.0.1:2525", "127.0.0.1:2525", "never"),
            ("smtp://[::1]:2525", "[::1]:2525", "never"),
            ("smtp://mail.example?tls=required", "mail.example:587", "required"),
            ("smtp://mail.example:25?tls=opportunistic", "mail.example:25", "if offered"),
            ("smtps://mail.example", "mail.example:465", "at once"),
        ] {
            assert_eq!(read(url), Some((place.to_owned(), encryption)), "{url}");
        }
        for url in ["smtp://mail?tls=maybe", "http://mail", "smtp:mail", "mail"] {
            assert_eq!(read(url), None, "{url}");
        }
    }

    #[test]
    fn a_login_is_decoded_and_not_shown() {
        let server = Server::from_url("smtps://shop%40mail.example:p%2Fw@mail.example/shop.example").expect("a server");
        assert_eq!(server.to_string(), "mail.example:465");
        assert_eq!(server.hello, ClientId::Domain("shop.example".into()));
        let login = server.login.expect("a login");
        assert_eq!((login.user.as_str(), login.password.as_str()), ("shop@mail.example", "p/w"));
    }
}
