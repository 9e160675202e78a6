//! What is no image, too much of one, or a way out of the folder is refused, or harmless.

use std::io::Write as _;

use flate2::{Compression, Crc, write::ZlibEncoder};
use image::ImageFormat;
use reqwest::{Body, Method};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Client, Program, Shop, file, form, text};

const SVG: &str = r#"<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>"#;
const HTML: &str = "<!doctype html><script>alert(1)</script>";
const GIF: &[u8] =
    b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

fn chunk(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let named = [&kind[..], content].concat();
    let mut sum = Crc::new();
    sum.update(&named);
    let length = u32::try_from(content.len()).expect("it is short");
    [&length.to_be_bytes()[..], &named, &sum.sum().to_be_bytes()].concat()
}

fn packed(size: usize) -> Vec<u8> {
    let mut zlib = ZlibEncoder::new(vec![], Compression::fast());
    let zeros = vec![0; 1 << 20];
    for _ in 0..size.div_ceil(zeros.len()) {
        zlib.write_all(&zeros).expect("there is memory");
    }
    zlib.finish().expect("there is memory")
}

/// A PNG of one colour, of one bit a pixel, with these chunks before its pixels.
fn png(width: u32, height: u32, before: &[u8]) -> Vec<u8> {
    let head = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[1, 0, 0, 0, 0]].concat();
    let row = 1 + width.div_ceil(8) as usize;
    let pixels = chunk(b"IDAT", &packed(row * height as usize));
    [&b"\x89PNG\r\n\x1a\n"[..], &chunk(b"IHDR", &head), before, &pixels, &chunk(b"IEND", b"")].concat()
}

/// The JPEG with another size in its head.
fn blown_up(jpeg: &[u8], side: u16) -> Vec<u8> {
    let mut jpeg = jpeg.to_vec();
    let frame = jpeg.windows(2).position(|marker| marker == [0xff, 0xc0]).expect("it is a baseline one");
    jpeg[frame + 5..frame + 7].copy_from_slice(&side.to_be_bytes());
    jpeg[frame + 7..frame + 9].copy_from_slice(&side.to_be_bytes());
    jpeg
}

#[tokio::test]
async fn what_is_no_image_is_refused_whatever_it_is_called() {
    let shop = Shop::with(&[("IMAGE_MAX_BYTES", "100000")]).await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let product = shop.product(500, 5).await;
    let before = shop.contents().await;
    let photo = file(300, 200, ImageFormat::Jpeg);
    let send = async |bytes: &[u8]| admin.send_images(&product, &[("file", Some("photo.png"), bytes)], &[]).await;
    for other in [SVG.as_bytes(), HTML.as_bytes(), GIF, b"BM", b"%PDF-1.7", b"\0\0\0\x18ftypavif", &[0xff, 0xd8]] {
        send(other).await.problem(415, "unsupported_media_type");
    }
    let png = file(300, 200, ImageFormat::Png);
    let webp = file(300, 200, ImageFormat::WebP);
    for damaged in [&b""[..], &photo[..photo.len() / 2], &photo[..40], &png[..png.len() / 2], &webp[..webp.len() / 2]] {
        send(damaged).await.invalid("/file");
    }
    for (width, height) in [(50_000, 50_000), (20_000, 1), (0, 10)] {
        let head = [&u32::to_be_bytes(width)[..], &u32::to_be_bytes(height), &[8, 2, 0, 0, 0]].concat();
        let claim =
            [&b"\x89PNG\r\n\x1a\n"[..], &chunk(b"IHDR", &head), &chunk(b"IDAT", &packed(10)), &chunk(b"IEND", b"")];
        send(&claim.concat()).await.invalid("/file");
    }
    send(&blown_up(&photo, 65_500)).await.invalid("/file");

    let parts = async |parts: &[(&str, Option<&str>, &[u8])]| admin.send_images(&product, parts, &[]).await;
    let file = ("file", Some("a.jpg"), &photo[..]);
    parts(&[]).await.invalid("/file");
    parts(&[("alt", None, b"a mug")]).await.invalid("/file");
    parts(&[file, file]).await.invalid("/file");
    parts(&[file, ("alt", None, b"a"), ("alt", None, b"b")]).await.invalid("/alt");
    parts(&[file, ("alt", None, "x".repeat(501).as_bytes())]).await.invalid("/alt");
    parts(&[file, ("alt", None, &[0xff, 0xfe])]).await.invalid("/alt");
    parts(&[file, ("alt", None, b"a\0b")]).await.invalid("/alt");
    parts(&[file, ("position", None, b"1")]).await.invalid("/position");
    parts(&[file, ("alt", None, &vec![b'x'; 10_000])]).await.invalid("/alt");

    let path = format!("/products/{}/images", text(&product["id"]));
    let raw = async |content_type, body: Vec<u8>| {
        admin.send(Method::POST, &path, body, &[("content-type", content_type)]).await
    };
    raw("image/jpeg", photo.clone()).await.problem(415, "unsupported_media_type");
    raw("application/json", b"{}".to_vec()).await.problem(415, "unsupported_media_type");
    raw("multipart/form-data", photo.clone()).await.problem(400, "malformed_request");
    raw("multipart/form-data; boundary=x", b"--x\r\nno".to_vec()).await.problem(400, "malformed_request");
    let (content_type, body) = form(&[file], "x");
    raw(&content_type, body[..body.len() - 20].to_vec()).await.problem(400, "malformed_request");
    admin.post(&path, &json!({})).await.problem(415, "unsupported_media_type");

    for (client, status, code) in [(&shop.visitor(), 401, "unauthenticated"), (&shopper, 403, "forbidden")] {
        client.upload(&product, &photo).await.problem(status, code);
    }
    for unknown in [Uuid::new_v4().to_string(), "no-id".into(), "..%2f..".into()] {
        admin.upload(&json!({ "id": unknown }), &photo).await.problem(404, "not_found");
    }
    admin.get(&path).await.problem(405, "method_not_allowed");
    assert_eq!(shop.contents().await, before);
    assert!(shop.image_files().is_empty(), "{:?}", shop.image_files());
    shop.finish().await;
}

