//! Access tokens: those that are no good, and what a good one is worth.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use uuid::Uuid;

use crate::harness::{Client, JWT_SECRET, PASSWORD, Program, Shop, eventually, text};

/// A stranger's, with which nothing of the shop's has ever been signed.
const STRANGER_RSA: &[u8] = include_bytes!("stranger.pem");
const STRANGER: &str = "a-secret-of-a-stranger-that-is-long-enough";
const OTHER_SECRET: &str = "another-secret-of-the-tests-long-enough";

/// A token with this header and these claims, signed by HMAC-SHA256 whatever the header says.
fn forge(header: &Value, claims: &Value, secret: &str) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length will do").chain_update(&signed);
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

fn hs256() -> Value {
    json!({ "alg": "HS256", "typ": "JWT" })
}

/// The claims of a good token.
fn good_claims(user: Uuid) -> Value {
    let now = Shop::now();
    json!({ "iss": "kassa", "aud": "kassa-api", "sub": user, "exp": now + 60, "iat": now, "ver": 1 })
}

/// All of them are refused, where a token is needed and where none is, and change nothing.
async fn refused(shop: &Shop, tokens: impl IntoIterator<Item = (String, String)>) {
    let before = shop.contents().await;
    for (what, token) in tokens {
        for (method, path) in [(Method::GET, "/auth/me"), (Method::GET, "/products"), (Method::POST, "/products")] {
            let reply = shop.visitor().with_token(&token).call(method, path, None, &[]).await;
            assert_eq!(reply.status, 401, "{what}: {}", reply.raw);
            assert_eq!(reply.header("www-authenticate"), r#"Bearer realm="kassa", error="invalid_token""#, "{what}");
            reply.problem(401, "unauthenticated");
        }
    }
    assert_eq!(shop.contents().await, before);
}

#[tokio::test]
async fn a_token_whose_claims_are_wrong_or_missing_is_refused() {
    let shop = Shop::start().await;
    let admin = shop.admin().await.user;
    let now = Shop::now();
    let good = forge(&hs256(), &good_claims(admin), JWT_SECRET);
    assert_eq!(shop.visitor().with_token(&good).get("/auth/me").await.expect(200)["role"], "admin");
    let wrong = [
        ("exp", json!(now - 1)),
        ("exp", json!("9999999999")),
        ("exp", json!(1e30)),
        ("nbf", json!(now + 60)),
        ("nbf", json!("soon")),
        ("iat", json!(now + 120)),
        ("iss", json!("somebody")),
        ("iss", json!("Kassa")),
        ("aud", json!("another-api")),
        ("aud", json!([])),
        ("sub", json!(Uuid::new_v4())),
        ("sub", json!(Uuid::nil())),
        ("sub", json!("\0")),
        ("sub", json!(format!("{admin}' OR true --"))),
        ("ver", json!(0)),
        ("ver", json!(2)),
        ("ver", json!(i64::MAX)),
        ("ver", json!("1")),
        ("ver", json!([1])),
    ];
    let nulls = ["exp", "iss", "aud", "sub", "ver", "iat"].map(|claim| (claim, json!(null)));
    let tokens = wrong.into_iter().chain(nulls).flat_map(|(claim, value)| {
        let (mut other, mut without) = (good_claims(admin), good_claims(admin));
        other[claim] = value.clone();
        without.as_object_mut().expect("claims are an object").remove(claim);
        let other = Some((format!("{claim}: {value}"), forge(&hs256(), &other, JWT_SECRET)));
        let without = value.is_null().then(|| (format!("no {claim}"), forge(&hs256(), &without, JWT_SECRET)));
        other.into_iter().chain(without)
    });
    refused(&shop, tokens).await;
    shop.finish().await;
}

#[tokio::test]
async fn a_token_that_the_shop_has_not_signed_is_refused() {
    let shop = Shop::start().await;
    let admin = shop.admin().await;
    let (claims, token) = (good_claims(admin.user), admin.token.clone().expect("an admin has one"));
    let mut tokens: Vec<(String, String)> = Vec::new();
    let mut add = |what: &str, token: String| tokens.push((what.to_owned(), token));
    for algorithm in ["none", "None", "NONE", "nOnE", "none ", "", "HS384", "HS512", "RS256", "ES256", "EdDSA", "hs256"]
    {
        let header = json!({ "alg": algorithm, "typ": "JWT" });
        let signed = forge(&header, &claims, JWT_SECRET);
        let (unsigned, _) = signed.rsplit_once('.').expect("a signature");
        add(&format!("alg {algorithm}, unsigned"), format!("{unsigned}."));
        add(&format!("alg {algorithm}, without a signature"), unsigned.to_owned());
        add(&format!("alg {algorithm}, signed as if by HS256"), signed);
    }
    for header in
        [json!({ "typ": "JWT" }), json!({ "alg": null }), json!({ "alg": ["HS256"] }), json!([]), json!("HS256")]
    {
        add(&format!("header {header}"), forge(&header, &claims, JWT_SECRET));
    }
    add("signed by a stranger", forge(&hs256(), &claims, STRANGER));
    add("signed with nothing", forge(&hs256(), &claims, ""));
    add("signed with a part of the secret", forge(&hs256(), &claims, &JWT_SECRET[..32]));
    add("signed with the issuer's name", forge(&hs256(), &claims, "kassa"));
    let rsa = EncodingKey::from_rsa_pem(STRANGER_RSA).expect("a key");
    add("RS256 by a stranger", encode(&Header::new(Algorithm::RS256), &claims, &rsa).expect("a token"));
    let hs512 = EncodingKey::from_secret(JWT_SECRET.as_bytes());
    add("HS512 with the shop's secret", encode(&Header::new(Algorithm::HS512), &claims, &hs512).expect("a token"));
    let critical = json!({ "alg": "HS256", "typ": "JWT", "crit": ["x"], "x": 1 });
    add("an extension that nobody knows", forge(&critical, &claims, JWT_SECRET));

    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("a JWT has three parts") };
    let another = forge(&hs256(), &json!({ "sub": admin.user, "ver": 1, "role": "admin" }), STRANGER);
    add("another payload", format!("{header}.{}.{signature}", another.split('.').nth(1).expect("a payload")));
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    for (what, junk) in [
        ("no signature", format!("{header}.{payload}.")),
        ("two parts", format!("{header}.{payload}")),
        ("four parts", format!("{token}.{signature}")),
        ("a dot more", format!("{token}.")),
        ("a letter more", format!("{token}x")),
        ("a letter less", format!("{header}.{payload}.{}", &signature[1..])),
        ("another letter", format!("{header}.{payload}.{first}{}", &signature[1..])),
        ("padding", format!("{token}=")),
        ("two tokens", format!("{token},{token}")),
        ("three letters", "a.b.c".to_owned()),
        ("dots", "..".to_owned()),
        ("a word", "null".to_owned()),
        ("much", "x".repeat(8000)),
    ] {
        add(what, junk);
    }
    refused(&shop, tokens).await;
    shop.finish().await;
}

