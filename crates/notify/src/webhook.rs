//! `webhook`: any HTTP endpoint, with a signature and a body of one's own.
//!
//! The signature is `v1=` and the HMAC-SHA256, in hexadecimal, of the timestamp, a full stop and the body. A receiver
//! computes it from what it got, compares in constant time, and refuses timestamps that are minutes old.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use event::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use pipeline::notify::{Notifier, Parcel, Verdict};
use pipeline::store::Clock;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::asff::asff;
use crate::build::{BuildError, Tools};
use crate::edge::Edge;
use crate::http::Request;
use crate::json::ParcelDocument;
use crate::kinds::Kind;
use crate::ocsf::ocsf;
use crate::secret::{HIDDEN, Secret, SecretSource};
use crate::template::{Escape, Template};

/// What a machine is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Our own JSON.
    #[default]
    Json,
    /// OCSF Detection Findings.
    Ocsf,
    /// Findings in the AWS Security Finding Format.
    Asff,
}

/// The keys of `kind = "webhook"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// The address.
    ///
    /// Example: `url = { env = "ALERT_HOOK" }`
    pub url: SecretSource,
    /// The key of the signature in `X-Trailhound-Signature`. Default: none, and no signature.
    ///
    /// Example: `secret = { file = "/run/secrets/hook" }`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretSource>,
    /// Headers; their values may be secrets. Default: none.
    ///
    /// Example: `headers = { Authorization = { env = "HOOK_AUTH" } }`
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, SecretSource>,
    /// `POST` or `PUT`. Default: `"POST"`.
    #[serde(default)]
    pub method: Method,
    /// The type of the body, by which values are escaped. Default: `"application/json"`.
    #[serde(default = "application_json")]
    pub content_type: String,
    /// The body, with placeholders such as `{{title}}`, `{{user}}` and `{{alert}}` (the alert as JSON). Default: the alert
    /// in `format`.
    ///
    /// Example: `body = '{"text": "{{SEVERITY}} {{title}}: {{summary}}"}'`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// What is sent without a `body`: `json`, or an array of findings in `ocsf` or `asff`. Default: `"json"`.
    #[serde(default)]
    pub format: Format,
    /// Whether the whole record is sent with the alert. Default: `false`.
    #[serde(default)]
    pub record: bool,
}

fn application_json() -> String {
    "application/json".to_owned()
}

/// How it is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// `POST`
    #[default]
    Post,
    /// `PUT`
    Put,
}

impl Kind for WebhookConfig {
    const FOR_PEOPLE: bool = false;

    fn build(&self, tools: &mut Tools<'_>) -> Result<Box<dyn Notifier>, BuildError> {
        let escape = Escape::of(&self.content_type)
            .ok_or_else(|| tools.wrong("content_type: only JSON, XML, HTML, forms and text/plain can be escaped"))?;
        if self.content_type.parse::<reqwest::header::HeaderValue>().is_err() {
            return Err(tools.wrong("content_type has characters that no header takes"));
        }
        let body = match &self.body {
            Some(body) => Some(Template::new(body, escape).map_err(|reason| tools.wrong(reason))?),
            None if escape == Escape::Json => None,
            None => return Err(tools.wrong("without a body, content_type is application/json")),
        };
        let mut headers = Vec::new();
        for (name, source) in &self.headers {
            let value = tools.secret(source)?;
            let is_header = name.parse::<reqwest::header::HeaderName>().is_ok()
                && value.expose().parse::<reqwest::header::HeaderValue>().is_ok();
            if !is_header {
                return Err(tools.wrong(format!("headers: {name:?} or its value is no header")));
            }
            headers.push((name.clone(), value));
        }
        Ok(Box::new(Webhook {
            url: tools.address("url", &self.url)?,
            secret: self.secret.as_ref().map(|secret| tools.secret(secret)).transpose()?,
            headers,
            body,
            config: self.clone(),
            clock: Arc::clone(&tools.means.clock),
            edge: Arc::clone(&tools.means.edge),
            limit: tools.limit,
        }))
    }
}

struct Webhook {
    url: Secret,
    secret: Option<Secret>,
    headers: Vec<(String, Secret)>,
    body: Option<Template>,
    config: WebhookConfig,
    clock: Arc<dyn Clock>,
    edge: Arc<Edge>,
    limit: Duration,
}

impl Webhook {
    fn body(&self, parcel: &Parcel) -> String {
        let findings = |finding: fn(&pipeline::alert::Alert) -> serde_json::Value| {
            serde_json::Value::Array(parcel.alerts().map(finding).collect()).to_string()
        };
        match (&self.body, self.config.format) {
            (Some(template), _) => template.render(parcel, self.config.record),
            (None, Format::Json) => ParcelDocument::of(parcel, self.config.record).text(),
            (None, Format::Ocsf) => findings(ocsf),
            (None, Format::Asff) => findings(|alert| asff(alert, None)),
        }
    }

    fn request(&self, parcel: &Parcel) -> Request {
        let body = self.body(parcel);
        let method = match self.config.method {
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
        };
        let mut headers = self.headers.clone();
        headers.push(("Idempotency-Key".to_owned(), Secret::new(parcel.key())));
        if let Some(secret) = &self.secret {
            let timestamp = seconds(self.clock.now());
            headers.push(("X-Trailhound-Timestamp".to_owned(), Secret::new(timestamp.to_string())));
            headers.push(("X-Trailhound-Signature".to_owned(), Secret::new(sign(secret, timestamp, &body))));
        }
        let content_type = self.config.content_type.clone();
        Request { method, url: self.url.clone(), shown: HIDDEN.to_owned(), content_type, headers, body }
    }
}

impl Notifier for Webhook {
    fn send(&self, parcel: &Parcel) -> Verdict {
        self.edge.post(self.request(parcel), self.limit)
    }

    fn preview(&self, parcel: &Parcel) -> String {
        self.request(parcel).preview()
    }
}

fn seconds(time: Timestamp) -> i64 {
    time.micros().div_euclid(1_000_000)
}

/// The signature of a body at a time.
fn sign(secret: &Secret, timestamp: i64, body: &str) -> String {
    let mut signature = "v1=".to_owned();
    // HMAC takes keys of any length.
    if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()) {
        mac.update(timestamp.to_string().as_bytes());
        mac.update(b".");
        mac.update(body.as_bytes());
        for byte in mac.finalize().into_bytes() {
            signature.push_str(&format!("{byte:02x}"));
        }
    }
    signature
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_the_timestamp_and_the_body() {
        // As computed by Python's hmac module.
        let expected = "v1=09becae392448f4fe7a6149f0ab7cb3aacb242d6c8894ff0fc5adc84ce8c18c0";
        assert_eq!(sign(&Secret::new("key"), 1_768_478_400, r#"{"a":1}"#), expected);
    }
}
