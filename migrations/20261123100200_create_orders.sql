CREATE TABLE orders (
  id             uuid PRIMARY KEY,
  user_id        uuid NOT NULL REFERENCES users,
  number         bigint NOT NULL UNIQUE GENERATED ALWAYS AS IDENTITY (START WITH 1001),
  status         text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'awaiting_payment', 'processing', 'payment_failed',
                   'canceling', 'canceled', 'paid', 'payment_review', 'fulfilled', 'refunded')),
  total          bigint NOT NULL CHECK (total > 0),
  currency       text NOT NULL,
  expires_at     timestamptz NOT NULL,
  refunded_total bigint NOT NULL DEFAULT 0 CHECK (refunded_total >= 0),
  review_reason  text CHECK (review_reason IN ('late_payment', 'amount_mismatch', 'refund_failed')),
  cancel_reason  text CHECK (cancel_reason IN ('shopper', 'expired', 'operator', 'refused', 'intent_canceled')),
  created_at     timestamptz NOT NULL DEFAULT now(),
  updated_at     timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80);
CREATE INDEX orders_by_user ON orders (user_id, id DESC);
CREATE INDEX orders_open_by_user ON orders (user_id)
  WHERE status IN ('pending', 'awaiting_payment', 'processing', 'payment_failed', 'canceling');

CREATE TABLE order_items (
  id             uuid PRIMARY KEY,
  order_id       uuid NOT NULL REFERENCES orders,
  product_id     uuid NOT NULL REFERENCES products,
  name_snapshot  text NOT NULL,
  price_snapshot bigint NOT NULL CHECK (price_snapshot >= 0),
  quantity       integer NOT NULL CHECK (quantity > 0),
  reservation    text NOT NULL DEFAULT 'held' CHECK (reservation IN ('held', 'consumed', 'released')),
  restocked      integer NOT NULL DEFAULT 0 CHECK (0 <= restocked AND restocked <= quantity),
  UNIQUE (order_id, product_id)
);
CREATE INDEX order_items_held ON order_items (product_id) WHERE reservation = 'held';

CREATE TABLE stock_movements (
  id            uuid PRIMARY KEY,
  product_id    uuid NOT NULL REFERENCES products,
  delta         bigint NOT NULL CHECK (delta <> 0),
  kind          text NOT NULL CHECK (kind IN ('initial', 'sale', 'return', 'adjustment')),
  order_item_id uuid REFERENCES order_items,
  actor         text NOT NULL,
  reason        text,
  created_at    timestamptz NOT NULL DEFAULT now(),
  CHECK (kind NOT IN ('sale', 'return') OR order_item_id IS NOT NULL)
);
CREATE INDEX stock_movements_by_product ON stock_movements (product_id, created_at);
-- An item is sold once, whatever happens to the job that books it.
CREATE UNIQUE INDEX stock_movements_one_sale ON stock_movements (order_item_id) WHERE kind = 'sale';

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$;
CREATE TRIGGER stock_movements_append_only BEFORE UPDATE OR DELETE ON stock_movements
  FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- The timeline: what happened to an order, by whom, and in which request.
CREATE TABLE order_events (
  id         uuid PRIMARY KEY,
  order_id   uuid NOT NULL REFERENCES orders,
  kind       text NOT NULL,
  actor      text NOT NULL,
  data       jsonb NOT NULL DEFAULT '{}',
  request_id text,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX order_events_by_order ON order_events (order_id, id);
