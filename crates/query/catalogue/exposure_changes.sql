-- title: Things opened to the world or to other accounts
-- group: change
-- days: 30
-- limit: 200
-- shown: event_time, account_id, who, event_name, target, exposure, error_code, source_ip
--
-- Buckets, snapshots, images, functions, queues, keys and firewalls that somebody opened, the newest first. `exposure`
-- says to whom: "internet" for addresses from anywhere, "anybody" for a policy whose principal is a star or a share
-- with all, "protection off" where the public access block was loosened or removed, "an account" where a snapshot or
-- image is shared with named accounts.
--
-- Read from the request's text, so a policy that says "anybody" and then narrows it by a condition shows as well: look
-- at `request_parameters`. Failed attempts stand here with their error.
WITH opened AS (
  SELECT
    event_time,
    account_id,
    coalesce(session_name, user_name) AS who,
    event_name,
    event_source,
    target,
    CASE
      WHEN event_name LIKE '%PublicAccessBlock' THEN 'protection off'
      WHEN event_name IN ('AuthorizeSecurityGroupIngress', 'ModifySecurityGroupRules') THEN
        CASE
          WHEN request_parameters LIKE '%0.0.0.0/0%' OR request_parameters LIKE '%"::/0"%' THEN 'internet'
        END
      WHEN event_name LIKE 'CreateFunctionUrlConfig%' THEN
        CASE WHEN request_parameters LIKE '%"NONE"%' THEN 'internet' END
      WHEN event_name IN ('ModifySnapshotAttribute', 'ModifyImageAttribute', 'ModifyDBSnapshotAttribute',
        'ModifyDBClusterSnapshotAttribute') THEN
        CASE
          WHEN regexp_like(request_parameters, '"group":"all"|"valuesToAdd":[^a-z]*"all"') THEN 'anybody'
          WHEN regexp_like(request_parameters, '"add":.{0,20}"userId":"[0-9]+"|"valuesToAdd":[^a-z]*"[0-9]+"')
          THEN 'an account'
        END
      WHEN event_name IN ('PutBucketAcl', 'PutObjectAcl') THEN
        CASE
          WHEN regexp_like(request_parameters, 'public-read|AllUsers|AuthenticatedUsers') THEN 'anybody'
        END
      WHEN regexp_like(request_parameters, 'Principal[^A-Za-z0-9]*(AWS[^A-Za-z0-9]*)?[*]|"principal":"[*]"')
      THEN 'anybody'
    END AS exposure,
    error_code,
    source_ip,
    aws_region,
    request_parameters,
    event_id
  FROM events
  WHERE event_date BETWEEN CAST(:from_date AS date) AND CAST(:to_date AS date)
    AND (:account IS NULL OR account_id = :account)
    AND (:region IS NULL OR aws_region = :region)
    AND (:user IS NULL OR user_name = :user OR session_name = :user)
    AND event_name IN (
      'PutBucketPolicy', 'PutBucketAcl', 'PutObjectAcl',
      'PutBucketPublicAccessBlock', 'DeleteBucketPublicAccessBlock', 'PutPublicAccessBlock', 'DeletePublicAccessBlock',
      'PutAccountPublicAccessBlock', 'DeleteAccountPublicAccessBlock',
      'AuthorizeSecurityGroupIngress', 'ModifySecurityGroupRules',
      'ModifySnapshotAttribute', 'ModifyImageAttribute',
      'ModifyDBSnapshotAttribute', 'ModifyDBClusterSnapshotAttribute',
      'CreateFunctionUrlConfig', 'CreateFunctionUrlConfig20210831', 'AddPermission20150331v2',
      'AddPermission', 'SetQueueAttributes', 'SetTopicAttributes', 'PutKeyPolicy', 'CreateKey',
      'PutResourcePolicy', 'SetRepositoryPolicy')
)
SELECT
  event_time,
  account_id,
  who,
  event_name,
  event_source,
  target,
  exposure,
  error_code,
  source_ip,
  aws_region,
  request_parameters,
  event_id
FROM opened
WHERE exposure IS NOT NULL
  -- A block that is put with all four locks on closes; one that the record does not show may be anything.
  AND NOT (event_name LIKE 'Put%PublicAccessBlock' AND coalesce(request_parameters, 'false') NOT LIKE '%false%')
ORDER BY event_time DESC, event_id
LIMIT :limit
