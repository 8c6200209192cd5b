//! The catalogue of ordinary calls: what they are called and what their records hold, as templates (see `scene`).
//!
//! Nothing here is an action that a detection looks for; those are planted by `story`, where the truth is written down.

mod building;
mod machines;
mod reading;

pub(crate) use building::{ENGINEER, MACHINE_LEARNING, PIPELINE};
pub(crate) use machines::{CLOUDTRAIL_DELIVERY, LAMBDA, LOG_DELIVERY, SCALING, SERVICE_LINKED, WORKER};
pub(crate) use reading::{AUDIT, BILLING, CONSOLE, GLOBAL_CONSOLE};

use crate::chance::Chance;

/// One kind of call.
#[derive(Clone, Copy)]
pub(crate) struct Action {
    /// How often it happens, against the others of its group.
    pub(crate) weight: usize,
    /// The event source without `.amazonaws.com`.
    pub(crate) source: &'static str,
    pub(crate) name: &'static str,
    pub(crate) request: &'static str,
    pub(crate) response: &'static str,
    pub(crate) resources: &'static str,
    pub(crate) read_only: bool,
    pub(crate) data: bool,
}

impl Action {
    const fn on(self, resources: &'static str) -> Self {
        Self { resources, ..self }
    }

    const fn data(self) -> Self {
        Self { data: true, ..self }
    }

    /// True for services whose events all appear in us-east-1.
    pub(crate) fn is_global(&self) -> bool {
        matches!(self.source, "iam" | "organizations" | "cloudfront" | "route53" | "ce" | "health" | "support")
    }
}

const fn read(weight: usize, source: &'static str, name: &'static str, request: &'static str) -> Action {
    Action { weight, source, name, request, response: "null", resources: "", read_only: true, data: false }
}

const fn write(
    weight: usize,
    source: &'static str,
    name: &'static str,
    request: &'static str,
    response: &'static str,
) -> Action {
    Action { weight, source, name, request, response, resources: "", read_only: false, data: false }
}

/// Picks one action of a group by weight.
pub(crate) fn pick(group: &'static [Action], chance: &mut Chance) -> &'static Action {
    let total: usize = group.iter().map(|action| action.weight).sum();
    let mut left = chance.below(total);
    for action in group {
        if left < action.weight {
            return action;
        }
        left -= action.weight;
    }
    &group[0]
}

/// The `eventVersion` of a service's records: services move on at their own pace.
pub(crate) fn version(source: &str) -> &'static str {
    match source {
        "ssm" | "rds" | "elasticloadbalancing" | "config" => "1.08",
        "signin" | "ecs" | "ecr" | "autoscaling" | "guardduty" => "1.09",
        "ec2" | "cloudtrail" | "organizations" | "sagemaker" | "cloudformation" => "1.10",
        _ => "1.11",
    }
}

/// The host header a client sends to a service.
pub(crate) fn host(source: &str, name: &str) -> &'static str {
    match source {
        "s3" => "$bucket.s3.$region.amazonaws.com",
        "signin" if name == "ConsoleLogin" => "signin.aws.amazon.com",
        "iam" => "iam.amazonaws.com",
        "organizations" => "organizations.us-east-1.amazonaws.com",
        "ce" => "ce.us-east-1.amazonaws.com",
        "ecr" => "api.ecr.$region.amazonaws.com",
        "sagemaker" if name == "InvokeEndpoint" => "runtime.sagemaker.$region.amazonaws.com",
        "bedrock" if matches!(name, "InvokeModel" | "Converse") => "bedrock-runtime.$region.amazonaws.com",
        "kms" => "kms.$region.amazonaws.com",
        "sts" => "sts.$region.amazonaws.com",
        "ec2" => "ec2.$region.amazonaws.com",
        "dynamodb" => "dynamodb.$region.amazonaws.com",
        "lambda" => "lambda.$region.amazonaws.com",
        "logs" => "logs.$region.amazonaws.com",
        "monitoring" => "monitoring.$region.amazonaws.com",
        "secretsmanager" => "secretsmanager.$region.amazonaws.com",
        "ssm" => "ssm.$region.amazonaws.com",
        "cloudformation" => "cloudformation.$region.amazonaws.com",
        "cloudtrail" => "cloudtrail.$region.amazonaws.com",
        "sagemaker" => "api.sagemaker.$region.amazonaws.com",
        "bedrock" => "bedrock.$region.amazonaws.com",
        "sso" => "sso.$region.amazonaws.com",
        "identitystore" => "identitystore.$region.amazonaws.com",
        "ecs" => "ecs.$region.amazonaws.com",
        "rds" => "rds.$region.amazonaws.com",
        _ => "",
    }
}

