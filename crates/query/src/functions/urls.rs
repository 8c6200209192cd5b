//! The parts of a URL, as it is written: nothing is normalised, and what has no such part gives null.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, StringViewBuilder};
use datafusion::common::Result;

use super::call::{Call, shown};
use super::function::{self, Arg, Function};

/// The functions of URLs.
pub(crate) fn functions() -> Vec<Function> {
    let part = |name: &str, body| Function::new(name, &[Arg::Text], function::text, body);
    vec![
        part("url_extract_protocol", |call| parts(call, |url| Some(url.protocol.to_owned()))),
        part("url_extract_host", |call| parts(call, |url| Some(url.host.to_owned()))),
        part("url_extract_path", |call| parts(call, |url| decoded(url.path))),
        part("url_extract_query", |call| parts(call, |url| decoded(url.query.unwrap_or_default()))),
        part("url_extract_fragment", |call| parts(call, |url| decoded(url.fragment.unwrap_or_default()))),
        Function::new("url_extract_port", &[Arg::Text], function::int, port),
        Function::new("url_extract_parameter", &[Arg::Text, Arg::Text], function::text, parameter),
        part("url_encode", |call| texts(call, |text| Some(encoded(text)))),
        Function::new("url_decode", &[Arg::Text], function::text, decode).fallible(),
    ]
}

struct Url<'a> {
    protocol: &'a str,
    host: &'a str,
    port: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
    fragment: Option<&'a str>,
}

fn split(text: &str) -> Option<Url<'_>> {
    if text.contains(char::is_whitespace) {
        return None;
    }
    let (rest, fragment) = match text.split_once('#') {
        Some((rest, fragment)) => (rest, Some(fragment)),
        None => (text, None),
    };
    let (rest, query) = match rest.split_once('?') {
        Some((rest, query)) => (rest, Some(query)),
        None => (rest, None),
    };
    let (protocol, rest) = match rest.split_once("://") {
        Some((protocol, rest)) => (protocol, rest),
        None => return Some(Url { protocol: "", host: "", port: None, path: rest, query, fragment }),
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => (host, Some(port)),
        _ => (authority, None),
    };
    Some(Url { protocol, host, port, path, query, fragment })
}

fn texts(call: &Call<'_>, part: impl Fn(&str) -> Option<String>) -> Result<ArrayRef> {
    let texts = call.text(0)?;
    let mut column = StringViewBuilder::with_capacity(call.rows());
    (0..call.rows()).for_each(|row| column.append_option(texts.get(row).and_then(&part)));
    Ok(Arc::new(column.finish()))
}

fn parts(call: &Call<'_>, part: fn(&Url<'_>) -> Option<String>) -> Result<ArrayRef> {
    texts(call, |text| part(&split(text)?))
}

fn port(call: &Call<'_>) -> Result<ArrayRef> {
    let texts = call.text(0)?;
    let ports = (0..call.rows()).map(|row| split(texts.get(row)?)?.port?.parse::<i64>().ok());
    Ok(Arc::new(ports.collect::<Int64Array>()))
}

fn parameter(call: &Call<'_>) -> Result<ArrayRef> {
    let (urls, names) = (call.text(0)?, call.text(1)?);
    let value = |row: usize| {
        let (url, name) = (urls.get(row)?, names.get(row)?);
        split(url)?.query?.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(key)? == name).then(|| decoded(value))?
        })
    };
    let mut column = StringViewBuilder::with_capacity(call.rows());
    (0..call.rows()).for_each(|row| column.append_option(value(row)));
    Ok(Arc::new(column.finish()))
}

fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' => encoded.push(char::from(byte)),
            b' ' => encoded.push('+'),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

fn decoded(text: &str) -> Option<String> {
    decode_with(text, false)
}

fn decode_with(text: &str, plus: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        match byte {
            b'+' if plus => bytes.push(b' '),
            b'%' => {
                let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &rest[2..];
            }
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).ok()
}

fn decode(call: &Call<'_>) -> Result<ArrayRef> {
    let texts = call.text(0)?;
    let mut column = StringViewBuilder::with_capacity(call.rows());
    for row in 0..call.rows() {
        let Some(text) = texts.get(row) else {
            column.append_null();
            continue;
        };
        match decode_with(text, true) {
            Some(decoded) => column.append_value(decoded),
            None => column.append_option(call.fail::<&str>(format_args!("{} is not encoded", shown(text)))?),
        }
    }
    Ok(Arc::new(column.finish()))
}
