//! The stream: one account's events of one source in one region, the unit that is read, paused and covered.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::sources;

/// An account, a region and an event source, such as `123456789012/us-east-1/iam.amazonaws.com`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stream {
    /// The account's number.
    pub account: String,
    /// The region asked.
    pub region: String,
    /// The service, as records name it.
    pub source: String,
}

/// A text that names no stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no stream: it is ACCOUNT/REGION/SOURCE, such as 123456789012/us-east-1/iam.amazonaws.com")]
pub struct NoStream(pub String);

impl Stream {
    /// A stream.
    #[must_use]
    pub fn new(account: &str, region: &str, source: &str) -> Stream {
        Stream { account: account.to_owned(), region: region.to_owned(), source: source.to_owned() }
    }

    /// What its events carry as their `source_object`.
    #[must_use]
    pub fn object(&self) -> String {
        format!("LookupEvents/{self}")
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.account, self.region, self.source)
    }
}

impl FromStr for Stream {
    type Err = NoStream;

    fn from_str(text: &str) -> Result<Stream, NoStream> {
        let is_plain = |part: &&str| {
            !part.is_empty() && part.chars().all(|letter| letter.is_ascii_alphanumeric() || "-._".contains(letter))
        };
        let parts: Vec<&str> = text.split('/').filter(is_plain).collect();
        match parts[..] {
            [account, region, source] if text.matches('/').count() == 2 => Ok(Stream::new(account, region, source)),
            _ => Err(NoStream(text.to_owned())),
        }
    }
}

impl Serialize for Stream {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A part of AWS with accounts and regions of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Partition {
    /// The commercial regions.
    #[default]
    Aws,
    /// GovCloud.
    AwsUsGov,
    /// China.
    AwsCn,
}

impl Partition {
    /// The name as ARNs have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Partition::Aws => "aws",
            Partition::AwsUsGov => "aws-us-gov",
            Partition::AwsCn => "aws-cn",
        }
    }

    /// The region where events of services without a region are recorded.
    #[must_use]
    pub const fn global_region(self) -> &'static str {
        match self {
            Partition::Aws => "us-east-1",
            Partition::AwsUsGov => "us-gov-west-1",
            Partition::AwsCn => "cn-north-1",
        }
    }

    /// The partition a region lies in.
    #[must_use]
    pub fn of_region(region: &str) -> Partition {
        if region.starts_with("us-gov-") {
            Partition::AwsUsGov
        } else if region.starts_with("cn-") {
            Partition::AwsCn
        } else {
            Partition::Aws
        }
    }
}

/// Where one account is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountScope {
    /// Its number.
    pub account: String,
    /// Its partition.
    pub partition: Partition,
    /// Its active regions.
    pub regions: Vec<String>,
    /// The home region of Identity Center, where it is known.
    pub sso_region: Option<String>,
}

/// The streams of an account: the identity sources, each where its events are recorded, and `extra` event sources
/// (`bedrock`, `bedrock.amazonaws.com`) or presets (`ai`) in every active region, or in the global one where the service
/// has no region.
///
/// In order of regions, the global one first, without repetition.
#[must_use]
pub fn streams(scope: &AccountScope, extra: &[String]) -> Vec<Stream> {
    let global = scope.partition.global_region();
    let others = scope.regions.iter().map(String::as_str).filter(|region| *region != global);
    // The global region is always there: an account cannot opt out of it.
    let regions: Vec<&str> = std::iter::once(global).chain(others).collect();
    let mut wanted: Vec<(&str, String)> = Vec::new();
    wanted.extend(sources::GLOBAL_IDENTITY.iter().map(|source| (global, (*source).to_owned())));
    for region in &regions {
        wanted.extend(sources::REGIONAL_IDENTITY.iter().map(|source| (*region, (*source).to_owned())));
    }
    for region in scope.sso_region.as_deref().into_iter().chain([global]) {
        wanted.extend(sources::IDENTITY_CENTER.iter().map(|source| (region, (*source).to_owned())));
    }
    for source in extra.iter().flat_map(|name| sources::expand(name)) {
        let is_global = sources::is_global(&source);
        let places = if is_global { &regions[..1] } else { &regions[..] };
        wanted.extend(places.iter().map(|region| (*region, source.clone())));
    }
    let place = |region: &str| regions.iter().position(|known| *known == region).unwrap_or(usize::MAX);
    wanted.sort_by_key(|(region, _)| place(region));
    let mut seen = BTreeSet::new();
    let streams = wanted.into_iter().map(|(region, source)| Stream::new(&scope.account, region, &source));
    streams.filter(|stream| seen.insert(stream.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(regions: &[&str], sso_region: Option<&str>) -> AccountScope {
        AccountScope {
            account: "123456789012".to_owned(),
            partition: Partition::Aws,
            regions: regions.iter().map(|&region| region.to_owned()).collect(),
            sso_region: sso_region.map(str::to_owned),
        }
    }

    fn texts(streams: &[Stream]) -> Vec<String> {
        streams.iter().map(|stream| format!("{}/{}", stream.region, stream.source)).collect()
    }

    #[test]
    fn a_stream_is_named_by_its_text() {
        let text = "123456789012/us-east-1/iam.amazonaws.com";
        assert_eq!(text.parse::<Stream>().unwrap().to_string(), text);
        for wrong in ["", "iam", "1/us-east-1", "1/us-east-1/", "1//us-east-1/iam", "1/us-east-1/iam/x", "1/u s/iam"] {
            assert!(wrong.parse::<Stream>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn identity_sources_are_read_where_they_are_recorded() {
        let streams = streams(&scope(&["eu-west-1", "us-east-1"], Some("eu-west-1")), &[]);
        let expected = [
            "us-east-1/iam.amazonaws.com",
            "us-east-1/organizations.amazonaws.com",
            "us-east-1/signin.amazonaws.com",
            "us-east-1/sts.amazonaws.com",
            "us-east-1/sso.amazonaws.com",
            "us-east-1/sso-directory.amazonaws.com",
            "us-east-1/identitystore.amazonaws.com",
            "us-east-1/sso-oauth.amazonaws.com",
            "eu-west-1/signin.amazonaws.com",
            "eu-west-1/sts.amazonaws.com",
            "eu-west-1/sso.amazonaws.com",
            "eu-west-1/sso-directory.amazonaws.com",
            "eu-west-1/identitystore.amazonaws.com",
            "eu-west-1/sso-oauth.amazonaws.com",
        ];
        assert_eq!(texts(&streams), expected);
    }

    #[test]
    fn extra_sources_are_read_in_every_region_and_global_ones_in_theirs() {
        let extra = ["kms".to_owned(), "cloudfront.amazonaws.com".to_owned(), "sts".to_owned()];
        let streams = texts(&streams(&scope(&["eu-west-1"], None), &extra));
        let of = |source: &str| streams.iter().filter(|text| text.ends_with(source)).count();
        assert_eq!((of("/kms.amazonaws.com"), of("/cloudfront.amazonaws.com"), of("/sts.amazonaws.com")), (2, 1, 2));
    }

    #[test]
    fn a_partition_has_its_global_region() {
        for partition in [Partition::Aws, Partition::AwsUsGov, Partition::AwsCn] {
            assert_eq!(Partition::of_region(partition.global_region()), partition);
        }
        let china = AccountScope { partition: Partition::AwsCn, ..scope(&["cn-northwest-1"], None) };
        assert_eq!(streams(&china, &[])[0].to_string(), "123456789012/cn-north-1/iam.amazonaws.com");
    }
}
