//! A folder as a bucket: as much of S3 as readers of trails need (GetBucketLocation, ListObjects, HeadObject, GetObject),
//! fast enough that a benchmark measures the reader. Tests that want a second opinion use an emulator that is not ours.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::protocol::{escaped, unescaped};
use super::wire::{self, Request};

/// Keys on a page of a listing.
const PAGE: usize = 1000;

/// What is served.
struct Folder {
    bucket: String,
    root: PathBuf,
    /// Size of each object, by key.
    objects: BTreeMap<String, u64>,
    /// `x-amz-meta-…` of objects, as headers, by key.
    metadata: BTreeMap<String, String>,
}

struct Reply {
    status: &'static str,
    /// Each with its line's end.
    headers: String,
    body: Vec<u8>,
}

/// Answers requests for ever, each connection on a thread of its own. The folder is looked at once; `metadata.jsonl` at
/// its root says which objects have metadata (`{"Key":…,"Metadata":{…}}`).
///
/// # Errors
/// The folder cannot be read, or the listener fails.
pub fn serve(listener: &TcpListener, folder: &Path, bucket: &str, ready: impl FnOnce()) -> io::Result<()> {
    let mut served = Folder {
        bucket: bucket.to_owned(),
        root: folder.to_owned(),
        objects: BTreeMap::new(),
        metadata: BTreeMap::new(),
    };
    served.list(folder, "")?;
    served.read_metadata()?;
    ready();
    let served = Arc::new(served);
    for connection in listener.incoming() {
        let (connection, served) = (connection?, Arc::clone(&served));
        std::thread::spawn(move || converse(&connection, &served));
    }
    Ok(())
}

fn converse(connection: &TcpStream, folder: &Folder) {
    // A client that goes away is no failure of ours.
    let _ = connection.set_nodelay(true);
    let mut reader = BufReader::new(connection);
    while let Ok(Some(request)) = wire::read(&mut reader) {
        let reply =
            folder.answer(&request).unwrap_or_else(|error| fault("500 Internal Server Error", &error.to_string()));
        if write(connection, &reply, request.method == "HEAD").is_err() {
            return;
        }
    }
}

fn write(mut connection: &TcpStream, reply: &Reply, is_head: bool) -> io::Result<()> {
    let Reply { status, headers, body } = reply;
    let length = body.len();
    let mut bytes = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n").into_bytes();
    if !is_head {
        bytes.extend_from_slice(body);
    }
    connection.write_all(&bytes)
}

fn fault(status: &'static str, code: &str) -> Reply {
    xml(status, format!("<Error><Code>{}</Code><Message>{0}</Message></Error>", escaped(code)))
}

fn xml(status: &'static str, body: String) -> Reply {
    let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{body}").into_bytes();
    Reply { status, headers: "Content-Type: application/xml\r\n".to_owned(), body }
}

