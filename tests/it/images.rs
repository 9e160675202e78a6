//! Images of products: what an admin uploads, what is made of it, and what anybody gets to see.

mod refused;
mod store;

use std::collections::BTreeSet;

use futures::future::join_all;
use image::{DynamicImage, GenericImageView as _, ImageFormat, Rgba, RgbaImage};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Shop, encoded, eventually, file, form, text};

/// A JPEG with what a camera notes beside the picture: that it was held upright (orientation 6), where it was (GPS), and more in words.
fn with_notes(jpeg: &[u8]) -> Vec<u8> {
    // TIFF, big-endian: IFD 0 has the make, the orientation and the place's IFD, which has "N" and 52 degrees.
    let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08".to_vec();
    let entry = |tag: u16, kind: u16, count: u32, value: [u8; 4]| {
        [&tag.to_be_bytes()[..], &kind.to_be_bytes(), &count.to_be_bytes(), &value].concat()
    };
    exif.extend(3_u16.to_be_bytes());
    exif.extend(entry(0x010f, 2, 4, *b"Cam\0"));
    exif.extend(entry(0x0112, 3, 1, [0, 6, 0, 0]));
    exif.extend(entry(0x8825, 4, 1, 50_u32.to_be_bytes()));
    exif.extend(0_u32.to_be_bytes());
    exif.extend(2_u16.to_be_bytes());
    exif.extend(entry(1, 2, 2, *b"N\0\0\0"));
    exif.extend(entry(2, 5, 3, 80_u32.to_be_bytes()));
    exif.extend(0_u32.to_be_bytes());
    exif.extend([52, 1, 30, 1, 7, 1].into_iter().flat_map(u32::to_be_bytes));
    let segment = |marker: u8, content: &[u8]| {
        let length = u16::try_from(content.len() + 2).expect("it is short");
        [&[0xff, marker][..], &length.to_be_bytes(), content].concat()
    };
    let xmp = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>at home</x:xmpmeta>";
    let notes = [segment(0xe1, &exif), segment(0xe1, xmp), segment(0xfe, b"for my eyes only")].concat();
    [&jpeg[..2], &notes, &jpeg[2..]].concat()
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

fn is_red(picture: &DynamicImage, x: u32, y: u32) -> bool {
    let Rgba([red, _, blue, _]) = picture.get_pixel(x, y);
    red > 180 && blue < 80
}

#[tokio::test]
async fn a_photo_is_shown_upright_in_three_sizes_and_without_what_the_camera_noted() {
    let shop = Shop::start().await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let product = shop.product(500, 5).await;
    shopper.put_in_cart(&product, 1).await.expect(201);
    let photo = with_notes(&file(1200, 800, ImageFormat::Jpeg));
    for note in ["Exif", "Cam", "xmpmeta", "for my eyes only"] {
        assert!(contains(&photo, note));
    }
    let parts = [("alt", None, "Ein Becher, 茶".as_bytes()), ("file", Some("IMG_0001.JPG"), &photo[..])];
    let added = admin.send_images(&product, &parts, &[]).await.expect(202);
    let expected = json!({
        "id": added["id"], "url": null, "thumbnail_url": null, "alt": "Ein Becher, 茶", "width": null, "height": null,
        "status": "processing"
    });
    assert_eq!(added, expected);

    let shown = shop.images_shown(&product, 1).await.remove(0);
    let members: BTreeSet<_> = shown.as_object().expect("an object").keys().map(String::as_str).collect();
    assert!(members.iter().eq(&["alt", "height", "id", "thumbnail_url", "url", "width"]), "{members:?}");
    assert_eq!((&shown["id"], &shown["alt"]), (&added["id"], &json!("Ein Becher, 茶")));
    assert_eq!((&shown["width"], &shown["height"]), (&json!(800), &json!(1200)));
    let seen = admin.get(&format!("/products/{}", text(&product["id"]))).await.expect(200);
    assert_eq!((&seen["images"][0]["status"], &seen["images"][0]["url"]), (&json!("ready"), &shown["url"]));
    let listed = shop.visitor().get("/products").await.expect(200)["items"][0]["images"].take();
    assert_eq!(listed, json!([shown]));
    let found = shop.visitor().get("/products?q=product").await.expect(200)["items"][0]["images"].take();
    assert_eq!(found, json!([shown]));
    let cart = shopper.get("/cart").await.expect(200)["items"][0]["product"].take();

    let sizes = [(&shown["url"], 800, 1200), (&shown["thumbnail_url"], 320, 480), (&cart["thumbnail_url"], 107, 160)];
    for (link, width, height) in sizes {
        let (status, headers, bytes) = shop.visitor().fetch(link).await;
        assert_eq!(status, 200, "{link}");
        for (name, value) in [
            ("content-type", "image/jpeg"),
            ("cache-control", "public, max-age=31536000, immutable"),
            ("content-length", &bytes.len().to_string()),
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'; sandbox"),
        ] {
            assert_eq!(headers[name], value, "{link} {name}");
        }
        for note in ["Exif", "Cam", "xmpmeta", "for my eyes only", "photo", "IMG_0001"] {
            assert!(!contains(&bytes, note), "{link} tells of {note}");
        }
        let picture = image::load_from_memory(&bytes).expect("it can be read");
        assert_eq!((picture.width(), picture.height()), (width, height), "{link}");
        // What was left is above: it was held upright.
        assert!(is_red(&picture, width / 2, height / 4) && !is_red(&picture, width / 2, height * 3 / 4), "{link}");
        let path = text(link).strip_prefix("http://localhost:8080").expect("it is the shop's");
        let etag = headers["etag"].to_str().expect("text");
        let again = shop.visitor().call(Method::GET, path, None, &[("if-none-match", etag)]).await;
        assert_eq!((again.status, again.raw.len(), again.header("etag")), (304, 0, etag));
        assert_eq!(again.header("cache-control"), "public, max-age=31536000, immutable");
        let head = shop.visitor().call(Method::HEAD, path, None, &[]).await;
        assert_eq!((head.status, head.raw.len(), head.header("content-type")), (200, 0, "image/jpeg"));
    }
    shop.settle().await;
    assert_eq!(shop.image_files().len(), 3, "the upload is gone: {:?}", shop.image_files());
    shop.finish().await;
}

#[tokio::test]
async fn a_products_version_rises_whenever_what_is_shown_of_its_images_changes() {
    let shop = Shop::start().await;
    let admin = shop.admin().await;
    let product = shop.product(500, 5).await;
    let path = format!("/products/{}", text(&product["id"]));
    let version = async || admin.get(&path).await.expect(200)["version"].as_i64().expect("a number");
    let before = shop.visitor().get(&path).await;
    let photo = file(60, 40, ImageFormat::Jpeg);
    let image = admin.upload(&product, &photo).await.expect(202);
    let ready = shop.image(&admin, &product, &image, "ready").await;
    assert_eq!(version().await, 3, "it was added, and it was ready");
    let etag = before.header("etag").to_owned();
    eventually("a cache between learns of it", async || {
        let asked = shop.visitor().call(Method::GET, &path, None, &[("if-none-match", &etag)]).await;
        (asked.status == 200).then_some(())
    })
    .await;
    // What was read can be written back, images and all.
    let read = admin.get(&path).await.expect(200);
    assert_eq!(read["images"], json!([ready]));
    assert_eq!(admin.put(&path, &read).await.expect(200)["images"], json!([ready]));
    admin.remove_image(&product, &image).await.expect(204);
    assert_eq!(version().await, 4);
    assert!(shop.images_shown(&product, 0).await.is_empty());
    shop.finish().await;
}

#[tokio::test]
async fn png_and_webp_are_shown_as_what_suits_them_in_the_order_in_which_they_came() {
    let shop = Shop::start().await;
    let admin = shop.admin().await;
    let product = shop.product(500, 5).await;
    let mut glass = RgbaImage::from_pixel(700, 300, Rgba([10, 200, 10, 255]));
    glass.put_pixel(0, 0, Rgba([0, 0, 0, 0]));
    let glass = DynamicImage::from(glass);
    let files = [
        (file(700, 300, ImageFormat::Png), "image/jpeg"),
        (encoded(&glass, ImageFormat::Png), "image/png"),
        (encoded(&glass, ImageFormat::WebP), "image/png"),
        (file(700, 300, ImageFormat::WebP), "image/jpeg"),
    ];
    let mut ids = Vec::new();
    for (bytes, _) in &files {
        // A name says nothing.
        let part = [("file", Some("page.html"), &bytes[..])];
        ids.push(admin.send_images(&product, &part, &[]).await.expect(202)["id"].clone());
    }
    let shown = shop.images_shown(&product, files.len()).await;
    assert_eq!(shown.iter().map(|image| &image["id"]).collect::<Vec<_>>(), ids.iter().collect::<Vec<_>>());
    for (image, (_, content_type)) in shown.iter().zip(&files) {
        let (status, headers, bytes) = shop.visitor().fetch(&image["url"]).await;
        assert_eq!((status, headers["content-type"].to_str().expect("text")), (200, *content_type));
        let picture = image::load_from_memory(&bytes).expect("it can be read");
        assert_eq!(
            (picture.width(), picture.height(), &image["width"], &image["alt"]),
            (700, 300, &json!(700), &json!(""))
        );
        let sees_through = picture.get_pixel(0, 0).0[3] == 0;
        assert_eq!(sees_through, *content_type == "image/png");
    }
    shop.finish().await;
}

#[tokio::test]
async fn an_upload_under_a_key_is_one_image_however_often_it_comes() {
    let shop = Shop::start().await;
    let admin = shop.admin().await;
    let product = shop.product(500, 5).await;
    let (photo, other) = (file(60, 40, ImageFormat::Jpeg), file(61, 40, ImageFormat::Jpeg));
    let path = format!("/products/{}/images", text(&product["id"]));
    let send = async |photo: &[u8], alt: &str, boundary: &str| {
        let (content_type, body) = form(&[("file", Some("a.jpg"), photo), ("alt", None, alt.as_bytes())], boundary);
        let headers = [("content-type", content_type.as_str()), ("idempotency-key", "one")];
        admin.send(Method::POST, &path, body, &headers).await
    };
    // Each try of a client's has another boundary.
    let boundaries: Vec<_> = (0..8).map(|n| format!("boundary-{n}")).collect();
    let tries = join_all(boundaries.iter().map(|boundary| send(&photo, "a mug", boundary))).await;
    let fresh = tries.iter().filter(|reply| reply.header("idempotency-replayed").is_empty()).count();
    let ids: BTreeSet<String> = tries.into_iter().map(|reply| reply.expect(202)["id"].to_string()).collect();
    assert_eq!((fresh, ids.len()), (1, 1));
    send(&other, "a mug", "b").await.problem(422, "idempotency_key_reused");
    send(&photo, "a jug", "b").await.problem(422, "idempotency_key_reused");
    shop.images_shown(&product, 1).await;
    let again = send(&photo, "a mug", "b").await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    let again = again.expect(202);
    assert_eq!(again["status"], "ready", "as it is now");
    shop.settle().await;
    assert_eq!(shop.image_files().len(), 3, "{:?}", shop.image_files());
    admin.remove_image(&product, &again).await.expect(204);
    send(&photo, "a mug", "b").await.problem(404, "not_found");
    shop.finish().await;
}

#[tokio::test]
async fn an_image_that_is_removed_is_gone_and_its_objects_with_it() {
    let shop = Shop::start().await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let (product, other) = (shop.product(500, 5).await, shop.product(500, 5).await);
    shopper.put_in_cart(&product, 1).await.expect(201);
    let first = admin.upload(&product, &file(60, 40, ImageFormat::Jpeg)).await.expect(202);
    let second = admin.upload(&product, &file(70, 40, ImageFormat::Png)).await.expect(202);
    let shown = shop.images_shown(&product, 2).await;
    let thumbnail = async || shopper.get("/cart").await.expect(200)["items"][0]["product"]["thumbnail_url"].take();
    let of_first = thumbnail().await;

    let before = shop.contents().await;
    for (client, status, code) in [(&shop.visitor(), 401, "unauthenticated"), (&shopper, 403, "forbidden")] {
        client.remove_image(&product, &first).await.problem(status, code);
    }
    admin.remove_image(&other, &first).await.problem(404, "not_found");
    admin.remove_image(&product, &json!({ "id": Uuid::new_v4() })).await.problem(404, "not_found");
    admin.remove_image(&product, &json!({ "id": "..%2f.." })).await.problem(404, "not_found");
    assert_eq!(shop.contents().await, before);

    admin.remove_image(&product, &first).await.expect(204);
    admin.remove_image(&product, &first).await.problem(404, "not_found");
    assert_eq!(shop.images_shown(&product, 1).await[0]["id"], second["id"]);
    let of_second = thumbnail().await;
    assert!(of_second != of_first && of_second.is_string());
    shop.settle().await;
    for link in [&shown[0]["url"], &shown[0]["thumbnail_url"], &of_first] {
        assert_eq!(shop.visitor().fetch(link).await.0, 404, "{link}");
    }
    assert_eq!(shop.visitor().fetch(&shown[1]["url"]).await.0, 200);
    assert_eq!(shop.image_files().len(), 3, "{:?}", shop.image_files());
    assert_eq!(shop.count("SELECT count(*) FROM product_images").await, 1);
    admin.remove_image(&product, &second).await.expect(204);
    assert_eq!(thumbnail().await, Value::Null);
    shop.settle().await;
    assert!(shop.image_files().is_empty(), "{:?}", shop.image_files());
    shop.finish().await;
}

#[tokio::test]
async fn a_product_has_so_many_images_and_no_more() {
    let shop = Shop::start().await;
    let admin = shop.admin().await;
    let product = shop.product(500, 5).await;
    let fill = format!(
        "INSERT INTO product_images (id, product_id, position, status)
         SELECT gen_random_uuid(), '{}', n, 'failed' FROM generate_series(1, 50) n",
        text(&product["id"])
    );
    shop.database.run(&fill).await;
    let photo = file(60, 40, ImageFormat::Jpeg);
    admin.upload(&product, &photo).await.problem(409, "too_many_images");
    assert!(shop.image_files().is_empty(), "{:?}", shop.image_files());
    let seen = admin.get(&format!("/products/{}", text(&product["id"]))).await.expect(200);
    admin.remove_image(&product, &seen["images"][7]).await.expect(204);
    let last = admin.upload(&product, &photo).await.expect(202);
    assert_eq!(shop.images_shown(&product, 1).await[0]["id"], last["id"]);
    shop.finish().await;
}
