//! `slack`: Block Kit messages, by an incoming webhook or by a bot with one thread for each principal.
//!
//! A stranger's text stands in `plain_text` and in rich text's `text` elements, which Slack shows as they are: no mention,
//! link or emoji comes out of them. <https://docs.slack.dev/reference/block-kit/blocks/rich-text-block>

use std::sync::Arc;
use std::time::Duration;

use detect::Severity;
use pipeline::alert::Alert;
use pipeline::escape::single_line;
use pipeline::notify::{Kind as ParcelKind, Notifier, Parcel, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::build::{BuildError, Tools};
use crate::card::Card;
use crate::edge::Edge;
use crate::http::{Answer, Request, judge};
use crate::kinds::Kind;
use crate::markup;
use crate::secret::{Secret, SecretSource};
use crate::threads::Threads;

/// The most characters of a header block.
const HEADER_MAX: usize = 150;
/// The most characters of a text in a section block.
const SECTION_MAX: usize = 3000;
/// The most characters of the text that notifications show.
const TEXT_MAX: usize = 1000;

/// The keys of `kind = "slack"`: a webhook, or a token and a channel.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SlackConfig {
    /// An incoming webhook's address.
    ///
    /// Example: `webhook = { env = "SLACK_WEBHOOK" }`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<SecretSource>,
    /// A bot's token with the scope `chat:write`: alerts about one principal then share a thread.
    ///
    /// Example: `token = { file = "/run/secrets/slack" }`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<SecretSource>,
    /// The id of the channel that the bot writes to.
    ///
    /// Example: `channel = "C0123456789"`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Where Slack's API is. Default: `https://slack.com/api`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
}

impl Kind for SlackConfig {
    fn build(&self, tools: &mut Tools<'_>) -> Result<Box<dyn Notifier>, BuildError> {
        let (edge, limit) = (Arc::clone(&tools.means.edge), tools.limit);
        match (&self.webhook, &self.token, &self.channel) {
            (Some(webhook), None, None) => {
                Ok(Box::new(Webhook { url: tools.address("webhook", webhook)?, edge, limit }))
            }
            (None, Some(token), Some(channel)) => {
                let api = self.api.as_deref().unwrap_or("https://slack.com/api").trim_end_matches('/');
                let address = format!("{api}/chat.postMessage");
                if address.parse::<reqwest::Url>().is_err() {
                    return Err(tools.wrong("api is no address that begins with https://"));
                }
                let threads = Arc::clone(&tools.means.threads);
                Ok(Box::new(Bot {
                    address,
                    token: tools.secret(token)?,
                    channel: channel.clone(),
                    threads,
                    edge,
                    limit,
                }))
            }
            _ => Err(tools.wrong("slack needs either webhook, or token and channel")),
        }
    }
}

struct Webhook {
    url: Secret,
    edge: Arc<Edge>,
    limit: Duration,
}

