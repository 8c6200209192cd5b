//! What AWS's refusals mean.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use event::Timestamp;
use pipeline::collect::{LookupError, Unknown};
use pipeline::escape::single_line;
use pipeline::notify::Verdict;

/// The longest message of a service that is passed on.
const MESSAGE_MAX: usize = 400;
/// The longest reason that a notification was not sent, in characters.
const REASON_MAX: usize = 300;

/// Why AWS could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AwsError {
    /// The threads that wait could not be started.
    #[error("failed to start the threads that talk to AWS: {0}")]
    Threads(String),
    /// A role's ARN is none.
    #[error("{0:?} is no ARN of a role, such as arn:aws:iam::123456789012:role/trailhound")]
    Role(String),
    /// The call failed.
    #[error("{call}: {source}")]
    Call {
        /// The permission that the call needs, such as `account:ListRegions`.
        call: &'static str,
        /// Why.
        source: LookupError,
    },
}

impl AwsError {
    /// What could not be found out, for the scope.
    pub(crate) fn unknown(self, subject: &str, now: Timestamp) -> Unknown {
        match self {
            AwsError::Call { call, source } => Unknown::new(subject, call, &source, now),
            other => Unknown::new(subject, "configuration", &LookupError::Refused(other.to_string()), now),
        }
    }
}

/// A refusal, as little as the services have in common.
pub(crate) struct Refusal {
    pub(crate) code: String,
    message: String,
    status: u16,
}

impl Refusal {
    pub(crate) fn new(code: &str, message: &str, status: u16) -> Refusal {
        Refusal { code: code.to_owned(), message: bounded(message), status }
    }
}

/// What became of a call that failed.
pub(crate) fn classify<E>(action: &'static str, error: &SdkError<E, HttpResponse>) -> LookupError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    if let Some(refusal) = refusal(error) {
        return of_refusal(action, refusal);
    }
    if let Some(failed) = find::<CredentialsError>(error) {
        return of_credentials(failed);
    }
    match error {
        SdkError::TimeoutError(_) => LookupError::Unavailable("no answer in time".to_owned()),
        SdkError::ConstructionFailure(_) => LookupError::Refused(innermost(error)),
        _ => LookupError::Unavailable(innermost(error)),
    }
}

/// What a call means for the notification it was made for. What passes by itself, or with new credentials or a clock that
/// is set right, is tried again; what the service refuses is not.
pub(crate) fn verdict(result: Result<(), LookupError>) -> Verdict {
    let Err(error) = result else { return Verdict::Delivered };
    let reason = single_line(&error.to_string(), REASON_MAX).into_owned();
    match error {
        LookupError::Throttled
        | LookupError::Unavailable(_)
        | LookupError::Credentials(_)
        | LookupError::InvalidTimeRange(_) => Verdict::retry(reason),
        _ => Verdict::refused(reason),
    }
}

/// The service's own words, where it gave any.
fn refusal<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Option<Refusal> {
    let SdkError::ServiceError(answer) = error else { return None };
    let (said, status) = (answer.err(), answer.raw().status().as_u16());
    let (code, message) = (said.code().unwrap_or_default(), said.message().unwrap_or_default());
    Some(Refusal::new(code, message, status))
}

pub(crate) fn of_refusal(action: &str, refusal: Refusal) -> LookupError {
    let Refusal { code, message, status } = refusal;
    let said = if message.is_empty() { code.clone() } else { format!("{code}: {message}") };
    match code.as_str() {
        "ThrottlingException"
        | "Throttling"
        | "ThrottledException"
        | "Throttled"
        | "KMSThrottling"
        | "TooManyRequestsException"
        | "RequestLimitExceeded" => LookupError::Throttled,
        "InvalidNextTokenException" => LookupError::TokenExpired,
        "InvalidTimeRangeException" => LookupError::InvalidTimeRange(message),
        "AccessDenied"
        | "AccessDeniedException"
        | "UnauthorizedOperation"
        | "AuthorizationError"
        | "AuthorizationErrorException" => LookupError::AccessDenied { action: action.to_owned(), message },
        // A signature carries the time: it is refused where the clocks are minutes apart.
        "InvalidSignatureException" | "SignatureDoesNotMatch" | "RequestExpired" | "RequestTimeTooSkewed"
            if ["expired", "not yet", "skew", "time"].iter().any(|word| message.contains(word)) =>
        {
            LookupError::InvalidTimeRange(format!("this machine's clock is off ({said})"))
        }
        "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "InvalidAccessKeyId"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "OptInRequired" => LookupError::Credentials(said),
        _ if status == 429 => LookupError::Throttled,
        _ if status >= 500 || code.is_empty() => LookupError::Unavailable(format!("HTTP {status} {said}")),
        _ => LookupError::Refused(said),
    }
}

