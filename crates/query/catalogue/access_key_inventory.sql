-- title: Access keys: owner, age, last use, state
-- group: audit
-- days: 90
-- limit: 500
-- shown: access_key_id, account_id, owner, state, age_days, last_use, unused_days, last_source_ip, last_region
--
-- Every long-term key (AKIA...) that was used, made, switched or deleted, the oldest first. `state` is what the last
-- call that changed it says: Active, Inactive or Deleted; "In use" where none was seen but the key was used. `created`
-- and `age_days` are known where the key was made within the window; `unused_days` counts from the last use to the
-- window's end and is empty for a key that was never used: those and the ones unused for long are to be deleted. A key
-- of root is to be deleted in any case.
--
-- A key that was neither used nor touched within the window does not show: this is what the logs tell, not IAM's list.
-- :user asks for the owner, :region for where keys were used.
WITH facts AS (
  SELECT
    access_key_id,
    'use' AS kind,
    event_time,
    event_id,
    event_date,
    coalesce(actor_account_id, account_id) AS account_id,
    user_name AS owner,
    CAST(NULL AS varchar) AS state,
    source_ip,
    aws_region
  FROM events
  WHERE event_date BETWEEN CAST(:from_date AS date) AND CAST(:to_date AS date)
    AND (:account IS NULL OR coalesce(actor_account_id, account_id) = :account)
    AND (:region IS NULL OR aws_region = :region)
    AND (:user IS NULL OR user_name = :user)
    AND access_key_id LIKE 'AKIA%'
  UNION ALL
  SELECT
    coalesce(
      json_extract_scalar(response_elements, '$.accessKey.accessKeyId'),
      json_extract_scalar(request_parameters, '$.accessKeyId')
    ) AS access_key_id,
    'state' AS kind,
    event_time,
    event_id,
    event_date,
    account_id,
    target AS owner,
    CASE event_name
      WHEN 'CreateAccessKey' THEN 'Created'
      WHEN 'DeleteAccessKey' THEN 'Deleted'
      ELSE json_extract_scalar(request_parameters, '$.status')
    END AS state,
    source_ip,
    aws_region
  FROM events
  WHERE event_date BETWEEN CAST(:from_date AS date) AND CAST(:to_date AS date)
    AND (:account IS NULL OR account_id = :account)
    AND (:user IS NULL OR target = :user)
    AND event_type = 'iam'
    AND event_name IN ('CreateAccessKey', 'UpdateAccessKey', 'DeleteAccessKey')
    AND coalesce(error_code, '') = ''
),
ranked AS (
  SELECT
    facts.*,
    row_number() OVER (PARTITION BY access_key_id, kind ORDER BY event_time DESC, event_id) AS newest
  FROM facts
  WHERE access_key_id LIKE 'AKIA%'
),
key_facts AS (
  SELECT
    access_key_id,
    max(account_id) AS account_id,
    coalesce(max(CASE WHEN kind = 'use' THEN owner END), max(owner)) AS owner,
    coalesce(
      max(CASE WHEN kind = 'state' AND newest = 1 THEN CASE state WHEN 'Created' THEN 'Active' ELSE state END END),
      'In use'
    ) AS state,
    min(CASE WHEN state = 'Created' THEN event_time END) AS created,
    date_diff('day', min(CASE WHEN state = 'Created' THEN event_date END), CAST(:to_date AS date)) AS age_days,
    count(*) FILTER (WHERE kind = 'use') AS uses,
    min(CASE WHEN kind = 'use' THEN event_time END) AS first_use,
    max(CASE WHEN kind = 'use' THEN event_time END) AS last_use,
    date_diff('day', max(CASE WHEN kind = 'use' THEN event_date END), CAST(:to_date AS date)) AS unused_days,
    max(CASE WHEN kind = 'use' AND newest = 1 THEN source_ip END) AS last_source_ip,
    max(CASE WHEN kind = 'use' AND newest = 1 THEN aws_region END) AS last_region,
    count(DISTINCT CASE WHEN kind = 'use' THEN source_ip END) AS source_ips
  FROM ranked
  GROUP BY access_key_id
  HAVING :region IS NULL OR count(*) FILTER (WHERE kind = 'use') > 0
)
SELECT
  access_key_id,
  account_id,
  owner,
  state,
  created,
  age_days,
  uses,
  first_use,
  last_use,
  unused_days,
  last_source_ip,
  last_region,
  source_ips
FROM key_facts
-- A key older than the window has no day of birth: the oldest of all.
ORDER BY CASE WHEN created IS NULL THEN 0 ELSE 1 END, created, access_key_id
LIMIT :limit
