//! The names of objects: random ones of ours, so that none tells of a client's file name, leads anywhere, or is ever used twice.

use std::{fmt, str::FromStr};

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// The key of an object that anybody may have: 32 hexadecimal digits, perhaps a size, and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(String);

/// Not a key of an object that is shown.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no image's key")]
pub struct NotAKey;

impl Key {
    /// The media type of its object.
    pub fn content_type(&self) -> &'static str {
        if self.0.ends_with(".png") { "image/png" } else { "image/jpeg" }
    }

    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Key {
    type Err = NotAKey;

    fn from_str(raw: &str) -> Result<Self, NotAKey> {
        let stem = raw.strip_suffix(".jpg").or_else(|| raw.strip_suffix(".png")).ok_or(NotAKey)?;
        let (random, size) = stem.split_once('-').map_or((stem, None), |(random, size)| (random, Some(size)));
        let is_size = size.is_none_or(|size| (1..=4).contains(&size.len()) && size.bytes().all(|b| b.is_ascii_digit()));
        if is_random(random) && is_size { Ok(Self(raw.to_owned())) } else { Err(NotAKey) }
    }
}

/// The keys of an image that was processed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// The image as it is shown.
    pub image: String,
    /// The thumbnail of lists and pages.
    pub thumbnail: String,
    /// The thumbnail of carts.
    pub small_thumbnail: String,
}

impl Keys {
    /// Those that belong to an upload. Whoever processes it again writes the same objects again. From them nobody learns where the upload
    /// is, which has all that the camera noted.
    pub fn of(original: &str, format: Written, thumbnail: u32, small_thumbnail: u32) -> Self {
        let stem = hex::encode(&Sha256::digest(original)[..16]);
        let sized = |size: u32| format!("{stem}-{size}.{format}");
        Self { image: format!("{stem}.{format}"), thumbnail: sized(thumbnail), small_thumbnail: sized(small_thumbnail) }
    }

    /// All of them.
    pub fn all(&self) -> [&str; 3] {
        [&self.image, &self.thumbnail, &self.small_thumbnail]
    }
}

/// What images are written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// What nothing shines through.
    Jpeg,
    /// The rest.
    Png,
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
        })
    }
}

/// What the keys of uploads end in: nobody is shown these.
const ORIGINAL: &str = ".upload";

/// Whether an object can be one of the shop's by its name. Others in the same place are not the shop's to remove.
pub(super) fn is_ours(name: &str) -> bool {
    name.strip_suffix(ORIGINAL).is_some_and(is_random) || name.parse::<Key>().is_ok()
}

fn is_random(stem: &str) -> bool {
    stem.len() == 32 && stem.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A new key for an upload.
pub(super) fn original() -> String {
    format!("{}{ORIGINAL}", Uuid::new_v4().simple())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_of_ours_or_none() {
        let stem = "0123456789abcdef0123456789abcdef";
        for (fine, content_type) in [("", "image/jpeg"), ("-480", "image/png")] {
            let ending = &content_type["image/".len()..].replace("jpeg", "jpg");
            let key: Key = format!("{stem}{fine}.{ending}").parse().expect("a key");
            assert_eq!(key.content_type(), content_type);
        }
        for wrong in [
            "",
            ".jpg",
            "../../etc/passwd",
            "../0123456789abcdef0123456789abcdef.jpg",
            "0123456789ABCDEF0123456789abcdef.jpg",
            "0123456789abcdef0123456789abcde.jpg",
            "0123456789abcdef0123456789abcdef.gif",
            "0123456789abcdef0123456789abcdef.jpg.png.jpg",
            "0123456789abcdef0123456789abcdef.upload",
            "0123456789abcdef0123456789abcdef-.jpg",
            "0123456789abcdef0123456789abcdef-48x.jpg",
            "0123456789abcdef0123456789abcdef-12345.jpg",
            "0123456789abcdef0123456789abcdef.jpg\0",
            "0123456789abcdef0123456789abcdef.jpg#1",
        ] {
            assert_eq!(wrong.parse::<Key>(), Err(NotAKey), "{wrong}");
        }
    }

    #[test]
    fn an_upload_is_nobodys_and_its_keys_are_the_same_each_time() {
        let original = original();
        assert_eq!(original.parse::<Key>(), Err(NotAKey));
        let keys = Keys::of(&original, Written::Png, 480, 160);
        assert_eq!(keys, Keys::of(&original, Written::Png, 480, 160));
        assert!(keys.all().iter().all(|key| key.parse::<Key>().is_ok()), "{keys:?}");
        assert_ne!(original, super::original());
    }
}
