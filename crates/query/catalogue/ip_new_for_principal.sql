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
    account_id,
    aws_region,
    source_ip,
    user_agent,
    read_only,
    error_code
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
known AS (
  SELECT home, principal, count(DISTINCT source_ip) AS known_ips
  FROM acts
  WHERE event_date < CAST(:from_date AS date)
  GROUP BY home, principal
),
known_pairs AS (
  SELECT DISTINCT home, principal, source_ip
  FROM acts
  WHERE event_date < CAST(:from_date AS date)
),
known_addresses AS (
  SELECT source_ip, count(*) AS principals
  FROM known_pairs
  GROUP BY source_ip
)
SELECT
  min(acts.event_time) AS first_seen,
  max(acts.event_time) AS last_seen,
  acts.principal,
  acts.source_ip,
  max(coalesce(known_addresses.principals, 0)) AS others_before,
  max(known.known_ips) AS known_ips,
  count(*) AS calls,
  count(*) FILTER (WHERE acts.read_only = false) AS changes,
  count(*) FILTER (WHERE acts.error_code <> '') AS failed,
  acts.home,
  max(acts.user_agent) AS a_user_agent
FROM acts
JOIN known
  ON known.principal = acts.principal
  AND known.home = acts.home
LEFT JOIN known_pairs
  ON known_pairs.principal = acts.principal
  AND known_pairs.home = acts.home
  AND known_pairs.source_ip = acts.source_ip
LEFT JOIN known_addresses ON known_addresses.source_ip = acts.source_ip
WHERE acts.event_date >= CAST(:from_date AS date)
  -- What is known ground does not depend on what is asked for.
  AND (:account IS NULL OR acts.account_id = :account)
  AND (:region IS NULL OR acts.aws_region = :region)
  AND (:user IS NULL OR acts.principal = :user)
  AND known_pairs.source_ip IS NULL
  AND known.known_ips <= :max_known
GROUP BY acts.home, acts.principal, acts.source_ip
ORDER BY others_before, first_seen DESC, acts.home, acts.principal, acts.source_ip
LIMIT :limit