/// The `additionalEventData` that a service adds.
pub(crate) fn additional(source: &str, data: bool) -> &'static str {
    match source {
        "s3" if data => {
            r#"{"SignatureVersion":"SigV4","CipherSuite":"TLS_AES_128_GCM_SHA256","bytesTransferredIn":0,"AuthenticationMethod":"AuthHeader","x-amz-id-2":"$id2","bytesTransferredOut":$bytes}"#
        }
        "s3" => {
            r#"{"SignatureVersion":"SigV4","CipherSuite":"TLS_AES_128_GCM_SHA256","bytesTransferredIn":0,"AuthenticationMethod":"AuthHeader","x-amz-id-2":"$id2","bytesTransferredOut":$small}"#
        }
        "sts" => r#"{"RequestDetails":{"awsServingRegion":"$region","endpointType":"regional"}}"#,
        _ => "",
    }
}

/// How a call of this kind fails, other than by a denial: the code and the message.
pub(crate) fn failure(action: &Action, chance: &mut Chance) -> Option<(&'static str, &'static str)> {
    match action.source {
        "s3" if action.data && action.read_only => Some(("NoSuchKey", "The specified key does not exist.")),
        "s3" if action.name == "GetBucketPolicy" => Some(("NoSuchBucketPolicy", "The bucket policy does not exist")),
        "dynamodb" if !action.read_only => Some(("ConditionalCheckFailedException", "The conditional request failed")),
        "ssm" if action.name == "GetParameter" => Some(("ParameterNotFound", "")),
        "iam" if action.read_only => {
            Some(("NoSuchEntityException", "The role with name preview-environment cannot be found."))
        }
        "lambda" | "secretsmanager" | "ecs" if chance.one_in(2) => {
            Some(("ResourceNotFoundException", "The resource you requested does not exist."))
        }
        "ec2" if !action.read_only => {
            Some(("Client.InvalidInstanceID.NotFound", "The instance ID 'i-0c1d2e3f4a5b6c7d8' does not exist"))
        }
        "ec2" => Some(("Client.RequestLimitExceeded", "Request limit exceeded.")),
        "logs" => Some(("ResourceAlreadyExistsException", "The specified log stream already exists")),
        "monitoring" | "cloudformation" | "ssm" | "bedrock" | "sagemaker" => {
            Some(("ThrottlingException", "Rate exceeded"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::organisation::Organisation;
    use crate::scene::Scene;

    fn everything() -> impl Iterator<Item = &'static Action> {
        let groups: [&'static [Action]; 13] = [
            ENGINEER,
            MACHINE_LEARNING,
            PIPELINE,
            CLOUDTRAIL_DELIVERY,
            LAMBDA,
            LOG_DELIVERY,
            SCALING,
            SERVICE_LINKED,
            WORKER,
            AUDIT,
            BILLING,
            CONSOLE,
            GLOBAL_CONSOLE,
        ];
        groups.into_iter().flatten()
    }

    #[test]
    fn every_template_fills_to_valid_json() {
        let org = Organisation::new(1);
        let mut chance = Chance::lane(1, 9);
        for action in everything() {
            let templates = [action.request, action.response, action.resources, additional(action.source, action.data)];
            for template in templates.into_iter().filter(|template| !template.is_empty()) {
                let mut scene = Scene::new(&org, 1, 0, 1_782_907_699);
                let mut out = String::new();
                scene.fill(template, &mut chance, &mut out);
                assert!(!out.replace("$LATEST", "").replace("$DEFAULT", "").contains('$'), "{}: {out}", action.name);
                serde_json::from_str::<serde_json::Value>(&out)
                    .unwrap_or_else(|error| panic!("{} {}: {error} in {out}", action.source, action.name));
            }
        }
    }

    #[test]
    fn ordinary_calls_are_mostly_reads_and_none_is_a_planted_one() {
        let planted = [
            "CreateUser",
            "CreateAccessKey",
            "UpdateAccessKey",
            "AttachUserPolicy",
            "AttachRolePolicy",
            "AttachGroupPolicy",
            "PutUserPolicy",
            "PutRolePolicy",
            "CreatePolicy",
            "CreatePolicyVersion",
            "UpdateAssumeRolePolicy",
            "CreateRole",
            "StopLogging",
            "DeleteTrail",
            "UpdateTrail",
            "PutEventSelectors",
            "AssumeRoot",
            "CreatePermissionSet",
            "CreateAccountAssignment",
            "UpdateLoginProfile",
            "CreateLoginProfile",
            "DeactivateMFADevice",
            "AddUserToGroup",
        ];
        assert!(everything().all(|action| !planted.contains(&action.name)));
        let reads = everything().filter(|action| action.read_only).count();
        assert!(reads * 2 > everything().count());
    }
}
