//! Who acted, for each type of `userIdentity` in the shapes of the AWS CloudTrail User Guide.

use event::Event;
use event::decode::record;
use proptest::prelude::*;
use serde_json::{Value, json};

fn decoded(record_fields: Value) -> Event<'static> {
    let mut fields = json!({
        "eventVersion": "1.11",
        "eventTime": "2026-01-15T12:00:00Z",
        "eventSource": "iam.amazonaws.com",
        "eventName": "CreateUser",
        "eventID": "11111111-2222-4333-8444-555555555555",
    });
    for (name, value) in record_fields.as_object().expect("fields") {
        fields[name] = value.clone();
    }
    record(&fields.to_string()).expect("a record").into_owned()
}

fn of(identity: Value) -> Event<'static> {
    decoded(json!({"userIdentity": identity}))
}

/// What the columns say: user_name, session_name, role_arn, account_id.
fn named<'e>(event: &'e Event<'_>) -> [Option<&'e str>; 4] {
    [event.user_name(), event.session_name(), event.role_arn(), event.account_id()]
}

const ACCOUNT: Option<&str> = Some("123456789012");

#[test]
fn root() {
    let event = of(json!({
        "type": "Root", "principalId": "123456789012", "arn": "arn:aws:iam::123456789012:root",
        "accountId": "123456789012", "accessKeyId": "", "userName": "my-account-alias",
        "sessionContext": {"sessionIssuer": {}, "webIdFederationData": {},
            "attributes": {"mfaAuthenticated": "true", "creationDate": "2026-01-15T11:00:00Z"}},
    }));
    assert_eq!(named(&event), [Some("root"), None, None, ACCOUNT]);
    assert_eq!((event.actor_type(), event.mfa_authenticated), (Some("Root"), Some(true)));
    assert_eq!(event.access_key_id(), None, "an empty key is none");
}

#[test]
fn a_root_session_of_assume_root() {
    let event = of(json!({
        "type": "Root", "principalId": "222222222222", "arn": "arn:aws:iam::222222222222:root",
        "accountId": "222222222222", "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
        "sessionContext": {"attributes": {"creationDate": "2026-01-15T11:00:00Z", "mfaAuthenticated": "false"}, "assumedRoot": "true"},
    }));
    assert_eq!(named(&event), [Some("root"), None, None, Some("222222222222")]);
}

#[test]
fn an_iam_user_also_with_a_session_token() {
    let mut identity = json!({
        "type": "IAMUser", "principalId": "AIDAJ45Q7YFFAREXAMPLE", "arn": "arn:aws:iam::123456789012:user/team/Alice",
        "accountId": "123456789012", "accessKeyId": "AKIAIOSFODNN7EXAMPLE", "userName": "Alice",
    });
    let event = of(identity.clone());
    assert_eq!(named(&event), [Some("Alice"), None, None, ACCOUNT]);
    assert_eq!((event.access_key_id(), event.mfa_authenticated), (Some("AKIAIOSFODNN7EXAMPLE"), None));
    assert_eq!((event.principal_id(), event.actor_account_id()), (Some("AIDAJ45Q7YFFAREXAMPLE"), ACCOUNT));
    identity["sessionContext"] =
        json!({"attributes": {"mfaAuthenticated": "true", "creationDate": "2026-01-15T11:00:00Z"}});
    identity["invokedBy"] = json!("cloudformation.amazonaws.com");
    let event = of(identity.clone());
    assert_eq!((event.mfa_authenticated, event.invoked_by()), (Some(true), Some("cloudformation.amazonaws.com")));
    identity["userName"] = Value::Null;
    assert_eq!(of(identity).user_name(), Some("Alice"), "the ARN names the user too");
}

fn assumed_role(role_arn: &str, role: &str, session: &str) -> Value {
    json!({
        "type": "AssumedRole",
        "principalId": format!("AROAIDPPEZS35WEXAMPLE:{session}"),
        "arn": format!("arn:aws:sts::123456789012:assumed-role/{role}/{session}"),
        "accountId": "123456789012",
        "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
        "sessionContext": {
            "sessionIssuer": {"type": "Role", "principalId": "AROAIDPPEZS35WEXAMPLE", "arn": role_arn, "accountId": "123456789012", "userName": role},
            "attributes": {"mfaAuthenticated": "false", "creationDate": "2026-01-15T11:00:00Z"},
            "sourceIdentity": "alice",
        },
    })
}

