CREATE TABLE products (
  id          uuid PRIMARY KEY,
  name        text NOT NULL,
  slug        text NOT NULL UNIQUE,
  description text NOT NULL DEFAULT '',
  price       bigint NOT NULL CHECK (price >= 0),       -- minor units of the shop's currency
  stock       bigint NOT NULL,
  reserved    bigint NOT NULL DEFAULT 0,                -- promised to orders that are not paid yet
  status      text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'archived')),
  version     bigint NOT NULL DEFAULT 1,                -- rises with every change of the row: the ETag
  created_at  timestamptz NOT NULL DEFAULT now(),
  updated_at  timestamptz NOT NULL DEFAULT now(),
  -- The last line of defence against selling what is not there.
  CONSTRAINT products_stock_covers_reserved CHECK (0 <= reserved AND reserved <= stock)
) WITH (fillfactor = 80);
CREATE INDEX products_newest ON products (created_at DESC, id DESC) WHERE status = 'active';

CREATE FUNCTION raise_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.version := OLD.version + 1;
  NEW.updated_at := now();
  RETURN NEW;
END $$;
CREATE TRIGGER products_raise_version BEFORE UPDATE ON products FOR EACH ROW EXECUTE FUNCTION raise_version();

CREATE TABLE cart_items (
  id         uuid PRIMARY KEY,
  user_id    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  product_id uuid NOT NULL REFERENCES products,
  quantity   integer NOT NULL CHECK (quantity BETWEEN 1 AND 999),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (user_id, product_id)
);
