//! As much of HTTP/1.1 as AWS's clients need.

use std::io::{self, BufRead, Read, Write};
use std::net::TcpStream;

/// The most bytes a request may have.
const LIMIT: u64 = 16 << 20;

/// A request.
#[derive(Debug, Default)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    /// `x-amzn-errortype`.
    pub(super) error: Option<String>,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(body: String) -> Answer {
        Answer { status: 200, content_type: "application/json", error: None, headers: Vec::new(), body }
    }
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn is_lookup(&self) -> bool {
        self.header("x-amz-target").is_some_and(|target| target.ends_with("CloudTrail_20131101.LookupEvents"))
    }
}

/// Reads a request; `None` where the client is done.
pub(super) fn read(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut head = reader.by_ref().take(LIMIT);
    let mut line = String::new();
    if head.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Err(io::Error::other("no HTTP request"));
    };
    let mut request = Request { method, path, ..Request::default() };
    loop {
        let mut line = String::new();
        if head.read_line(&mut line)? == 0 {
            return Err(io::Error::other("the request has no end"));
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            request.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    let length = request.header("content-length").and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    if length > LIMIT {
        return Err(io::Error::other("the request is too large"));
    }
    request.body = vec![0; usize::try_from(length).unwrap_or_default()];
    reader.read_exact(&mut request.body)?;
    Ok(Some(request))
}

/// Writes an answer of this time, or only half of it.
pub(super) fn write(mut connection: &TcpStream, answer: &Answer, now: i64, is_cut: bool) -> io::Result<()> {
    let Answer { status, content_type, error, headers, body } = answer;
    let reason = if *status < 300 { "OK" } else { "Error" };
    let date = jiff::Timestamp::from_second(now / 1_000_000).unwrap_or_default();
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&date).unwrap_or_default();
    let error = error.as_ref().map(|error| format!("x-amzn-ErrorType: {error}\r\n")).unwrap_or_default();
    let more: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let text = format!(
        "HTTP/1.1 {status} {reason}\r\nDate: {date}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\
         x-amzn-RequestId: 00000000-0000-4000-8000-000000000000\r\n{error}{more}\r\n{body}",
        body.len()
    );
    let sent = if is_cut { text.len() - body.len() / 2 - 1 } else { text.len() };
    connection.write_all(&text.as_bytes()[..sent])?;
    connection.flush()
}
