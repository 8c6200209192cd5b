//! What `aws deploy` and `aws destroy` do with what is there already: stacks that are broken, buckets that stayed, names that
//! are taken.

use testkit::http::script::Asked;

use crate::stack::{ACCOUNT, ALL, Bucket, Cloud, Pairs, TEMPLATE, pairs, typed};

const LAKE: &str = "trailhound-analytics-111122223333";
const ARTIFACTS: &str = "trailhound-artifacts-111122223333-us-east-1";

fn made_by(stack: &'static str, logical: &'static str, objects: usize) -> Bucket {
    Bucket { stack, logical, objects }
}

impl Cloud {
    fn bucket(&self, name: &str, bucket: Bucket) {
        self.state.lock().unwrap().buckets.insert(name.to_owned(), bucket);
    }

    fn buckets(&self) -> Vec<String> {
        self.state.lock().unwrap().buckets.keys().cloned().collect()
    }

    fn holds(&self, stack: &str, resources: &[(&str, &str)]) {
        self.state.lock().unwrap().stacks.get_mut(stack).unwrap().resources = pairs(resources);
    }

    /// The one proposal of a stack.
    fn proposal(&self, stack: &str) -> Pairs {
        let of_stack = |form: &Pairs| form.contains(&("StackName".to_owned(), stack.to_owned()));
        self.asked("CreateChangeSet").into_iter().rfind(of_stack).unwrap()
    }

    /// What was uploaded as the template of the stack last.
    fn template(&self) -> String {
        let is_one = |asked: &Asked| asked.call.starts_with("PUT ") && asked.call.contains("/trailhound/template-");
        self.script.asked().into_iter().rfind(is_one).unwrap().body
    }
}

fn has(form: &Pairs, name: &str, value: &str) -> bool {
    form.contains(&(name.to_owned(), value.to_owned()))
}

#[test]
fn the_longest_name_in_the_region_with_the_longest_has_a_bucket() {
    let (cloud, longest) = (Cloud::new(), "abcdefghijklmnopqrstuvwxyz-12345678");
    let arguments = ["--stack", longest, "--region", "ap-southeast-2"];
    cloud.deploy(ALL, &arguments).code(0);
    let bucket = cloud.given(longest, "ArtifactBucket").unwrap();
    assert_eq!(cloud.given(&format!("{longest}-artifacts"), "BucketName"), Some(bucket.clone()));
    assert_eq!(bucket.len(), 62, "{bucket}");
    assert!(cloud.script.asked().iter().any(|asked| asked.call.starts_with(&format!("PUT /{bucket}/trailhound/"))));
    cloud.run(&["destroy", "--stack", longest, "--region", "ap-southeast-2", "--yes"]).code(0);
    assert!(cloud.stacks().is_empty());
    cloud.deploy(ALL, &["--stack", &format!("{longest}9")]).code(2);
}

#[test]
fn a_helping_stack_that_is_left_over_is_deleted_and_made_again() {
    for status in ["ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"] {
        let cloud = Cloud::new();
        cloud.has("trailhound-artifacts", status, &[]);
        cloud.has("trailhound-forwarder", status, &[]);
        let folder = cloud.zips(ALL);
        let deploy = ["deploy", "--functions", &folder, "--forward-from", "eu-west-1", "--yes"];
        let made = cloud.run(&deploy).code(0);
        for name in ["trailhound-artifacts", "trailhound-forwarder"] {
            let said = format!("the stack {name} is left over ({status}): it is deleted and made again");
            assert!(made.stderr().contains(&said), "{}", made.stderr());
            let deleted = |form: &Pairs| form.iter().any(|(_, value)| value.contains(&format!("stack/{name}/1")));
            assert!(cloud.asked("DeleteStack").iter().any(deleted));
            assert!(has(&cloud.proposal(name), "ChangeSetType", "CREATE"));
            assert_eq!(cloud.state.lock().unwrap().stacks[name].status, "CREATE_COMPLETE");
        }
    }
}

