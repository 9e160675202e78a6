CREATE TABLE payment_intents (
  id                 uuid PRIMARY KEY,
  order_id           uuid NOT NULL REFERENCES orders,
  -- Part of the idempotency key. The highest one is the order's current intent; 0 is one that turned up beside it.
  generation         integer NOT NULL CHECK (generation >= 0),
  stripe_id          text UNIQUE,                       -- null while a generation above the first is asked for
  client_secret      text,
  amount             bigint NOT NULL,
  currency           text NOT NULL,
  amount_received    bigint NOT NULL DEFAULT 0 CHECK (amount_received >= 0),
  status             text NOT NULL,                     -- Stripe's own word
  duplicate          boolean NOT NULL DEFAULT false,    -- succeeded beside another one of the same order
  last_error_code    text,
  last_error_message text,
  created_at         timestamptz NOT NULL DEFAULT now(),
  updated_at         timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX payment_intents_by_generation ON payment_intents (order_id, generation) WHERE generation > 0;
CREATE INDEX payment_intents_by_order ON payment_intents (order_id);

CREATE TABLE refunds (
  id                uuid PRIMARY KEY,
  order_id          uuid NOT NULL REFERENCES orders,
  payment_intent_id uuid NOT NULL REFERENCES payment_intents,
  amount            bigint NOT NULL CHECK (amount > 0),
  reason            text,
  status            text NOT NULL DEFAULT 'pending'
                      CHECK (status IN ('pending', 'requires_action', 'succeeded', 'failed', 'canceled')),
  stripe_refund_id  text UNIQUE,
  created_at        timestamptz NOT NULL DEFAULT now(),
  updated_at        timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX refunds_by_order ON refunds (order_id);
CREATE INDEX refunds_by_intent ON refunds (payment_intent_id);

CREATE TABLE disputes (
  id                uuid PRIMARY KEY,
  order_id          uuid NOT NULL REFERENCES orders,
  stripe_dispute_id text NOT NULL UNIQUE,
  amount            bigint NOT NULL,
  reason            text,
  status            text NOT NULL CHECK (status IN ('warning', 'open', 'won', 'lost')),
  created_at        timestamptz NOT NULL DEFAULT now(),
  updated_at        timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX disputes_by_order ON disputes (order_id);

-- One row per call to Stripe and per payment event applied.
CREATE TABLE payment_logs (
  id                uuid PRIMARY KEY,
  order_id          uuid REFERENCES orders,
  operation         text NOT NULL,
  stripe_object_id  text,
  amount            bigint,
  outcome           text NOT NULL,
  error_type        text,
  decline_code      text,
  stripe_request_id text,
  created_at        timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX payment_logs_by_order ON payment_logs (order_id, id);

-- The inbox: an event is here before Stripe is answered. The payload is text, because jsonb refuses \u0000.
CREATE TABLE webhook_logs (
  id              uuid PRIMARY KEY,
  stripe_event_id text NOT NULL UNIQUE,
  type            text NOT NULL,
  payload         text NOT NULL,
  livemode        boolean NOT NULL,
  status          text NOT NULL DEFAULT 'received' CHECK (status IN ('received', 'processed', 'ignored', 'parked', 'failed')),
  attempts        integer NOT NULL DEFAULT 0,
  error           text,
  order_id        uuid REFERENCES orders,
  processed_at    timestamptz,
  created_at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX webhook_logs_unprocessed ON webhook_logs (created_at) WHERE status IN ('received', 'parked', 'failed');

-- The outbox. The dedupe key is `kind:object_id`: one thing is told once.
CREATE TABLE emails (
  id         uuid PRIMARY KEY,
  kind       text NOT NULL,
  object_id  uuid NOT NULL,
  "to"       text NOT NULL,
  subject    text,                                      -- known once it has been rendered
  dedupe_key text NOT NULL UNIQUE,
  status     text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'sent', 'failed', 'withdrawn')),
  message_id text,                                      -- the same at each attempt
  attempts   integer NOT NULL DEFAULT 0,
  error      text,
  sent_at    timestamptz,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX emails_unsent ON emails (created_at) WHERE status IN ('pending', 'failed');
