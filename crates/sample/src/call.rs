//! From a call, a caller and a scene to a record.

use crate::actions::{Action, additional, failure, host, version};
use crate::chance::Chance;
use crate::identity::Caller;
use crate::organisation::REGIONS;
use crate::record::{Kind, Record};
use crate::scene::Scene;

/// A call whose members are templates; empty means absent, as in [`Record`].
#[derive(Clone, Copy)]
pub(crate) struct Call {
    pub(crate) source: &'static str,
    pub(crate) name: &'static str,
    pub(crate) request: &'static str,
    pub(crate) response: &'static str,
    pub(crate) additional: &'static str,
    pub(crate) resources: &'static str,
    pub(crate) details: &'static str,
    pub(crate) kind: Kind,
    pub(crate) read_only: bool,
    pub(crate) data: bool,
    /// Error code and message.
    pub(crate) error: Option<(&'static str, &'static str)>,
}

impl Call {
    /// A call that changes something.
    pub(crate) const fn write(
        source: &'static str,
        name: &'static str,
        request: &'static str,
        response: &'static str,
    ) -> Self {
        Self {
            source,
            name,
            request,
            response,
            additional: "",
            resources: "",
            details: "",
            kind: Kind::ApiCall,
            read_only: false,
            data: false,
            error: None,
        }
    }

    /// A call that reads.
    pub(crate) const fn read(source: &'static str, name: &'static str, request: &'static str) -> Self {
        Self { read_only: true, ..Self::write(source, name, request, "null") }
    }

    /// Something a service reports without an API call of its own.
    pub(crate) const fn service(source: &'static str, name: &'static str, details: &'static str) -> Self {
        Self { kind: Kind::ServiceEvent, details, ..Self::write(source, name, "null", "null") }
    }

    /// The same call, refused.
    pub(crate) const fn failed(self, code: &'static str, message: &'static str) -> Self {
        Self { error: Some((code, message)), response: "null", ..self }
    }

    /// The same call with resources.
    pub(crate) const fn on(self, resources: &'static str) -> Self {
        Self { resources, ..self }
    }

    /// The same call with `additionalEventData`.
    pub(crate) const fn with(self, additional: &'static str) -> Self {
        Self { additional, ..self }
    }

    /// An ordinary call of the catalogue, which fails now and then where a client makes it.
    pub(crate) fn ordinary(action: &Action, caller: &Caller, chance: &mut Chance) -> Self {
        let call = Self {
            read_only: action.read_only,
            data: action.data,
            resources: action.resources,
            additional: additional(action.source, action.data),
            ..Self::write(action.source, action.name, action.request, action.response)
        };
        if !caller.tls || !chance.one_in(30) {
            return call;
        }
        match failure(action, chance) {
            Some((code, message)) if chance.one_in(2) => call.failed(code, message),
            _ if action.source == "sts" => call,
            _ if action.source == "ec2" => {
                call.failed("Client.UnauthorizedOperation", "You are not authorized to perform this operation.")
            }
            _ => call.denied(),
        }
    }

    /// The same call, denied by IAM. Services other than S3 and KMS then leave out the request.
    pub(crate) fn denied(self) -> Self {
        let request = if matches!(self.source, "iam" | "cloudtrail" | "organizations") { "null" } else { self.request };
        Self { request, ..self.failed("AccessDenied", "") }
    }
}

/// Writes records, reusing its buffers.
#[derive(Default)]
pub(crate) struct Scribe {
    request: String,
    response: String,
    additional: String,
    resources: String,
    details: String,
    host: String,
    message: String,
    request_id: String,
    event_id: String,
}

/// What ties the two accounts' copies of one call together.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) shared_event_id: String,
    pub(crate) request_id: String,
}

impl Scribe {
    /// Appends the record of a call and gives its event id.
    pub(crate) fn write(
        &mut self,
        scene: &mut Scene<'_>,
        caller: &Caller,
        call: &Call,
        shared: Option<&Shared>,
        chance: &mut Chance,
        out: &mut String,
    ) -> &str {
        let mut fill = |template: &'static str, text: &mut String| {
            text.clear();
            if template == "null" {
                text.push_str(template);
            } else {
                scene.fill(template, chance, text);
            }
        };
        fill(call.request, &mut self.request);
        fill(call.response, &mut self.response);
        fill(call.additional, &mut self.additional);
        fill(call.resources, &mut self.resources);
        fill(call.details, &mut self.details);
        fill(if caller.tls { host(call.source, call.name) } else { "" }, &mut self.host);
        self.message.clear();
        if let Some((code, message)) = call.error {
            if code == "AccessDenied" && message.is_empty() {
                let arn = &caller.arn;
                let (service, name) = (call.source, call.name);
                let resource = match service {
                    "s3" if call.data => "arn:aws:s3:::$bucket/$key",
                    "iam" if scene.has("name") => "arn:aws:iam::$account:user/$name",
                    _ => "*",
                };
                self.message
                    .push_str(&format!("User: {arn} is not authorized to perform: {service}:{name} on resource: "));
                scene.fill(resource, chance, &mut self.message);
                self.message.push_str(&format!(" because no identity-based policy allows the {service}:{name} action"));
            } else {
                scene.fill(message, chance, &mut self.message);
            }
        }
        self.request_id.clear();
        match (shared, call.source) {
            (Some(shared), _) => self.request_id.push_str(&shared.request_id),
            (None, "s3") => chance.push_upper(16, &mut self.request_id),
            (None, "dynamodb") => chance.push_upper(52, &mut self.request_id),
            (None, _) if call.kind == Kind::ConsoleSignIn => {}
            (None, _) => chance.push_uuid(&mut self.request_id),
        }
        self.event_id.clear();
        chance.push_uuid(&mut self.event_id);
        let record = Record {
            version: version(call.source),
            caller,
            time: scene.time,
            source: call.source,
            name: call.name,
            region: REGIONS[scene.region],
            error: call.error.map(|(code, _)| (code, self.message.as_str())),
            request: &self.request,
            response: &self.response,
            additional: &self.additional,
            request_id: &self.request_id,
            event_id: &self.event_id,
            read_only: call.read_only,
            resources: &self.resources,
            kind: call.kind,
            data: call.data,
            recipient: &scene.account().id,
            shared_event_id: shared.map_or("", |shared| shared.shared_event_id.as_str()),
            details: &self.details,
            host: &self.host,
        };
        record.write(out);
        &self.event_id
    }
}
