-- no-transaction
-- The beginning of an e-mail, whatever the collation.
CREATE INDEX CONCURRENTLY IF NOT EXISTS users_by_email_beginning ON users (lower(email::text) text_pattern_ops);
