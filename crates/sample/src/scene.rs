//! Where and when something happens, and the values that fill an action's templates there.
//!
//! A template is JSON text with variables such as `$bucket`. A variable keeps its value within one record, so that the
//! bucket of the request is the bucket of the resources; the next record draws anew.

use crate::calendar::{DAY, american, civil, iso, push_date};
use crate::chance::Chance;
use crate::organisation::{Account, NAME, Organisation, REGIONS};

/// The variable that a text begins with, as `name` or `{name}`, and how many bytes it takes.
fn variable(text: &str) -> (&str, usize) {
    if let Some(braced) = text.strip_prefix('{') {
        return match braced.find('}') {
            Some(end) => (&braced[..end], end + 2),
            None => ("", 0),
        };
    }
    let is_name = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_';
    let length = text.as_bytes().iter().take_while(|byte| is_name(byte)).count();
    (&text[..length], length)
}

/// The place, time and values of the record being made.
pub(crate) struct Scene<'a> {
    pub(crate) org: &'a Organisation,
    pub(crate) account: usize,
    pub(crate) region: usize,
    pub(crate) time: i64,
    values: Vec<(&'static str, String)>,
}

const BUCKETS: [&str; 6] = ["uploads", "telemetry-raw", "telemetry-curated", "artifacts", "exports", "model-store"];
const FUNCTIONS: [&str; 8] = [
    "resize-images",
    "nightly-export",
    "webhook-receiver",
    "stream-enricher",
    "robot-heartbeat",
    "invoice-render",
    "auth-hook",
    "fleet-planner",
];
const TABLES: [&str; 6] = ["orders", "robots", "sessions", "fleet-state", "idempotency-keys", "terraform-locks"];
const SECRETS: [&str; 8] = [
    "orders/db",
    "telemetry/kafka",
    "stripe/api-key",
    "github/app",
    "okta/scim",
    "grafana/admin",
    "model-gateway/tokens",
    "sendgrid/api-key",
];
const PARAMETERS: [&str; 6] =
    ["feature-flags", "orders/db-host", "image-tag", "fleet/regions", "telemetry/sample-rate", "model/default"];
const SERVICES: [&str; 5] = ["order-service", "telemetry-api", "model-gateway", "ingest-worker", "fleet-planner"];
const STACKS: [&str; 5] = ["network", "order-service", "telemetry", "observability", "model-gateway"];
const MODELS: [&str; 4] = [
    "anthropic.claude-sonnet-4-5-20250929-v1:0",
    "amazon.nova-lite-v1:0",
    "amazon.titan-embed-text-v2:0",
    "anthropic.claude-haiku-4-5-20251001-v1:0",
];
const POLICIES: [&str; 5] =
    ["deploy-boundary", "read-telemetry", "developer-tools", "write-artifacts", "assume-plan-role"];

impl<'a> Scene<'a> {
    /// Sets a scene.
    pub(crate) fn new(org: &'a Organisation, account: usize, region: usize, time: i64) -> Self {
        Self { org, account, region, time, values: Vec::with_capacity(16) }
    }