#[test]
fn a_helping_stack_that_is_busy_is_waited_for() {
    let cloud = Cloud::new();
    cloud.has("trailhound-artifacts", "DELETE_IN_PROGRESS", &[]);
    std::thread::scope(|scope| {
        let deploying = scope.spawn(|| cloud.deploy(ALL, &[]).code(0).stderr());
        while cloud.asked("DescribeStackEvents").is_empty() && !deploying.is_finished() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        cloud.state.lock().unwrap().stacks.remove("trailhound-artifacts");
        let said = deploying.join().unwrap();
        assert!(said.contains("with the stack trailhound-artifacts (DELETE_IN_PROGRESS): waiting for it"), "{said}");
    });
    assert_eq!(cloud.stacks(), ["trailhound", "trailhound-artifacts"]);
}

#[test]
fn a_bucket_that_was_deleted_by_hand_is_made_again_with_its_stack() {
    let cloud = Cloud::new();
    cloud.has("trailhound-artifacts", "CREATE_COMPLETE", &[]);
    let said = cloud.deploy(ALL, &[]).code(0).stderr();
    assert!(said.contains(&format!("{ARTIFACTS} is gone, and the stack trailhound-artifacts")), "{said}");
    assert_eq!(cloud.asked("DeleteStack").len(), 1);
    assert_eq!(cloud.buckets(), [ARTIFACTS]);
    // One that is there is left alone.
    let said = cloud.deploy(ALL, &[]).code(0).stderr();
    assert!(!said.contains("is gone") && cloud.asked("DeleteStack").len() == 1, "{said}");
}

#[test]
fn what_is_declined_changes_nothing_and_is_no_failure() {
    let cloud = Cloud::new();
    cloud.has("trailhound-artifacts", "ROLLBACK_COMPLETE", &[]);
    let folder = cloud.zips(ALL);
    let deploy = cloud.command(&["deploy", "--functions", &folder, "--forward-from", "none"]);
    let said = typed(&deploy, "n\n").code(0).stdout();
    assert!(said.contains("Make it? [y/N]") && said.contains("nothing was changed"), "{said}");
    assert!(cloud.asked("DeleteStack").is_empty() && cloud.asked("CreateChangeSet").is_empty());
    let said = typed(&deploy, "y\nn\n").code(0).stdout();
    assert!(said.contains("nothing was changed"), "{said}");
    assert_eq!(cloud.stacks(), ["trailhound-artifacts"]);
}

#[test]
fn another_stack_in_the_region_has_a_database_of_its_own() {
    let cloud = Cloud::new();
    cloud.deploy(ALL, &[]).code(0);
    assert_eq!(cloud.given("trailhound", "AthenaDatabaseName"), None, "the template's own");
    cloud.deploy(ALL, &["--stack", "second-one"]).code(0);
    assert_eq!(cloud.given("second-one", "AthenaDatabaseName").as_deref(), Some("second_one"));
    // A stack that is there keeps what it has, and who gives one gets it.
    cloud.has("third", "CREATE_COMPLETE", &[("AthenaDatabaseName", "trailhound")]);
    cloud.deploy(ALL, &["--stack", "third"]).code(0);
    assert_eq!(cloud.given("third", "AthenaDatabaseName").as_deref(), Some("trailhound"));
    cloud.deploy(ALL, &["--stack", "fourth", "--parameter", "AthenaDatabaseName=lake"]).code(0);
    assert_eq!(cloud.given("fourth", "AthenaDatabaseName").as_deref(), Some("lake"));
}

#[test]
fn concurrency_is_reserved_where_there_is_room_for_it() {
    let reserved = TEMPLATE.lines().filter_map(|line| {
        let (_, rest) = line.split_once("ReservedConcurrentExecutions: !If [Reserves, ")?;
        rest.split(',').next()?.parse::<u64>().ok()
    });
    let needed = 100 + reserved.sum::<u64>();
    for (there, more, expected) in [
        (10, &[][..], Some("false")),
        (needed - 1, &[], Some("false")),
        (needed, &[], None),
        (10, &["--parameter", "ReserveConcurrency=true"], Some("true")),
    ] {
        let cloud = Cloud::new();
        cloud.state.lock().unwrap().concurrency = there;
        let said = cloud.deploy(ALL, more).code(0).stderr();
        assert_eq!(cloud.given("trailhound", "ReserveConcurrency").as_deref(), expected, "{there} {said}");
        let notes = said.contains(&format!("may run {there} functions at once here"));
        assert_eq!(notes, expected == Some("false"), "{said}");
    }
}

