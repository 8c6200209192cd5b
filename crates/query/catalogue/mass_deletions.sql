-- title: Hours in which much was deleted
-- group: change
-- days: 30
-- limit: 100
-- param: min_count integer 10: How many deletions in an hour are many.
-- shown: hour_start, account_id, who, deletions, failed, actions, targets, an_action, source_ips
--
-- Who deleted, terminated or switched off how much in one hour, the most first: sabotage, extortion, or somebody
-- tidying up behind them. `actions` counts different calls, `targets` what was named in them; failed attempts count.
--
-- Rows of a table, messages of a queue and the like are daily life and left out, as are AWS services. Deleted objects
-- of a bucket count where the trail records data events.
SELECT
  date_trunc('hour', event_time) AS hour_start,
  account_id,
  coalesce(session_name, user_name) AS who,
  count(*) AS deletions,
  count(*) FILTER (WHERE error_code <> '') AS failed,
  count(DISTINCT event_source || ' ' || event_name) AS actions,
  count(DISTINCT target) AS targets,
  max(event_name) AS an_action,
  count(DISTINCT aws_region) AS regions,
  count(DISTINCT source_ip) AS source_ips,
  min(event_time) AS first_deletion,
  max(event_time) AS last_deletion,
  max(user_name) AS user_name
FROM events
WHERE event_date BETWEEN CAST(:from_date AS date) AND CAST(:to_date AS date)
  AND (:account IS NULL OR account_id = :account)
  AND (:region IS NULL OR aws_region = :region)
  AND (:user IS NULL OR user_name = :user OR session_name = :user)
  AND coalesce(read_only, false) = false
  AND (regexp_like(event_name, '^(Batch)?(Delete|Terminate|Purge|Destroy|Deregister|Remove|Disable)')
    OR regexp_like(event_name, '^Schedule.*Deletion$'))
  AND event_name NOT IN (
    'DeleteItem', 'DeleteMessage', 'DeleteMessageBatch', 'DeleteNetworkInterface', 'DeleteTags', 'RemoveTags')
  -- AWS services that act on their own or for somebody.
  AND invoked_by IS NULL
  AND coalesce(source_ip, '') NOT LIKE '%.amazonaws.com'
GROUP BY date_trunc('hour', event_time), account_id, coalesce(session_name, user_name)
HAVING count(*) >= :min_count
ORDER BY deletions DESC, hour_start DESC, account_id, who
LIMIT :limit
