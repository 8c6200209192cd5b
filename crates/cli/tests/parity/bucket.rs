//! A trail's bucket: in memory, where it is tampered with, and on this machine's S3, where it is looked at.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

/// An object and the metadata that S3 keeps for it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Object {
    pub(crate) bytes: Vec<u8>,
    pub(crate) metadata: BTreeMap<String, String>,
}

/// What a bucket holds, by key.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Objects(pub(crate) BTreeMap<String, Object>);

impl Objects {
    /// The objects of a signed trail: a folder with `metadata.jsonl` at its root.
    pub(crate) fn read(root: &Path) -> Objects {
        let mut objects = BTreeMap::new();
        for entry in walkdir::WalkDir::new(root).into_iter().map(Result::unwrap) {
            let key = entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if entry.file_type().is_file() && key.contains("AWSLogs/") {
                let bytes = fs::read(entry.path()).unwrap();
                objects.insert(key, Object { bytes, metadata: BTreeMap::new() });
            }
        }
        for line in fs::read_to_string(root.join("metadata.jsonl")).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let object = objects.get_mut(line["Key"].as_str().unwrap()).unwrap();
            object.metadata = serde_json::from_value(line["Metadata"].clone()).unwrap();
        }
        Objects(objects)
    }
}

/// S3 on this machine; ends with the test.
pub(crate) struct S3 {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    folder: tempfile::TempDir,
    /// What stands in each bucket.
    buckets: BTreeMap<String, Objects>,
    pub(crate) endpoint: String,
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl S3 {
    pub(crate) fn start(python: &Path) -> S3 {
        let mut command = Command::new(python);
        command.arg("tests/parity/s3.py").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let folder = tempfile::tempdir().unwrap();
        let mut s3 = S3 { child, input, output, folder, buckets: BTreeMap::new(), endpoint: String::new() };
        let port: u16 = s3.line().parse().unwrap();
        s3.endpoint = format!("http://127.0.0.1:{port}");
        s3
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// Makes a bucket hold these objects, and no others.
    pub(crate) fn hold(&mut self, bucket: &str, objects: &Objects) {
        let held = self.buckets.entry(bucket.to_owned()).or_default();
        let mut put = Vec::new();
        for (number, (key, object)) in objects.0.iter().enumerate() {
            if held.0.get(key) != Some(object) {
                let file: PathBuf = self.folder.path().join(number.to_string());
                fs::write(&file, &object.bytes).unwrap();
                put.push(json!({"key": key, "file": file, "metadata": object.metadata}));
            }
        }
        let delete: Vec<&String> = held.0.keys().filter(|key| !objects.0.contains_key(*key)).collect();
        writeln!(self.input, "{}", json!({"bucket": bucket, "put": put, "delete": delete})).unwrap();
        *held = objects.clone();
        assert_eq!(self.line(), "done");
    }
}

pub(crate) fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn gunzip(gz: &[u8]) -> Vec<u8> {
    let mut inflated = Vec::new();
    flate2::read::GzDecoder::new(gz).read_to_end(&mut inflated).unwrap();
    inflated
}
