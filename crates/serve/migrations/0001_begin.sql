-- Everything the server remembers. `place` is the order of insertion: it breaks ties of rows made in the same second.
CREATE TABLE files (
    place          INTEGER PRIMARY KEY AUTOINCREMENT,
    id             TEXT NOT NULL UNIQUE,
    purpose        TEXT NOT NULL,
    filename       TEXT NOT NULL,
    bytes          INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    expires_at     INTEGER,
    status         TEXT NOT NULL,
    status_details TEXT
);

CREATE TABLE jobs (
    place           INTEGER PRIMARY KEY AUTOINCREMENT,
    id              TEXT NOT NULL UNIQUE,
    status          TEXT NOT NULL,
    -- The name of the base or of the fine-tuned model that training begins with.
    model           TEXT NOT NULL,
    -- The name that the model will have.
    tuned_name      TEXT NOT NULL,
    training_file   TEXT NOT NULL,
    validation_file TEXT,
    suffix          TEXT,
    seed            INTEGER NOT NULL,
    -- NULL is `auto`, until the files are validated.
    n_epochs        INTEGER,
    batch_size      INTEGER,
    learning_rate_multiplier REAL,
    -- JSON.
    metadata        TEXT,
    created_at      INTEGER NOT NULL,
    started_at      INTEGER,
    finished_at     INTEGER,
    estimated_finish INTEGER,
    trained_tokens  INTEGER,
    -- The step whose weights are the model, once it is trained.
    final_step      INTEGER,
    result_file     TEXT,
    -- `{code, message, param}` of a job that failed. JSON.
    error           TEXT
);
CREATE INDEX jobs_by_status ON jobs (status);

CREATE TABLE events (
    place      INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT NOT NULL UNIQUE,
    job        TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    level      TEXT NOT NULL,
    message    TEXT NOT NULL,
    -- JSON; NULL is `null`.
    data       TEXT,
    -- The optimiser step that an event is about, whose type is then `metrics`.
    step       INTEGER
);
CREATE INDEX events_by_job ON events (job, place);
CREATE UNIQUE INDEX events_by_step ON events (job, step) WHERE step IS NOT NULL;

CREATE TABLE checkpoints (
    place      INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT NOT NULL UNIQUE,
    job        TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    model      TEXT NOT NULL,
    step       INTEGER NOT NULL,
    metrics    TEXT NOT NULL
);
CREATE INDEX checkpoints_by_job ON checkpoints (job, step);

CREATE TABLE models (
    place      INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    job        TEXT NOT NULL,
    -- Below the data folder.
    folder     TEXT NOT NULL
);

CREATE TABLE keys (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    hash       BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
);
