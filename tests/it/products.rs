//! The catalogue: making products, showing, listing, changing and archiving them.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Client, Reply, Shop, id, pages, text, time};

fn path(product: &Value) -> String {
    format!("/products/{}", text(&product["id"]))
}

/// `product` with other values in some of its members.
fn with(product: &Value, changes: Value) -> Value {
    let mut edited = product.clone();
    let Value::Object(changes) = changes else { panic!("{changes} is no object") };
    edited.as_object_mut().expect("an object").extend(changes);
    edited
}

async fn put_if_match(admin: &Client, product: &Value, etag: &str) -> Reply {
    admin.call(Method::PUT, &path(product), Some(product), &[("if-match", etag)]).await
}

#[tokio::test]
async fn a_product_that_an_admin_makes_is_there_for_all() {
    let shop = Shop::start().await;
    let (admin, shopper, visitor) = (shop.admin().await, shop.shopper().await, shop.visitor());
    let mug = json!({ "name": "Großer Becher, 茶", "description": "One.\n\tTwo. 🫖", "price": 1250, "stock": 7 });
    let reply = admin.post("/products", &mug).await;
    let (location, etag) = (reply.header("location").to_owned(), reply.header("etag").to_owned());
    let made = reply.expect(201);
    insta::assert_json_snapshot!(made, {
        ".id" => id(), ".created_at" => time(), ".updated_at" => time(),
    }, @r#"
    {
      "available": 7,
      "created_at": "[time]",
      "currency": "usd",
      "description": "One.\n\tTwo. 🫖",
      "id": "[id]",
      "images": [],
      "name": "Großer Becher, 茶",
      "price": 1250,
      "slug": "grosser-becher",
      "status": "active",
      "stock": 7,
      "updated_at": "[time]",
      "version": 1
    }
    "#);
    assert_eq!(location, path(&made));
    for address in [location.as_str(), "/products/grosser-becher"] {
        for client in [&visitor, &shopper, &admin] {
            let seen = client.get(address).await;
            assert_eq!(seen.header("etag"), etag);
            assert_eq!(seen.expect(200), made);
        }
        let head = visitor.call(Method::HEAD, address, None, &[]).await;
        assert_eq!((head.status, head.header("etag"), head.raw.as_str()), (200, etag.as_str(), ""));
    }
    assert_eq!(admin.post("/products", &mug).await.expect(201)["slug"], "grosser-becher-2");
    let least = admin.post("/products", &json!({ "name": "茶", "price": 0, "stock": 0, "slug": "7-up" })).await;
    let least = least.expect(201);
    assert_eq!((&least["slug"], &least["description"]), (&json!("7-up"), &json!("")));

    let before = shop.contents().await;
    admin.post("/products", &with(&mug, json!({ "slug": "7-up" }))).await.problem(409, "slug_taken");
    for (client, status, code) in [(&visitor, 401, "unauthenticated"), (&shopper, 403, "forbidden")] {
        client.post("/products", &mug).await.problem(status, code);
        client.put(&location, &made).await.problem(status, code);
        client.delete(&location).await.problem(status, code);
    }
    for unknown in [Uuid::new_v4().to_string(), "no-such-slug".into(), "No Slug".into()] {
        visitor.get(&format!("/products/{unknown}")).await.problem(404, "not_found");
        admin.put(&format!("/products/{unknown}"), &made).await.problem(404, "not_found");
        admin.delete(&format!("/products/{unknown}")).await.problem(404, "not_found");
    }
    assert_eq!(shop.contents().await, before);
    shop.finish().await;
}

#[tokio::test]
async fn what_a_client_has_already_is_not_sent_again() {
    let shop = Shop::with(&[("MAX_UNPAID_ORDERS", "4")]).await;
    let product = shop.product(500, 4).await;
    let (admin, shopper, visitor) = (shop.admin().await, shop.shopper().await, shop.visitor());
    for address in
        [path(&product), "/products".into(), "/products?sort=price&limit=1".into(), "/products?q=product".into()]
    {
        let first = visitor.get(&address).await;
        let etag = first.header("etag").to_owned();
        assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() > 2, "{address}: {etag}");
        let public = "public, max-age=0, must-revalidate";
        assert_eq!(first.header("cache-control"), public, "kept, but asked for each time");
        let own = admin.get(&address).await;
        assert_eq!((own.header("cache-control"), own.header("etag")), ("private, no-cache", etag.as_str()));
        for known in [etag.clone(), format!("W/{etag}"), format!("\"other\", {etag}"), "*".into()] {
            let same = visitor.call(Method::GET, &address, None, &[("if-none-match", &known)]).await;
            assert_eq!((same.status, same.raw.as_str()), (304, ""), "{address}: {known}");
            assert_eq!((same.header("etag"), same.header("cache-control")), (etag.as_str(), public));
        }
        for other in ["\"other\"", "", "nonsense", &etag[1..]] {
            let sent = visitor.call(Method::GET, &address, None, &[("if-none-match", other)]).await;
            assert_eq!((sent.status, &sent.body), (200, &first.body), "{address}: {other}");
        }
        shopper.put_in_cart(&product, 1).await.expect(201);
        shopper.check_out().await.expect(201);
        let sold = visitor.call(Method::GET, &address, None, &[("if-none-match", &etag)]).await;
        assert_ne!((sold.status, sold.header("etag")), (304, etag.as_str()), "{address}: one less is available");
    }
    shop.finish().await;
}

