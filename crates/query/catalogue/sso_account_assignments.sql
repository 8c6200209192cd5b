-- title: Who was assigned to which account
-- group: classic
-- days: 30
-- limit: 100
-- param: failed text 'include': Failed calls: include, exclude or only.
-- shown: user_name, event_name, account_id, permission_set, event_time, error_code
--
-- Account assignments of Identity Center made and removed, the newest first. `account_id` is the account that
-- somebody was let into, not the one that recorded it; `user_name` is who assigned (the session's name where a role
-- acted, with the role in `role_name`), `principal_id` the user or group that was assigned. :account asks for the
-- recording account.
--
-- The classic query mixed failed calls with done ones: `error_code` tells them apart, and failed='exclude' drops them.
-- It looked at the service sso alone; here all of Identity Center counts.
SELECT
  coalesce(session_name, user_name) AS user_name,
  event_name,
  nullif(regexp_extract(json_extract_scalar(request_parameters, '$.targetId'), '([0-9]+)', 1), '') AS account_id,
  'ps-' || nullif(
    regexp_extract(json_extract_scalar(request_parameters, '$.permissionSetArn'), '([^/]{1,16})$', 1), ''
  ) AS permission_set,
  event_time,
  json_extract_scalar(request_parameters, '$.principalId') AS principal_id,
  json_extract_scalar(request_parameters, '$.principalType') AS principal_type,
  json_extract_scalar(request_parameters, '$.targetId') AS target_account,
  json_extract_scalar(request_parameters, '$.permissionSetArn') AS permission_set_arn,
  request_parameters,
  response_elements,
  aws_region,
  source_ip,
  user_agent,
  error_code,
  error_message,
  CASE WHEN session_name IS NOT NULL THEN user_name END AS role_name
FROM iam_events
WHERE event_date BETWEEN :from_date AND :to_date
  AND (:account IS NULL OR account_id = :account)
  AND (:region IS NULL OR aws_region = :region)
  AND (:user IS NULL OR user_name = :user OR session_name = :user)
  AND event_type = 'sso'
  AND event_name IN ('CreateAccountAssignment', 'DeleteAccountAssignment')
  AND (:failed = 'include'
    OR (:failed = 'exclude' AND coalesce(error_code, '') = '')
    OR (:failed = 'only' AND error_code <> ''))
ORDER BY event_time DESC, event_id
LIMIT :limit
