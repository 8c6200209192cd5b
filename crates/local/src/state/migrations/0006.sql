-- What is known of log files, by their keys from AWSLogs/ on: rows are added and never replaced, so that what follows from
-- them does not depend on the order in which they came.

-- Log files as they were read. The hash is empty where the file is not one sound gzip member.
CREATE TABLE log_reads (
    key       TEXT NOT NULL,
    hash      TEXT NOT NULL,
    name      TEXT NOT NULL,
    account   TEXT NOT NULL,
    region    TEXT NOT NULL,
    delivered INTEGER,
    records   INTEGER NOT NULL,
    read_at   INTEGER NOT NULL,
    PRIMARY KEY (key, hash)
) STRICT, WITHOUT ROWID;

-- Digests as they were read. One proves something if CloudTrail signed it, or if one that does names its key and its hash.
CREATE TABLE digests (
    id            INTEGER PRIMARY KEY,
    key           TEXT NOT NULL,
    hash          TEXT NOT NULL,
    proven        INTEGER NOT NULL CHECK (proven IN (0, 1)),
    reason        TEXT,
    previous_key  TEXT,
    previous_hash TEXT,
    read_at       INTEGER NOT NULL,
    UNIQUE (key, hash)
) STRICT;

CREATE INDEX digests_by_previous ON digests (previous_key, previous_hash);

-- The log files that digests name. The hash is empty where the digest gives none.
CREATE TABLE log_names (
    key       TEXT NOT NULL,
    digest    INTEGER NOT NULL REFERENCES digests (id),
    hash      TEXT NOT NULL,
    account   TEXT NOT NULL,
    region    TEXT NOT NULL,
    delivered INTEGER,
    PRIMARY KEY (key, digest, hash)
) STRICT, WITHOUT ROWID;

CREATE INDEX log_names_by_digest ON log_names (digest);

-- Log files that stand failed, and whether the ledger has their alerts.
CREATE TABLE log_failures (
    key  TEXT PRIMARY KEY,
    told INTEGER NOT NULL CHECK (told IN (0, 1))
) STRICT, WITHOUT ROWID;
