//! What an operator types.

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
}
