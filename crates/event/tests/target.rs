//! What was acted upon, for the calls that detections and people ask about.

use event::decode::record;
use serde_json::{Value, json};

fn target_of(fields: Value) -> Option<String> {
    let mut all = json!({
        "eventTime": "2026-01-15T12:00:00Z",
        "userIdentity": {"type": "IAMUser", "userName": "alice", "arn": "arn:aws:iam::111122223333:user/alice"},
    });
    for (name, value) in fields.as_object().expect("fields") {
        all[name] = value.clone();
    }
    record(&all.to_string()).expect("a record").target().map(str::to_owned)
}

/// The target of a call with these request parameters.
fn target(source: &str, name: &str, request: Value) -> Option<String> {
    target_of(
        json!({"eventSource": format!("{source}.amazonaws.com"), "eventName": name, "requestParameters": request}),
    )
}

#[test]
fn the_request_names_what_is_acted_upon() {
    let role = "arn:aws:iam::111122223333:role/Admin";
    let instance = "arn:aws:sso:::instance/ssoins-1";
    let set = "arn:aws:sso:::permissionSet/ssoins-1/ps-1";
    for (source, name, request, expected) in [
        ("iam", "CreateUser", json!({"userName": "bob", "path": "/"}), "bob"),
        ("iam", "AttachUserPolicy", json!({"policyArn": "arn:aws:iam::aws:policy/X", "userName": "bob"}), "bob"),
        ("iam", "AttachRolePolicy", json!({"policyArn": "arn:aws:iam::aws:policy/X", "roleName": "r"}), "r"),
        ("iam", "PutGroupPolicy", json!({"groupName": "g", "policyName": "p", "policyDocument": "{}"}), "g"),
        ("iam", "AddUserToGroup", json!({"groupName": "admins", "userName": "bob"}), "bob"),
        ("iam", "UpdateAccessKey", json!({"status": "Inactive", "accessKeyId": "AKIA1", "userName": "bob"}), "bob"),
        ("iam", "CreatePolicy", json!({"policyName": "p", "policyDocument": "{}"}), "p"),
        ("iam", "CreatePolicyVersion", json!({"policyArn": "arn:p", "setAsDefault": true}), "arn:p"),
        ("iam", "UpdateAssumeRolePolicy", json!({"roleName": "r", "policyDocument": "{}"}), "r"),
        ("iam", "DeactivateMFADevice", json!({"serialNumber": "arn:mfa", "userName": "bob"}), "bob"),
        ("iam", "DeleteVirtualMFADevice", json!({"serialNumber": "arn:mfa"}), "arn:mfa"),
        ("iam", "CreateSAMLProvider", json!({"name": "idp", "sAMLMetadataDocument": "<x/>"}), "idp"),
        ("iam", "UpdateSAMLProvider", json!({"sAMLProviderArn": "arn:saml"}), "arn:saml"),
        ("iam", "CreateOpenIDConnectProvider", json!({"url": "https://token.example"}), "https://token.example"),
        ("iam", "CreateInstanceProfile", json!({"instanceProfileName": "ip"}), "ip"),
        ("sts", "AssumeRole", json!({"roleArn": role, "roleSessionName": "s"}), role),
        ("sts", "AssumeRoleWithSAML", json!({"principalArn": "arn:saml", "roleArn": role}), role),
        ("sts", "AssumeRoleWithWebIdentity", json!({"roleSessionName": "s", "roleArn": role}), role),
        ("sts", "AssumeRoot", json!({"targetPrincipal": "222233334444", "taskPolicyArn": {}}), "222233334444"),
        ("sts", "GetFederationToken", json!({"name": "bob", "policy": "{}"}), "bob"),
        ("sso", "CreatePermissionSet", json!({"instanceArn": instance, "name": "Admins"}), "Admins"),
        ("sso", "AttachManagedPolicyToPermissionSet", json!({"instanceArn": instance, "permissionSetArn": set}), set),
        (
            "sso",
            "CreateAccountAssignment",
            json!({"instanceArn": instance, "permissionSetArn": set, "principalId": "u"}),
            set,
        ),
        ("identitystore", "CreateGroupMembership", json!({"identityStoreId": "d-1", "groupId": "g"}), "g"),
        ("sso-directory", "CreateUser", json!({"identityStoreId": "d-1", "userId": "u"}), "u"),
        ("s3", "PutBucketPolicy", json!({"bucketName": "b", "Host": "b.s3.amazonaws.com"}), "b"),
        ("s3", "GetObject", json!({"key": "k", "bucketName": "b"}), "b"),
        ("kms", "ScheduleKeyDeletion", json!({"keyId": "k", "pendingWindowInDays": 7}), "k"),
        ("lambda", "UpdateFunctionCode20150331v2", json!({"functionName": "f"}), "f"),
        ("secretsmanager", "GetSecretValue", json!({"secretId": "s"}), "s"),
        ("ssm", "GetParameter", json!({"name": "/p"}), "/p"),
        ("dynamodb", "DeleteTable", json!({"tableName": "t"}), "t"),
        ("cloudtrail", "StopLogging", json!({"name": "trail"}), "trail"),
        ("bedrock", "InvokeModel", json!({"modelId": "m"}), "m"),
        ("organizations", "RemoveAccountFromOrganization", json!({"accountId": "222233334444"}), "222233334444"),
    ] {
        assert_eq!(target(source, name, request).as_deref(), Some(expected), "{source}:{name}");
    }
}

