//! Who has an account, and what they may do.

use futures::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{acts, all, members};
use crate::harness::{Client, Reply, Shop, text};

impl Client {
    async fn set_role(&self, user: &Client, role: &str) -> Reply {
        self.put(&format!("/admin/users/{}/role", user.user), &json!({ "role": role })).await
    }
}

#[tokio::test]
async fn users_are_found_by_the_beginning_of_their_e_mail_and_by_role() {
    let shop = Shop::start().await;
    let admin = shop.admin().await;
    for email in
        ["Ada@kassa.example", "adam@kassa.example", "a_a@kassa.example", "a%a@kassa.example", "bea@kassa.example"]
    {
        let account = json!({ "email": email, "password": "correct horse battery staple", "name": "A" });
        shop.visitor().post("/auth/register", &account).await.expect(201);
    }
    let found = async |query: &str| all(&admin, &format!("/admin/users?{query}"), 2).await;
    assert_eq!(members(&found("email=ada").await, "email"), ["adam@kassa.example", "Ada@kassa.example"]);
    assert_eq!(members(&found("email=ADA%40").await, "email"), ["Ada@kassa.example"]);
    // No wildcards.
    assert_eq!(members(&found("email=a_").await, "email"), ["a_a@kassa.example"]);
    assert_eq!(members(&found("email=a%25").await, "email"), ["a%a@kassa.example"]);
    assert_eq!(found("email=da").await, Vec::<Value>::new());
    assert_eq!(found("email=").await.len(), 6);
    assert_eq!(members(&found("role=admin").await, "email"), [admin.email.as_str()]);
    assert_eq!(found("role=customer").await.len(), 5);
    assert_eq!(found("role=admin&email=ada").await, Vec::<Value>::new());
    let ada = &found("email=ada%40").await[0];
    let mut names: Vec<_> = ada.as_object().expect("an object").keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["created_at", "email", "id", "name", "role"], "no hash, no version");
    shop.finish().await;
}

#[tokio::test]
async fn a_new_role_is_felt_at_once() {
    let shop = Shop::start().await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    shopper.get("/admin/users").await.problem(403, "forbidden");
    let promoted = admin.set_role(&shopper, "admin").await.expect(200);
    assert_eq!((&promoted["id"], &promoted["role"]), (&json!(shopper.user), &json!("admin")));
    shopper.get("/admin/users").await.expect(200);
    admin.set_role(&shopper, "admin").await.expect(200);
    admin.set_role(&shopper, "customer").await.expect(200);
    shopper.get("/admin/users").await.problem(403, "forbidden");
    assert_eq!(shopper.get("/auth/me").await.expect(200)["role"], "customer", "nobody is logged out by it");
    let (customer, manager) = (json!({ "role": "customer" }), json!({ "role": "admin" }));
    let act = |before: &Value, after: &Value| {
        let object = format!("user:{}", shopper.user);
        ("user.role_changed".to_owned(), object, before.clone(), after.clone())
    };
    assert_eq!(
        acts(&shop, &admin).await,
        [act(&customer, &manager), act(&manager, &customer)],
        "what changes nothing is no act"
    );
    shop.finish().await;
}

#[tokio::test]
async fn a_role_is_refused_with_what_is_wrong_about_it() {
    let shop = Shop::start().await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let path = format!("/admin/users/{}/role", shopper.user);
    let before = shop.contents().await;
    for (body, pointer) in [
        (json!({}), "/role"),
        (json!({ "role": "owner" }), "/role"),
        (json!({ "role": null }), "/role"),
        (json!({ "role": "admin", "email": "x@y" }), "/email"),
    ] {
        admin.put(&path, &body).await.invalid(pointer);
    }
    shop.visitor().set_role(&shopper, "admin").await.problem(401, "unauthenticated");
    shopper.set_role(&shopper, "admin").await.problem(403, "forbidden");
    for unknown in [Uuid::new_v4().to_string(), "no-id".into()] {
        let path = format!("/admin/users/{unknown}/role");
        admin.put(&path, &json!({ "role": "admin" })).await.problem(404, "not_found");
    }
    admin.set_role(&admin, "customer").await.problem(409, "last_admin");
    assert_eq!(shop.contents().await, before);
    admin.set_role(&admin, "admin").await.expect(200);
    shop.finish().await;
}

#[tokio::test]
async fn administrators_who_demote_each_other_at_once_leave_one() {
    let shop = Shop::start().await;
    let count = "SELECT count(*) FROM users WHERE role = 'admin'";
    for _ in 0..5 {
        shop.database.run("UPDATE users SET role = 'customer'").await;
        let admins = [shop.admin().await, shop.admin().await, shop.admin().await];
        let each_other = admins.iter().zip(admins.iter().cycle().skip(1));
        let replies = join_all(each_other.map(|(admin, other)| admin.set_role(other, "customer"))).await;
        for reply in replies {
            let code = text(&reply.body["code"]);
            assert!(reply.status == 200 || ["forbidden", "last_admin"].contains(&code), "{}", reply.raw);
        }
        assert!(shop.count(count).await >= 1);
        let left = join_all(admins.iter().map(|admin| admin.set_role(admin, "customer"))).await;
        assert!(left.iter().any(|reply| reply.status == 409), "somebody is the last one");
        assert_eq!(shop.count(count).await, 1);
    }
    shop.finish().await;
}