#[tokio::test]
async fn more_bytes_than_are_taken_are_refused_announced_or_not() {
    let shop = Shop::with(&[("IMAGE_MAX_BYTES", "100000")]).await;
    let admin = shop.admin().await;
    let product = shop.product(500, 5).await;
    let path = format!("/products/{}/images", text(&product["id"]));
    let photo = file(300, 200, ImageFormat::Jpeg);
    let of_size = |size: usize| [&photo[..], &vec![b' '; size - photo.len()]].concat();
    let (content_type, larger) = form(&[("file", Some("a.jpg"), &of_size(100_001))], "x");
    let (_, far_larger) = form(&[("file", Some("a.jpg"), &of_size(5_000_000))], "x");
    let headers = [("content-type", content_type.as_str())];
    for body in [larger, far_larger] {
        admin.send(Method::POST, &path, body.clone(), &headers).await.problem(413, "payload_too_large");
        let pieces: Vec<_> = body.chunks(10_000).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect();
        let unannounced = Body::wrap_stream(futures::stream::iter(pieces));
        admin.send(Method::POST, &path, unannounced, &headers).await.problem(413, "payload_too_large");
    }
    assert!(shop.image_files().is_empty(), "{:?}", shop.image_files());
    admin.upload(&product, &of_size(100_000)).await.expect(202);
    shop.images_shown(&product, 1).await;
    shop.finish().await;
}

/// What a program has taken more than before, in MiB.
fn grown(program: &Program, before: Option<u64>) -> u64 {
    let grown = program.resident_memory().zip(before).map(|(now, before)| now.saturating_sub(before));
    grown.unwrap_or_default() / 1024
}

async fn refused_with_little_memory(shop: &Shop, admin: &Client, product: &Value, bombs: &[Vec<u8>]) {
    let before = [shop.api.resident_memory(), shop.worker.resident_memory()];
    for bomb in bombs {
        assert!(bomb.len() < 10_000_000, "it would be refused for its size: {}", bomb.len());
        admin.upload(product, bomb).await.invalid("/file");
    }
    shop.settle().await;
    let peak = |program: &Program, before: Option<u64>| {
        program.peak_memory().zip(before).map_or(0, |(peak, before)| peak.saturating_sub(before) / 1024)
    };
    let grown = [peak(&shop.api, before[0]), peak(&shop.worker, before[1])];
    assert!(grown[0] < 64 && grown[1] < 16, "API and worker have grown by {grown:?} MiB");
}