#[test]
fn iam_calls_without_a_user_act_on_the_caller() {
    assert_eq!(target("iam", "CreateAccessKey", Value::Null).as_deref(), Some("alice"));
    assert_eq!(target("iam", "ChangePassword", json!({})).as_deref(), Some("alice"));
    let answered = json!({"accessKey": {"userName": "carol", "accessKeyId": "AKIA1", "status": "Active"}});
    let fields =
        json!({"eventSource": "iam.amazonaws.com", "eventName": "CreateAccessKey", "responseElements": answered});
    assert_eq!(target_of(fields).as_deref(), Some("carol"));
    // A role is no user that could have a key.
    let role = json!({"eventSource": "iam.amazonaws.com", "eventName": "CreateAccessKey", "userIdentity": {"type": "AssumedRole"}});
    assert_eq!(target_of(role), None);
    assert_eq!(target("iam", "ListUsers", Value::Null), None);
}

#[test]
fn resources_name_the_target_where_the_request_does_not() {
    let resources = json!([{"accountId": "1", "type": "AWS::KMS::Key", "ARN": "arn:key"}, {"ARN": "arn:other"}]);
    let fields = json!({"eventSource": "kms.amazonaws.com", "eventName": "Decrypt", "requestParameters": {"x": 1}, "resources": resources});
    assert_eq!(target_of(fields).as_deref(), Some("arn:key"));
}

#[test]
fn what_holds_no_text_names_nothing() {
    for request in [
        json!({"userName": ""}),
        json!({"userName": 5}),
        json!({"userName": {"a": "b"}}),
        json!([]),
        json!("x"),
        json!({}),
    ] {
        assert_eq!(target("iam", "GetRole", request.clone()), None, "{request}");
    }
    // The next best, where the best holds nothing; escapes are undone.
    assert_eq!(target("iam", "X", json!({"userName": "", "roleName": "é\"\n"})).as_deref(), Some("é\"\n"));
    let twice = r#"{"eventTime":"2026-01-15T12:00:00Z","eventSource":"iam.amazonaws.com","eventName":"X","requestParameters":{"userName":"a","userName":"b"}}"#;
    assert_eq!(record(twice).expect("a record").target(), Some("b"), "the last of a name counts");
}

#[test]
fn event_types_are_families() {
    for (source, expected) in [
        ("iam.amazonaws.com", "iam"),
        ("sts.amazonaws.com", "sts"),
        ("signin.amazonaws.com", "signin"),
        ("sso.amazonaws.com", "sso"),
        ("sso-directory.amazonaws.com", "sso"),
        ("identitystore.amazonaws.com", "sso"),
        ("sso-oauth.amazonaws.com", "sso"),
        ("s3.amazonaws.com", "s3"),
        ("iam.amazonaws.com.cn", "iam"),
        ("odd", "odd"),
    ] {
        let text = json!({"eventTime": "2026-01-15T12:00:00Z", "eventSource": source}).to_string();
        assert_eq!(record(&text).expect("a record").event_type(), Some(expected), "{source}");
    }
    let nameless = record(r#"{"eventTime":"2026-01-15T12:00:00Z","eventName":"X"}"#).expect("a record");
    assert_eq!(nameless.event_type(), None);
}
