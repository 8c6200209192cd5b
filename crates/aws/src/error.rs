//! What AWS's refusals mean.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use event::Timestamp;
use pipeline::collect::Unknown;
use pipeline::escape::single_line;
use pipeline::notify::Verdict;
use pipeline::service::CallError;

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
    /// A bucket cannot be reached as it is given.
    #[error("the bucket {name:?} cannot be read: {reason}")]
    Bucket {
        /// Its name.
        name: String,
        /// What does not fit.
        reason: String,
    },
    /// A queue's address is none.
    #[error("{0:?} is no address of a queue, such as https://sqs.eu-west-1.amazonaws.com/123456789012/trail")]
    Queue(String),
    /// The call failed.
    #[error("{call}: {source}")]
    Call {
        /// The permission that the call needs, such as `account:ListRegions`.
        call: &'static str,
        /// Why.
        source: CallError,
    },
}

impl AwsError {
    /// What could not be found out, for the scope.
    pub(crate) fn unknown(self, subject: &str, now: Timestamp) -> Unknown {
        match self {
            AwsError::Call { call, source } => Unknown::new(subject, call, &source, now),
            other => Unknown::new(subject, "configuration", &CallError::Refused(other.to_string()), now),
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
pub(crate) fn classify<E>(action: &'static str, error: &SdkError<E, HttpResponse>) -> CallError
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
        SdkError::TimeoutError(_) => CallError::Unavailable("no answer in time".to_owned()),
        SdkError::ConstructionFailure(_) => CallError::Refused(innermost(error)),
        _ => CallError::Unavailable(innermost(error)),
    }
}

/// What a call means for the notification it was made for. Whatever somebody can mend (a permission, a topic, credentials,
/// a clock) is tried again for as long as notifications are; only what is wrong with the message itself is not.
pub(crate) fn verdict(result: Result<(), CallError>) -> Verdict {
    let Err(error) = result else { return Verdict::Delivered };
    let reason = single_line(&error.to_string(), REASON_MAX).into_owned();
    let is_of_the_message = match &error {
        CallError::Refused(said) => {
            ["InvalidParameter", "InvalidInput", "Validation"].iter().any(|code| said.starts_with(code))
        }
        CallError::TooLarge { .. } => true,
        _ => false,
    };
    if is_of_the_message { Verdict::refused(reason) } else { Verdict::retry(reason) }
}

/// The service's own words, where it gave any.
fn refusal<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Option<Refusal> {
    let SdkError::ServiceError(answer) = error else { return None };
    let (said, status) = (answer.err(), answer.raw().status().as_u16());
    let (code, message) = (said.code().unwrap_or_default(), said.message().unwrap_or_default());
    Some(Refusal::new(code, message, status))
}

pub(crate) fn of_refusal(action: &str, refusal: Refusal) -> CallError {
    let Refusal { code, message, status } = refusal;
    let said = if message.is_empty() { code.clone() } else { format!("{code}: {message}") };
    match code.as_str() {
        "ThrottlingException"
        | "Throttling"
        | "ThrottledException"
        | "Throttled"
        | "KMSThrottling"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "ProvisionedThroughputExceededException" => CallError::Throttled,
        "InvalidNextTokenException" => CallError::TokenExpired,
        "InvalidTimeRangeException" => CallError::InvalidTimeRange(message),
        "AccessDenied"
        | "AccessDeniedException"
        | "UnauthorizedOperation"
        | "AuthorizationError"
        | "AuthorizationErrorException"
        | "KmsAccessDenied"
        | "KMS.AccessDeniedException" => CallError::AccessDenied { action: action.to_owned(), message },
        // A signature carries the time: it is refused where the clocks are minutes apart.
        "InvalidSignatureException" | "SignatureDoesNotMatch" | "RequestExpired" | "RequestTimeTooSkewed"
            if ["expired", "not yet", "skew", "time"].iter().any(|word| message.contains(word)) =>
        {
            CallError::InvalidTimeRange(format!("this machine's clock is off ({said})"))
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
        | "OptInRequired" => CallError::Credentials(said),
        "NoSuchBucket" | "NoSuchKey" | "QueueDoesNotExist" | "AWS.SimpleQueueService.NonExistentQueue" => {
            CallError::NotFound(said)
        }
        "SlowDown" => CallError::Throttled,
        _ if status == 429 => CallError::Throttled,
        _ if status >= 500 || code.is_empty() => CallError::Unavailable(format!("HTTP {status} {said}")),
        _ => CallError::Refused(said),
    }
}

/// What became of a request to S3 that failed; `what` says what was asked for.
pub(crate) fn classify_store(action: &'static str, what: &str, error: &object_store::Error) -> CallError {
    use object_store::Error as Store;
    if let Some(failed) = find::<CredentialsError>(error) {
        return of_credentials(failed);
    }
    let words = innermost_words(error);
    // The client gives S3's answer as text only.
    let (code, message) = (element(&words, "Code"), element(&words, "Message"));
    match (error, code) {
        (_, "NoSuchKey" | "NoSuchBucket") | (Store::NotFound { .. }, "") => CallError::NotFound(what.to_owned()),
        (Store::PermissionDenied { .. } | Store::Unauthenticated { .. }, "") => {
            CallError::AccessDenied { action: action.to_owned(), message: format!("{what}: {}", bounded(&words)) }
        }
        (_, "AccessDenied" | "AllAccessDisabled") => {
            CallError::AccessDenied { action: action.to_owned(), message: format!("{what}: {}", bounded(message)) }
        }
        (_, "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException") => {
            CallError::Refused(format!("{what} lies in another region ({})", bounded(message)))
        }
        (_, "") if words.contains("redirect without LOCATION") => {
            CallError::Refused(format!("{what} lies in another region"))
        }
        (_, "") => CallError::Unavailable(bounded(&words)),
        // An object in Glacier, a key that may not be used: what S3 says is what there is to say.
        (_, code) => {
            let status = if SERVERS_OWN.contains(&code) { 500 } else { 400 };
            of_refusal(action, Refusal { code: code.to_owned(), message: bounded(message), status })
        }
    }
}

/// Codes of S3 that another try may help.
const SERVERS_OWN: [&str; 4] = ["InternalError", "ServiceUnavailable", "OperationAborted", "RequestTimeout"];

/// The text of an element of S3's answer, which has no attributes and is flat.
fn element<'a>(answer: &'a str, name: &str) -> &'a str {
    let rest = answer.split_once(&format!("<{name}>")).map_or("", |(_, rest)| rest);
    rest.split('<').next().unwrap_or_default()
}

/// Why there are no credentials: a role that may not be assumed is another matter than a profile that is not there.
pub(crate) fn of_credentials(failed: &CredentialsError) -> CallError {
    if let Some(denied) = find::<SdkError<AssumeRoleError, HttpResponse>>(failed) {
        return match classify("sts:AssumeRole", denied) {
            CallError::Refused(said) => CallError::Credentials(said),
            known => known,
        };
    }
    if let Some(denied) = find::<AssumeRoleError>(failed) {
        let (code, message) = (denied.code().unwrap_or_default(), denied.message().unwrap_or_default());
        return of_refusal("sts:AssumeRole", Refusal::new(code, message, 400));
    }
    match failed {
        CredentialsError::CredentialsNotLoaded(_) => CallError::Credentials(
            "none were found: set AWS_PROFILE or AWS_ACCESS_KEY_ID, or run `aws sso login`".to_owned(),
        ),
        CredentialsError::ProviderTimedOut(_) => CallError::Unavailable("no credentials in time".to_owned()),
        _ => CallError::Credentials(match innermost(failed) {
            // Signed out, or never signed in: the SDK says that the token is not there, and not what to do.
            said if said.contains("SSO token") => format!("{said}: run `aws sso login`"),
            said => said,
        }),
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
    bounded(&innermost_words(error))
}

fn innermost_words(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    for _ in 0..32 {
        match last.source() {
            Some(cause) => last = cause,
            None => break,
        }
    }
    last.to_string()
}

fn bounded(text: &str) -> String {
    text.trim_end_matches(['.', ' ', '\n']).chars().take(MESSAGE_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: &str, message: &str, status: u16) -> CallError {
        of_refusal("cloudtrail:LookupEvents", Refusal::new(code, message, status))
    }

    #[test]
    fn a_refusal_means_what_it_says() {
        assert_eq!(said("ThrottlingException", "Rate exceeded", 400), CallError::Throttled);
        assert_eq!(said("InvalidNextTokenException", "", 400), CallError::TokenExpired);
        assert!(matches!(said("InternalFailure", "", 500), CallError::Unavailable(_)));
        assert!(matches!(said("", "<html>", 502), CallError::Unavailable(_)));
        assert!(matches!(said("UnrecognizedClientException", "no", 400), CallError::Credentials(_)));
        assert!(matches!(
            said("InvalidSignatureException", "Signature expired: 20260101T000000Z is now earlier", 403),
            CallError::InvalidTimeRange(_)
        ));
        assert!(matches!(
            said("InvalidSignatureException", "The request signature we calculated does not match", 403),
            CallError::Credentials(_)
        ));
        assert!(matches!(said("UnsupportedOperationException", "no", 400), CallError::Refused(_)));
        let CallError::AccessDenied { action, .. } = said("AccessDeniedException", "no", 400) else {
            panic!("denied");
        };
        assert_eq!(action, "cloudtrail:LookupEvents");
    }

    #[test]
    fn what_can_be_mended_is_tried_again_and_a_message_that_is_wrong_is_not() {
        let verdict = |code, message, status| verdict(Err(said(code, message, status)));
        for (code, status) in [("Throttled", 400), ("InternalError", 500), ("", 503), ("ExpiredToken", 403)] {
            assert!(matches!(verdict(code, "", status), Verdict::Retry { .. }), "{code}");
        }
        assert_eq!(
            verdict("AuthorizationError", "no\nstatement\u{1b}[2J", 403),
            Verdict::retry(r"access denied: cloudtrail:LookupEvents is not allowed (no\nstatement\u{1b}[2J)")
        );
        assert!(matches!(verdict("NotFound", "Topic does not exist", 404), Verdict::Retry { .. }));
        assert_eq!(
            verdict("InvalidParameter", "Subject", 400),
            Verdict::refused("the service refused: InvalidParameter: Subject")
        );
    }

    fn store(status: &str, body: &str, wrap: fn(Box<dyn Error + Send + Sync>) -> object_store::Error) -> CallError {
        let words = format!("Server returned non-2xx status code: {status}: {body}");
        classify_store("s3:GetObject", "object s3://b/k", &wrap(words.into()))
    }

    #[test]
    fn what_s3_says_is_found_in_its_answer() {
        let denied = |source| object_store::Error::PermissionDenied { path: String::new(), source };
        let missing = |source| object_store::Error::NotFound { path: String::new(), source };
        let other = |source| object_store::Error::Generic { store: "S3", source };
        let said = |code: &str| format!("<Error><Code>{code}</Code><Message>no</Message><Key>k</Key></Error>");
        let expected =
            CallError::AccessDenied { action: "s3:GetObject".to_owned(), message: "object s3://b/k: no".to_owned() };
        assert_eq!(store("403 Forbidden", &said("AccessDenied"), denied), expected);
        assert!(matches!(store("403 Forbidden", "", denied), CallError::AccessDenied { .. }));
        assert_eq!(store("404", &said("NoSuchKey"), missing), CallError::NotFound("object s3://b/k".to_owned()));
        assert!(matches!(store("403", &said("InvalidAccessKeyId"), denied), CallError::Credentials(_)));
        assert!(matches!(store("400", &said("ExpiredToken"), other), CallError::Credentials(_)));
        assert_eq!(store("503", &said("SlowDown"), other), CallError::Throttled);
        assert!(matches!(store("500", &said("InternalError"), other), CallError::Unavailable(_)));
        assert!(matches!(store("502", "<html>", other), CallError::Unavailable(_)));
        assert!(matches!(store("301", &said("PermanentRedirect"), other), CallError::Refused(_)));
        assert!(matches!(store("403", &said("InvalidObjectState"), denied), CallError::Refused(_)));
    }
}
