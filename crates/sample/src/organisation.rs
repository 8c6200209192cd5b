//! The organisation whose trail this is: Fernhill Robotics, its accounts, regions, people and their belongings.
//!
//! Everything here follows from the seed alone, so every day of the month meets the same people, keys and machines.

use crate::chance::Chance;

/// The organisation's name in bucket names, mail addresses and repositories.
pub(crate) const NAME: &str = "fernhill";
/// The domain of the people's mail addresses.
pub(crate) const DOMAIN: &str = "fernhill.example";
/// The regions enabled in every account: those in use first, the others seen only by audits.
pub const REGIONS: [&str; 17] = [
    "us-east-1",
    "eu-west-1",
    "eu-central-1",
    "us-west-2",
    "ap-southeast-2",
    "ap-northeast-1",
    "us-east-2",
    "us-west-1",
    "ca-central-1",
    "eu-west-2",
    "eu-west-3",
    "eu-north-1",
    "ap-south-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-southeast-1",
    "sa-east-1",
];
/// The region of IAM, Organizations and the other global services.
pub(crate) const GLOBAL: usize = 0;
/// The region of the Identity Center.
pub(crate) const HOME: usize = 1;
/// How many of [`REGIONS`] are in use.
pub(crate) const REGIONS_IN_USE: usize = 6;

pub(crate) const MANAGEMENT: usize = 0;
pub(crate) const PRODUCTION: usize = 1;
pub(crate) const STAGING: usize = 2;
pub(crate) const DEVELOPMENT: usize = 3;
pub(crate) const SECURITY: usize = 4;
pub(crate) const SANDBOX: usize = 5;

/// Account, region and the weight of its traffic: where something happens every day.
pub(crate) const STREAMS: [(usize, usize, f64); 19] = [
    (PRODUCTION, 0, 22.0),
    (PRODUCTION, 1, 19.0),
    (PRODUCTION, 3, 6.0),
    (PRODUCTION, 4, 5.0),
    (PRODUCTION, 2, 4.0),
    (PRODUCTION, 5, 2.0),
    (STAGING, 0, 6.0),
    (STAGING, 1, 7.0),
    (DEVELOPMENT, 0, 6.0),
    (DEVELOPMENT, 1, 9.0),
    (DEVELOPMENT, 2, 2.0),
    (SANDBOX, 0, 3.0),
    (SANDBOX, 1, 3.0),
    (SANDBOX, 3, 1.5),
    (SECURITY, 0, 4.0),
    (SECURITY, 1, 5.0),
    (MANAGEMENT, 0, 4.0),
    (MANAGEMENT, 1, 5.0),
    (STAGING, 4, 1.5),
];

/// One account of the organisation and what belongs to it.
pub(crate) struct Account {
    pub(crate) id: String,
    pub(crate) number: u64,
    pub(crate) name: &'static str,
    /// The name as it stands in names of buckets.
    pub(crate) short: &'static str,
    pub(crate) instances: Vec<String>,
    pub(crate) security_groups: Vec<String>,
    pub(crate) subnets: Vec<String>,
    pub(crate) vpcs: Vec<String>,
    pub(crate) images: Vec<String>,
    pub(crate) volumes: Vec<String>,
    pub(crate) kms_keys: Vec<String>,
    pub(crate) endpoints: Vec<String>,
    pub(crate) saml_provider: String,
    role_ids: Vec<(String, String)>,
}

impl Account {
    /// Those of an account's belongings that stand in a region.
    pub(crate) fn local(belongings: &[String], region: usize) -> &[String] {
        let each = belongings.len() / REGIONS_IN_USE;
        &belongings[(region % REGIONS_IN_USE) * each..][..each]
    }

    /// The unique id (`AROA…`) of a role of this account.
    pub(crate) fn role_id(&self, role: &str) -> &str {
        let known = self.role_ids.iter().find(|(name, _)| name == role);
        known
            .map(|(_, id)| id.as_str())
            .expect("every role the traffic uses is listed in ROLES or belongs to a permission set")
    }
}

/// What a person does all day, which decides their permission sets and calls.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Team {
    Platform,
    Backend,
    Data,
    Machine,
    Security,
    Finance,
}

/// A person who signs in through the Identity Center.
pub(crate) struct Person {
    pub(crate) mail: String,
    pub(crate) team: Team,
    pub(crate) utc_offset: i64,
    pub(crate) user_id: String,
    pub(crate) office: &'static str,
    pub(crate) home: String,
    pub(crate) browser: &'static str,
    pub(crate) cli: &'static str,
}

/// An IAM user with a long-lived access key.
pub(crate) struct IamUser {
    pub(crate) name: &'static str,
    pub(crate) account: usize,
    pub(crate) id: String,
    pub(crate) key: String,
    pub(crate) address: &'static str,
    pub(crate) agent: &'static str,
}

/// The organisation.
pub(crate) struct Organisation {
    pub(crate) id: String,
    pub(crate) accounts: Vec<Account>,
    pub(crate) people: Vec<Person>,
    pub(crate) users: Vec<IamUser>,
    pub(crate) identity_store: String,
    pub(crate) sso_instance: String,
    pub(crate) directory: String,
}

