-- title: What one access key did
-- group: hunt
-- days: 90
-- limit: 500
-- param: key text required: The access key's id, long-term (AKIA...) or a session's (ASIA...).
-- shown: source_ip, first_seen, event_source, event_name, aws_region, calls, failed, an_error
--
-- The calls made with a key, one row for each address, region and action. The address that turned up last comes first,
-- and under each address the story from its beginning: a stolen key shows in the first rows, its rightful use below.
-- For the credentials it was turned into see credentials_from_key.
WITH calls AS (
  SELECT
    source_ip,
    event_source,
    event_name,
    account_id,
    aws_region,
    min(event_time) AS first_seen,
    max(event_time) AS last_seen,
    count(*) AS calls,
    count(*) FILTER (WHERE error_code <> '') AS failed,
    max(error_code) AS an_error,
    count(DISTINCT target) AS targets,
    max(coalesce(session_name, user_name)) AS who,
    max(user_agent) AS a_user_agent
  FROM events
  WHERE event_date BETWEEN CAST(:from_date AS date) AND CAST(:to_date AS date)
    AND (:account IS NULL OR account_id = :account)
    AND (:region IS NULL OR aws_region = :region)
    AND (:user IS NULL OR user_name = :user OR session_name = :user)
    AND access_key_id = :key
  GROUP BY source_ip, event_source, event_name, account_id, aws_region
),
placed AS (
  SELECT calls.*, min(first_seen) OVER (PARTITION BY source_ip) AS address_since
  FROM calls
)
SELECT
  source_ip,
  address_since,
  first_seen,
  last_seen,
  event_source,
  event_name,
  account_id,
  aws_region,
  calls,
  failed,
  an_error,
  targets,
  who,
  a_user_agent
FROM placed
ORDER BY address_since DESC, source_ip, first_seen, event_source, event_name, account_id, aws_region
LIMIT :limit