#[tokio::test]
async fn a_decompression_bomb_is_refused_and_takes_no_memory() {
    // All are made first: it takes so long that an idle connection would be closed meanwhile.
    // 2,500,000,000 pixels, in good order; a profile of colours of 1 GiB, in a picture of one pixel; a JPEG that says so only.
    let profile = [b"p\0\0".to_vec(), packed(1 << 30)].concat();
    let bombs = [
        png(50_000, 50_000, b""),
        png(1, 50_000, &chunk(b"iCCP", &profile)),
        blown_up(&file(30, 20, ImageFormat::Jpeg), 65_000),
    ];
    let fine_ones = [png(8_000, 5_000, b""), png(10, 10, &chunk(b"iCCP", &profile))];

    let shop = Shop::start().await;
    let admin = shop.admin().await;
    let product = shop.product(500, 5).await;
    refused_with_little_memory(&shop, &admin, &product, &bombs).await;
    assert!(shop.image_files().is_empty(), "{:?}", shop.image_files());

    // One that may just be decoded is, and its memory is given back; the profile of another is left out.
    let before = shop.worker.resident_memory();
    for fine in fine_ones {
        let image = admin.upload(&product, &fine).await.expect(202);
        shop.image(&admin, &product, &image, "ready").await;
    }
    shop.settle().await;
    let grown = grown(&shop.worker, before);
    assert!(grown < 100, "the worker has kept {grown} MiB");
    shop.finish().await;
}

#[tokio::test]
async fn what_only_looks_like_an_image_fails_and_nobody_but_admins_sees_it() {
    let shop = Shop::start().await;
    let admin = shop.admin().await;
    let product = shop.product(500, 5).await;
    let mut png = file(300, 200, ImageFormat::Png);
    let middle = png.len() / 2;
    png[middle..middle + 8].fill(0x55);
    let image = admin.upload(&product, &png).await.expect(202);
    let failed = shop.image(&admin, &product, &image, "failed").await;
    assert!(text(&failed["error"]).contains("can't be decoded") && failed["url"].is_null(), "{failed}");
    assert!(shop.images_shown(&product, 0).await.is_empty());
    shop.settle().await;
    assert!(shop.image_files().is_empty(), "{:?}", shop.image_files());
    admin.remove_image(&product, &image).await.expect(204);
    shop.finish().await;
}

#[tokio::test]
async fn no_name_leads_out_of_the_folder() {
    let shop = Shop::start().await;
    let admin = shop.admin().await;
    let product = shop.product(500, 5).await;
    let secret = format!("{}.jpg", "a".repeat(32));
    let beside = shop.images().with_file_name(&secret);
    std::fs::write(&beside, b"secret").expect("there is room");
    let photo = file(60, 40, ImageFormat::Jpeg);
    for name in ["../../etc/passwd", "/etc/passwd", "..\\..\\x", "a.jpg%00.html", "C:\\x.jpg", "", "<script>.jpg"] {
        admin.send_images(&product, &[("file", Some(name), &photo)], &[]).await.expect(202);
    }
    let shown = shop.images_shown(&product, 7).await;
    shop.settle().await;
    let files = shop.image_files();
    assert!(files.len() == 21 && files.iter().all(|name| name.len() <= 40 && name.ends_with(".jpg")), "{files:?}");

    for path in [
        "/images/..%2f..%2fetc%2fpasswd".to_owned(),
        "/images/%2e%2e/%2e%2e/etc/passwd".into(),
        format!("/images/..%2f{secret}"),
        format!("/images/%2e%2e%2f{secret}"),
        format!("/images/..%5c{secret}"),
        format!("/images/%252e%252e%252f{secret}"),
        format!("/images//{secret}"),
        format!("/images/{secret}"),
        format!("/images/{}%00", files[0]),
        format!("/images/{}%23", files[0]),
        format!("/images/{}", files[0].replace(".jpg", ".png")),
        format!("/images/{}", files[0].replace(".jpg", ".upload")),
        format!("/images/{}", files[0].to_uppercase()),
        format!("/images/{}%ff", files[0]),
        "/images/".into(),
        "/images/.".into(),
    ] {
        let answer = shop.visitor().get(&path).await;
        assert!(!answer.raw.contains("secret") && !answer.raw.contains("root:"), "{path}");
        answer.problem(404, "not_found");
    }
    assert_eq!(shop.visitor().fetch(&shown[0]["url"]).await.0, 200);
    std::fs::remove_file(beside).expect("it is ours");
    shop.finish().await;
}
