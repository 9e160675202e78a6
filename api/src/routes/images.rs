//! Images: `/products/{id}/images`, where admins add and remove them, and `/images/{key}`, where their bytes are for all.

use std::error::Error;

use axum::{
    Json,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use common::{
    catalog::Viewer,
    id::{ImageId, ProductId},
    images::{self, AddError, ImageView, Key, MAX_PER_PRODUCT, NotAnImage, RemoveError, StorageError},
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    extract::{Admin, IdempotencyKey, IfNoneMatch, PathId, PathIds, Upload},
    load,
    openapi::{Problems, tells},
    problem::{Kind, Problem, kinds},
    respond::replayed,
    state::AppState,
};

/// Where images come in: more than anywhere else, and more slowly.
pub(crate) const UPLOADS: &str = "/products/{id}/images";

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(add)).routes(routes!(remove)).routes(routes!(bytes))
}

/// What is uploaded, part by part.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "for the document only: the extractor reads parts")]
struct ImageUpload {
    /// A JPEG, a PNG or a WebP. It is told by its content: its name and its type say nothing.
    #[schema(value_type = String, format = Binary)]
    file: (),
    /// What it shows, for those who can't see it.
    #[schema(max_length = 500)]
    alt: Option<String>,
}

/// Add an image
///
/// It is shown once it has been processed, which takes a moment: `status` says how far it has come.
#[utoipa::path(
    post, path = UPLOADS, operation_id = "add_image", tag = "catalogue",
    params(("id" = ProductId, Path, description = "The product's id."), IdempotencyKey),
    request_body(content = ImageUpload, content_type = "multipart/form-data"),
    responses(
        (status = 202, description = "The image, to be processed.", body = ImageView, headers(("Idempotency-Replayed"))),
        Problems<AddError>,
        Problems<NotAnImage>,
        Problems<StorageError>,
    ),
    security(("bearer" = ["admin"]))
)]
async fn add(
    State(app): State<AppState>,
    Admin(admin): Admin,
    PathId(product): PathId<ProductId>,
    key: IdempotencyKey,
    Upload { file, alt }: Upload,
) -> Result<impl IntoResponse, Problem> {
    let max_pixels = app.config.images.max_pixels;
    let looked_at = spawn_blocking(move || {
        images::inspect(&file, max_pixels).map(|_| (Sha256::digest(&file).to_vec(), file)) // megabytes take a moment
    });
    let (digest, bytes) = looked_at.await.map_err(|error| Problem::internal(&error))??;
    // Boundaries differ from one try to the next: a key is bound to what is between them.
    let key = key.request(&[&digest, alt.as_str().as_bytes()].concat());
    let upload = images::Upload { bytes, alt };
    let adding = images::add(&app.pool, &app.storage, admin.id, product, &upload, key.as_ref());
    let added = adding.await?;
    app.answers.forget();
    let shown = added.image.show(&app.config.uploads.links, Viewer::Admin);
    Ok((StatusCode::ACCEPTED, replayed(added.replayed), Json(shown)))
}

/// Remove an image
#[utoipa::path(
    delete, path = "/products/{id}/images/{image_id}", operation_id = "remove_image", tag = "catalogue",
    params(
        ("id" = ProductId, Path, description = "The product's id."),
        ("image_id" = ImageId, Path, description = "The image's id."),
    ),
    responses((status = 204, description = "It is not shown any more.")),
    security(("bearer" = ["admin"]))
)]
async fn remove(
    State(app): State<AppState>,
    Admin(admin): Admin,
    PathIds(product, image): PathIds<ProductId, ImageId>,
) -> Result<StatusCode, Problem> {
    images::remove(&app.pool, admin.id, product, image).await?;
    app.answers.forget();
    Ok(StatusCode::NO_CONTENT)
}

/// No key's bytes ever change. Should they be something else than an image to somebody all the same, they can do nothing.
const FOR_EVER: [(HeaderName, HeaderValue); 2] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox")),
];

/// What an image is made of.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
struct ImageBytes(());

/// An image's bytes
///
/// They never change.
#[utoipa::path(
    get, path = "/images/{key}", operation_id = "get_image", tag = "catalogue",
    params(
        ("key" = String, Path, description = "As in a product's `url` or `thumbnail_url`."),
        IfNoneMatch,
    ),
    responses(
        (
            status = 200, description = "The image.", headers(("ETag")),
            content((ImageBytes = "image/jpeg"), (ImageBytes = "image/png")),
        ),
        (status = 304, description = "The client has it already.", headers(("ETag"))),
        Problems<StorageError>,
    ),
    security(())
)]
async fn bytes(State(app): State<AppState>, PathId(key): PathId<Key>, known: IfNoneMatch) -> Result<Response, Problem> {
    let etag = HeaderValue::try_from(format!("\"{}\"", key.as_str())).map_err(|error| Problem::internal(&error))?;
    let headers = (FOR_EVER, [(header::ETAG, etag.clone())]);
    if known.matches(&etag) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response()); // no key's bytes ever change
    }
    // A store that does not answer keeps nobody else's slot.
    let object = load::without_slot(app.storage.get(key.as_str())).await?.ok_or_else(Problem::not_found)?;
    let about = [
        (header::CONTENT_TYPE, HeaderValue::from_static(key.content_type())),
        (header::CONTENT_LENGTH, object.size.into()),
    ];
    Ok((headers, about, Body::from_stream(object.stream)).into_response())
}

const TOO_MANY_IMAGES: Kind =
    Kind::new(StatusCode::CONFLICT, "too_many_images", "The product has as many images as it may have");

tells! { NotAnImage: kinds::UNSUPPORTED_MEDIA_TYPE, kinds::VALIDATION_FAILED }

impl From<NotAnImage> for Problem {
    fn from(error: NotAnImage) -> Self {
        match error {
            NotAnImage::OtherType => {
                Self::new(kinds::UNSUPPORTED_MEDIA_TYPE, format!("The file {error}, whatever it is called."))
            }
            NotAnImage::Empty | NotAnImage::Damaged | NotAnImage::TooLarge { .. } => Self::invalid("/file", error),
        }
    }
}

tells! { AddError: TOO_MANY_IMAGES }

impl From<AddError> for Problem {
    fn from(error: AddError) -> Self {
        match error {
            AddError::NotFound => Self::not_found(),
            AddError::TooMany => {
                Self::new(TOO_MANY_IMAGES, format!("Remove one first: a product may have {MAX_PER_PRODUCT}."))
            }
            AddError::Storage(error) => error.into(),
            AddError::Claim(error) => error.into(),
        }
    }
}

impl From<RemoveError> for Problem {
    fn from(error: RemoveError) -> Self {
        match error {
            RemoveError::NotFound => Self::not_found(),
            RemoveError::Database(error) => error.into(),
        }
    }
}

tells! { StorageError: kinds::INSUFFICIENT_STORAGE }

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        tracing::warn!(error = &error as &dyn Error, "the store of images could not be used");
        match error {
            StorageError::Full => {
                Self::new(kinds::INSUFFICIENT_STORAGE, "The store of images is full. Nothing was kept.")
            }
            StorageError::TimedOut | StorageError::Failed(_) => {
                Self::new(kinds::UNAVAILABLE, "The store of images is away. Try again soon.").retry_after(5)
            }
        }
    }
}
