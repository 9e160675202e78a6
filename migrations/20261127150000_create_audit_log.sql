-- What operators did: one row per act, written in the act's own transaction. An act that failed left none.
CREATE TABLE audit_log (
  id         uuid PRIMARY KEY,
  actor      text NOT NULL,
  action     text NOT NULL,                             -- a permanent name such as order.refund_requested
  object     text NOT NULL,                             -- its kind and id: order:…
  before     jsonb,                                     -- of what changed: null where nothing was there before
  after      jsonb,
  request_id text,
  created_at timestamptz NOT NULL DEFAULT now()
);
-- Newest first is by id, as everywhere.
CREATE INDEX audit_log_by_object ON audit_log (object, id DESC);
CREATE INDEX audit_log_by_actor ON audit_log (actor, id DESC);
CREATE INDEX audit_log_by_action ON audit_log (action, id DESC);
CREATE INDEX audit_log_by_time ON audit_log (created_at);

CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE ON audit_log
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