#[test]
fn a_role_session() {
    let arn = "arn:aws:iam::123456789012:role/team/RoleToBeAssumed";
    let event = of(assumed_role(arn, "RoleToBeAssumed", "MySessionName"));
    assert_eq!(named(&event), [Some("RoleToBeAssumed"), Some("MySessionName"), Some(arn), ACCOUNT]);
    assert_eq!((event.source_identity(), event.mfa_authenticated), (Some("alice"), Some(false)));
    assert_eq!(event.who(), Some("MySessionName"));
    assert_eq!(event.actor_arn(), Some("arn:aws:sts::123456789012:assumed-role/RoleToBeAssumed/MySessionName"));
}

#[test]
fn a_role_session_whose_parts_are_missing() {
    let mut identity = assumed_role("arn:aws:iam::123456789012:role/x/R", "R", "S");
    identity["sessionContext"]["sessionIssuer"].as_object_mut().expect("an issuer").remove("userName");
    assert_eq!(of(identity.clone()).user_name(), Some("R"), "from the session's ARN");
    identity.as_object_mut().expect("an identity").remove("arn");
    let event = of(identity.clone());
    assert_eq!(named(&event)[..2], [Some("R"), Some("S")], "from the role's ARN and the principal id");
    identity["sessionContext"] = Value::Null;
    assert_eq!(of(identity).user_name(), Some("AROAIDPPEZS35WEXAMPLE:S"));
}

#[test]
fn a_service_linked_role_and_an_instance() {
    let arn = "arn:aws:iam::123456789012:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS";
    let mut identity = assumed_role(arn, "AWSServiceRoleForECS", "ecs-service-scheduler");
    identity["invokedBy"] = json!("ecs.amazonaws.com");
    let event = of(identity);
    assert_eq!(named(&event), [Some("AWSServiceRoleForECS"), Some("ecs-service-scheduler"), Some(arn), ACCOUNT]);
    assert_eq!(event.invoked_by(), Some("ecs.amazonaws.com"));
    let arn = "arn:aws:iam::123456789012:role/web";
    let mut identity = assumed_role(arn, "web", "i-02fdcd3198EXAMPLE");
    identity["sessionContext"]["ec2RoleDelivery"] = json!("2.0");
    assert_eq!(of(identity).session_name(), Some("i-02fdcd3198EXAMPLE"));
}

#[test]
fn a_session_of_identity_center_in_an_account() {
    let role = "AWSReservedSSO_AdministratorAccess_0123456789abcdef";
    let arn = format!("arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/{role}");
    let event = of(assumed_role(&arn, role, "alice@example.com"));
    assert_eq!(named(&event), [Some(role), Some("alice@example.com"), Some(arn.as_str()), ACCOUNT]);
}

#[test]
fn a_role_that_acts_by_itself() {
    let arn = "arn:aws:iam::123456789012:role/team/RoleToBeAssumed";
    let event =
        of(json!({"type": "Role", "principalId": "AROAIDPPEZS35WEXAMPLE", "arn": arn, "accountId": "123456789012"}));
    assert_eq!(named(&event), [Some("RoleToBeAssumed"), None, Some(arn), ACCOUNT]);
}

#[test]
fn a_federated_user_acts_with_the_rights_of_the_user_behind() {
    let event = of(json!({
        "type": "FederatedUser", "principalId": "123456789012:Bob",
        "arn": "arn:aws:sts::123456789012:federated-user/Bob", "accountId": "123456789012",
        "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
        "sessionContext": {
            "sessionIssuer": {"type": "IAMUser", "principalId": "AIDAJ45Q7YFFAREXAMPLE",
                "arn": "arn:aws:iam::123456789012:user/Alice", "accountId": "123456789012", "userName": "Alice"},
            "webIdFederationData": {},
            "attributes": {"mfaAuthenticated": "false", "creationDate": "2026-01-15T11:00:00Z"},
        },
    }));
    assert_eq!(named(&event), [Some("Alice"), Some("Bob"), None, ACCOUNT]);
    let bare = of(json!({"type": "FederatedUser", "arn": "arn:aws:sts::123456789012:federated-user/Bob"}));
    assert_eq!(named(&bare), [Some("Bob"), Some("Bob"), None, ACCOUNT]);
}

#[test]
fn a_directory_user() {
    let event = of(
        json!({"type": "Directory", "principalId": "d-1234567890", "accountId": "123456789012", "userName": "alice"}),
    );
    assert_eq!(named(&event), [Some("alice"), None, None, ACCOUNT]);
    assert_eq!(of(json!({"type": "Directory", "accountId": "123456789012"})).user_name(), ACCOUNT);
}

