//! Where images are, and how large they may be.

use std::path::PathBuf;

use url::Url;

use super::{
    Secret,
    reader::Reader,
    values::{at_least, http_url, up_to},
};
use crate::images::Links;

/// Largest upload that can be allowed, in bytes: a client may have so much of a body in memory (the API's `load.rs`), and some of it is
/// not the file.
const MOST_BYTES: usize = 15 * 1024 * 1024;

/// Where the bytes of images are.
#[derive(Clone, Debug)]
pub enum ObjectStore {
    /// In a folder.
    Folder(PathBuf),
    /// In a bucket.
    S3(S3),
}

/// A bucket of S3's, or of something that speaks its protocol.
#[derive(Clone, Debug)]
pub struct S3 {
    /// Its name.
    pub bucket: String,
    /// What all keys in it begin with; may be empty.
    pub prefix: String,
    /// The variables `AWS_…`: credentials, region, endpoint and so on.
    pub options: Vec<(String, Secret)>,
}

/// What both programs have to know of images.
#[derive(Clone, Debug)]
pub struct Images {
    /// Where their bytes are.
    pub store: ObjectStore,
    /// Most pixels of one.
    pub max_pixels: u64,
}

/// What the API has to know besides.
#[derive(Clone, Debug)]
pub struct Uploads {
    /// Largest file, in bytes.
    pub max_bytes: usize,
    /// Where clients find images.
    pub links: Links,
}

impl Images {
    pub(super) fn read(r: &mut Reader<'_>) -> Option<Self> {
        let options = r.with_prefix("AWS_");
        let store = r.required("OBJECT_STORE_URL", |value| object_store(value, options));
        let max_pixels = r.required("IMAGE_MAX_PIXELS", at_least(1));
        Some(Self { store: store?, max_pixels: max_pixels? })
    }
}

impl Uploads {
    pub(super) fn read(r: &mut Reader<'_>) -> Option<Self> {
        let max_bytes = r.required("IMAGE_MAX_BYTES", up_to(MOST_BYTES));
        let public_url = r.required("PUBLIC_URL", http_url);
        let own = r.optional("IMAGES_PUBLIC_URL", http_url);
        let links = match own? {
            Some(own) => Links::below(own.as_str()),
            None => Links::below(&format!("{}/images", public_url?.as_str().trim_end_matches('/'))),
        };
        Some(Self { max_bytes: max_bytes?, links })
    }
}

/// `file:` and a folder, or `s3://bucket/prefix`.
fn object_store(value: &str, options: Vec<(String, Secret)>) -> Result<ObjectStore, String> {
    const FORMS: &str = "must be file:folder or s3://bucket/prefix";
    if let Some(folder) = value.strip_prefix("file:") {
        let folder = folder.strip_prefix("//").unwrap_or(folder);
        return if folder.is_empty() { Err(FORMS.into()) } else { Ok(ObjectStore::Folder(folder.into())) };
    }
    match Url::parse(value) {
        Ok(url) if url.scheme() == "s3" && url.username().is_empty() && url.query().is_none() => {
            let bucket = url.host_str().filter(|host| !host.is_empty()).ok_or(FORMS)?.to_owned();
            Ok(ObjectStore::S3(S3 { bucket, prefix: url.path().trim_matches('/').to_owned(), options }))
        }
        _ => Err(FORMS.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_a_folder_or_a_bucket() {
        for (url, folder) in [("file:images", "images"), ("file:///var/images", "/var/images")] {
            let Ok(ObjectStore::Folder(found)) = object_store(url, vec![]) else { panic!("{url} names a folder") };
            assert_eq!(found.to_str(), Some(folder));
        }
        for (url, prefix) in
            [("s3://shop", ""), ("s3://shop/", ""), ("s3://shop/images/of-products/", "images/of-products")]
        {
            let Ok(ObjectStore::S3(found)) = object_store(url, vec![]) else { panic!("{url} names a bucket") };
            assert_eq!((found.bucket.as_str(), found.prefix.as_str()), ("shop", prefix));
        }
        for wrong in
            ["", "images", "file:", "s3:", "s3:///prefix", "s3://hunter2@shop", "https://shop", "s3://shop?x=hunter2"]
        {
            let told = object_store(wrong, vec![]).expect_err(wrong);
            assert!(!told.contains("hunter2"), "{told}");
        }
    }
}
