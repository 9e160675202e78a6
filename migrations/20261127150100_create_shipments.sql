-- What was sent of an order: written with its fulfilment, and there for ever.
CREATE TABLE shipments (
  order_id        uuid PRIMARY KEY REFERENCES orders,
  carrier         text,
  tracking_number text,
  created_at      timestamptz NOT NULL DEFAULT now()
);
