//! Accounts: registering, logging in, and who one is. What tokens are worth is in `tokens`, how sessions go on in `sessions`.

use std::time::{Duration, Instant};

use futures::future::join_all;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};

use crate::harness::{Client, JWT_SECRET, PASSWORD, Shop, id, text, time};

#[tokio::test]
async fn a_session_opens_at_registration_and_at_login() {
    let shop = Shop::start().await;
    let visitor = shop.visitor();
    let account = json!({ "email": "Ada@Kassa.example", "password": PASSWORD, "name": " Ada Lovelace " });
    let registered = visitor.post("/auth/register", &account).await.expect(201);
    insta::assert_json_snapshot!(registered, {
        ".access_token" => "[a JWT]", ".refresh_token" => "[random]", ".user.id" => id(), ".user.created_at" => time(),
    }, @r#"
    {
      "access_token": "[a JWT]",
      "expires_in": 900,
      "refresh_token": "[random]",
      "token_type": "Bearer",
      "user": {
        "created_at": "[time]",
        "email": "Ada@Kassa.example",
        "id": "[id]",
        "name": "Ada Lovelace",
        "role": "customer"
      }
    }
    "#);

    let credentials = json!({ "email": " ADA@kassa.EXAMPLE ", "password": PASSWORD });
    let logged_in = visitor.post("/auth/login", &credentials).await.expect(200);
    assert_eq!(logged_in["user"], registered["user"], "an e-mail's case is of no matter");
    for session in [&registered, &logged_in] {
        let token = text(&session["access_token"]);
        assert_eq!(visitor.with_token(token).get("/auth/me").await.expect(200), registered["user"]);
        check_claims(token, &registered["user"]["id"]);
    }
    for (name, kept) in [(json!(null), json!(null)), (json!(""), json!(null)), (json!("Ԛӱ 茶 🫖"), json!("Ԛӱ 茶 🫖"))]
    {
        let email = format!("u{}@kassa.example", shop.count("SELECT count(*) FROM users").await);
        let account = json!({ "email": email, "password": "pâssphrase of a friend ☕", "name": name });
        let session = visitor.post("/auth/register", &account).await.expect(201);
        assert_eq!(session["user"]["name"], kept);
    }
    shop.finish().await;
}

/// A token has these claims and no others, is signed by HS256, and good for a quarter of an hour.
#[track_caller]
fn check_claims(token: &str, user: &Value) {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_issuer(&["kassa"]);
    validation.set_audience(&["kassa-api"]);
    let key = DecodingKey::from_secret(JWT_SECRET.as_bytes());
    let token = jsonwebtoken::decode::<Value>(token, &key, &validation).expect("a good token");
    let claims = token.claims.as_object().expect("claims are an object");
    let mut names: Vec<&str> = claims.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["aud", "exp", "iat", "iss", "sub", "ver"]);
    assert_eq!((&claims["sub"], &claims["ver"]), (user, &json!(1)));
    let figure = |name: &str| claims[name].as_i64().expect("seconds");
    assert_eq!(figure("exp") - figure("iat"), 900);
}

#[tokio::test]
async fn a_registration_that_is_refused_leaves_nothing_behind() {
    let shop = Shop::start().await;
    let taken = shop.shopper().await.email;
    let before = shop.contents().await;
    let visitor = shop.visitor();
    let register = async |field: &str, value: &Value| {
        let mut account = json!({ "email": "new@kassa.example", "password": PASSWORD });
        account[field] = value.clone();
        visitor.post("/auth/register", &account).await
    };
    let (long_name, long_password) = ("x".repeat(101), "correct horse ".repeat(10));
    let long_email = format!("{}@kassa.example", "x".repeat(65));
    let refused = [
        ("email", vec![json!(null), json!(1), json!([]), json!(""), json!("ada"), json!("a@b@c"), json!(long_email)]),
        ("email", vec![json!("a\r\nbcc: eve@kassa.example"), json!("a\0@kassa.example"), json!("ä@kassa.example")]),
        (
            "password",
            vec![json!(null), json!(123_456_789_012_i64), json!(""), json!("eleven char"), json!(long_password)],
        ),
        ("password", vec![json!("password1234"), json!("aaaaaaaaaaaa"), json!("new@kassa.example")]),
        ("name", vec![json!(1), json!({}), json!("a\0b"), json!("a\r\nb"), json!(" "), json!(long_name)]),
        ("role", vec![json!("admin"), json!("customer"), json!(null)]),
        ("token_version", vec![json!(7)]),
    ];
    for (field, values) in refused {
        for value in values {
            register(field, &value).await.invalid(&format!("/{field}"));
        }
    }
    let both = visitor.post("/auth/register", &json!({ "email": "ada", "password": "short" })).await;
    let errors = both.problem(422, "validation_failed")["errors"].take();
    assert_eq!((&errors[0]["pointer"], &errors[1]["pointer"]), (&json!("/email"), &json!("/password")));
    visitor.post("/auth/register", &json!({ "email": "new@kassa.example" })).await.invalid("/password");
    visitor.post("/auth/register", &json!({ "password": PASSWORD })).await.invalid("/email");
    for email in [taken.clone(), taken.to_uppercase()] {
        register("email", &json!(email)).await.problem(409, "email_taken");
    }
    assert_eq!(shop.contents().await, before);

    let addresses = ["one@kassa.example", "ONE@kassa.example"].map(|email| json!(email));
    let replies = join_all((0..8).map(|n| register("email", &addresses[n % 2]))).await;
    let (made, refused): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.status == 201);
    assert_eq!(made.len(), 1, "of several at once, one gets the address");
    for reply in refused {
        reply.problem(409, "email_taken");
    }
    shop.finish().await;
}

