//! The configuration: `trailhound.toml`, then `TRAILHOUND_*`, then flags.
//!
//! [`Config`] is the reference: every field has a description, a default and an example. How files and the environment
//! become one is [`loaded`].

mod loaded;

use detect::DetectConfig;
use event::decode::Limits;
use notify::{ChannelConfig, SecretSource};
use pipeline::filter::FilterConfig;
use serde::{Deserialize, Serialize};

pub(crate) use self::loaded::Loaded;

/// Everything that can be configured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// How logs are read.
    pub(crate) ingest: IngestConfig,
    /// What a stranger's file may cost.
    pub(crate) limits: LimitsConfig,
    /// What is left out of the store. Detections see it all the same.
    pub(crate) filter: FilterConfig,
    /// What the detections look for.
    pub(crate) detect: DetectConfig,
    /// What questions may cost.
    pub(crate) query: QueryConfig,
    /// How AWS is reached.
    pub(crate) aws: AwsConfig,
    /// Where Athena is asked.
    pub(crate) athena: AthenaConfig,
    /// What is collected live.
    pub(crate) collect: CollectConfig,
    /// The daemon.
    pub(crate) run: RunConfig,
    /// Accounts to collect from besides the credentials' own.
    pub(crate) accounts: Vec<AccountConfig>,
    /// Trails to read, by their buckets or by queues.
    pub(crate) trails: Vec<TrailConfig>,
    /// Who is told of alerts.
    pub(crate) notify: Vec<ChannelConfig>,
}

/// How AWS is reached.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AwsConfig {
    /// The profile of the AWS configuration; empty for what the environment says. Default: `""`.
    ///
    /// Example: `profile = "audit"`
    pub(crate) profile: String,
    /// The region that is asked where any will do; empty for what the profile says. Default: `""`.
    ///
    /// Example: `region = "eu-central-1"`
    pub(crate) region: String,
}

/// Where Athena is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AthenaConfig {
    /// The database of the table and the views; `ATHENA_DATABASE` is the same. Default: `"trailhound"`.
    ///
    /// Example: `database = "trails"`
    pub(crate) database: String,
    /// The workgroup; `ATHENA_WORKGROUP` is the same. Default: `"trailhound-workgroup"`, which is what
    /// `trailhound aws deploy` makes.
    ///
    /// Example: `workgroup = "analysts"`
    pub(crate) workgroup: String,
    /// Where results are written; empty for where the workgroup says. `ATHENA_OUTPUT_LOCATION` is the same. Default: `""`.
    ///
    /// Example: `output_location = "s3://our-results/athena/"`
    pub(crate) output_location: String,
    /// How old an answer to the same question may be, in minutes, to be given again without scanning; 0 for none, 10080 at
    /// most. Default: `0`.
    ///
    /// Example: `reuse_minutes = 60`
    pub(crate) reuse_minutes: u16,
}

impl Default for AthenaConfig {
    fn default() -> Self {
        let (database, workgroup) = ("trailhound".to_owned(), "trailhound-workgroup".to_owned());
        AthenaConfig { database, workgroup, output_location: String::new(), reuse_minutes: 0 }
    }
}

/// What is collected live.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CollectConfig {
    /// Whether the account of the credentials themselves is read. Default: `true`.
    ///
    /// Example: `own_account = false`
    pub(crate) own_account: bool,
    /// The regions; none for those that each account can use. Default: `[]`.
    ///
    /// Example: `regions = ["us-east-1", "eu-central-1"]`
    pub(crate) regions: Vec<String>,
    /// The home region of Identity Center. Default: `""`.
    ///
    /// Example: `sso_region = "eu-central-1"`
    pub(crate) sso_region: String,
    /// Event sources besides the identity ones: services, or the preset `ai`. Default: `[]`.
    ///
    /// Example: `sources = ["ai", "kms.amazonaws.com"]`
    pub(crate) sources: Vec<String>,
    /// The minutes in which an event may still appear; they are read again. Default: `15`.
    ///
    /// Example: `settle_minutes = 30`
    pub(crate) settle_minutes: u16,
    /// From which age on, in minutes, an event that was missed counts as late. Default: `30`.
    ///
    /// Example: `late_minutes = 60`
    pub(crate) late_minutes: u16,
    /// How many accounts and regions are read at once. Default: `8`.
    ///
    /// Example: `max_workers = 16`
    pub(crate) max_workers: u16,
    /// Requests a second to one account in one region, CloudTrail's own limit; 0 for no limit. Default: `2`.
    ///
    /// Example: `calls_per_second = 1`
    pub(crate) calls_per_second: u16,
    /// Whether each log file of a trail is checked against the signed digest that names it. Default: `false`.
    ///
    /// Example: `verify = true`
    pub(crate) verify: bool,
    /// The file of CloudTrail's public keys, from `verify keys export`; without one ListPublicKeys is asked. Default: `""`.
    ///
    /// Example: `verify_keys = "/etc/trailhound/public-keys.json"`
    pub(crate) verify_keys: String,
}

