-- title: What happens in Identity Center
-- group: classic
-- days: 30
-- limit: 20
-- param: failed text 'include': Failed calls: include, exclude or only.
--
-- The calls of Identity Center by name, the most frequent first, with how many people made them and how much failed.
-- ADMINISTRATIVE are changes of who may do what (permission sets, assignments, users, groups, the instance itself),
-- APPLICATION_MGMT changes of applications, OPERATIONAL is daily life: portals opened, tokens taken, lists read.
--
-- The classic query looked at the service sso alone; here sso-directory, identitystore and sso-oauth count as well.
-- Failed calls are in `error_count`; failed='exclude' drops them.
SELECT
  event_name,
  count(*) AS event_count,
  count(DISTINCT coalesce(session_name, user_name)) AS unique_users,
  count(*) FILTER (WHERE error_code <> '') AS error_count,
  round(
    100.0 * CAST(count(*) FILTER (WHERE error_code <> '') AS double) / CAST(count(*) AS double), 2
  ) AS error_rate_pct,
  CASE
    -- What every sign-in of a device or a tool makes changes nothing for anybody else.
    WHEN regexp_like(event_name, '^(CreateToken|RegisterClient|StartDeviceAuthorization)') THEN 'OPERATIONAL'
    WHEN NOT regexp_like(event_name,
      '^(Add|Associate|Attach|Create|Delete|Detach|Disable|Disassociate|Enable|Put|Provision|Register|Remove'
      || '|Set|Start|Update)')
    THEN 'OPERATIONAL'
    WHEN event_name LIKE '%Application%' THEN 'APPLICATION_MGMT'
    ELSE 'ADMINISTRATIVE'
  END AS activity_category
FROM iam_events
WHERE event_date BETWEEN :from_date AND :to_date
  AND (:account IS NULL OR account_id = :account)
  AND (:region IS NULL OR aws_region = :region)
  AND (:user IS NULL OR user_name = :user OR session_name = :user)
  AND event_type = 'sso'
  AND (:failed = 'include'
    OR (:failed = 'exclude' AND coalesce(error_code, '') = '')
    OR (:failed = 'only' AND error_code <> ''))
GROUP BY event_name
ORDER BY event_count DESC, event_name
LIMIT :limit