#[test]
fn what_the_region_lacks_is_said_where_the_template_is_refused() {
    for action in ["GetTemplateSummary", "CreateChangeSet"] {
        let cloud = Cloud::new();
        let why = "Template format error: Unrecognized resource types: [AWS::Detective::Graph]";
        cloud.state.lock().unwrap().refused = Some((action, why));
        let said = cloud.deploy(ALL, &[]).code(1).stderr();
        assert!(
            said.contains(why) && said.contains("\n  what to do: the region's CloudFormation knows none"),
            "{said}"
        );
    }
}

#[test]
fn buckets_that_stayed_are_taken_up_again_and_nobody_elses() {
    let cloud = Cloud::new();
    cloud.bucket(LAKE, made_by("trailhound", "AnalyticsBucket", 3));
    // By the names of our buckets, and not ours: made by hand, and by another stack.
    cloud.bucket("trailhound-logs-111122223333", Bucket::default());
    cloud.bucket("trailhound-athena-results-111122223333", made_by("other", "AthenaResultsBucket", 0));
    cloud.deploy(ALL, &[]).code(0);
    assert!(has(&cloud.proposal("trailhound"), "ImportExistingResources", "true"));
    let template = cloud.template();
    // CloudFormation takes up what is named without a function.
    assert!(template.contains(&format!("      BucketName: \"{LAKE}\"\n")));
    for part in ["logs", "athena-results"] {
        assert!(template.contains(&format!("BucketName: !Sub \"${{AWS::StackName}}-{part}-${{AWS::AccountId}}\"\n")));
    }
    // What is in the stack is not taken up, and the template is the one that ships.
    cloud.holds("trailhound", &[("AWS::S3::Bucket", LAKE)]);
    cloud.deploy(ALL, &[]).code(0);
    assert!(!cloud.proposal("trailhound").iter().any(|(name, _)| name == "ImportExistingResources"));
    assert_eq!(cloud.template(), TEMPLATE);

    // The bucket of the functions, too.
    let cloud = Cloud::new();
    cloud.bucket(ARTIFACTS, made_by("trailhound-artifacts", "Bucket", 3));
    cloud.deploy(ALL, &[]).code(0);
    let proposal = cloud.proposal("trailhound-artifacts");
    let (_, body) = proposal.iter().find(|(name, _)| name == "TemplateBody").unwrap();
    assert!(body.contains(&format!("\"BucketName\": \"{ARTIFACTS}\"")), "{body}");
    assert!(has(&proposal, "ImportExistingResources", "true"));
}

#[test]
fn a_bucket_that_is_switched_off_is_named_before_and_after() {
    let cloud = Cloud::new();
    cloud.has("trailhound", "CREATE_COMPLETE", &[]);
    cloud.holds("trailhound", &[("AWS::S3::Bucket", LAKE)]);
    cloud.bucket(LAKE, made_by("trailhound", "AnalyticsBucket", 3));
    cloud.state.lock().unwrap().changes = Some(
        "<Action>Remove</Action><LogicalResourceId>AnalyticsBucket</LogicalResourceId>\
         <PhysicalResourceId>trailhound-analytics-111122223333</PhysicalResourceId>\
         <ResourceType>AWS::S3::Bucket</ResourceType>",
    );
    let said = cloud.deploy(ALL, &["--parameter", "EnableAnalytics=false"]).code(0).stdout();
    assert!(said.contains(&format!("AnalyticsBucket  {LAKE} stays, with all that is in it\n")), "{said}");
    assert!(said.contains(&format!("stays: AWS::S3::Bucket {LAKE}, which is taken up again")), "{said}");
}