#[tokio::test]
async fn what_a_token_says_of_its_key_is_never_followed() {
    let shop = Shop::start().await;
    let claims = good_claims(shop.admin().await.user);
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    elsewhere.set_nonblocking(true).expect("it can be asked without waiting");
    let url = format!("http://{}/keys.json", elsewhere.local_addr().expect("it is bound"));
    let own = json!({ "kty": "oct", "alg": "HS256", "k": URL_SAFE_NO_PAD.encode(STRANGER) });
    let rsa = EncodingKey::from_rsa_pem(STRANGER_RSA).expect("a key");
    let by_rsa = Header { jku: Some(url.clone()), x5u: Some(url.clone()), ..Header::new(Algorithm::RS256) };
    let mut tokens = vec![("RS256 with jku".to_owned(), encode(&by_rsa, &claims, &rsa).expect("a token"))];
    for (member, value, secret) in [
        ("jwk", own.clone(), STRANGER),
        ("jwk", json!({ "kty": "oct", "k": "" }), ""),
        ("jku", json!(url), STRANGER),
        ("x5u", json!(url), STRANGER),
        ("x5c", json!([URL_SAFE_NO_PAD.encode(STRANGER)]), STRANGER),
        ("kid", json!("../../../../dev/null"), ""),
        ("kid", json!("/proc/sys/kernel/ostype"), "Linux\n"),
        ("kid", json!("x' UNION SELECT 'key' --"), "key"),
        ("kid", json!(STRANGER), STRANGER),
        ("kid", json!("\0"), ""),
        ("k", json!(STRANGER), STRANGER),
    ] {
        let mut header = hs256();
        header[member] = value.clone();
        tokens.push((format!("{member}: {value}"), forge(&header, &claims, secret)));
    }
    refused(&shop, tokens).await;
    // Signed by the shop itself, a token is good whatever else its header says.
    let header = json!({ "alg": "HS256", "typ": "JWT", "kid": "../../../../dev/null", "jku": url, "jwk": own });
    let signed = forge(&header, &claims, JWT_SECRET);
    shop.visitor().with_token(&signed).get("/auth/me").await.expect(200);
    let called = elsewhere.accept().map(|_| ()).map_err(|error| error.kind());
    assert_eq!(called, Err(std::io::ErrorKind::WouldBlock), "nobody is asked for keys");
    shop.finish().await;
}

