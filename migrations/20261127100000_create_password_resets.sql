-- Asked-for changes of a forgotten password. The mailed token is the id and its HMAC under JWT_SECRET: nothing secret is here.
CREATE TABLE password_resets (
  id         uuid PRIMARY KEY,
  user_id    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  expires_at timestamptz NOT NULL,
  used_at    timestamptz,                               -- by its token, or because the user's sessions were ended
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX password_resets_by_user ON password_resets (user_id);

-- What pruning removes.
CREATE INDEX password_resets_by_expiry ON password_resets (expires_at);
CREATE INDEX refresh_tokens_by_expiry ON refresh_tokens (expires_at);
