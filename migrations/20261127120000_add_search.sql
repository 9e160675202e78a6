-- Both are trusted: whoever owns the database may create them.
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS unaccent;

-- Text as it is searched: without case, accents and punctuation. Apostrophes go without a trace (men's is mens), all else of
-- ASCII that is neither letter nor digit becomes a blank: the parser would take black/white for a file, and keep it whole.
CREATE FUNCTION search_text(text) RETURNS text LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $$
  SELECT translate(lower(unaccent($1)), '!"#$%&()*+,-./:;<=>?@[\]^_`{|}~''', repeat(' ', 31))
$$;

ALTER TABLE products
  ADD COLUMN search      tsvector NOT NULL DEFAULT '',  -- the words of the name, then those of the description
  ADD COLUMN search_name text NOT NULL DEFAULT '';      -- the name, for its trigrams

-- Kept by a trigger, and not as generated columns, which Postgres makes anew with each change of the row as soon as the table has
-- any trigger before updates: each sale would pay for it (docs/adr/0007).
CREATE FUNCTION index_product() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  NEW.search_name := search_text(NEW.name);
  NEW.search := setweight(to_tsvector('simple', NEW.search_name), 'A')
             || setweight(to_tsvector('simple', search_text(NEW.description)), 'B');
  RETURN NEW;
END $$;
CREATE TRIGGER products_index BEFORE INSERT OR UPDATE OF name, description ON products
  FOR EACH ROW EXECUTE FUNCTION index_product();

-- What there is already; its version stays.
ALTER TABLE products DISABLE TRIGGER products_raise_version;
UPDATE products SET name = name;
ALTER TABLE products ENABLE TRIGGER products_raise_version;

-- No index names stock, reserved, version or updated_at: what a sale changes is in none, so that its update stays within the page.
CREATE INDEX products_search ON products USING gin (search);
CREATE INDEX products_search_name ON products USING gin (search_name gin_trgm_ops);
CREATE INDEX products_price ON products (price, id) WHERE status = 'active';
CREATE INDEX products_name ON products (lower(name), id) WHERE status = 'active';
