//! What pipelines, engineers and data scientists change.

use super::{Action, read, write};

const BUCKET: &str = r#"[{"accountId":"$account","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::$bucket"}]"#;
const OBJECT: &str = r#"[{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::$bucket/$key"},{"accountId":"$account","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::$bucket"}]"#;
const REPOSITORY: &str = r#"[{"accountId":"$account","ARN":"arn:aws:ecr:$region:$account:repository/$service"}]"#;
const FUNCTION: &str = r#"{"functionName":"$fn","functionArn":"arn:aws:lambda:$region:$account:function:$fn","runtime":"python3.13","role":"arn:aws:iam::$account:role/service-role/$fn","handler":"app.handler","codeSize":$bytes,"timeout":30,"memorySize":512,"lastModified":"$now","codeSha256":"$token","version":"$LATEST","packageType":"Zip","architectures":["arm64"],"state":"Active","lastUpdateStatus":"InProgress"}"#;

/// A deployment or a Terraform run.
pub(crate) const PIPELINE: &[Action] = &[
    read(3, "sts", "GetCallerIdentity", "null"),
    read(8, "iam", "GetRole", r#"{"roleName":"$role"}"#),
    read(6, "iam", "ListRolePolicies", r#"{"roleName":"$role"}"#),
    read(6, "iam", "ListAttachedRolePolicies", r#"{"roleName":"$role"}"#),
    read(5, "iam", "GetPolicy", r#"{"policyArn":"arn:aws:iam::$account:policy/$policy"}"#),
    read(5, "iam", "GetPolicyVersion", r#"{"policyArn":"arn:aws:iam::$account:policy/$policy","versionId":"v3"}"#),
    read(3, "iam", "GetOpenIDConnectProvider", r#"{"openIDConnectProviderArn":"arn:aws:iam::$account:oidc-provider/token.actions.githubusercontent.com"}"#),
    read(7, "ec2", "DescribeVpcs", r#"{"vpcSet":{"items":[{"vpcId":"$vpc"}]},"filterSet":{}}"#),
    read(6, "ec2", "DescribeSubnets", r#"{"subnetSet":{"items":[{"subnetId":"$subnet"}]},"filterSet":{}}"#),
    read(6, "ec2", "DescribeSecurityGroups", r#"{"securityGroupSet":{},"securityGroupIdSet":{"items":[{"groupId":"$sg"}]},"filterSet":{}}"#),
    read(6, "ec2", "DescribeSecurityGroupRules", r#"{"DescribeSecurityGroupRulesRequest":{"Filter":{"tag":1,"Name":"group-id","Value":{"tag":1,"content":"$sg"}}}}"#),
    read(5, "s3", "GetBucketTagging", r#"{"bucketName":"$bucket","tagging":"","Host":"$bucket.s3.$region.amazonaws.com"}"#).on(BUCKET),
    read(5, "s3", "GetBucketLifecycle", r#"{"bucketName":"$bucket","lifecycle":"","Host":"$bucket.s3.$region.amazonaws.com"}"#).on(BUCKET),
    read(4, "s3", "GetBucketPolicy", r#"{"bucketName":"$bucket","policy":"","Host":"$bucket.s3.$region.amazonaws.com"}"#).on(BUCKET),
    read(5, "kms", "DescribeKey", r#"{"keyId":"$kms"}"#).on(r#"[{"accountId":"$account","type":"AWS::KMS::Key","ARN":"arn:aws:kms:$region:$account:key/$kms"}]"#),
    read(4, "logs", "ListTagsForResource", r#"{"resourceArn":"arn:aws:logs:$region:$account:log-group:/ecs/$service"}"#),
    read(5, "dynamodb", "GetItem", r#"{"tableName":"terraform-locks","key":{"LockID":"fernhill-tfstate/$stack.tfstate-md5"},"consistentRead":true}"#).data(),
    write(3, "dynamodb", "PutItem", r#"{"tableName":"terraform-locks","key":{"LockID":"fernhill-tfstate/$stack.tfstate"}}"#, "null").data(),
    write(5, "s3", "PutObject", r#"{"bucketName":"$bucket","Host":"$bucket.s3.$region.amazonaws.com","key":"$key","x-amz-server-side-encryption":"AES256"}"#, r#"{"x-amz-server-side-encryption":"AES256"}"#).on(OBJECT).data(),
    write(3, "ecr", "InitiateLayerUpload", r#"{"registryId":"$account","repositoryName":"$service"}"#, r#"{"uploadId":"$uuid","partSize":20971520}"#).on(REPOSITORY),
    write(3, "ecr", "CompleteLayerUpload", r#"{"registryId":"$account","repositoryName":"$service","uploadId":"$uuid","layerDigests":["sha256:$hex64"]}"#, r#"{"registryId":"$account","repositoryName":"$service","uploadId":"$uuid","layerDigest":"sha256:$hex64"}"#).on(REPOSITORY),
    write(2, "ecr", "PutImage", r#"{"registryId":"$account","repositoryName":"$service","imageTag":"$hex40","imageManifestMediaType":"application/vnd.oci.image.manifest.v1+json"}"#, r#"{"image":{"registryId":"$account","repositoryName":"$service","imageId":{"imageDigest":"sha256:$hex64","imageTag":"$hex40"}}}"#).on(REPOSITORY),
    write(2, "ecs", "RegisterTaskDefinition", r#"{"family":"$service","networkMode":"awsvpc","requiresCompatibilities":["FARGATE"],"cpu":"512","memory":"1024","executionRoleArn":"arn:aws:iam::$account:role/order-service","containerDefinitions":[{"name":"app","image":"$account.dkr.ecr.$region.amazonaws.com/$service:$hex40","essential":true,"portMappings":[{"containerPort":8080}]}]}"#, r#"{"taskDefinition":{"taskDefinitionArn":"arn:aws:ecs:$region:$account:task-definition/$service:$small","family":"$service","revision":$small,"status":"ACTIVE"}}"#),
    write(2, "ecs", "UpdateService", r#"{"cluster":"main","service":"$service","taskDefinition":"$service:$small","forceNewDeployment":false}"#, r#"{"service":{"serviceArn":"arn:aws:ecs:$region:$account:service/main/$service","serviceName":"$service","status":"ACTIVE","desiredCount":3,"runningCount":3,"pendingCount":0}}"#),
    write(2, "lambda", "UpdateFunctionCode20150331v2", r#"{"functionName":"$fn","s3Bucket":"$bucket","s3Key":"builds/$fn/$hex40.zip","publish":false,"dryRun":false}"#, FUNCTION),
    write(1, "lambda", "PublishVersion20150331", r#"{"functionName":"$fn"}"#, FUNCTION),
    write(1, "cloudformation", "CreateChangeSet", r#"{"stackName":"$stack","changeSetName":"deploy-$hex8","changeSetType":"UPDATE","capabilities":["CAPABILITY_NAMED_IAM"],"templateURL":"https://$bucket.s3.$region.amazonaws.com/templates/$hex32.yaml"}"#, r#"{"id":"arn:aws:cloudformation:$region:$account:changeSet/deploy-$hex8/$uuid","stackId":"arn:aws:cloudformation:$region:$account:stack/$stack/$uuid2"}"#),
    read(3, "cloudformation", "DescribeStackEvents", r#"{"stackName":"$stack"}"#),
    write(1, "ec2", "CreateTags", r#"{"resourcesSet":{"items":[{"resourceId":"$sg"}]},"tagSet":{"items":[{"key":"managed-by","value":"terraform"}]}}"#, r#"{"requestId":"$uuid","_return":true}"#),
];

/// An engineer changing something by hand.
pub(crate) const ENGINEER: &[Action] = &[
    write(
        5,
        "ec2",
        "StartInstances",
        r#"{"instancesSet":{"items":[{"instanceId":"$instance"}]}}"#,
        r#"{"requestId":"$uuid","instancesSet":{"items":[{"instanceId":"$instance","currentState":{"code":0,"name":"pending"},"previousState":{"code":80,"name":"stopped"}}]}}"#,
    ),
    write(
        5,
        "ec2",
        "StopInstances",
        r#"{"instancesSet":{"items":[{"instanceId":"$instance"}]},"force":false}"#,
        r#"{"requestId":"$uuid","instancesSet":{"items":[{"instanceId":"$instance","currentState":{"code":64,"name":"stopping"},"previousState":{"code":16,"name":"running"}}]}}"#,
    ),
    write(
        3,
        "ec2",
        "AuthorizeSecurityGroupIngress",
        r#"{"groupId":"$sg","ipPermissions":{"items":[{"ipProtocol":"tcp","fromPort":5432,"toPort":5432,"groups":{},"ipRanges":{"items":[{"cidrIp":"10.16.0.0/12"}]},"ipv6Ranges":{},"prefixListIds":{}}]}}"#,
        r#"{"requestId":"$uuid","_return":true,"securityGroupRuleSet":{"items":[{"groupOwnerId":"$account","groupId":"$sg","securityGroupRuleId":"sgr-0$hex16","isEgress":false,"ipProtocol":"tcp","fromPort":5432,"toPort":5432,"cidrIpv4":"10.16.0.0/12"}]}}"#,
    ),
    write(
        5,
        "ssm",
        "StartSession",
        r#"{"target":"$instance"}"#,
        r#"{"sessionId":"session-$hex16","tokenValue":"Value hidden due to security reasons.","streamUrl":"wss://ssmmessages.$region.amazonaws.com/v1/data-channel/session-$hex16?role=publish_subscribe"}"#,
    ),
    write(4, "ssm", "TerminateSession", r#"{"sessionId":"session-$hex16"}"#, r#"{"sessionId":"session-$hex16"}"#),
    write(
        3,
        "ssm",
        "PutParameter",
        r#"{"name":"$param","type":"SecureString","value":"HIDDEN_DUE_TO_SECURITY_REASONS","overwrite":true}"#,
        r#"{"version":$small,"tier":"Standard"}"#,
    ),
    write(
        4,
        "ecs",
        "UpdateService",
        r#"{"cluster":"main","service":"$service","desiredCount":4}"#,
        r#"{"service":{"serviceArn":"arn:aws:ecs:$region:$account:service/main/$service","serviceName":"$service","status":"ACTIVE","desiredCount":4,"runningCount":3,"pendingCount":1}}"#,
    ),
    write(
        3,
        "monitoring",
        "PutMetricAlarm",
        r#"{"alarmName":"$service-5xx","metricName":"HTTPCode_Target_5XX_Count","namespace":"AWS/ApplicationELB","statistic":"Sum","period":60,"evaluationPeriods":3,"threshold":10.0,"comparisonOperator":"GreaterThanThreshold","actionsEnabled":true}"#,
        "null",
    ),
    write(3, "logs", "PutRetentionPolicy", r#"{"logGroupName":"/ecs/$service","retentionInDays":90}"#, "null"),
    read(4, "secretsmanager", "GetSecretValue", r#"{"secretId":"$secret"}"#),
    write(
        2,
        "lambda",
        "UpdateFunctionConfiguration20150331v2",
        r#"{"functionName":"$fn","timeout":60,"environment":{}}"#,
        FUNCTION,
    ),
    write(
        2,
        "rds",
        "CreateDBSnapshot",
        r#"{"dBSnapshotIdentifier":"orders-$hex8","dBInstanceIdentifier":"orders-primary"}"#,
        r#"{"dBSnapshotIdentifier":"orders-$hex8","dBInstanceIdentifier":"orders-primary","engine":"postgres","status":"creating","snapshotType":"manual","encrypted":true,"kmsKeyId":"arn:aws:kms:$region:$account:key/$kms","dBSnapshotArn":"arn:aws:rds:$region:$account:snapshot:orders-$hex8"}"#,
    ),
    read(5, "s3", "GetObject", r#"{"bucketName":"$bucket","Host":"$bucket.s3.$region.amazonaws.com","key":"$key"}"#)
        .on(OBJECT)
        .data(),
];

/// A data scientist or an AI workload.
pub(crate) const MACHINE_LEARNING: &[Action] = &[
    read(10, "bedrock", "InvokeModel", r#"{"modelId":"$model"}"#),
    read(6, "bedrock", "Converse", r#"{"modelId":"$model"}"#),
    read(3, "bedrock", "ListFoundationModels", "null"),
    read(2, "bedrock", "GetFoundationModel", r#"{"modelIdentifier":"$model"}"#),
    read(8, "sagemaker", "DescribeTrainingJob", r#"{"trainingJobName":"$job"}"#),
    read(4, "sagemaker", "ListTrainingJobs", r#"{"maxResults":50,"sortBy":"CreationTime","sortOrder":"Descending"}"#),
    write(
        3,
        "sagemaker",
        "CreateTrainingJob",
        r#"{"trainingJobName":"$job","roleArn":"arn:aws:iam::$account:role/service-role/training-jobs","algorithmSpecification":{"trainingImage":"$account.dkr.ecr.$region.amazonaws.com/grasp-policy:$hex40","trainingInputMode":"FastFile"},"resourceConfig":{"instanceType":"ml.g6.12xlarge","instanceCount":1,"volumeSizeInGB":200},"outputDataConfig":{"s3OutputPath":"s3://$bucket/training/"},"stoppingCondition":{"maxRuntimeInSeconds":86400},"enableNetworkIsolation":false}"#,
        r#"{"trainingJobArn":"arn:aws:sagemaker:$region:$account:training-job/$job"}"#,
    ),
    write(
        2,
        "sagemaker",
        "CreatePresignedDomainUrl",
        r#"{"domainId":"d-fernhill","userProfileName":"lab","sessionExpirationDurationInSeconds":43200}"#,
        "null",
    ),
    read(3, "sagemaker", "DescribeEndpoint", r#"{"endpointName":"grasp-policy-live"}"#),
    read(9, "s3", "GetObject", r#"{"bucketName":"$bucket","Host":"$bucket.s3.$region.amazonaws.com","key":"$key"}"#)
        .on(OBJECT)
        .data(),
    read(2, "athena", "GetQueryExecution", r#"{"queryExecutionId":"$uuid"}"#),
    write(
        2,
        "athena",
        "StartQueryExecution",
        r#"{"queryString":"HIDDEN_DUE_TO_SECURITY_REASONS","workGroup":"science","clientRequestToken":"$uuid","queryExecutionContext":{"database":"telemetry"}}"#,
        r#"{"queryExecutionId":"$uuid2"}"#,
    ),
    read(2, "glue", "GetTable", r#"{"catalogId":"$account","databaseName":"telemetry","name":"robot_heartbeats"}"#),
];
