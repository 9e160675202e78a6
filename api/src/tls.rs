//! TLS by rustls: the certificate and key that the API shows, checked before anything starts and read again at SIGHUP.

use std::{
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

use common::config::{self, Problems};
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::{CryptoProvider, ring},
        pki_types::{
            CertificateDer, PrivateKeyDer,
            pem::{self, PemObject as _},
        },
        server::{ClientHello, ResolvesServerCert},
        sign::CertifiedKey,
    },
};

/// What is shown to clients; replaced when the files are read again.
#[derive(Debug)]
struct Shown(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// Chooses who does the cryptography of whatever TLS this process speaks as a client, to S3 say; once is enough.
pub(crate) fn choose_provider() {
    let _by_an_earlier_call = ring::default_provider().install_default();
}

/// Speaks TLS 1.2 and 1.3 with these files, and reads them again whenever the process gets SIGHUP: certificates are renewed
/// more often than shops are restarted. Files that can't be used then change nothing.
///
/// # Errors
/// When the files can't be used now, as problems of the configuration.
pub(crate) fn acceptor(files: config::Tls) -> anyhow::Result<TlsAcceptor> {
    let provider = Arc::new(ring::default_provider());
    let shown = Arc::new(Shown(RwLock::new(Arc::new(read(&files, &provider)?))));
    let mut server = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(shown.clone());
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    let mut told_to_read = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while told_to_read.recv().await.is_some() {
            match read(&files, &provider) {
                Ok(new) => {
                    *shown.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
                    tracing::info!("the certificate was read again");
                }
                Err(problems) => tracing::error!(%problems, "the certificate stays as it was"),
            }
        }
    });
    Ok(TlsAcceptor::from(Arc::new(server)))
}

fn read(files: &config::Tls, provider: &CryptoProvider) -> Result<CertifiedKey, Problems> {
    let chain = certificates(&files.cert).map_err(|what| format!("TLS_CERT {what}"));
    let key = private_key(&files.key).map_err(|what| format!("TLS_KEY {what}"));
    let (chain, key) = match (chain, key) {
        (Ok(chain), Ok(key)) => (chain, key),
        (chain, key) => return Err(Problems([chain.err(), key.err()].into_iter().flatten().collect())),
    };
    let key = provider.key_provider.load_private_key(key);
    let key = key.map_err(|_| Problems(vec!["TLS_KEY is of a kind that can't be used".into()]))?;
    let shown = CertifiedKey::new(chain, key);
    shown.end_entity_cert().and_then(|_| shown.keys_match()).map_err(|error| {
        Problems(vec![format!("TLS_KEY is not the key of the certificate in TLS_CERT, or that is none: {error}")])
    })?;
    Ok(shown)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err("holds no certificate in PEM form".into()),
        Err(error) => Err(unreadable(&error, "certificate")),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| unreadable(&error, "private key"))
}

/// Never quotes the file: what was taken for the other may be the key.
fn unreadable(error: &pem::Error, what: &str) -> String {
    match error {
        pem::Error::Io(error) => format!("can't be read: {error}"),
        _ => format!("holds no {what} in PEM form"),
    }
}