/// A permission set of the Identity Center and the suffix of the roles provisioned from it.
pub(crate) const PERMISSION_SETS: [(&str, &str); 6] = [
    ("AdministratorAccess", "7243976e43c75fc5"),
    ("PowerUser", "0b1f6c2d9e8a4375"),
    ("ReadOnly", "c4d21e907af36b18"),
    ("DataScience", "58ae3f0417cb92d6"),
    ("SecurityAudit", "e90b47d6c1f2385a"),
    ("Billing", "3fa8d5c06e1b7249"),
];

/// The roles of every account: name and path.
pub(crate) const ROLES: [(&str, &str); 22] = [
    ("order-service", "/"),
    ("ingest-worker", "/"),
    ("telemetry-api", "/"),
    ("model-gateway", "/"),
    ("bastion", "/"),
    ("resize-images", "/service-role/"),
    ("nightly-export", "/service-role/"),
    ("webhook-receiver", "/service-role/"),
    ("stream-enricher", "/service-role/"),
    ("github-deploy", "/ci/"),
    ("terraform-apply", "/ci/"),
    ("terraform-plan", "/ci/"),
    ("security-audit", "/"),
    ("log-reader", "/"),
    ("okta-engineer", "/"),
    ("training-jobs", "/service-role/"),
    ("guardrail-remediation", "/"),
    ("CloudTrailRoleForCloudWatchLogs", "/service-role/"),
    ("AWSServiceRoleForConfig", "/aws-service-role/config.amazonaws.com/"),
    ("AWSServiceRoleForAutoScaling", "/aws-service-role/autoscaling.amazonaws.com/"),
    ("AWSServiceRoleForAmazonGuardDuty", "/aws-service-role/guardduty.amazonaws.com/"),
    ("AWSServiceRoleForSecurityHub", "/aws-service-role/securityhub.amazonaws.com/"),
];

/// The path of a role.
pub(crate) fn role_path(role: &str) -> &'static str {
    match ROLES.iter().find(|(name, _)| *name == role) {
        Some((_, path)) => path,
        None => "/aws-reserved/sso.amazonaws.com/eu-west-1/",
    }
}

/// The role that a permission set provisions, `AWSReservedSSO_<set>_<suffix>`.
pub(crate) fn reserved_role(permission_set: &str) -> String {
    let known = PERMISSION_SETS.iter().find(|(name, _)| *name == permission_set);
    let (name, suffix) = known.expect("a permission set of this organisation");
    format!("AWSReservedSSO_{name}_{suffix}")
}

const CHROME_MAC: &str = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/149.0.0.0 Safari/537.36";
const CHROME_WINDOWS: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/149.0.0.0 Safari/537.36";
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:152.0) Gecko/20100101 Firefox/152.0";
const CLI_MAC: &str = "aws-cli/2.31.9 md/awscrt#0.27.6 ua/2.1 os/macos#24.6.0 md/arch#arm64 lang/python#3.13.7 md/pyimpl#CPython m/b,Z,E,r cfg/retry-mode#standard md/installer#exe md/prompt#off";
const CLI_LINUX: &str = "aws-cli/2.30.4 md/awscrt#0.27.6 ua/2.1 os/linux#6.8.0-79-generic md/arch#x86_64 lang/python#3.13.7 md/pyimpl#CPython m/b,E,Z cfg/retry-mode#standard md/installer#exe md/distrib#ubuntu.24 md/prompt#off";
const BOTO: &str = "Boto3/1.40.33 md/Botocore#1.40.33 ua/2.1 os/linux#6.1.0-39-amd64 md/arch#x86_64 lang/python#3.12.11 md/pyimpl#CPython m/b,D,Z cfg/retry-mode#legacy Botocore/1.40.33";
const RCLONE: &str = "rclone/v1.71.0";

/// First name, family name, team, UTC offset.
const PEOPLE: [(&str, &str, Team, i64); 25] = [
    ("anna", "lindqvist", Team::Platform, 1),
    ("jonas", "becker", Team::Platform, 1),
    ("priya", "raman", Team::Platform, -5),
    ("tom", "ashworth", Team::Platform, 10),
    ("marta", "kowalska", Team::Backend, 1),
    ("diego", "fuentes", Team::Backend, 1),
    ("lena", "vogt", Team::Backend, 1),
    ("samuel", "okafor", Team::Backend, 1),
    ("emily", "carter", Team::Backend, -5),
    ("wei", "zhang", Team::Backend, -5),
    ("noah", "lefevre", Team::Backend, 1),
    ("ines", "moreira", Team::Backend, 1),
    ("jack", "thornton", Team::Backend, 10),
    ("sofia", "marchetti", Team::Data, 1),
    ("david", "cohen", Team::Data, -5),
    ("aisha", "rahman", Team::Data, 1),
    ("peter", "novak", Team::Data, 1),
    ("yuki", "tanaka", Team::Machine, 10),
    ("carla", "jimenez", Team::Machine, -5),
    ("felix", "braun", Team::Machine, 1),
    ("hannah", "reuter", Team::Security, 1),
    ("oliver", "brandt", Team::Security, 1),
    ("grace", "mbeki", Team::Security, -5),
    ("ruth", "sander", Team::Finance, 1),
    ("kevin", "doyle", Team::Finance, -5),
];

