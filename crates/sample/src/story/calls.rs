//! The calls that the stories are made of, shaped as the API reference and the CloudTrail user guides show them.

use crate::call::Call;
use crate::record::Kind;

pub(super) const CALLER_IDENTITY: Call = Call::read("sts", "GetCallerIdentity", "null")
    .with(r#"{"RequestDetails":{"awsServingRegion":"$region","endpointType":"regional"}}"#);
pub(super) const LIST_USERS: Call = Call::read("iam", "ListUsers", "null");
pub(super) const LIST_ROLES: Call = Call::read("iam", "ListRoles", "null");
pub(super) const LIST_USER_POLICIES: Call = Call::read("iam", "ListAttachedUserPolicies", r#"{"userName":"$name"}"#);
pub(super) const AUTHORIZATION_DETAILS: Call = Call::read("iam", "GetAccountAuthorizationDetails", "null");
pub(super) const POLICY_VERSION: Call = Call::read(
    "iam",
    "GetPolicyVersion",
    r#"{"policyArn":"arn:aws:iam::$account:policy/$policy_name","versionId":"v3"}"#,
);

pub(super) const CREATE_USER: Call = Call::write(
    "iam",
    "CreateUser",
    r#"{"userName":"$name"}"#,
    r#"{"user":{"path":"/","userName":"$name","userId":"$user_id","arn":"arn:aws:iam::$account:user/$name","createDate":"$american"}}"#,
);
pub(super) const CREATE_ACCESS_KEY: Call = Call::write(
    "iam",
    "CreateAccessKey",
    r#"{"userName":"$name"}"#,
    r#"{"accessKey":{"userName":"$name","accessKeyId":"$new_key","status":"Active","createDate":"$american"}}"#,
);
pub(super) const UPDATE_ACCESS_KEY: Call = Call::write(
    "iam",
    "UpdateAccessKey",
    r#"{"userName":"$name","accessKeyId":"$old_key","status":"Inactive"}"#,
    "null",
);
pub(super) const CREATE_LOGIN_PROFILE: Call = Call::write(
    "iam",
    "CreateLoginProfile",
    r#"{"userName":"$name","passwordResetRequired":$reset}"#,
    r#"{"loginProfile":{"userName":"$name","createDate":"$american","passwordResetRequired":$reset}}"#,
);
pub(super) const UPDATE_LOGIN_PROFILE: Call =
    Call::write("iam", "UpdateLoginProfile", r#"{"userName":"$name","passwordResetRequired":false}"#, "null");
pub(super) const ATTACH_USER_POLICY: Call = Call::write(
    "iam",
    "AttachUserPolicy",
    r#"{"userName":"$name","policyArn":"arn:aws:iam::aws:policy/$policy_name"}"#,
    "null",
);
pub(super) const ATTACH_ROLE_POLICY: Call = Call::write(
    "iam",
    "AttachRolePolicy",
    r#"{"roleName":"$role_name","policyArn":"arn:aws:iam::aws:policy/$policy_name"}"#,
    "null",
);
pub(super) const PUT_USER_POLICY: Call = Call::write(
    "iam",
    "PutUserPolicy",
    r#"{"userName":"$name","policyName":"$policy_name","policyDocument":$document}"#,
    "null",
);
pub(super) const CREATE_POLICY_VERSION: Call = Call::write(
    "iam",
    "CreatePolicyVersion",
    r#"{"policyArn":"arn:aws:iam::$account:policy/$policy_name","policyDocument":$document,"setAsDefault":true}"#,
    r#"{"policyVersion":{"versionId":"v4","isDefaultVersion":true,"createDate":"$american"}}"#,
);
pub(super) const ADD_USER_TO_GROUP: Call =
    Call::write("iam", "AddUserToGroup", r#"{"groupName":"$group","userName":"$name"}"#, "null");
pub(super) const UPDATE_TRUST: Call =
    Call::write("iam", "UpdateAssumeRolePolicy", r#"{"roleName":"$role_name","policyDocument":$document}"#, "null");
pub(super) const DELETE_BOUNDARY: Call =
    Call::write("iam", "DeleteRolePermissionsBoundary", r#"{"roleName":"$role_name"}"#, "null");
pub(super) const DEACTIVATE_MFA: Call = Call::write(
    "iam",
    "DeactivateMFADevice",
    r#"{"userName":"$name","serialNumber":"arn:aws:iam::$account:mfa/$device"}"#,
    "null",
);
pub(super) const ENABLE_MFA: Call = Call::write(
    "iam",
    "EnableMFADevice",
    r#"{"userName":"$name","serialNumber":"arn:aws:iam::$account:mfa/$device"}"#,
    "null",
);
pub(super) const WEAK_PASSWORDS: Call = Call::write(
    "iam",
    "UpdateAccountPasswordPolicy",
    r#"{"minimumPasswordLength":6,"requireSymbols":false,"requireNumbers":false,"requireUppercaseCharacters":false,"requireLowercaseCharacters":false,"allowUsersToChangePassword":true,"hardExpiry":false}"#,
    "null",
);
pub(super) const STRONG_PASSWORDS: Call = Call::write(
    "iam",
    "UpdateAccountPasswordPolicy",
    r#"{"minimumPasswordLength":16,"requireSymbols":true,"requireNumbers":true,"requireUppercaseCharacters":true,"requireLowercaseCharacters":true,"allowUsersToChangePassword":true,"maxPasswordAge":90,"passwordReusePrevention":24,"hardExpiry":false}"#,
    "null",
);
pub(super) const CREATE_OIDC_PROVIDER: Call = Call::write(
    "iam",
    "CreateOpenIDConnectProvider",
    r#"{"url":"https://$issuer","clientIDList":["sts.amazonaws.com"],"thumbprintList":["$hex40"]}"#,
    r#"{"openIDConnectProviderArn":"arn:aws:iam::$account:oidc-provider/$issuer"}"#,
);
pub(super) const CREATE_SAML_PROVIDER: Call = Call::write(
    "iam",
    "CreateSAMLProvider",
    r#"{"sAMLMetadataDocument":"<EntityDescriptor xmlns=\"urn:oasis:names:tc:SAML:2.0:metadata\" entityID=\"https://$issuer/saml\"></EntityDescriptor>","name":"$name"}"#,
    r#"{"sAMLProviderArn":"arn:aws:iam::$account:saml-provider/$name"}"#,
);
pub(super) const ENABLE_ROOT_SESSIONS: Call = Call::write(
    "iam",
    "EnableOrganizationsRootSessions",
    "null",
    r#"{"organizationId":"$organization","enabledFeatures":["RootSessions"]}"#,
);

const LOGIN: Call = Call {
    kind: Kind::ConsoleSignIn,
    ..Call::write("signin", "ConsoleLogin", "null", r#"{"ConsoleLogin":"Success"}"#)
};
pub(super) const LOGIN_WITHOUT_MFA: Call =
    LOGIN.with(r#"{"LoginTo":"https://console.aws.amazon.com/console/home?hashArgs=%23&isauthcode=true","MobileVersion":"No","MFAUsed":"No"}"#);
pub(super) const LOGIN_WITH_MFA: Call = LOGIN.with(
    r#"{"LoginTo":"https://console.aws.amazon.com/console/home?hashArgs=%23&isauthcode=true","MobileVersion":"No","MFAIdentifier":"arn:aws:iam::$account:mfa/root-yubikey","MFAUsed":"Yes"}"#,
);
pub(super) const LOGIN_FAILED: Call =
    Call { response: r#"{"ConsoleLogin":"Failure"}"#, error: Some(("", "Failed authentication")), ..LOGIN_WITHOUT_MFA };

pub(super) const ASSUME_ROOT: Call = Call {
    read_only: true,
    ..Call::write(
        "sts",
        "AssumeRoot",
        r#"{"targetPrincipal":"$target","taskPolicyArn":{"arn":"arn:aws:iam::aws:policy/root-task/S3UnlockBucketPolicy"},"durationSeconds":900}"#,
        r#"{"credentials":{"accessKeyId":"$access_key","sessionToken":"$session_token","expiration":"$later"}}"#,
    )
    .with(r#"{"RequestDetails":{"awsServingRegion":"$region","endpointType":"regional"}}"#)
};
pub(super) const DELETE_BUCKET_POLICY: Call = Call::write(
    "s3",
    "DeleteBucketPolicy",
    r#"{"bucketName":"$backup","Host":"$backup.s3.$region.amazonaws.com","policy":""}"#,
    "null",
)
.on(r#"[{"accountId":"$account","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::$backup"}]"#);

pub(super) const CREATE_PERMISSION_SET: Call = Call::write(
    "sso",
    "CreatePermissionSet",
    r#"{"name":"$name","description":"$description","instanceArn":"arn:aws:sso:::instance/$sso","sessionDuration":"$duration","tags":[]}"#,
    r#"{"permissionSet":{"name":"$name","permissionSetArn":"arn:aws:sso:::permissionSet/$sso/$set","description":"$description","createdDate":"$american","sessionDuration":"$duration"}}"#,
);
pub(super) const UPDATE_PERMISSION_SET: Call = Call::write(
    "sso",
    "UpdatePermissionSet",
    r#"{"instanceArn":"arn:aws:sso:::instance/$sso","permissionSetArn":"arn:aws:sso:::permissionSet/$sso/$set","sessionDuration":"$duration"}"#,
    "null",
);
pub(super) const ATTACH_TO_PERMISSION_SET: Call = Call::write(
    "sso",
    "AttachManagedPolicyToPermissionSet",
    r#"{"instanceArn":"arn:aws:sso:::instance/$sso","permissionSetArn":"arn:aws:sso:::permissionSet/$sso/$set","managedPolicyArn":"arn:aws:iam::aws:policy/$policy_name"}"#,
    "null",
);
pub(super) const INLINE_POLICY_OF_PERMISSION_SET: Call = Call::write(
    "sso",
    "PutInlinePolicyToPermissionSet",
    r#"{"instanceArn":"arn:aws:sso:::instance/$sso","permissionSetArn":"arn:aws:sso:::permissionSet/$sso/$set","inlinePolicy":$document}"#,
    "null",
);
pub(super) const CREATE_ASSIGNMENT: Call = Call::write(
    "sso",
    "CreateAccountAssignment",
    r#"{"instanceArn":"arn:aws:sso:::instance/$sso","targetId":"$target","targetType":"AWS_ACCOUNT","permissionSetArn":"arn:aws:sso:::permissionSet/$sso/$set","principalType":"USER","principalId":"$person"}"#,
    r#"{"accountAssignmentCreationStatus":{"status":"IN_PROGRESS","requestId":"$uuid","targetId":"$target","targetType":"AWS_ACCOUNT","permissionSetArn":"arn:aws:sso:::permissionSet/$sso/$set","principalType":"USER","principalId":"$person"}}"#,
);
pub(super) const CREATE_MANAGED_APPLICATION: Call = Call::write(
    "sso",
    "CreateManagedApplicationInstance",
    r#"{"name":"$name","applicationName":"$name","serviceProviderConfig":{"requireRequestSignature":false},"status":"ENABLED"}"#,
    r#"{"managedApplicationInstanceId":"$instance_id","status":"ENABLED"}"#,
);
pub(super) const DELETE_MANAGED_APPLICATION: Call = Call::write(
    "sso",
    "DeleteManagedApplicationInstance",
    r#"{"managedApplicationInstanceId":"$instance_id"}"#,
    "null",
);
pub(super) const CREATE_APPLICATION: Call = Call::write(
    "sso",
    "CreateApplication",
    r#"{"instanceArn":"arn:aws:sso:::instance/$sso","applicationProviderArn":"arn:aws:sso::aws:applicationProvider/custom","name":"$name","description":"$description","status":"ENABLED"}"#,
    r#"{"applicationArn":"arn:aws:sso::$account:application/$sso/apl-$hex16"}"#,
);

pub(super) const UPDATE_TRAIL: Call = Call::write(
    "cloudtrail",
    "UpdateTrail",
    r#"{"name":"org-trail","isMultiRegionTrail":false,"includeGlobalServiceEvents":false,"enableLogFileValidation":false}"#,
    r#"{"name":"org-trail","s3BucketName":"fernhill-org-trail","includeGlobalServiceEvents":false,"isMultiRegionTrail":false,"trailARN":"arn:aws:cloudtrail:us-east-1:$account:trail/org-trail","logFileValidationEnabled":false,"isOrganizationTrail":true}"#,
);
pub(super) const NARROW_SELECTORS: Call = Call::write(
    "cloudtrail",
    "PutEventSelectors",
    r#"{"trailName":"org-trail","eventSelectors":[{"readWriteType":"ReadOnly","includeManagementEvents":true,"dataResources":[],"excludeManagementEventSources":["kms.amazonaws.com"]}]}"#,
    r#"{"trailARN":"arn:aws:cloudtrail:us-east-1:$account:trail/org-trail","eventSelectors":[{"readWriteType":"ReadOnly","includeManagementEvents":true,"dataResources":[],"excludeManagementEventSources":["kms.amazonaws.com"]}]}"#,
);
pub(super) const STOP_LOGGING: Call = Call::write(
    "cloudtrail",
    "StopLogging",
    r#"{"name":"arn:aws:cloudtrail:us-east-1:$account:trail/org-trail"}"#,
    "null",
);
pub(super) const START_LOGGING: Call = Call::write(
    "cloudtrail",
    "StartLogging",
    r#"{"name":"arn:aws:cloudtrail:us-east-1:$account:trail/org-trail"}"#,
    "null",
);

pub(super) const RESTORE_TRAIL: Call = Call::write(
    "cloudtrail",
    "UpdateTrail",
    r#"{"name":"org-trail","isMultiRegionTrail":true,"includeGlobalServiceEvents":true,"enableLogFileValidation":true}"#,
    r#"{"name":"org-trail","s3BucketName":"fernhill-org-trail","includeGlobalServiceEvents":true,"isMultiRegionTrail":true,"trailARN":"arn:aws:cloudtrail:us-east-1:$account:trail/org-trail","logFileValidationEnabled":true,"isOrganizationTrail":true}"#,
);

pub(super) const LIST_MODELS: Call = Call::read("bedrock", "ListFoundationModels", "null");
pub(super) const MODEL_AVAILABILITY: Call =
    Call::read("bedrock", "GetFoundationModelAvailability", r#"{"modelId":"$model"}"#);
pub(super) const INVOKE_MODEL: Call = Call::read("bedrock", "InvokeModel", r#"{"modelId":"$model"}"#);
pub(super) const LIST_SECRETS: Call = Call::read("secretsmanager", "ListSecrets", r#"{"maxResults":100}"#);
pub(super) const GET_SECRET: Call = Call::read("secretsmanager", "GetSecretValue", r#"{"secretId":"$secret_name"}"#);
pub(super) const ALTERNATE_CONTACT: Call = Call::write(
    "account",
    "PutAlternateContact",
    r#"{"alternateContactType":"SECURITY","emailAddress":"security@fernhill.example","name":"HIDDEN_DUE_TO_SECURITY_REASONS","phoneNumber":"HIDDEN_DUE_TO_SECURITY_REASONS","title":"HIDDEN_DUE_TO_SECURITY_REASONS"}"#,
    "null",
);
pub(super) const ACCOUNT_SUMMARY: Call = Call::read("iam", "GetAccountSummary", "null");
