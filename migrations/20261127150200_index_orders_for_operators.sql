-- What operators look for: orders by status and time, and those of somebody whose name or address begins so.
CREATE INDEX orders_by_status ON orders (status, id DESC);
CREATE INDEX orders_by_time ON orders (created_at);
CREATE INDEX users_email_beginnings ON users (lower(email::text) text_pattern_ops);
CREATE INDEX users_name_beginnings ON users (lower(name) text_pattern_ops);

-- What the timeline of an order is made of. Jobs that live are found by jobs_one_live: a job enters this index once, at its end.
CREATE INDEX jobs_ended_by_object ON jobs (dedupe_key) WHERE done_at IS NOT NULL;
CREATE INDEX stock_movements_by_item ON stock_movements (order_item_id) WHERE order_item_id IS NOT NULL;
CREATE INDEX webhook_logs_by_order ON webhook_logs (order_id) WHERE order_id IS NOT NULL;
CREATE INDEX emails_by_object ON emails (object_id);
