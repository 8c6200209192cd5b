-- title: What came from one address
-- group: hunt
-- days: 90
-- limit: 500
-- param: ip text required: The source address, or its beginning followed by % (192.0.2.%).
-- shown: first_seen, last_seen, who, account_id, event_source, event_name, calls, failed
--
-- Everybody who called from an address and what they called, in the order in which it was first seen. Several names at
-- one address that is not your office's are one intruder with several identities.
SELECT
  min(event_time) AS first_seen,
  max(event_time) AS last_seen,
  coalesce(session_name, user_name) AS who,
  account_id,
  event_source,
  event_name,
  count(*) AS calls,
  count(*) FILTER (WHERE error_code <> '' OR (event_type = 'signin' AND error_message <> '')) AS failed,
  count(DISTINCT aws_region) AS regions,
  count(DISTINCT access_key_id) AS access_keys,
  max(user_agent) AS a_user_agent
FROM events
WHERE event_date BETWEEN CAST(:from_date AS date) AND CAST(:to_date AS date)
  AND (:account IS NULL OR account_id = :account)
  AND (:region IS NULL OR aws_region = :region)
  AND (:user IS NULL OR user_name = :user OR session_name = :user)
  AND source_ip LIKE :ip
GROUP BY coalesce(session_name, user_name), account_id, event_source, event_name
ORDER BY first_seen, who, account_id, event_source, event_name
LIMIT :limit
