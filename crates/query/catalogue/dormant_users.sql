-- title: Principals that woke up after a long silence
-- group: hunt
-- days: 14
-- limit: 100
-- param: idle_days integer 30: How many days of silence make a principal dormant.
-- param: history_days integer 180: How far before the window to look for the last sign of life.
-- shown: woke_on, principal, home, actor_type, last_before, idle_days, calls, changes, failed, first_source_ip
--
-- Users and roles that did nothing for a month or more and then acted again: keys of people who left, and jobs that
-- somebody else found. The longest silence first; the figures are those of the day of waking.
--
-- A silence is only seen where the lake reaches back further than it lasted. A person of Identity Center is one
-- principal in all roles and accounts; another role is one in its account (`home`), whatever its sessions are called.
-- AWS services are left out.
WITH calls AS (
  SELECT
    event_date,
    event_time,
    event_id,
    CASE
      WHEN role_arn LIKE '%:role/aws-reserved/sso.amazonaws.com/%' THEN 'Identity Center'
      ELSE coalesce(actor_account_id, account_id)
    END AS home,
    account_id,
    aws_region,
    CASE
      WHEN role_arn LIKE '%:role/aws-reserved/sso.amazonaws.com/%' THEN coalesce(session_name, user_name)
      ELSE user_name
    END AS principal,
    actor_type,
    read_only,
    error_code,
    source_ip
  FROM events
  WHERE event_date BETWEEN date_add('day', -:history_days, CAST(:from_date AS date)) AND CAST(:to_date AS date)
    AND actor_type IN ('IAMUser', 'Root', 'AssumedRole', 'FederatedUser')
    -- AWS services that act on their own or for somebody.
    AND invoked_by IS NULL
    AND coalesce(source_ip, '') NOT LIKE '%.amazonaws.com'
),
days AS (
  SELECT
    home,
    principal,
    event_date,
    lag(event_date) OVER (PARTITION BY home, principal ORDER BY event_date) AS last_before
  FROM (SELECT DISTINCT home, principal, event_date FROM calls) AS active
),
woken AS (
  SELECT home, principal, event_date, last_before
  FROM days
  WHERE event_date >= CAST(:from_date AS date)
    AND last_before IS NOT NULL
    AND date_diff('day', last_before, event_date) >= :idle_days
),
ranked AS (
  SELECT
    woken.last_before,
    calls.*,
    row_number() OVER (
      PARTITION BY calls.home, calls.principal, calls.event_date ORDER BY calls.event_time, calls.event_id
    ) AS n
  FROM woken
  JOIN calls
    ON calls.home = woken.home
    AND calls.principal = woken.principal
    AND calls.event_date = woken.event_date
  WHERE (:account IS NULL OR calls.account_id = :account)
    AND (:region IS NULL OR calls.aws_region = :region)
    AND (:user IS NULL OR calls.principal = :user)
)
SELECT
  event_date AS woke_on,
  principal,
  home,
  max(actor_type) AS actor_type,
  last_before,
  date_diff('day', last_before, event_date) AS idle_days,
  count(*) AS calls,
  count(*) FILTER (WHERE read_only = false) AS changes,
  count(*) FILTER (WHERE error_code <> '') AS failed,
  min(event_time) AS first_call,
  max(CASE WHEN n = 1 THEN source_ip END) AS first_source_ip
FROM ranked
GROUP BY event_date, principal, home, last_before
ORDER BY idle_days DESC, woke_on DESC, principal, home
LIMIT :limit
