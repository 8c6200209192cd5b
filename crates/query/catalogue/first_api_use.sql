-- title: Actions that a principal never took before
-- group: hunt
-- days: 7
-- limit: 100
-- param: history_days integer 90: How many days before the window count as habit.
-- param: reads text 'exclude': Calls that only read: exclude, or include.
-- shown: first_use, principal, event_source, event_name, others_before, uses, failed, source_ips, home
--
-- Known principals that did something they had not done in the history. First come the actions that nobody of the
-- whole organisation had taken before (`others_before` is 0), the newest of them first: stopping a trail, opening a
-- role. What many do every day is on the last rows.
--
-- Reading is left out unless asked for, but for reads that tell too much (secrets, parameters, the whole authorisation
-- state). A person of Identity Center is one principal in all roles and accounts; another role is one in its account
-- (`home`), whatever its sessions are called. Left out are principals without history (see new_principals) and AWS
-- services.
WITH calls AS (
  SELECT
    event_date,
    event_time,
    CASE
      WHEN role_arn LIKE '%:role/aws-reserved/sso.amazonaws.com/%' THEN 'Identity Center'
      ELSE coalesce(actor_account_id, account_id)
    END AS home,
    CASE
      WHEN role_arn LIKE '%:role/aws-reserved/sso.amazonaws.com/%' THEN coalesce(session_name, user_name)
      ELSE user_name
    END AS principal,
    account_id,
    aws_region,
    event_source,
    event_name,
    error_code,
    source_ip
  FROM events
  WHERE event_date BETWEEN date_add('day', -:history_days, CAST(:from_date AS date)) AND CAST(:to_date AS date)
    AND actor_type IN ('IAMUser', 'Root', 'AssumedRole', 'FederatedUser')
    AND (:reads = 'include'
      OR coalesce(read_only, false) = false
      OR event_name IN (
        'GetSecretValue', 'BatchGetSecretValue', 'GetParameter', 'GetParameters', 'GetParametersByPath',
        'GetAccountAuthorizationDetails', 'GetCredentialReport', 'GetPasswordData', 'GetFederationToken'))
    -- AWS services that act on their own or for somebody.
    AND invoked_by IS NULL
    AND coalesce(source_ip, '') NOT LIKE '%.amazonaws.com'
),
earlier AS (
  SELECT home, principal, event_source, event_name
  FROM calls
  WHERE event_date < CAST(:from_date AS date)
  GROUP BY home, principal, event_source, event_name
),
principals_before AS (
  -- Whoever did anything at all, reading included.
  SELECT DISTINCT
    CASE
      WHEN role_arn LIKE '%:role/aws-reserved/sso.amazonaws.com/%' THEN 'Identity Center'
      ELSE coalesce(actor_account_id, account_id)
    END AS home,
    CASE
      WHEN role_arn LIKE '%:role/aws-reserved/sso.amazonaws.com/%' THEN coalesce(session_name, user_name)
      ELSE user_name
    END AS principal
  FROM events
  WHERE event_date >= date_add('day', -:history_days, CAST(:from_date AS date))
    AND event_date < CAST(:from_date AS date)
),
actions_before AS (
  SELECT event_source, event_name, count(*) AS principals
  FROM earlier
  GROUP BY event_source, event_name
)
SELECT
  min(calls.event_time) AS first_use,
  calls.principal,
  calls.event_source,
  calls.event_name,
  max(coalesce(actions_before.principals, 0)) AS others_before,
  count(*) AS uses,
  count(*) FILTER (WHERE calls.error_code <> '') AS failed,
  count(DISTINCT calls.source_ip) AS source_ips,
  calls.home,
  max(calls.error_code) AS an_error
FROM calls
JOIN principals_before
  ON principals_before.home = calls.home
  AND principals_before.principal = calls.principal
LEFT JOIN earlier
  ON earlier.home = calls.home
  AND earlier.principal = calls.principal
  AND earlier.event_source = calls.event_source
  AND earlier.event_name = calls.event_name
LEFT JOIN actions_before
  ON actions_before.event_source = calls.event_source
  AND actions_before.event_name = calls.event_name
WHERE calls.event_date >= CAST(:from_date AS date)
  AND (:account IS NULL OR calls.account_id = :account)
  AND (:region IS NULL OR calls.aws_region = :region)
  AND (:user IS NULL OR calls.principal = :user)
  AND earlier.principal IS NULL
GROUP BY calls.home, calls.principal, calls.event_source, calls.event_name
ORDER BY others_before, first_use DESC, calls.home, calls.principal, calls.event_source, calls.event_name
LIMIT :limit
