-- A payment may have come in another currency than its order's. Where none is noted, it is the order's.
ALTER TABLE payment_logs ADD COLUMN currency text;

-- What was logged of such payments so far, and of what went back of them.
UPDATE payment_logs l SET currency = p.currency
FROM payment_intents p JOIN orders o ON o.id = p.order_id
WHERE p.currency <> o.currency AND l.order_id = p.order_id
  AND (l.stripe_object_id = p.stripe_id
       OR l.stripe_object_id IN (SELECT r.stripe_refund_id FROM refunds r WHERE r.payment_intent_id = p.id));
