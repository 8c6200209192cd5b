//! Parameters, outputs, Detective, and what is in no template.

use serde_json::{Value, json};

use super::{Rule, Violations, list, of_type, put, remove, text};
use crate::Templates;

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "every parameter is explained, checked, grouped and used",
        check: parameters,
        breaches: &[
            remove("/Parameters/MaxWorkers/Description"),
            remove("/Parameters/SSORegion/AllowedPattern"),
            remove("/Parameters/FilteredRoles/ConstraintDescription"),
            remove("/Metadata/AWS::CloudFormation::Interface/ParameterGroups/0/Parameters/0"),
            put(
                "/Parameters/Unused",
                r#"{"Type": "String", "Default": "a", "AllowedValues": ["a"], "Description": "x"}"#,
            ),
            put("/Parameters/LogLevel/Default", r#""LOUD""#),
        ],
    },
    Rule {
        name: "classic parameters keep their values and defaults",
        check: classic,
        breaches: &[
            put("/Parameters/MaxWorkers/Default", "10"),
            put("/Parameters/ExportDaysBack/MaxValue", "31"),
            remove("/Parameters/ScheduleExpression/AllowedValues/2"),
            put("/Parameters/OffHoursStart/Default", "20"),
        ],
    },
    Rule {
        name: "everything that has a name is an output",
        check: outputs,
        breaches: &[
            remove("/Outputs/ControlTableName"),
            remove("/Outputs/AnalyticsBucketUrl"),
            remove("/Outputs/DetectiveGraphArn"),
            put("/Outputs/TrailArn/Condition", r#""HasKey""#),
            remove("/Outputs/AlerterFunctionArn/Description"),
        ],
    },
    Rule {
        name: "Detective has its graph, and invites whom it is told",
        check: detective,
        breaches: &[
            put("/Resources/DetectiveInvitation7/Properties/MemberId/Fn::Select/0", "1"),
            put(
                "/Resources/DetectiveInvitation3/Properties/MemberEmailAddress/Fn::Select/1/Fn::Split/1/Ref",
                r#""DetectiveMember4""#,
            ),
            remove("/Resources/DetectiveInvitation10/Properties/Message"),
            put("/Resources/DetectiveInvitation1/Properties/DisableEmailNotification/Fn::If/1", "true"),
            put("/Conditions/HasMember2", r#"{"Fn::Equals": ["a", "a"]}"#),
            put("/Resources/DetectiveGraph/Condition", r#""HasTrail""#),
        ],
    },
    Rule {
        name: "a template is plain CloudFormation",
        check: plain,
        breaches: &[
            put("/Transform", r#""AWS::Serverless-2016-10-31""#),
            put("/Resources/Key/Type", r#""Custom::Key""#),
            put("forwarder.yaml:/Resources/DeadLetters/Type", r#""AWS::CloudFormation::CustomResource""#),
        ],
    },
    Rule {
        name: "no partition is written down where another would be wrong",
        check: partitions,
        breaches: &[
            put(
                "/Resources/Key/Properties/KeyPolicy/Statement/5/Principal/Service/Fn::Sub",
                r#""logs.${AWS::Region}.amazonaws.com""#,
            ),
            put("/Resources/Trail/Properties/S3BucketName", r#""arn:aws:s3:::logs""#),
            put("/Outputs/LogsBucketUrl/Value", r#""https://logs.s3.amazonaws.com""#),
            put(
                "/Outputs/DashboardUrl/Value",
                r#"{"Fn::Sub": "https://${AWS::Region}.console.aws.amazon.com/cloudwatch/home"}"#,
            ),
            put("/Conditions/IsChina/Fn::Equals/1", r#""aws""#),
            put("member.yaml:/Outputs/MemberRoleArn/Value", r#""arn:aws:iam::111122223333:role/r""#),
        ],
    },
    Rule {
        name: "members are named with the external id that their roles ask for",
        check: members,
        breaches: &[
            remove("/Rules/MembersAskForAnId"),
            put("/Rules/MembersAskForAnId/RuleCondition/Fn::Not/0/Fn::Equals/0/Ref", r#""MemberRoleName""#),
        ],
    },
    Rule {
        name: "what costs is off",
        check: defaults,
        breaches: &[
            put("/Parameters/EnableDetective/Default", r#""true""#),
            put("/Parameters/CreateKmsKey/Default", r#""true""#),
            put("/Parameters/S3DataEvents/Default", r#""all""#),
        ],
    },
];

fn parameters(templates: &Templates) -> Vec<String> {
    let mut wrong = Violations::default();
    for (file, template) in templates.named() {
        let grouped: Vec<&str> = list(&template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"])
            .iter()
            .flat_map(|group| list(&group["Parameters"]).iter().map(text))
            .collect();
        let body = ["Rules", "Conditions", "Resources", "Outputs"].map(|part| template[part].to_string()).concat();
        for (name, parameter) in template["Parameters"].as_object().unwrap() {
            let name = name.as_str();
            wrong.unless(!text(&parameter["Description"]).is_empty(), format!("{file}: {name} is not explained"));
            let values = list(&parameter["AllowedValues"]);
            let has_pattern = parameter.get("AllowedPattern").is_some();
            let is_checked = has_pattern
                || !values.is_empty()
                || parameter.get("MinValue").is_some() && parameter.get("MaxValue").is_some();
            wrong.unless(is_checked, format!("{file}: {name} takes anything"));
            wrong.unless(
                !has_pattern || parameter.get("ConstraintDescription").is_some(),
                format!("{file}: {name} does not say what is wrong"),
            );
            let default = &parameter["Default"];
            wrong.unless(
                values.is_empty() || default.is_null() || values.contains(default),
                format!("{file}: {name}: its default is not allowed"),
            );
            wrong.unless(
                grouped.iter().filter(|one| **one == name).count() == 1,
                format!("{file}: {name} stands in no group, or in two"),
            );
            let is_used = body.contains(&json!({"Ref": name}).to_string()) || body.contains(&format!("${{{name}}}"));
            wrong.unless(is_used, format!("{file}: {name} is not used"));
        }
        for name in grouped {
            wrong.unless(template["Parameters"].get(name).is_some(), format!("{file}: there is no {name}"));
        }
    }
    wrong.0
}

fn classic(templates: &Templates) -> Vec<String> {
    let mut wrong = Violations::default();
    let switches =
        ["ProcessIAMEvents", "ProcessSTSEvents", "ProcessSigninEvents", "ProcessSSOEvents", "FilterAWSServiceEvents"];
    let mut wanted: Vec<(&str, Value)> = switches
        .into_iter()
        .chain(["EnableAnalytics", "EnableSecurityAlerts"])
        .map(|name| (name, json!({"Default": "true", "AllowedValues": ["true", "false"]})))
        .collect();
    wanted.extend([
        ("ScheduleExpression", json!({
            "Default": "rate(1 hour)", "AllowedValues": ["rate(1 hour)", "rate(6 hours)", "rate(12 hours)", "rate(1 day)"],
        })),
        ("ExportScheduleExpression", json!({
            "Default": "rate(1 day)", "AllowedValues": ["rate(6 hours)", "rate(12 hours)", "rate(1 day)", "rate(7 days)"],
        })),
        ("MaxWorkers", json!({"Default": 16, "MinValue": 1, "MaxValue": 32})),
        ("LogLevel", json!({"Default": "INFO", "AllowedValues": ["DEBUG", "INFO", "WARNING", "ERROR"]})),
        ("SSORegion", json!({"Default": "us-east-1"})),
        ("FilteredRoles", json!({"Default": ""})),
        ("ExportDaysBack", json!({"Default": 1, "MinValue": 1, "MaxValue": 7})),
        ("AlertsEmailAddress", json!({"Default": ""})),
        ("OffHoursStart", json!({"Default": 22, "MinValue": 0, "MaxValue": 23})),
        ("OffHoursEnd", json!({"Default": 6, "MinValue": 0, "MaxValue": 23})),
    ]);
    for (name, properties) in wanted {
        for (property, value) in properties.as_object().unwrap() {
            let found = &templates.stack["Parameters"][name][property];
            wrong.unless(found == value, format!("{name}: {property} is {found}, it was {value}"));
        }
    }
    wrong.0
}

fn outputs(templates: &Templates) -> Vec<String> {
    const NAMED: &[(&str, &[&str])] = &[
        ("AWS::DynamoDB::Table", &["Ref"]),
        ("AWS::Lambda::Function", &["Ref", "Arn"]),
        ("AWS::SNS::Topic", &["Ref"]),
        ("AWS::S3::Bucket", &["Ref", "Url"]),
        ("AWS::CloudTrail::Trail", &["Ref", "Arn"]),
        ("AWS::Glue::Database", &["Ref"]),
        ("AWS::Athena::WorkGroup", &["Ref"]),
        ("AWS::SQS::Queue", &["Ref"]),
        ("AWS::IAM::ManagedPolicy", &["Ref"]),
        ("AWS::Detective::Graph", &["Arn"]),
    ];
    let mut wrong = Violations::default();
    let outputs = templates.stack["Outputs"].as_object().unwrap();
    for (kind, values) in NAMED {
        for (name, resource) in of_type(&templates.stack, kind) {
            for value in *values {
                let wanted = match *value {
                    "Ref" => json!({"Ref": name}),
                    "Url" => json!({"Fn::Sub": format!("https://${{{name}}}.s3.${{AWS::Region}}.${{AWS::URLSuffix}}")}),
                    attribute => json!({"Fn::GetAtt": [name, attribute]}),
                };
                let output = outputs.values().find(|output| output["Value"] == wanted);
                wrong.unless(output.is_some(), format!("no output for {name} ({value})"));
                let fits = output.is_none_or(|output| output.get("Condition") == resource.get("Condition"));
                wrong.unless(fits, format!("{name} ({value}) is there under another condition"));
            }
        }
    }
    for (name, output) in outputs {
        wrong.unless(!text(&output["Description"]).is_empty(), format!("{name} is not explained"));
    }
    wrong.0
}

fn detective(templates: &Templates) -> Vec<String> {
    let mut wrong = Violations::default();
    let (resources, conditions) = (&templates.stack["Resources"], &templates.stack["Conditions"]);
    wrong.unless(resources["DetectiveGraph"]["Condition"] == "HasDetective", "the graph has no switch");
    wrong.unless(
        conditions["HasDetective"] == json!({"Fn::Equals": [{"Ref": "EnableDetective"}, "true"]}),
        "another switch",
    );
    wrong.unless(of_type(&templates.stack, "AWS::Detective::MemberInvitation").len() == 10, "not ten members");
    for place in 1..=10 {
        let parameter = json!({"Ref": format!("DetectiveMember{place}")});
        let part = |index: u8| json!({"Fn::Select": [index, {"Fn::Split": [":", parameter]}]});
        let wanted = json!({
            "Type": "AWS::Detective::MemberInvitation",
            "Condition": format!("HasMember{place}"),
            "Properties": {
                "GraphArn": {"Fn::GetAtt": ["DetectiveGraph", "Arn"]},
                "MemberId": part(0),
                "MemberEmailAddress": part(1),
                "Message": {"Ref": "DetectiveMessage"},
                "DisableEmailNotification": {"Fn::If": ["NotifiesMembers", false, true]},
            },
        });
        wrong.unless(resources[format!("DetectiveInvitation{place}")] == wanted, format!("invitation {place}"));
        let named = json!({"Fn::And": [{"Condition": "HasDetective"}, {"Fn::Not": [{"Fn::Equals": [parameter, ""]}]}]});
        wrong.unless(conditions[format!("HasMember{place}")] == named, format!("invitation {place}: its condition"));
    }
    wrong.0
}

fn plain(templates: &Templates) -> Vec<String> {
    let mut wrong = Violations::default();
    for (file, template) in templates.named() {
        wrong.unless(template.get("Transform").is_none(), format!("{file} has a transform"));
        for (name, resource) in template["Resources"].as_object().unwrap() {
            let kind = text(&resource["Type"]);
            let is_plain = kind.starts_with("AWS::") && kind != "AWS::CloudFormation::CustomResource";
            wrong.unless(is_plain, format!("{file}: {name} is a {kind}"));
        }
    }
    wrong.0
}

/// Services and sources of events have the same name in every partition, but for CloudWatch Logs in a region; hosts and ARNs
/// have not.
fn partitions(templates: &Templates) -> Vec<String> {
    let mut wrong = Violations::default();
    for (file, template) in templates.named() {
        let mut texts = Vec::new();
        for part in ["Parameters", "Resources", "Outputs"] {
            strings(&template[part], &mut texts);
        }
        for text in texts {
            let is_name = |name: &str| {
                let service = name.strip_suffix(".amazonaws.com").unwrap_or_default();
                !service.is_empty() && service.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
            };
            let is_host = text.contains("amazonaws.com") && !text.split(',').all(is_name);
            wrong.unless(!is_host && !text.contains("arn:aws:"), format!("{file}: {text}"));
        }
    }
    let stack = &templates.stack;
    let console = json!({"Fn::If": ["IsChina", "console.amazonaws.cn",
        {"Fn::If": ["IsGovCloud", "console.amazonaws-us-gov.com", "console.aws.amazon.com"]}]});
    wrong.unless(stack["Outputs"]["DashboardUrl"]["Value"]["Fn::Sub"][1]["Console"] == console, "one console for all");
    for (condition, partition) in [("IsChina", "aws-cn"), ("IsGovCloud", "aws-us-gov")] {
        let wanted = json!({"Fn::Equals": [{"Ref": "AWS::Partition"}, partition]});
        wrong.unless(stack["Conditions"][condition] == wanted, format!("{condition} is another partition"));
    }
    wrong.0
}

/// Every text in a value, but for what explains a parameter.
fn strings<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(values) => values.iter().for_each(|value| strings(value, found)),
        Value::Object(fields) => {
            let explains = |name: &str| ["Description", "ConstraintDescription", "AllowedPattern"].contains(&name);
            fields.iter().filter(|(name, _)| !explains(name)).for_each(|(_, value)| strings(value, found));
        }
        _ => {}
    }
}

fn members(templates: &Templates) -> Vec<String> {
    let mut wrong = Violations::default();
    let named = |name: &str| json!({"Fn::Not": [{"Fn::Equals": [{"Ref": name}, ""]}]});
    let rule = &templates.stack["Rules"]["MembersAskForAnId"];
    let asks = rule["Assertions"][0]["Assert"] == named("MemberExternalId");
    wrong.unless(rule["RuleCondition"] == named("MemberAccounts") && asks, "members could not be read");
    wrong.0
}

fn defaults(templates: &Templates) -> Vec<String> {
    let mut wrong = Violations::default();
    let off = [
        ("EnableDetective", "false"),
        ("CreateKmsKey", "false"),
        ("KmsKeyArn", ""),
        ("S3DataEvents", "none"),
        ("LambdaDataEvents", "false"),
        ("DynamoDBDataEvents", "false"),
        ("BedrockDataEvents", "false"),
        ("OtherDataEventType", ""),
        ("TrailToCloudWatchLogs", "false"),
        ("EnableTracing", "false"),
    ];
    for (name, default) in off {
        wrong.unless(templates.stack["Parameters"][name]["Default"] == default, format!("{name} is on"));
    }
    wrong.0
}
