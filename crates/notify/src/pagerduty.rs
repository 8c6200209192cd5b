//! `pagerduty`: Events API v2. One alert is one incident, however often it is sent: its id is the `dedup_key`.
//!
//! <https://developer.pagerduty.com/docs/send-alert-event>

use std::sync::Arc;
use std::time::Duration;

use detect::Severity;
use pipeline::escape::single_line;
use pipeline::notify::{Notifier, Parcel, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::build::{BuildError, Tools};
use crate::card::Card;
use crate::edge::Edge;
use crate::http::Request;
use crate::kinds::Kind;
use crate::secret::{HIDDEN, Secret, SecretSource};

/// The most characters of a summary.
const SUMMARY_MAX: usize = 1024;

/// The keys of `kind = "pagerduty"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PagerDutyConfig {
    /// The integration key of a service with an "Events API V2" integration.
    ///
    /// Example: `routing_key = { env = "PAGERDUTY_KEY" }`
    pub routing_key: SecretSource,
    /// Where events go. Default: `https://events.pagerduty.com/v2/enqueue`.
    ///
    /// Example: `endpoint = "https://events.eu.pagerduty.com/v2/enqueue"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
}

impl Kind for PagerDutyConfig {
    fn build(&self, tools: &mut Tools<'_>) -> Result<Box<dyn Notifier>, BuildError> {
        let endpoint = self.endpoint.clone().unwrap_or_else(|| "https://events.pagerduty.com/v2/enqueue".to_owned());
        if endpoint.parse::<reqwest::Url>().is_err() {
            return Err(tools.wrong("endpoint is no address that begins with https://"));
        }
        let routing_key = tools.secret(&self.routing_key)?;
        Ok(Box::new(PagerDuty { routing_key, endpoint, edge: Arc::clone(&tools.means.edge), limit: tools.limit }))
    }
}

struct PagerDuty {
    routing_key: Secret,
    endpoint: String,
    edge: Arc<Edge>,
    limit: Duration,
}

impl PagerDuty {
    fn request(&self, parcel: &Parcel, routing_key: &str) -> Request {
        let mut request = Request::json(&Secret::new(&*self.endpoint), &event(parcel, routing_key));
        request.shown.clone_from(&self.endpoint);
        request
    }
}

impl Notifier for PagerDuty {
    fn send(&self, parcel: &Parcel) -> Verdict {
        self.edge.post(self.request(parcel, self.routing_key.expose()), self.limit)
    }

    fn preview(&self, parcel: &Parcel) -> String {
        self.request(parcel, HIDDEN).preview()
    }
}

fn event(parcel: &Parcel, routing_key: &str) -> Value {
    let card = Card::of(parcel);
    let first = parcel.first();
    let severity = match card.severity {
        Severity::Critical => "critical",
        Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Informational => "info",
    };
    let summary = format!("[{}] {}: {}", card.label(), card.title, card.summary.as_deref().unwrap_or(&card.footer));
    let or_dash = |text: &Option<String>| single_line(text.as_deref().unwrap_or("-"), 255).into_owned();
    let mut details: Map<String, Value> =
        card.facts.iter().map(|(label, text)| ((*label).to_owned(), json!(text))).collect();
    if let Some(action) = &card.action {
        details.insert("Action required".to_owned(), json!(action));
    }
    let lines: Vec<String> = card.lines().collect();
    if !lines.is_empty() {
        details.insert("Alerts".to_owned(), json!(lines));
    }
    details.insert("Reference".to_owned(), json!(card.footer));
    json!({
        "routing_key": routing_key,
        "event_action": "trigger",
        "dedup_key": parcel.key(),
        "client": "Trailhound",
        "payload": {
            "summary": single_line(&summary, SUMMARY_MAX),
            "source": or_dash(&first.account),
            "severity": severity,
            "timestamp": first.event_time.to_string(),
            "component": or_dash(&first.event_source),
            "group": or_dash(&first.user),
            "class": single_line(&first.detection, 255),
            "custom_details": details,
        },
    })
}
