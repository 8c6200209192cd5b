//! Whose credentials: the standard chain's, and those of roles assumed with them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::identity::IdentityCache;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::tls;
use pipeline::collect::Partition;

use crate::date::UserAgent;
use crate::edge::Edge;
use crate::error::{AwsError, classify};

/// How long one call may take, and how long all attempts together: somebody may wait to end the program.
const ATTEMPT: Duration = Duration::from_secs(20);
const CALL: Duration = Duration::from_secs(45);
pub(crate) const CONNECT: Duration = Duration::from_secs(10);

/// How AWS is reached, where that is not left to the environment and the profile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// The profile of `~/.aws/config`.
    pub profile: Option<String>,
    /// The region that is asked where any will do.
    pub region: Option<String>,
}

/// A role to assume.
#[derive(Clone, PartialEq, Eq)]
pub struct Role {
    /// Its ARN.
    pub arn: String,
    /// What its trust policy asks for; a secret.
    pub external_id: Option<String>,
}

impl fmt::Debug for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let external_id = self.external_id.as_ref().map(|_| "***");
        f.debug_struct("Role").field("arn", &self.arn).field("external_id", &external_id).finish()
    }
}

/// AWS, as we reach it.
#[derive(Clone)]
pub struct Aws {
    pub(crate) edge: Arc<Edge>,
    pub(crate) base: SdkConfig,
}

/// An account that we have credentials for, or know how to get them: they are fetched when something is asked.
#[derive(Clone)]
pub struct Account {
    /// Its number.
    pub id: String,
    /// Where it lies.
    pub partition: Partition,
    pub(crate) edge: Arc<Edge>,
    pub(crate) config: SdkConfig,
}

/// The configuration would show the external ids of roles.
impl fmt::Debug for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aws").field("region", &self.base.region()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Account { id, partition, .. } = self;
        f.debug_struct("Account").field("id", id).field("partition", partition).finish_non_exhaustive()
    }
}

