//! The trail, buckets and tables.

use serde_json::{Value, json};

use super::{Rule, Violations, list, of_type, one_or_more, put, refuses_plain_text, remove, statement, statements};
use crate::Templates;

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "the trail sees everything and can be verified",
        check: trail,
        breaches: &[
            put("/Resources/Trail/Properties/IsMultiRegionTrail", "false"),
            put("/Resources/Trail/Properties/IncludeGlobalServiceEvents", "false"),
            put("/Resources/Trail/Properties/EnableLogFileValidation", "false"),
            put("/Resources/Trail/Properties/IsLogging", "false"),
            remove("/Resources/Trail/DependsOn"),
            put("/Resources/Trail/Properties/EventSelectors", "[]"),
            remove("/Resources/Trail/Properties/AdvancedEventSelectors/0"),
            remove("/Resources/Trail/Properties/AdvancedEventSelectors/1/Fn::If/1/FieldSelectors/2"),
            put(
                "/Resources/Trail/Properties/AdvancedEventSelectors/4/Fn::If/1/FieldSelectors/1/Equals/0",
                r#""AWS::IAM::User""#,
            ),
        ],
    },
    Rule {
        name: "only this trail writes into its bucket",
        check: log_bucket,
        breaches: &[
            remove("/Resources/LogsBucketPolicy/Properties/PolicyDocument/Statement/0/Condition"),
            remove(
                "/Resources/LogsBucketPolicy/Properties/PolicyDocument/Statement/1/Condition/StringEquals/aws:SourceArn",
            ),
            remove(
                "/Resources/LogsBucketPolicy/Properties/PolicyDocument/Statement/1/Condition/StringEquals/s3:x-amz-acl",
            ),
            put("/Resources/LogsBucketPolicy/Properties/PolicyDocument/Statement/1/Principal", r#""*""#),
            remove("/Resources/LogsBucketPolicy/Properties/PolicyDocument/Statement/1"),
        ],
    },
    Rule {
        name: "log files age, and the lake stays readable",
        check: lifecycles,
        breaches: &[
            remove("/Resources/LogsBucket/Properties/LifecycleConfiguration/Rules/0/Transitions/1"),
            put(
                "/Resources/AnalyticsBucket/Properties/LifecycleConfiguration/Rules/0/Transitions/0/StorageClass",
                r#""GLACIER""#,
            ),
            put("/Resources/AthenaResultsBucket/Properties/LifecycleConfiguration/Rules/0/ExpirationInDays", "31"),
            remove("/Resources/AthenaResultsBucket/Properties/LifecycleConfiguration/Rules/1"),
        ],
    },
    Rule {
        name: "every bucket is private, encrypted, owned, and speaks TLS",
        check: buckets,
        breaches: &[
            put("/Resources/LogsBucket/Properties/PublicAccessBlockConfiguration/BlockPublicPolicy", "false"),
            remove("/Resources/AnalyticsBucket/Properties/BucketEncryption"),
            remove("/Resources/AnalyticsBucket/Properties/OwnershipControls"),
            remove("/Resources/AnalyticsBucket/Properties/VersioningConfiguration"),
            put(
                "/Resources/AthenaResultsBucketPolicy/Properties/PolicyDocument/Statement/0/Condition/Bool/aws:SecureTransport",
                r#""true""#,
            ),
            remove("/Resources/LogsBucketPolicy/Properties/PolicyDocument/Statement/2/Resource/1"),
            put("/Resources/LogsBucket/UpdateReplacePolicy", r#""Delete""#),
            put("/Resources/AnalyticsBucket/DeletionPolicy", r#""Delete""#),
        ],
    },
    Rule {
        name: "tables have their keys, expiry and backups",
        check: tables,
        breaches: &[
            put("/Resources/EventsTable/Properties/KeySchema/1/AttributeName", r#""event_time""#),
            remove("/Resources/EventsTable/Properties/GlobalSecondaryIndexes/1"),
            put("/Resources/EventsTable/Properties/GlobalSecondaryIndexes/1/Projection/ProjectionType", r#""ALL""#),
            put("/Resources/AlertsTable/Properties/GlobalSecondaryIndexes/0/Projection/ProjectionType", r#""ALL""#),
            put("/Resources/AlertsTable/Properties/GlobalSecondaryIndexes/0/IndexName", r#""due-index""#),
            remove("/Resources/ControlTable/Properties/TimeToLiveSpecification"),
            put("/Resources/AlertsTable/Properties/TimeToLiveSpecification/AttributeName", r#""expires""#),
            put(
                "/Resources/ControlTable/Properties/PointInTimeRecoverySpecification/PointInTimeRecoveryEnabled",
                "true",
            ),
            put("/Resources/EventsTable/Properties/BillingMode", r#""PROVISIONED""#),
            put("/Resources/EventsTable/Properties/TableName/Fn::Sub", r#""${AWS::StackName}-iam-events""#),
            put("/Resources/EventsTable/UpdateReplacePolicy", r#""Delete""#),
        ],
    },
];

fn trail(templates: &Templates) -> Vec<String> {
    let mut wrong = Violations::default();
    let trail = &templates.stack["Resources"]["Trail"];
    let properties = &trail["Properties"];
    for switch in ["IsMultiRegionTrail", "IncludeGlobalServiceEvents", "EnableLogFileValidation", "IsLogging"] {
        wrong.unless(properties[switch] == true, format!("{switch} is not true"));
    }
    // CloudTrail checks the bucket's policy when the trail is made.
    wrong.unless(
        one_or_more(&trail["DependsOn"]).iter().any(|name| *name == "LogsBucketPolicy"),
        "made before the policy",
    );
    wrong.unless(properties.get("EventSelectors").is_none(), "basic selectors and advanced ones exclude each other");

    let mut types = Vec::new();
    let mut has_management = false;
    for entry in list(&properties["AdvancedEventSelectors"]) {
        let (selector, is_optional) = match entry.get("Fn::If") {
            Some(branches) => (&branches[1], true),
            None => (entry, false),
        };
        let fields = list(&selector["FieldSelectors"]);
        let equals =
            |field: &str| fields.iter().find(|one| one["Field"] == field).map_or(&Value::Null, |one| &one["Equals"]);
        if *equals("eventCategory") == json!(["Management"]) {
            has_management |= !is_optional && fields.len() == 1;
            continue;
        }
        wrong.unless(
            is_optional && *equals("eventCategory") == json!(["Data"]),
            "data events are logged by a switch only",
        );
        let kind = equals("resources.type")[0].clone();
        // The trail's own files would be logged in the trail's own files.
        let spares_own = fields.iter().any(|one| {
            one["Field"] == "resources.ARN" && (one.get("NotStartsWith").is_some() || one.get("NotEquals").is_some())
        });
        let writes_own = kind == "AWS::S3::Object" || kind == "AWS::DynamoDB::Table";
        wrong.unless(spares_own || !writes_own, format!("{kind} would log what this stack writes"));
        types.push(kind);
    }
    wrong.unless(has_management, "management events are not always logged");
    let known = ["AWS::S3::Object", "AWS::Lambda::Function", "AWS::DynamoDB::Table", "AWS::Bedrock::Model"];
    for kind in
        known.iter().chain(&["AWS::Bedrock::AgentAlias", "AWS::Bedrock::KnowledgeBase", "AWS::Bedrock::Guardrail"])
    {
        wrong.unless(types.iter().any(|one| one == kind), format!("no switch for {kind}"));
    }
    wrong.unless(types.contains(&json!({"Ref": "OtherDataEventType"})), "no switch for other types");
    wrong.0
}

fn trail_arn() -> Value {
    json!({"Fn::Sub": "arn:${AWS::Partition}:cloudtrail:${AWS::Region}:${AWS::AccountId}:trail/${AWS::StackName}-trail"})
}

fn log_bucket(templates: &Templates) -> Vec<String> {
    let mut wrong = Violations::default();
    let resources = &templates.stack["Resources"];
    wrong.unless(
        resources["Trail"]["Properties"]["TrailName"] == json!({"Fn::Sub": "${AWS::StackName}-trail"}),
        "another name",
    );
    let document = &resources["LogsBucketPolicy"]["Properties"]["PolicyDocument"];
    for (sid, action) in [("TrailReadsAcl", "s3:GetBucketAcl"), ("TrailWrites", "s3:PutObject")] {
        let statement = statement(document, sid);
        wrong.unless(statement["Action"] == action && statement["Effect"] == "Allow", format!("no {sid}"));
    }
    for statement in statements(document).into_iter().filter(|statement| statement["Effect"] == "Allow") {
        let sid = &statement["Sid"];
        let equals = &statement["Condition"]["StringEquals"];
        wrong.unless(
            statement["Principal"] == json!({"Service": "cloudtrail.amazonaws.com"}),
            format!("{sid} is for others"),
        );
        wrong.unless(equals["aws:SourceArn"] == trail_arn(), format!("{sid} is for any trail"));
        let writes = statement["Action"] == "s3:PutObject";
        wrong.unless(
            !writes || equals["s3:x-amz-acl"] == "bucket-owner-full-control",
            format!("{sid} gives no control"),
        );
    }
    wrong.0
}

fn lifecycles(templates: &Templates) -> Vec<String> {
    let mut wrong = Violations::default();
    let rules =
        |bucket: &str| list(&templates.stack["Resources"][bucket]["Properties"]["LifecycleConfiguration"]["Rules"]);
    let steps = json!([
        {"StorageClass": "STANDARD_IA", "TransitionInDays": 30},
        {"StorageClass": "GLACIER_IR", "TransitionInDays": 90},
        {"StorageClass": "DEEP_ARCHIVE", "TransitionInDays": 365},
    ]);
    wrong.unless(rules("LogsBucket").iter().any(|rule| rule["Transitions"] == steps), "log files do not age");
    let never_expires = |bucket: &str| rules(bucket).iter().all(|rule| rule.get("ExpirationInDays").is_none());
    wrong.unless(never_expires("LogsBucket") && never_expires("AnalyticsBucket"), "logs or the lake expire");
    for step in rules("AnalyticsBucket").iter().flat_map(|rule| list(&rule["Transitions"])) {
        let class = &step["StorageClass"];
        let is_readable = ["STANDARD_IA", "INTELLIGENT_TIERING", "GLACIER_IR"].iter().any(|one| class == one);
        wrong.unless(is_readable, format!("Athena cannot read {class}"));
    }
    wrong.unless(
        rules("AthenaResultsBucket").iter().any(|rule| rule["ExpirationInDays"] == 30),
        "results do not expire",
    );
    for (bucket, _) in of_type(&templates.stack, "AWS::S3::Bucket") {
        let aborts = rules(bucket).iter().any(|rule| rule.get("AbortIncompleteMultipartUpload").is_some());
        wrong.unless(aborts, format!("{bucket} keeps aborted uploads"));
    }
    wrong.0
}

fn buckets(templates: &Templates) -> Vec<String> {
    let mut wrong = Violations::default();
    let policies = of_type(&templates.stack, "AWS::S3::BucketPolicy");
    for (name, bucket) in of_type(&templates.stack, "AWS::S3::Bucket") {
        let properties = &bucket["Properties"];
        for block in ["BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"] {
            wrong.unless(properties["PublicAccessBlockConfiguration"][block] == true, format!("{name}: {block}"));
        }
        let encryption =
            &properties["BucketEncryption"]["ServerSideEncryptionConfiguration"][0]["ServerSideEncryptionByDefault"];
        let algorithm = &encryption["SSEAlgorithm"];
        wrong.unless(
            *algorithm == json!({"Fn::If": ["HasKey", "aws:kms", "AES256"]}),
            format!("{name} is not encrypted"),
        );
        wrong.unless(
            properties["OwnershipControls"]["Rules"][0]["ObjectOwnership"] == "BucketOwnerEnforced",
            format!("{name}: ACLs"),
        );
        let is_versioned = properties["VersioningConfiguration"]["Status"] == "Enabled";
        wrong.unless(is_versioned || name == "AthenaResultsBucket", format!("{name} has no versions"));
        wrong.unless(bucket["UpdateReplacePolicy"] == "Retain", format!("{name} is lost when replaced"));
        // CloudFormation takes up none again that it could have deleted.
        wrong.unless(bucket["DeletionPolicy"] == "RetainExceptOnCreate", format!("{name} cannot be taken up again"));
        let policy = policies.iter().find(|(_, policy)| policy["Properties"]["Bucket"] == json!({"Ref": name}));
        let both = [json!({"Fn::GetAtt": [name, "Arn"]}), json!({"Fn::Sub": format!("${{{name}.Arn}}/*")})];
        let refuses =
            policy.is_some_and(|(_, policy)| refuses_plain_text(&policy["Properties"]["PolicyDocument"], &both));
        wrong.unless(refuses, format!("{name} takes plain text"));
    }
    wrong.0
}

/// Table, its suffix, its key and its indexes.
type Shape = (&'static str, &'static str, &'static [&'static str], &'static [(&'static str, [&'static str; 2])]);

fn tables(templates: &Templates) -> Vec<String> {
    const SHAPES: [Shape; 3] = [
        (
            "EventsTable",
            "events",
            &["event_date", "event_id"],
            &[("user_name-index", ["user_name", "event_date"]), ("event_name-index", ["event_name", "event_date"])],
        ),
        ("ControlTable", "control", &["region"], &[]),
        ("AlertsTable", "alerts", &["event_id", "alert_type"], &[("pending-index", ["pending", "due"])]),
    ];
    let mut wrong = Violations::default();
    let tables = of_type(&templates.stack, "AWS::DynamoDB::Table");
    wrong.unless(tables.len() == SHAPES.len(), "a table nobody knows");
    let schema = |names: &[&str]| -> Value {
        names
            .iter()
            .zip(["HASH", "RANGE"])
            .map(|(name, kind)| json!({"AttributeName": name, "KeyType": kind}))
            .collect()
    };
    for (name, table) in tables {
        let Some((_, suffix, key, indexes)) = SHAPES.iter().find(|shape| shape.0 == name) else { continue };
        let properties = &table["Properties"];
        wrong.unless(
            properties["TableName"] == json!({"Fn::Sub": format!("${{AWS::StackName}}-{suffix}")}),
            format!("{name}: name"),
        );
        wrong.unless(properties["KeySchema"] == schema(key), format!("{name}: key"));
        let found: Vec<(Value, Value)> = list(&properties["GlobalSecondaryIndexes"])
            .iter()
            .map(|index| (index["IndexName"].clone(), index["KeySchema"].clone()))
            .collect();
        let wanted: Vec<(Value, Value)> = indexes.iter().map(|(index, key)| (json!(index), schema(key))).collect();
        wrong.unless(found == wanted, format!("{name}: indexes"));
        // The code reads no more of an index, and `aws cost` counts no more.
        for index in list(&properties["GlobalSecondaryIndexes"]) {
            let is_lean = index["Projection"] == json!({"ProjectionType": "KEYS_ONLY"});
            wrong.unless(is_lean, format!("{name}: {} holds more than keys", index["IndexName"]));
        }
        wrong.unless(properties["BillingMode"] == "PAY_PER_REQUEST", format!("{name} costs while nothing happens"));
        wrong.unless(
            properties["TimeToLiveSpecification"] == json!({"AttributeName": "ttl", "Enabled": true}),
            format!("{name}: ttl"),
        );
        let recovery = &properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"];
        wrong.unless(*recovery == json!({"Ref": "PointInTimeRecovery"}), format!("{name}: no switch for backups"));
        wrong.unless(
            properties["DeletionProtectionEnabled"] == json!({"Ref": "DeletionProtection"}),
            format!("{name}: protection"),
        );
        wrong.unless(table["UpdateReplacePolicy"] == "Retain", format!("{name} is lost when replaced"));
    }
    wrong.0
}
