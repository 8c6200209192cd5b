-- title: Use of break-glass roles and users
-- group: access
-- days: 90
-- limit: 100
-- param: pattern text 'break.?glass|emergency|fire.?call': A regular expression, in small letters, that the names of the roles and users match.
-- shown: event_date, account_id, principal, person, attempts, calls, changes, failed, first_seen, last_seen
--
-- Every day on which an emergency role or user was used, or on which somebody tried to become one: who, how often, and
-- how much was changed. Each row wants a ticket that explains it. `attempts` counts calls that asked for the role,
-- `calls` what was done in it.
--
-- Roles are known by their names alone; set `pattern` to what yours are called. For the root user see root_actions.
WITH uses AS (
  SELECT
    event_date,
    account_id,
    user_name AS principal,
    coalesce(session_name, user_name) AS person,
    0 AS attempt,
    read_only,
    error_code,
    source_ip,
    event_time
  FROM events
  WHERE event_date BETWEEN CAST(:from_date AS date) AND CAST(:to_date AS date)
    AND (:account IS NULL OR account_id = :account)
    AND (:region IS NULL OR aws_region = :region)
    AND (:user IS NULL OR user_name = :user OR session_name = :user)
    AND regexp_like(lower(user_name), :pattern)
  UNION ALL
  SELECT
    event_date,
    account_id,
    nullif(regexp_extract(target, '([^/]+)$', 1), '') AS principal,
    coalesce(session_name, user_name) AS person,
    1 AS attempt,
    read_only,
    error_code,
    source_ip,
    event_time
  FROM events
  WHERE event_date BETWEEN CAST(:from_date AS date) AND CAST(:to_date AS date)
    AND (:account IS NULL OR account_id = :account)
    AND (:region IS NULL OR aws_region = :region)
    AND (:user IS NULL OR user_name = :user OR session_name = :user)
    AND event_type = 'sts'
    AND event_name LIKE 'AssumeRole%'
    AND regexp_like(lower(target), :pattern)
)
SELECT
  event_date,
  account_id,
  principal,
  person,
  sum(attempt) AS attempts,
  count(*) FILTER (WHERE attempt = 0) AS calls,
  count(*) FILTER (WHERE attempt = 0 AND read_only = false) AS changes,
  count(*) FILTER (WHERE error_code <> '') AS failed,
  count(DISTINCT source_ip) AS source_ips,
  min(event_time) AS first_seen,
  max(event_time) AS last_seen
FROM uses
GROUP BY event_date, account_id, principal, person
ORDER BY event_date DESC, last_seen DESC, account_id, principal, person
LIMIT :limit
