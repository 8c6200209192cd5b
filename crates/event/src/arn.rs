//! Amazon Resource Names, parsed once and borrowed from the record they stand in.
//!
//! `arn:partition:service:region:account:resource`, where the resource is `name`, `type/name`, `type/path/name` or
//! `type:name`. Source: *Identify AWS resources with Amazon Resource Names (ARNs)*, IAM User Guide.

use std::fmt;

/// The longest text that is taken for an ARN, in bytes: the longest pattern that IAM accepts.
pub const MAX_ARN_BYTES: usize = 2048;

/// Services whose resources carry no type before the name (`arn:aws:s3:::bucket/key`).
const UNTYPED_SERVICES: [&str; 3] = ["s3", "sns", "sqs"];

/// An ARN, split into its six fields. Nothing but the shape is checked: the fields are a stranger's text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Arn<'a> {
    text: &'a str,
    /// `aws`, `aws-cn`, `aws-us-gov`, …
    pub partition: &'a str,
    /// The service's name, as `iam`.
    pub service: &'a str,
    /// The region; empty for global services.
    pub region: &'a str,
    /// The account that owns the resource: twelve digits, empty, or `aws` for what AWS itself owns.
    pub account: &'a str,
    /// Everything after the fifth colon, as `role/service-role/deploy`.
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    /// Splits an ARN. `None` for everything that does not have the six fields, has an empty partition, service or
    /// resource, or is longer than [`MAX_ARN_BYTES`].
    pub fn parse(text: &'a str) -> Option<Self> {
        if text.len() > MAX_ARN_BYTES {
            return None;
        }
        let mut fields = text.strip_prefix("arn:")?.splitn(5, ':');
        let arn = Self {
            text,
            partition: fields.next()?,
            service: fields.next()?,
            region: fields.next()?,
            account: fields.next()?,
            resource: fields.next()?,
        };
        let complete = !arn.partition.is_empty() && !arn.service.is_empty() && !arn.resource.is_empty();
        complete.then_some(arn)
    }

    /// The whole ARN, as it was written.
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    /// The owner's account id, where the ARN has a real one.
    pub fn account_id(&self) -> Option<&'a str> {
        is_account_id(self.account).then_some(self.account)
    }

    /// The kind of resource (`role`, `user`, `assumed-role`, `function`). `None` for the root user and for services whose
    /// resources have no type.
    pub fn resource_type(&self) -> Option<&'a str> {
        self.split_resource().map(|(kind, _)| kind)
    }

    /// The resource without its type: path and name (`aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS`), or the
    /// whole resource where there is no type.
    pub fn resource_id(&self) -> &'a str {
        self.split_resource().map_or(self.resource, |(_, id)| id)
    }

    /// The last part of the resource: a role's or user's name without its path; of an assumed role, its session's name.
    pub fn resource_name(&self) -> &'a str {
        let id = self.resource_id();
        id.rsplit_once('/').map_or(id, |(_, name)| name)
    }

    /// The path of an IAM resource with its slashes (`/aws-service-role/ecs.amazonaws.com/`), `/` where it has none, and
    /// `None` for resources that have no paths. An STS ARN of an assumed role does not carry the role's path.
    pub fn path(&self) -> Option<&'a str> {
        let has_paths = self.service == "iam"
            && matches!(
                self.resource_type()?,
                "role" | "user" | "group" | "policy" | "instance-profile" | "server-certificate" | "mfa"
            );
        if !has_paths {
            return None;
        }
        let kind = self.resource_type()?.len();
        let end = self.resource.rfind('/')? + 1;
        self.resource.get(kind..end)
    }

    /// Is this an account's root user (which in a policy stands for the whole account)?
    pub fn is_root(&self) -> bool {
        self.service == "iam" && self.resource == "root"
    }

    /// Is this a service-linked role, which only the AWS service that owns it can assume?
    pub fn is_service_linked_role(&self) -> bool {
        self.resource_type() == Some("role") && self.path().is_some_and(|path| path.starts_with("/aws-service-role/"))
    }

    /// The role's name and the session's name of `arn:aws:sts::123456789012:assumed-role/Role/session`.
    pub fn assumed_role(&self) -> Option<(&'a str, &'a str)> {
        if self.service != "sts" || self.resource_type() != Some("assumed-role") {
            return None;
        }
        self.resource_id().split_once('/')
    }

    fn split_resource(&self) -> Option<(&'a str, &'a str)> {
        if UNTYPED_SERVICES.contains(&self.service) {
            return None;
        }
        let separator = self.resource.find(['/', ':'])?;
        Some((&self.resource[..separator], &self.resource[separator + 1..]))
    }
}

