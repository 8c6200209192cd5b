//! What machines call: instances, functions and AWS services themselves.

use super::{Action, read, write};

const OBJECT: &str = r#"[{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::$bucket/$key"},{"accountId":"$account","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::$bucket"}]"#;
const PREFIX: &str = r#"[{"type":"AWS::S3::Object","ARNPrefix":"arn:aws:s3:::$bucket/"},{"accountId":"$account","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::$bucket"}]"#;
const BUCKET: &str = r#"[{"accountId":"$account","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::$bucket"}]"#;
const KMS_KEY: &str =
    r#"[{"accountId":"$account","type":"AWS::KMS::Key","ARN":"arn:aws:kms:$region:$account:key/$kms"}]"#;
const TABLE: &str = r#"[{"accountId":"$account","type":"AWS::DynamoDB::Table","ARN":"arn:aws:dynamodb:$region:$account:table/$table"}]"#;

const GET_OBJECT: Action =
    read(20, "s3", "GetObject", r#"{"bucketName":"$bucket","Host":"$bucket.s3.$region.amazonaws.com","key":"$key"}"#)
        .on(OBJECT)
        .data();
const HEAD_OBJECT: Action =
    read(6, "s3", "HeadObject", r#"{"bucketName":"$bucket","Host":"$bucket.s3.$region.amazonaws.com","key":"$key"}"#)
        .on(OBJECT)
        .data();
const PUT_OBJECT: Action = write(12, "s3", "PutObject", r#"{"bucketName":"$bucket","Host":"$bucket.s3.$region.amazonaws.com","key":"$key","x-amz-server-side-encryption":"aws:kms"}"#, r#"{"x-amz-server-side-encryption":"aws:kms","x-amz-server-side-encryption-aws-kms-key-id":"arn:aws:kms:$region:$account:key/$kms","x-amz-server-side-encryption-bucket-key-enabled":"true"}"#).on(OBJECT).data();
const DECRYPT_SECRET: Action = read(7, "kms", "Decrypt", r#"{"encryptionContext":{"SecretARN":"arn:aws:secretsmanager:$region:$account:secret:$secret-a1B2c3","SecretVersionId":"$uuid2"},"encryptionAlgorithm":"SYMMETRIC_DEFAULT"}"#).on(KMS_KEY);
const GET_SECRET: Action = read(4, "secretsmanager", "GetSecretValue", r#"{"secretId":"$secret"}"#);

/// An application on EC2 or ECS.
pub(crate) const WORKER: &[Action] = &[
    GET_OBJECT,
    HEAD_OBJECT,
    PUT_OBJECT,
    read(4, "s3", "ListObjects", r#"{"list-type":"2","bucketName":"$bucket","encoding-type":"url","prefix":"telemetry/$date/","delimiter":"/","Host":"$bucket.s3.$region.amazonaws.com"}"#).on(PREFIX).data(),
    write(2, "s3", "DeleteObject", r#"{"bucketName":"$bucket","Host":"$bucket.s3.$region.amazonaws.com","key":"$key"}"#, "null").on(OBJECT).data(),
    read(9, "kms", "Decrypt", r#"{"encryptionContext":{"aws:s3:arn":"arn:aws:s3:::$bucket"},"encryptionAlgorithm":"SYMMETRIC_DEFAULT","keyId":"arn:aws:kms:$region:$account:key/$kms"}"#).on(KMS_KEY),
    read(7, "kms", "GenerateDataKey", r#"{"encryptionContext":{"aws:s3:arn":"arn:aws:s3:::$bucket"},"keySpec":"AES_256","keyId":"arn:aws:kms:$region:$account:key/$kms"}"#).on(KMS_KEY),
    DECRYPT_SECRET,
    GET_SECRET,
    read(8, "dynamodb", "GetItem", r#"{"tableName":"$table","key":{"pk":"ROBOT#$hex8"},"consistentRead":false}"#).on(TABLE).data(),
    read(6, "dynamodb", "Query", r#"{"tableName":"$table","keyConditionExpression":"pk = :pk AND sk > :since","expressionAttributeValues":"HIDDEN_DUE_TO_SECURITY_REASONS","limit":$small}"#).on(TABLE).data(),
    write(5, "dynamodb", "PutItem", r#"{"tableName":"$table","key":{"pk":"ORDER#$uuid"}}"#, "null").on(TABLE).data(),
    write(4, "dynamodb", "UpdateItem", r#"{"tableName":"$table","key":{"pk":"ROBOT#$hex8","sk":"STATE"},"updateExpression":"SET heartbeat = :t ADD version :one"}"#, "null").on(TABLE).data(),
    read(5, "ssm", "GetParameter", r#"{"name":"$param","withDecryption":true}"#).on(r#"[{"accountId":"$account","ARN":"arn:aws:ssm:$region:$account:parameter$param"}]"#),
    write(6, "ssm", "UpdateInstanceInformation", r#"{"instanceId":"$instance","agentVersion":"3.3.2746.0","agentStatus":"Active","platformType":"Linux","platformName":"Amazon Linux","platformVersion":"2023","iPAddress":"$network","computerName":"ip-10-0-0-1.ec2.internal","agentName":"amazon-ssm-agent","availabilityZoneId":"use1-az4","sSMConnectionChannel":"ssmmessages"}"#, "null"),
    read(3, "ssm", "ListInstanceAssociations", r#"{"instanceId":"$instance","maxResults":20}"#),
    read(3, "ec2", "DescribeTags", r#"{"maxResults":1000,"filterSet":{"items":[{"name":"resource-id","valueSet":{"items":[{"value":"$instance"}]}}]},"tagSet":{"items":[]}}"#),
    read(3, "ec2", "DescribeInstances", r#"{"maxResults":1000,"instancesSet":{},"filterSet":{"items":[{"name":"tag:service","valueSet":{"items":[{"value":"$service"}]}}]}}"#),
    read(3, "ecr", "GetAuthorizationToken", "null"),
    read(3, "ecr", "BatchGetImage", r#"{"registryId":"$account","repositoryName":"$service","imageIds":[{"imageDigest":"sha256:$hex64"}],"acceptedMediaTypes":["application/vnd.docker.distribution.manifest.v2+json","application/vnd.oci.image.manifest.v1+json"]}"#).on(r#"[{"accountId":"$account","ARN":"arn:aws:ecr:$region:$account:repository/$service"}]"#),
    read(3, "ecr", "GetDownloadUrlForLayer", r#"{"registryId":"$account","repositoryName":"$service","layerDigest":"sha256:$hex64"}"#).on(r#"[{"accountId":"$account","ARN":"arn:aws:ecr:$region:$account:repository/$service"}]"#),
    write(4, "logs", "CreateLogStream", r#"{"logGroupName":"/ecs/$service","logStreamName":"app/$service/$hex32"}"#, "null"),
    read(2, "sts", "GetCallerIdentity", "null"),
    read(2, "bedrock", "InvokeModel", r#"{"modelId":"$model"}"#),
    read(1, "sagemaker", "InvokeEndpoint", r#"{"endpointName":"grasp-policy-live","contentType":"application/x-npy"}"#).data(),
    read(3, "elasticloadbalancing", "DescribeTargetHealth", r#"{"targetGroupArn":"arn:aws:elasticloadbalancing:$region:$account:targetgroup/$service/$hex16"}"#),
];

/// A Lambda function.
pub(crate) const LAMBDA: &[Action] = &[
    GET_OBJECT,
    PUT_OBJECT,
    HEAD_OBJECT,
    read(10, "kms", "Decrypt", r#"{"encryptionContext":{"aws:lambda:FunctionArn":"arn:aws:lambda:$region:$account:function:$fn"},"encryptionAlgorithm":"SYMMETRIC_DEFAULT"}"#).on(KMS_KEY),
    read(9, "dynamodb", "GetItem", r#"{"tableName":"$table","key":{"pk":"SESSION#$uuid"}}"#).on(TABLE).data(),
    write(7, "dynamodb", "PutItem", r#"{"tableName":"$table","key":{"pk":"EVENT#$uuid"}}"#, "null").on(TABLE).data(),
    write(3, "dynamodb", "DeleteItem", r#"{"tableName":"$table","key":{"pk":"SESSION#$uuid"}}"#, "null").on(TABLE).data(),
    read(5, "dynamodb", "DescribeStream", r#"{"streamArn":"arn:aws:dynamodb:$region:$account:table/$table/stream/2026-01-12T09:14:33.127","limit":100}"#),
    GET_SECRET,
    DECRYPT_SECRET,
    read(4, "ssm", "GetParameters", r#"{"names":["$param","/shared/observability/endpoint"],"withDecryption":true}"#),
    write(6, "logs", "CreateLogStream", r#"{"logGroupName":"/aws/lambda/$fn","logStreamName":"$date/[$LATEST]$hex32"}"#, "null"),
    write(1, "logs", "CreateLogGroup", r#"{"logGroupName":"/aws/lambda/$fn"}"#, "null"),
    read(3, "lambda", "Invoke", r#"{"functionName":"arn:aws:lambda:$region:$account:function:$fn","invocationType":"RequestResponse","clientContext":"HIDDEN_DUE_TO_SECURITY_REASONS"}"#).on(r#"[{"accountId":"$account","type":"AWS::Lambda::Function","ARN":"arn:aws:lambda:$region:$account:function:$fn"}]"#).data(),
    read(2, "ec2", "DescribeNetworkInterfaces", r#"{"networkInterfaceIdSet":{"items":[]},"filterSet":{"items":[{"name":"subnet-id","valueSet":{"items":[{"value":"$subnet"}]}}]}}"#),
    read(2, "bedrock", "Converse", r#"{"modelId":"$model"}"#),
];

/// CloudTrail writing its own files.
pub(crate) const CLOUDTRAIL_DELIVERY: &[Action] = &[
    write(10, "s3", "PutObject", r#"{"bucketName":"fernhill-org-trail","Host":"fernhill-org-trail.s3.$region.amazonaws.com","key":"AWSLogs/$account/CloudTrail/$region/$date/${account}_CloudTrail_${region}_$hex16.json.gz","x-amz-acl":"bucket-owner-full-control","x-amz-server-side-encryption":"aws:kms"}"#, r#"{"x-amz-server-side-encryption":"aws:kms","x-amz-server-side-encryption-aws-kms-key-id":"arn:aws:kms:$region:$account:key/$kms"}"#).on(r#"[{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::fernhill-org-trail/AWSLogs/$account/CloudTrail/$region/$date/${account}_CloudTrail_${region}_$hex16.json.gz"},{"accountId":"$account","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::fernhill-org-trail"}]"#).data(),
    read(6, "s3", "GetBucketAcl", r#"{"bucketName":"fernhill-org-trail","Host":"fernhill-org-trail.s3.$region.amazonaws.com","acl":""}"#).on(r#"[{"accountId":"$account","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::fernhill-org-trail"}]"#),
    read(8, "kms", "GenerateDataKey", r#"{"keyId":"arn:aws:kms:$region:$account:key/$kms","encryptionContext":{"aws:cloudtrail:arn":"arn:aws:cloudtrail:us-east-1:$account:trail/org-trail","aws:s3:arn":"arn:aws:s3:::fernhill-org-trail/AWSLogs/$account/CloudTrail/$region/$date/$hex16.json.gz"},"keySpec":"AES_256"}"#).on(KMS_KEY),
];

/// The log delivery service writing flow and access logs.
pub(crate) const LOG_DELIVERY: &[Action] = &[
    write(10, "s3", "PutObject", r#"{"bucketName":"$bucket","Host":"$bucket.s3.$region.amazonaws.com","key":"AWSLogs/$account/vpcflowlogs/$region/$date/${account}_vpcflowlogs_${region}_fl-${hex16}_$hex8.log.gz","x-amz-acl":"bucket-owner-full-control"}"#, r#"{"x-amz-server-side-encryption":"AES256"}"#).on(BUCKET).data(),
    read(2, "s3", "HeadBucket", r#"{"bucketName":"$bucket","Host":"$bucket.s3.$region.amazonaws.com"}"#).on(BUCKET),
];

/// Auto Scaling and load balancing through their service-linked roles.
pub(crate) const SCALING: &[Action] = &[
    read(
        6,
        "ec2",
        "DescribeInstanceStatus",
        r#"{"instancesSet":{"items":[{"instanceId":"$instance"},{"instanceId":"$instance2"}]},"filterSet":{},"includeAllInstances":true}"#,
    ),
    read(
        5,
        "elasticloadbalancing",
        "DescribeTargetHealth",
        r#"{"targetGroupArn":"arn:aws:elasticloadbalancing:$region:$account:targetgroup/$service/$hex16"}"#,
    ),
    read(
        3,
        "ec2",
        "DescribeLaunchTemplateVersions",
        r#"{"DescribeLaunchTemplateVersionsRequest":{"LaunchTemplateVersion":{"tag":1,"content":"$DEFAULT"},"LaunchTemplateId":"lt-0$hex16"}}"#,
    ),
    write(
        2,
        "elasticloadbalancing",
        "RegisterTargets",
        r#"{"targetGroupArn":"arn:aws:elasticloadbalancing:$region:$account:targetgroup/$service/$hex16","targets":[{"id":"$instance"}]}"#,
        "null",
    ),
    write(
        1,
        "ec2",
        "RunInstances",
        r#"{"instancesSet":{"items":[{"imageId":"$image","minCount":1,"maxCount":1}]},"instanceType":"m7g.large","subnetId":"$subnet","monitoring":{"enabled":false},"disableApiTermination":false,"clientToken":"$uuid"}"#,
        r#"{"requestId":"$uuid2","reservationId":"r-0$hex16","ownerId":"$account","groupSet":{},"instancesSet":{"items":[{"instanceId":"i-0$hex16","imageId":"$image","instanceState":{"code":0,"name":"pending"},"instanceType":"m7g.large","subnetId":"$subnet","vpcId":"$vpc","privateIpAddress":"$network","groupSet":{"items":[{"groupId":"$sg","groupName":"$service"}]}}]}}"#,
    ),
];

/// Config, GuardDuty and Security Hub looking around through their service-linked roles.
pub(crate) const SERVICE_LINKED: &[Action] = &[
    read(
        5,
        "ec2",
        "DescribeSecurityGroups",
        r#"{"maxResults":1000,"securityGroupSet":{},"securityGroupIdSet":{},"filterSet":{}}"#,
    ),
    read(4, "ec2", "DescribeVolumes", r#"{"maxResults":500,"volumeSet":{},"filterSet":{}}"#),
    read(4, "ec2", "DescribeSubnets", r#"{"subnetSet":{},"filterSet":{},"maxResults":1000}"#),
    read(3, "ec2", "DescribeRouteTables", r#"{"routeTableIdSet":{},"filterSet":{}}"#),
    read(4, "lambda", "ListFunctions20150331", r#"{"maxItems":50}"#),
    read(3, "lambda", "GetPolicy20150331v2", r#"{"functionName":"$fn"}"#),
    read(
        4,
        "s3",
        "GetBucketEncryption",
        r#"{"bucketName":"$bucket","encryption":"","Host":"$bucket.s3.$region.amazonaws.com"}"#,
    )
    .on(BUCKET),
    read(
        4,
        "s3",
        "GetBucketVersioning",
        r#"{"bucketName":"$bucket","versioning":"","Host":"$bucket.s3.$region.amazonaws.com"}"#,
    )
    .on(BUCKET),
    read(3, "kms", "DescribeKey", r#"{"keyId":"arn:aws:kms:$region:$account:key/$kms"}"#).on(KMS_KEY),
    read(3, "kms", "ListKeys", r#"{"limit":1000}"#),
    read(3, "rds", "DescribeDBInstances", r#"{"maxRecords":100}"#),
    read(2, "ssm", "DescribeInstanceInformation", r#"{"maxResults":50}"#),
    read(2, "dynamodb", "ListTables", r#"{"limit":100}"#),
    read(1, "dynamodb", "DescribeTable", r#"{"tableName":"$table"}"#).on(TABLE),
];
