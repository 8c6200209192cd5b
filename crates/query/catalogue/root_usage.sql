-- title: What the root user did
-- group: classic
-- days: 90
-- limit: 100
-- shown: event_time, event_name, source_ip, aws_region, error_code, error_message
--
-- Every identity event of an account's root user, the newest first. In a well-kept organisation this list is empty,
-- or holds the yearly exercise; every row wants an explanation. Failed sign-ins are in it, with their message.
--
-- What root did in other services (a bucket policy removed, an account's contact changed) is no identity event: see
-- root_actions.
SELECT
  event_time,
  event_name,
  user_name,
  source_ip,
  user_agent,
  aws_region,
  request_parameters,
  error_code,
  error_message
FROM iam_events
WHERE event_date BETWEEN :from_date AND :to_date
  AND (:account IS NULL OR account_id = :account)
  AND (:region IS NULL OR aws_region = :region)
  AND (:user IS NULL OR user_name = :user OR session_name = :user)
  AND lower(user_name) = 'root'
ORDER BY event_time DESC, event_id
LIMIT :limit