impl fmt::Debug for Arn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Arn({:?})", self.text)
    }
}

impl fmt::Display for Arn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

/// Is this text an AWS account id: twelve digits?
pub fn is_account_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn arn(text: &str) -> Arn<'_> {
        Arn::parse(text).expect("the ARN parses")
    }

    #[test]
    fn splits_the_six_fields() {
        let role = arn("arn:aws:iam::123456789012:role/service-role/deploy");
        assert_eq!((role.partition, role.service, role.region, role.account), ("aws", "iam", "", "123456789012"));
        assert_eq!(role.resource_type(), Some("role"));
        assert_eq!(role.resource_id(), "service-role/deploy");
        assert_eq!(role.resource_name(), "deploy");
        assert_eq!(role.path(), Some("/service-role/"));
        assert_eq!(role.account_id(), Some("123456789012"));
        assert_eq!(role.to_string(), role.as_str());
    }

    #[test]
    fn a_resource_may_use_colons_and_have_no_type() {
        let function = arn("arn:aws:lambda:eu-west-1:123456789012:function:send-mail:7");
        assert_eq!(function.resource_type(), Some("function"));
        assert_eq!(function.resource_id(), "send-mail:7");
        let object = arn("arn:aws:s3:::bucket/logs/2024/a.json");
        assert_eq!(object.resource_type(), None);
        assert_eq!(object.resource_name(), "a.json");
        assert_eq!(object.account_id(), None);
        let key = arn("arn:aws-cn:kms:cn-north-1:123456789012:alias/aws/s3");
        assert_eq!((key.partition, key.path()), ("aws-cn", None));
    }

    #[test]
    fn knows_root_service_linked_roles_and_sessions() {
        assert!(arn("arn:aws-us-gov:iam::123456789012:root").is_root());
        assert!(!arn("arn:aws:iam::123456789012:user/root").is_root());
        let linked = arn("arn:aws:iam::123456789012:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS");
        assert!(linked.is_service_linked_role());
        assert_eq!(linked.path(), Some("/aws-service-role/ecs.amazonaws.com/"));
        assert!(!arn("arn:aws:iam::123456789012:role/aws-service-role-lookalike").is_service_linked_role());
        let plain = arn("arn:aws:iam::123456789012:role/deploy");
        assert_eq!(plain.path(), Some("/"));
        let session = arn("arn:aws:sts::123456789012:assumed-role/Deploy/i-0abc/odd");
        assert_eq!(session.assumed_role(), Some(("Deploy", "i-0abc/odd")));
        assert_eq!(plain.assumed_role(), None);
    }

    #[test]
    fn refuses_what_is_no_arn() {
        let long = format!("arn:aws:iam::123456789012:role/{}", "a".repeat(MAX_ARN_BYTES));
        for text in ["", "arn", "arn:aws:iam::123456789012", "arn:aws:iam::123456789012:", "ARN:aws:iam::1:x", &long] {
            assert_eq!(Arn::parse(text), None, "{text:.40}");
        }
    }

    proptest! {
        /// No text makes the parser or an accessor panic, and the fields always spell the text again.
        #[test]
        fn any_text_is_handled(text in "(arn:)?[a-z/:*é]{0,40}|\\PC{0,60}") {
            if let Some(arn) = Arn::parse(&text) {
                let fields = [arn.partition, arn.service, arn.region, arn.account, arn.resource].join(":");
                prop_assert_eq!(format!("arn:{fields}"), text.clone());
                prop_assert!(arn.resource.ends_with(arn.resource_name()));
                let _ = (arn.path(), arn.assumed_role(), arn.is_root(), arn.is_service_linked_role());
            }
        }
    }
}
