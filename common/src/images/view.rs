//! What is shown of an image.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{catalog::Viewer, id::ImageId};

/// How far an image has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ImageStatus {
    /// It waits for the worker.
    Processing,
    /// It is shown.
    Ready,
    /// It can't be shown.
    Failed,
}

/// An image of a product, as its row is: what the function `image_json` of the database gives.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Image {
    /// Its id.
    pub id: ImageId,
    /// What it shows, for those who can't see it.
    pub alt: String,
    /// How far it has come.
    pub status: ImageStatus,
    /// Of the image as it is shown.
    pub image_key: Option<String>,
    /// Of its thumbnail.
    pub thumbnail_key: Option<String>,
    /// Pixels of the image as it is shown.
    pub width: Option<i32>,
    /// Pixels of the image as it is shown.
    pub height: Option<i32>,
    /// Why it failed.
    pub error: Option<String>,
}

/// An image as clients see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Image)]
pub struct ImageView {
    /// Its id.
    pub id: ImageId,
    /// Where it is, once it is ready.
    pub url: Option<String>,
    /// Where its thumbnail is, once it is ready.
    pub thumbnail_url: Option<String>,
    /// What it shows, for those who can't see it.
    pub alt: String,
    /// In pixels, once it is ready.
    pub width: Option<i32>,
    /// In pixels, once it is ready.
    pub height: Option<i32>,
    /// How far it has come: for admins, as others see what is ready only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub status: Option<ImageStatus>,
    /// Why it failed: for admins.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error: Option<String>,
}

/// Where clients find images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Links(String);

impl Links {
    /// Below this URL.
    pub fn below(url: &str) -> Self {
        Self(url.trim_end_matches('/').to_owned())
    }

    /// Where the object with this key is.
    pub fn to(&self, key: &str) -> String {
        format!("{}/{key}", self.0)
    }
}

impl Image {
    /// This image as this viewer sees it, if they do.
    pub fn show(self, links: &Links, viewer: Viewer) -> Option<ImageView> {
        let (status, error) = match viewer {
            Viewer::Admin => (Some(self.status), self.error),
            Viewer::Public if self.status == ImageStatus::Ready => (None, None),
            Viewer::Public => return None,
        };
        Some(ImageView {
            id: self.id,
            url: self.image_key.map(|key| links.to(&key)),
            thumbnail_url: self.thumbnail_key.map(|key| links.to(&key)),
            alt: self.alt,
            width: self.width,
            height: self.height,
            status,
            error,
        })
    }
}
