-- title: Credentials that were made with one key
-- group: hunt
-- days: 30
-- limit: 200
-- param: key text required: The access key's id, long-term (AKIA...) or a session's (ASIA...).
-- shown: event_time, event_name, target, issued_key, error_code, uses, last_use, last_source_ip
--
-- Everything one key was turned into: roles assumed, sessions taken, users' keys and sign-in links made, in the order
-- they were made, with how the new credential was used since. Switching off the stolen key does not end what it made:
-- go on with each `issued_key` here, and in access_key_activity, until nothing new comes.
--
-- Attempts that failed issued nothing and stand here with their error.
WITH issued AS (
  SELECT
    event_id,
    event_time,
    event_name,
    account_id,
    target,
    source_ip,
    error_code,
    coalesce(
      json_extract_scalar(response_elements, '$.credentials.accessKeyId'),
      json_extract_scalar(response_elements, '$.accessKey.accessKeyId'),
      json_extract_scalar(response_elements, '$.serviceSpecificCredential.serviceSpecificCredentialId')
    ) AS issued_key
  FROM events
  WHERE event_date BETWEEN CAST(:from_date AS date) AND CAST(:to_date AS date)
    AND (:account IS NULL OR account_id = :account)
    AND (:region IS NULL OR aws_region = :region)
    AND (:user IS NULL OR user_name = :user OR session_name = :user)
    AND access_key_id = :key
    AND (
      (event_type = 'sts' AND event_name IN (
        'AssumeRole', 'AssumeRoot', 'GetSessionToken', 'GetFederationToken'))
      OR (event_type = 'signin' AND event_name = 'GetSigninToken')
      OR (event_type = 'iam' AND event_name IN (
        'CreateAccessKey', 'CreateLoginProfile', 'UpdateLoginProfile',
        'CreateServiceSpecificCredential', 'ResetServiceSpecificCredential'))
    )
),
used AS (
  SELECT
    access_key_id,
    event_time,
    source_ip,
    row_number() OVER (PARTITION BY access_key_id ORDER BY event_time DESC, event_id) AS newest
  -- The few keys first, so that what is held in memory is them and not the events.
  FROM (SELECT DISTINCT issued_key FROM issued WHERE issued_key IS NOT NULL) AS made
  JOIN events ON events.access_key_id = made.issued_key
  WHERE event_date BETWEEN CAST(:from_date AS date) AND CAST(:to_date AS date)
),
use_figures AS (
  SELECT
    access_key_id,
    count(*) AS uses,
    max(event_time) AS last_use,
    max(CASE WHEN newest = 1 THEN source_ip END) AS last_source_ip
  FROM used
  GROUP BY access_key_id
)
SELECT
  issued.event_time,
  issued.event_name,
  issued.account_id,
  issued.target,
  issued.issued_key,
  issued.source_ip,
  issued.error_code,
  coalesce(use_figures.uses, 0) AS uses,
  use_figures.last_use,
  use_figures.last_source_ip,
  issued.event_id
FROM issued
LEFT JOIN use_figures ON use_figures.access_key_id = issued.issued_key
ORDER BY issued.event_time, issued.event_id
LIMIT :limit