#[tokio::test]
async fn a_login_does_not_tell_who_has_an_account() {
    let shop = Shop::start().await;
    let known = shop.shopper().await.email;
    let before = shop.contents().await;
    let visitor = shop.visitor();
    let mut answers = Vec::new();
    for (email, password) in [
        (known.as_str(), "another password"),
        (&known, ""),
        (&known, &PASSWORD[1..]),
        (&known, &PASSWORD.to_uppercase()),
        (&known, &"x".repeat(10_000)),
        ("nobody@kassa.example", PASSWORD),
        ("no address", PASSWORD),
        ("a\0@kassa.example", "\0"),
        ("", ""),
    ] {
        let reply = visitor.post("/auth/login", &json!({ "email": email, "password": password })).await;
        assert!(reply.header("www-authenticate").starts_with("Bearer"), "{:?}", reply.headers);
        let mut answer = reply.problem(401, "invalid_credentials");
        answer["request_id"].take();
        answers.push(answer);
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:#?}");
    for (field, value) in [("email", json!(null)), ("password", json!(null)), ("password", json!(1)), ("otp", json!(1))]
    {
        let mut credentials = json!({ "email": known, "password": PASSWORD });
        credentials[field] = value;
        visitor.post("/auth/login", &credentials).await.invalid(&format!("/{field}"));
    }
    assert_eq!(shop.contents().await, before);

    // The best of several, as a busy machine only ever adds to it; by turns, so that it is as busy for both.
    let (mut right, mut wrong) = (Duration::MAX, Duration::MAX);
    for _ in 0..8 {
        right = right.min(time_login(&visitor, &known).await);
        wrong = wrong.min(time_login(&visitor, "nobody@kassa.example").await);
    }
    assert!(wrong * 2 > right && right * 2 > wrong, "a known e-mail takes {right:?}, an unknown one {wrong:?}");
    shop.finish().await;
}

/// How long a login with a wrong password takes.
async fn time_login(visitor: &Client, email: &str) -> Duration {
    let began = Instant::now();
    let credentials = json!({ "email": email, "password": "a wrong password" });
    visitor.post("/auth/login", &credentials).await.problem(401, "invalid_credentials");
    began.elapsed()
}

#[tokio::test]
async fn a_password_counts_to_its_last_byte() {
    let shop = Shop::start().await;
    let visitor = shop.visitor();
    let long = "wren lantern gypsum orbit velvet quarry thimble ocean ".repeat(2) + "and a grey goose ünd";
    assert_eq!(long.chars().count(), 128, "as long as is taken");
    let zeroes = "a wren's\0lantern\0gypsum";
    for (name, password, cut) in [
        ("long", long.as_str(), long.strip_suffix('d').expect("its end")),
        ("zeroes", zeroes, zeroes.strip_suffix("gypsum").expect("its end")),
        ("blanks", "  a wren, a lantern  ", "a wren, a lantern"),
    ] {
        let email = format!("{name}@kassa.example");
        visitor.post("/auth/register", &json!({ "email": email, "password": password })).await.expect(201);
        visitor.log_in(&email, cut).await.problem(401, "invalid_credentials");
        visitor.log_in(&email, password).await.expect(200);
    }
    shop.finish().await;
}

#[tokio::test]
async fn logins_leave_no_memory_behind() {
    let shop = Shop::start().await;
    let visitor = shop.visitor();
    let Some(before) = shop.api.resident_memory() else { return shop.finish().await };
    let credentials = json!({ "email": "nobody@kassa.example", "password": PASSWORD });
    for _ in 0..4 {
        for reply in join_all((0..6).map(|_| visitor.post("/auth/login", &credentials))).await {
            reply.problem(401, "invalid_credentials");
        }
    }
    let after = shop.api.resident_memory().expect("it was told before");
    assert!(after < before + 16 * 1024, "{before} KiB before, {after} KiB after: a hash takes 19 MiB");
    shop.finish().await;
}
