-- title: Users and roles that were never seen before
-- group: hunt
-- days: 7
-- limit: 100
-- param: history_days integer 90: How many days before the window a principal must have been silent to be new.
-- shown: first_seen, account_id, actor_type, principal, made_by, calls, changes, failed, first_source_ip
--
-- Users, roles and other accounts that acted for the first time: what an intruder leaves behind to come back. `made_by`
-- is who created the user or role, where that was within the window. Newest first.
--
-- Roles count whatever their sessions are called, so pipelines with a session a day are no news. A lake that does not
-- reach back before the window finds everything new. AWS services are left out. :user asks for the principal's name.
WITH calls AS (
  SELECT
    event_date,
    event_time,
    event_id,
    coalesce(actor_account_id, account_id) AS account_id,
    actor_type,
    user_name,
    CASE
      WHEN actor_type = 'AWSAccount' THEN coalesce(actor_account_id, user_name)
      WHEN actor_type = 'FederatedUser' THEN user_name
      ELSE coalesce(role_arn, actor_arn, user_name)
    END AS principal,
    read_only,
    error_code,
    source_ip,
    event_date >= CAST(:from_date AS date)
      AND (:account IS NULL OR account_id = :account)
      AND (:region IS NULL OR aws_region = :region)
      AND (:user IS NULL OR user_name = :user) AS is_asked_for
  FROM events
  WHERE event_date BETWEEN date_add('day', -:history_days, CAST(:from_date AS date)) AND CAST(:to_date AS date)
    AND actor_type IN ('IAMUser', 'Root', 'AssumedRole', 'Role', 'FederatedUser', 'AWSAccount')
    AND user_name <> 'HIDDEN_DUE_TO_SECURITY_REASONS'
    -- AWS services that act on their own or for somebody.
    AND invoked_by IS NULL
    AND coalesce(source_ip, '') NOT LIKE '%.amazonaws.com'
),
fresh_principals AS (
  -- Whoever acted before, in whatever account and region, is not new.
  SELECT account_id, principal
  FROM calls
  GROUP BY account_id, principal
  HAVING min(event_date) >= CAST(:from_date AS date)
),
fresh AS (
  SELECT
    calls.*,
    row_number() OVER (PARTITION BY calls.account_id, calls.principal ORDER BY calls.event_time, calls.event_id) AS n
  FROM fresh_principals
  JOIN calls ON calls.account_id = fresh_principals.account_id AND calls.principal = fresh_principals.principal
  WHERE calls.is_asked_for
),
makers AS (
  SELECT account_id, target, max(coalesce(session_name, user_name)) AS made_by
  FROM events
  WHERE event_date BETWEEN CAST(:from_date AS date) AND CAST(:to_date AS date)
    AND event_type = 'iam'
    AND event_name IN ('CreateUser', 'CreateRole', 'CreateServiceLinkedRole')
    AND coalesce(error_code, '') = ''
  GROUP BY account_id, target
)
SELECT
  min(fresh.event_time) AS first_seen,
  max(fresh.event_time) AS last_seen,
  fresh.account_id,
  max(fresh.actor_type) AS actor_type,
  max(fresh.user_name) AS principal,
  max(makers.made_by) AS made_by,
  count(*) AS calls,
  count(*) FILTER (WHERE fresh.read_only = false) AS changes,
  count(*) FILTER (WHERE fresh.error_code <> '') AS failed,
  max(CASE WHEN fresh.n = 1 THEN fresh.source_ip END) AS first_source_ip,
  fresh.principal AS principal_arn
FROM fresh
LEFT JOIN makers ON makers.account_id = fresh.account_id AND makers.target = fresh.user_name
GROUP BY fresh.account_id, fresh.principal
ORDER BY first_seen DESC, fresh.account_id, fresh.principal
LIMIT :limit
