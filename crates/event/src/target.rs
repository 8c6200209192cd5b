//! What an event acted upon, and the family its service belongs to.

use std::borrow::Cow;

use serde::Deserializer;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::Event;
use crate::column::Column;
use crate::record::{Fields, Key};

/// The family that a service belongs to: `iam`, `sts`, `signin`, `sso` (all of Identity Center) or its own prefix.
pub(crate) fn family(source: &str) -> &str {
    match source.split('.').next().unwrap_or(source) {
        "sso" | "sso-directory" | "identitystore" | "sso-oauth" => "sso",
        service => service,
    }
}

/// Fills the columns `event_type` and `target`.
pub(crate) fn derive(event: &mut Event<'_>) {
    let family = match event.cow(Column::EventSource) {
        Some(Cow::Borrowed(source)) => Cow::Borrowed(family(source)),
        Some(Cow::Owned(source)) => Cow::Owned(family(source).to_owned()),
        None => Cow::Borrowed(""),
    };
    let target = target(event, &family);
    event.set(Column::EventType, Some(family).filter(|family| !family.is_empty()));
    event.set(Column::Target, target.filter(|target| !target.is_empty()));
}

/// The request parameters that name what is acted upon, the most telling first.
fn keys(family: &str) -> &'static [&'static str] {
    match family {
        "iam" => &[
            "userName",
            "roleName",
            "groupName",
            "instanceProfileName",
            "policyArn",
            "policyName",
            "sAMLProviderArn",
            "samlProviderArn",
            "openIDConnectProviderArn",
            "serialNumber",
            "virtualMFADeviceName",
            "serverCertificateName",
            "accessKeyId",
            "accountAlias",
            "name",
            "url",
        ],
        "sts" => &["roleArn", "targetPrincipal", "name", "accessKeyId"],
        "sso" => &[
            "permissionSetArn",
            "applicationArn",
            "instanceId",
            "name",
            "userId",
            "groupId",
            "principalId",
            "targetId",
            "instanceArn",
        ],
        "cloudtrail" => &["name", "trailName", "eventDataStore", "resourceArn"],
        "s3" => &["bucketName"],
        "kms" => &["keyId", "aliasName", "targetKeyId"],
        "secretsmanager" => &["secretId", "name"],
        "ssm" => &["name", "documentName", "target", "instanceId"],
        "lambda" => &["functionName"],
        "dynamodb" => &["tableName"],
        "bedrock" | "bedrock-agentcore" | "bedrock-runtime" => {
            &["modelId", "modelIdentifier", "agentId", "inferenceProfileId"]
        }
        "sagemaker" => &["endpointName", "modelName", "trainingJobName", "notebookInstanceName", "domainId"],
        "organizations" => &["accountId", "targetId", "policyId", "handshakeId", "email"],
        "ec2" => &["instanceId", "groupId", "vpcId", "volumeId", "snapshotId", "imageId", "keyName"],
        _ => &["name", "resourceArn", "arn", "id"],
    }
}

fn target<'a>(event: &Event<'a>, family: &str) -> Option<Cow<'a, str>> {
    let named = |column: Column, keys: &'static [&'static str]| match event.cow(column)? {
        Cow::Borrowed(json) => first(json, keys),
        Cow::Owned(json) => first(json, keys).map(|name| Cow::Owned(name.into_owned())),
    };
    if let Some(name) = named(Column::RequestParameters, keys(family)) {
        return Some(name);
    }
    if family == "iam" {
        return own_user(event);
    }
    // The first resource the event names.
    let resources: Vec<&RawValue> = serde_json::from_str(event.resources()?).ok()?;
    let name = first(resources.first()?.get(), &["ARN", "arn", "resourceName"])?;
    Some(Cow::Owned(name.into_owned()))
}

/// The first of the keys that holds text in a JSON object; the keys stand in order of preference.
fn first<'t>(json: &'t str, keys: &'static [&'static str]) -> Option<Cow<'t, str>> {
    if !json.starts_with('{') {
        return None;
    }
    let mut best = Best { keys, rank: usize::MAX, value: None };
    // The text is JSON already.
    let _ = serde_json::Deserializer::from_str(json).deserialize_map(&mut best);
    best.value.and_then(crate::record::text)
}

/// Looks through an object for the best of some keys.
struct Best<'t> {
    keys: &'static [&'static str],
    rank: usize,
    value: Option<&'t RawValue>,
}

impl<'t> Visitor<'t> for &mut Best<'t> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Key(name)) = map.next_key()? {
            match self.keys.iter().position(|key| *key == name) {
                Some(rank) if rank <= self.rank => {
                    let value: &RawValue = map.next_value()?;
                    if value.get().starts_with('"') && value.get() != "\"\"" {
                        (self.rank, self.value) = (rank, Some(value));
                    }
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// IAM calls without a user name act on the caller: `CreateAccessKey` names the user in its answer.
fn own_user<'a>(event: &Event<'a>) -> Option<Cow<'a, str>> {
    let acts_on_caller = matches!(
        event.name(),
        "CreateAccessKey"
            | "UpdateAccessKey"
            | "DeleteAccessKey"
            | "ChangePassword"
            | "CreateLoginProfile"
            | "GetUser"
            | "ListAccessKeys"
    );
    if !acts_on_caller {
        return None;
    }
    let answered = event.response_elements().filter(|text| text.starts_with('{')).and_then(|text| {
        let fields: Fields<'_> = serde_json::from_str(text).ok()?;
        let key: Fields<'_> = serde_json::from_str(fields.get("accessKey")?.get()).ok()?;
        key.text("userName").map(|name| Cow::Owned(name.into_owned()))
    });
    answered.or_else(|| match event.actor_type() {
        Some("IAMUser" | "Root") => event.cow(Column::UserName).cloned(),
        _ => None,
    })
}
