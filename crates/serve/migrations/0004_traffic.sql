-- What classifiers answered, where the server keeps a record of it.
CREATE TABLE answers (
    place      INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The id that the client was told, and the number of the text in its request.
    id         TEXT NOT NULL,
    number     INTEGER NOT NULL,
    model      TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    -- NULL where texts are not kept.
    text       TEXT,
    -- Of the text, by a key that lies in the data folder.
    hash       TEXT NOT NULL,
    -- In words.
    length     INTEGER NOT NULL,
    predicted  TEXT NOT NULL,
    confidence REAL NOT NULL,
    -- How far the most probable class is ahead of the next.
    margin     REAL NOT NULL,
    -- 1 or 0 whether the text was left to a person; NULL where the model leaves none.
    abstained  INTEGER,
    -- The right class, where somebody has said it.
    label      TEXT
);
CREATE UNIQUE INDEX answers_by_id ON answers (id, number);
CREATE INDEX answers_by_model ON answers (model, place);
