-- title: Addresses that a principal never came from before
-- group: hunt
-- days: 7
-- limit: 100
-- param: history_days integer 90: How many days before the window are known ground.
-- param: max_known integer 5: Principals with more known addresses than this are wanderers and left out.
-- shown: first_seen, principal, source_ip, others_before, known_ips, calls, changes, failed, home
--
-- Principals that always came from the same few places and now come from another: the first sign of a stolen key.
-- `others_before` counts who else used the address in the history; 0 is an address that nobody of yours ever used, and
-- those rows come first.
--
-- Left out are principals without history (see new_principals), those that change addresses all the time, and AWS
-- services. A person of Identity Center is one principal in all roles and accounts; another role is one in its account
-- (`home`), whatever its sessions are called.
WITH acts AS (
  SELECT
    event_date,
    event_time,
    event_id,
    CASE
      WHEN role_arn LIKE '%:role/aws-reserved/sso.amazonaws.com/%' THEN 'Identity Center'
      ELSE coalesce(actor_account_id, account_id)
    END AS home,
    CASE
      WHEN role_arn LIKE '%:role/aws-reserved/sso.amazonaws.com/%' THEN coalesce(session_name, user_name)
      ELSE user_name
    END AS principal,
    source_ip,
    user_agent,
    read_only,
    error_code,
    event_date >= CAST(:from_date AS date)
      AND (:account IS NULL OR account_id = :account)
      AND (:region IS NULL OR aws_region = :region)
      AND (:user IS NULL OR CASE
        WHEN role_arn LIKE '%:role/aws-reserved/sso.amazonaws.com/%' THEN coalesce(session_name, user_name)
        ELSE user_name
      END = :user) AS is_asked_for
  FROM events
  WHERE event_date BETWEEN date_add('day', -:history_days, CAST(:from_date AS date)) AND CAST(:to_date AS date)
    AND source_ip IS NOT NULL
    AND actor_type IN ('IAMUser', 'Root', 'AssumedRole', 'FederatedUser')
    -- AWS services that act on their own or for somebody.
    AND invoked_by IS NULL
    AND coalesce(source_ip, '') NOT LIKE '%.amazonaws.com'
    AND source_ip <> 'AWS Internal'
    -- A sign-in that failed proves nobody's presence.
    AND NOT (event_type = 'signin' AND coalesce(error_message, '') <> '')
),
uses AS (
  -- Every address of a principal: before the window, and in it. Known ground does not depend on what is asked for.
  SELECT
    home,
    principal,
    source_ip,
    count(*) FILTER (WHERE event_date < CAST(:from_date AS date)) AS before,
    count(*) FILTER (WHERE is_asked_for) AS calls,
    min(event_time) FILTER (WHERE is_asked_for) AS first_seen,
    max(event_time) FILTER (WHERE is_asked_for) AS last_seen,
    count(*) FILTER (WHERE is_asked_for AND read_only = false) AS changes,
    count(*) FILTER (WHERE is_asked_for AND error_code <> '') AS failed,
    max(user_agent) FILTER (WHERE is_asked_for) AS a_user_agent
  FROM acts
  WHERE home IS NOT NULL
    AND principal IS NOT NULL
  GROUP BY home, principal, source_ip
),
compared AS (
  SELECT
    uses.*,
    count(CASE WHEN before > 0 THEN 1 END) OVER (PARTITION BY home, principal) AS known_ips,
    count(CASE WHEN before > 0 THEN 1 END) OVER (PARTITION BY source_ip) AS others_before
  FROM uses
)
SELECT
  first_seen,
  last_seen,
  principal,
  source_ip,
  others_before,
  known_ips,
  calls,
  changes,
  failed,
  home,
  a_user_agent
FROM compared
WHERE before = 0
  AND calls > 0
  AND known_ips BETWEEN 1 AND :max_known
ORDER BY others_before, first_seen DESC, home, principal, source_ip
LIMIT :limit
