-- title: Changes to how AI is used and watched
-- group: ai
-- days: 90
-- limit: 100
-- shown: event_time, account_id, who, event_name, subject, error_code, source_ip, aws_region
--
-- Who opened models, bought capacity, made keys for Bedrock, or changed guardrails and the log of what models are
-- asked, the newest first. A log that is deleted hides what a stolen key asks for; a model's agreement accepted in a
-- region that nobody works in is the step before. Failed attempts stand here with their error.
--
-- Using models is in ai_usage. AWS services are left out.
SELECT
  event_time,
  account_id,
  coalesce(session_name, user_name) AS who,
  event_name,
  coalesce(
    target,
    json_extract_scalar(request_parameters, '$.guardrailIdentifier'),
    json_extract_scalar(request_parameters, '$.serviceName')
  ) AS subject,
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
    (event_source LIKE 'bedrock%' AND regexp_like(event_name,
      '^((Create|Delete|Put)(FoundationModel|ModelInvocationLogging|UseCaseForModelAccess|Guardrail|ProvisionedModel'
      || '|InferenceProfile|MarketplaceModel|Agent$|ImportedModel|CustomModel)'
      || '|Update(Guardrail|ProvisionedModel|Agent$)|CreateModelImportJob)'))
    OR (event_source LIKE 'sagemaker%' AND regexp_like(event_name,
      '^(Create|Delete|Update)(Endpoint|NotebookInstance|Domain|HubContentReference)$'))
    OR (event_type = 'iam' AND event_name IN ('CreateServiceSpecificCredential', 'ResetServiceSpecificCredential')
      AND coalesce(json_extract_scalar(request_parameters, '$.serviceName'), 'bedrock') LIKE 'bedrock%')
    OR (event_source = 'aws-marketplace.amazonaws.com' AND event_name IN ('Subscribe', 'AcceptAgreementRequest'))
  )
ORDER BY event_time DESC, event_id
LIMIT :limit