impl Default for CollectConfig {
    fn default() -> Self {
        CollectConfig {
            own_account: true,
            regions: Vec::new(),
            sso_region: String::new(),
            sources: Vec::new(),
            settle_minutes: 15,
            late_minutes: 30,
            max_workers: 8,
            calls_per_second: 2,
            verify: false,
            verify_keys: String::new(),
        }
    }
}

/// The daemon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RunConfig {
    /// Seconds from the beginning of one pass to the next, give or take a tenth. Default: `60`.
    ///
    /// Example: `every_seconds = 300`
    pub(crate) every_seconds: u32,
    /// Minutes after which regions and accounts are looked up again. Default: `60`.
    ///
    /// Example: `discover_minutes = 1440`
    pub(crate) discover_minutes: u32,
    /// Where `/healthz` and `/metrics` are served; empty for nowhere. Default: `"127.0.0.1:9477"`.
    ///
    /// Example: `listen = ""`
    pub(crate) listen: String,
    /// Minutes without a complete pass after which that is an alert. Default: `60`.
    ///
    /// Example: `pass_within_minutes = 15`
    pub(crate) pass_within_minutes: u32,
}

impl Default for RunConfig {
    fn default() -> Self {
        RunConfig {
            every_seconds: 60,
            discover_minutes: 60,
            listen: "127.0.0.1:9477".to_owned(),
            pass_within_minutes: 60,
        }
    }
}

/// A trail: its files as they lie in a bucket, or as a queue tells of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrailConfig {
    /// The bucket: listed, beside a queue once a day; the one that the queue's messages may name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bucket: Option<String>,
    /// The region of the bucket, where it is another than the credentials'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) region: Option<String>,
    /// What stands before `AWSLogs/`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) prefix: String,
    /// The address of the SQS queue that S3, SNS or EventBridge fills.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) queue: Option<String>,
    /// How many days back are listed, and are to be covered.
    #[serde(default = "trail_days")]
    pub(crate) days: u16,
    /// Only these accounts; none for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) accounts: Vec<String>,
    /// Only these regions; none for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) regions: Vec<String>,
    /// The ARN of the role to assume for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<String>,
    /// What the role's trust policy asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) external_id: Option<SecretSource>,
}

/// CloudTrail tries for 30 days to deliver a file.
fn trail_days() -> u16 {
    35
}

/// Accounts to collect from: one by its role, or all of the organisation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccountConfig {
    /// The ARN of the role to assume there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<String>,
    /// The name of the role to assume in every account of the organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) organization_role: Option<String>,
    /// What the role's trust policy asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) external_id: Option<SecretSource>,
}

/// What questions may cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct QueryConfig {
    /// How many threads answer; 0 for one for each processor. Default: `0`.
    ///
    /// Example: `threads = 4`
    pub(crate) threads: u16,
    /// Bytes that sorting and grouping may hold in memory; beyond it they use the disk. Default: `2147483648` (2 GiB).
    ///
    /// Example: `memory = 8589934592`
    pub(crate) memory: u64,
}

impl Default for QueryConfig {
    fn default() -> Self {
        QueryConfig { threads: 0, memory: 2 << 30 }
    }
}

/// How logs are read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct IngestConfig {
    /// How many threads read; 0 for one for each processor. Default: `0`.
    ///
    /// Example: `threads = 4`
    pub(crate) threads: u16,
    /// How many seconds events may wait for a commit to the lake. Default: `15`.
    ///
    /// Example: `commit_seconds = 30`
    pub(crate) commit_seconds: u16,
}

impl Default for IngestConfig {
    fn default() -> Self {
        IngestConfig { threads: 0, commit_seconds: 15 }
    }
}

/// What a stranger's file may cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LimitsConfig {
    /// Bytes a file may inflate to; reading stops there. Default: `1073741824` (1 GiB).
    ///
    /// Example: `max_inflated = 4294967296`
    pub(crate) max_inflated: u64,
    /// Bytes of one record. Default: `16777216` (16 MiB).
    ///
    /// Example: `max_record = 1048576`
    pub(crate) max_record: u32,
    /// Levels of nesting in one record. Default: `100`.
    ///
    /// Example: `max_depth = 60`
    pub(crate) max_depth: u16,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        let Limits { inflated, record, depth } = Limits::default();
        LimitsConfig {
            max_inflated: inflated,
            max_record: u32::try_from(record).unwrap_or(u32::MAX),
            max_depth: u16::try_from(depth).unwrap_or(u16::MAX),
        }
    }
}

impl LimitsConfig {
    pub(crate) fn limits(&self) -> Limits {
        // A parser follows 128 levels; more would be stored and never be read again.
        let depth = usize::from(self.max_depth).min(120);
        Limits { inflated: self.max_inflated, record: self.max_record as usize, depth }
    }
}

/// The reference of the configuration, but for channels. Kept true by a test: it names every key, with its default.
const TEMPLATE: &str = include_str!("trailhound.toml");

/// The reference of the configuration, as a file in which everything is commented out.
pub(crate) fn template() -> String {
    format!("{TEMPLATE}\n{}", notify::TEMPLATE)
}
