//! `docs/deploy.md` against the templates.

use std::fs;

use serde_json::{Value, json};

use crate::rules::{CALLS, actions, list, suppressions_alone, text};
use crate::{Templates, deployed};

const PAGE: &str = "../../docs/deploy.md";

/// What CloudFormation's schemas ask for and the templates never use, by pattern of the action, behind its type where another
/// needs it, and why.
const NOT_NEEDED: &[(&str, &str)] = &[
    ("*:TagResource", "no resource has tags"),
    ("*:UntagResource", "no resource has tags"),
    ("*:ListTags*", "no resource has tags"),
    ("cloudtrail:AddTags", "no resource has tags"),
    ("cloudtrail:RemoveTags", "no resource has tags"),
    ("cloudtrail:*InsightSelectors", "the trail has no Insights"),
    ("cloudtrail:*EventConfiguration", "the trail aggregates no events"),
    ("dynamodb:ListTagsOfResource", "no resource has tags"),
    ("dynamodb:*Replica", "no table is global"),
    ("dynamodb:*ResourcePolicy", "no table has a policy of its own"),
    ("dynamodb:*KinesisStreamingDestination", "no table streams"),
    ("dynamodb:*ContributorInsights", "no table has Contributor Insights"),
    ("dynamodb:*Import*", "no table is imported"),
    ("dynamodb:*Item", "items are the functions' business"),
    ("dynamodb:Query", "items are the functions' business"),
    ("dynamodb:Scan", "items are the functions' business"),
    ("ec2:*", "no function stands in a VPC"),
    ("elasticfilesystem:*", "no function mounts a file system"),
    ("s3files:*", "no function mounts a file system"),
    ("firehose:*", "nothing streams"),
    ("kinesis:*", "nothing streams"),
    ("glue:*Connection", "the database is no federated one"),
    ("lakeformation:*", "Lake Formation is not used"),
    ("iam:Attach*", "no managed policy is attached to anybody"),
    ("iam:Detach*", "no managed policy is attached to anybody"),
    ("iam:*RolePermissionsBoundary", "no role has a boundary"),
    ("iam:TagRole", "no resource has tags"),
    ("iam:UntagRole", "no resource has tags"),
    ("AWS::Athena::WorkGroup iam:CreateServiceLinkedRole", "the workgroup runs queries alone, as who asks them"),
    ("AWS::DynamoDB::Table iam:CreateServiceLinkedRole", "no table is global, streams or scales by a target"),
    ("kms:DisableKey", "the key is never disabled"),
    ("kms:EnableKey", "the key is never disabled"),
    ("kms:RevokeGrant", "grants go with what they are for"),
    ("kms:ListResourceTags", "no resource has tags"),
    ("lambda:*CodeSigning*", "no code signing"),
    ("lambda:*CapacityProvider*", "no capacity providers"),
    ("lambda:*RecursionConfig", "the default holds"),
    ("lambda:*RuntimeManagementConfig", "the default holds"),
    ("lambda:*FunctionScalingConfig", "no capacity providers"),
    ("lambda:AssociateRuntimeAlias", "the default holds"),
    ("lambda:GetLayerVersion", "no layers"),
    ("lambda:PublishVersion", "no versions"),
    ("logs:*DataProtectionPolicy", "no data protection"),
    ("logs:*IndexPolic*", "no field indexes"),
    ("logs:*ResourcePolic*", "no resource policies"),
    ("logs:PutBearerTokenAuthentication", "no bearer tokens"),
    ("logs:PutLogGroupDeletionProtection", "no deletion protection"),
    ("logs:*LogDelivery", "no log delivery"),
    ("logs:*LogStream*", "streams are the functions' business"),
    ("logs:PutLogEvents", "streams are the functions' business"),
    ("s3:REST.PUT.OBJECT", "no action of IAM"),
    ("s3:TagResource", "no resource has tags"),
    ("s3:PutBucketTagging", "no resource has tags"),
    ("s3:PutBucketAbac", "buckets have none of this"),
    ("s3:PutBucketAcl", "buckets have none of this"),
    ("s3:PutObjectAcl", "buckets have none of this"),
    ("s3:*Analytics*", "buckets have none of this"),
    ("s3:*Cors", "buckets have none of this"),
    ("s3:*CORS", "buckets have none of this"),
    ("s3:*Metadata*", "buckets have none of this"),
    ("s3:*Metrics*", "buckets have none of this"),
    ("s3:*Replication*", "buckets have none of this"),
    ("s3:*Website", "buckets have none of this"),
    ("s3:*Accelerate*", "buckets have none of this"),
    ("s3:*Inventory*", "buckets have none of this"),
    ("s3:*ObjectLock*", "buckets have none of this"),
    ("s3:*IntelligentTiering*", "buckets have none of this"),
    ("s3:*Logging", "buckets have none of this"),
    ("s3:*Notification", "buckets have none of this"),
    ("s3:DeleteBucketEncryption", "encryption is never taken away"),
    ("s3:DeleteBucketLifecycle", "lifecycles are never taken away"),
    ("s3tables:*", "no table buckets"),
    ("s3:*MultipartUpload*", "uploads are the functions' business"),
    ("s3:GetObjectVersion", "uploads are the functions' business"),
    ("sns:*DataProtectionPolicy", "no data protection"),
    ("sns:SetSubscriptionAttributes", "the subscription has no attributes"),
    ("sqs:ListQueueTags", "no resource has tags"),
    ("sqs:TagQueue", "no resource has tags"),
    ("sqs:UntagQueue", "no resource has tags"),
];

