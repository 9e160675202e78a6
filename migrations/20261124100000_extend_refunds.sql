-- Who asked for a refund: a failed one of the policy's waits for an operator, one of a duplicate moves no order.
ALTER TABLE refunds
  ADD COLUMN origin text NOT NULL DEFAULT 'operator' CHECK (origin IN ('operator', 'policy', 'duplicate', 'stripe')),
  ADD COLUMN generation integer NOT NULL DEFAULT 1 CHECK (generation > 0), -- part of the idempotency key
  ADD COLUMN failure_reason text;
ALTER TABLE refunds ALTER COLUMN origin DROP DEFAULT;
CREATE INDEX refunds_unsettled ON refunds (created_at) WHERE status IN ('pending', 'requires_action');

-- An intent gives back by itself once: what the policy, or a second payment, asks for.
CREATE UNIQUE INDEX refunds_one_by_itself ON refunds (payment_intent_id) WHERE origin IN ('policy', 'duplicate');
