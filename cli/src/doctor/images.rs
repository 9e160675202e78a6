//! The store of images.

use common::{
    config::{Inspection, ObjectStore},
    images::{Storage, StorageError},
};
use uuid::Uuid;

use super::finding::Finding;

const NAME: &str = "store of images";
const CONTENT: &[u8] = b"written by kassa doctor, and removed at once\n";

/// Writes, reads and removes a small object.
pub(super) async fn check(inspection: &Inspection) -> Vec<Finding> {
    vec![match &inspection.store {
        Some(store) => of_store(store).await,
        None => Finding::skipped(NAME, "OBJECT_STORE_URL can't be used"),
    }]
}

async fn of_store(store: &ObjectStore) -> Finding {
    let (place, remedy) = match store {
        ObjectStore::Folder(folder) => {
            let place = std::path::absolute(folder).unwrap_or_else(|_| folder.clone()).display().to_string();
            // The programs would make it. Here, in a working folder that may be another, nothing is made.
            if !folder.is_dir() {
                let remedy =
                    "make it, owned by the user of API and worker, or set OBJECT_STORE_URL to an absolute path";
                return Finding::wrong(NAME, format!("there is no folder {place}"), remedy);
            }
            (place, "see that this user may write in the folder, and that its disk has room")
        }
        ObjectStore::S3(s3) => (
            format!("bucket {}", s3.bucket),
            "see AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT, and that the key may get, put, delete and list",
        ),
    };
    let wrong = |what: &str, why: &str| Finding::wrong(NAME, format!("{place}: {what}: {why}"), remedy);
    let storage = match Storage::open(store) {
        Ok(storage) => storage,
        Err(error) => return wrong("it can't be opened", &error.to_string()),
    };
    let key = format!("kassa-doctor-{}", Uuid::new_v4().simple());
    let why = |error: StorageError| error.to_string();
    if let Err(error) = storage.put(&key, CONTENT.into()).await {
        return wrong("nothing can be written", &why(error));
    }
    let read = storage.read(&key).await;
    let deleted = storage.delete(&key).await;
    match (read, deleted) {
        (Ok(Some(found)), Ok(())) if found == CONTENT => {
            Finding::well(NAME, format!("{place}: an object was written, read and removed"))
        }
        (Ok(_), Ok(())) => {
            wrong("what was written is not what is read", "something else writes there, or keeps old answers")
        }
        (Err(error), _) => wrong("what was written can't be read", &why(error)),
        (_, Err(error)) => wrong(&format!("{key} can't be removed"), &why(error)),
    }
}
