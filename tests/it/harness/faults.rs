//! What goes wrong on purpose, and what becomes of it.

use dev::mail::Fault;
use serde_json::{Value, json};

use super::{client::text, shop::Shop, wait::eventually};

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

    /// The mail server refuses every mail for good, until its faults are taken away.
    pub(crate) fn refuse_mails(&self) {
        let refusal = json!({ "at": "recipient", "code": 550 });
        self.mail.add_fault(serde_json::from_value::<Fault>(refusal).expect("a fault"));
    }

    /// What is paid from now on stays in the stock, until [`sell`](Self::sell): the job that books the sale waits.
    pub(crate) async fn hold_back_sales(&self) {
        self.database
            .run(
                "CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql AS
                   $$ BEGIN NEW.run_at := now() + interval '1 hour'; RETURN NEW; END $$;
                 CREATE TRIGGER later BEFORE INSERT ON jobs FOR EACH ROW WHEN (NEW.job_type = 'inventory.decrement')
                   EXECUTE FUNCTION later()",
            )
            .await;
    }

    /// Books the sales that were held back, and holds back none any more.
    pub(crate) async fn sell(&self) {
        self.database
            .run(
                "DROP TRIGGER later ON jobs; DROP FUNCTION later;
                 UPDATE jobs SET run_at = now() WHERE job_type = 'inventory.decrement' AND status = 'Pending'; NOTIFY jobs",
            )
            .await;
    }

    /// Stripe refuses to make refunds, as of an account without money, until the fault of this id is taken away.
    pub(crate) async fn refuse_refunds(&self) -> String {
        let error =
            json!({ "type": "invalid_request_error", "code": "balance_insufficient", "message": "Insufficient funds" });
        let answer = json!({ "kind": "status", "status": 400, "body": { "error": error } });
        self.inject(&json!({ "method": "POST", "path": "/v1/refunds", "answer": answer })).await
    }

    /// Waits until so many jobs are dead.
    pub(crate) async fn dead(&self, count: i64) {
        let dead = "SELECT count(*) FROM jobs WHERE status = 'Killed'";
        eventually("jobs are dead", async || (self.count(dead).await == count).then_some(())).await;
    }
}
