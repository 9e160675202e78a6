//! Searching: what `q` finds, what it forgives, and in which order; over many products, and whatever is asked.

use std::time::{Duration, Instant};

use common::db;
use serde_json::{Value, json};

use crate::harness::{Client, Shop, pages, text};

/// Names and descriptions; the prices rise, and every third is out of stock.
const PRODUCTS: [(&str, &str); 14] = [
    ("Blue mug", "Holds coffee."),
    ("Large blue mug with a lid", "For the long way to work."),
    ("Teapot", "Goes well with a mug."),
    ("Rug", "Wool, woven by hand."),
    ("Hand coffee grinder", "Conical steel burrs."),
    ("Espresso cups", "Porcelain, four of them."),
    ("Mechanical keyboard", "Loud."),
    ("Wireless headphones", "Quiet."),
    ("Crème brûlée set", "Four bowls and a torch."),
    ("Men's T-shirt black/white", "Size M, 2.5 % elastane."),
    ("Kaffeemühle", "Für Straße und Büro."),
    ("Чайник", "1 литр"),
    ("Oak chair", "Solid."),
    ("Phone charger usb-c", "65W"),
];

/// A shop that sells these, and the products, the last one first.
async fn shop() -> (Shop, Client, Vec<Value>) {
    let shop = Shop::start().await;
    let admin = shop.admin().await;
    let mut products = Vec::new();
    for (price, (name, description)) in (1..).zip(PRODUCTS) {
        let stock = i64::from(price % 3 != 0);
        let product = json!({ "name": name, "description": description, "price": price, "stock": stock });
        products.insert(0, admin.post("/products", &product).await.expect(201));
    }
    (shop, admin, products)
}

fn names(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| text(&item["name"])).collect()
}