#[test]
fn another_account() {
    let event = decoded(json!({
        "userIdentity": {"type": "AWSAccount", "principalId": "AROAIDPPEZS35WEXAMPLE:carol", "accountId": "999988887777"},
        "recipientAccountId": "123456789012",
    }));
    assert_eq!(named(&event), [Some("AROAIDPPEZS35WEXAMPLE:carol"), Some("carol"), None, ACCOUNT]);
    assert_eq!(event.actor_account_id(), Some("999988887777"));
    let user = of(json!({"type": "AWSAccount", "principalId": "AIDAQRSTUVWXYZEXAMPLE", "accountId": "999988887777"}));
    assert_eq!(named(&user), [Some("AIDAQRSTUVWXYZEXAMPLE"), None, None, Some("999988887777")]);
    // A call to S3 without credentials.
    let anonymous = of(json!({"type": "AWSAccount", "principalId": "", "accountId": "ANONYMOUS_PRINCIPAL"}));
    assert_eq!(anonymous.user_name(), Some("ANONYMOUS_PRINCIPAL"));
}

#[test]
fn an_aws_service() {
    let event = of(json!({"type": "AWSService", "invokedBy": "ec2.amazonaws.com"}));
    assert_eq!(named(&event), [Some("ec2.amazonaws.com"), None, None, None]);
    // An event of a service has no type at all.
    let event = of(json!({"accountId": "123456789012", "invokedBy": "kms.amazonaws.com"}));
    assert_eq!(named(&event), [Some("kms.amazonaws.com"), None, None, ACCOUNT]);
}

#[test]
fn an_identity_center_user_by_name_before_july_2025_and_by_id_since() {
    let id = "544894e8-80c1-707f-60e3-3ba6510dfac1";
    let mut identity = json!({
        "type": "IdentityCenterUser", "accountId": "123456789012",
        "onBehalfOf": {"userId": id, "identityStoreArn": "arn:aws:identitystore::123456789012:identitystore/d-9067642ac7"},
        "credentialId": "EXAMPLEVHULjJdTUdPJfofVa1sufHDoj7aYcOYcxFVllWR_Whr1fEXAMPLE",
    });
    assert_eq!(named(&of(identity.clone())), [Some(id), None, None, ACCOUNT]);
    let beside = decoded(
        json!({"userIdentity": identity, "additionalEventData": {"UserName": "alice", "CredentialType": "PASSWORD"}}),
    );
    assert_eq!(beside.user_name(), Some("alice"));
    identity["principalId"] = json!("123456789012");
    assert_eq!(of(identity.clone()).user_name(), Some(id), "the id says more than the account's number");
    identity["userName"] = json!("alice@example.com");
    assert_eq!(of(identity).user_name(), Some("alice@example.com"));
}

#[test]
fn saml_and_web_identity_users() {
    let event = of(json!({
        "type": "SAMLUser", "principalId": "SampleUkh1i4+ExamplexL/jEvs=:SamlExample",
        "userName": "SamlExample", "identityProvider": "bdGOnTesti4+ExamplexL/jEvs=",
    }));
    assert_eq!(named(&event), [Some("SamlExample"), None, None, None]);
    let mut identity = json!({
        "type": "WebIdentityUser",
        "principalId": "accounts.google.com:application-id.apps.googleusercontent.com:user-id",
        "userName": "user-id", "identityProvider": "accounts.google.com",
    });
    assert_eq!(of(identity.clone()).user_name(), Some("user-id"));
    identity["userName"] = json!("");
    identity["principalId"] = Value::Null;
    assert_eq!(of(identity).user_name(), Some("accounts.google.com"));
}

#[test]
fn an_unknown_type_and_what_aws_adds_next() {
    assert_eq!(of(json!({"type": "Unknown", "principalId": "p"})).user_name(), Some("p"));
    let event = of(json!({"type": "Robot", "arn": "arn:aws:iam::123456789012:robot/r2", "future": {"a": [1]}}));
    assert_eq!(named(&event), [Some("r2"), None, None, ACCOUNT]);
    for nobody in
        [json!(null), json!({}), json!("text"), json!([]), json!({"type": "Unknown"}), json!({"userName": ""})]
    {
        assert_eq!(of(nobody.clone()).user_name(), None, "{nobody}");
    }
}

#[test]
fn a_failed_sign_in_hides_the_name() {
    let event = decoded(json!({
        "eventSource": "signin.amazonaws.com", "eventName": "ConsoleLogin",
        "userIdentity": {"type": "IAMUser", "principalId": "", "accountId": "123456789012", "accessKeyId": "", "userName": "HIDDEN_DUE_TO_SECURITY_REASONS"},
        "errorMessage": "No username found in supplied account", "responseElements": {"ConsoleLogin": "Failure"},
        "additionalEventData": {"MFAUsed": "No", "MobileVersion": "No"},
    }));
    assert_eq!(event.user_name(), Some("HIDDEN_DUE_TO_SECURITY_REASONS"));
    assert_eq!((event.principal_id(), event.access_key_id()), (None, None));
    assert!(event.failed());
}

