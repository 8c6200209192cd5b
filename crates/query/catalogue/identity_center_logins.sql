-- title: Sign-ins to Identity Center, and the roles taken
-- group: access
-- days: 30
-- limit: 100
-- shown: person, source_ip, sign_ins, failures, roles_taken, accounts_reached, first_seen, last_seen
--
-- People of Identity Center by the address they came from: how often they signed in, how often a password or a second
-- factor was refused, and how often they took a role in how many accounts. Refusals come first, then what was seen most
-- recently. An address that serves many people is an office or a VPN; a person's lonely address with few days is a trip
-- or a visitor.
--
-- Records since July 2025 name people by an id: the name comes from the sign-ins of the same id, where one tells it;
-- the id stands in its place where none does.
WITH portal AS (
  SELECT
    event_id,
    event_time,
    event_name,
    source_ip,
    user_name,
    error_code,
    json_extract_scalar(user_identity, '$.onBehalfOf.userId') AS user_id,
    json_extract_scalar(additional_event_data, '$.UserName') AS told_name,
    json_extract_scalar(rest, '$.serviceEventDetails.account_id') AS role_account,
    CASE
      WHEN error_code <> '' THEN true
      WHEN json_extract_scalar(rest, '$.serviceEventDetails.UserAuthentication') = 'Failure' THEN true
      WHEN json_extract_scalar(rest, '$.serviceEventDetails.CredentialVerification') = 'Failure' THEN true
      ELSE false
    END AS failed
  FROM events
  WHERE event_date BETWEEN CAST(:from_date AS date) AND CAST(:to_date AS date)
    AND (:account IS NULL OR account_id = :account)
    AND (:region IS NULL OR aws_region = :region)
    AND event_type IN ('signin', 'sso')
    AND event_name IN ('UserAuthentication', 'CredentialVerification', 'Authenticate', 'GetRoleCredentials', 'Federate')
),
names AS (
  SELECT user_id, max(told_name) AS told_name
  FROM portal
  WHERE user_id IS NOT NULL AND told_name <> ''
  GROUP BY user_id
),
named AS (
  SELECT
    coalesce(names.told_name, portal.told_name, portal.user_name) AS person,
    portal.user_id,
    portal.event_time,
    portal.event_name,
    portal.source_ip,
    portal.role_account,
    portal.failed
  FROM portal
  LEFT JOIN names ON names.user_id = portal.user_id
)
SELECT
  person,
  source_ip,
  count(*) FILTER (WHERE event_name IN ('UserAuthentication', 'Authenticate') AND NOT failed) AS sign_ins,
  count(*) FILTER (WHERE failed) AS failures,
  count(*) FILTER (WHERE event_name IN ('GetRoleCredentials', 'Federate') AND NOT failed) AS roles_taken,
  count(DISTINCT CASE WHEN NOT failed THEN role_account END) AS accounts_reached,
  min(event_time) AS first_seen,
  max(event_time) AS last_seen,
  max(user_id) AS user_id
FROM named
WHERE :user IS NULL OR person = :user OR user_id = :user
GROUP BY person, source_ip
ORDER BY failures DESC, last_seen DESC, person, source_ip
LIMIT :limit
