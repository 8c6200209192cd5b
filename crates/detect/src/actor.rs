//! Who did it, as a sentence begins.

use std::borrow::Cow;

use event::Event;
use event::arn::Arn;

use crate::text::clip;

/// The acting principal in a few words: `alice`, `bob (session of role Admin)`, `The root user`.
pub(crate) fn actor(event: &Event<'_>) -> Cow<'static, str> {
    if is_root(event) {
        return Cow::Borrowed("The root user");
    }
    match (event.session_name(), event.user_name()) {
        (Some(session), Some(role)) => Cow::Owned(format!("{} (session of role {})", clip(session), clip(role))),
        (Some(name), None) | (None, Some(name)) => Cow::Owned(clip(name)),
        (None, None) => event.invoked_by().map_or(Cow::Borrowed("Somebody"), |service| Cow::Owned(clip(service))),
    }
}

/// Whether the account's root user acts, be it with its own credentials, in a session of AssumeRoot or in one that it
/// made for itself under another name (`GetFederationToken`).
pub(crate) fn is_root(event: &Event<'_>) -> bool {
    event.actor_type() == Some("Root") || is_federated_root(event)
}

/// Whether somebody acts in a federation session that the root user made.
pub(crate) fn is_federated_root(event: &Event<'_>) -> bool {
    event.actor_type() == Some("FederatedUser") && event.identity()["sessionContext"]["sessionIssuer"]["type"] == "Root"
}

/// Whether an IAM user acts.
pub(crate) fn is_iam_user(event: &Event<'_>) -> bool {
    event.actor_type() == Some("IAMUser")
}

/// The name of the IAM user that acts, where one does.
pub(crate) fn own_user_name<'e>(event: &'e Event<'_>) -> Option<&'e str> {
    if is_iam_user(event) { event.user_name() } else { None }
}

/// Whether AWS itself makes the call: a service on its own or on the caller's behalf.
///
/// This is the reading of the CIS benchmark's root-use control: no `invokedBy`, no `AwsServiceEvent`. But until about 2020
/// the console stood in `invokedBy` of what people did in it.
pub(crate) fn is_aws_internal(event: &Event<'_>) -> bool {
    let is_console = |service: &str| matches!(service, "signin.amazonaws.com" | "signin.amazonaws.com.cn");
    let by_a_service = event.invoked_by().is_some_and(|service| !is_console(service));
    by_a_service || event.aws_event_type() == Some("AwsServiceEvent")
}

/// Whether Identity Center itself acts, in a session of its service-linked role. IAM lets nobody else have a role of that
/// path, or assume this one.
pub(crate) fn is_identity_center(event: &Event<'_>) -> bool {
    let path = || event.role_arn().and_then(Arn::parse).and_then(|role| role.path());
    event.actor_type() == Some("AssumedRole") && path() == Some("/aws-service-role/sso.amazonaws.com/")
}
