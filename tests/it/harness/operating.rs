//! What an operator types.

use serde_json::Value;

use super::{Ended, Shop};

impl Shop {
    /// Runs `kassa` against this shop's Stripe.
    pub(crate) async fn kassa(&self, arguments: &[&str]) -> Ended {
        let base = self.stripe.base_url();
        let settings = [("STRIPE_API_BASE", base.as_str()), ("STRIPE_SECRET_KEY", "sk_test_simulator")];
        self.database.kassa_with(arguments, &settings, "").await
    }

    /// Runs `kassa reconcile`.
    pub(crate) async fn reconcile(&self, arguments: &[&str]) -> Ended {
        self.kassa(&[&["reconcile"], arguments].concat()).await
    }

    /// Runs `kassa reconcile` for machines, which must end with this code.
    pub(crate) async fn compared(&self, arguments: &[&str], code: i32) -> Value {
        let ended = self.reconcile(&[&["--json"], arguments].concat()).await;
        assert_eq!(ended.code, code, "{ended:?}");
        serde_json::from_str(&ended.out).expect("JSON")
    }
}
