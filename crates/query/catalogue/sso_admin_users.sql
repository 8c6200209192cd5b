-- title: Who administers Identity Center
-- group: classic
-- days: 90
-- limit: 50
-- param: failed text 'include': Failed calls: include, exclude or only.
-- shown: user_name, total_admin_actions, permission_sets_created, permission_sets_updated, policies_attached, assignments_created, app_changes, error_count, last_admin_action
--
-- People by the administrative calls that hand out access: permission sets created and changed, managed policies
-- attached, accounts assigned, applications connected and removed. A name that is not one of your administrators is the
-- finding. `user_name` is the session's name where a role acted. Times are UTC.
--
-- The classic query mixed failed calls with done ones: `error_count` tells how many of the total failed, and
-- failed='exclude' drops them. It looked at the service sso alone; here all of Identity Center counts.
SELECT
  coalesce(session_name, user_name) AS user_name,
  count(*) AS total_admin_actions,
  count(*) FILTER (WHERE event_name = 'CreatePermissionSet') AS permission_sets_created,
  count(*) FILTER (WHERE event_name = 'UpdatePermissionSet') AS permission_sets_updated,
  count(*) FILTER (WHERE event_name = 'AttachManagedPolicyToPermissionSet') AS policies_attached,
  count(*) FILTER (WHERE event_name = 'CreateAccountAssignment') AS assignments_created,
  count(*) FILTER (
    WHERE event_name IN ('CreateManagedApplicationInstance', 'DeleteManagedApplicationInstance')
  ) AS app_changes,
  count(*) FILTER (WHERE error_code <> '') AS error_count,
  date_format(max(from_iso8601_timestamp(event_time)), '%Y-%m-%dT%H:%i:%s+00:00') AS last_admin_action,
  date_format(min(from_iso8601_timestamp(event_time)), '%Y-%m-%dT%H:%i:%s+00:00') AS first_admin_action
FROM iam_events
WHERE event_date BETWEEN :from_date AND :to_date
  AND (:account IS NULL OR account_id = :account)
  AND (:region IS NULL OR aws_region = :region)
  AND (:user IS NULL OR user_name = :user OR session_name = :user)
  AND event_type = 'sso'
  AND event_name IN (
    'CreatePermissionSet', 'UpdatePermissionSet', 'AttachManagedPolicyToPermissionSet', 'CreateAccountAssignment',
    'CreateManagedApplicationInstance', 'DeleteManagedApplicationInstance')
  AND (:failed = 'include'
    OR (:failed = 'exclude' AND coalesce(error_code, '') = '')
    OR (:failed = 'only' AND error_code <> ''))
GROUP BY coalesce(session_name, user_name)
ORDER BY total_admin_actions DESC, 1
LIMIT :limit
