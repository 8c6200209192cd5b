//! What people and auditors look at.

use super::{Action, read};

const BUCKET: &str = r#"[{"accountId":"$account","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::$bucket"}]"#;
const SECRET: &str = r#"{"secretId":"arn:aws:secretsmanager:$region:$account:secret:$secret-a1B2c3"}"#;

/// A person looking around in the console or with the command line.
pub(crate) const CONSOLE: &[Action] = &[
    read(14, "ec2", "DescribeInstances", r#"{"maxResults":50,"instancesSet":{},"filterSet":{"items":[{"name":"instance-state-name","valueSet":{"items":[{"value":"running"}]}}]}}"#),
    read(8, "ec2", "DescribeInstanceStatus", r#"{"instancesSet":{"items":[{"instanceId":"$instance"}]},"filterSet":{},"includeAllInstances":false}"#),
    read(6, "ec2", "DescribeSecurityGroups", r#"{"maxResults":1000,"securityGroupSet":{},"securityGroupIdSet":{"items":[{"groupId":"$sg"}]},"filterSet":{}}"#),
    read(5, "ec2", "DescribeVpcs", r#"{"vpcSet":{},"filterSet":{}}"#),
    read(4, "ec2", "DescribeVolumes", r#"{"maxResults":50,"volumeSet":{"items":[{"volumeId":"$volume"}]},"filterSet":{}}"#),
    read(3, "ec2", "DescribeImages", r#"{"executableBySet":{},"imagesSet":{"items":[{"imageId":"$image"}]},"ownersSet":{},"filterSet":{}}"#),
    read(9, "monitoring", "DescribeAlarms", r#"{"maxRecords":100,"stateValue":"ALARM"}"#),
    read(5, "monitoring", "ListDashboards", "null"),
    read(4, "monitoring", "GetDashboard", r#"{"dashboardName":"$service"}"#),
    read(12, "logs", "DescribeLogGroups", r#"{"limit":50,"logGroupNamePrefix":"/ecs/"}"#),
    read(10, "logs", "StartQuery", r#"{"logGroupNames":["/ecs/$service"],"queryString":"HIDDEN_DUE_TO_SECURITY_REASONS","limit":1000,"startTime":$epoch_ago,"endTime":$epoch}"#),
    read(10, "logs", "GetQueryResults", r#"{"queryId":"$uuid"}"#),
    read(8, "logs", "FilterLogEvents", r#"{"logGroupName":"/aws/lambda/$fn","limit":100,"interleaved":true,"filterPattern":"HIDDEN_DUE_TO_SECURITY_REASONS"}"#),
    read(8, "lambda", "ListFunctions20150331", r#"{"maxItems":50}"#),
    read(6, "lambda", "GetFunction20150331v2", r#"{"functionName":"arn:aws:lambda:$region:$account:function:$fn"}"#),
    read(4, "lambda", "GetFunctionConfiguration20150331v2", r#"{"functionName":"$fn"}"#),
    read(6, "s3", "ListBuckets", r#"{"Host":"s3.$region.amazonaws.com"}"#),
    read(4, "s3", "GetBucketLocation", r#"{"bucketName":"$bucket","location":"","Host":"$bucket.s3.$region.amazonaws.com"}"#).on(BUCKET),
    read(3, "s3", "GetBucketPolicy", r#"{"bucketName":"$bucket","policy":"","Host":"$bucket.s3.$region.amazonaws.com"}"#).on(BUCKET),
    read(3, "s3", "GetBucketPublicAccessBlock", r#"{"publicAccessBlock":"","bucketName":"$bucket","Host":"$bucket.s3.$region.amazonaws.com"}"#).on(BUCKET),
    read(5, "ecs", "ListServices", r#"{"cluster":"main","maxResults":100}"#),
    read(6, "ecs", "DescribeServices", r#"{"cluster":"arn:aws:ecs:$region:$account:cluster/main","services":["$service"],"include":["TAGS"]}"#),
    read(4, "ecs", "DescribeTasks", r#"{"cluster":"arn:aws:ecs:$region:$account:cluster/main","tasks":["arn:aws:ecs:$region:$account:task/main/$hex32"]}"#),
    read(4, "rds", "DescribeDBInstances", r#"{"dBInstanceIdentifier":"orders-primary"}"#),
    read(4, "dynamodb", "ListTables", r#"{"limit":100}"#),
    read(4, "dynamodb", "DescribeTable", r#"{"tableName":"$table"}"#).on(r#"[{"accountId":"$account","type":"AWS::DynamoDB::Table","ARN":"arn:aws:dynamodb:$region:$account:table/$table"}]"#),
    read(3, "secretsmanager", "ListSecrets", r#"{"maxResults":100,"includePlannedDeletion":false}"#),
    read(2, "secretsmanager", "DescribeSecret", SECRET),
    read(4, "ssm", "DescribeParameters", r#"{"maxResults":50,"parameterFilters":[{"key":"Name","option":"BeginsWith","values":["$param"]}]}"#),
    read(3, "ssm", "GetConnectionStatus", r#"{"target":"$instance"}"#),
    read(3, "kms", "ListAliases", r#"{"limit":100}"#),
    read(4, "cloudformation", "DescribeStacks", r#"{"stackName":"$stack"}"#),
    read(3, "cloudformation", "ListStacks", r#"{"stackStatusFilter":["CREATE_COMPLETE","UPDATE_COMPLETE","UPDATE_ROLLBACK_COMPLETE"]}"#),
    read(4, "cloudtrail", "LookupEvents", r#"{"maxResults":50,"lookupAttributes":[{"attributeKey":"ReadOnly","attributeValue":"false"}],"startTime":"$ago","endTime":"$now"}"#),
    read(2, "resource-groups", "ListGroups", r#"{"maxResults":50}"#),
    read(2, "servicequotas", "ListServiceQuotas", r#"{"serviceCode":"ec2","maxResults":100}"#),
    read(5, "sts", "GetCallerIdentity", "null"),
];

/// What the same person looks at where the global services answer (us-east-1).
pub(crate) const GLOBAL_CONSOLE: &[Action] = &[
    read(8, "iam", "ListRoles", r#"{"maxItems":1000}"#),
    read(7, "iam", "GetRole", r#"{"roleName":"$role"}"#),
    read(5, "iam", "ListAttachedRolePolicies", r#"{"roleName":"$role"}"#),
    read(4, "iam", "ListRolePolicies", r#"{"roleName":"$role"}"#),
    read(5, "iam", "ListPolicies", r#"{"scope":"Local","onlyAttached":false,"maxItems":1000}"#),
    read(4, "iam", "GetPolicyVersion", r#"{"policyArn":"arn:aws:iam::$account:policy/$policy","versionId":"v3"}"#),
    read(3, "iam", "ListUsers", r#"{"maxItems":1000}"#),
    read(2, "iam", "GetUser", r#"{"userName":"$user"}"#),
    read(2, "iam", "ListAccessKeys", r#"{"userName":"$user"}"#),
    read(2, "iam", "ListMFADevices", r#"{"userName":"$user"}"#),
    read(3, "iam", "GetAccountSummary", "null"),
    read(
        4,
        "health",
        "DescribeEventAggregates",
        r#"{"filter":{"eventStatusCodes":["open","upcoming"]},"aggregateField":"eventTypeCategory"}"#,
    ),
    read(2, "organizations", "DescribeOrganization", "null"),
    read(3, "cloudfront", "ListDistributions", r#"{"maxItems":"100"}"#),
    read(3, "route53", "ListHostedZones", r#"{"maxItems":"100"}"#),
];

/// Finance looking at costs.
pub(crate) const BILLING: &[Action] = &[
    read(
        8,
        "ce",
        "GetCostAndUsage",
        r#"{"timePeriod":{"start":"$month_ago","end":"$day"},"granularity":"DAILY","metrics":["UnblendedCost"],"groupBy":[{"type":"DIMENSION","key":"SERVICE"}]}"#,
    ),
    read(
        4,
        "ce",
        "GetCostForecast",
        r#"{"timePeriod":{"start":"$month_ago","end":"$day"},"metric":"UNBLENDED_COST","granularity":"MONTHLY"}"#,
    ),
    read(
        3,
        "ce",
        "GetDimensionValues",
        r#"{"dimension":"LINKED_ACCOUNT","timePeriod":{"start":"$month_ago","end":"$day"}}"#,
    ),
    read(2, "organizations", "ListAccounts", "null"),
];

/// The security team's nightly audit, in every account and region.
pub(crate) const AUDIT: &[Action] = &[
    read(
        6,
        "ec2",
        "DescribeSecurityGroups",
        r#"{"maxResults":1000,"securityGroupSet":{},"securityGroupIdSet":{},"filterSet":{}}"#,
    ),
    read(5, "ec2", "DescribeInstances", r#"{"maxResults":1000,"instancesSet":{},"filterSet":{}}"#),
    read(
        4,
        "ec2",
        "DescribeSnapshots",
        r#"{"maxResults":1000,"snapshotSet":{},"ownersSet":{"items":[{"owner":"self"}]},"sharedUsersSet":{},"filterSet":{}}"#,
    ),
    read(4, "ec2", "DescribeFlowLogs", r#"{"DescribeFlowLogsRequest":{"MaxResults":1000}}"#),
    read(3, "ec2", "GetEbsEncryptionByDefault", r#"{"GetEbsEncryptionByDefaultRequest":""}"#),
    read(5, "s3", "GetBucketAcl", r#"{"bucketName":"$bucket","acl":"","Host":"$bucket.s3.$region.amazonaws.com"}"#)
        .on(BUCKET),
    read(
        5,
        "s3",
        "GetBucketPolicy",
        r#"{"bucketName":"$bucket","policy":"","Host":"$bucket.s3.$region.amazonaws.com"}"#,
    )
    .on(BUCKET),
    read(
        4,
        "s3",
        "GetBucketLogging",
        r#"{"bucketName":"$bucket","logging":"","Host":"$bucket.s3.$region.amazonaws.com"}"#,
    )
    .on(BUCKET),
    read(5, "cloudtrail", "DescribeTrails", r#"{"trailNameList":[],"includeShadowTrails":true}"#),
    read(5, "cloudtrail", "GetTrailStatus", r#"{"name":"arn:aws:cloudtrail:us-east-1:$account:trail/org-trail"}"#),
    read(
        3,
        "cloudtrail",
        "GetEventSelectors",
        r#"{"trailName":"arn:aws:cloudtrail:us-east-1:$account:trail/org-trail"}"#,
    ),
    read(4, "kms", "GetKeyRotationStatus", r#"{"keyId":"$kms"}"#)
        .on(r#"[{"accountId":"$account","type":"AWS::KMS::Key","ARN":"arn:aws:kms:$region:$account:key/$kms"}]"#),
    read(4, "kms", "GetKeyPolicy", r#"{"keyId":"$kms","policyName":"default"}"#)
        .on(r#"[{"accountId":"$account","type":"AWS::KMS::Key","ARN":"arn:aws:kms:$region:$account:key/$kms"}]"#),
    read(3, "lambda", "ListFunctions20150331", r#"{"maxItems":50}"#),
    read(3, "rds", "DescribeDBInstances", r#"{"maxRecords":100}"#),
    read(3, "guardduty", "ListDetectors", "null"),
    read(2, "config", "DescribeConfigurationRecorders", "null"),
    read(2, "secretsmanager", "ListSecrets", r#"{"maxResults":100}"#),
    read(6, "iam", "ListUsers", r#"{"maxItems":1000}"#),
    read(4, "iam", "GetCredentialReport", "null"),
    read(3, "iam", "GenerateCredentialReport", "null"),
    read(4, "iam", "GetAccountPasswordPolicy", "null"),
    read(4, "iam", "ListVirtualMFADevices", "null"),
    read(
        3,
        "iam",
        "GetAccountAuthorizationDetails",
        r#"{"filter":["User","Role","LocalManagedPolicy"],"maxItems":1000}"#,
    ),
];
