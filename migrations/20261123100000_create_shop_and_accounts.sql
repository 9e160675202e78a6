CREATE EXTENSION IF NOT EXISTS citext;

-- One row, written when the first migration has run. A process whose STORE_CURRENCY differs refuses to start.
CREATE TABLE shop (
  only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  currency   text NOT NULL CHECK (currency ~ '^[a-z]{3}$'),
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE users (
  id            uuid PRIMARY KEY,
  email         citext NOT NULL UNIQUE,
  password_hash text NOT NULL,
  name          text,
  role          text NOT NULL DEFAULT 'customer' CHECK (role IN ('customer', 'admin')),
  token_version integer NOT NULL DEFAULT 1,             -- raised to end every session of the user
  created_at    timestamptz NOT NULL DEFAULT now(),
  updated_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE refresh_tokens (
  id         uuid PRIMARY KEY,
  user_id    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  family     uuid NOT NULL,                             -- all tokens that came from one login
  token_hash bytea NOT NULL UNIQUE,                     -- SHA-256: the token itself is random enough
  expires_at timestamptz NOT NULL,
  used_at    timestamptz,
  revoked_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX refresh_tokens_by_user ON refresh_tokens (user_id);
CREATE INDEX refresh_tokens_by_family ON refresh_tokens (family);

-- Inserting the key is the lock: a second request with it waits for the first one's transaction.
CREATE TABLE idempotency_keys (
  user_id      uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  endpoint     text NOT NULL,                           -- method and path
  key          text NOT NULL CHECK (length(key) <= 255),
  request_hash bytea NOT NULL,
  resource_id  uuid,                                    -- null only while the request that made the row runs
  expires_at   timestamptz NOT NULL,
  created_at   timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, endpoint, key)
);
CREATE INDEX idempotency_keys_by_expiry ON idempotency_keys (expires_at);
