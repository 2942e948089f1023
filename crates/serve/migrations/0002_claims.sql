-- Who works on a job, and until when nobody else may: on one database there may be several workers.
ALTER TABLE jobs ADD COLUMN claim TEXT;
ALTER TABLE jobs ADD COLUMN claimed_until INTEGER;
-- Where the base of `model` lies, for workers that know no names; NULL of a fine-tuned model.
ALTER TABLE jobs ADD COLUMN base TEXT;

-- The one data folder that has the files of these rows, by the name that it has in itself.
CREATE TABLE folder (
    place INTEGER PRIMARY KEY CHECK (place = 1),
    name  TEXT NOT NULL
);