#[tokio::test]
async fn an_edit_changes_what_it_names_of_the_version_that_was_read() {
    let shop = Shop::start().await;
    let admin = shop.admin().await;
    let (product, other) = (shop.product(500, 5).await, shop.product(700, 5).await);

    let same = admin.put(&path(&product), &product).await;
    assert_eq!(same.header("etag"), format!("\"{}.1\"", text(&product["id"])));
    assert_eq!(same.expect(200), product, "what was read can be written back, and changes nothing");
    let junk = json!({ "id": 5, "currency": null, "available": "x", "images": [{}], "created_at": 0, "updated_at": [], "version": -1 });
    assert_eq!(admin.put(&path(&product), &with(&product, junk)).await.expect(200), product);

    let edit = json!({ "name": "Jug", "slug": "jug", "description": "Big.", "price": 900, "status": "active" });
    let reply = admin.put(&path(&product), &edit).await;
    let etag = reply.header("etag").to_owned();
    let edited = reply.expect(200);
    let mut expected = with(&product, with(&edit, json!({ "version": 2 })));
    expected["updated_at"] = edited["updated_at"].clone();
    assert_eq!(edited, expected, "stock stays where the edit doesn't name it");
    assert_eq!(shop.visitor().get("/products/jug").await.expect(200), edited);

    let fewer = with(&edited, json!({ "stock": 3 }));
    let before = shop.contents().await;
    admin.put(&path(&fewer), &fewer).await.problem(428, "precondition_required");
    put_if_match(&admin, &fewer, "*").await.problem(428, "precondition_required");
    for stale in ["\"1\"", "\"\"", "\"x\"", "\"1\", \"3\"", &format!("W/{etag}")] {
        put_if_match(&admin, &fewer, stale).await.problem(412, "precondition_failed");
        put_if_match(&admin, &edited, stale).await.problem(412, "precondition_failed");
    }
    for malformed in ["2", "*, \"2\"", "é"] {
        put_if_match(&admin, &edited, malformed).await.problem(400, "malformed_request");
    }
    let taken = with(&edited, json!({ "slug": other["slug"] }));
    admin.put(&path(&edited), &taken).await.problem(409, "slug_taken");
    for member in ["name", "slug", "description", "price", "status"] {
        let mut partial = edited.clone();
        partial.as_object_mut().expect("an object").remove(member);
        admin.put(&path(&edited), &partial).await.invalid(&format!("/{member}"));
    }
    for (member, value) in [("status", "gone"), ("status", "all"), ("foo", "bar"), ("reserved", "1"), ("stock", "3")] {
        admin.put(&path(&edited), &with(&edited, json!({ member: value }))).await.invalid(&format!("/{member}"));
    }
    admin.put(&path(&edited), &with(&edited, json!({ "stock": null }))).await.invalid("/stock");
    assert_eq!(shop.contents().await, before);

    let counted = put_if_match(&admin, &fewer, &format!("\"7\", {etag}")).await.expect(200);
    assert_eq!((&counted["stock"], &counted["version"]), (&json!(3), &json!(3)));
    let booked = "SELECT count(*) FROM stock_movements WHERE kind = 'adjustment' AND delta = -2";
    assert_eq!(shop.count(booked).await, 1);
    shop.finish().await;
}

