-- Times are microseconds since 1970-01-01T00:00:00Z.

CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    command TEXT NOT NULL,
    started INTEGER NOT NULL,
    -- All of the following are null until the run has ended.
    ended INTEGER,
    exit_code INTEGER,
    read INTEGER,
    stored INTEGER,
    duplicate INTEGER,
    variant INTEGER,
    filtered INTEGER,
    rejected INTEGER,
    critical INTEGER,
    high INTEGER,
    medium INTEGER,
    low INTEGER,
    informational INTEGER,
    suppressed INTEGER
) STRICT;

CREATE TABLE suppressions (
    id TEXT PRIMARY KEY,
    detection TEXT,
    principal TEXT,
    account TEXT,
    source_ip TEXT,
    reason TEXT NOT NULL,
    covers_from INTEGER,
    covers_until INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    removed_at INTEGER,
    removed_by TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE alerts (
    -- 32 hexadecimal digits of the SHA-256 of event_id, a zero byte and detection.
    id TEXT PRIMARY KEY,
    event_id TEXT NOT NULL,
    detection TEXT NOT NULL,
    -- From 0, informational, to 4, critical.
    severity INTEGER NOT NULL CHECK (severity BETWEEN 0 AND 4),
    attempted INTEGER NOT NULL CHECK (attempted IN (0, 1)),
    event_time INTEGER NOT NULL,
    -- 0 live, 1 late, 2 backfill.
    arrival INTEGER NOT NULL CHECK (arrival BETWEEN 0 AND 2),
    first_seen INTEGER NOT NULL,
    run INTEGER REFERENCES runs (id),
    suppressed_by TEXT REFERENCES suppressions (id),
    acknowledged_at INTEGER,
    acknowledged_by TEXT,
    acknowledged_note TEXT,
    account TEXT,
    region TEXT,
    user TEXT,
    session TEXT,
    actor_arn TEXT,
    role_arn TEXT,
    source_ip TEXT,
    user_agent TEXT,
    event_name TEXT,
    event_source TEXT,
    title TEXT NOT NULL,
    summary TEXT NOT NULL,
    action_required TEXT NOT NULL,
    -- A JSON array of strings.
    techniques TEXT NOT NULL,
    -- Last, because it is long: reading the others does not touch its pages.
    record TEXT NOT NULL
) STRICT;

CREATE INDEX alerts_by_time ON alerts (event_time DESC, id);
CREATE INDEX alerts_by_event ON alerts (event_id);
CREATE INDEX alerts_by_run ON alerts (run);

CREATE TABLE outbox (
    alert TEXT NOT NULL REFERENCES alerts (id),
    channel TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'sent', 'failed')),
    attempts INTEGER NOT NULL,
    -- When it is due, was sent, or was given up.
    at INTEGER NOT NULL,
    error TEXT,
    PRIMARY KEY (alert, channel)
) STRICT, WITHOUT ROWID;

CREATE INDEX outbox_by_state ON outbox (state, at);

-- The version of each object of a bucket that was read last.
CREATE TABLE objects (
    location TEXT PRIMARY KEY,
    etag TEXT NOT NULL,
    size INTEGER NOT NULL,
    read_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The lake that the objects were read into: one row.
CREATE TABLE lake (
    only INTEGER PRIMARY KEY CHECK (only = 0),
    id TEXT NOT NULL,
    version INTEGER NOT NULL
) STRICT;
