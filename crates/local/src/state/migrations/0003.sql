-- Streams of the event history: `account/region/source`.
CREATE TABLE streams (
    id TEXT PRIMARY KEY,
    -- When it was first asked for; null for one that was only paused.
    since INTEGER,
    last_run INTEGER,
    last_success INTEGER,
    last_event INTEGER,
    events INTEGER NOT NULL DEFAULT 0,
    calls INTEGER NOT NULL DEFAULT 0,
    -- Why it cannot be read: all four or none.
    trouble TEXT,
    trouble_message TEXT,
    trouble_since INTEGER,
    trouble_last INTEGER,
    -- That somebody paused it: all three or none.
    paused_at INTEGER,
    paused_by TEXT,
    paused_reason TEXT
) STRICT, WITHOUT ROWID;

-- What of a stream was read and committed: half-open, apart from each other.
CREATE TABLE coverage (
    stream TEXT NOT NULL REFERENCES streams (id),
    covered_from INTEGER NOT NULL,
    covered_to INTEGER NOT NULL CHECK (covered_from < covered_to),
    PRIMARY KEY (stream, covered_from)
) STRICT, WITHOUT ROWID;

-- Walks that have not come to their end, in the order they were begun.
CREATE TABLE walks (
    stream TEXT NOT NULL REFERENCES streams (id),
    place INTEGER NOT NULL,
    window_from INTEGER NOT NULL,
    window_to INTEGER NOT NULL,
    begun INTEGER NOT NULL,
    asked_to INTEGER NOT NULL,
    token TEXT,
    reached INTEGER,
    -- Seconds passed over: a JSON array of pairs.
    missed TEXT NOT NULL,
    tries INTEGER NOT NULL,
    empty INTEGER NOT NULL,
    PRIMARY KEY (stream, place)
) STRICT, WITHOUT ROWID;
