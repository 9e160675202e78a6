-- Tells the APIs, which keep answers about products, that an admin has made or changed one. Sales are not told: they change stock and
-- reserved only, there may be hundreds in a second, and each notification is a global lock at its commit (docs/adr/0008).
CREATE FUNCTION tell_of_products() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('products', '');
  RETURN NULL;
END $$;
CREATE TRIGGER products_tell AFTER INSERT OR UPDATE OF name, slug, description, price, status OR DELETE ON products
  FOR EACH STATEMENT EXECUTE FUNCTION tell_of_products();