impl Webhook {
    fn request(&self, parcel: &Parcel) -> Request {
        Request::json(&self.url, &message(parcel))
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

struct Bot {
    address: String,
    token: Secret,
    channel: String,
    threads: Arc<dyn Threads>,
    edge: Arc<Edge>,
    limit: Duration,
}

impl Bot {
    fn request(&self, parcel: &Parcel, thread: Option<&str>) -> Request {
        let mut body = message(parcel);
        body["channel"] = json!(self.channel);
        if let Some(thread) = thread {
            body["thread_ts"] = json!(thread);
            // Within a thread few would see it.
            body["reply_broadcast"] = json!(parcel.severity() >= Severity::High);
        }
        let authorization = Secret::new(format!("Bearer {}", self.token.expose()));
        let mut request = Request::json(&Secret::new(&*self.address), &body).header("authorization", authorization);
        request.shown.clone_from(&self.address);
        request
    }
}

impl Notifier for Bot {
    fn send(&self, parcel: &Parcel) -> Verdict {
        let principal = (parcel.kind() != ParcelKind::Digest).then(|| principal(parcel.first()));
        let thread = principal.as_ref().and_then(|principal| self.threads.get(&self.channel, principal));
        let answer = match self.edge.exchange(self.request(parcel, thread.as_deref()), self.limit) {
            Ok(answer) => answer,
            Err(reason) => return Verdict::retry(reason),
        };
        let verdict = judge(&answer);
        if verdict != Verdict::Delivered {
            return verdict;
        }
        let (verdict, message) = judge_api(&answer);
        if let (Some(principal), None, Some(message)) = (principal, thread, message) {
            self.threads.put(&self.channel, &principal, &message);
        }
        verdict
    }

    fn preview(&self, parcel: &Parcel) -> String {
        self.request(parcel, None).preview()
    }
}

/// Slack's API says in a 200's body whether it did anything, and if so, which message it was.
fn judge_api(answer: &Answer) -> (Verdict, Option<String>) {
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    if body["ok"] == true {
        return (Verdict::Delivered, body["ts"].as_str().map(str::to_owned));
    }
    let error = single_line(body["error"].as_str().unwrap_or("no answer of Slack's"), 100).into_owned();
    let is_ours = matches!(
        &*error,
        "invalid_blocks"
            | "invalid_blocks_format"
            | "msg_too_long"
            | "msg_blocks_too_long"
            | "no_text"
            | "invalid_arguments"
    );
    let reason = format!("Slack says {error}");
    let verdict = if is_ours { Verdict::refused(reason) } else { Verdict::Retry { after: answer.retry_after, reason } };
    (verdict, None)
}

/// Whom a thread is about: what the caller cannot choose, then who it says it is.
fn principal(alert: &Alert) -> String {
    let parts = [&alert.account, &alert.role_arn, &alert.actor_arn, &alert.user];
    let parts = parts.map(|part| part.as_deref().unwrap_or_default());
    parts.join("\n")
}

/// The message, in Block Kit.
fn message(parcel: &Parcel) -> Value {
    let card = Card::of(parcel);
    let title = format!("[{}] {}", card.label(), card.title);
    let fallback = format!("{title}: {}", card.summary.as_deref().unwrap_or(&card.footer));
    let mut blocks = vec![json!({"type": "header", "text": plain(&title, HEADER_MAX)})];
    if let Some(summary) = &card.summary {
        blocks.push(json!({"type": "section", "text": plain(summary, SECTION_MAX)}));
    }
    if !card.facts.is_empty() {
        let last = card.facts.len() - 1;
        let mut elements = Vec::new();
        for (place, (label, text)) in card.facts.iter().enumerate() {
            let end = if place == last { "" } else { "\n" };
            elements.push(json!({"type": "text", "text": format!("{label}: "), "style": {"bold": true}}));
            elements.push(json!({"type": "text", "text": format!("{text}{end}")}));
        }
        blocks.push(json!({"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": elements}]}));
    }
    let lines: Vec<Value> = card
        .lines()
        .map(|line| json!({"type": "rich_text_section", "elements": [{"type": "text", "text": line}]}))
        .collect();
    if !lines.is_empty() {
        let list = json!({"type": "rich_text_list", "style": "bullet", "elements": lines});
        blocks.push(json!({"type": "rich_text", "elements": [list]}));
    }
    if let Some(action) = &card.action {
        blocks.push(json!({"type": "section", "text": plain(&format!("Action required: {action}"), SECTION_MAX)}));
    }
    blocks.push(json!({"type": "context", "elements": [plain(&card.footer, SECTION_MAX)]}));
    json!({
        "text": markup::slack(&single_line(&fallback, TEXT_MAX)),
        "mrkdwn": false,
        "parse": "none",
        "link_names": false,
        "unfurl_links": false,
        "unfurl_media": false,
        "blocks": blocks,
    })
}

/// A text that is shown as it is, no longer than so many characters.
fn plain(text: &str, max: usize) -> Value {
    json!({"type": "plain_text", "text": single_line(text, max), "emoji": false})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slack_says_in_the_body_whether_it_did_anything() {
        let judged = |body: &str| judge_api(&Answer { status: 200, retry_after: None, body: body.to_owned() });
        assert_eq!(judged(r#"{"ok": true, "ts": "1.2"}"#), (Verdict::Delivered, Some("1.2".to_owned())));
        assert_eq!(judged(r#"{"ok": false, "error": "msg_too_long"}"#).0, Verdict::refused("Slack says msg_too_long"));
        assert_eq!(
            judged(r#"{"ok": false, "error": "not_in_channel"}"#).0,
            Verdict::retry("Slack says not_in_channel")
        );
        assert_eq!(judged("<html>").0, Verdict::retry("Slack says no answer of Slack's"));
    }
}
