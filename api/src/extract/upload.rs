//! An image that is uploaded, as `multipart/form-data` (RFC 7578): one file, and perhaps a text that says what it shows. What a client calls
//! its file, and which type it gives it, is not even looked at.

use std::time::Duration;

use axum::{
    extract::{
        DefaultBodyLimit, FromRequest, Multipart, Request,
        multipart::{Field, MultipartError},
    },
    http::StatusCode,
};
use bytes::{Bytes, BytesMut};
use common::images::{Alt, NotAnAlt};
use http::{HeaderMap, header};

use super::body::check_announcement;
use crate::{
    load,
    problem::{Problem, kinds},
    state::AppState,
};

/// Longest wait for all of it to arrive: 10 MiB over a line of 1 Mbit/s.
const ARRIVAL: Duration = Duration::from_secs(90);
/// Largest part that is not the file: the boundaries, the headers and the text.
const OVERHEAD: usize = 16 * 1024;
/// Longest text, in bytes: of what is longer it is known already that it is too long.
const LONGEST_ALT: usize = 4 * 1024;

/// See the module.
pub(crate) struct Upload {
    /// The file's bytes, whatever they are.
    pub(crate) file: Bytes,
    /// What it shows.
    pub(crate) alt: Alt,
}

impl FromRequest<AppState> for Upload {
    type Rejection = Problem;

    async fn from_request(mut request: Request, app: &AppState) -> Result<Self, Problem> {
        let max_bytes = app.config.uploads.max_bytes;
        check_content_type(request.headers())?;
        check_announcement(request.headers(), max_bytes + OVERHEAD)?;
        DefaultBodyLimit::max(max_bytes + OVERHEAD).apply(&mut request);
        let parts = Multipart::from_request(request, app).await;
        let parts = parts.map_err(|_| malformed("The `Content-Type` must name the boundary."))?;
        match load::without_slot(tokio::time::timeout(ARRIVAL, read(parts, max_bytes))).await {
            Ok(upload) => upload,
            Err(_) => Err(Problem::new(kinds::REQUEST_TIMEOUT, "The body took too long to arrive.")),
        }
    }
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Problem> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("multipart/form-data") {
        return Ok(());
    }
    Err(Problem::new(kinds::UNSUPPORTED_MEDIA_TYPE, "Send the image as the part `file` of `multipart/form-data`."))
}

async fn read(mut parts: Multipart, max_bytes: usize) -> Result<Upload, Problem> {
    let (mut file, mut alt) = (None, None);
    while let Some(part) = parts.next_field().await.map_err(|error| unreadable(&error))? {
        let twice = |name: &str| Problem::invalid(format!("/{name}"), "is there twice");
        match part.name() {
            Some("file") if file.is_some() => return Err(twice("file")),
            Some("file") => file = Some(whole(part, max_bytes).await?.ok_or_else(|| too_large(max_bytes))?),
            Some("alt") if alt.is_some() => return Err(twice("alt")),
            Some("alt") => alt = Some(text(part).await?),
            Some(name) => {
                let name: String = name.chars().take(100).collect();
                return Err(Problem::invalid(format!("/{name}"), "is not known here; expected `file`, `alt`"));
            }
            None => return Err(malformed("A part has no name.")),
        }
    }
    let file = file.ok_or_else(|| Problem::invalid("/file", "is missing"))?;
    Ok(Upload { file, alt: alt.unwrap_or_default() })
}

/// The bytes of a part, unless there are more.
async fn whole(mut part: Field<'_>, most: usize) -> Result<Option<Bytes>, Problem> {
    let mut whole = BytesMut::new();
    while let Some(bytes) = part.chunk().await.map_err(|error| unreadable(&error))? {
        if whole.len() + bytes.len() > most {
            return Ok(None);
        }
        load::hold(bytes.len())?;
        whole.extend_from_slice(&bytes);
    }
    Ok(Some(whole.freeze()))
}

async fn text(part: Field<'_>) -> Result<Alt, Problem> {
    let invalid = |error: NotAnAlt| Problem::invalid("/alt", error);
    let bytes = whole(part, LONGEST_ALT).await?.ok_or_else(|| invalid(NotAnAlt))?;
    let text = str::from_utf8(&bytes).map_err(|_| Problem::invalid("/alt", "must be text in UTF-8"))?;
    Alt::parse(text).map_err(invalid)
}

fn unreadable(error: &MultipartError) -> Problem {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        Problem::new(kinds::PAYLOAD_TOO_LARGE, "The body is larger than is read here.")
    } else {
        malformed("The body broke off, or is not in order.")
    }
}

fn malformed(detail: &'static str) -> Problem {
    Problem::new(kinds::MALFORMED_REQUEST, detail)
}

fn too_large(max_bytes: usize) -> Problem {
    Problem::new(kinds::PAYLOAD_TOO_LARGE, format!("An image may have {max_bytes} bytes at most."))
}
