//! `teams`: an Adaptive Card to a webhook of Microsoft Teams' Workflows.
//!
//! A stranger's text stands in text runs, which know no Markdown.
//! <https://adaptivecards.io/explorer/TextRun.html>; a message has at most 28 KB:
//! <https://learn.microsoft.com/microsoftteams/limits-specifications-teams>

use std::sync::Arc;
use std::time::Duration;

use detect::Severity;
use pipeline::notify::{Notifier, Parcel, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::build::{BuildError, Tools};
use crate::card::Card;
use crate::edge::Edge;
use crate::http::Request;
use crate::kinds::Kind;
use crate::markup;
use crate::secret::{Secret, SecretSource};

/// The most bytes of a message, with some room for what Teams adds.
const MESSAGE_MAX: usize = 25 * 1024;

/// The keys of `kind = "teams"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeamsConfig {
    /// The address that the workflow "Post to a channel when a webhook request is received" shows.
    ///
    /// Example: `webhook = { env = "TEAMS_WEBHOOK" }`
    pub webhook: SecretSource,
}

impl Kind for TeamsConfig {
    fn build(&self, tools: &mut Tools<'_>) -> Result<Box<dyn Notifier>, BuildError> {
        let url = tools.address("webhook", &self.webhook)?;
        Ok(Box::new(Teams { url, edge: Arc::clone(&tools.means.edge), limit: tools.limit }))
    }
}

struct Teams {
    url: Secret,
    edge: Arc<Edge>,
    limit: Duration,
}

impl Teams {
    fn request(&self, parcel: &Parcel) -> Request {
        Request::json(&self.url, &message(parcel))
    }
}

impl Notifier for Teams {
    fn send(&self, parcel: &Parcel) -> Verdict {
        self.edge.post(self.request(parcel), self.limit)
    }

    fn preview(&self, parcel: &Parcel) -> String {
        self.request(parcel).preview()
    }
}

/// The message: as much of the card as fits.
fn message(parcel: &Parcel) -> Value {
    let mut card = Card::of(parcel);
    let mut message = envelope(&card);
    while message.to_string().len() > MESSAGE_MAX {
        // What is longest goes first: the list, then the facts, then the sentence.
        if card.list.pop().is_some() {
            card.unlisted += 1;
        } else if card.facts.pop().is_none() && card.action.take().is_none() {
            card.summary = None;
            return envelope(&card);
        }
        message = envelope(&card);
    }
    message
}

fn envelope(card: &Card) -> Value {
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "msteams": {"width": "Full"},
                "body": body(card),
            },
        }],
    })
}

fn body(card: &Card) -> Vec<Value> {
    let color = match card.severity {
        Severity::Critical | Severity::High => "attention",
        Severity::Medium => "warning",
        Severity::Low | Severity::Informational => "default",
    };
    let title = format!("[{}] {}", card.label(), card.title);
    let mut title = run(&title);
    title["weight"] = json!("bolder");
    title["size"] = json!("large");
    title["color"] = json!(color);
    let mut body = vec![paragraph(vec![title])];
    body.extend(card.summary.as_deref().map(|summary| paragraph(vec![run(summary)])));
    for (label, text) in &card.facts {
        let mut label = run(&format!("{label}: "));
        label["weight"] = json!("bolder");
        let mut fact = paragraph(vec![label, run(text)]);
        fact["spacing"] = json!("none");
        body.push(fact);
    }
    body.extend(card.lines().map(|line| paragraph(vec![run(&format!("• {line}"))])));
    body.extend(card.action.as_deref().map(|action| paragraph(vec![run(&format!("Action required: {action}"))])));
    let mut footer = run(&card.footer);
    footer["isSubtle"] = json!(true);
    footer["size"] = json!("small");
    body.push(paragraph(vec![footer]));
    body
}

fn paragraph(runs: Vec<Value>) -> Value {
    json!({"type": "RichTextBlock", "inlines": runs})
}

fn run(text: &str) -> Value {
    json!({"type": "TextRun", "text": markup::card(text)})
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipeline::alert::Alert;

    #[test]
    fn a_message_fits_whatever_is_in_it() {
        let long = "漢".repeat(5000);
        let alert = crate::sample::sample(detect::all()[0], event::Timestamp::MIN);
        let field = || Some(long.clone());
        let hostile = Alert {
            summary: long.clone(),
            action_required: long.clone(),
            user: field(),
            session: field(),
            user_agent: field(),
            region: field(),
            account: field(),
            title: long.clone(),
            ..alert
        };
        let parcel = Parcel::digest(vec![hostile.clone(); 200]).unwrap();
        assert!(message(&parcel).to_string().len() <= MESSAGE_MAX);
        assert!(message(&Parcel::one(hostile)).to_string().len() <= MESSAGE_MAX);
    }
}
