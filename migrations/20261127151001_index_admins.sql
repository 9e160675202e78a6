-- no-transaction
-- What administrators list, the newest first: ids are UUIDv7, so that their order is that of time. Each filter has an index that a page
-- can be read from; where two are asked for at once, the one that leaves less is read.
CREATE INDEX CONCURRENTLY IF NOT EXISTS users_admins ON users (id) WHERE role = 'admin';
