//! A stand-in for S3: one that keeps objects in memory, and speaks as much of the protocol as it takes to put, get, list and delete them
//! (<https://docs.aws.amazon.com/AmazonS3/latest/API/>). It wants requests that are signed, and believes any signature. It can be
//! told to say nothing, or to refuse.

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Query, Request, State},
    http::{HeaderMap, Method, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

/// What it does with requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// It answers.
    Well,
    /// It answers writes; reads wait until it is well.
    SilentToReads,
    /// All wait until it is well.
    Silent,
    /// It says that it is too busy.
    Refusing,
}

/// One that runs until it is dropped.
#[derive(Debug)]
pub struct Objects {
    addr: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Shared {
    /// By bucket and key, as they stand in a path.
    objects: Mutex<BTreeMap<String, (Bytes, DateTime<Utc>)>>,
    mood: watch::Sender<Mood>,
}

impl Objects {
    /// Starts one on a free port.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let shared = Arc::new(Shared { objects: Mutex::default(), mood: watch::Sender::new(Mood::Well) });
        let (addr, stop) = (listener.local_addr()?, CancellationToken::new());
        let router = Router::new()
            .fallback(answer)
            .layer(middleware::from_fn_with_state(shared.clone(), in_its_mood))
            .layer(DefaultBodyLimit::disable())
            .with_state(shared.clone());
        let served = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
        tokio::spawn(async move {
            if let Err(error) = served.await {
                tracing::error!(%error, "the stand-in for S3 ended");
            }
        });
        Ok(Self { addr, shared, stop })
    }

    /// What clients call its endpoint.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The paths of all objects: bucket, prefix, key.
    pub fn paths(&self) -> Vec<String> {
        self.shared.with(|objects| objects.keys().cloned().collect())
    }

    /// How many requests wait for it to be well.
    pub fn waiting(&self) -> usize {
        self.shared.mood.receiver_count()
    }

    /// From now on it is in this mood.
    pub fn set(&self, mood: Mood) {
        self.shared.mood.send_replace(mood);
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Shared {
    fn with<T>(&self, look: impl FnOnce(&mut BTreeMap<String, (Bytes, DateTime<Utc>)>) -> T) -> T {
        look(&mut self.objects.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn in_its_mood(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let signed = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if !signed.is_some_and(|value| value.starts_with("AWS4-HMAC-SHA256 Credential=")) {
        return refusal(StatusCode::FORBIDDEN, "AccessDenied");
    }
    let mood = *shared.mood.borrow();
    match mood {
        Mood::Refusing => return refusal(StatusCode::SERVICE_UNAVAILABLE, "SlowDown"),
        Mood::SilentToReads if request.method() != Method::GET => {}
        Mood::Silent | Mood::SilentToReads => {
            let _ended = shared.mood.subscribe().wait_for(|mood| *mood == Mood::Well).await.is_err();
        }
        Mood::Well => {}
    }
    next.run(request).await
}

#[derive(Deserialize)]
struct Asked {
    #[serde(rename = "list-type")]
    list: Option<u8>,
    prefix: Option<String>,
    delete: Option<String>,
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
    body: Bytes,
) -> Response {
    let path = uri.path().trim_matches('/').to_owned();
    if headers.contains_key("x-amz-copy-source") {
        return refusal(StatusCode::NOT_IMPLEMENTED, "NotImplemented");
    }
    match method {
        Method::PUT => {
            let etag = etag(&body);
            shared.with(|objects| objects.insert(path, (body, Utc::now())));
            [(header::ETAG, etag)].into_response()
        }
        Method::GET if asked.list == Some(2) => list(&shared, &path, &asked.prefix.unwrap_or_default()),
        Method::GET | Method::HEAD => match shared.with(|objects| objects.get(&path).cloned()) {
            Some((bytes, written)) => {
                let written = written.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
                ([(header::ETAG, etag(&bytes)), (header::LAST_MODIFIED, written)], bytes).into_response()
            }
            None => refusal(StatusCode::NOT_FOUND, "NoSuchKey"),
        },
        Method::DELETE => {
            shared.with(|objects| objects.remove(&path));
            StatusCode::NO_CONTENT.into_response()
        }
        Method::POST if asked.delete.is_some() => {
            let body = String::from_utf8_lossy(&body);
            let keys = body.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next());
            let deleted: String = keys
                .map(|key| {
                    shared.with(|objects| objects.remove(&format!("{path}/{key}")));
                    format!("<Deleted><Key>{key}</Key></Deleted>")
                })
                .collect();
            xml(&format!("<DeleteResult>{deleted}</DeleteResult>"))
        }
        _ => refusal(StatusCode::NOT_IMPLEMENTED, "NotImplemented"),
    }
}

fn list(shared: &Shared, bucket: &str, prefix: &str) -> Response {
    let beginning = format!("{bucket}/{prefix}");
    let contents: String = shared.with(|objects| {
        let listed = objects.iter().filter(|(path, _)| path.starts_with(&beginning));
        listed
            .map(|(path, (bytes, written))| {
                let (key, written) = (&path[bucket.len() + 1..], written.to_rfc3339());
                let (etag, size) = (etag(bytes), bytes.len());
                format!("<Contents><Key>{key}</Key><LastModified>{written}</LastModified><ETag>{etag}</ETag><Size>{size}</Size></Contents>")
            })
            .collect()
    });
    xml(&format!("<ListBucketResult><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>"))
}

fn etag(bytes: &[u8]) -> String {
    format!("\"{}\"", hex::encode(&Sha256::digest(bytes)[..16]))
}

fn xml(body: &str) -> Response {
    let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>{body}");
    ([(header::CONTENT_TYPE, "application/xml")], body).into_response()
}

fn refusal(status: StatusCode, code: &str) -> Response {
    (status, xml(&format!("<Error><Code>{code}</Code><Message>{code}</Message></Error>"))).into_response()
}
