//! A proxy before a service that speaks AWS JSON or the query protocol: it throttles, fails, cuts answers off and leaves parts
//! of batches unprocessed, by chance from a seed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value, json};

use super::HttpFaults;
use super::wire::{self, Answer, Request};

/// A proxy. It runs until the program ends.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// Where it answers.
    pub endpoint: String,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    upstream: String,
    faults: HttpFaults,
    /// The share of batches of which a part is left unprocessed.
    partial: f64,
    chance: Mutex<fastrand::Rng>,
    /// How often each operation was asked for, and how often something went wrong with it.
    counts: Mutex<BTreeMap<String, (u64, u64)>>,
    /// How often each operation was done and its answer cut off.
    cuts: Mutex<BTreeMap<String, u64>>,
    /// What was called, as a policy has it.
    calls: Mutex<BTreeSet<String>>,
}

impl Proxy {
    /// A proxy before `upstream`, such as `http://127.0.0.1:5000`.
    ///
    /// # Panics
    /// No port is free.
    #[must_use]
    pub fn open(upstream: &str, faults: HttpFaults, partial: f64) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let endpoint = format!("http://{}", listener.local_addr().expect("it has an address"));
        let upstream = upstream.trim_start_matches("http://").to_owned();
        let chance = Mutex::new(fastrand::Rng::with_seed(faults.seed));
        let (counts, cuts, calls) = Default::default();
        let shared = Arc::new(Shared { upstream, faults, partial, chance, counts, cuts, calls });
        let proxy = Proxy { endpoint, shared: Arc::clone(&shared) };
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || shared.converse(&connection));
            }
        });
        proxy
    }

    /// How often each operation was asked for, and how often something went wrong with it.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, (u64, u64)> {
        self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often each operation was done and its answer cut off: whoever asked does not know that it was done.
    #[must_use]
    pub fn cuts(&self) -> BTreeMap<String, u64> {
        self.shared.cuts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Proxy {
    /// What was called of tables, topics, buckets and Athena, as a policy has it: `dynamodb:Query TABLE`, `dynamodb:Query
    /// TABLE/index`, `sns:Publish`, `s3:GetObject FOLDER/*`, `athena:GetQueryResults`.
    #[must_use]
    pub fn calls(&self) -> BTreeSet<String> {
        self.shared.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Shared {
    fn hits(&self, share: f64) -> bool {
        share > 0.0 && self.chance.lock().unwrap_or_else(PoisonError::into_inner).f64() < share
    }

    /// Counts, and returns how often it was asked for.
    fn count(&self, operation: &str, is_fault: bool) -> u64 {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let (asked, wrong) = counts.entry(operation.to_owned()).or_default();
        *asked += u64::from(!is_fault);
        *wrong += u64::from(is_fault);
        *asked
    }

    fn converse(&self, connection: &TcpStream) {
        // A client that goes away is no failure of ours.
        let _ = connection.set_nodelay(true);
        let mut reader = BufReader::new(connection);
        while let Ok(Some(request)) = wire::read(&mut reader) {
            let operation = operation(&request);
            let is_first = self.count(&operation, false) == 1;
            self.calls.lock().unwrap_or_else(PoisonError::into_inner).extend(calls(&request, &operation));
            if let Some(answer) = self.fault(&request, is_first) {
                self.count(&operation, true);
                if wire::write(connection, &answer, super::now(), false).is_err() {
                    return;
                }
                continue;
            }
            let Ok(mut answer) = self.forward(&request, &operation) else { return };
            if self.hits(self.faults.cut) {
                self.count(&operation, true);
                *self.cuts.lock().unwrap_or_else(PoisonError::into_inner).entry(operation).or_default() += 1;
                answer.truncate(answer.len() / 2);
                let _ = (&*connection).write_all(&answer);
                return;
            }
            // Whoever stands behind closes its connection after each answer, and so do we.
            let _ = (&*connection).write_all(&answer);
            return;
        }
    }

    /// What goes wrong before anything is done: by chance, and with each operation once for certain, however seldom it is
    /// asked for.
    fn fault(&self, request: &Request, is_first: bool) -> Option<Answer> {
        let is_json = request.header("content-type").is_some_and(|kind| kind.contains("json"));
        let (status, code) = if self.hits(self.faults.throttled) {
            (400, "ThrottlingException")
        } else if self.hits(self.faults.unavailable) || is_first && self.faults.unavailable > 0.0 {
            (500, "InternalServerError")
        } else {
            return None;
        };
        let body = match is_json {
            true => json!({"__type": code, "message": "on purpose"}).to_string(),
            false => format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>on purpose</Message></Error></ErrorResponse>"
            ),
        };
        let content_type = if is_json { "application/x-amz-json-1.0" } else { "text/xml" };
        // Where a body need not name it.
        let error = is_json.then(|| code.to_owned());
        Some(Answer { status, content_type, error, ..Answer::json(body) })
    }

    /// Hands a request on, perhaps without some of its batch, and gives back the whole answer.
    fn forward(&self, request: &Request, operation: &str) -> std::io::Result<Vec<u8>> {
        let mut body = request.body.clone();
        let mut left = None;
        if self.hits(self.partial)
            && let Some((kept, rest)) = halves(operation, &body)
        {
            self.count(operation, true);
            (body, left) = (kept, Some(rest));
        }
        let mut upstream = TcpStream::connect(&self.upstream)?;
        write!(
            upstream,
            "{} {} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n",
            request.method,
            request.path,
            body.len()
        )?;
        for (name, value) in &request.headers {
            if !["connection", "content-length"].contains(&name.as_str()) {
                write!(upstream, "{name}: {value}\r\n")?;
            }
        }
        upstream.write_all(b"\r\n")?;
        upstream.write_all(&body)?;
        let mut answer = Vec::new();
        upstream.read_to_end(&mut answer)?;
        Ok(match left {
            Some((name, rest)) => with_left(&answer, name, rest).unwrap_or(answer),
            None => answer,
        })
    }
}

fn operation(request: &Request) -> String {
    let target = request.header("x-amz-target").and_then(|target| target.rsplit('.').next()).map(str::to_owned);
    target.unwrap_or_else(|| {
        // Of the services that name their operations by the path, the one that is asked.
        if request.path.starts_with("/listRegions") {
            return "ListRegions".to_owned();
        }
        let body = String::from_utf8_lossy(&request.body);
        let action = body.split('&').find_map(|pair| pair.strip_prefix("Action="));
        action.unwrap_or(&request.method).to_owned()
    })
}

/// What a request needs to be allowed.
fn calls(request: &Request, operation: &str) -> Vec<String> {
    let target = request.header("x-amz-target").unwrap_or_default();
    if target.starts_with("AmazonAthena") {
        return vec![format!("athena:{operation}")];
    }
    if !target.starts_with("DynamoDB") {
        return match operation {
            "Publish" => vec!["sns:Publish".to_owned()],
            _ => of_objects(request).into_iter().collect(),
        };
    }
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let index = if body["IndexName"].is_string() { "/index" } else { "" };
    let batched = body["RequestItems"].as_object().into_iter().flat_map(Map::keys).map(String::as_str);
    let tables = body["TableName"].as_str().into_iter().chain(batched);
    tables.map(|table| format!("dynamodb:{operation} {table}{index}")).collect()
}

/// What a request about objects needs, and the first folder of their keys: `/BUCKET/FOLDER/…`, or a list of a prefix.
fn of_objects(request: &Request) -> Option<String> {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let (_, key) = path.strip_prefix('/')?.split_once('/').unwrap_or_default();
    let value = |name: &str| {
        let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.find_map(|(known, value)| (known == name).then(|| value.replace("%2F", "/")))
    };
    let (action, key) = match request.method.as_str() {
        "GET" if key.is_empty() => ("ListBucket", value("prefix").unwrap_or_default()),
        "GET" | "HEAD" => ("GetObject", key.to_owned()),
        "DELETE" if value("uploadId").is_some() => ("AbortMultipartUpload", key.to_owned()),
        "DELETE" => ("DeleteObject", key.to_owned()),
        "PUT" => ("PutObject", key.to_owned()),
        "POST" if value("uploads").is_some() || value("uploadId").is_some() => ("PutObject", key.to_owned()),
        _ => return None,
    };
    let folder = key.split('/').next().unwrap_or_default();
    Some(format!("s3:{action} {folder}/*"))
}

/// The first half of a batch as a request of its own, and the rest as the answer names it.
fn halves(operation: &str, body: &[u8]) -> Option<(Vec<u8>, (&'static str, Value))> {
    let mut request: Value = serde_json::from_slice(body).ok()?;
    let mut rest = Map::new();
    let items = request["RequestItems"].as_object_mut()?;
    for (table, entry) in items {
        let list = match operation {
            "BatchWriteItem" => entry.as_array_mut()?,
            "BatchGetItem" => entry["Keys"].as_array_mut()?,
            _ => return None,
        };
        let later = list.split_off(list.len().div_ceil(2));
        if !later.is_empty() {
            let left = if operation == "BatchGetItem" { json!({"Keys": later}) } else { json!(later) };
            rest.insert(table.clone(), left);
        }
    }
    let name = if operation == "BatchWriteItem" { "UnprocessedItems" } else { "UnprocessedKeys" };
    (!rest.is_empty()).then(|| (request.to_string().into_bytes(), (name, Value::Object(rest))))
}

fn with_left(answer: &[u8], name: &str, rest: Value) -> Option<Vec<u8>> {
    let at = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let mut body: Value = serde_json::from_slice(&answer[at + 4..]).ok()?;
    body[name] = rest;
    let body = body.to_string();
    let head = String::from_utf8_lossy(&answer[..at]);
    let wanted = head.lines().filter(|line| {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        !["content-length", "x-amz-crc32", "transfer-encoding"].contains(&name.as_str())
    });
    let head = wanted.collect::<Vec<_>>().join("\r\n");
    Some(format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes())
}
