-- A refund whose job died may have been made at Stripe all the same. Until somebody has it asked for again, or Stripe tells of it, its money
-- counts as on its way: nobody gives it back a second time.
ALTER TABLE refunds ADD COLUMN outcome_unknown boolean NOT NULL DEFAULT false;
