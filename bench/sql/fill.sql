-- $products, $accounts and $past are put in as numbers.
INSERT INTO users (id, email, password_hash, name)
SELECT bench.user_id(n), 'shopper-' || n || '@kassa.example', 'none', 'Shopper ' || n FROM generate_series(0, $accounts - 1) n;

INSERT INTO products (id, name, slug, description, price, stock, created_at)
SELECT bench.product_id(n), bench.product_name(n), 'product-' || n,
       'Made of ' || bench.word(2, n / 40) || ', ' || bench.word(1, n + 7) || ' in colour; it goes well with a '
       || bench.word(3, n + 3) || ' or a ' || bench.word(3, n + 11) || '. Number ' || n || ' of a series for kitchens and gardens.',
       500 + n % 5000, 1000000000, now() - n * interval '1 second'
FROM generate_series(0, $products - 1) n;

INSERT INTO product_images (id, product_id, position, status, image_key, thumbnail_key, small_thumbnail_key, width, height)
SELECT bench.past_id(n), bench.product_id(n), 0, 'ready', md5('i' || n), md5('t' || n), md5('s' || n), 800, 600
FROM generate_series(0, $products - 1) n;

-- Orders that were paid and fulfilled long ago, with all that they have left behind.
INSERT INTO orders (id, user_id, status, total, currency, expires_at, created_at, updated_at)
SELECT bench.past_id(n), bench.user_id(n % $accounts), 'fulfilled', 1500, 'usd', at, at, at
FROM generate_series(0, $past - 1) n, LATERAL (SELECT now() - interval '1 day' - n * interval '1 second' AS at) AS time;

INSERT INTO order_items (id, order_id, product_id, name_snapshot, price_snapshot, quantity, reservation)
SELECT bench.past_id(n), bench.past_id(n), bench.product_id(n % $products), bench.product_name(n % $products), 1500, 1, 'consumed'
FROM generate_series(0, $past - 1) n;

INSERT INTO order_events (id, order_id, kind, actor, data)
SELECT bench.past_id(3 * n + step), bench.past_id(n), 'order.' || step, 'system', '{"total": 1500}'
FROM generate_series(0, $past - 1) n, generate_series(0, 2) step;

INSERT INTO payment_intents (id, order_id, generation, stripe_id, client_secret, amount, currency, amount_received, status)
SELECT bench.past_id(n), bench.past_id(n), 1, 'pi_past_' || n, 'pi_past_' || n || '_secret', 1500, 'usd', 1500, 'succeeded'
FROM generate_series(0, $past - 1) n;

INSERT INTO payment_logs (id, order_id, operation, stripe_object_id, amount, outcome)
SELECT bench.past_id(2 * n + step), bench.past_id(n), 'create_intent', 'pi_past_' || n, 1500, 'ok'
FROM generate_series(0, $past - 1) n, generate_series(0, 1) step;

INSERT INTO webhook_logs (id, stripe_event_id, type, payload, livemode, status, attempts, order_id, processed_at, created_at)
SELECT bench.past_id(n), 'evt_past_' || n, 'payment_intent.succeeded', repeat('{"id": "evt_past_' || n || '"} ', 60), false, 'processed', 1,
       bench.past_id(n), now(), now() - interval '1 day'
FROM generate_series(0, $past - 1) n;

INSERT INTO emails (id, kind, object_id, "to", subject, dedupe_key, status, attempts, sent_at)
SELECT bench.past_id(n), 'order_confirmed', bench.past_id(n), 'shopper@kassa.example', 'Kassa: your order is confirmed',
       'order_confirmed:' || bench.past_id(n), 'sent', 1, now()
FROM generate_series(0, $past - 1) n;

INSERT INTO jobs (id, job_type, job, status, attempts, run_at, due_at, dedupe_key, done_at)
SELECT bench.past_id(5 * n + step), (ARRAY['payment.create_intent', 'order.expire', 'webhook.process', 'inventory.decrement', 'email.send'])[1 + step],
       jsonb_build_object('order_id', bench.past_id(n)), 'Done', 1, at, at, bench.past_id(n), at
FROM generate_series(0, $past - 1) n, generate_series(0, 4) step, LATERAL (SELECT now() - interval '1 day' AS at) AS time;