    /// The account it happens in.
    pub(crate) fn account(&self) -> &'a Account {
        &self.org.accounts[self.account]
    }

    /// Moves on to the next record.
    pub(crate) fn next(&mut self, time: i64) {
        self.time = time;
        self.values.clear();
    }

    /// True if a variable has been given a value for this record.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.values.iter().any(|(known, _)| *known == name)
    }

    /// Gives a variable its value for this record.
    pub(crate) fn bind(&mut self, name: &'static str, value: impl Into<String>) {
        self.values.push((name, value.into()));
    }

    /// Appends a template with its variables filled in.
    pub(crate) fn fill(&mut self, template: &'static str, chance: &mut Chance, out: &mut String) {
        let mut rest = template;
        while let Some(at) = rest.find('$') {
            let (before, after) = rest.split_at(at);
            out.push_str(before);
            let (name, length) = variable(&after[1..]);
            if name.is_empty() {
                out.push('$');
            } else {
                self.push_value(name, chance, out);
            }
            rest = &after[1 + length..];
        }
        out.push_str(rest);
    }

    fn push_value(&mut self, name: &'static str, chance: &mut Chance, out: &mut String) {
        match name {
            "account" => return out.push_str(&self.account().id),
            "region" => return out.push_str(REGIONS[self.region]),
            _ => {}
        }
        if let Some((_, value)) = self.values.iter().find(|(known, _)| *known == name) {
            return out.push_str(value);
        }
        let value = self.draw(name, chance);
        out.push_str(&value);
        self.values.push((name, value));
    }

    fn draw(&mut self, name: &str, chance: &mut Chance) -> String {
        let account = self.account();
        match name {
            "bucket" => format!("{NAME}-{}-{}-{}", account.short, chance.pick(&BUCKETS), REGIONS[self.region]),
            "key" => self.object_key(chance),
            "bytes" => chance.between(180, 4_000_000).to_string(),
            "small" => chance.between(1, 100).to_string(),
            "id2" => {
                let mut id = String::with_capacity(76);
                chance.push_base64(75, &mut id);
                id + "="
            }
            "uuid" | "uuid2" => chance.uuid(),
            "hex8" => chance.hex("", 8),
            "hex16" => chance.hex("", 16),
            "hex32" => chance.hex("", 32),
            "hex40" => chance.hex("", 40),
            "hex64" => chance.hex("", 64),
            "token" => {
                let mut token = String::with_capacity(96);
                chance.push_base64(88, &mut token);
                token
            }
            "session_token" => {
                let mut token = String::from("IQoJb3JpZ2luX2Vj");
                chance.push_base64(460, &mut token);
                token + "=="
            }
            "access_key" => chance.iam_id("ASIA", account.number),
            "kms" => chance.pick(Account::local(&account.kms_keys, self.region)).clone(),
            "instance" | "instance2" => chance.pick(Account::local(&account.instances, self.region)).clone(),
            "image" => chance.pick(Account::local(&account.images, self.region)).clone(),
            "sg" => chance.pick(Account::local(&account.security_groups, self.region)).clone(),
            "subnet" => chance.pick(Account::local(&account.subnets, self.region)).clone(),
            "vpc" => chance.pick(Account::local(&account.vpcs, self.region)).clone(),
            "volume" => chance.pick(Account::local(&account.volumes, self.region)).clone(),
            "fn" => (*chance.pick(&FUNCTIONS)).to_owned(),
            "table" => (*chance.pick(&TABLES)).to_owned(),
            "secret" => (*chance.pick(&SECRETS)).to_owned(),
            "param" => format!("/{}/{}", account.name, chance.pick(&PARAMETERS)),
            "service" => (*chance.pick(&SERVICES)).to_owned(),
            "stack" => format!("{}-{}", chance.pick(&STACKS), account.name),
            "model" => (*chance.pick(&MODELS)).to_owned(),
            "policy" => (*chance.pick(&POLICIES)).to_owned(),
            "role" => chance.pick(&crate::organisation::ROLES[..17]).0.to_owned(),
            "user" => {
                let here: Vec<_> = self.org.users.iter().filter(|user| user.account == self.account).collect();
                if here.is_empty() { "svc-reporting".to_owned() } else { chance.pick(&here).name.to_owned() }
            }
            "job" => format!("grasp-policy-{}-{}", chance.pick(&["resnet", "vit", "ppo", "sac"]), chance.hex("", 6)),
            "network" => format!("10.{}.{}.{}", 16 + self.account, chance.below(64), 4 + chance.below(250)),
            "now" => iso(self.time),
            "ago" => iso(self.time - chance.between(600, 40_000)),
            "later" => american(self.time + 3600),
            "american" => american(self.time),
            "date" => {
                let mut date = String::with_capacity(10);
                push_date(civil(self.time), '/', &mut date);
                date
            }
            "day" | "month_ago" => {
                let mut date = String::with_capacity(10);
                push_date(civil(if name == "day" { self.time } else { self.time - 30 * DAY }), '-', &mut date);
                date
            }
            "epoch" => self.time.to_string(),
            "epoch_ago" => (self.time - 7200).to_string(),
            other => unreachable!("no template uses ${other}: the catalogue's test fills each one"),
        }
    }

    fn object_key(&self, chance: &mut Chance) -> String {
        let mut date = String::with_capacity(10);
        push_date(civil(self.time), '/', &mut date);
        match chance.below(5) {
            0 => format!("telemetry/{date}/part-{:05}-{}.snappy.parquet", chance.below(400), chance.uuid()),
            1 => format!("images/{}/{}.jpg", chance.hex("", 2), chance.hex("", 32)),
            2 => format!("orders/{date}/{}.json", chance.uuid()),
            3 => format!("builds/{}/{}.tar.zst", chance.pick(&SERVICES), chance.hex("", 40)),
            _ => format!("models/grasp-policy/{date}/checkpoint-{}.safetensors", chance.below(90_000)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_keeps_its_value_within_a_record_and_changes_with_the_next() {
        let org = Organisation::new(1);
        let mut chance = Chance::lane(1, 9);
        let mut scene = Scene::new(&org, 1, 0, 1_782_907_699);
        let mut filled = |scene: &mut Scene<'_>| {
            let mut out = String::new();
            scene.fill("$uuid $uuid $LATEST 5$", &mut chance, &mut out);
            out
        };
        let first = filled(&mut scene);
        let words: Vec<_> = first.split(' ').collect();
        assert_eq!(words[0], words[1]);
        assert_eq!(&words[2..], ["$LATEST", "5$"]);
        scene.next(1_782_907_700);
        assert_ne!(filled(&mut scene), first);
    }
}
