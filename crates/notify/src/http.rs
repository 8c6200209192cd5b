//! One HTTP request, its answer, and what the answer means.

use std::error::Error;
use std::fmt::Write;
use std::time::Duration;

use pipeline::escape::single_line;
use pipeline::notify::Verdict;

use crate::edge::Edge;
use crate::secret::{HIDDEN, Secret};

/// The most bytes of an answer that are read.
const ANSWER_MAX: usize = 16 * 1024;
/// The most characters of an answer that are repeated.
const SHOWN_MAX: usize = 200;

/// A request, as data.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: reqwest::Method,
    /// Webhooks are secrets.
    pub(crate) url: Secret,
    /// How the address is shown: an endpoint that is no secret, or `***`.
    pub(crate) shown: String,
    pub(crate) content_type: String,
    /// A header's value may be a secret.
    pub(crate) headers: Vec<(String, Secret)>,
    pub(crate) body: String,
}

impl Request {
    /// A POST of JSON to a secret address.
    pub(crate) fn json(url: &Secret, body: &serde_json::Value) -> Request {
        Request {
            method: reqwest::Method::POST,
            url: url.clone(),
            shown: HIDDEN.to_owned(),
            content_type: "application/json; charset=utf-8".to_owned(),
            headers: Vec::new(),
            body: body.to_string(),
        }
    }

    pub(crate) fn header(mut self, name: &str, value: Secret) -> Request {
        self.headers.push((name.to_owned(), value));
        self
    }

    /// The request for people to look at.
    pub(crate) fn preview(&self) -> String {
        let mut text = format!("{} {}\ncontent-type: {}\n", self.method, self.shown, self.content_type);
        for (name, _) in &self.headers {
            let _ = writeln!(text, "{name}: {HIDDEN}");
        }
        let body = match serde_json::from_str::<serde_json::Value>(&self.body) {
            Ok(value) => {
                let pretty = serde_json::to_string_pretty(&value).unwrap_or_default();
                pipeline::escape::json(&pretty).into_owned()
            }
            Err(_) => self.body.clone(),
        };
        let _ = write!(text, "\n{body}\n");
        text
    }
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: String,
}

impl Edge {
    /// Sends a request. The error tells why there is no answer.
    pub(crate) fn exchange(&self, request: Request, limit: Duration) -> Result<Answer, String> {
        let client = self.client().clone();
        let answer = self.run(limit, async move { exchange(client, request).await });
        answer.unwrap_or_else(|| Err(format!("no answer within {} s", limit.as_secs())))
    }

    /// Sends a request and judges the answer by its status.
    pub(crate) fn post(&self, request: Request, limit: Duration) -> Verdict {
        match self.exchange(request, limit) {
            Ok(answer) => judge(&answer),
            Err(reason) => Verdict::retry(reason),
        }
    }
}

async fn exchange(client: reqwest::Client, request: Request) -> Result<Answer, String> {
    let mut builder = client
        .request(request.method, request.url.expose())
        .header("content-type", request.content_type)
        .body(request.body);
    for (name, value) in &request.headers {
        builder = builder.header(name, value.expose());
    }
    let mut response = builder.send().await.map_err(|error| words(&error.without_url()))?;
    let status = response.status().as_u16();
    let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let mut body = Vec::new();
    while body.len() < ANSWER_MAX {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break,
            // A success that breaks off has been taken all the same, and a failure is one without its words.
            Err(_) => break,
        }
    }
    body.truncate(ANSWER_MAX);
    let body = String::from_utf8_lossy(&body).into_owned();
    Ok(Answer { status, retry_after: retry_after.map(Duration::from_secs), body })
}

/// What went wrong, with the cause of the cause.
fn words(error: &reqwest::Error) -> String {
    let mut text = if error.is_connect() { "cannot connect".to_owned() } else { "the connection failed".to_owned() };
    let mut cause = error.source();
    let mut last = String::new();
    while let Some(error) = cause {
        last = error.to_string();
        cause = error.source();
    }
    if !last.is_empty() {
        let _ = write!(text, ": {}", single_line(&last, SHOWN_MAX));
    }
    text
}

/// What an answer means. What its sender can mend (a missing channel, a wrong key, a service that is down) is tried again;
/// what is wrong with the message itself is not.
pub(crate) fn judge(answer: &Answer) -> Verdict {
    let reason = || {
        let said = single_line(answer.body.trim(), SHOWN_MAX);
        if said.is_empty() { format!("HTTP {}", answer.status) } else { format!("HTTP {}: {said}", answer.status) }
    };
    match answer.status {
        200..=299 => Verdict::Delivered,
        300..=399 => Verdict::retry(format!("HTTP {}: the address has moved; configure the new one", answer.status)),
        401 | 403 | 404 | 407 | 408 | 410 | 425 | 429 | 500..=599 => {
            Verdict::Retry { after: answer.retry_after, reason: reason() }
        }
        _ => Verdict::refused(reason()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_means_what_can_be_done_about_it() {
        let answer =
            |status| Answer { status, retry_after: Some(Duration::from_secs(7)), body: "no\nservice".to_owned() };
        assert_eq!(judge(&answer(202)), Verdict::Delivered);
        for status in [401, 404, 429, 500, 503] {
            let reason = format!("HTTP {status}: no\\nservice");
            assert_eq!(judge(&answer(status)), Verdict::Retry { after: Some(Duration::from_secs(7)), reason });
        }
        assert_eq!(judge(&answer(400)), Verdict::refused("HTTP 400: no\\nservice"));
        assert!(matches!(judge(&answer(302)), Verdict::Retry { .. }));
    }

    #[test]
    fn a_preview_hides_the_address_and_the_headers() {
        let request = Request::json(&Secret::new("https://hooks/T0K3N"), &serde_json::json!({"a": 1}))
            .header("authorization", Secret::new("Bearer T0K3N"));
        assert_eq!(
            request.preview(),
            "POST ***\ncontent-type: application/json; charset=utf-8\nauthorization: ***\n\n{\n  \"a\": 1\n}\n"
        );
    }
}
