//! One CloudTrail record as JSON text, its fields in the order CloudTrail writes them.

use crate::calendar::push_iso;
use crate::identity::Caller;

/// What `eventType` says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    ApiCall,
    ServiceEvent,
    ConsoleSignIn,
}

/// A record about to be written. Members that hold JSON are written as they are: `null` is a null, an empty text is absence.
pub(crate) struct Record<'a> {
    pub(crate) version: &'a str,
    pub(crate) caller: &'a Caller,
    pub(crate) time: i64,
    /// The event source without `.amazonaws.com`.
    pub(crate) source: &'a str,
    pub(crate) name: &'a str,
    pub(crate) region: &'a str,
    pub(crate) error: Option<(&'a str, &'a str)>,
    pub(crate) request: &'a str,
    pub(crate) response: &'a str,
    pub(crate) additional: &'a str,
    pub(crate) request_id: &'a str,
    pub(crate) event_id: &'a str,
    pub(crate) read_only: bool,
    pub(crate) resources: &'a str,
    pub(crate) kind: Kind,
    /// True for a data event.
    pub(crate) data: bool,
    pub(crate) recipient: &'a str,
    pub(crate) shared_event_id: &'a str,
    /// The `serviceEventDetails` object.
    pub(crate) details: &'a str,
    /// The host header the client sent; empty where no TLS details stand in the record.
    pub(crate) host: &'a str,
}

impl Record<'_> {
    /// Appends the record.
    pub(crate) fn write(&self, out: &mut String) {
        let caller = self.caller;
        out.push_str(r#"{"eventVersion":""#);
        out.push_str(self.version);
        out.push_str(r#"","userIdentity":"#);
        out.push_str(&caller.identity);
        out.push_str(r#","eventTime":""#);
        push_iso(self.time, out);
        out.push_str(r#"","eventSource":""#);
        out.push_str(self.source);
        out.push_str(r#".amazonaws.com""#);
        text(out, "eventName", self.name);
        text(out, "awsRegion", self.region);
        text(out, "sourceIPAddress", &caller.address);
        text(out, "userAgent", &caller.agent);
        if let Some((code, message)) = self.error {
            // A failed sign-in has a message and no code.
            if !code.is_empty() {
                text(out, "errorCode", code);
            }
            text(out, "errorMessage", message);
        }
        json(out, "requestParameters", self.request);
        json(out, "responseElements", self.response);
        json(out, "additionalEventData", self.additional);
        if !self.request_id.is_empty() {
            text(out, "requestID", self.request_id);
        }
        text(out, "eventID", self.event_id);
        json(out, "readOnly", if self.read_only { "true" } else { "false" });
        json(out, "resources", self.resources);
        let kind = match self.kind {
            Kind::ApiCall => "AwsApiCall",
            Kind::ServiceEvent => "AwsServiceEvent",
            Kind::ConsoleSignIn => "AwsConsoleSignIn",
        };
        text(out, "eventType", kind);
        json(out, "managementEvent", if self.data { "false" } else { "true" });
        text(out, "recipientAccountId", self.recipient);
        if !self.shared_event_id.is_empty() {
            text(out, "sharedEventID", self.shared_event_id);
        }
        json(out, "serviceEventDetails", self.details);
        if let Some(endpoint) = &caller.endpoint {
            text(out, "vpcEndpointId", endpoint);
        }
        text(out, "eventCategory", if self.data { "Data" } else { "Management" });
        if caller.tls && !self.host.is_empty() {
            out.push_str(r#","tlsDetails":{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256""#);
            text(out, "clientProvidedHostHeader", self.host);
            out.push('}');
        }
        if caller.console && self.kind == Kind::ApiCall {
            text(out, "sessionCredentialFromConsole", "true");
        }
        out.push('}');
    }
}

fn text(out: &mut String, key: &str, value: &str) {
    out.push_str(",\"");
    out.push_str(key);
    out.push_str("\":");
    push_quoted(value, out);
}

fn json(out: &mut String, key: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    out.push_str(",\"");
    out.push_str(key);
    out.push_str("\":");
    out.push_str(value);
}

/// Appends a text as a JSON string.
pub(crate) fn push_quoted(value: &str, out: &mut String) {
    out.push('"');
    if value.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        out.push_str(value);
    } else {
        for letter in value.chars() {
            match letter {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                control if control < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(control))),
                other => out.push(other),
            }
        }
    }
    out.push('"');
}

/// A text as a JSON string.
pub(crate) fn quoted(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    push_quoted(value, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_is_undone_by_a_json_parser() {
        for text in ["plain", "a \"quoted\" \\ path", "line\nbreak\ttab \u{1} control", "Zürich ☂"] {
            let back: String = serde_json::from_str(&quoted(text)).expect("valid JSON");
            assert_eq!(back, text);
        }
    }
}