/// Why there are no credentials: a role that may not be assumed is another matter than a profile that is not there.
pub(crate) fn of_credentials(failed: &CredentialsError) -> LookupError {
    if let Some(denied) = find::<SdkError<AssumeRoleError, HttpResponse>>(failed) {
        return match classify("sts:AssumeRole", denied) {
            LookupError::Refused(said) => LookupError::Credentials(said),
            known => known,
        };
    }
    if let Some(denied) = find::<AssumeRoleError>(failed) {
        let (code, message) = (denied.code().unwrap_or_default(), denied.message().unwrap_or_default());
        return of_refusal("sts:AssumeRole", Refusal::new(code, message, 400));
    }
    match failed {
        CredentialsError::CredentialsNotLoaded(_) => LookupError::Credentials(
            "none were found: set AWS_PROFILE or AWS_ACCESS_KEY_ID, or run `aws sso login`".to_owned(),
        ),
        CredentialsError::ProviderTimedOut(_) => LookupError::Unavailable("no credentials in time".to_owned()),
        _ => LookupError::Credentials(innermost(failed)),
    }
}

/// The first of an error and its causes that is of this type.
fn find<'e, T: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e T> {
    let mut at = Some(error);
    // No chain of causes is so long; a circle would never end.
    for _ in 0..32 {
        let current = at?;
        if let Some(found) = current.downcast_ref::<T>() {
            return Some(found);
        }
        at = current.source();
    }
    None
}

/// The words of the cause of all causes: those above it say what was tried, which the caller knows.
pub(crate) fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    for _ in 0..32 {
        match last.source() {
            Some(cause) => last = cause,
            None => break,
        }
    }
    bounded(&last.to_string())
}

fn bounded(text: &str) -> String {
    text.trim_end_matches(['.', ' ', '\n']).chars().take(MESSAGE_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: &str, message: &str, status: u16) -> LookupError {
        of_refusal("cloudtrail:LookupEvents", Refusal::new(code, message, status))
    }

    #[test]
    fn a_refusal_means_what_it_says() {
        assert_eq!(said("ThrottlingException", "Rate exceeded", 400), LookupError::Throttled);
        assert_eq!(said("InvalidNextTokenException", "", 400), LookupError::TokenExpired);
        assert!(matches!(said("InternalFailure", "", 500), LookupError::Unavailable(_)));
        assert!(matches!(said("", "<html>", 502), LookupError::Unavailable(_)));
        assert!(matches!(said("UnrecognizedClientException", "no", 400), LookupError::Credentials(_)));
        assert!(matches!(
            said("InvalidSignatureException", "Signature expired: 20260101T000000Z is now earlier", 403),
            LookupError::InvalidTimeRange(_)
        ));
        assert!(matches!(
            said("InvalidSignatureException", "The request signature we calculated does not match", 403),
            LookupError::Credentials(_)
        ));
        assert!(matches!(said("UnsupportedOperationException", "no", 400), LookupError::Refused(_)));
        let LookupError::AccessDenied { action, .. } = said("AccessDeniedException", "no", 400) else {
            panic!("denied");
        };
        assert_eq!(action, "cloudtrail:LookupEvents");
    }

    #[test]
    fn what_passes_is_tried_again_and_what_is_refused_is_not() {
        let verdict = |code, message, status| verdict(Err(said(code, message, status)));
        for (code, status) in [("Throttled", 400), ("InternalError", 500), ("", 503), ("ExpiredToken", 403)] {
            assert!(matches!(verdict(code, "", status), Verdict::Retry { .. }), "{code}");
        }
        assert_eq!(
            verdict("AuthorizationError", "no\nstatement\u{1b}[2J", 403),
            Verdict::refused(r"access denied: cloudtrail:LookupEvents is not allowed (no\nstatement\u{1b}[2J)")
        );
        assert_eq!(
            verdict("NotFound", "Topic does not exist", 404),
            Verdict::refused("the service refused: NotFound: Topic does not exist")
        );
    }
}
