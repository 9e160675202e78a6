-- The LOW_STOCK_THRESHOLD at which an operator was told that few are left; null: nobody was since there were more. Only the worker knows the
-- threshold, and stock goes up in many places: so the mark goes by itself. No index names it (docs/adr/0007).
ALTER TABLE products ADD COLUMN low_stock_told bigint;

CREATE FUNCTION forget_low_stock() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.low_stock_told := NULL;
  RETURN NEW;
END $$;
CREATE TRIGGER products_forget_low_stock BEFORE UPDATE OF stock ON products
  FOR EACH ROW WHEN (NEW.stock > OLD.low_stock_told) EXECUTE FUNCTION forget_low_stock();
