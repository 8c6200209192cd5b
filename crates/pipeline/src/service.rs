//! Why a service could not be asked: what the ports to AWS have in common, by what helps.

/// Why a call of a service failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// Too many requests, ours or others' (`ThrottlingException`, which comes as HTTP 400). Worth another try.
    #[error("the request was throttled")]
    Throttled,
    /// The page token is too old or otherwise not taken (`InvalidNextTokenException`).
    #[error("the page token is no longer valid")]
    TokenExpired,
    /// The times are not taken (`InvalidTimeRangeException`), or this machine's clock is off.
    #[error("the time range is not accepted: {0}")]
    InvalidTimeRange(String),
    /// The caller may not do this.
    #[error("access denied: {action} is not allowed ({message})")]
    AccessDenied {
        /// The missing permission, such as `cloudtrail:LookupEvents` or `sts:AssumeRole`.
        action: String,
        /// What the service says.
        message: String,
    },
    /// What is asked for is not there: a bucket, an object, a queue.
    #[error("there is no {0}")]
    NotFound(String),
    /// An object is larger than what is read.
    #[error("it has {size} bytes, more than the limit of {limit}")]
    TooLarge {
        /// Its size in bytes.
        size: u64,
        /// The most bytes it may have.
        limit: u64,
    },
    /// There are no credentials, or they are wrong or expired.
    #[error("the credentials are not accepted: {0}")]
    Credentials(String),
    /// No answer, a cut connection, or an error of the service's own (5xx). Worth another try.
    #[error("no proper answer from the service: {0}")]
    Unavailable(String),
    /// The service refused for another reason; trying again would not help.
    #[error("the service refused: {0}")]
    Refused(String),
}

impl CallError {
    /// Whether the same call may succeed a little later, with nobody having changed anything.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, CallError::Throttled | CallError::Unavailable(_))
    }
}