#[tokio::test]
async fn a_token_is_worth_what_its_users_row_says_now() {
    let shop = Shop::start().await;
    let (admin, ended, deleted) = (shop.admin().await, shop.shopper().await, shop.shopper().await);
    let product = json!({ "name": "Mug", "price": 500, "stock": 0 });
    admin.post("/products", &product).await.expect(201);
    for (user, change) in [
        (&admin, "UPDATE users SET role = 'customer' WHERE id = $1"),
        (&ended, "UPDATE users SET token_version = token_version + 1 WHERE id = $1"),
        (&deleted, "DELETE FROM users WHERE id = $1"),
    ] {
        user.get("/auth/me").await.expect(200);
        sqlx::query(change).bind(user.user).execute(&shop.pool).await.expect(change);
    }
    assert_eq!(admin.get("/auth/me").await.expect(200)["role"], "customer");
    admin.post("/products", &product).await.problem(403, "forbidden");
    for former in [&ended, &deleted] {
        for (method, path) in [(Method::GET, "/auth/me"), (Method::GET, "/products"), (Method::POST, "/checkout")] {
            let reply = former.call(method, path, None, &[]).await;
            assert!(reply.header("www-authenticate").contains("invalid_token"), "{:?}", reply.headers);
            reply.problem(401, "unauthenticated");
        }
    }
    let credentials = json!({ "email": ended.email, "password": PASSWORD });
    let again = shop.visitor().post("/auth/login", &credentials).await.expect(200);
    ended.with_token(text(&again["access_token"])).get("/auth/me").await.expect(200);
    shop.finish().await;
}

/// Another API of the shop's, with these secrets.
async fn api_with(shop: &Shop, secrets: &str) -> (Program, Client) {
    let api = shop.another_api_with(&[("JWT_SECRET", secrets.to_owned())]).await;
    let client = shop.visitor().at(&api);
    eventually("it is ready", async || (client.get("/health/ready").await.status == 200).then_some(())).await;
    (api, client)
}

#[tokio::test]
async fn a_secret_can_be_replaced_while_the_shop_is_open() {
    let shop = Shop::start().await;
    let email = shop.shopper().await.email;
    let old = shop.visitor().log_in(&email, PASSWORD).await.expect(200);
    let link = shop.reset_token(&email, 1).await;
    let (_both, both) = api_with(&shop, &format!("{OTHER_SECRET},{JWT_SECRET}")).await;
    let (_new, new) = api_with(&shop, OTHER_SECRET).await;

    both.me(&old).await.expect(200);
    new.me(&old).await.problem(401, "unauthenticated");
    let next = both.refresh(&old).await.expect(200);
    for (api, status) in [(&shop.visitor(), 401), (&both, 200), (&new, 200)] {
        assert_eq!(api.me(&next).await.status, status, "the first of two secrets signs");
    }
    // Refresh tokens are no one's signature: who has one isn't asked to log in again.
    let next = new.refresh(&next).await.expect(200);
    both.me(&next).await.expect(200);

    let password = "an umbrella left on the tram";
    new.reset_password(&link, password).await.problem(400, "invalid_reset_token");
    both.reset_password(&link, password).await.expect(204);
    new.log_in(&email, password).await.expect(200);
    shop.finish().await;
}
