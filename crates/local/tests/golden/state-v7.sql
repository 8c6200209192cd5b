PRAGMA application_id = 1414678596;
PRAGMA user_version = 7;
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
, insight INTEGER, unread INTEGER, error TEXT) STRICT;
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
CREATE TABLE objects (
    location TEXT PRIMARY KEY,
    etag TEXT NOT NULL,
    size INTEGER NOT NULL,
    read_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE lake (
    only INTEGER PRIMARY KEY CHECK (only = 0),
    id TEXT NOT NULL,
    version INTEGER NOT NULL
) STRICT;
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
CREATE TABLE coverage (
    stream TEXT NOT NULL REFERENCES streams (id),
    covered_from INTEGER NOT NULL,
    covered_to INTEGER NOT NULL CHECK (covered_from < covered_to),
    PRIMARY KEY (stream, covered_from)
) STRICT, WITHOUT ROWID;
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
CREATE TABLE wanted (
    place INTEGER PRIMARY KEY,
    stream TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE unknown (
    subject TEXT PRIMARY KEY,
    trouble TEXT NOT NULL,
    message TEXT NOT NULL,
    since INTEGER NOT NULL,
    last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
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
CREATE TABLE digests (
    id            INTEGER PRIMARY KEY,
    key           TEXT NOT NULL,
    hash          TEXT NOT NULL,
    proven        INTEGER NOT NULL CHECK (proven IN (0, 1)),
    reason        TEXT,
    previous_key  TEXT,
    previous_hash TEXT,
    read_at       INTEGER NOT NULL, signable TEXT, fingerprint TEXT, signed INTEGER,
    UNIQUE (key, hash)
) STRICT;
CREATE INDEX digests_by_previous ON digests (previous_key, previous_hash);
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
CREATE TABLE log_failures (
    key  TEXT PRIMARY KEY,
    told INTEGER NOT NULL CHECK (told IN (0, 1))
) STRICT, WITHOUT ROWID;
CREATE INDEX digests_to_prove ON digests (key) WHERE NOT proven AND signable IS NOT NULL;
CREATE TABLE digest_signatures (
    key       TEXT NOT NULL,
    signature TEXT NOT NULL,
    PRIMARY KEY (key, signature)
) STRICT, WITHOUT ROWID;
INSERT INTO runs VALUES (1, 'ingest', 1769904000000000, 1769904060000000, 3, 21, 1, 2, 3, 4, 11, 1, 1, 0, 0, 0, 1, 5, 2, 'the disk is full');
INSERT INTO runs VALUES (2, 'collect', 1769904000000000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO suppressions VALUES ('377e834809', NULL, 'alice', NULL, NULL, 'known', NULL, 1798761600000000, 1769904000000000, 'bob', 1770249600000000, 'carol');
INSERT INTO suppressions VALUES ('76108941b6', 'user-*', NULL, '111122223333', '203.0.113.0/24', 'the migration', 1767225600000000, 1772323200000000, 1769817600000000, 'bob', NULL, NULL);
INSERT INTO alerts VALUES ('1bf4f33c8daed8b804521e990aa1d505', '00000000-0000-4000-8000-000000000003', 'root-login', 1, 1, 1767236400000000, 1, 1769904000000000, NULL, NULL, NULL, NULL, NULL, '000000000000', 'us-east-1', NULL, NULL, 'arn:aws:sts::111122223333:assumed-role/user-3/x', 'arn:aws:iam::111122223333:role/user-3', '203.0.113.9', 'aws-cli/2', 'CreateUser', 'iam.amazonaws.com', 'A Title', 'Somebody did something.', 'Look.', '["T1078.004","T1098"]', '{"eventID":"00000000-0000-4000-8000-000000000003"}');
INSERT INTO alerts VALUES ('6b76f55e0fbef28f552120cedf0b4af8', '00000000-0000-4000-8000-000000000002', 'user-created', 2, 0, 1767232800000000, 2, 1769904000000000, NULL, '76108941b6', NULL, NULL, NULL, '000000000002', 'us-east-1', 'user-2', 'session-2', 'arn:aws:sts::111122223333:assumed-role/user-2/x', 'arn:aws:iam::111122223333:role/user-2', '203.0.113.9', 'aws-cli/2', 'CreateUser', 'iam.amazonaws.com', 'A Title', 'Somebody did something.', 'Look.', '["T1078.004","T1098"]', '{"eventID":"00000000-0000-4000-8000-000000000002"}');
INSERT INTO alerts VALUES ('fd1c37cbdc1602b206dec1a70368c547', '00000000-0000-4000-8000-000000000001', 'root-login', 3, 0, 1767229200000000, 0, 1769904000000000, 1, NULL, 1769990400000000, 'carol', 'it''s fine', '000000000001', 'us-east-1', 'user-1', 'session-1', 'arn:aws:sts::111122223333:assumed-role/user-1/x', 'arn:aws:iam::111122223333:role/user-1', '203.0.113.9', 'aws-cli/2', 'CreateUser', 'iam.amazonaws.com', 'A Title', 'Somebody did something.', 'Look.', '["T1078.004","T1098"]', '{"eventID":"00000000-0000-4000-8000-000000000001"}');
INSERT INTO outbox VALUES ('1bf4f33c8daed8b804521e990aa1d505', 'mail', 'failed', 1, 1769904000000000, 'no such topic');
INSERT INTO outbox VALUES ('fd1c37cbdc1602b206dec1a70368c547', 'mail', 'pending', 0, 1769904000000000, NULL);
INSERT INTO objects VALUES ('s3://trail/AWSLogs/1.json.gz', '"e1"', 4096, 1769904000000000);
INSERT INTO lake VALUES (0, '0d4e0d34-0d4e-4d34-8d4e-0d4e0d340d4e', 7);
INSERT INTO streams VALUES ('123456789012/us-east-1/iam.amazonaws.com', 1769904000000000, 1769991300000000, 1769991000000000, 1769986800000000, 7, 9, 'access-denied', 'access denied: cloudtrail:LookupEvents is not allowed (it isn''t)', 1769991120000000, 1769991300000000, 1769994000000000, 'carol', 'too loud');
INSERT INTO coverage VALUES ('123456789012/us-east-1/iam.amazonaws.com', 1769904000000000, 1769990400000000);
INSERT INTO walks VALUES ('123456789012/us-east-1/iam.amazonaws.com', 0, 1762128001000000, 1769904001000000, 1769904000000000, 1768867201000000, 'a token', 1768003200000000, '[[1768435200000000,1768435201000000]]', 1, 2);
INSERT INTO walks VALUES ('123456789012/us-east-1/iam.amazonaws.com', 1, 1762128001000000, 1769904001000000, 1769904000000000, 1768867201000000, NULL, NULL, '[[1768435200000000,1768435201000000]]', 1, 2);
INSERT INTO wanted VALUES (0, '123456789012/us-east-1/iam.amazonaws.com');
INSERT INTO unknown VALUES ('organization', 'refused', 'organizations:ListAccounts: the service refused: not today', 1769990400000000, 1769990400000000);
INSERT INTO log_reads VALUES ('AWSLogs/111122223333/CloudTrail/us-east-1/2026/01/30/0.json.gz', 'a', '/copy/0.json.gz', '111122223333', 'us-east-1', 1769767200000000, 10, 1769904000000000);
INSERT INTO log_reads VALUES ('AWSLogs/111122223333/CloudTrail/us-east-1/2026/01/30/1.json.gz', 'b', '/copy/1.json.gz', '111122223333', 'us-east-1', 1769768400000000, 11, 1769904000000000);
INSERT INTO log_reads VALUES ('AWSLogs/111122223333/CloudTrail/us-east-1/2026/01/30/2.json.gz', '', '/copy/2.json.gz', '111122223333', 'us-east-1', 1769769600000000, 12, 1769904000000000);
INSERT INTO log_reads VALUES ('AWSLogs/111122223333/CloudTrail/us-east-1/2026/01/30/3.json.gz', 'd', '/copy/3.json.gz', '111122223333', 'us-east-1', 1769770800000000, 13, 1769904000000000);
INSERT INTO digests VALUES (1, 'AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2026/01/30/0.json.gz', 'digest 0', 1, NULL, NULL, NULL, 1769904000000000, NULL, NULL, NULL);
INSERT INTO digests VALUES (2, 'AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2026/01/30/1.json.gz', 'digest 1', 1, NULL, 'AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2026/01/30/0.json.gz', 'digest 0', 1769904000000000, NULL, NULL, NULL);
INSERT INTO digests VALUES (3, 'AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2026/01/30/2.json.gz', 'digest 2', 0, 'not signed', 'AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2026/01/30/1.json.gz', 'digest 1', 1769904000000000, '2', 'f', 1769770800000000);
INSERT INTO digests VALUES (4, 'AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2026/01/30/4.json.gz', 'digest 4', 0, 'no signature', 'AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2026/01/30/3.json.gz', 'digest 3', 1769904000000000, '4', 'f', 1769770800000000);
INSERT INTO log_names VALUES ('AWSLogs/111122223333/CloudTrail/us-east-1/2026/01/30/0.json.gz', 1, 'a', '111122223333', 'us-east-1', 1769767200000000);
INSERT INTO log_names VALUES ('AWSLogs/111122223333/CloudTrail/us-east-1/2026/01/30/1.json.gz', 1, 'x', '111122223333', 'us-east-1', 1769768400000000);
INSERT INTO log_names VALUES ('AWSLogs/111122223333/CloudTrail/us-east-1/2026/01/30/2.json.gz', 2, 'c', '111122223333', 'us-east-1', 1769769600000000);
INSERT INTO log_names VALUES ('AWSLogs/111122223333/CloudTrail/us-east-1/2026/01/30/3.json.gz', 3, 'd', '111122223333', 'us-east-1', 1769770800000000);
INSERT INTO log_names VALUES ('AWSLogs/111122223333/CloudTrail/us-east-1/2026/01/30/4.json.gz', 2, 'e', '111122223333', 'us-east-1', 1769772000000000);
INSERT INTO log_failures VALUES ('AWSLogs/111122223333/CloudTrail/us-east-1/2026/01/30/1.json.gz', 1);
INSERT INTO log_failures VALUES ('AWSLogs/111122223333/CloudTrail/us-east-1/2026/01/30/2.json.gz', 1);
INSERT INTO digest_signatures VALUES ('AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2026/01/30/3.json.gz', 'signed 3');
INSERT INTO digest_signatures VALUES ('AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2026/01/30/4.json.gz', 'signed 5');
