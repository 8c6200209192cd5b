//! What an event acted upon, and the family its service belongs to.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::Event;
use crate::column::Column;
use crate::record::Fields;

impl Event<'_> {
    /// `iam`, `sts`, `signin`, `sso` (all of Identity Center) or the service's own prefix.
    pub(crate) fn event_type_of_source(&self) -> &str {
        let source = self.source();
        let service = source.split('.').next().unwrap_or(source);
        match service {
            "sso" | "sso-directory" | "identitystore" | "sso-oauth" => "sso",
            other => other,
        }
    }
}

/// Fills the columns `event_type` and `target`.
pub(crate) fn derive(event: &mut Event<'_>) {
    let family = event.event_type_of_source().to_owned();
    let target = target(event, &family);
    if !family.is_empty() {
        event.set(Column::EventType, Cow::Owned(family));
    }
    event.set(Column::Target, target.filter(|target| !target.is_empty()).map(Cow::Owned));
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

fn target(event: &Event<'_>, family: &str) -> Option<String> {
    if let Some(request) = event.request_parameters().filter(|text| text.starts_with('{'))
        && let Ok(fields) = serde_json::from_str::<Fields<'_>>(request)
        && let Some(name) = first(&fields, keys(family))
    {
        return Some(name);
    }
    if family == "iam" {
        return own_user(event);
    }
    // The first resource the event names.
    let resources: Vec<&RawValue> = serde_json::from_str(event.resources()?).ok()?;
    let fields: Fields<'_> = serde_json::from_str(resources.first()?.get()).ok()?;
    first(&fields, &["ARN", "arn", "resourceName"])
}

/// The first of the keys that holds text; the keys stand in order of preference, the fields in the record's order.
fn first(fields: &Fields<'_>, keys: &[&str]) -> Option<String> {
    let mut best: Option<(usize, &RawValue)> = None;
    for (name, value) in fields.iter() {
        let Some(rank) = keys.iter().position(|key| *key == name) else { continue };
        if best.is_none_or(|(so_far, _)| rank < so_far) && value.get().len() > 2 && value.get().starts_with('"') {
            best = Some((rank, value));
        }
    }
    best.and_then(|(_, value)| crate::record::text(value)).map(Cow::into_owned)
}

/// IAM calls without a user name act on the caller: `CreateAccessKey` names the user in its answer.
fn own_user(event: &Event<'_>) -> Option<String> {
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
        key.text("userName").map(Cow::into_owned)
    });
    answered.or_else(|| match event.actor_type() {
        Some("IAMUser" | "Root") => event.user_name().map(str::to_owned),
        _ => None,
    })
}
