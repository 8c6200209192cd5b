//! Trails and the public keys of their digests: DescribeTrails, ListPublicKeys and Organizations' DescribeOrganization.

use std::fs;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};

/// A trail that is described.
#[derive(Debug, Clone)]
pub struct Trail {
    /// `arn:aws:cloudtrail:us-east-1:111122223333:trail/my-trail`.
    pub arn: String,
    /// The bucket it writes to.
    pub bucket: String,
    /// The prefix there; may be empty.
    pub prefix: String,
    /// The organisation whose trail it is.
    pub organization: Option<String>,
}

impl Trail {
    /// Reads `ARN=BUCKET[/PREFIX]`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Trail> {
        let (arn, place) = text.split_once('=')?;
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let is_trail = arn.starts_with("arn:") && arn.contains(":trail/") && arn.split(':').count() == 6;
        let (arn, bucket, prefix) = (arn.to_owned(), bucket.to_owned(), prefix.trim_matches('/').to_owned());
        (is_trail && !bucket.is_empty()).then_some(Trail { arn, bucket, prefix, organization: None })
    }

    fn name(&self) -> &str {
        self.arn.rsplit('/').next().unwrap_or_default()
    }

    fn home_region(&self) -> &str {
        self.arn.split(':').nth(3).unwrap_or_default()
    }

    fn describe(&self) -> Value {
        let mut trail = json!({
            "Name": self.name(), "S3BucketName": self.bucket, "IncludeGlobalServiceEvents": true,
            "IsMultiRegionTrail": true, "HomeRegion": self.home_region(), "TrailARN": self.arn,
            "LogFileValidationEnabled": true, "HasCustomEventSelectors": false, "HasInsightSelectors": false,
            "IsOrganizationTrail": self.organization.is_some(),
        });
        if !self.prefix.is_empty() {
            trail["S3KeyPrefix"] = self.prefix.as_str().into();
        }
        trail
    }
}

