-- no-transaction
-- For the administrators' list of mails.
CREATE INDEX CONCURRENTLY IF NOT EXISTS emails_by_status ON emails (status, kind, id);
