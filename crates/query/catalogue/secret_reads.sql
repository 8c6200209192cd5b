-- title: Who reads secrets
-- group: hunt
-- days: 7
-- limit: 100
-- param: history_days integer 60: How many days before the window count as habit.
-- shown: principal, account_id, new_secrets, secrets, secret_reads, parameter_reads, decrypts, failed, source_ips, last_read
--
-- Secrets of Secrets Manager, parameters of Systems Manager and direct decryptions with KMS, by who read them. First
-- come those who read secrets or parameters that they had never read before (`new_secrets`, failed reads counted): an
-- application reads the same ones every day, an intruder all of them once.
--
-- Roles count whatever their sessions are called, people of Identity Center by their name. What AWS services decrypt on
-- somebody's behalf is left out. A parameter need not be a secret; the record does not tell. On a lake that does not
-- reach back before the window everything is new.
WITH reads AS (
  SELECT
    event_date,
    event_time,
    account_id,
    aws_region,
    CASE
      WHEN role_arn LIKE '%:role/aws-reserved/sso.amazonaws.com/%' THEN coalesce(session_name, user_name)
      ELSE user_name
    END AS principal,
    user_name,
    session_name,
    actor_type,
    event_source,
    CASE WHEN event_source <> 'kms.amazonaws.com' THEN
      event_source || ' ' || coalesce(target, request_parameters, 'unnamed')
    END AS secret,
    source_ip,
    error_code
  FROM events
  WHERE event_date BETWEEN date_add('day', -:history_days, CAST(:from_date AS date)) AND CAST(:to_date AS date)
    AND (:account IS NULL OR account_id = :account)
    AND (
      (event_source = 'secretsmanager.amazonaws.com' AND event_name IN ('GetSecretValue', 'BatchGetSecretValue'))
      OR (event_source = 'ssm.amazonaws.com' AND event_name IN (
        'GetParameter', 'GetParameters', 'GetParametersByPath', 'GetParameterHistory'))
      OR (event_source = 'kms.amazonaws.com' AND event_name = 'Decrypt'))
    -- AWS services that act on their own or for somebody.
    AND invoked_by IS NULL
    AND coalesce(source_ip, '') NOT LIKE '%.amazonaws.com'
),
known AS (
  SELECT DISTINCT account_id, principal, secret
  FROM reads
  WHERE event_date < CAST(:from_date AS date)
    AND secret IS NOT NULL
)
SELECT
  reads.principal,
  reads.account_id,
  count(DISTINCT CASE WHEN known.secret IS NULL THEN reads.secret END) AS new_secrets,
  count(DISTINCT reads.secret) AS secrets,
  count(*) FILTER (WHERE reads.event_source = 'secretsmanager.amazonaws.com') AS secret_reads,
  count(*) FILTER (WHERE reads.event_source = 'ssm.amazonaws.com') AS parameter_reads,
  count(*) FILTER (WHERE reads.event_source = 'kms.amazonaws.com') AS decrypts,
  count(*) FILTER (WHERE reads.error_code <> '') AS failed,
  count(DISTINCT reads.session_name) AS sessions,
  count(DISTINCT reads.source_ip) AS source_ips,
  min(reads.event_time) AS first_read,
  max(reads.event_time) AS last_read,
  max(reads.actor_type) AS actor_type
FROM reads
LEFT JOIN known
  ON known.account_id = reads.account_id
  AND known.principal = reads.principal
  AND known.secret = reads.secret
WHERE reads.event_date >= CAST(:from_date AS date)
  AND (:region IS NULL OR reads.aws_region = :region)
  AND (:user IS NULL OR reads.user_name = :user OR reads.session_name = :user)
GROUP BY reads.principal, reads.account_id
ORDER BY new_secrets DESC, secrets DESC, failed DESC, reads.principal, reads.account_id
LIMIT :limit