/// Statements of the deployer's policies whose resource is `*`, and why.
const EVERYWHERE: &[(&str, &str)] = &[
    ("Look", "these actions know no resource, none before it is made, or any trail that is there already"),
    ("CreateKmsKey", "a key has no name before it is made; the account is a condition"),
    ("OrganizationTrail", "these actions know no resource of ours"),
    ("EnableDetective", "a graph has no name before it is made"),
];

/// Whether a pattern of IAM's, with `*`, takes in an action.
pub(crate) fn matches(pattern: &str, action: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern.eq_ignore_ascii_case(action),
        Some((start, rest)) => {
            let fits = action.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start));
            fits && (start.len()..=action.len()).any(|at| action.get(at..).is_some_and(|tail| matches(rest, tail)))
        }
    }
}

#[test]
fn patterns_match_as_iam_says() {
    assert!(matches("s3:GetBucket*", "s3:GetBucketAcl") && matches("*:TagResource", "sns:TagResource"));
    assert!(matches("dynamodb:*Import*", "dynamodb:ImportTable") && matches("sns:publish", "sns:Publish"));
    assert!(!matches("s3:GetBucket*", "s3:GetObject") && !matches("sns:Publish", "sns:PublishBatch"));
}

/// The text between two comments of the page.
fn between<'a>(page: &'a str, begin: &str, end: &str) -> (&'a str, &'a str, &'a str) {
    let (before, rest) = page.split_once(begin).unwrap_or_else(|| panic!("docs/deploy.md has no {begin:?}"));
    let (middle, after) = rest.split_once(end).unwrap_or_else(|| panic!("docs/deploy.md has no {end:?}"));
    (before, middle, after)
}

fn policy(page: &str, name: &str) -> Value {
    let (_, block, _) = between(page, &format!("<!-- {name} -->"), &format!("<!-- end of {name} -->"));
    let json = block.trim().trim_start_matches("```json").trim_end_matches("```");
    serde_json::from_str(json).unwrap_or_else(|error| panic!("the policy {name}: {error}"))
}