#[test]
fn a_sign_in_tells_of_mfa_in_its_own_field() {
    let login = |source: &str, used: Value| {
        decoded(json!({
            "eventSource": source, "eventName": "ConsoleLogin", "additionalEventData": {"MFAUsed": used},
            "userIdentity": {"type": "IAMUser", "userName": "alice", "sessionContext": {"attributes": {"mfaAuthenticated": "false"}}},
        }))
        .mfa_authenticated
    };
    assert_eq!(login("signin.amazonaws.com", json!("Yes")), Some(true));
    assert_eq!(login("signin.amazonaws.com", json!("No")), Some(false));
    assert_eq!(login("signin.amazonaws.com", json!(true)), Some(false), "what says nothing leaves the session's word");
    assert_eq!(login("iam.amazonaws.com", json!("Yes")), Some(false), "only of a sign-in");
}

#[test]
fn a_session_in_many_records_is_the_same_in_each() {
    // Identities are remembered by their text while a file is read; each record still has its own.
    let line = |identity: Value, source: &str, used: &str| {
        json!({"eventTime": "2026-01-15T12:00:00Z", "eventName": "X", "eventSource": source, "userIdentity": identity,
            "additionalEventData": {"MFAUsed": used, "UserName": used}})
        .to_string()
    };
    let role = assumed_role("arn:aws:iam::123456789012:role/R", "R", "S");
    let user = json!({"type": "IdentityCenterUser", "accountId": "123456789012"});
    let lines = [
        line(role.clone(), "iam.amazonaws.com", "Yes"),
        line(role.clone(), "signin.amazonaws.com", "Yes"),
        line(user.clone(), "sso.amazonaws.com", "alice"),
        line(user, "sso.amazonaws.com", "bob"),
        line(role, "iam.amazonaws.com", "No"),
    ];
    let mut found = Vec::new();
    event::decode::Decoder::default().decode(
        event::decode::Content::Bytes(lines.join("\n").as_bytes()),
        &mut |batch| {
            found.extend(
                batch.events.iter().map(|event| (event.user_name().map(str::to_owned), event.mfa_authenticated)),
            );
            std::ops::ControlFlow::Continue(())
        },
    );
    let expected = [("R", Some(false)), ("R", Some(true)), ("alice", None), ("bob", None), ("R", Some(false))];
    let expected: Vec<_> = expected.into_iter().map(|(name, mfa)| (Some(name.to_owned()), mfa)).collect();
    assert_eq!(found, expected);
}

/// Any of the places that can name somebody, each holding a name, nothing, or something else.
fn any_identity() -> impl Strategy<Value = Value> {
    let claim = || {
        prop_oneof![
            Just(Value::Null),
            Just(json!("")),
            Just(json!(7)),
            "[a-z:/]{1,8}".prop_map(Value::from),
            Just(json!({}))
        ]
    };
    let kind = proptest::sample::select(vec![
        "Root",
        "IAMUser",
        "AssumedRole",
        "Role",
        "FederatedUser",
        "Directory",
        "AWSAccount",
        "AWSService",
        "IdentityCenterUser",
        "SAMLUser",
        "WebIdentityUser",
        "Unknown",
        "Future",
    ]);
    let names = proptest::array::uniform8(claim());
    (proptest::option::of(kind), names, proptest::array::uniform3(claim())).prop_map(|(kind, user, session)| {
        let [arn, name, principal, invoked, provider, account, key, behalf] = user;
        let [issuer_name, issuer_arn, source] = session;
        json!({
            "type": kind, "arn": arn, "userName": name, "principalId": principal, "invokedBy": invoked,
            "identityProvider": provider, "accountId": account, "accessKeyId": key, "onBehalfOf": {"userId": behalf},
            "sessionContext": {"sessionIssuer": {"userName": issuer_name, "arn": issuer_arn}, "sourceIdentity": source},
        })
    })
}

/// Every text in a value that is not the identity's type.
fn says_something(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.is_empty(),
        Value::Object(fields) => fields.iter().any(|(name, value)| name != "type" && says_something(value)),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn nobody_is_nameless_while_the_record_names_anyone(identity in any_identity(), additional in "[a-z]{0,2}") {
        let names_anyone = says_something(&identity) || !additional.is_empty() || identity["type"] == "Root";
        let event = decoded(json!({"userIdentity": identity, "additionalEventData": {"UserName": additional}}));
        prop_assert_eq!(event.user_name().is_some(), names_anyone);
        prop_assert!(event.user_name() != Some(""));
        prop_assert!(event.session_name() != Some("") && event.role_arn() != Some(""));
    }
}