#[tokio::test]
async fn stock_is_never_set_below_what_is_promised() {
    let shop = Shop::start().await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let product = shop.product(500, 5).await;
    shop.order(&shopper, &product, 2).await;
    let seen = shop.visitor().get(&path(&product)).await;
    let (etag, promised) = (seen.header("etag").to_owned(), seen.expect(200));
    assert_eq!((&promised["stock"], &promised["available"]), (&json!(5), &json!(3)));
    put_if_match(&admin, &with(&product, json!({ "stock": 4 })), "\"1\"").await.problem(412, "precondition_failed");
    let refused = put_if_match(&admin, &with(&promised, json!({ "stock": 1 })), &etag).await;
    assert_eq!(refused.problem(409, "stock_reserved")["reserved"], 2);
    let all_promised = put_if_match(&admin, &with(&promised, json!({ "stock": 2 })), &etag).await.expect(200);
    assert_eq!((&all_promised["stock"], &all_promised["available"]), (&json!(2), &json!(0)));
    shop.finish().await;
}

#[tokio::test]
async fn an_archived_product_is_there_for_admins_only() {
    let shop = Shop::start().await;
    let (admin, shopper, visitor) = (shop.admin().await, shop.shopper().await, shop.visitor());
    let product = shop.product(500, 5).await;
    for _ in 0..2 {
        let gone = admin.delete(&path(&product)).await;
        assert_eq!((gone.status, gone.raw.as_str()), (204, ""));
    }
    for address in [path(&product), format!("/products/{}", text(&product["slug"]))] {
        for client in [&visitor, &shopper] {
            client.get(&address).await.problem(404, "not_found");
        }
        assert_eq!(admin.get(&address).await.expect(200)["status"], "archived");
    }
    let listed = async |client: &Client, query: &str| client.get(&format!("/products{query}")).await;
    for (query, count) in [("", 0), ("?status=active", 0), ("?status=archived", 1), ("?status=all", 1)] {
        let items = listed(&admin, query).await.expect(200)["items"].take();
        assert_eq!(items.as_array().map(Vec::len), Some(count), "{query}");
    }
    for client in [&visitor, &shopper] {
        assert_eq!(listed(client, "?status=active").await.expect(200)["items"], json!([]));
        for query in ["?status=archived", "?status=all"] {
            listed(client, query).await.problem(403, "forbidden");
        }
    }
    let archived = admin.get(&path(&product)).await.expect(200);
    let back = admin.put(&path(&product), &with(&archived, json!({ "status": "active" }))).await.expect(200);
    assert_eq!(back["version"], 3, "archiving it again was no change");
    assert_eq!(visitor.get(&path(&product)).await.expect(200), back);
    shop.finish().await;
}

