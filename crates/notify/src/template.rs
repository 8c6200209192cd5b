//! Texts with `{{placeholders}}` for the bodies of webhooks.

use pipeline::message::{Message, headline};
use pipeline::notify::Parcel;

use crate::fields::suggestion;
use crate::json::ParcelDocument;
use crate::markup;

/// The most characters that one placeholder stands for, the whole document excepted.
const VALUE_MAX: usize = 2000;

/// How values are escaped: by the type of what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Escape {
    Json,
    Html,
    Form,
    Line,
}

impl Escape {
    /// The escape for a content type. `None` for one whose rules are not known.
    pub(crate) fn of(content_type: &str) -> Option<Escape> {
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/json" => Some(Escape::Json),
            "application/x-www-form-urlencoded" => Some(Escape::Form),
            "text/html" | "application/xml" | "text/xml" => Some(Escape::Html),
            "text/plain" => Some(Escape::Line),
            json if json.ends_with("+json") => Some(Escape::Json),
            xml if xml.ends_with("+xml") => Some(Escape::Html),
            _ => None,
        }
    }

    fn escape(self, text: &str) -> String {
        let line = pipeline::escape::single_line(text, VALUE_MAX);
        match self {
            Escape::Json => markup::json(&line),
            Escape::Html => markup::html(&line),
            Escape::Form => markup::form(&line),
            Escape::Line => line.into_owned(),
        }
    }
}

/// What a placeholder may be.
const NAMES: &[&str] = &[
    "alert",
    "key",
    "severity",
    "SEVERITY",
    "subject",
    "title",
    "summary",
    "message",
    "action_required",
    "count",
    "detection",
    "event_id",
    "event_name",
    "event_source",
    "event_time",
    "account",
    "region",
    "user",
    "session",
    "principal",
    "source_ip",
    "user_agent",
];

/// A text between placeholders, or a placeholder.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Value(&'static str),
}

/// A template. It is taken apart once, so that a value that looks like a placeholder is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
    escape: Escape,
}

impl Template {
    /// Takes a text apart. The error names the placeholder that is none.
    pub(crate) fn new(text: &str, escape: Escape) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, after) = after.split_once("}}").ok_or("body has a {{ without its }}")?;
            let name = name.trim();
            let Some(known) = NAMES.iter().find(|known| **known == name) else {
                return Err(format!(
                    "body: there is no placeholder {name:?}{}",
                    suggestion(name, NAMES.iter().copied())
                ));
            };
            if *known == "alert" && escape != Escape::Json {
                return Err("body: {{alert}} is JSON; set content_type to application/json".to_owned());
            }
            parts.extend([Part::Text(before.to_owned()), Part::Value(known)]);
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Template { parts, escape })
    }

    /// The template with a parcel's values in it.
    pub(crate) fn render(&self, parcel: &Parcel, with_record: bool) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Value("alert") => text.push_str(&ParcelDocument::of(parcel, with_record).text()),
                Part::Value(name) => text.push_str(&self.escape.escape(&value(parcel, name))),
            }
        }
        text
    }
}

fn value(parcel: &Parcel, name: &str) -> String {
    let first = parcel.first();
    let said = |text: &Option<String>| text.clone().unwrap_or_default();
    match name {
        "key" => parcel.key(),
        "severity" => parcel.severity().to_string(),
        "SEVERITY" => parcel.severity().as_str().to_ascii_uppercase(),
        "subject" => Message::of_parcel(parcel).subject,
        "title" => headline(parcel),
        "summary" => first.summary.clone(),
        "message" => Message::of_parcel(parcel).body,
        "action_required" => first.action_required.clone(),
        "count" => parcel.count().to_string(),
        "detection" => first.detection.clone(),
        "event_id" => first.event_id.clone(),
        "event_time" => first.event_time.to_string(),
        "event_name" => said(&first.event_name),
        "event_source" => said(&first.event_source),
        "account" => said(&first.account),
        "region" => said(&first.region),
        "user" => said(&first.user),
        "session" => said(&first.session),
        "principal" => said(&first.actor_arn),
        "source_ip" => said(&first.source_ip),
        "user_agent" => said(&first.user_agent),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipeline::alert::Alert;
    use proptest::prelude::*;

    fn parcel(user: &str) -> Parcel {
        let alert = crate::sample::sample(detect::all()[0], event::Timestamp::MIN);
        Parcel::one(Alert { user: Some(user.to_owned()), ..alert })
    }

    #[test]
    fn a_template_is_filled_in_once() {
        let template = Template::new(r#"{"who": "{{ user }}", "n": {{count}}}"#, Escape::Json).unwrap();
        assert_eq!(
            template.render(&parcel(r#"{{title}}", "x": ""#), false),
            r#"{"who": "{{title}}\", \"x\": \"", "n": 1}"#
        );
        let form = Template::new("u={{user}}&k=1", Escape::Form).unwrap();
        assert_eq!(form.render(&parcel("a&b=c"), false), "u=a%26b%3Dc&k=1");
    }

    #[test]
    fn every_placeholder_has_a_value_and_a_mistake_is_named() {
        for name in NAMES {
            let template = Template::new(&format!("{{{{{name}}}}}"), Escape::Json).unwrap();
            let is_ever_empty = ["session"].contains(name);
            assert!(is_ever_empty || !template.render(&parcel("alice"), false).is_empty(), "{name}");
        }
        let error = Template::new("{{titel}}", Escape::Json).unwrap_err();
        assert_eq!(error, "body: there is no placeholder \"titel\"; did you mean \"title\"?");
        assert!(Template::new("{{title", Escape::Json).is_err());
        assert!(Template::new("{{alert}}", Escape::Line).is_err());
        assert_eq!(Escape::of("Application/JSON; charset=utf-8"), Some(Escape::Json));
        assert_eq!(Escape::of("application/yaml"), None);
    }

    proptest! {
        #[test]
        fn json_stays_json_with_the_same_keys(user in any::<String>()) {
            let template = Template::new(r#"{"user": "{{user}}", "all": {{alert}}}"#, Escape::Json).unwrap();
            let value: serde_json::Value = serde_json::from_str(&template.render(&parcel(&user), true)).unwrap();
            prop_assert_eq!(value.as_object().unwrap().len(), 2);
        }
    }
}
