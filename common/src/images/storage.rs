//! Where the bytes are: in a folder, or in a bucket of S3's or of something that speaks its protocol. No call waits longer than its
//! limit for an answer, none is made within a transaction, and what is written is there as a whole or not at all.

use std::{
    error::Error,
    fs, io, iter,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures::{
    Stream, StreamExt as _, TryStreamExt as _,
    stream::{self, BoxStream},
};
use object_store::{
    ClientOptions, ObjectStore as _, ObjectStoreExt as _, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    client::{HttpClient, HttpConnector},
    local::LocalFileSystem,
    prefix::PrefixStore,
};

use super::key;
use crate::config::{ObjectStore, Problems, S3};

/// Longest wait for a connection to S3, and for one request of it to be answered.
const CONNECT: Duration = Duration::from_secs(5);
const REQUEST: Duration = Duration::from_secs(15);
/// Longest wait for one call, tries and all.
const CALL: Duration = Duration::from_secs(20);

const FAILURES: &str = "kassa_object_store_failures_total";

/// Tells what the metric means, and begins to count.
pub(crate) fn describe_metrics() {
    metrics::describe_counter!(FAILURES, "Calls to the store of images that failed, by operation.");
    for operation in ["delete", "get", "put", "read"] {
        metrics::counter!(FAILURES, "operation" => operation).increment(0);
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Storage {
    store: Arc<dyn object_store::ObjectStore>,
    /// Where it is a folder.
    folder: Option<PathBuf>,
}

/// Why there is no store.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder isn't there, and can't be made.
    #[error("names a folder that can't be made: {0}")]
    Folder(io::Error),
    /// The folder or the bucket can't be used.
    #[error("can't be used: {0}")]
    Store(#[from] object_store::Error),
}

impl From<OpenError> for Problems {
    fn from(error: OpenError) -> Self {
        Self(vec![format!("OBJECT_STORE_URL {error}")])
    }
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// There is no room.
    #[error("the store of images is full")]
    Full,
    /// It didn't answer in time.
    #[error("the store of images did not answer within {} s", CALL.as_secs())]
    TimedOut,
    /// It can't be reached, or refuses.
    #[error("the store of images could not be used: {0}")]
    Failed(object_store::Error),
}

impl From<object_store::Error> for StorageError {
    fn from(error: object_store::Error) -> Self {
        let is_full = |kind| matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        let mut causes = iter::successors(Some(&error as &dyn Error), |cause| (*cause).source());
        if causes.any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|error| is_full(error.kind()))) {
            return Self::Full;
        }
        Self::Failed(error)
    }
}

/// An object that is read.
pub struct Object {
    /// Bytes.
    pub size: u64,
    /// Them, piece by piece.
    pub stream: BoxStream<'static, Result<Bytes, StorageError>>,
}

impl Storage {
    /// Opens it; a folder that isn't there is made.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(config: &ObjectStore) -> Result<Self, OpenError> {
        match config {
            ObjectStore::Folder(folder) => {
                fs::create_dir_all(folder).map_err(OpenError::Folder)?;
                let folder = folder.canonicalize().map_err(OpenError::Folder)?;
                let store = LocalFileSystem::new_with_prefix(&folder)?.with_fsync(true);
                Ok(Self { store: Arc::new(store), folder: Some(folder) })
            }
            ObjectStore::S3(s3) => Ok(Self { store: bucket(s3)?, folder: None }),
        }
    }

    /// Writes an object, whole or not at all.
    ///
    /// # Errors
    /// See [`StorageError`].
    pub async fn put(&self, key: &str, bytes: Bytes) -> Result<(), StorageError> {
        in_time("put", self.store.put(&key.into(), bytes.into())).await.map(|_| ())
    }

    /// All of an object's bytes, if there is such an object.
    ///
    /// # Errors
    /// See [`StorageError`].
    pub async fn read(&self, key: &str) -> Result<Option<Bytes>, StorageError> {
        let path = key.into();
        let bytes = in_time("read", async { self.store.get(&path).await?.bytes().await });
        unless_absent(bytes.await)
    }

    /// An object, to be read piece by piece, if there is such an object.
    ///
    /// # Errors
    /// See [`StorageError`].
    pub async fn get(&self, key: &str) -> Result<Option<Object>, StorageError> {
        let found = unless_absent(in_time("get", self.store.get(&key.into())).await)?;
        Ok(found.map(|found| Object { size: found.meta.size, stream: found.into_stream().map_err(Into::into).boxed() }))
    }

    /// Removes an object, if it is there.
    ///
    /// # Errors
    /// See [`StorageError`].
    pub async fn delete(&self, key: &str) -> Result<(), StorageError> {
        unless_absent(in_time("delete", self.store.delete(&key.into())).await).map(|_| ())
    }

    /// Removes an object that nobody needs any more. Where that fails it is left until the store is swept.
    pub async fn forget(&self, key: &str) {
        if let Err(error) = self.delete(key).await {
            tracing::warn!(
                error = &error as &dyn Error,
                "an object that nobody needs is left until the store is swept"
            );
        }
    }

    /// The keys of all objects that are older than this, by the clocks of the store and of this machine.
    #[expect(
        clippy::disallowed_methods,
        reason = "the store dates its objects itself; a day more or less makes no difference"
    )]
    pub(super) fn list(&self, older_than: Duration) -> impl Stream<Item = Result<String, StorageError>> + use<'_> {
        let newest = chrono::Utc::now() - older_than;
        let old = move |object: object_store::ObjectMeta| async move {
            Ok((object.last_modified < newest).then(|| object.location.to_string()))
        };
        self.all().map_err(StorageError::from).try_filter_map(old)
    }

    /// All objects that may be ours. What lies deeper in a folder is not, and may not even be read: `lost+found`, say.
    fn all(&self) -> BoxStream<'_, object_store::Result<object_store::ObjectMeta>> {
        if self.folder.is_none() {
            return self.store.list(None);
        }
        let listed =
            async { self.store.list_with_delimiter(None).await.map(|listed| stream::iter(listed.objects).map(Ok)) };
        stream::once(listed).try_flatten().boxed()
    }

    /// Removes what is left in a folder of writes that a crash interrupted, and says how many. The store itself shows them to nobody: they
    /// are a key, `#` and a number.
    pub(super) async fn remove_torn(&self, older_than: Duration) -> Result<u64, StorageError> {
        let Some(folder) = self.folder.clone() else { return Ok(0) };
        let removed = tokio::task::spawn_blocking(move || remove_torn(&folder, older_than)).await;
        let failed = |source| object_store::Error::Generic { store: "folder", source };
        Ok(removed.map_err(|error| failed(error.into()))?.map_err(|error| failed(error.into()))?)
    }
}

