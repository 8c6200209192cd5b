//! The ordinary traffic of a day: machines, services and pipelines here, people and rarities in the modules below.

mod people;
mod rarities;

use std::rc::Rc;

use crate::actions::{
    Action, CLOUDTRAIL_DELIVERY, LAMBDA, LOG_DELIVERY, MACHINE_LEARNING, PIPELINE, SCALING, SERVICE_LINKED, WORKER,
    pick,
};
use crate::call::{Call, Shared};
use crate::day::Day;
use crate::identity::{Caller, Session, assumed_arn, role_arn};
use crate::organisation::{Account, GLOBAL, NAME, PRODUCTION, REGIONS, STREAMS};
use crate::scene::Scene;

const ASSUME_ROLE: Call = Call {
    read_only: true,
    ..Call::write(
        "sts",
        "AssumeRole",
        r#"{"roleArn":"$role_arn","roleSessionName":"$session"}"#,
        r#"{"credentials":{"accessKeyId":"$access_key","sessionToken":"$session_token","expiration":"$later"},"assumedRoleUser":{"assumedRoleId":"$role_id:$session","arn":"$assumed_arn"}}"#,
    )
    .on(r#"[{"accountId":"$account","type":"AWS::IAM::Role","ARN":"$role_arn"}]"#)
};

const WEB_IDENTITY: Call = Call {
    read_only: true,
    ..Call::write(
        "sts",
        "AssumeRoleWithWebIdentity",
        r#"{"roleArn":"$role_arn","roleSessionName":"$session","durationSeconds":3600}"#,
        r#"{"credentials":{"accessKeyId":"$access_key","sessionToken":"$session_token","expiration":"$later"},"subjectFromWebIdentityToken":"$subject","assumedRoleUser":{"assumedRoleId":"$role_id:$session","arn":"$assumed_arn"},"provider":"arn:aws:iam::$account:oidc-provider/token.actions.githubusercontent.com","audience":"sts.amazonaws.com"}"#,
    )
    .on(r#"[{"accountId":"$account","type":"AWS::IAM::Role","ARN":"$role_arn"}]"#)
    .with(r#"{"RequestDetails":{"awsServingRegion":"$region","endpointType":"regional"},"identityProviderConnectionVerificationMethod":"IAMTrustStore"}"#)
};

const SDK_JAVA: &str = "aws-sdk-java/2.33.9 md/io#async md/http#NettyNio ua/2.1 os/Linux#6.1.148 lang/java#21.0.8 md/vendor#Amazon.com_Inc. md/en_US m/N,AE";
const SDK_GO: &str = "aws-sdk-go-v2/1.39.0 ua/2.1 os/linux lang/go#1.25.1 md/GOOS#linux md/GOARCH#arm64 m/E,g";
const SDK_PYTHON: &str = "Boto3/1.40.33 md/Botocore#1.40.33 ua/2.1 os/linux#6.1.148 md/arch#x86_64 lang/python#3.13.7 exec-env/AWS_Lambda_python3.13 Botocore/1.40.33";
const SSM_AGENT: &str = "aws-sdk-go/1.55.5 (go1.23.9; linux; arm64) amazon-ssm-agent/3.3.2746.0";
const TERRAFORM: &str = "APN/1.0 HashiCorp/1.0 Terraform/1.13.2 (+https://www.terraform.io) terraform-provider-aws/6.13.0 (+https://registry.terraform.io/providers/hashicorp/aws) aws-sdk-go-v2/1.39.0 ua/2.1 os/linux lang/go#1.24.6 md/GOOS#linux md/GOARCH#amd64 m/E,g";
const ACTIONS_CLI: &str = "aws-cli/2.31.0 md/awscrt#0.27.6 ua/2.1 os/linux#6.11.0-1018-azure md/arch#x86_64 lang/python#3.13.7 md/pyimpl#CPython exec-env/github-actions cfg/retry-mode#standard md/installer#exe";
const CRT: &str = "aws-sdk-rust/1.3.8 ua/2.1 api/s3#1.106.0 os/linux lang/rust#1.90.0 m/E,b,N";

impl<'a> Day<'a> {
    /// Fills the day with ordinary traffic.
    pub(crate) fn fill(&mut self) {
        self.rarities();
        // Every busy window of every stream gets something first, so that the number of files is what was asked for.
        let windows: usize = self.windows.iter().map(Vec::len).sum();
        let share = (self.left / (2 * windows).max(1)).clamp(1, 6);
        for stream in 0..STREAMS.len() {
            for number in 0..self.windows[stream].len() {
                let window = self.windows[stream][number];
                self.machine(stream, window, share);
            }
        }
        while self.left > 0 {
            match self.chance.below(100) {
                0..58 => {
                    let stream = self.any_stream();
                    let window = self.any_window(stream);
                    let size = self.chance.between(6, 24) as usize;
                    self.machine(stream, window, size);
                }
                58..66 => self.pipeline(),
                66..84 => self.visit(),
                84..96 => self.iam_user(),
                _ => self.audit(),
            }
        }
    }

    /// What runs without people: applications, functions and the services of AWS.
    fn machine(&mut self, stream: usize, window: i64, size: usize) {
        match self.chance.below(100) {
            0..34 => self.worker(stream, window, size),
            34..54 => self.lambda(stream, window, size),
            54..80 => {
                let (service, group): (_, &'static [Action]) = match self.chance.below(4) {
                    0 => ("delivery.logs.amazonaws.com", LOG_DELIVERY),
                    _ => ("cloudtrail.amazonaws.com", CLOUDTRAIL_DELIVERY),
                };
                let mut scene = self.scene(stream, window);
                self.burst(&mut scene, &Caller::service(service), group, size.min(12));
            }
            80..90 => {
                let caller = self.linked_session(
                    stream,
                    window,
                    "AWSServiceRoleForAutoScaling",
                    "AutoScaling",
                    "autoscaling.amazonaws.com",
                );
                let mut scene = self.scene(stream, window);
                self.burst(&mut scene, &caller, SCALING, size);
            }
            _ => {
                let (role, session, service) = *self.chance.pick(&[
                    ("AWSServiceRoleForConfig", "AWSConfig-Describe", "config.amazonaws.com"),
                    ("AWSServiceRoleForAmazonGuardDuty", "guardduty", "guardduty.amazonaws.com"),
                    ("AWSServiceRoleForSecurityHub", "securityhub", "securityhub.amazonaws.com"),
                ]);
                let caller = self.linked_session(stream, window, role, session, service);
                let mut scene = self.scene(stream, window);
                self.burst(&mut scene, &caller, SERVICE_LINKED, size);
            }
        }
    }

    /// A row of calls by one caller, a few seconds apart.
    fn burst(&mut self, scene: &mut Scene<'_>, caller: &Caller, group: &'static [Action], size: usize) {
        for _ in 0..size {
            let action = pick(group, &mut self.chance);
            if action.is_global() && scene.region != GLOBAL {
                continue;
            }
            self.pass(scene);
            self.act(scene, caller, action);
        }
    }

    fn worker(&mut self, stream: usize, window: i64, size: usize) {
        let (account, region, _) = STREAMS[stream];
        let number = self.chance.below(5);
        let role = ["order-service", "ingest-worker", "telemetry-api", "model-gateway", "bastion"][number];
        let caller = self.session(
            stream,
            window,
            role,
            |day, key, created| {
                let home = &day.org.accounts[account];
                let here = Account::local(&home.instances, region);
                let instance = &here[2 * number + day.chance.below(2)];
                let session = Session {
                    context: r#","ec2RoleDelivery":"2.0""#,
                    ..Session::new(home, role, instance, key, created)
                };
                let private = format!("10.{}.{}.{}", 16 + account, day.chance.below(8), 10 + day.chance.below(200));
                let agent = *day.chance.pick(&[SDK_JAVA, SDK_GO, CRT, SSM_AGENT]);
                let endpoint = Account::local(&home.endpoints, region).get(number).cloned();
                (instance.clone(), Caller { endpoint, ..session.caller(&private, agent) })
            },
            "ec2.amazonaws.com",
        );
        let group = if number == 3 && self.chance.one_in(3) { MACHINE_LEARNING } else { WORKER };
        let mut scene = self.scene(stream, window);
        self.burst(&mut scene, &caller, group, size);
    }

    fn lambda(&mut self, stream: usize, window: i64, size: usize) {
        let (account, region, _) = STREAMS[stream];
        let role = ["resize-images", "nightly-export", "webhook-receiver", "stream-enricher"][self.chance.below(4)];
        let caller = self.session(stream, window, role, |day, key, created| {
            let home = &day.org.accounts[account];
            let scope = format!(
                r#","inScopeOf":{{"sourceArn":"arn:aws:lambda:{region}:{id}:function:{role}","sourceAccount":"{id}","issuerType":"AWS::Lambda::Function","credentialsIssuedTo":"arn:aws:lambda:{region}:{id}:function:{role}"}}"#,
                region = REGIONS[region],
                id = home.id,
            );
            // CloudTrail names the function behind a role for some calls only; here, for one function.
            let more = if role == "stream-enricher" { scope.as_str() } else { "" };
            let session = Session { more, ..Session::new(home, role, role, key, created) };
            let public = format!("198.19.{}.{}", day.chance.below(256), 1 + day.chance.below(254));
            (role.to_owned(), session.caller(&public, SDK_PYTHON))
        }, "lambda.amazonaws.com");
        let mut scene = self.scene(stream, window);
        self.burst(&mut scene, &caller, LAMBDA, size);
    }

    /// The session of a service-linked role, which the service itself speaks through.
    fn linked_session(
        &mut self,
        stream: usize,
        window: i64,
        role: &'static str,
        name: &'static str,
        service: &'static str,
    ) -> Rc<Caller> {
        let (account, _, _) = STREAMS[stream];
        self.session(
            stream,
            window,
            role,
            |day, key, created| {
                let more = format!(r#","invokedBy":"{service}""#);
                let session =
                    Session { more: &more, ..Session::new(&day.org.accounts[account], role, name, key, created) };
                (name.to_owned(), Caller { tls: false, ..session.caller(service, service) })
            },
            service,
        )
    }

    /// The session that a role has in the part of the day a window lies in; begun, with the AssumeRole that issued its key, when
    /// it is first asked for.
    fn session(
        &mut self,
        stream: usize,
        window: i64,
        role: &'static str,
        open: impl FnOnce(&mut Self, &str, i64) -> (String, Caller),
        service: &str,
    ) -> Rc<Caller> {
        let windows = &self.windows[stream];
        let at = windows.partition_point(|&busy| busy < window);
        let part = at * 4 / windows.len();
        if let Some(caller) = self.sessions.get(&(stream, role, part)) {
            return Rc::clone(caller);
        }
        let first = windows[(part * windows.len()).div_ceil(4)];
        let (account, region, _) = STREAMS[stream];
        let created = first + self.chance.between(0, 5);
        let key = self.chance.iam_id("ASIA", self.org.accounts[account].number);
        let (name, caller) = open(self, &key, created);
        let mut scene = Scene::new(self.org, account, region, created);
        self.bind_role(&mut scene, role, &name, &key);
        let shared = self.shared();
        self.record(&mut scene, &Caller::service(service), &ASSUME_ROLE, Some(&shared));
        let caller = Rc::new(caller);
        self.sessions.insert((stream, role, part), Rc::clone(&caller));
        caller
    }

    /// Gives a scene the variables of a role about to be assumed.
    fn bind_role(&mut self, scene: &mut Scene<'_>, role: &str, session: &str, key: &str) {
        let home = scene.account();
        scene.bind("role_arn", role_arn(home, role));
        scene.bind("role_id", home.role_id(role));
        scene.bind("assumed_arn", assumed_arn(home, role, session));
        scene.bind("session", session);
        scene.bind("access_key", key);
    }

    fn shared(&mut self) -> Shared {
        Shared { shared_event_id: self.chance.uuid(), request_id: self.chance.uuid() }
    }

    /// A run of a GitHub workflow: a web identity becomes a role, and the role builds or deploys.
    fn pipeline(&mut self) {
        let stream = match self.chance.below(5) {
            0..3 => {
                let account = if self.chance.one_in(3) { PRODUCTION } else { 2 + self.chance.below(2) };
                crate::day::stream_of(account, GLOBAL).expect("every account is in use in us-east-1")
            }
            _ => self.any_stream(),
        };
        let window = self.any_window(stream);
        let (role, agent) = *self.chance.pick(&[
            ("github-deploy", ACTIONS_CLI),
            ("terraform-plan", TERRAFORM),
            ("terraform-apply", TERRAFORM),
        ]);
        let repository =
            *self.chance.pick(&["order-service", "telemetry", "infrastructure", "model-gateway", "fleet-planner"]);
        let subject = format!("repo:{NAME}/{repository}:ref:refs/heads/main");
        let runner = format!("198.18.{}.{}", 32 + self.chance.below(96), 1 + self.chance.below(254));
        let mut scene = self.scene(stream, window);
        let home = scene.account();
        let provider = format!("arn:aws:iam::{}:oidc-provider/token.actions.githubusercontent.com", home.id);
        let identity = format!(
            r#"{{"type":"WebIdentityUser","principalId":"{provider}:sts.amazonaws.com:{subject}","userName":"{subject}","identityProvider":"{provider}"}}"#
        );
        let token = Caller::client(
            identity,
            subject.clone(),
            &subject,
            &runner,
            "aws-actions/configure-aws-credentials aws-sdk-js/3.888.0",
        );
        let (key, run) = (
            self.chance.iam_id("ASIA", home.number),
            format!("GitHubActions-{}", 16_000_000_000 + self.chance.between(0, 999_999_999)),
        );
        self.bind_role(&mut scene, role, &run, &key);
        scene.bind("subject", subject);
        self.record(&mut scene, &token, &WEB_IDENTITY, None);
        let federation = format!(r#"{{"federatedProvider":"{provider}","attributes":{{}}}}"#);
        let session = Session { federation: Some(&federation), ..Session::new(home, role, &run, &key, scene.time) };
        let caller = session.caller(&runner, agent);
        let size = self.chance.between(15, 60) as usize;
        self.burst(&mut scene, &caller, PIPELINE, size);
    }
}
