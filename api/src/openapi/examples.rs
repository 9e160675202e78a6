//! One example for each thing that is sent or shown, by the name of its schema.

use serde_json::{Value, json};

const PRODUCT: &str = "01a209b7-b35c-7d10-8f3a-5e9c1b7d2a44";
const ORDER: &str = "01a209b7-b6ef-7c1e-9a55-2d0f6b1c3e77";
const LINE: &str = "01a209b7-b6ef-7c1e-9a55-2d1077aa90b2";
const ADMIN: &str = "user:01a209b7-a001-7000-8000-0000000000ad";
const REQUEST: &str = "0c0a7f2e-9b1d-4f0c-8a51-0e6f2d9b7c11";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const TIME: &str = "2026-11-23T18:42:44.586565Z";
const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIwMWEyMDliNyJ9.c2lnbmF0dXJl";
const REFRESH_TOKEN: &str = "mYbS3cretRefreshTokenOf43CharactersInBase64u";

/// An example of what this schema describes, where it names a schema of ours or holds such.
pub(super) fn of(schema: &Value) -> Option<Value> {
    if let Some(reference) = schema["$ref"].as_str() {
        return named(reference.rsplit('/').next()?);
    }
    if schema["type"] == "array" {
        return of(&schema["items"]).map(|item| json!([item]));
    }
    match (schema["type"].as_str()?, schema["format"].as_str()) {
        ("integer", _) => Some(json!(3)),
        ("string", Some("uuid")) => Some(json!(LINE)),
        _ => None,
    }
}

