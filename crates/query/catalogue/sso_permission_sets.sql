-- title: Permission sets created and changed
-- group: classic
-- days: 30
-- limit: 100
-- param: failed text 'include': Failed calls: include, exclude or only.
-- shown: event_time, user_name, event_name, permission_set_name, description, aws_region, error_code
--
-- Identity Center's permission sets, the newest change first. A new one, or one whose sessions were made longer, is how
-- administrator's rights reach every account at once. A change names the set by its ARN alone: its last part stands
-- here. `user_name` is the session's name where a role acted, with the role in `role_name`.
--
-- The classic query mixed failed calls with done ones: `error_code` tells them apart, and failed='exclude' drops them.
-- It looked at the service sso alone; here all of Identity Center counts.
SELECT
  event_time,
  coalesce(session_name, user_name) AS user_name,
  event_name,
  coalesce(
    json_extract_scalar(request_parameters, '$.name'),
    json_extract_scalar(response_elements, '$.permissionSet.name'),
    nullif(regexp_extract(json_extract_scalar(request_parameters, '$.permissionSetArn'), '([^/]+)$', 1), '')
  ) AS permission_set_name,
  coalesce(
    json_extract_scalar(request_parameters, '$.description'),
    json_extract_scalar(response_elements, '$.permissionSet.description')
  ) AS description,
  aws_region,
  error_code,
  CASE WHEN session_name IS NOT NULL THEN user_name END AS role_name
FROM iam_events
WHERE event_date BETWEEN :from_date AND :to_date
  AND (:account IS NULL OR account_id = :account)
  AND (:region IS NULL OR aws_region = :region)
  AND (:user IS NULL OR user_name = :user OR session_name = :user)
  AND event_type = 'sso'
  AND event_name IN ('CreatePermissionSet', 'UpdatePermissionSet')
  AND (:failed = 'include'
    OR (:failed = 'exclude' AND coalesce(error_code, '') = '')
    OR (:failed = 'only' AND error_code <> ''))
ORDER BY event_time DESC, event_id
LIMIT :limit
