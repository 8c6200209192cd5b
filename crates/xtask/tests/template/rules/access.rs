//! Who may do what: roles, policies of resources, the key.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Rule, Violations, actions, of_type, one_or_more, put, remove, statement, statements, text};
use crate::Templates;
use crate::page::matches;

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "no statement is wider than its reason",
        check: width,
        breaches: &[
            put("/Resources/TrackerRole/Properties/Policies/0/PolicyDocument/Statement/1/Action", r#""*""#),
            put("/Resources/TrackerRole/Properties/Policies/0/PolicyDocument/Statement/1/Action/0", r#""dynamodb:*""#),
            put("/Resources/ExporterRole/Properties/Policies/0/PolicyDocument/Statement/0/Resource", r#""*""#),
            put(
                "/Resources/TrackerRole/Properties/Policies/0/PolicyDocument/Statement/4/Fn::If/1/Resource",
                r#""arn:aws:iam::*:role/*""#,
            ),
            put("/Resources/AlertsTopicPolicy/Properties/PolicyDocument/Statement/0/Principal", r#"{"AWS": "*"}"#),
            put("/Resources/Key/Properties/KeyPolicy/Statement/0/Principal/AWS", r#""*""#),
            put("/Resources/Key/Properties/KeyPolicy/Statement/5/Action", r#""kms:*""#),
            put("/Resources/AnalystPolicy/Properties/PolicyDocument/Statement/2/Resource/1", r#""*""#),
            put(
                "member.yaml:/Resources/MemberRole/Properties/Policies/0/PolicyDocument/Statement/0/Action",
                r#""cloudtrail:*""#,
            ),
        ],
    },
    Rule {
        name: "functions may do what they are for, and no more",
        check: duties,
        breaches: &[
            put(
                "/Resources/AlerterRole/Properties/Policies/0/PolicyDocument/Statement/0/Action/0",
                r#""dynamodb:DeleteItem""#,
            ),
            remove("/Resources/TrackerRole/Properties/Policies/0/PolicyDocument/Statement/2"),
            remove("/Resources/AlerterRole/Properties/Policies/0/PolicyDocument/Statement/2/Condition"),
            put(
                "/Resources/TrackerRole/Properties/Policies/0/PolicyDocument/Statement/2/Resource/Fn::GetAtt/0",
                r#""EventsTable""#,
            ),
            put(
                "/Resources/ExporterRole/Properties/Policies/0/PolicyDocument/Statement/0/Action",
                r#""dynamodb:Scan""#,
            ),
            put(
                "/Resources/ExporterRole/Properties/Policies/0/PolicyDocument/Statement/2/Resource/Fn::Sub",
                r#""${AnalyticsBucket.Arn}/*""#,
            ),
            remove("/Resources/ExporterRole/Properties/Policies/0/PolicyDocument/Statement/7"),
        ],
    },
    Rule {
        name: "functions may call what they called in their tests, on those tables and in those folders, and no more",
        check: calls,
        breaches: &[
            put(
                "/Resources/TrackerRole/Properties/Policies/0/PolicyDocument/Statement/1/Resource/Fn::GetAtt/0",
                r#""AlertsTable""#,
            ),
            put(
                "/Resources/TrackerRole/Properties/Policies/0/PolicyDocument/Statement/1/Action/0",
                r#""dynamodb:UpdateItem""#,
            ),
            remove("/Resources/ExporterRole/Properties/Policies/0/PolicyDocument/Statement/1/Action/0"),
            put(
                "/Resources/AlerterRole/Properties/Policies/0/PolicyDocument/Statement/2/Action",
                r#"["dynamodb:GetItem", "dynamodb:PutItem"]"#,
            ),
            remove("/Resources/ExporterRole/Properties/Policies/0/PolicyDocument/Statement/2/Action/2"),
            put(
                "/Resources/ExporterRole/Properties/Policies/0/PolicyDocument/Statement/3/Resource/Fn::Sub",
                r#""${AnalyticsBucket.Arn}/*""#,
            ),
            put(
                "/Resources/ExporterRole/Properties/Policies/0/PolicyDocument/Statement/4/Condition/StringLike/s3:prefix",
                r#"["lake/*", "iam-events/*", "*"]"#,
            ),
        ],
    },
    Rule {
        name: "whoever asks questions can, and cannot change anything",
        check: analyst,
        breaches: &[
            put("/Resources/AnalystPolicy/Properties/PolicyDocument/Statement/2/Action/1", r#""s3:PutObject""#),
            put("/Resources/AnalystPolicy/Properties/PolicyDocument/Statement/1/Action/0", r#""glue:CreateTable""#),
            put("/Resources/AnalystPolicy/Users", r#"["alice"]"#),
            remove("/Resources/AnalystPolicy/Properties/PolicyDocument/Statement/0/Action/7"),
            remove("/Resources/AnalystPolicy/Properties/PolicyDocument/Statement/0/Action/8"),
        ],
    },
    Rule {
        name: "EventBridge and alarms reach the topic, also through its key",
        check: topic,
        breaches: &[
            put("/Resources/AlertsTopic/Properties/KmsMasterKeyId", r#""alias/aws/sns""#),
            remove("/Resources/AlertsTopicPolicy/Properties/PolicyDocument/Statement/1/Principal/Service/0"),
            remove("/Resources/AlertsTopicPolicy/Properties/PolicyDocument/Statement/1/Condition"),
            put(
                "/Resources/Key/Properties/KeyPolicy/Statement/3/Condition",
                r#"{"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}"#,
            ),
            remove("/Resources/Key/Properties/KeyPolicy/Statement/4/Condition"),
            remove("/Resources/Key/Properties/KeyPolicy/Statement/3/Action/0"),
            remove("/Resources/Key/Properties/KeyPolicy/Statement/1/Condition/StringEquals/aws:SourceArn"),
            put("/Resources/Key/Properties/EnableKeyRotation", "false"),
            put("/Resources/Key/DeletionPolicy", r#""Delete""#),
        ],
    },
    Rule {
        name: "roles are assumed by whom they are for",
        check: trust,
        breaches: &[
            put("/Resources/AlerterRole/Properties/AssumeRolePolicyDocument/Statement/0/Principal", r#"{"AWS": "*"}"#),
            remove("/Resources/SchedulerRole/Properties/AssumeRolePolicyDocument/Statement/0/Condition"),
            remove(
                "member.yaml:/Resources/MemberRole/Properties/AssumeRolePolicyDocument/Statement/0/Condition/StringEquals/sts:ExternalId",
            ),
            remove(
                "member.yaml:/Resources/MemberRole/Properties/AssumeRolePolicyDocument/Statement/0/Condition/ArnLike",
            ),
            put("member.yaml:/Resources/Another", r#"{"Type": "AWS::SNS::Topic"}"#),
        ],
    },
];

/// Statements of roles whose resource is `*`, and why.
const EVERYWHERE: &[(&str, &str)] = &[
    ("TrackerRole ReadEventHistory", "LookupEvents knows no resource; regions are listed for the account itself"),
    ("MemberRole ReadEventHistory", "as in the home account"),
    ("TrackerRole ListMemberAccounts", "the organization's accounts are listed as a whole"),
    ("TrackerRole Trace", "X-Ray knows no resource for what is sent to it"),
    ("AlerterRole Trace", "as the tracker"),
    ("ExporterRole Trace", "as the tracker"),
];

/// Every policy of roles and users in a template, with what it belongs to.
fn identity_policies(template: &Value) -> Vec<(&str, &Value)> {
    let inline = of_type(template, "AWS::IAM::Role").into_iter().flat_map(|(name, role)| {
        one_or_more(&role["Properties"]["Policies"]).into_iter().map(move |policy| (name, &policy["PolicyDocument"]))
    });
    let managed = of_type(template, "AWS::IAM::ManagedPolicy");
    inline.chain(managed.into_iter().map(|(name, policy)| (name, &policy["Properties"]["PolicyDocument"]))).collect()
}

fn width(templates: &Templates) -> Vec<String> {
    let mut wrong = Violations::default();
    for (_, template) in templates.named() {
        for (owner, document) in identity_policies(template) {
            for statement in statements(document) {
                let name = format!("{owner} {}", text(&statement["Sid"]));
                wrong.unless(
                    statement["Effect"] == "Allow" && statement.get("NotAction").is_none(),
                    format!("{name}: not"),
                );
                for action in actions(statement) {
                    wrong.unless(!action.contains('*'), format!("{name}: {action}"));
                }
                for resource in one_or_more(&statement["Resource"]) {
                    // `*` alone, or at the place of the name.
                    let arn = resource.get("Fn::Sub").unwrap_or(resource);
                    let is_wide = text(arn) == "*"
                        || (text(arn).ends_with(":*") && !text(arn).ends_with(":log-stream:*"))
                        || text(arn).ends_with(":role/*");
                    wrong.unless(
                        !is_wide || EVERYWHERE.iter().any(|(known, _)| *known == name),
                        format!("{name}: {arn}"),
                    );
                }
            }
        }
        // In a key's policy `*` is the key itself; who may use it, and for what, has to be said all the same.
        for (owner, key) in of_type(template, "AWS::KMS::Key") {
            for statement in statements(&key["Properties"]["KeyPolicy"]) {
                let name = format!("{owner} {}", text(&statement["Sid"]));
                let principal = &statement["Principal"];
                wrong.unless(*principal != "*" && principal["AWS"] != "*", format!("{name}: anybody"));
                let is_account = statement["Sid"] == "AccountAdministers" && principal.get("AWS").is_some();
                let has_all = actions(statement).iter().any(|action| action == "kms:*" || action == "*");
                wrong.unless(is_account || !has_all, format!("{name}: everything"));
            }
        }
        for kind in ["AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy"] {
            for (owner, policy) in of_type(template, kind) {
                for statement in statements(&policy["Properties"]["PolicyDocument"]) {
                    let name = format!("{owner} {}", text(&statement["Sid"]));
                    let principal = &statement["Principal"];
                    let is_anybody = *principal == "*" || principal["AWS"] == "*";
                    wrong.unless(statement["Effect"] == "Deny" || !is_anybody, format!("{name}: anybody"));
                    let has_star = actions(statement).iter().any(|action| action.contains('*'));
                    wrong.unless(statement["Effect"] == "Deny" || !has_star, format!("{name}: any action"));
                    wrong.unless(
                        one_or_more(&statement["Resource"]).iter().all(|one| **one != "*"),
                        format!("{name}: anything"),
                    );
                }
            }
        }
    }
    wrong.0
}

/// What each role may call, as the functions do, apart from the key.
const DUTIES: &[(&str, &[&str])] = &[
    (
        "TrackerRole",
        &[
            "account:ListRegions",
            "cloudtrail:LookupEvents",
            "dynamodb:BatchGetItem",
            "dynamodb:BatchWriteItem",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            "dynamodb:Scan",
            "dynamodb:UpdateItem",
            "organizations:ListAccounts",
            "sns:Publish",
            "sqs:SendMessage",
            "sts:AssumeRole",
        ],
    ),
    (
        "AlerterRole",
        &[
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            "dynamodb:UpdateItem",
            "sns:Publish",
            "sqs:ChangeMessageVisibility",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
            "sqs:ReceiveMessage",
        ],
    ),
    (
        "ExporterRole",
        &[
            "dynamodb:GetItem",
            "dynamodb:Query",
            "dynamodb:UpdateItem",
            "s3:AbortMultipartUpload",
            "s3:DeleteObject",
            "s3:GetObject",
            "s3:ListBucket",
            "s3:PutObject",
            "sqs:SendMessage",
        ],
    ),
];
const EVERYBODY: &[&str] = &["logs:CreateLogStream", "logs:PutLogEvents"];
const SWITCHED: &[&str] =
    &["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey", "xray:PutTelemetryRecords", "xray:PutTraceSegments"];

fn duties(templates: &Templates) -> Vec<String> {
    let mut wrong = Violations::default();
    let policies = identity_policies(&templates.stack);
    for (role, duty) in DUTIES {
        let granted: Vec<&Value> =
            policies.iter().filter(|(owner, _)| owner == role).flat_map(|(_, document)| statements(document)).collect();
        let may: Vec<String> = granted.iter().flat_map(|statement| actions(statement)).collect();
        let wanted: Vec<&str> = duty.iter().chain(EVERYBODY).chain(SWITCHED).copied().collect();
        for action in &wanted {
            wrong.unless(may.iter().any(|one| one == action), format!("{role} may not {action}"));
        }
        for action in &may {
            wrong.unless(wanted.contains(&action.as_str()), format!("{role} needs no {action}"));
        }
        // Only the table of streams is read as a whole: it has an item for each.
        for statement in granted.iter().filter(|one| actions(one).iter().any(|action| action == "dynamodb:Scan")) {
            let streams = json!({"Fn::GetAtt": ["ControlTable", "Arn"]});
            wrong.unless(statement["Resource"] == streams, format!("{role} reads whole tables"));
        }
        // Whoever only alerts reads the suppressions, and nothing else of what stands beside them.
        if *role == "AlerterRole" {
            let control = json!({"Fn::GetAtt": ["ControlTable", "Arn"]});
            for statement in granted.iter().filter(|one| one["Resource"] == control) {
                wrong.unless(statement["Condition"] == suppressions_alone(), format!("{role} reads about streams"));
            }
        }
        // Objects are deleted in the lake alone.
        for statement in granted.iter().filter(|one| actions(one).iter().any(|action| action == "s3:DeleteObject")) {
            let lake = json!({"Fn::Sub": "${AnalyticsBucket.Arn}/lake/*"});
            wrong.unless(statement["Resource"] == lake, format!("{role} deletes outside the lake"));
        }
    }
    // Files of a trail that was there before may have a key of their own.
    let exporter = &templates.stack["Resources"]["ExporterRole"]["Properties"]["Policies"][0]["PolicyDocument"];
    let decrypts = statement(exporter, "DecryptTrailFiles");
    let is_own = decrypts["Action"] == "kms:Decrypt" && decrypts["Resource"] == json!({"Ref": "ExistingLogsKeyArn"});
    wrong.unless(is_own, "ExporterRole cannot read what another key encrypts");
    wrong.0
}

/// The condition under which a statement is for the suppressions' item and no other of its table.
pub(crate) fn suppressions_alone() -> Value {
    json!({"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["#suppressions"]}})
}

/// What the functions called in their tests, and people's commands, and what functions call too rarely for that.
pub(crate) const CALLS: &str = include_str!("../../../../lambda/tests/calls.json");

/// Each function may call of tables, topics and buckets what it calls, on the tables and in the folders that it calls it on,
/// and nothing else.
fn calls(templates: &Templates) -> Vec<String> {
    let mut wrong = Violations::default();
    let calls: Value = serde_json::from_str(CALLS).unwrap();
    let policies = identity_policies(&templates.stack);
    for (role, function) in [("TrackerRole", "tracker"), ("AlerterRole", "alerter"), ("ExporterRole", "exporter")] {
        let of_buckets = calls[format!("{function} of buckets")].as_array().into_iter().flatten();
        let recorded = calls[function].as_array().unwrap().iter().chain(of_buckets).map(|call| text(call).to_owned());
        let rare = calls["rare"][function].as_object().into_iter().flat_map(|calls| calls.keys().cloned());
        let made: BTreeSet<String> = recorded.chain(rare).collect();
        let documents = policies.iter().filter(|(owner, _)| *owner == role);
        let granted = documents.flat_map(|(_, document)| statements(document)).flat_map(|statement| {
            let resources = match &statement["Resource"] {
                Value::Array(resources) => resources.clone(),
                one => vec![one.clone()],
            };
            let folders = folders(statement);
            actions(statement).into_iter().flat_map(move |action| -> Vec<String> {
                match action.split_once(':') {
                    Some(("s3", _)) => folders.iter().map(|folder| format!("{action} {folder}")).collect(),
                    Some(("dynamodb" | "sns", _)) => {
                        resources.iter().map(|resource| granted(&action, resource)).collect()
                    }
                    _ => Vec::new(),
                }
            })
        });
        let granted: BTreeSet<String> = granted.collect();
        for call in made.difference(&granted) {
            wrong.unless(false, format!("{role} may not {call}"));
        }
        for call in granted.difference(&made) {
            wrong.unless(false, format!("{role} needs no {call}"));
        }
    }
    wrong.0
}

/// The folders of buckets that a statement is for: those of its resources, or the prefixes that may be listed. What is no
/// folder stands as it is written, and is nothing that anybody called.
fn folders(statement: &Value) -> BTreeSet<String> {
    let folder = |text: &str| match text.strip_suffix("/*") {
        Some(path) => format!("{}/*", path.rsplit('/').next().unwrap_or(path)),
        None => text.to_owned(),
    };
    let prefixes = &statement["Condition"]["StringLike"]["s3:prefix"];
    let said = if prefixes.is_null() { &statement["Resource"] } else { prefixes }.to_string();
    let texts = said.split('"').skip(1).step_by(2);
    // Conditions and the names of functions stand among the resources.
    let found: BTreeSet<String> = texts
        .filter(|text| !prefixes.is_null() || text.contains("Arn}") || text.starts_with("arn:"))
        .map(folder)
        .collect();
    // A bucket, all of it.
    if found.is_empty() { BTreeSet::from([said]) } else { found }
}

/// A statement's action on a resource, as the tests record calls.
fn granted(action: &str, resource: &Value) -> String {
    let table = |name: &str| name.strip_suffix("Table").unwrap_or(name).to_lowercase();
    if let (Some(name), "Arn") = (resource["Fn::GetAtt"][0].as_str(), text(&resource["Fn::GetAtt"][1])) {
        return format!("{action} {}", table(name));
    }
    let sub = resource["Fn::Sub"].as_str().and_then(|sub| sub.strip_prefix("${")?.strip_suffix(".Arn}/index/*"));
    match sub {
        Some(name) => format!("{action} {}/index", table(name)),
        // A topic: there is one.
        None if resource["Ref"] == "AlertsTopic" => action.to_owned(),
        None => format!("{action} {resource}"),
    }
}

fn analyst(templates: &Templates) -> Vec<String> {
    let mut wrong = Violations::default();
    let policy = &templates.stack["Resources"]["AnalystPolicy"];
    for attached in ["Users", "Groups", "Roles"] {
        let is_attached = policy.get(attached).is_some() || policy["Properties"].get(attached).is_some();
        wrong.unless(!is_attached, format!("attached to {attached}"));
    }
    for statement in statements(&policy["Properties"]["PolicyDocument"]) {
        let sid = text(&statement["Sid"]);
        for action in actions(statement) {
            let reads = ["*:Get*", "*:BatchGet*", "*:List*", "kms:Decrypt", "kms:DescribeKey"];
            let asks = ["athena:StartQueryExecution", "athena:StopQueryExecution"];
            let keeps = ["s3:PutObject", "s3:AbortMultipartUpload", "kms:GenerateDataKey"];
            let is_known = reads.iter().chain(&asks).any(|pattern| matches(pattern, &action))
                || (["KeepResults", "UseKey"].contains(&sid) && keeps.contains(&action.as_str()));
            wrong.unless(is_known, format!("{sid}: {action}"));
        }
    }
    // What Athena calls for them, of Glue, S3 and KMS, no test can record.
    let calls: Value = serde_json::from_str(CALLS).unwrap();
    let asks = actions(statement(&policy["Properties"]["PolicyDocument"], "AskInWorkgroup"));
    for call in calls["analyst"].as_array().unwrap() {
        wrong.unless(asks.iter().any(|action| call == action), format!("no question without {call}"));
    }
    let keeps = statement(&policy["Properties"]["PolicyDocument"], "KeepResults");
    wrong.unless(!keeps["Resource"].to_string().contains("AnalyticsBucket"), "writes into the lake");
    wrong.0
}

fn topic(templates: &Templates) -> Vec<String> {
    let mut wrong = Violations::default();
    let resources = &templates.stack["Resources"];
    // The AWS managed key takes nothing from other services: ours or none.
    let key = &resources["AlertsTopic"]["Properties"]["KmsMasterKeyId"];
    wrong.unless(
        *key == resources["Trail"]["Properties"]["KMSKeyId"] && key["Fn::If"][0] == "CreatesKey",
        "another key",
    );
    let own = json!({"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}});
    let publish = statement(&resources["AlertsTopicPolicy"]["Properties"]["PolicyDocument"], "EventsAndAlarmsPublish");
    wrong.unless(publish["Action"] == "sns:Publish" && publish["Effect"] == "Allow", "no publishing");
    wrong.unless(
        publish["Principal"]["Service"] == json!(["events.amazonaws.com", "cloudwatch.amazonaws.com"]),
        "not both",
    );
    wrong.unless(publish["Condition"] == own, "those of other accounts, too");

    let policy = &resources["Key"]["Properties"]["KeyPolicy"];
    let uses = [("EventBridgeSends", "events.amazonaws.com"), ("AlarmsPublish", "cloudwatch.amazonaws.com")];
    for (sid, service) in uses {
        let statement = statement(policy, sid);
        wrong.unless(statement["Principal"]["Service"] == service, format!("the key knows no {service}"));
        wrong.unless(statement["Action"] == json!(["kms:Decrypt", "kms:GenerateDataKey*"]), format!("{sid}: actions"));
    }
    wrong.unless(statement(policy, "AlarmsPublish")["Condition"] == own, "alarms of other accounts use the key");
    // EventBridge's requests to KMS carry no such keys; SNS's developer guide says so.
    wrong.unless(
        statement(policy, "EventBridgeSends").get("Condition").is_none(),
        "EventBridge's messages would be lost",
    );
    for sid in ["TrailEncrypts", "TrailDescribes"] {
        let arn = &statement(policy, sid)["Condition"]["StringEquals"]["aws:SourceArn"];
        wrong.unless(
            arn["Fn::Sub"].to_string().ends_with("trail/${AWS::StackName}-trail\""),
            format!("{sid} is for any trail"),
        );
    }
    wrong.unless(resources["Key"]["Properties"]["EnableKeyRotation"] == true, "never rotated");
    wrong.unless(resources["Key"]["DeletionPolicy"] == "RetainExceptOnCreate", "goes before what it encrypts");
    wrong.0
}

fn trust(templates: &Templates) -> Vec<String> {
    let mut wrong = Violations::default();
    let services = [
        ("TrackerRole", "lambda"),
        ("AlerterRole", "lambda"),
        ("ExporterRole", "lambda"),
        ("SchedulerRole", "scheduler"),
        ("TrailLogRole", "cloudtrail"),
        ("ForwardRole", "events"),
    ];
    let roles =
        [&templates.stack, &templates.forwarder].into_iter().flat_map(|template| of_type(template, "AWS::IAM::Role"));
    for (name, role) in roles {
        let Some((_, service)) = services.iter().find(|(known, _)| *known == name) else {
            wrong.0.push(format!("{name}: a role nobody knows"));
            continue;
        };
        for statement in statements(&role["Properties"]["AssumeRolePolicyDocument"]) {
            let wanted = json!({"Service": format!("{service}.amazonaws.com")});
            wrong.unless(
                statement["Principal"] == wanted && statement["Action"] == "sts:AssumeRole",
                format!("{name}: by others"),
            );
            // Other accounts' schedules, trails and rules come from the same services.
            let condition = statement["Condition"].to_string();
            let is_ours =
                *service == "lambda" || condition.contains("aws:SourceAccount") || condition.contains("aws:SourceArn");
            wrong.unless(is_ours, format!("{name}: for other accounts, too"));
        }
    }
    let member = &templates.member["Resources"];
    wrong.unless(member.as_object().unwrap().len() == 1, "a member's account gets more than a role");
    let trust = &member["MemberRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"][0];
    wrong.unless(
        trust["Condition"]["StringEquals"]["sts:ExternalId"] == json!({"Ref": "ExternalId"}),
        "without an external id",
    );
    wrong.unless(
        trust["Condition"]["ArnLike"]["aws:PrincipalArn"].get("Fn::If").is_some(),
        "by anybody in that account",
    );
    let may = actions(&member["MemberRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][0]);
    wrong.unless(may == ["cloudtrail:LookupEvents", "account:ListRegions"], "a member lets more be done");
    wrong.0
}