fn named(schema: &str) -> Option<Value> {
    if let Some(item) = schema.strip_prefix("Page_") {
        return named(item).map(|item| json!({ "items": [item], "next_cursor": "eyJsIjoiMDFhMjA5YjcifQ" }));
    }
    let password = "a long enough password";
    Some(match schema {
        "Registration" => json!({ "email": "ada@example.com", "password": password, "name": "Ada Lovelace" }),
        "Credentials" => json!({ "email": "ada@example.com", "password": password }),
        "RefreshToken" => json!({ "refresh_token": REFRESH_TOKEN }),
        "ForgottenPassword" => json!({ "email": "ada@example.com" }),
        "PasswordReset" => json!({ "token": TOKEN, "password": password }),
        "Session" => json!({
            "access_token": TOKEN, "token_type": "Bearer", "expires_in": 900, "refresh_token": REFRESH_TOKEN, "user": named("User"),
        }),
        "User" => json!({
            "id": "01a209b7-a001-7000-8000-0000000000aa", "email": "ada@example.com", "name": "Ada Lovelace", "role": "customer",
            "created_at": TIME,
        }),
        "Creation" => json!({
            "name": "Blue mug", "slug": "blue-mug", "description": "Holds 300 ml.", "price": 1250, "stock": 40,
        }),
        "Edit" => json!({
            "name": "Blue mug", "slug": "blue-mug", "description": "Holds 300 ml.", "price": 1350, "status": "active",
        }),
        "Product" => json!({
            "id": PRODUCT, "name": "Blue mug", "slug": "blue-mug", "description": "Holds 300 ml.", "price": 1250, "currency": "usd",
            "stock": 40, "available": 38, "status": "active", "images": [], "created_at": TIME, "updated_at": TIME, "version": 3,
        }),
        "Image" => json!({
            "id": "01a209b7-b600-7000-8000-0000000000dd", "url": null, "thumbnail_url": null, "alt": "The mug, from above.",
            "width": null, "height": null, "status": "processing",
        }),
        "ImageUpload" => json!({ "file": "(the bytes of the image)", "alt": "The mug, from above." }),
        "Addition" => json!({ "product_id": PRODUCT, "quantity": 2 }),
        "NewQuantity" => json!({ "quantity": 3 }),
        "Cart" => json!({
            "items": [{
                "id": "01a209b7-b500-7000-8000-0000000000cc",
                "product": {
                    "id": PRODUCT, "name": "Blue mug", "slug": "blue-mug", "price": 1250, "currency": "usd", "available": 38,
                    "thumbnail_url": null,
                },
                "quantity": 2, "line_total": 2500, "problem": null,
            }],
            "total": 2500, "currency": "usd",
        }),
        "Checkout" => json!({ "expected_total": 2500 }),
        "NoMembers" | "Accepted" => json!({}),
        "Order" => json!({
            "id": ORDER, "number": 1002, "status": "awaiting_payment",
            "items": [{ "id": LINE, "product_id": PRODUCT, "name": "Blue mug", "quantity": 2, "price": 1250, "line_total": 2500 }],
            "total": 2500, "currency": "usd", "refunded_total": 0,
            "payment": {
                "intent_id": "pi_3AfoxZ", "client_secret": "pi_3AfoxZ_secret_b7Kq", "publishable_key": "pk_test_51Hq", "last_error": null,
            },
            "expires_at": "2026-11-23T19:12:44.586565Z", "created_at": TIME, "updated_at": TIME,
        }),
        "AdminOrder" => {
            let mut order = named("Order")?;
            order["status"] = json!("paid");
            order["payment"]["client_secret"] = json!(null);
            order["items"][0]["restocked"] = json!(1);
            order["user"] = json!({
                "id": "01a209b7-a001-7000-8000-0000000000aa", "email": "ada@example.com", "name": "Ada Lovelace",
            });
            order["review_reason"] = json!(null);
            order["cancel_reason"] = json!(null);
            order["refunds"] = json!([{
                "id": "01a209b7-c001-7000-8000-0000000000ee", "amount": 1250, "currency": "usd", "reason": "One was broken.",
                "status": "pending", "origin": "operator", "stripe_refund_id": null, "failure_reason": null, "outcome_unknown": false,
                "dismissed_at": null, "created_at": TIME, "updated_at": TIME,
            }]);
            order["disputes"] = json!([]);
            order["shipment"] = json!(null);
            order
        }
        "Fulfilment" => json!({ "carrier": "DHL", "tracking_number": "JD014600003828" }),
        "TimelineEntry" => json!({
            "id": "01a209b7-d001-7000-8000-0000000000ff", "created_at": TIME, "source": "payment", "kind": "create_intent",
            "actor": "system", "request_id": REQUEST,
            "trace_id": TRACE,
            "data": { "outcome": "requires_payment_method", "stripe_object_id": "pi_3AfoxZ", "amount": 2500, "currency": "usd" },
        }),
        "RefundRequest" => json!({
            "amount": 1250, "reason": "One was broken.", "restock": [{ "order_item_id": LINE, "quantity": 1 }],
        }),
        "StockChange" => json!({ "delta": -2, "reason": "Two were broken on the shelf." }),
        "StockMovement" => json!({
            "id": "01a209b7-d001-7000-8000-0000000000f1", "product_id": PRODUCT, "delta": -2, "kind": "adjustment", "order_id": null,
            "order_item_id": null, "actor": ADMIN, "reason": "Two were broken on the shelf.",
            "request_id": REQUEST, "trace_id": TRACE, "created_at": TIME,
        }),
        "StockAdjustment" => {
            let mut adjustment = named("StockMovement")?;
            adjustment["stock"] = json!(38);
            adjustment["available"] = json!(36);
            adjustment
        }
        "StockLedger" => {
            let mut ledger = named("Page_StockMovement")?;
            ledger["product_id"] = json!(PRODUCT);
            ledger["as_of"] = json!(TIME);
            ledger["stock"] = json!(38);
            ledger
        }
        "RoleChange" => json!({ "role": "admin" }),
        "StripeEvent" => json!({
            "id": "01a209b7-d002-7000-8000-0000000000f2", "stripe_event_id": "evt_3AfoxZ", "type": "payment_intent.succeeded",
            "livemode": true, "status": "failed", "attempts": 31, "last_error": "the database refused, or did not answer", "order_id": null,
            "request_id": REQUEST, "trace_id": TRACE, "created_at": TIME, "processed_at": null, "dismissed_at": null,
        }),
        "StripeEventWithPayload" => {
            let mut event = named("StripeEvent")?;
            event["payload"] = named("Event")?;
            event
        }
        "JobState" => json!("running"),
        "Job" => json!({
            "id": "01a209b7-d003-7000-8000-0000000000f3", "queue": "email.send",
            "payload": { "email_id": "01a209b7-d004-7000-8000-0000000000f4" }, "order_id": ORDER, "order_number": 1002, "state": "dead",
            "attempts": 31, "failures": 31, "crashes": 0, "run_at": TIME, "created_at": TIME, "done_at": TIME, "request_id": REQUEST, "trace_id": TRACE,
            "last_error": "refused at RCPT TO: 550 5.1.1 no such mailbox (mail server smtp.example:587)",
        }),
        "JobWithErrors" => {
            let mut job = named("Job")?;
            job["errors"] = json!([{ "attempt": 31, "at": TIME, "error": "refused at RCPT TO: 550 5.1.1 no such mailbox (mail server smtp.example:587)" }]);
            job
        }
        "JobsToRetry" => json!({ "queue": "email.send", "error_contains": "451" }),
        "JobsRetried" => json!({
            "items": [{ "id": "01a209b7-d003-7000-8000-0000000000f3", "queue": "email.send", "outcome": "enqueued" }], "retried": 1,
            "remaining": 0, "next_cursor": null,
        }),
        "PaymentLogEntry" => json!({
            "id": "01a209b7-d005-7000-8000-0000000000f5", "order_id": ORDER, "order_number": 1002, "operation": "create_intent",
            "stripe_object_id": "pi_3AfoxZ", "amount": 2500, "currency": "usd", "outcome": "requires_payment_method",
            "error_type": null, "decline_code": null, "stripe_request_id": "req_8fKq",
            "request_id": REQUEST, "trace_id": TRACE, "created_at": TIME,
        }),
        "Mail" => json!({
            "id": "01a209b7-d004-7000-8000-0000000000f4", "kind": "order_confirmed", "object_id": ORDER, "to": "ada@example.com",
            "subject": "Kassa: your order 1002 is confirmed", "status": "sent",
            "message_id": "<01a209b7-d004-7000-8000-0000000000f4@example.com>", "attempts": 1, "last_error": null, "sent_at": TIME,
            "request_id": REQUEST, "trace_id": TRACE, "created_at": TIME,
        }),
        "ReconciliationRun" => json!({
            "id": "01a209b7-d006-7000-8000-0000000000f6", "since": TIME, "started_at": TIME, "finished_at": TIME, "checked": 412,
            "differences": 1, "unresolved": 0,
        }),
        "ReconciliationDifference" => json!({
            "id": "01a209b7-d007-7000-8000-0000000000f7", "kind": "intent", "stripe_object_id": "pi_3AfoxZ", "order_id": ORDER,
            "ours": "requires_payment_method", "theirs": "succeeded, received 2500", "outcome": "healed", "detail": null,
            "dismissed": false, "settled_at": null, "created_at": TIME,
        }),
        "ReconciliationRequested" => json!({ "job_id": "01a209b7-d008-7000-8000-0000000000f8", "enqueued": true }),
        "AuditEntry" => json!({
            "id": "01a209b7-d009-7000-8000-0000000000f9", "actor": ADMIN, "action": "product.stock_adjusted",
            "object": format!("product:{PRODUCT}"), "before": { "stock": 40 },
            "after": { "stock": 38, "reason": "Two were broken on the shelf." },
            "request_id": REQUEST, "trace_id": TRACE, "created_at": TIME,
        }),
        "Event" => json!({
            "id": "evt_3AfoxZ", "type": "payment_intent.succeeded",
            "data": { "object": { "id": "pi_3AfoxZ", "object": "payment_intent", "status": "succeeded" } },
        }),
        "Receipt" => json!({ "received": true }),
        "Health" => json!({ "status": "live" }),
        "Shortfall" => json!({ "product_id": PRODUCT, "requested": 2, "available": 1, "held_by_your_orders": 0 }),
        "OpenOrder" => {
            json!({ "id": ORDER, "number": 1002, "status": "awaiting_payment", "expires_at": "2026-11-23T19:12:44.586565Z" })
        }
        "OrderStatus" => json!("paid"),
        "RefundStatus" => json!("succeeded"),
        _ => return None,
    })
}
