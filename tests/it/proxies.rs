//! HTTPS by a proxy before the API: nginx, with the very file that is shipped for it. A recorded run, as it is not on every machine:
//! `tests/recorded/nginx`.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rcgen::{CertificateParams, KeyPair};
use reqwest::{Method, tls::Version};
use serde_json::json;

use crate::harness::{Client, Shop, eventually, repository, text};

/// A running nginx; it ends when dropped.
struct Nginx {
    process: Child,
    folder: PathBuf,
    tls: SocketAddr,
    certificate: String,
}

impl Nginx {
    /// One before an API, configured as we ship it, but for ports and files.
    async fn before(api: SocketAddr) -> Self {
        let program = std::env::var("KASSA_NGINX").expect("KASSA_NGINX names the program");
        let port = || SocketAddr::from((Ipv4Addr::LOCALHOST, dev::ports::any().expect("a free port")));
        let (plain, tls) = (port(), port());
        let folder = std::env::temp_dir().join(format!("kassa-tests-{}-nginx-{}", std::process::id(), tls.port()));
        fs::create_dir_all(folder.join("logs")).expect("there is room");
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).expect("names");
        let certificate = params.self_signed(&key).expect("a certificate").pem();
        fs::write(folder.join("cert.pem"), &certificate).expect("there is room");
        fs::write(folder.join("key.pem"), key.serialize_pem()).expect("there is room");

        let shipped = repository("deploy/nginx/kassa.conf");
        let mut config = fs::read_to_string(shipped).expect("it is there");
        for (of_ours, of_the_test) in [
            ("server 127.0.0.1:8080;", format!("server {api};")),
            ("listen 80;", format!("listen {plain};")),
            ("listen [::]:80;", String::new()),
            ("listen 443 ssl http2;", format!("listen {tls} ssl http2;")),
            ("listen [::]:443 ssl http2;", String::new()),
            ("/etc/letsencrypt/live/shop.example/fullchain.pem", folder.join("cert.pem").display().to_string()),
            ("/etc/letsencrypt/live/shop.example/privkey.pem", folder.join("key.pem").display().to_string()),
        ] {
            assert!(config.contains(of_ours), "{of_ours} is in the file that is shipped");
            config = config.replace(of_ours, &of_the_test);
        }
        let user = if nix::unistd::geteuid().is_root() { "user root;" } else { "" };
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {};\n", folder.join(kind).display()))
            .concat();
        let whole = format!(
            "{user}\ndaemon off;\nmaster_process off;\npid {0}/pid;\nerror_log {0}/logs/error.log;\nevents {{}}\n\
             http {{\naccess_log {0}/logs/access.log;\n{temporary}\n{config}\n}}\n",
            folder.display()
        );
        fs::write(folder.join("nginx.conf"), whole).expect("there is room");
        let mut command = Command::new(program);
        command
            .arg("-e")
            .arg(folder.join("logs/error.log"))
            .arg("-p")
            .arg(&folder)
            .arg("-c")
            .arg(folder.join("nginx.conf"));
        let process = command.stdin(Stdio::null()).spawn().expect("it runs");
        let nginx = Self { process, folder, tls, certificate };
        eventually("nginx listens", async || tokio::net::TcpStream::connect(tls).await.ok()).await;
        nginx
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", fs::read_to_string(self.folder.join("logs/error.log")).unwrap_or_default());
        }
        let _ended = self.process.kill().and_then(|()| self.process.wait());
        let _left = fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test]
#[ignore = "needs nginx; docs/operations/https.md has a run of it"]
async fn nginx_as_it_is_shipped_lets_everything_through_and_names_the_client() {
    let settings = [("TRUSTED_PROXIES", "127.0.0.1"), ("RATE_LIMITS", "on"), ("RATE_LIMIT_LOGIN", "1")];
    let shop = Shop::with(&settings).await;
    let nginx = Nginx::before(shop.api.api).await;
    let outside = Client::over_tls_at(nginx.tls, &nginx.certificate, Version::TLS_1_3);

    let list = outside.get("/products").await;
    assert_eq!((list.status, list.header("strict-transport-security").is_empty()), (200, false));
    let (admin, product) = (shop.admin().await, shop.product(500, 5).await);

    // An answer that is waited for, as long as one may.
    let shopper = shop.crowd(1).await.remove(0);
    let order = shop.order(&shopper, &product, 1).await;
    let path = format!("/orders/{}?status_not=awaiting_payment", text(&order["id"]));
    let began = Instant::now();
    let waited = shopper.by_the_way_of(&outside).call(Method::GET, &path, None, &[("prefer", "wait=10")]).await;
    assert_eq!(waited.status, 200);
    assert!(began.elapsed() >= Duration::from_secs(9), "{:?}", began.elapsed());

    // What is too large is the API's to say.
    let large = vec![0; 11 * 1024 * 1024];
    admin.by_the_way_of(&outside).upload(&product, &large).await.problem(413, "payload_too_large");

    // Whoever calls himself another each time is counted as the one that he is.
    let mut statuses = vec![];
    for n in 0..10 {
        let login = json!({ "email": format!("guess-{n}@kassa.example"), "password": "a wrong password" });
        let address = format!("203.0.113.{n}");
        let reply = outside.call(Method::POST, "/auth/login", Some(&login), &[("x-forwarded-for", &address)]).await;
        statuses.push(reply.status);
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    shop.finish().await;
}