impl Aws {
    /// Sets AWS up: profiles, SSO, web identities, containers and instances, as the AWS CLI does, with
    /// `AWS_ENDPOINT_URL` and the endpoints of single services. Asks nothing yet. What is waited for is given up once
    /// `stop` is set.
    ///
    /// # Errors
    /// [`AwsError::Threads`].
    pub fn open(access: &Access, stop: Option<Arc<AtomicBool>>) -> Result<Aws, AwsError> {
        let edge = Edge::new(stop).map_err(|error| AwsError::Threads(error.to_string()))?;
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT)
            .operation_attempt_timeout(ATTEMPT)
            .operation_timeout(CALL)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            // One for all: each would load the trusted certificates again.
            .http_client(aws_smithy_http_client::Builder::new().tls_provider(tls()).build_https())
            // Exponential, with jitter.
            .retry_config(RetryConfig::standard().with_max_attempts(4))
            .timeout_config(timeouts);
        if let Ok(name) = AppName::new("trailhound") {
            loader = loader.app_name(name);
        }
        if let Some(profile) = &access.profile {
            loader = loader.profile_name(profile);
        }
        // Not from an instance's metadata: a machine that is no instance would wait for it.
        let mut profile = ProfileFileRegionProvider::builder();
        if let Some(name) = &access.profile {
            profile = profile.profile_name(name);
        }
        loader = loader.region(
            RegionProviderChain::first_try(access.region.clone().map(Region::new))
                .or_else(EnvironmentVariableRegionProvider::new())
                .or_else(profile.build())
                .or_else(Region::from_static(Partition::Aws.global_region())),
        );
        let base = edge.run(loader.load());
        Ok(Aws { edge: Arc::new(edge), base })
    }

    /// The account of the credentials themselves.
    ///
    /// # Errors
    /// [`AwsError`]: there are no credentials, or AWS does not take them.
    pub fn own(&self) -> Result<Account, AwsError> {
        const CALL: &str = "sts:GetCallerIdentity";
        let config = aws_sdk_sts::config::Builder::from(&self.base).interceptor(UserAgent).build();
        let client = aws_sdk_sts::Client::from_conf(config);
        let call = async { client.get_caller_identity().send().await.map_err(|error| classify(CALL, &error)) };
        let identity = self.edge.attempt(call).map_err(|source| AwsError::Call { call: CALL, source })?;
        let partition = partition_of(identity.arn().unwrap_or_default());
        Ok(Account {
            id: identity.account().unwrap_or_default().to_owned(),
            partition,
            edge: Arc::clone(&self.edge),
            config: self.base.clone(),
        })
    }

    /// The account of the credentials themselves, whichever it is. Asks nothing.
    #[must_use]
    pub fn unnamed(&self) -> Account {
        self.named("")
    }

    /// The account of the credentials themselves, whose number is known. Asks nothing.
    #[must_use]
    pub fn named(&self, id: &str) -> Account {
        Account {
            id: id.to_owned(),
            partition: Partition::default(),
            edge: Arc::clone(&self.edge),
            config: self.base.clone(),
        }
    }

    /// The account of a role. The role is assumed when something is first asked, and again before it ends.
    ///
    /// # Errors
    /// [`AwsError::Role`].
    pub fn assume(&self, role: &Role) -> Result<Account, AwsError> {
        let wrong = || AwsError::Role(role.arn.clone());
        let parts: Vec<&str> = role.arn.splitn(6, ':').collect();
        let ["arn", _, "iam", "", id, name] = parts[..] else { return Err(wrong()) };
        let is_number = id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number || !name.starts_with("role/") {
            return Err(wrong());
        }
        let mut builder = AssumeRoleProvider::builder(&role.arn).session_name("trailhound").configure(&self.base);
        if let Some(external_id) = &role.external_id {
            builder = builder.external_id(external_id);
        }
        let provider = self.edge.run(builder.build());
        let config = self
            .base
            .clone()
            .into_builder()
            // Its own: the cache of the base holds few, and drops any of them for the next.
            .identity_cache(IdentityCache::lazy().build())
            .credentials_provider(SharedCredentialsProvider::new(provider))
            .build();
        Ok(Account { id: id.to_owned(), partition: partition_of(&role.arn), edge: Arc::clone(&self.edge), config })
    }
}

/// TLS as all of our HTTP has it.
pub(crate) fn tls() -> tls::Provider {
    tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc)
}

/// The partition an ARN names.
fn partition_of(arn: &str) -> Partition {
    let known = [Partition::AwsUsGov, Partition::AwsCn];
    let named = arn.split(':').nth(1);
    known.into_iter().find(|partition| named == Some(partition.as_str())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aws() -> Aws {
        Aws::open(&Access { region: Some("eu-central-1".to_owned()), ..Access::default() }, None).unwrap()
    }

    #[test]
    fn a_role_names_its_account_and_partition() {
        let role = |arn: &str| Role { arn: arn.to_owned(), external_id: Some("hush".to_owned()) };
        let account = aws().assume(&role("arn:aws-cn:iam::123456789012:role/path/trailhound")).unwrap();
        assert_eq!((account.id.as_str(), account.partition), ("123456789012", Partition::AwsCn));
        for wrong in ["trailhound", "arn:aws:iam::1234:role/x", "arn:aws:iam::123456789012:user/x", "arn:aws:s3:::x"] {
            assert_eq!(aws().assume(&role(wrong)).unwrap_err(), AwsError::Role(wrong.to_owned()));
        }
    }

    #[test]
    fn an_external_id_is_never_shown() {
        let role = Role { arn: "arn:aws:iam::123456789012:role/x".to_owned(), external_id: Some("hush".to_owned()) };
        let account = aws().assume(&role).unwrap();
        assert!(!format!("{role:?} {account:?}").contains("hush"));
    }
}