impl Folder {
    fn list(&mut self, folder: &Path, prefix: &str) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let key = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let about = entry.metadata()?;
            if about.is_dir() {
                self.list(&entry.path(), &format!("{key}/"))?;
            } else {
                self.objects.insert(key, about.len());
            }
        }
        Ok(())
    }

    fn read_metadata(&mut self) -> io::Result<()> {
        let text = match fs::read_to_string(self.root.join("metadata.jsonl")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            text => text?,
        };
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).map_err(io::Error::other)?;
            let mut headers = String::new();
            for (name, value) in line["Metadata"].as_object().into_iter().flatten() {
                // Writing to a string cannot fail.
                let _ = write!(headers, "x-amz-meta-{name}: {}\r\n", value.as_str().unwrap_or_default());
            }
            self.metadata.insert(line["Key"].as_str().unwrap_or_default().to_owned(), headers);
        }
        Ok(())
    }

    fn answer(&self, request: &Request) -> io::Result<Reply> {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let path = unescaped(&path.replace('+', "%2B"));
        let (bucket, key) = path.trim_start_matches('/').split_once('/').unwrap_or((path.trim_start_matches('/'), ""));
        if bucket != self.bucket {
            return Ok(fault("404 Not Found", "NoSuchBucket"));
        }
        let field = |name: &str| {
            let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
            pairs.find(|(known, _)| *known == name).map(|(_, value)| unescaped(value))
        };
        match (request.method.as_str(), key) {
            ("GET", "") if field("location").is_some() => {
                Ok(xml("200 OK", "<LocationConstraint xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>".to_owned()))
            }
            ("GET", "") => Ok(self.page(field)),
            ("HEAD", "") => Ok(xml("200 OK", String::new())),
            ("GET" | "HEAD", key) if self.objects.contains_key(key) => self.object(key),
            ("GET" | "HEAD", _) => Ok(fault("404 Not Found", "NoSuchKey")),
            _ => Ok(fault("405 Method Not Allowed", "MethodNotAllowed")),
        }
    }

    fn object(&self, key: &str) -> io::Result<Reply> {
        let body = fs::read(self.root.join(key))?;
        let metadata = self.metadata.get(key).map_or("", String::as_str);
        let headers = format!(
            "Content-Type: application/json\r\nETag: \"{}\"\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n{metadata}",
            tag(key)
        );
        Ok(Reply { status: "200 OK", headers, body })
    }

    /// A page of ListObjects or ListObjectsV2.
    fn page(&self, field: impl Fn(&str) -> Option<String>) -> Reply {
        let is_second = field("list-type").as_deref() == Some("2");
        let prefix = field("prefix").unwrap_or_default();
        let delimiter = field("delimiter").filter(|delimiter| !delimiter.is_empty());
        let most = field("max-keys").and_then(|most| most.parse().ok()).unwrap_or(PAGE).min(PAGE);
        let names = if is_second { ["continuation-token", "start-after"] } else { ["marker", "marker"] };
        let mut after = names.iter().find_map(|name| field(name)).unwrap_or_default();
        let (mut contents, mut count, mut is_cut) = (String::new(), 0, false);
        let mut last = String::new();
        loop {
            let from = if after < prefix { Bound::Included(&prefix) } else { Bound::Excluded(&after) };
            let next = self.objects.range::<String, _>((from, Bound::Unbounded)).next();
            let Some((key, size)) = next.filter(|(key, _)| key.starts_with(&prefix)) else { break };
            if count == most {
                is_cut = true;
                break;
            }
            count += 1;
            let rest = &key[prefix.len()..];
            match delimiter.as_ref().and_then(|delimiter| rest.find(delimiter).map(|at| at + delimiter.len())) {
                Some(end) => {
                    let folder = &key[..prefix.len() + end];
                    let _ = write!(contents, "<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>", escaped(folder));
                    // Behind everything that begins with it.
                    after = format!("{folder}{}", char::MAX);
                }
                None => {
                    let _ = write!(
                        contents,
                        "<Contents><Key>{}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>\
                         <ETag>\"{}\"</ETag><Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>",
                        escaped(key),
                        tag(key)
                    );
                    after.clone_from(key);
                }
            }
            last.clone_from(&after);
        }
        let more = match (is_cut, is_second) {
            (false, _) => String::new(),
            (true, true) => format!("<NextContinuationToken>{}</NextContinuationToken>", escaped(&last)),
            (true, false) => format!("<NextMarker>{}</NextMarker>", escaped(&last)),
        };
        xml(
            "200 OK",
            format!(
                "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>{}</Name><Prefix>{}</Prefix>\
                 <KeyCount>{count}</KeyCount><MaxKeys>{most}</MaxKeys><IsTruncated>{is_cut}</IsTruncated>{more}{contents}\
                 </ListBucketResult>",
                escaped(&self.bucket),
                escaped(&prefix),
            ),
        )
    }
}

/// An entity tag: an object here never changes.
fn tag(key: &str) -> String {
    let hash = key
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{hash:032x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> Folder {
        let keys = ["a/1", "a/2", "a/b/3", "a/b/4", "a/c/5", "a/d", "b/6"];
        let objects = keys.into_iter().map(|key| (key.to_owned(), 1)).collect();
        Folder { bucket: "logs".to_owned(), root: PathBuf::new(), objects, metadata: BTreeMap::new() }
    }

    /// Keys, folders (with their slash) and the token of a page.
    fn page(query: &[(&str, &str)]) -> (Vec<String>, Option<String>) {
        let field = |name: &str| query.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let text = String::from_utf8(folder().page(field).body).unwrap();
        let between = |start: &str, end: &str| -> Vec<String> {
            text.split(start).skip(1).map(|rest| rest.split(end).next().unwrap().to_owned()).collect()
        };
        let folders = between("<CommonPrefixes><Prefix>", "</Prefix>");
        let found = between("<Key>", "</Key>").into_iter().chain(folders).collect();
        (found, between("<NextContinuationToken>", "</NextContinuationToken>").pop())
    }

    #[test]
    fn pages_go_on_where_they_ended_and_folders_count_once() {
        assert_eq!(page(&[("prefix", "a/")]).0, ["a/1", "a/2", "a/b/3", "a/b/4", "a/c/5", "a/d"]);
        assert_eq!(page(&[("prefix", "a/"), ("delimiter", "/")]).0, ["a/1", "a/2", "a/d", "a/b/", "a/c/"]);
        assert_eq!(page(&[("marker", "a/c/5")]).0, ["a/d", "b/6"]);
        assert_eq!(page(&[("list-type", "2"), ("start-after", "a/d")]).0, ["b/6"]);
        let mut query = vec![("list-type", "2"), ("prefix", "a/"), ("delimiter", "/"), ("max-keys", "3")];
        let (found, token) = page(&query);
        assert_eq!(found, ["a/1", "a/2", "a/b/"]);
        let token = token.expect("there is more");
        query.push(("continuation-token", &token));
        assert_eq!(page(&query), (vec!["a/d".to_owned(), "a/c/".to_owned()], None));
    }
}
