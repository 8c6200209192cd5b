-- title: Regions used for the first time
-- group: hunt
-- days: 7
-- limit: 100
-- param: history_days integer 90: How many days before the window a region must have been unused to be new.
-- shown: first_seen, account_id, aws_region, changes, calls, failed, principals, first_principal, first_action, first_source_ip
--
-- Accounts that act in a region where they had not acted before: where miners and hoarders of GPUs go, because nobody
-- looks there. Those with changes come first. Tools that list every region show with reads alone.
--
-- Calls of AWS services are left out; so are sign-ins, which land in the region that serves them.
WITH calls AS (
  SELECT
    event_date,
    event_time,
    event_id,
    account_id,
    aws_region,
    coalesce(session_name, user_name) AS who,
    user_name,
    session_name,
    event_name,
    source_ip,
    read_only,
    error_code
  FROM events
  WHERE event_date BETWEEN date_add('day', -:history_days, CAST(:from_date AS date)) AND CAST(:to_date AS date)
    AND (:account IS NULL OR account_id = :account)
    AND (:region IS NULL OR aws_region = :region)
    AND event_type <> 'signin'
    AND aws_region IS NOT NULL
    -- AWS services that act on their own or for somebody.
    AND invoked_by IS NULL
    AND coalesce(source_ip, '') NOT LIKE '%.amazonaws.com'
),
fresh_regions AS (
  SELECT account_id, aws_region
  FROM calls
  GROUP BY account_id, aws_region
  HAVING min(event_date) >= CAST(:from_date AS date)
),
fresh AS (
  SELECT
    calls.*,
    row_number() OVER (PARTITION BY calls.account_id, calls.aws_region ORDER BY calls.event_time, calls.event_id) AS n
  FROM fresh_regions
  JOIN calls ON calls.account_id = fresh_regions.account_id AND calls.aws_region = fresh_regions.aws_region
  WHERE calls.event_date >= CAST(:from_date AS date)
    AND (:user IS NULL OR calls.user_name = :user OR calls.session_name = :user)
)
SELECT
  min(event_time) AS first_seen,
  max(event_time) AS last_seen,
  account_id,
  aws_region,
  count(*) FILTER (WHERE read_only = false) AS changes,
  count(*) AS calls,
  count(*) FILTER (WHERE error_code <> '') AS failed,
  count(DISTINCT who) AS principals,
  max(CASE WHEN n = 1 THEN who END) AS first_principal,
  max(CASE WHEN n = 1 THEN event_name END) AS first_action,
  max(CASE WHEN n = 1 THEN source_ip END) AS first_source_ip
FROM fresh
GROUP BY account_id, aws_region
ORDER BY changes DESC, calls DESC, account_id, aws_region
LIMIT :limit