fn remove_torn(folder: &Path, older_than: Duration) -> io::Result<u64> {
    let mut removed = 0;
    for file in fs::read_dir(folder)? {
        let file = file?;
        if !file.file_name().to_str().is_some_and(is_torn) {
            continue;
        }
        let is_old = |about: fs::Metadata| Ok(about.modified()?.elapsed().unwrap_or_default() > older_than);
        match file.metadata().and_then(is_old) {
            Ok(true) => {
                fs::remove_file(file.path())?;
                removed += 1;
            }
            Ok(false) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {} // its write has ended meanwhile
            Err(error) => return Err(error),
        }
    }
    Ok(removed)
}

fn is_torn(name: &str) -> bool {
    name.rsplit_once('#').is_some_and(|(key, number)| key::is_ours(key) && number.parse::<u64>().is_ok())
}

async fn in_time<T>(
    operation: &'static str,
    call: impl Future<Output = object_store::Result<T>>,
) -> Result<T, StorageError> {
    let done = match tokio::time::timeout(CALL, call).await {
        Ok(done) => done.map_err(StorageError::from),
        Err(_) => Err(StorageError::TimedOut),
    };
    if done.as_ref().is_err_and(|error| !is_absent(error)) {
        metrics::counter!(FAILURES, "operation" => operation).increment(1);
    }
    done
}

