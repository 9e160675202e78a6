-- no-transaction
-- The beginning of a name, whatever the collation.
CREATE INDEX CONCURRENTLY IF NOT EXISTS users_name_beginnings ON users (lower(name) text_pattern_ops);