/// A text for a query string.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// The names of what is found, in the order of `query`.
async fn found(client: &Client, q: &str, query: &str) -> Vec<String> {
    let reply = client.get(&format!("/products?q={}{query}", encoded(q))).await.expect(200);
    names(reply["items"].as_array().expect("a list")).into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn products_are_found_by_their_words_and_the_beginnings_of_these() {
    let (shop, _, _) = shop().await;
    let visitor = shop.visitor();
    for (q, expected) in [
        ("grinder", &["Hand coffee grinder"][..]),
        ("GRINDER", &["Hand coffee grinder"]),
        ("grind", &["Hand coffee grinder"]),
        ("grinder coffee", &["Hand coffee grinder"]),
        ("burrs hand", &["Hand coffee grinder"]),
        ("mug", &["Teapot", "Large blue mug with a lid", "Blue mug"]),
        ("creme brulee", &["Crème brûlée set"]),
        ("Crème", &["Crème brûlée set"]),
        ("black", &["Men's T-shirt black/white"]),
        ("white", &["Men's T-shirt black/white"]),
        ("mens", &["Men's T-shirt black/white"]),
        ("men's", &["Men's T-shirt black/white"]),
        ("t-shirt", &["Men's T-shirt black/white"]),
        ("2.5", &["Men's T-shirt black/white"]),
        ("kaffeemühle", &["Kaffeemühle"]),
        ("kaffeemuhle", &["Kaffeemühle"]),
        ("strasse", &["Kaffeemühle"]),
        ("чайник", &["Чайник"]),
        ("usb c", &["Phone charger usb-c"]),
        ("65w", &["Phone charger usb-c"]),
        ("unicorn", &[]),
        ("mug unicorn", &[]),
        ("!?", &[]),
        ("🫖", &[]),
    ] {
        assert_eq!(found(&visitor, q, "").await, expected, "{q}");
    }
    for nothing in ["", "   ", "\t\r\n"] {
        assert_eq!(found(&visitor, nothing, "").await.len(), PRODUCTS.len(), "{nothing:?} asks for nothing");
    }
    shop.finish().await;
}

#[tokio::test]
async fn typing_errors_are_forgiven_where_nothing_fits_as_it_was_typed() {
    let (shop, _, _) = shop().await;
    let visitor = shop.visitor();
    for (q, expected) in [
        ("cofee grinder", "Hand coffee grinder"),
        ("coffee gridner", "Hand coffee grinder"),
        ("expresso cups", "Espresso cups"),
        ("keybord", "Mechanical keyboard"),
        ("kyeboard", "Mechanical keyboard"),
        ("keyboards", "Mechanical keyboard"),
        ("hedphones", "Wireless headphones"),
        ("headphonse", "Wireless headphones"),
        ("chiar", "Oak chair"),
        ("blue mgu", "Blue mug"),
        ("brulle", "Crème brûlée set"),
        ("tshirt", "Men's T-shirt black/white"),
        ("чайнек", "Чайник"),
        ("kaffemühle", "Kaffeemühle"),
    ] {
        let best = found(&visitor, q, "&sort=relevance").await;
        assert_eq!(best.first().map(String::as_str), Some(expected), "{q}: {best:?}");
    }
    assert_eq!(found(&visitor, "hedphones", "").await, ["Wireless headphones"], "and nothing else");
    let mugs = found(&visitor, "mug", "").await;
    assert!(!mugs.contains(&"Rug".into()), "what fits stands alone: {mugs:?}");
    for filter in ["&min_price=99", "&max_price=0"] {
        let none = found(&visitor, "mug", filter).await;
        assert!(none.is_empty(), "that no mug costs so much is no typing error: {none:?}");
    }
    let eight = "large blue mug with a lid for wokr";
    assert_eq!(found(&visitor, eight, "").await, ["Large blue mug with a lid"]);
    let nine = format!("{eight} the");
    assert!(found(&visitor, &nine, "").await.is_empty(), "who writes so much is taken at their word");
    shop.finish().await;
}

#[tokio::test]
async fn what_is_found_is_filtered_sorted_and_paged_without_gaps() {
    let (shop, admin, all) = shop().await;
    let visitor = shop.visitor();
    let figure = |product: &Value, name: &str| product[name].as_i64().expect("a number");
    for (q, best_first) in [
        ("mug", &["Blue mug", "Large blue mug with a lid", "Teapot"][..]),
        ("mgu", &["Blue mug", "Large blue mug with a lid", "Teapot"]),
        ("coffee", &["Hand coffee grinder", "Blue mug"]),
        ("cofee", &["Hand coffee grinder"]), // what is alike is looked for in names only
    ] {
        let place = |product: &Value| best_first.iter().position(|name| text(&product["name"]) == *name);
        for (filter, fits) in [
            ("", &(|_: &Value| true) as &dyn Fn(&Value) -> bool),
            ("&in_stock=true", &|product| figure(product, "available") > 0),
            ("&min_price=2&max_price=5", &|product| (2..=5).contains(&figure(product, "price"))),
        ] {
            for sort in ["", "&sort=newest", "&sort=price", "&sort=-price", "&sort=name", "&sort=relevance"] {
                let mut expected = all.clone();
                expected.retain(|product| place(product).is_some() && fits(product));
                match sort {
                    "&sort=price" => expected.sort_by_key(|product| figure(product, "price")),
                    "&sort=-price" => expected.sort_by_key(|product| -figure(product, "price")),
                    "&sort=name" => expected.sort_by_key(|product| text(&product["name"]).to_lowercase()),
                    "&sort=relevance" => expected.sort_by_key(place),
                    _ => {}
                }
                let seen = pages(&visitor, &format!("q={q}&limit=1{sort}{filter}")).await;
                assert_eq!(seen, expected, "{q} {sort} {filter}");
            }
        }
    }
    assert_eq!(found(&visitor, "blue mug", "&sort=relevance").await, ["Blue mug", "Large blue mug with a lid"]);
    admin.delete(&format!("/products/{}", text(&all[13]["id"]))).await.expect(204);
    let listed = async |client: &Client, status: &str| found(client, "mug", &format!("&sort=price{status}")).await;
    let (lid, pot) = ("Large blue mug with a lid", "Teapot");
    assert_eq!(listed(&visitor, "").await, [lid, pot]);
    assert_eq!(listed(&admin, "&status=archived").await, ["Blue mug"]);
    assert_eq!(listed(&admin, "&status=all").await, ["Blue mug", lid, pot]);
    visitor.get("/products?q=mug&status=all").await.problem(403, "forbidden");
    shop.finish().await;
}

#[tokio::test]
async fn a_cursor_leads_on_in_its_own_list_only() {
    let (shop, admin, _) = shop().await;
    let visitor = shop.visitor();
    let cursor = async |query: &str| {
        let page = visitor.get(&format!("/products?limit=1&{query}")).await.expect(200);
        let next = text(&page["next_cursor"]).to_owned();
        assert!(!next.is_empty(), "{query}");
        next
    };
    let lists = [
        "",
        "sort=price",
        "sort=-price",
        "sort=name",
        "q=mug",
        "q=blue",
        "q=mug&sort=relevance",
        "q=mug&sort=price",
        "q=mug&sort=name",
        "in_stock=true",
        "min_price=1",
        "max_price=9",
    ];
    for of in lists {
        let cursor = cursor(of).await;
        for other in lists {
            let reply = visitor.get(&format!("/products?limit=5&{other}&cursor={cursor}")).await;
            if of == other { drop(reply.expect(200)) } else { reply.invalid("/cursor") }
        }
        if of.is_empty() {
            for status in ["all", "archived"] {
                admin.get(&format!("/products?status={status}&cursor={cursor}")).await.invalid("/cursor");
            }
        }
    }
    // A list that began as a guess goes on as one.
    let next = cursor("q=mgu&sort=name").await;
    let exact = json!({ "name": "A mgu", "price": 1, "stock": 1 });
    admin.post("/products", &exact).await.expect(201);
    let rest = visitor.get(&format!("/products?q=mgu&sort=name&cursor={next}")).await.expect(200);
    assert_eq!(names(rest["items"].as_array().expect("a list")), ["Large blue mug with a lid", "Teapot"]);
    assert_eq!(found(&visitor, "mgu", "&sort=name").await, ["A mgu"]);
    shop.finish().await;
}

#[tokio::test]
async fn what_is_renamed_is_found_by_its_new_words_and_a_sale_rewrites_no_index() {
    let (shop, admin, all) = shop().await;
    let visitor = shop.visitor();
    let mut mug = all[13].clone();
    (mug["name"], mug["description"]) = (json!("Green jug"), json!("x ".repeat(5_000)));
    admin.put(&format!("/products/{}", text(&mug["id"])), &mug).await.expect(200);
    assert_eq!(found(&visitor, "jug", "").await, ["Green jug"]);
    assert_eq!(found(&visitor, "blue mug", "").await, ["Large blue mug with a lid"]);

    let mut tx = db::begin(&shop.pool).await.expect("the database answers");
    let sale = "UPDATE products SET stock = stock - 1, reserved = reserved - 1 WHERE name = 'Green jug'";
    let reservation = "UPDATE products SET reserved = reserved + 1 WHERE name = 'Green jug'";
    for statement in [reservation, sale] {
        sqlx::query(statement).execute(&mut *tx).await.expect("there is one");
    }
    let hot = sqlx::query_scalar("SELECT pg_stat_get_xact_tuples_hot_updated('products'::regclass)");
    let hot: i64 = hot.fetch_one(&mut *tx).await.expect("it is counted");
    assert_eq!(hot, 2, "each stays in its page");
    tx.rollback().await.expect("it was open");
    shop.finish().await;
}

#[tokio::test]
async fn whatever_is_asked_of_ten_thousand_products_is_answered_in_time() {
    let shop = Shop::start().await;
    let visitor = shop.visitor();
    let many = "INSERT INTO products (id, name, slug, description, price, stock)
                SELECT gen_random_uuid(), initcap(concat_ws(' ', what[1 + n % 7], made[1 + n % 11], of[1 + n % 13], n)), 'p-' || n,
                       repeat(concat_ws(' ', what[1 + n % 5], 'for the', made[1 + n % 3], 'and', of[1 + n % 8], ''), 10), n, 0
                FROM generate_series(1, 10000) n, (SELECT
                  '{blue,large,classic,folding,rustic,outdoor,glossy}'::text[] what,
                  '{steel,oak,ceramic,linen,leather,glass,copper,bamboo,felt,walnut,brass}'::text[] made,
                  '{mug,kettle,coffee grinder,lamp,chair,table,keyboard,headphones,backpack,carafe,umbrella,teapot,scale}'::text[] of
                ) words; ANALYZE products";
    shop.database.run(many).await;

    let words = "blue largw clasic foldign rusitc outdor glosy steal";
    let pairs = (b'a'..=b'z').map(|letter| format!("a{} ", char::from(letter))).collect::<String>();
    let hostile = [
        "'",
        "\"",
        "'; DROP TABLE products; --",
        "' OR 1=1 --",
        "\\",
        "\\'",
        "%",
        "_",
        "%%%%%%%%%%",
        "a:*",
        "!a",
        "a & b | !c <-> d",
        "((((((((",
        "<->",
        ":*",
        "a:ABCD*",
        "* * *",
        "$1",
        "{}",
        "../../etc/passwd",
        "<script>alert(1)</script>",
        "\u{202e}\u{feff}\u{fffd}",
        "e\u{301}\u{301}\u{301}",
        "\u{1F9D1}\u{200D}\u{1F680}",
        words,
        &words.replace(' ', ""),
        &pairs,
        "a",
        "the",
        "a b c d e f g h i j k l m n o p q r s t u v w x y z 0 1 2 3 4 5 6 7 8 9",
        &"a".repeat(200),
        &"aa ".repeat(66),
        &"ß".repeat(200),
        &"'".repeat(200),
        &"coffeegrinder".repeat(15),
    ];
    let ask = async |path: &str| {
        let began = Instant::now();
        let reply = visitor.get(path).await;
        let took = began.elapsed();
        assert!(took < Duration::from_secs(2), "{took:?}: {path}");
        reply
    };
    for q in hostile.map(encoded) {
        for sort in ["newest", "relevance", "price", "-price", "name"] {
            ask(&format!("/products?q={q}&sort={sort}")).await.expect(200);
        }
        ask(&format!("/products?sort={q}")).await.invalid("/sort");
        ask(&format!("/products?cursor={q}")).await.invalid("/cursor");
        ask(&format!("/products?q=mug&sort=relevance&cursor={q}")).await.invalid("/cursor");
    }
    for q in [&"a".repeat(201), &"ä".repeat(201), &"a ".repeat(1_000), "\0", "mug\0", "\u{1b}[2J", "\u{7f}"] {
        ask(&format!("/products?q={}", encoded(q))).await.invalid("/q");
    }
    for raw in ["q=%00", "q=%00%00&sort=name"] {
        ask(&format!("/products?{raw}")).await.invalid("/q");
    }
    for raw in ["q=%ff%fe", "q=%", "q=%zz", "q=%u0000", "q=mug%20", "q=+++mug"] {
        ask(&format!("/products?{raw}")).await.expect(200);
    }
    shop.finish().await;
}
