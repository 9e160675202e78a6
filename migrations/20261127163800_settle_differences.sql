-- A difference that was left is asked about until the books agree, or somebody says that it is nothing of the shop's.
ALTER TABLE reconciliation_differences
  ADD COLUMN settled_at timestamptz,
  ADD COLUMN dismissed boolean NOT NULL DEFAULT false;
CREATE INDEX reconciliation_differences_left ON reconciliation_differences (id) WHERE outcome = 'left' AND settled_at IS NULL;
CREATE INDEX reconciliation_differences_of_object ON reconciliation_differences (stripe_object_id);
