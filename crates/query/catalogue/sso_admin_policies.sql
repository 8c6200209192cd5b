-- title: Managed policies attached to permission sets
-- group: classic
-- days: 30
-- limit: 100
-- param: failed text 'include': Failed calls: include, exclude or only.
-- param: admin_policies list built-in: Administrators' policies, by name or whole ARN, in lower case.
-- shown: user_name, policy, permission_set, event_time, risk_level, error_code
--
-- Which AWS managed policy was given to which permission set, the newest first. CRITICAL are the policies that make
-- their holder an administrator or let it become one, the detections' own list with `detect.admin_policies`: read those rows first.
-- `user_name` is the session's name where a role acted, with the role in `role_name`.
--
-- Inline policies and policies of the customer's own are not judged by their name: see privilege_changes_by_target.
-- The classic query mixed failed calls with done ones: `error_code` tells them apart, and failed='exclude' drops them.
-- It looked at the service sso alone; here all of Identity Center counts.
SELECT
  coalesce(session_name, user_name) AS user_name,
  nullif(
    regexp_extract(json_extract_scalar(request_parameters, '$.managedPolicyArn'), '([^/]+)$', 1), ''
  ) AS policy,
  nullif(
    regexp_extract(json_extract_scalar(request_parameters, '$.permissionSetArn'), '([^/]+)$', 1), ''
  ) AS permission_set,
  event_time,
  json_extract_scalar(request_parameters, '$.managedPolicyArn') AS policy_arn,
  CASE
    WHEN lower(json_extract_scalar(request_parameters, '$.managedPolicyArn')) IN (:admin_policies)
      OR lower(regexp_extract(json_extract_scalar(request_parameters, '$.managedPolicyArn'), '([^/]+)$', 1))
        IN (:admin_policies)
    THEN 'CRITICAL'
    ELSE 'NORMAL'
  END AS risk_level,
  aws_region,
  error_code,
  CASE WHEN session_name IS NOT NULL THEN user_name END AS role_name
FROM iam_events
WHERE event_date BETWEEN :from_date AND :to_date
  AND (:account IS NULL OR account_id = :account)
  AND (:region IS NULL OR aws_region = :region)
  AND (:user IS NULL OR user_name = :user OR session_name = :user)
  AND event_type = 'sso'
  AND event_name = 'AttachManagedPolicyToPermissionSet'
  AND (:failed = 'include'
    OR (:failed = 'exclude' AND coalesce(error_code, '') = '')
    OR (:failed = 'only' AND error_code <> ''))
ORDER BY event_time DESC, event_id
LIMIT :limit