fn is_absent(error: &StorageError) -> bool {
    matches!(error, StorageError::Failed(object_store::Error::NotFound { .. }))
}

fn unless_absent<T>(found: Result<T, StorageError>) -> Result<Option<T>, StorageError> {
    match found {
        Err(error) if is_absent(&error) => Ok(None),
        found => found.map(Some),
    }
}

fn bucket(s3: &S3) -> object_store::Result<Arc<dyn object_store::ObjectStore>> {
    let retry = RetryConfig { max_retries: 2, retry_timeout: REQUEST, ..RetryConfig::default() };
    let mut builder =
        AmazonS3Builder::new().with_http_connector(Connector).with_retry(retry).with_bucket_name(&s3.bucket);
    for (name, value) in &s3.options {
        // What other programs read of AWS_… is none of the store's.
        if let Ok(key) = name.to_lowercase().parse::<AmazonS3ConfigKey>() {
            builder = builder.with_config(key, value.expose());
        }
    }
    let store = builder.build()?;
    Ok(match s3.prefix.as_str() {
        "" => Arc::new(store),
        prefix => Arc::new(PrefixStore::new(store, prefix)),
    })
}

/// Makes the client: one whose TLS is the process', and that follows nobody elsewhere.
#[derive(Debug)]
struct Connector;

impl HttpConnector for Connector {
    #[expect(clippy::disallowed_methods, reason = "the one place for the store; with time limits")]
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .read_timeout(REQUEST) // not `timeout`: who reads slowly may read to the end
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| object_store::Error::Generic { store: "S3", source: error.into() })?;
        Ok(HttpClient::new(client))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(kind: io::ErrorKind) -> StorageError {
        object_store::Error::Generic { store: "folder", source: io::Error::from(kind).into() }.into()
    }

    #[test]
    fn a_full_disk_is_told_from_other_failures() {
        for full in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
            assert!(matches!(failed(full), StorageError::Full));
        }
        for other in [io::ErrorKind::NotADirectory, io::ErrorKind::PermissionDenied, io::ErrorKind::TimedOut] {
            assert!(matches!(failed(other), StorageError::Failed(_)));
        }
    }

    #[tokio::test]
    async fn a_folder_gives_back_what_was_put_and_knows_nothing_else() {
        let folder = std::env::temp_dir().join(format!("kassa-storage-{}", std::process::id()));
        let storage = Storage::open(&ObjectStore::Folder(folder.join("made/by/it"))).expect("it can be made");
        storage.put("a.jpg", Bytes::from_static(b"one")).await.expect("there is room");
        storage.put("a.jpg", Bytes::from_static(b"two")).await.expect("there is room");
        assert_eq!(storage.read("a.jpg").await.expect("it answers").as_deref(), Some(&b"two"[..]));
        assert_eq!(storage.get("a.jpg").await.expect("it answers").map(|object| object.size), Some(3));
        assert!(storage.read("b.jpg").await.expect("it answers").is_none());
        assert!(storage.get("b.jpg").await.expect("it answers").is_none());
        let torn = folder.join(format!("made/by/it/{}.jpg#1", "c".repeat(32)));
        let others = folder.join("made/by/it/c#1");
        fs::create_dir(&others).expect("there is room");
        fs::write(&torn, b"tor").expect("there is room");
        let kept: Vec<String> = storage.list(Duration::from_secs(60)).try_collect().await.expect("it answers");
        assert!(kept.is_empty() && storage.remove_torn(Duration::from_secs(60)).await.expect("it can be read") == 0);
        let all: Vec<String> = storage.list(Duration::ZERO).try_collect().await.expect("it answers");
        assert_eq!(all, ["a.jpg"]);
        assert_eq!(storage.remove_torn(Duration::ZERO).await.expect("it can be read"), 1);
        assert!(!torn.exists() && others.exists());
        for _ in 0..2 {
            storage.delete("a.jpg").await.expect("it answers");
        }
        assert!(storage.read("a.jpg").await.expect("it answers").is_none());
        fs::remove_dir_all(&folder).expect("it is ours");
    }
}
