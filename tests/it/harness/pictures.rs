//! Pictures of the tests', how they are uploaded, and where the shop keeps them.

use std::{io::Cursor, path::PathBuf};

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use reqwest::{Method, header::HeaderMap};
use serde_json::Value;

use super::{
    client::{Client, Reply, text},
    shop::Shop,
    wait::eventually,
};

/// What links begin with where `PUBLIC_URL` says nothing else.
const PUBLIC: &str = "http://localhost:8080";
const BOUNDARY: &str = "-----of-the-tests";

/// A picture whose left half is red and whose right half is blue.
fn picture(width: u32, height: u32) -> DynamicImage {
    let color = |x| if x < width / 2 { Rgb([220, 20, 20]) } else { Rgb([20, 20, 220]) };
    RgbImage::from_fn(width, height, |x, _| color(x)).into()
}

/// It as a file.
pub(crate) fn file(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    encoded(&picture(width, height), format)
}

/// A file of a picture.
pub(crate) fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(vec![]);
    picture.write_to(&mut bytes, format).expect("it can be written");
    bytes.into_inner()
}

/// One part of a form: its name, the name of a file, its bytes.
pub(crate) type Part<'a> = (&'a str, Option<&'a str>, &'a [u8]);

/// A form, with its content type.
pub(crate) fn form(parts: &[Part<'_>], boundary: &str) -> (String, Vec<u8>) {
    let mut body = Vec::new();
    for (name, file_name, bytes) in parts {
        let file_name = file_name.map(|name| format!("; filename=\"{name}\"")).unwrap_or_default();
        let head = format!("--{boundary}\r\ncontent-disposition: form-data; name=\"{name}\"{file_name}\r\n\r\n");
        body.extend([head.as_bytes(), bytes, b"\r\n"].concat());
    }
    body.extend(format!("--{boundary}--\r\n").into_bytes());
    (format!("multipart/form-data; boundary={boundary}"), body)
}

impl Client {
    /// Sends a form to where a product's images come in.
    pub(crate) async fn send_images(&self, product: &Value, parts: &[Part<'_>], headers: &[(&str, &str)]) -> Reply {
        let (content_type, body) = form(parts, BOUNDARY);
        let headers = [&[("content-type", content_type.as_str())], headers].concat();
        self.send(Method::POST, &format!("/products/{}/images", text(&product["id"])), body, &headers).await
    }

    /// Uploads an image.
    pub(crate) async fn upload(&self, product: &Value, bytes: &[u8]) -> Reply {
        self.send_images(product, &[("file", Some("photo.jpg"), bytes)], &[]).await
    }

    /// Takes an image away.
    pub(crate) async fn remove_image(&self, product: &Value, image: &Value) -> Reply {
        self.delete(&format!("/products/{}/images/{}", text(&product["id"]), text(&image["id"]))).await
    }

    /// What is at a link, byte by byte.
    pub(crate) async fn fetch(&self, link: &Value) -> (u16, HeaderMap, Vec<u8>) {
        let path = text(link).strip_prefix(PUBLIC).unwrap_or_else(|| panic!("{link} is no link to an image"));
        let answer = self.request(Method::GET, path).send().await.expect("the server answers");
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        (status, headers, answer.bytes().await.expect("the answer comes wholly").to_vec())
    }
}

impl Shop {
    /// Where its images are.
    pub(crate) fn images(&self) -> PathBuf {
        super::shop::images_of(&self.database)
    }

    /// The names of all files there.
    pub(crate) fn image_files(&self) -> Vec<String> {
        let Ok(files) = std::fs::read_dir(self.images()) else { return vec![] };
        let names = files.map(|file| file.expect("it can be read").file_name().to_string_lossy().into_owned());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    /// An image that was uploaded, once an admin sees it with this status.
    pub(crate) async fn image(&self, admin: &Client, product: &Value, image: &Value, status: &str) -> Value {
        let path = format!("/products/{}", text(&product["id"]));
        eventually("the image has come so far", async || {
            let seen = admin.get(&path).await.expect(200);
            let mut images = seen["images"].as_array().expect("a list").iter();
            images.find(|seen| seen["id"] == image["id"] && seen["status"] == status).cloned()
        })
        .await
    }

    /// A product's images as anybody sees them, once there are so many.
    pub(crate) async fn images_shown(&self, product: &Value, count: usize) -> Vec<Value> {
        let path = format!("/products/{}", text(&product["id"]));
        eventually("so many images are shown", async || {
            let seen = self.visitor().get(&path).await.expect(200);
            seen["images"].as_array().filter(|images| images.len() == count).cloned()
        })
        .await
    }
}
