//! The ways into an account, and out of it.

use serde_json::{Value, json};

use super::{
    client::{Client, Reply, text},
    shop::Shop,
};

impl Client {
    pub(crate) async fn log_in(&self, email: &str, password: &str) -> Reply {
        self.post("/auth/login", &json!({ "email": email, "password": password })).await
    }

    pub(crate) async fn refresh(&self, session: &Value) -> Reply {
        self.post("/auth/refresh", &json!({ "refresh_token": session["refresh_token"] })).await
    }

    pub(crate) async fn log_out(&self, session: &Value) -> Reply {
        self.post("/auth/logout", &json!({ "refresh_token": session["refresh_token"] })).await
    }

    /// What the user of a session is told of itself by its access token.
    pub(crate) async fn me(&self, session: &Value) -> Reply {
        self.with_token(text(&session["access_token"])).get("/auth/me").await
    }

    pub(crate) async fn forget_password(&self, email: &str) -> Reply {
        self.post("/auth/password/forgot", &json!({ "email": email })).await
    }

    pub(crate) async fn reset_password(&self, token: &str, password: &str) -> Reply {
        self.post("/auth/password/reset", &json!({ "token": token, "password": password })).await
    }
}

impl Shop {
    /// Asks for a link that resets the password, and gives its token as soon as so many mails have come for this user.
    pub(crate) async fn reset_token(&self, email: &str, mails: usize) -> String {
        self.visitor().forget_password(email).await.expect(202);
        let mails = self.mails(email, mails).await;
        let (_, text) =
            mails.iter().rfind(|(subject, _)| subject == "Kassa: choose a new password").expect("it has come");
        let link = text.lines().find_map(|line| line.strip_prefix("http://localhost:8080/reset-password?token="));
        link.expect("the link has a line of its own").to_owned()
    }

    /// In which tables a text is kept, as it is.
    pub(crate) async fn tables_with(&self, text: &str) -> Vec<String> {
        let tables = sqlx::query_scalar("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'");
        let tables: Vec<String> = tables.fetch_all(&self.pool).await.expect("the tables can be listed");
        let mut found = Vec::new();
        for table in tables {
            let rows = format!("SELECT count(*) FROM {table} t WHERE strpos(t::text, $1) > 0");
            let rows = sqlx::query_scalar::<_, i64>(&rows).bind(text).fetch_one(&self.pool).await;
            if rows.expect("it can be read") > 0 {
                found.push(table);
            }
        }
        found
    }
}
