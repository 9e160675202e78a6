//! What the Stripe simulator does wrong on purpose.

use serde_json::Value;

use super::{client::text, shop::Shop};

impl Shop {
    /// Puts a fault in force (see the simulator's `/_control`), and gives its id.
    pub(crate) async fn inject(&self, fault: &Value) -> String {
        text(&self.control().post("/faults", fault).await.expect(200)["id"]).to_owned()
    }

    /// Waits until a fault holds a call.
    pub(crate) async fn wait_until_held(&self, fault: &str) {
        self.control().get(&format!("/faults/{fault}/held?count=1&timeout_ms=10000")).await.expect(200);
    }

    /// Takes a fault away; what it holds goes on.
    pub(crate) async fn relieve(&self, fault: &str) {
        self.control().delete(&format!("/faults/{fault}")).await;
    }
}
