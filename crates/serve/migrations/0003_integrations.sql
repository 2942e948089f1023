-- The list of `integrations` as clients see it; NULL of a job without any. JSON.
ALTER TABLE jobs ADD COLUMN integrations TEXT;
