-- title: Changes to logging and to those who watch
-- group: change
-- days: 90
-- limit: 200
-- shown: event_time, account_id, who, event_name, event_source, target, error_code, source_ip
--
-- Who touched the trails, the recorders, the detectors and the logs themselves, the newest first: what is done before
-- something that should not be seen. Starting and creating them is shown too, so that a gap has both its ends. Failed
-- attempts stand here with their error.
--
-- Infrastructure as code makes such changes as well: the name and the hour tell. AWS services are left out.
SELECT
  event_time,
  account_id,
  coalesce(session_name, user_name) AS who,
  event_name,
  event_source,
  target,
  error_code,
  source_ip,
  aws_region,
  user_agent,
  request_parameters,
  CASE WHEN session_name IS NOT NULL THEN user_name END AS role_name,
  event_id
FROM events
WHERE event_date BETWEEN CAST(:from_date AS date) AND CAST(:to_date AS date)
  AND (:account IS NULL OR account_id = :account)
  AND (:region IS NULL OR aws_region = :region)
  AND (:user IS NULL OR user_name = :user OR session_name = :user)
  -- AWS services that act on their own or for somebody.
  AND invoked_by IS NULL
  AND coalesce(source_ip, '') NOT LIKE '%.amazonaws.com'
  AND (
    -- Old records do not tell whether a call only reads.
    (event_source = 'cloudtrail.amazonaws.com' AND coalesce(read_only, false) = false
      AND NOT regexp_like(event_name, '^(Get|List|Describe|Lookup|Search|StartQuery|Generate)'))
    OR (event_source = 'config.amazonaws.com' AND regexp_like(event_name,
      '^(Stop|Start|Delete|Put)(ConfigurationRecorder|DeliveryChannel|ConfigurationAggregator|ConfigRule'
      || '|RetentionConfiguration)'))
    OR (event_source = 'guardduty.amazonaws.com' AND regexp_like(event_name,
      '^(Delete|Update|Disassociate|Stop|Disable|Create(Filter|IPSet|Detector)|Archive)'))
    OR (event_source = 'securityhub.amazonaws.com' AND regexp_like(event_name,
      '^(Disable|Delete|BatchDisable|Disassociate|UpdateStandardsControl)'))
    OR (event_source = 'access-analyzer.amazonaws.com' AND event_name IN ('DeleteAnalyzer', 'CreateArchiveRule'))
    OR (event_source = 'macie2.amazonaws.com' AND regexp_like(event_name, '^(Disable|Delete)'))
    OR (event_source = 'ec2.amazonaws.com' AND event_name = 'DeleteFlowLogs')
    OR (event_source = 'logs.amazonaws.com' AND event_name IN (
      'DeleteLogGroup', 'DeleteLogStream', 'DeleteSubscriptionFilter', 'DeleteMetricFilter',
      'DisassociateKmsKey'))
    -- Logs that are kept for a week or less.
    OR (event_source = 'logs.amazonaws.com' AND event_name = 'PutRetentionPolicy'
      AND json_extract_scalar(request_parameters, '$.retentionInDays') IN ('1', '3', '5', '7'))
    OR (event_source = 'monitoring.amazonaws.com' AND event_name IN ('DeleteAlarms', 'DisableAlarmActions'))
    OR (event_source = 'events.amazonaws.com' AND event_name IN ('DeleteRule', 'DisableRule', 'RemoveTargets'))
    OR (event_source = 's3.amazonaws.com' AND event_name = 'PutBucketLogging')
    OR (event_source = 'route53resolver.amazonaws.com' AND event_name IN (
      'DeleteResolverQueryLogConfig', 'DisassociateResolverQueryLogConfig'))
    OR (event_source = 'bedrock.amazonaws.com' AND event_name LIKE '%ModelInvocationLoggingConfiguration'
      AND event_name NOT LIKE 'Get%')
  )
ORDER BY event_time DESC, event_id
LIMIT :limit
