-- title: Applications connected to and removed from Identity Center
-- group: classic
-- days: 30
-- limit: 100
-- param: failed text 'include': Failed calls: include, exclude or only.
-- shown: event_time, user_name, event_name, application_name, start_url, aws_region, error_code
--
-- An application that is connected may sign people in under your organisation's name; one that is removed may have
-- been somebody's eyes. The newest first. `user_name` is the session's name where a role acted, with the role in
-- `role_name`.
--
-- "Unknown Application" stands where the record hides the name or has none; the call that removes an application
-- knows it by its id alone, so the id stands there. The newer calls CreateApplication and DeleteApplication are shown
-- as well. The classic query mixed failed calls with done ones: `error_code` tells them apart, and failed='exclude'
-- drops them. It looked at the service sso alone; here all of Identity Center counts.
SELECT
  event_time,
  coalesce(session_name, user_name) AS user_name,
  event_name,
  coalesce(
    nullif(nullif(coalesce(
      json_extract_scalar(request_parameters, '$.name'),
      json_extract_scalar(request_parameters, '$.applicationName'),
      json_extract_scalar(request_parameters, '$.displayName')
    ), 'HIDDEN_DUE_TO_SECURITY_REASONS'), ''),
    json_extract_scalar(request_parameters, '$.managedApplicationInstanceId'),
    json_extract_scalar(request_parameters, '$.instanceId'),
    json_extract_scalar(request_parameters, '$.applicationArn'),
    'Unknown Application'
  ) AS application_name,
  coalesce(
    json_extract_scalar(request_parameters, '$.templateId'),
    json_extract_scalar(request_parameters, '$.applicationTemplateId'),
    json_extract_scalar(request_parameters, '$.applicationProviderArn')
  ) AS template_id,
  coalesce(
    json_extract_scalar(request_parameters, '$.startUrl'),
    json_extract_scalar(request_parameters, '$.portalOptions.signInOptions.applicationUrl')
  ) AS start_url,
  json_extract_scalar(request_parameters, '$.clientId') AS client_id,
  aws_region,
  error_code,
  CASE WHEN session_name IS NOT NULL THEN user_name END AS role_name
FROM iam_events
WHERE event_date BETWEEN :from_date AND :to_date
  AND (:account IS NULL OR account_id = :account)
  AND (:region IS NULL OR aws_region = :region)
  AND (:user IS NULL OR user_name = :user OR session_name = :user)
  AND event_type = 'sso'
  AND event_name IN (
    'CreateManagedApplicationInstance', 'DeleteManagedApplicationInstance',
    'CreateApplication', 'DeleteApplication')
  AND (:failed = 'include'
    OR (:failed = 'exclude' AND coalesce(error_code, '') = '')
    OR (:failed = 'only' AND error_code <> ''))
ORDER BY event_time DESC, event_id
LIMIT :limit