#[tokio::test]
async fn lists_are_filtered_sorted_and_paged_without_gaps() {
    let shop = Shop::start().await;
    let (admin, visitor) = (shop.admin().await, shop.visitor());
    let mut all = Vec::new();
    for n in 0..25 {
        let name = format!("{}{n:02}", ["b", "B", "a", "A"][n % 4]);
        let product = json!({ "name": name, "price": (n * 37) % 11, "stock": n % 3 });
        all.push(admin.post("/products", &product).await.expect(201));
    }
    all.reverse(); // the newest first
    assert_eq!(visitor.get("/products").await.expect(200)["items"].as_array().map(Vec::len), Some(20));
    assert_eq!(visitor.get("/products?limit=100").await.expect(200)["next_cursor"], json!(null));
    assert_eq!(visitor.get("/products?limit=25&q=&utm_source=x").await.expect(200)["next_cursor"], json!(null));

    let figure = |product: &Value, member: &str| product[member].as_i64().expect("a number");
    let has_price = |product: &Value| (3..=8).contains(&figure(product, "price"));
    for sort in ["", "newest", "relevance", "price", "-price", "name"] {
        for (filter, fits) in [
            ("", &(|_: &Value| true) as &dyn Fn(&Value) -> bool),
            ("&in_stock=true", &|product| figure(product, "available") > 0),
            ("&in_stock=false", &|_| true),
            ("&min_price=3&max_price=8", &has_price),
            ("&min_price=3&max_price=8&in_stock=true", &|product| {
                has_price(product) && figure(product, "available") > 0
            }),
            ("&min_price=8&max_price=3", &|_| false),
        ] {
            let query = match sort {
                "" => format!("limit=7{filter}"),
                _ => format!("limit=7&sort={sort}{filter}"),
            };
            let seen = pages(&visitor, &query).await;
            let mut expected: Vec<Value> = all.iter().filter(|product| fits(product)).cloned().collect();
            let price = |product: &Value| (figure(product, "price"), text(&product["id"]).to_owned());
            match sort {
                "price" => expected.sort_by_key(price),
                "-price" => expected.sort_by_key(|product| std::cmp::Reverse(price(product))),
                "name" => expected.sort_by_key(|product| text(&product["name"]).to_lowercase()),
                _ => {}
            }
            assert_eq!(seen, expected, "{query}");
        }
    }

    let first = visitor.get("/products?limit=10").await.expect(200);
    shop.product(500, 1).await;
    let next = format!("/products?limit=100&cursor={}", text(&first["next_cursor"]));
    let rest = visitor.get(&next).await.expect(200)["items"].take();
    assert_eq!(rest.as_array().expect("a list"), &all[10..], "what is made between two pages moves nothing");
    shop.finish().await;
}

#[tokio::test]
async fn a_slug_that_leads_to_another_product_is_not_taken_for_the_one_before() {
    let shop = Shop::start().await;
    let (admin, visitor) = (shop.admin().await, shop.visitor());
    let mug =
        admin.post("/products", &json!({ "name": "Mug", "slug": "mug", "price": 1, "stock": 1 })).await.expect(201);
    let etag = visitor.get("/products/mug").await.header("etag").to_owned();
    admin.put(&path(&mug), &with(&mug, json!({ "slug": "old-mug" }))).await.expect(200);
    let jug =
        admin.post("/products", &json!({ "name": "Jug", "slug": "mug", "price": 1, "stock": 1 })).await.expect(201);
    let seen = visitor.call(Method::GET, "/products/mug", None, &[("if-none-match", &etag)]).await.expect(200);
    assert_eq!(seen["id"], jug["id"]);
    put_if_match(&admin, &jug, &etag).await.problem(412, "precondition_failed");
    shop.finish().await;
}

#[tokio::test]
async fn a_product_is_archived_only_as_the_version_that_was_meant() {
    let shop = Shop::start().await;
    let admin = shop.admin().await;
    let product = shop.product(500, 1).await;
    let etag = admin.get(&path(&product)).await.header("etag").to_owned();
    let edited = admin.put(&path(&product), &with(&product, json!({ "price": 400 }))).await.expect(200);
    let archive = async |tag: &str| admin.call(Method::DELETE, &path(&product), None, &[("if-match", tag)]).await;
    archive(&etag).await.problem(412, "precondition_failed");
    archive("").await.problem(400, "malformed_request");
    assert_eq!(shop.look_at(&product).await, edited);
    archive(&format!("\"{}.2\"", text(&product["id"]))).await.expect(204);
    admin.delete(&path(&product)).await.expect(204);
    shop.finish().await;
}
