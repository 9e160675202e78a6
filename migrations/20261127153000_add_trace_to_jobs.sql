-- Which trace a job is part of, so that one search finds a whole purchase: `traceparent`, 00-TRACE-SPAN-FLAGS.
ALTER TABLE jobs ADD COLUMN trace text;