#[test]
fn destroy_names_what_is_lost() {
    let cloud = Cloud::new();
    cloud.has("trailhound", "CREATE_COMPLETE", &[("DeletionProtection", "false")]);
    let graph = format!("arn:aws:detective:us-east-1:{ACCOUNT}:graph:0a1b");
    let queue = format!("https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/trailhound-alerts-dead");
    let topic = format!("arn:aws:sns:us-east-1:{ACCOUNT}:trailhound-alerts");
    cloud.holds(
        "trailhound",
        &[
            ("AWS::DynamoDB::Table", "trailhound-events"),
            ("AWS::CloudTrail::Trail", "trailhound-trail"),
            ("AWS::Logs::LogGroup", "trailhound-trail"),
            ("AWS::Detective::Graph", &graph),
            ("AWS::SQS::Queue", &queue),
            ("AWS::SNS::Topic", &topic),
            ("AWS::Glue::Database", "trailhound"),
            ("AWS::Athena::WorkGroup", "trailhound-workgroup"),
            ("AWS::KMS::Key", "key-id"),
            ("AWS::IAM::Role", "trailhound-role"),
        ],
    );
    let said = cloud.run(&["destroy", "--yes"]).code(0).stdout();
    let named: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    assert_eq!(
        named,
        [
            "lost: table trailhound-events",
            "lost: trail trailhound-trail: it records nothing any more",
            "lost: log group trailhound-trail and all in it",
            "lost: behavior graph 0a1b: what it has learnt cannot be had again",
            "lost: queue trailhound-alerts-dead and the messages in it",
            "lost: topic trailhound-alerts and its subscriptions",
            "lost: database trailhound, its tables and views",
            "lost: workgroup trailhound-workgroup, its saved queries and its history",
            "stays: key key-id",
        ]
    );
}

#[test]
fn protected_tables_are_refused_before_anything_is_deleted() {
    for (status, advice) in [
        ("CREATE_COMPLETE", "`trailhound aws deploy --stack trailhound --parameter DeletionProtection=false`"),
        ("DELETE_FAILED", "--no-deletion-protection-enabled --table-name` for trailhound-events"),
    ] {
        let cloud = Cloud::new();
        cloud.has("trailhound-artifacts", "CREATE_COMPLETE", &[]);
        cloud.has("trailhound-forwarder", "CREATE_COMPLETE", &[]);
        cloud.has("trailhound", status, &[("DeletionProtection", "true")]);
        cloud.holds("trailhound", &[("AWS::DynamoDB::Table", "trailhound-events"), ("AWS::S3::Bucket", LAKE)]);
        cloud.bucket(LAKE, made_by("trailhound", "AnalyticsBucket", 3));
        let said = cloud.run(&["destroy", "--delete-data", "--yes"]).code(1).stderr();
        assert!(said.contains(advice) && said.contains("nothing was deleted"), "{said}");
        assert!(cloud.asked("DeleteStack").is_empty());
        assert_eq!(cloud.state.lock().unwrap().buckets[LAKE].objects, 3);
        // What was never made is not protected either.
        cloud.holds("trailhound", &[("AWS::S3::Bucket", LAKE)]);
        cloud.run(&["destroy", "--delete-data", "--yes"]).code(0);
        assert!(cloud.stacks().is_empty() && cloud.buckets().is_empty());
    }
}

#[test]
fn destroy_deletes_the_buckets_that_stay_if_that_is_wanted_also_without_a_stack() {
    let cloud = Cloud::new();
    cloud.has("trailhound", "CREATE_COMPLETE", &[]);
    cloud.holds("trailhound", &[("AWS::S3::Bucket", LAKE)]);
    cloud.bucket(LAKE, made_by("trailhound", "AnalyticsBucket", 3));
    cloud.bucket("trailhound-athena-results-111122223333", made_by("trailhound", "AthenaResultsBucket", 0));
    cloud.bucket("trailhound-logs-111122223333", Bucket { objects: 1, ..Bucket::default() });
    let said = cloud.run(&["destroy", "--yes"]).code(0).stdout();
    assert!(said.contains(&format!("  stays if anything is in it: bucket {LAKE}\n")), "{said}");
    assert!(said.contains(&format!("\nstays: AWS::S3::Bucket {LAKE}: `deploy` takes it up again")), "{said}");
    assert_eq!(cloud.buckets(), [LAKE, "trailhound-logs-111122223333"], "an empty one goes");

    let said = cloud.run(&["destroy", "--delete-data", "--yes"]).code(0).stdout();
    assert!(said.starts_with("there is no stack trailhound in us-east-1\nleft behind by a stack"), "{said}");
    assert!(said.contains(&format!("  lost: bucket {LAKE} and all in it\n")), "{said}");
    assert!(said.contains(&format!("\n{LAKE}: 3 versions of objects deleted\n")), "{said}");
    assert_eq!(cloud.buckets(), ["trailhound-logs-111122223333"], "what the stack did not make is none of its");
    let said = cloud.run(&["destroy", "--delete-data", "--yes"]).code(0).stdout();
    assert_eq!(said, "there is no stack trailhound in us-east-1\n");
}
