-- What waits for somebody can be put aside: it is kept, and no longer counted. What fails anew counts anew.
ALTER TABLE webhook_logs ADD COLUMN dismissed_at timestamptz;
ALTER TABLE emails ADD COLUMN dismissed_at timestamptz;
ALTER TABLE refunds ADD COLUMN dismissed_at timestamptz;

-- The worker counts those whose money is still here.
CREATE INDEX refunds_off ON refunds (id) WHERE status IN ('failed', 'canceled') AND dismissed_at IS NULL;