/// DescribeTrails: every trail is one of all regions, and the ones at home elsewhere are shadows, which may be left out.
pub(super) fn describe(trails: &[Trail], region: &str, request: &Value) -> Value {
    let shadows = request["includeShadowTrails"].as_bool().unwrap_or(true);
    let names: Vec<&str> =
        request["trailNameList"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let is_meant = |trail: &&Trail| {
        let is_at_home = trail.home_region() == region;
        // A name means a trail of this region, an ARN one anywhere.
        let is_named = |name: &&str| **name == *trail.arn || (**name == *trail.name() && is_at_home);
        (shadows || is_at_home) && (names.is_empty() || names.iter().any(is_named))
    };
    json!({ "trailList": trails.iter().filter(is_meant).map(Trail::describe).collect::<Vec<_>>() })
}

/// A public key of a region.
#[derive(Debug)]
pub(super) struct PublicKey {
    /// The region that knows it; every region where none is said.
    region: Option<String>,
    value: String,
    fingerprint: String,
    /// Epoch seconds.
    validity: (f64, f64),
}

/// Reads keys as `aws cloudtrail list-public-keys` prints them, each with its `Region` beside where it has one.
pub(super) fn read_keys(file: &Path) -> io::Result<Vec<PublicKey>> {
    let wrong = |what: &str| io::Error::other(format!("{}: {what}", file.display()));
    let list: Value = serde_json::from_slice(&fs::read(file)?).map_err(|error| wrong(&error.to_string()))?;
    let keys = list["PublicKeyList"].as_array().ok_or_else(|| wrong("no PublicKeyList"))?;
    let key = |key: &Value| {
        let text = |member: &str| key[member].as_str().map(str::to_owned);
        let time = |member: &str| match &key[member] {
            Value::String(text) => text.parse::<Timestamp>().ok().map(|time| time.as_second() as f64),
            number => number.as_f64(),
        };
        Some(PublicKey {
            region: text("Region"),
            value: text("Value")?,
            fingerprint: text("Fingerprint")?,
            validity: (time("ValidityStartTime")?, time("ValidityEndTime")?),
        })
    };
    keys.iter().map(|listed| key(listed).ok_or_else(|| wrong("a key without its members"))).collect()
}

/// ListPublicKeys: the keys of a region that were valid within a time, which is now where none is said. `None` where the
/// time ends before it begins.
pub(super) fn list_keys(
    keys: &[PublicKey],
    region: &str,
    request: &Value,
    now: f64,
    page: Option<usize>,
) -> Option<Value> {
    let end = request["EndTime"].as_f64().unwrap_or(now);
    let start = request["StartTime"].as_f64().unwrap_or(end);
    if start > end {
        return None;
    }
    let is_meant = |key: &&PublicKey| {
        let (from, until) = key.validity;
        key.region.as_deref().is_none_or(|known| known == region) && from <= end && until >= start
    };
    let key = |key: &PublicKey| {
        json!({
            "Value": key.value, "Fingerprint": key.fingerprint,
            "ValidityStartTime": key.validity.0, "ValidityEndTime": key.validity.1,
        })
    };
    let meant: Vec<Value> = keys.iter().filter(is_meant).map(key).collect();
    let first = request["NextToken"].as_str().and_then(|token| token.parse::<usize>().ok()).unwrap_or(0);
    let last = page.map_or(meant.len(), |page| meant.len().min(first.saturating_add(page)));
    let mut answer = json!({ "PublicKeyList": meant.get(first..last).unwrap_or_default() });
    if last < meant.len() {
        answer["NextToken"] = last.to_string().into();
    }
    Some(answer)
}

/// DescribeOrganization, by whatever trail has one.
pub(super) fn organization(trails: &[Trail]) -> Option<Value> {
    let trail = trails.iter().find(|trail| trail.organization.is_some())?;
    let (id, account) = (trail.organization.as_deref()?, trail.arn.split(':').nth(4)?);
    Some(json!({ "Organization": {
        "Id": id, "Arn": format!("arn:aws:organizations::{account}:organization/{id}"), "FeatureSet": "ALL",
        "MasterAccountId": account, "MasterAccountEmail": "management@example.com",
        "MasterAccountArn": format!("arn:aws:organizations::{account}:account/{id}/{account}"),
    } }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(region: Option<&str>, name: &str, validity: (f64, f64)) -> PublicKey {
        PublicKey { region: region.map(str::to_owned), value: name.to_owned(), fingerprint: name.to_owned(), validity }
    }

    #[test]
    fn keys_are_those_of_the_region_and_the_time() {
        let keys = [
            key(Some("us-east-1"), "old", (0.0, 100.0)),
            key(Some("us-east-1"), "new", (90.0, 200.0)),
            key(Some("eu-west-1"), "other", (0.0, 200.0)),
            key(None, "any", (0.0, 200.0)),
        ];
        let names = |request: Value, page| {
            let answer = list_keys(&keys, "us-east-1", &request, 150.0, page).unwrap();
            let listed = answer["PublicKeyList"].as_array().unwrap().clone();
            let names: Vec<String> = listed.iter().map(|key| key["Fingerprint"].as_str().unwrap().to_owned()).collect();
            (names.join(" "), answer["NextToken"].as_str().map(str::to_owned))
        };
        assert_eq!(names(json!({}), None), ("new any".to_owned(), None));
        assert_eq!(names(json!({"StartTime": 10, "EndTime": 95.5}), None), ("old new any".to_owned(), None));
        assert_eq!(names(json!({"StartTime": 10, "EndTime": 20}), None), ("old any".to_owned(), None));
        let (first, token) = names(json!({"StartTime": 10, "EndTime": 95}), Some(2));
        assert_eq!(first, "old new");
        assert_eq!(names(json!({"StartTime": 10, "EndTime": 95, "NextToken": token}), Some(2)).0, "any");
        assert!(list_keys(&keys, "us-east-1", &json!({"StartTime": 20, "EndTime": 10}), 0.0, None).is_none());
    }

    #[test]
    fn a_shadow_is_described_by_its_home() {
        let trail = Trail::parse("arn:aws:cloudtrail:eu-west-1:111122223333:trail/mine=logs/some/prefix/").unwrap();
        let trails = [trail];
        let count =
            |region: &str, request: Value| describe(&trails, region, &request)["trailList"].as_array().unwrap().len();
        assert_eq!(count("us-east-1", json!({})), 1);
        assert_eq!(count("us-east-1", json!({"includeShadowTrails": false})), 0);
        assert_eq!(count("us-east-1", json!({"trailNameList": ["mine"]})), 0);
        assert_eq!(count("us-east-1", json!({"trailNameList": [trails[0].arn]})), 1);
        assert_eq!(count("eu-west-1", json!({"trailNameList": ["mine"], "includeShadowTrails": false})), 1);
        let described = &describe(&trails, "us-east-1", &json!({}))["trailList"][0];
        assert_eq!((&described["HomeRegion"], &described["S3KeyPrefix"]), (&json!("eu-west-1"), &json!("some/prefix")));
        assert!(
            Trail::parse("mine=logs").is_none() && Trail::parse("arn:aws:cloudtrail:eu-west-1:1:trail/mine").is_none()
        );
    }
}