/// The parameters in the order of their groups, with what the template says of each.
fn parameter_table(stack: &Value) -> String {
    let mut table = String::new();
    for group in list(&stack["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]) {
        let label = text(&group["Label"]["default"]);
        table.push_str(&format!(
            "\n### {label}\n\n| parameter | default | values | what it does |\n|---|---|---|---|\n"
        ));
        for name in list(&group["Parameters"]) {
            let parameter = &stack["Parameters"][text(name)];
            let values = match (parameter.get("AllowedValues"), parameter.get("MinValue")) {
                (Some(values), _) => {
                    list(values).iter().map(|value| format!("`{}`", plain(value))).collect::<Vec<_>>().join(", ")
                }
                (None, Some(least)) => format!("{} to {}", plain(least), plain(&parameter["MaxValue"])),
                (None, None) => text(&parameter["ConstraintDescription"]).replace('|', "\\|"),
            };
            let default = match parameter.get("Default").map(plain) {
                None => "required".to_owned(),
                Some(value) if value.is_empty() => "empty".to_owned(),
                Some(value) => format!("`{}`", value.replace(',', ", ")),
            };
            let description = text(&parameter["Description"]).replace('*', "\\*");
            table.push_str(&format!("| `{}` | {default} | {values} | {description} |\n", text(name)));
        }
    }
    table
}

fn output_table(stack: &Value) -> String {
    let mut table = "\n| output | what it is | only where |\n|---|---|---|\n".to_owned();
    for (name, output) in stack["Outputs"].as_object().unwrap() {
        let condition = output.get("Condition").map_or(String::new(), |condition| format!("`{}`", text(condition)));
        table.push_str(&format!("| `{name}` | {} | {condition} |\n", text(&output["Description"])));
    }
    table
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[test]
fn tables_are_those_of_the_template() {
    let Some(templates) = Templates::load() else { return };
    let old = fs::read_to_string(PAGE).unwrap();
    let mut page = old.clone();
    for (name, table) in
        [("parameters", parameter_table(&templates.stack)), ("outputs", output_table(&templates.stack))]
    {
        let (begin, end) =
            (format!("<!-- {name}: written by the test `template` -->\n"), format!("<!-- end of {name} -->"));
        let (before, _, after) = between(&page, &begin, &end);
        page = format!("{before}{begin}{table}\n{end}{after}");
    }
    if std::env::var_os("TRAILHOUND_BLESS").is_some() {
        fs::write(PAGE, page).unwrap();
        return;
    }
    assert!(old == page, "docs/deploy.md is out of date: TRAILHOUND_BLESS=1 writes its tables");
}

/// Whether an exception takes in an action that a type needs.
fn excepts(exception: &str, kind: &str, action: &str) -> bool {
    matches(exception, action) || matches(exception, &format!("{kind} {action}"))
}

/// The statement of the policy `optional` that whoever wants this of a type has switched on.
fn switch(kind: &str, action: &str) -> Option<&'static str> {
    let is_of_organizations = action.starts_with("organizations:") || action == "iam:CreateServiceLinkedRole";
    match kind {
        kind if kind.starts_with("AWS::Detective::") => Some("EnableDetective"),
        kind if kind.starts_with("AWS::KMS::") || action.starts_with("kms:") => Some("CreateKmsKey"),
        "AWS::CloudTrail::Trail" if is_of_organizations => Some("OrganizationTrail"),
        _ => None,
    }
}

/// The actions that the templates need and statements do not give, with the types that need them. Of optional statements
/// that alone counts which whoever needs the action has: each may be the only one.
fn missing(templates: &Templates, deployer: &[&Value], optional: &[&Value]) -> Vec<String> {
    let mut missing = Vec::new();
    for (kind, needed) in templates.permissions.as_object().unwrap() {
        let is_needed = |action: &&str| !NOT_NEEDED.iter().any(|(exception, _)| excepts(exception, kind, action));
        for action in list(needed).iter().map(text).filter(is_needed) {
            let switch = switch(kind, action);
            let own = optional.iter().filter(|statement| switch.is_some_and(|switch| statement["Sid"] == switch));
            let mut granted = deployer.iter().chain(own).flat_map(|statement| actions(statement));
            if !granted.any(|pattern| matches(&pattern, action)) {
                missing.push(format!("{kind}: {action} ({})", switch.unwrap_or("always")));
            }
        }
    }
    missing
}

/// Whoever has these policies can create, update and delete everything in the templates.
#[test]
fn deployer_may_do_what_the_templates_need() {
    let Some(templates) = Templates::load() else { return };
    let page = fs::read_to_string(PAGE).unwrap();
    let policies = ["deployer", "optional"].map(|name| policy(&page, name));
    let [deployer, optional] = policies.each_ref().map(|policy| list(&policy["Statement"]).iter().collect::<Vec<_>>());
    let lacks = missing(&templates, &deployer, &optional);
    assert!(lacks.is_empty(), "not in docs/deploy.md:\n  {}", lacks.join("\n  "));

    // Without any one of them something cannot be made, but for what the command asks for itself.
    for without in deployer.iter().chain(&optional).filter(|statement| statement["Sid"] != "Stacks") {
        let [deployer, optional] =
            [&deployer, &optional].map(|all| all.iter().copied().filter(|one| one != without).collect::<Vec<_>>());
        assert!(!missing(&templates, &deployer, &optional).is_empty(), "{} is not needed", without["Sid"]);
    }
    // An exception that nothing asks for is a leftover.
    let permissions = templates.permissions.as_object().unwrap();
    let asked = || permissions.iter().flat_map(|(kind, needed)| list(needed).iter().map(move |one| (kind, text(one))));
    for (exception, _) in NOT_NEEDED {
        assert!(asked().any(|(kind, action)| excepts(exception, kind, action)), "nothing asks for {exception}");
    }
}

/// What `deploy` asks of every trail that is there already, whoever made it.
const OF_ANY_TRAIL: [&str; 3] =
    ["cloudtrail:DescribeTrails", "cloudtrail:GetTrailStatus", "cloudtrail:GetEventSelectors"];

#[test]
fn deployer_may_look_at_trails_that_are_there() {
    let source = fs::read_to_string("../aws/src/trails.rs").unwrap();
    let policy = policy(&fs::read_to_string(PAGE).unwrap(), "deployer");
    let everywhere = list(&policy["Statement"]).iter().filter(|statement| statement["Resource"] == "*");
    let granted: Vec<String> = everywhere.flat_map(actions).collect();
    let made: Vec<&str> = source.split('"').filter(|text| text.starts_with("cloudtrail:")).collect();
    assert_eq!(made, OF_ANY_TRAIL, "what crates/aws/src/trails.rs calls");
    for action in OF_ANY_TRAIL {
        assert!(granted.iter().any(|one| one == action), "docs/deploy.md allows {action} for no trail but ours");
    }
}

/// What `test-alerts` does: an event into the queue, and a look at its alert.
#[test]
fn deployer_may_test_the_alerts() {
    let policy = policy(&fs::read_to_string(PAGE).unwrap(), "deployer");
    for (action, resource) in [("sqs:SendMessage", ":sqs:*:ACCOUNT:STACK-*"), ("dynamodb:Query", ":table/STACK-")] {
        let mut statements = list(&policy["Statement"]).iter().filter(|statement| {
            let resources = statement["Resource"].to_string();
            resources.contains(resource) && actions(statement).iter().any(|granted| granted == action)
        });
        assert!(statements.next().is_some(), "docs/deploy.md allows {action} on no {resource}");
    }
}

#[test]
fn deployer_may_not_do_everything() {
    let page = fs::read_to_string(PAGE).unwrap();
    for name in ["deployer", "optional"] {
        let policy = policy(&page, name);
        // The limit of a managed policy, white space apart.
        let size = policy.to_string().chars().filter(|letter| !letter.is_whitespace()).count();
        assert!(size <= 6_144, "the policy {name} has {size} characters");
        for statement in list(&policy["Statement"]) {
            let sid = text(&statement["Sid"]);
            for action in actions(statement) {
                let (service, verb) = action.split_once(':').unwrap();
                assert!(service != "*" && !verb.starts_with('*'), "{sid}: {action} is too wide");
            }
            let everywhere =
                list(&statement["Resource"]).iter().any(|resource| resource == "*") || statement["Resource"] == "*";
            assert!(!everywhere || EVERYWHERE.iter().any(|(known, _)| *known == sid), "{sid} is for every resource");
        }
    }
}

/// Whoever has this policy can do what `suppress --store` does in its tests, on those tables, and nothing else.
#[test]
fn silencer_may_do_what_the_commands_call() {
    let page = fs::read_to_string(PAGE).unwrap();
    let policy = policy(&page, "silencer");
    let calls: Value = serde_json::from_str(CALLS).unwrap();
    let granted = list(&policy["Statement"]).iter().flat_map(|statement| {
        let (_, table) = text(&statement["Resource"]).split_once(":table/STACK-").unwrap();
        actions(statement).into_iter().map(move |action| format!("{action} {table}"))
    });
    let mut granted: Vec<String> = granted.collect();
    granted.sort();
    assert_eq!(json!(granted), calls["silencer"]);
    // Of what stands beside the suppressions nothing is theirs to change.
    assert_eq!(policy["Statement"][0]["Condition"], suppressions_alone());
}

/// Files that the page sends people to are there.
#[test]
fn page_names_files_that_are_there() {
    let page = fs::read_to_string(PAGE).unwrap();
    for name in [crate::STACK, crate::FORWARDER, crate::MEMBER] {
        assert!(page.contains(&format!("deploy/{name}")), "docs/deploy.md does not speak of {name}");
        assert!(deployed(name).is_file(), "{name}");
    }
}
