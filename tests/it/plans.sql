-- What bench/sql/fill.sql has no use for: what is under way, so that the indexes of it are not those of empty tables.
INSERT INTO cart_items (id, user_id, product_id, quantity)
SELECT gen_random_uuid(), bench.user_id(n), bench.product_id((n + step) % 3000), 1 FROM generate_series(0, 2999) n, generate_series(0, 1) step;

INSERT INTO idempotency_keys (user_id, endpoint, key, request_hash, resource_id, expires_at)
SELECT bench.user_id(n), 'POST /checkout', 'key-' || step, '\x00', bench.past_id(n), now() + interval '1 day'
FROM generate_series(0, 2999) n, generate_series(0, 1) step;

INSERT INTO refunds (id, order_id, payment_intent_id, amount, status, origin)
SELECT bench.past_id(n), bench.past_id(n), bench.past_id(n), 100, 'succeeded', 'operator' FROM generate_series(0, 2999) n;

INSERT INTO refresh_tokens (id, user_id, family, token_hash, expires_at)
SELECT bench.past_id(n), bench.user_id(n % 3000), bench.past_id(n), decode(md5(n::text), 'hex'), now() + interval '1 day'
FROM generate_series(0, 5999) n;

INSERT INTO orders (id, user_id, status, total, currency, expires_at)
SELECT bench.past_id(n), bench.user_id(n % 3000), 'awaiting_payment', 1500, 'usd', now() + interval '1 day'
FROM generate_series(6000, 8999) n;

INSERT INTO order_items (id, order_id, product_id, name_snapshot, price_snapshot, quantity)
SELECT bench.past_id(n), bench.past_id(n), bench.product_id(n % 3000), 'Thing', 1500, 1 FROM generate_series(6000, 8999) n;

INSERT INTO jobs (id, job_type, job, run_at, due_at, dedupe_key)
SELECT bench.past_id(30000 + n), 'order.expire', jsonb_build_object('order_id', bench.past_id(n)), at, at, bench.past_id(n)
FROM generate_series(6000, 8999) n, LATERAL (SELECT now() + interval '1 day' AS at) AS time;

INSERT INTO webhook_logs (id, stripe_event_id, type, payload, livemode, status)
SELECT bench.past_id(n), 'evt_failed_' || n, 'payment_intent.succeeded', '{}', false, 'failed' FROM generate_series(6000, 7999) n;

INSERT INTO emails (id, kind, object_id, "to", dedupe_key, status)
SELECT bench.past_id(n), 'order_confirmed', bench.past_id(n), 'shopper@kassa.example', 'failed:' || n, 'failed' FROM generate_series(6000, 7999) n;
