-- no-transaction
-- For the administrators' list of mails.
CREATE INDEX CONCURRENTLY IF NOT EXISTS emails_by_kind ON emails (kind, id);
