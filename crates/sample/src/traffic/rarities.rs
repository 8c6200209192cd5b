//! What happens once or twice a day: the identity types that ordinary traffic seldom shows, and events that services report
//! by themselves.

use crate::calendar::DAY;
use crate::call::Call;
use crate::day::{Day, stream_of};
use crate::identity::{Caller, Session, role_arn, session_attributes};
use crate::organisation::{GLOBAL, HOME, MANAGEMENT, PRODUCTION, REGIONS, REGIONS_IN_USE, SANDBOX};
use crate::record::Kind;
use crate::scene::Scene;

const FEDERATION_TOKEN: Call = Call::write(
    "sts",
    "GetFederationToken",
    r#"{"name":"robot-uploads","durationSeconds":3600,"policy":"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"s3:PutObject\",\"Resource\":\"*\"}]}"}"#,
    r#"{"credentials":{"accessKeyId":"$access_key","sessionToken":"$session_token","expiration":"$later"},"federatedUser":{"federatedUserId":"$account:robot-uploads","arn":"arn:aws:sts::$account:federated-user/robot-uploads"},"packedPolicySize":4}"#,
);
const UPLOAD: Call = Call { data: true, ..Call::write("s3", "PutObject", r#"{"bucketName":"$bucket","Host":"$bucket.s3.$region.amazonaws.com","key":"$key"}"#, "null") }
    .on(r#"[{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::$bucket/$key"},{"accountId":"$account","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::$bucket"}]"#);
const PUBLIC_READ: Call = Call { data: true, ..Call::read("s3", "GetObject", r#"{"bucketName":"$bucket","Host":"$bucket.s3.$region.amazonaws.com","key":"docs/index.html"}"#) }
    .on(r#"[{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::$bucket/docs/index.html"},{"accountId":"$account","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::$bucket"}]"#);
const WORKDOCS: Call = Call::read(
    "workdocs",
    "GetDocumentVersion",
    r#"{"documentId":"$hex64","versionId":"$epoch-$hex64","fields":"SOURCE"}"#,
);
const WORKSPACES: Call = Call::service("signin", "UserAuthentication", r#"{"UserAuthentication":"Success"}"#).with(
    r#"{"AuthWorkflowID":"$uuid","LoginTo":"https://clients.amazonaws.com/workspaces","CredentialType":"PASSWORD"}"#,
);
const SNAPSHOT_SHARED: Call = Call::service("ec2", "SharedSnapshotVolumeCreated", r#"{"snapshotId":"snap-0$hex16"}"#);
const BACKUP: Call = Call::service(
    "backup",
    "BackupJobCompleted",
    r#"{"completionDate":{"seconds":$epoch,"nanos":0},"state":"COMPLETED","percentDone":100,"resourceType":"EBS","resourceArn":"arn:aws:ec2:$region:$account:volume/$volume","backupSizeInBytes":$bytes,"backupVaultName":"Default","backupVaultArn":"arn:aws:backup:$region:$account:backup-vault:Default"}"#,
);
const ROTATE_KEY: Call = Call::service("kms", "RotateKey", r#"{"keyId":"$kms"}"#)
    .on(r#"[{"accountId":"$account","type":"AWS::KMS::Key","ARN":"arn:aws:kms:$region:$account:key/$kms"}]"#);
const FAILED_LOGIN: Call = Call {
    kind: Kind::ConsoleSignIn,
    error: Some(("", "No username found in supplied account")),
    ..Call::write("signin", "ConsoleLogin", "null", r#"{"ConsoleLogin":"Failure"}"#)
        .with(r#"{"LoginTo":"https://console.aws.amazon.com/console/home","MobileVersion":"No","MFAUsed":"No"}"#)
};
const LIST_TRAILS: Call =
    Call::read("cloudtrail", "DescribeTrails", r#"{"trailNameList":[],"includeShadowTrails":true}"#);
const REGION_INSTANCES: Call =
    Call::read("ec2", "DescribeInstances", r#"{"maxResults":1000,"instancesSet":{},"filterSet":{}}"#);

impl<'a> Day<'a> {
    /// Makes the day's rarities, and on Mondays the sweep over regions that nobody uses.
    pub(crate) fn rarities(&mut self) {
        self.federated_user();
        self.identities_of_other_kinds();
        self.reported_by_services();
        if (self.start.div_euclid(DAY) + 3).rem_euclid(7) == 0 {
            self.sweep_unused_regions();
        }
    }

    fn somewhere(&mut self, account: usize, region: usize) -> Scene<'a> {
        let stream = stream_of(account, region).expect("rarities happen where there is traffic");
        let window = self.any_window(stream);
        self.scene(stream, window)
    }

    /// A robot of the lab uploads with a federation token.
    fn federated_user(&mut self) {
        let org = self.org;
        let (user, home) = (org.user("lab-robot"), &org.accounts[SANDBOX]);
        let mut scene = self.somewhere(SANDBOX, HOME);
        let key = self.chance.iam_id("ASIA", home.number);
        let maker = Caller::user(user, home);
        scene.bind("access_key", key.as_str());
        self.record(&mut scene, &maker, &FEDERATION_TOKEN, None);
        let identity = format!(
            r#"{{"type":"FederatedUser","principalId":"{id}:robot-uploads","arn":"arn:aws:sts::{id}:federated-user/robot-uploads","accountId":"{id}","accessKeyId":"{key}","sessionContext":{{"sessionIssuer":{{"type":"IAMUser","principalId":"{}","arn":"{}","accountId":"{id}","userName":"{}"}},"attributes":{}}}}}"#,
            user.id,
            maker.arn,
            user.name,
            session_attributes(scene.time, false),
            id = home.id,
        );
        let arn = format!("arn:aws:sts::{}:federated-user/robot-uploads", home.id);
        let robot = Caller::client(identity, arn, "robot-uploads", user.address, user.agent);
        for _ in 0..3 {
            self.pass(&mut scene);
            self.record(&mut scene, &robot, &UPLOAD, None);
        }
    }

    /// Directory, Unknown, Role and AWSAccount.
    fn identities_of_other_kinds(&mut self) {
        let org = self.org;
        let (management, production) = (&org.accounts[MANAGEMENT], &org.accounts[PRODUCTION]);
        let person = self.chance.pick(&org.people);
        let directory = format!(
            r#"{{"type":"Directory","arn":"arn:aws:ds:{}:{}:user/d-93677a1c02/{}","accountId":"{}","userName":"{}"}}"#,
            REGIONS[HOME],
            management.id,
            &person.user_id[11..],
            management.id,
            person.mail,
        );
        let unknown = format!(
            r#"{{"type":"Unknown","principalId":"{id}","arn":"","accountId":"{id}","accessKeyId":"","userName":"{}"}}"#,
            &person.mail[..person.mail.find('@').unwrap_or(0)],
            id = management.id,
        );
        let backup = role_arn(production, "ingest-worker");
        let role = format!(
            r#"{{"type":"Role","principalId":"{}","arn":"{backup}","accountId":"{}","userName":"ingest-worker"}}"#,
            production.role_id("ingest-worker"),
            production.id,
        );
        let anonymous = r#"{"type":"AWSAccount","principalId":"","accountId":"anonymous"}"#.to_owned();
        let hidden = format!(
            r#"{{"type":"IAMUser","accountId":"{}","accessKeyId":"","userName":"HIDDEN_DUE_TO_SECURITY_REASONS"}}"#,
            management.id,
        );
        let rare = [
            (MANAGEMENT, HOME, directory, WORKDOCS, person.office),
            (MANAGEMENT, HOME, unknown, WORKSPACES, person.office),
            (PRODUCTION, HOME, role, SNAPSHOT_SHARED, "ec2.amazonaws.com"),
            (PRODUCTION, HOME, anonymous, PUBLIC_READ, "198.51.100.240"),
            (MANAGEMENT, GLOBAL, hidden, FAILED_LOGIN, "198.51.100.241"),
        ];
        for (account, region, identity, call, address) in rare {
            let mut scene = self.somewhere(account, region);
            let machine = address.ends_with(".amazonaws.com");
            let agent = if machine { address } else { person.browser };
            let caller = Caller { tls: !machine, ..Caller::client(identity, String::new(), "", address, agent) };
            self.record(&mut scene, &caller, &call, None);
        }
    }

    /// Service events, whose `userIdentity` has no type.
    fn reported_by_services(&mut self) {
        let org = self.org;
        for (service, call) in [("backup.amazonaws.com", BACKUP), ("AWS Internal", ROTATE_KEY)] {
            let mut scene = self.somewhere(PRODUCTION, HOME);
            let identity = format!(r#"{{"accountId":"{}","invokedBy":"{service}"}}"#, org.accounts[PRODUCTION].id);
            let caller = Caller { identity, ..Caller::service(service) };
            self.record(&mut scene, &caller, &call, None);
        }
    }

    fn sweep_unused_regions(&mut self) {
        let org = self.org;
        let stream = stream_of(PRODUCTION, HOME).expect("production is in use in the home region");
        let window = self.any_window(stream);
        let auditor = self.session(
            stream,
            window,
            "security-audit",
            |_, key, created| {
                let session = Session::new(&org.accounts[PRODUCTION], "security-audit", "region-sweep", key, created);
                ("region-sweep".to_owned(), session.caller("10.20.3.17", org.users[2].agent))
            },
            "ecs-tasks.amazonaws.com",
        );
        for region in REGIONS_IN_USE..REGIONS.len() {
            let mut scene = Scene::new(org, PRODUCTION, region, window + 30 + region as i64);
            for call in [REGION_INSTANCES, LIST_TRAILS] {
                self.pass(&mut scene);
                self.record(&mut scene, &auditor, &call, None);
            }
        }
    }
}
