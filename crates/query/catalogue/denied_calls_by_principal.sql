-- title: Who is denied what
-- group: hunt
-- days: 7
-- limit: 100
-- shown: principal, account_id, worst_hour, denied_actions, denied_calls, denied_pct, services, source_ips, first_denied, last_denied
--
-- Principals by how many different actions they were denied, in their worst hour and in all. Somebody who feels out
-- what a stolen key may do is denied many actions within an hour; a broken job is denied the same few all week, and
-- stands further down. `denied_pct` is the share of all their calls.
--
-- A person of Identity Center is one principal in all roles; another role is one, whatever its sessions are called.
-- Failures other than missing permission do not count, and neither do AWS services.
WITH calls AS (
  SELECT
    account_id,
    CASE
      WHEN role_arn LIKE '%:role/aws-reserved/sso.amazonaws.com/%' THEN coalesce(session_name, user_name)
      ELSE user_name
    END AS principal,
    actor_type,
    event_time,
    event_source,
    event_name,
    source_ip,
    error_code,
    CASE
      WHEN regexp_like(error_code, 'AccessDenied|Unauthorized|NotAuthorized|AuthorizationError|Forbidden|AuthFailure')
      THEN true
      ELSE false
    END AS denied
  FROM events
  WHERE event_date BETWEEN CAST(:from_date AS date) AND CAST(:to_date AS date)
    AND (:account IS NULL OR account_id = :account)
    AND (:region IS NULL OR aws_region = :region)
    AND (:user IS NULL OR user_name = :user OR session_name = :user)
    -- AWS services that act on their own or for somebody.
    AND invoked_by IS NULL
    AND coalesce(source_ip, '') NOT LIKE '%.amazonaws.com'
),
hours AS (
  SELECT
    principal,
    account_id,
    date_trunc('hour', event_time) AS hour_start,
    count(DISTINCT event_source || ' ' || event_name) AS denied_actions
  FROM calls
  WHERE denied
  GROUP BY principal, account_id, date_trunc('hour', event_time)
),
worst AS (
  SELECT principal, account_id, max(denied_actions) AS worst_hour
  FROM hours
  GROUP BY principal, account_id
)
SELECT
  calls.principal,
  calls.account_id,
  max(worst.worst_hour) AS worst_hour,
  count(DISTINCT CASE WHEN denied THEN event_source || ' ' || event_name END) AS denied_actions,
  count(*) FILTER (WHERE denied) AS denied_calls,
  round(100.0 * CAST(count(*) FILTER (WHERE denied) AS double) / CAST(count(*) AS double), 2) AS denied_pct,
  count(DISTINCT CASE WHEN denied THEN event_source END) AS services,
  count(DISTINCT CASE WHEN denied THEN source_ip END) AS source_ips,
  min(CASE WHEN denied THEN event_time END) AS first_denied,
  max(CASE WHEN denied THEN event_time END) AS last_denied,
  max(actor_type) AS actor_type
FROM calls
JOIN worst ON worst.principal = calls.principal AND worst.account_id = calls.account_id
GROUP BY calls.principal, calls.account_id
ORDER BY worst_hour DESC, denied_actions DESC, first_denied DESC, calls.principal, calls.account_id
LIMIT :limit
