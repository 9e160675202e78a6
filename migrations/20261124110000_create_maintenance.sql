-- When a job that nobody's request leads to is enqueued next. The row is what the workers race for: one of them enqueues it.
CREATE TABLE schedules (
  queue   text PRIMARY KEY,
  next_at timestamptz NOT NULL
);

-- Comparisons of our books with Stripe's.
CREATE TABLE reconciliation_runs (
  id          uuid PRIMARY KEY,
  since       timestamptz NOT NULL,                     -- lists at Stripe were read from here
  started_at  timestamptz NOT NULL DEFAULT now(),
  finished_at timestamptz,                              -- null: it runs, or was cut off
  checked     bigint NOT NULL DEFAULT 0                 -- objects of Stripe's that were compared
);
CREATE INDEX reconciliation_runs_finished ON reconciliation_runs (started_at) WHERE finished_at IS NOT NULL;

CREATE TABLE reconciliation_differences (
  id               uuid PRIMARY KEY,
  run_id           uuid NOT NULL REFERENCES reconciliation_runs,
  kind             text NOT NULL CHECK (kind IN ('intent', 'refund', 'dispute', 'event')),
  stripe_object_id text NOT NULL,
  order_id         uuid REFERENCES orders,
  ours             text NOT NULL,
  theirs           text NOT NULL,
  outcome          text NOT NULL CHECK (outcome IN ('healed', 'left')),
  detail           text,                                -- why it was left
  created_at       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX reconciliation_differences_by_run ON reconciliation_differences (run_id);

-- What reconciliation asks about, and what pruning removes.
CREATE INDEX orders_canceled ON orders (updated_at) WHERE status = 'canceled';
CREATE INDEX orders_unpaid ON orders (id)
  WHERE status IN ('pending', 'awaiting_payment', 'processing', 'payment_failed', 'canceling');
CREATE INDEX disputes_open ON disputes (created_at) WHERE status IN ('warning', 'open');
CREATE INDEX jobs_done ON jobs (done_at) WHERE status = 'Done';
CREATE INDEX webhook_logs_settled ON webhook_logs (created_at) WHERE status IN ('processed', 'ignored');
