-- title: Changes of permissions in IAM
-- group: classic
-- days: 90
-- limit: 100
-- shown: event_time, user_name, event_name, target_resource, source_ip, error_code
--
-- Who gave or took which permission, the newest first, failed attempts with their error. `target_resource` names what
-- was changed from the holder to the policy: user, role, group, policy name, policy ARN, as far as the call has them.
-- `user_name` is the session's name where a role acted, with the role in `role_name`.
--
-- The classic query missed inline policies of groups, new policy versions and which of them is the default, who may
-- assume a role (UpdateAssumeRolePolicy), permissions boundaries and the membership in groups; this one has them.
-- For the permission sets of Identity Center see the sso queries and privilege_changes_by_target.
SELECT
  event_time,
  coalesce(session_name, user_name) AS user_name,
  event_name,
  nullif(concat_ws(' → ',
    json_extract_scalar(request_parameters, '$.userName'),
    json_extract_scalar(request_parameters, '$.roleName'),
    json_extract_scalar(request_parameters, '$.groupName'),
    json_extract_scalar(request_parameters, '$.policyName'),
    json_extract_scalar(request_parameters, '$.policyArn')
  ), '') AS target_resource,
  source_ip,
  error_code,
  CASE WHEN session_name IS NOT NULL THEN user_name END AS role_name
FROM iam_events
WHERE event_date BETWEEN :from_date AND :to_date
  AND (:account IS NULL OR account_id = :account)
  AND (:region IS NULL OR aws_region = :region)
  AND (:user IS NULL OR user_name = :user OR session_name = :user)
  AND event_name IN (
    'AttachUserPolicy', 'AttachGroupPolicy', 'AttachRolePolicy',
    'DetachUserPolicy', 'DetachGroupPolicy', 'DetachRolePolicy',
    'PutUserPolicy', 'PutGroupPolicy', 'PutRolePolicy',
    'DeleteUserPolicy', 'DeleteGroupPolicy', 'DeleteRolePolicy',
    'CreateUser', 'DeleteUser', 'CreateRole', 'DeleteRole',
    'CreatePolicyVersion', 'SetDefaultPolicyVersion', 'UpdateAssumeRolePolicy',
    'PutUserPermissionsBoundary', 'DeleteUserPermissionsBoundary',
    'PutRolePermissionsBoundary', 'DeleteRolePermissionsBoundary',
    'AddUserToGroup', 'RemoveUserFromGroup')
ORDER BY event_time DESC, event_id
LIMIT :limit
