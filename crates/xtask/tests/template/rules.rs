//! What must be true of the templates.
//!
//! Each rule is a function from the templates to a list of violations, with breaches: changes of one place that it has
//! to catch. A rule that lets everything through fails here.

mod access;
mod alerts;
mod functions;
mod shape;
mod storage;

use serde_json::Value;

pub(crate) use self::access::{CALLS, suppressions_alone};

use crate::{STACK, Templates};

pub(crate) struct Rule {
    name: &'static str,
    check: fn(&Templates) -> Vec<String>,
    breaches: &'static [Breach],
}

/// A place of a template, as a JSON pointer, and what to put there; without anything the place goes.
pub(crate) struct Breach(&'static str, Option<&'static str>);

const fn put(pointer: &'static str, json: &'static str) -> Breach {
    Breach(pointer, Some(json))
}

const fn remove(pointer: &'static str) -> Breach {
    Breach(pointer, None)
}

fn all() -> impl Iterator<Item = &'static Rule> {
    [storage::RULES, functions::RULES, alerts::RULES, access::RULES, shape::RULES].into_iter().flatten()
}

#[test]
fn templates_keep_every_rule() {
    let Some(templates) = Templates::load() else { return };
    let violations: Vec<String> = all()
        .flat_map(|rule| (rule.check)(&templates).into_iter().map(|violation| format!("{}: {violation}", rule.name)))
        .collect();
    assert!(violations.is_empty(), "{} violations:\n  {}", violations.len(), violations.join("\n  "));
}

#[test]
fn every_rule_catches_its_breaches() {
    let Some(templates) = Templates::load() else { return };
    for rule in all() {
        assert!(!rule.breaches.is_empty(), "{}: no breach shows that it can fail", rule.name);
        for Breach(place, value) in rule.breaches {
            // `forwarder.yaml:/Resources/…`; without a name the stack's template.
            let (name, pointer) =
                place.split_once(':').filter(|(name, _)| name.ends_with(".yaml")).unwrap_or((STACK, place));
            let mut breached = templates.clone();
            let template = breached.named_mut(name);
            match value {
                Some(json) => *spot(template, pointer) = serde_json::from_str(json).unwrap(),
                None => {
                    let (parent, key) = pointer.rsplit_once('/').unwrap();
                    let removed = match spot(template, parent) {
                        Value::Object(fields) => fields.shift_remove(&key.replace("~1", "/")).is_some(),
                        Value::Array(items) => key.parse::<usize>().is_ok_and(|place| !items.remove(place).is_null()),
                        _ => false,
                    };
                    assert!(removed, "{}: nothing at {place}", rule.name);
                }
            }
            assert!(!(rule.check)(&breached).is_empty(), "{}: the breach at {place} went unseen", rule.name);
        }
    }
}

/// A place of a template; one that an object does not have yet is made.
fn spot<'a>(template: &'a mut Value, pointer: &str) -> &'a mut Value {
    if template.pointer(pointer).is_none() {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let fields = template.pointer_mut(parent).and_then(Value::as_object_mut);
        fields.unwrap_or_else(|| panic!("nothing at {parent}")).insert(key.to_owned(), Value::Null);
    }
    template.pointer_mut(pointer).unwrap()
}

// -- reading templates ------------------------------------------------------------------------------------------------

/// A list, or nothing where there is none.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A text, or nothing where there is none.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// One value or a list of them.
fn one_or_more(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(values) => values.iter().collect(),
        Value::Null => Vec::new(),
        value => vec![value],
    }
}

/// What a statement of a policy speaks of.
pub(crate) fn actions(statement: &Value) -> Vec<String> {
    one_or_more(&statement["Action"]).into_iter().map(|action| text(action).to_owned()).collect()
}

/// The resources of a type, by name.
fn of_type<'a>(template: &'a Value, kind: &str) -> Vec<(&'a str, &'a Value)> {
    let resources = template["Resources"].as_object().unwrap();
    resources
        .iter()
        .filter(|(_, resource)| resource["Type"] == kind)
        .map(|(name, resource)| (name.as_str(), resource))
        .collect()
}

/// The statements of a policy document, those of either side of a condition too.
fn statements(document: &Value) -> Vec<&Value> {
    let mut found = Vec::new();
    for statement in one_or_more(&document["Statement"]) {
        match statement.get("Fn::If") {
            Some(branches) => found.extend(list(branches).iter().filter(|branch| branch.get("Effect").is_some())),
            None => found.push(statement),
        }
    }
    found
}

fn statement<'a>(document: &'a Value, sid: &str) -> &'a Value {
    statements(document).into_iter().find(|statement| statement["Sid"] == sid).unwrap_or(&Value::Null)
}

/// Whether a document refuses everything that does not come over TLS.
fn refuses_plain_text(document: &Value, resources: &[Value]) -> bool {
    let tls = statement(document, "TlsOnly");
    tls["Effect"] == "Deny"
        && tls["Principal"] == "*"
        && tls["Condition"]["Bool"]["aws:SecureTransport"] == "false"
        && resources.iter().all(|resource| one_or_more(&tls["Resource"]).contains(&resource))
}

/// Collects what is wrong.
#[derive(Default)]
struct Violations(Vec<String>);

impl Violations {
    fn unless(&mut self, is_right: bool, what: impl Into<String>) {
        if !is_right {
            self.0.push(what.into());
        }
    }
}
