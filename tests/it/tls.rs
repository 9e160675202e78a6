//! HTTPS by the API itself: with a certificate that is checked before anything starts, and read again when it was renewed.

use std::{fs, path::PathBuf};

use nix::sys::signal::Signal;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use reqwest::tls::Version;
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::harness::{Answer, Client, Database, JWT_SECRET, Shop, eventually, say};

/// Who signs certificates.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A certificate for this machine, and its key.
    fn issue(&self) -> (String, String) {
        let params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).expect("names");
        let key = KeyPair::generate().expect("a key");
        (params.signed_by(&key, &self.issuer).expect("a certificate").pem(), key.serialize_pem())
    }
}

/// Files that go with the test.
struct Files(PathBuf);

impl Files {
    fn new((cert, key): &(String, String)) -> Self {
        let folder = std::env::temp_dir().join(format!("kassa-tests-tls-{}", Uuid::new_v4().simple()));
        fs::create_dir(&folder).expect("a new folder");
        let files = Self(folder);
        files.write(cert, key);
        files
    }

    fn write(&self, cert: &str, key: &str) {
        fs::write(self.cert(), cert).expect("there is room");
        fs::write(self.key(), key).expect("there is room");
    }

    fn cert(&self) -> PathBuf {
        self.0.join("cert.pem")
    }

    fn key(&self) -> PathBuf {
        self.0.join("key.pem")
    }

    fn variables(&self) -> [(&'static str, String); 2] {
        let text = |path: PathBuf| path.to_str().expect("it is text").to_owned();
        [("TLS_CERT", text(self.cert())), ("TLS_KEY", text(self.key()))]
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _gone_already = fs::remove_dir_all(&self.0);
    }
}

/// Whether a client that believes this authority alone is answered.
async fn believes(client: &Client) -> bool {
    client.request(reqwest::Method::GET, "/health/live").send().await.is_ok_and(|answer| answer.status() == 200)
}

#[tokio::test]
async fn the_api_speaks_https_and_nothing_else_and_shows_a_renewed_certificate() {
    let shop = Shop::start().await;
    let (first, second) = (Authority::new(), Authority::new());
    let files = Files::new(&first.issue());
    let mut api = shop.another_api_with(&files.variables()).await;
    for version in [Version::TLS_1_2, Version::TLS_1_3] {
        let client = Client::over_tls(&api, &first.pem, version);
        let answer = eventually("it is ready", async || {
            let reply = client.get("/products").await;
            (reply.status == 200).then_some(reply)
        });
        assert_eq!(answer.await.header("strict-transport-security"), "max-age=31536000");
        let refused = client.get("/nowhere").await;
        assert!(!refused.header("strict-transport-security").is_empty());
        refused.problem(404, "not_found");
    }
    let plain = say(api.api, b"GET /health/live HTTP/1.1\r\nhost: shop\r\n\r\n").await;
    let answer = Answer::until_the_end(plain).await;
    assert_eq!((answer.status, answer.body.contains("live")), (0, false), "no HTTP on this port: {answer:?}");

    let stalled: Vec<TcpStream> = futures::future::join_all((0..100).map(|_| say(api.api, b"\x16\x03\x01"))).await;
    // New ones each time: a client may resume a session under the certificate that it saw.
    let believers = || [&first, &second].map(|authority| Client::over_tls(&api, &authority.pem, Version::TLS_1_3));
    let [old, new] = believers();
    assert!(believes(&old).await && !believes(&new).await, "stalled handshakes block nobody");
    let (cert, _) = second.issue();
    files.write(&cert, "no key");
    api.signal(Signal::SIGHUP);
    eventually("it tells that it can't", async || api.log().contains("stays as it was").then_some(())).await;
    let [old, new] = believers();
    assert!(believes(&old).await && !believes(&new).await);
    let (cert, key) = second.issue();
    files.write(&cert, &key);
    api.signal(Signal::SIGHUP);
    eventually("it shows the new one", async || believes(&new).await.then_some(())).await;
    let [old, _] = believers();
    assert!(!believes(&old).await);
    drop(stalled);
    api.ask_to_end();
    api.end().await;
    assert!(!api.log().contains("PRIVATE KEY"));
    shop.finish().await;
}

#[tokio::test]
async fn a_certificate_that_can_not_be_used_ends_the_api_at_its_start() {
    let database = Database::migrated().await;
    let authority = Authority::new();
    let ((cert, key), (_, stranger)) = (authority.issue(), authority.issue());
    let files = Files::new(&(cert.clone(), key.clone()));
    let [(_, cert_path), (_, key_path)] = files.variables();
    let start = async |cert_path: &str, key_path: &str| {
        let settings = [
            ("API_ADDR", "127.0.0.1:0"),
            ("METRICS_ADDR", "127.0.0.1:0"),
            ("JWT_SECRET", JWT_SECRET),
            ("STRIPE_PUBLISHABLE_KEY", "pk_test_simulator"),
            ("STRIPE_WEBHOOK_SECRET", "whsec_of_the_tests"),
            ("TLS_CERT", cert_path),
            ("TLS_KEY", key_path),
        ];
        let ended = database.program("kassa-api", &[], &settings, "").await;
        assert!(ended.code == 2 && !ended.err.contains("PRIVATE KEY"), "{ended:?}");
        ended.err
    };
    for (cert_path, key_path, named) in [
        (&*cert_path, "", &["TLS_KEY"][..]),
        ("", &key_path, &["TLS_CERT"]),
        ("/nowhere/cert.pem", "/nowhere/key.pem", &["TLS_CERT", "TLS_KEY"]),
    ] {
        let said = start(cert_path, key_path).await;
        assert!(named.iter().all(|name| said.contains(&format!("{name} "))), "{said}");
    }
    for (cert, key, named) in [
        (cert.as_str(), stranger.as_str(), "TLS_KEY"),
        (&cert, &cert, "TLS_KEY"),
        (&key, &key, "TLS_CERT"),
        ("", &key, "TLS_CERT"),
        (&cert, "", "TLS_KEY"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &key, "TLS_CERT"),
    ] {
        files.write(cert, key);
        let said = start(&cert_path, &key_path).await;
        assert!(said.contains(&format!("{named} ")) || said.contains(&format!("in {named},")), "{named}: {said}");
    }
    database.pool.close().await;
}
