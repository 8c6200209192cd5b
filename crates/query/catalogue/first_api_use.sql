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
    event_source,
    event_name,
    error_code,
    source_ip,
    event_date >= CAST(:from_date AS date)
      AND (:account IS NULL OR account_id = :account)
      AND (:region IS NULL OR aws_region = :region)
      AND (:user IS NULL OR CASE
        WHEN role_arn LIKE '%:role/aws-reserved/sso.amazonaws.com/%' THEN coalesce(session_name, user_name)
        ELSE user_name
      END = :user) AS is_asked_for
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
uses AS (
  -- Every action of a principal: before the window, and in it.
  SELECT
    home,
    principal,
    event_source,
    event_name,
    count(*) FILTER (WHERE event_date < CAST(:from_date AS date)) AS before,
    count(*) FILTER (WHERE is_asked_for) AS uses,
    min(event_time) FILTER (WHERE is_asked_for) AS first_use,
    count(*) FILTER (WHERE is_asked_for AND error_code <> '') AS failed,
    count(DISTINCT source_ip) FILTER (WHERE is_asked_for) AS source_ips,
    max(error_code) FILTER (WHERE is_asked_for) AS an_error
  FROM calls
  GROUP BY home, principal, event_source, event_name
),
compared AS (
  SELECT
    uses.*,
    count(CASE WHEN before > 0 THEN 1 END) OVER (PARTITION BY event_source, event_name) AS others_before
  FROM uses
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
)
SELECT
  compared.first_use,
  compared.principal,
  compared.event_source,
  compared.event_name,
  compared.others_before,
  compared.uses,
  compared.failed,
  compared.source_ips,
  compared.home,
  compared.an_error
FROM compared
JOIN principals_before
  ON principals_before.home = compared.home
  AND principals_before.principal = compared.principal
WHERE compared.before = 0
  AND compared.uses > 0
ORDER BY others_before, first_use DESC, compared.home, compared.principal, compared.event_source, compared.event_name
LIMIT :limit
