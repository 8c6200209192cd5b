//! Why a statement has not run.

use pipeline::service::CallError;

/// The longest reason that is passed on, in characters: Athena repeats parts of the statement in some.
const REASON_MAX: usize = 2_000;
/// The category of errors that whoever wrote the statement can mend.
/// <https://docs.aws.amazon.com/athena/latest/ug/error-reference-error-category.html>
const CATEGORY_USER: i32 = 2;

/// Why a statement has not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AthenaError {
    /// A call failed.
    #[error("{}", said_once(call, source))]
    Call {
        /// The permission that the call needs, such as `athena:StartQueryExecution`.
        call: &'static str,
        /// Why.
        source: CallError,
    },
    /// Athena could not read or write something on the caller's behalf.
    #[error("access denied: {action} is not allowed ({reason})")]
    Denied {
        /// The missing permission.
        action: String,
        /// What Athena says.
        reason: String,
        /// The query's id.
        id: String,
    },
    /// The statement failed.
    #[error("the query failed: {reason} (query {id})")]
    Failed {
        /// The query's id.
        id: String,
        /// What Athena says.
        reason: String,
        /// Whether the statement itself is at fault.
        is_mistake: bool,
    },
    /// Somebody or a limit ended it.
    #[error("the query was cancelled: {reason} (query {id})")]
    Cancelled {
        /// The query's id.
        id: String,
        /// What Athena says.
        reason: String,
    },
    /// The program was to end before the statement had.
    #[error("interrupted{}", goes_on(id, unstopped.as_ref()))]
    Interrupted {
        /// The query's id.
        id: String,
        /// Why it could not be stopped, where it could not.
        unstopped: Option<CallError>,
    },
    /// Athena no longer says what becomes of the statement.
    #[error("{source} (query {id}{})", is_stopped(unstopped.as_ref()))]
    OutOfSight {
        /// The query's id.
        id: String,
        /// The call that failed.
        source: Box<AthenaError>,
        /// Why the statement could not be stopped, where it could not.
        unstopped: Option<CallError>,
    },
    /// The system gave no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Randomness(String),
    /// What came back is no answer to what was asked.
    #[error("athena:GetQueryResults: {0}")]
    Answer(String),
}

/// The call and what became of it; a denial names the call already.
fn said_once(call: &str, source: &CallError) -> String {
    match source {
        CallError::AccessDenied { .. } => source.to_string(),
        _ => format!("{call}: {source}"),
    }
}

fn goes_on(id: &str, unstopped: Option<&CallError>) -> String {
    unstopped.map(|error| format!(", and query {id} could not be stopped: {error}")).unwrap_or_default()
}

fn is_stopped(unstopped: Option<&CallError>) -> String {
    match unstopped {
        None => " is stopped".to_owned(),
        Some(error) => format!(" could not be stopped: {error}"),
    }
}

pub(super) fn bounded(text: &str) -> String {
    text.trim().chars().take(REASON_MAX).collect()
}

/// What the end of a statement means by the words of its reason.
pub(super) fn failed(id: &str, reason: &str, category: Option<i32>) -> AthenaError {
    let (id, reason) = (id.to_owned(), bounded(reason));
    if let Some(action) = denied(&reason) {
        return AthenaError::Denied { action, reason, id };
    }
    AthenaError::Failed { id, reason, is_mistake: category == Some(CATEGORY_USER) }
}

/// What a refusal of Athena's means where another service has refused it something: Glue's denials come as
/// `MetadataException`.
pub(super) fn refused(error: CallError) -> CallError {
    match error {
        CallError::Refused(message) => match unauthorized(&message) {
            Some(action) => CallError::AccessDenied { action, message },
            None => CallError::Refused(message),
        },
        other => other,
    }
}

/// The permission that IAM's words name.
fn unauthorized(reason: &str) -> Option<String> {
    let (_, rest) = reason.split_once("is not authorized to perform: ")?;
    let action: String = rest.chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == ':').collect();
    Some(action).filter(|action| action.contains(':'))
}

/// The permission that is missing, where the reason tells: IAM's words name it, S3's only what was tried.
fn denied(reason: &str) -> Option<String> {
    if let Some(action) = unauthorized(reason) {
        return Some(action);
    }
    let lower = reason.to_ascii_lowercase();
    if !lower.contains("access denied") && !lower.contains("accessdenied") {
        return None;
    }
    let of = |action: &str| Some(action.to_owned());
    match () {
        () if lower.contains("writing to location") || lower.contains("output bucket") => of("s3:PutObject"),
        () if lower.contains("s3") => of("s3:GetObject"),
        () if lower.contains("kms") => of("kms:Decrypt"),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_permission_is_found_in_the_reason() {
        for (reason, expected) in [
            (
                "User: arn:aws:iam::111122223333:user/a is not authorized to perform: glue:GetTable on resource: x",
                Some("glue:GetTable"),
            ),
            ("Access denied when writing to location: s3://results/x.csv", Some("s3:PutObject")),
            ("Access Denied (Service: Amazon S3; Status Code: 403; Error Code: AccessDenied)", Some("s3:GetObject")),
            ("TABLE_NOT_FOUND: line 1:15: Table 'awsdatacatalog.a.b' does not exist", None),
            ("COLUMN_NOT_FOUND: line 1:8: Column 'access denied' cannot be resolved", None),
        ] {
            assert_eq!(denied(reason).as_deref(), expected, "{reason}");
        }
        let AthenaError::Denied { action, .. } = failed("q", "Access Denied by S3", None) else { panic!("denied") };
        assert_eq!(action, "s3:GetObject");
    }

    #[test]
    fn a_call_is_named_once() {
        let denied = CallError::AccessDenied { action: "athena:GetWorkGroup".to_owned(), message: "no".to_owned() };
        let error = AthenaError::Call { call: "athena:GetWorkGroup", source: denied };
        assert_eq!(error.to_string(), "access denied: athena:GetWorkGroup is not allowed (no)");
        let error = AthenaError::Call { call: "athena:GetWorkGroup", source: CallError::Throttled };
        assert_eq!(error.to_string(), "athena:GetWorkGroup: the request was throttled");
    }
}