impl Organisation {
    /// Founds the organisation that belongs to a seed.
    pub(crate) fn new(seed: u64) -> Self {
        let mut chance = Chance::lane(seed, 0);
        let names = ["management", "production", "staging", "development", "security", "sandbox"];
        let accounts: Vec<Account> = names.iter().map(|name| account(name, &mut chance)).collect();
        let id = {
            let mut id = String::from("o-");
            chance.push_hex(10, &mut id);
            id
        };
        let directory = chance.hex("d-93", 8);
        let store_prefix = &directory[2..];
        let people =
            PEOPLE.iter().enumerate().map(|(number, entry)| person(number, entry, store_prefix, &mut chance)).collect();
        let users = users(&accounts, &mut chance);
        let identity_store = format!("arn:aws:identitystore::{}:identitystore/{directory}", accounts[MANAGEMENT].id);
        let sso_instance = chance.hex("ssoins-", 16);
        Self { id, accounts, people, users, identity_store, sso_instance, directory }
    }

    /// The IAM user of a name.
    pub(crate) fn user(&self, name: &str) -> &IamUser {
        self.users.iter().find(|user| user.name == name).expect("an IAM user of this organisation")
    }

    /// The person of a mail address' local part.
    pub(crate) fn person(&self, name: &str) -> &Person {
        self.people.iter().find(|person| person.mail.starts_with(name)).expect("a person of this organisation")
    }
}

fn account(name: &'static str, chance: &mut Chance) -> Account {
    let number = chance.between(200_000_000_000, 899_999_999_999) as u64;
    let reserved = PERMISSION_SETS.iter().map(|(set, _)| reserved_role(set));
    let roles = ROLES.iter().map(|(role, _)| (*role).to_owned()).chain(reserved);
    Account {
        id: number.to_string(),
        number,
        name,
        short: match name {
            "management" => "mgmt",
            "production" => "prod",
            "staging" => "stage",
            "development" => "dev",
            "security" => "sec",
            other => other,
        },
        instances: (0..60).map(|_| chance.hex("i-0", 16)).collect(),
        security_groups: (0..36).map(|_| chance.hex("sg-0", 16)).collect(),
        subnets: (0..24).map(|_| chance.hex("subnet-0", 16)).collect(),
        vpcs: (0..REGIONS_IN_USE).map(|_| chance.hex("vpc-0", 16)).collect(),
        images: (0..18).map(|_| chance.hex("ami-0", 16)).collect(),
        volumes: (0..60).map(|_| chance.hex("vol-0", 16)).collect(),
        kms_keys: (0..24).map(|_| chance.uuid()).collect(),
        endpoints: (0..18).map(|_| chance.hex("vpce-0", 16)).collect(),
        saml_provider: chance.hex("AWSSSO_", 16) + "_DO_NOT_DELETE",
        role_ids: roles.map(|role| (role, chance.iam_id("AROA", number))).collect(),
    }
}

fn person(number: usize, entry: &(&str, &str, Team, i64), store_prefix: &str, chance: &mut Chance) -> Person {
    let (first, last, team, utc_offset) = *entry;
    Person {
        mail: format!("{first}.{last}@{DOMAIN}"),
        team,
        utc_offset,
        user_id: format!("{store_prefix}-{}", chance.uuid()),
        office: match utc_offset {
            1 => "203.0.113.10",
            -5 => "203.0.113.74",
            _ => "203.0.113.140",
        },
        home: format!("198.51.100.{}", 10 + 9 * number),
        browser: [CHROME_MAC, CHROME_WINDOWS, FIREFOX, CHROME_MAC][number % 4],
        cli: [CLI_MAC, CLI_LINUX, CLI_LINUX, CLI_MAC][number % 4],
    }
}

fn users(accounts: &[Account], chance: &mut Chance) -> Vec<IamUser> {
    let listed = [
        ("marta.kowalska", MANAGEMENT, "203.0.113.10", CLI_LINUX),
        ("oliver.brandt", MANAGEMENT, "203.0.113.10", CLI_MAC),
        ("backup-reports", MANAGEMENT, "198.18.7.21", BOTO),
        ("ci-legacy", MANAGEMENT, "198.18.7.40", BOTO),
        ("svc-erp-sync", PRODUCTION, "198.18.7.33", BOTO),
        ("offsite-backup", PRODUCTION, "198.18.9.4", RCLONE),
        ("lab-robot", SANDBOX, "203.0.113.10", BOTO),
    ];
    let user = |(name, account, address, agent): (&'static str, usize, &'static str, &'static str)| {
        let number = accounts[account].number;
        let (id, key) = (chance.iam_id("AIDA", number), chance.iam_id("AKIA", number));
        IamUser { name, account, id, key, address, agent }
    };
    listed.into_iter().map(user).collect()
}
