//! The emulator as another process.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;

use serde_json::{Value, json};

/// Names the interpreter.
pub(crate) const PYTHON: &str = "TRAILHOUND_PYTHON";

/// AWS on this machine.
pub(crate) struct Emulator {
    process: Mutex<(Child, ChildStdin, BufReader<ChildStdout>)>,
}

impl Emulator {
    /// Starts it where the environment says that AWS answers.
    pub(crate) fn start(endpoint: &str) -> Emulator {
        let port = endpoint.rsplit(':').next().unwrap();
        let mut process = Command::new(std::env::var_os(PYTHON).unwrap())
            .args(["tests/aws.py", port])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (input, output) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        let emulator = Emulator { process: Mutex::new((process, input, output)) };
        assert_eq!(emulator.answer()["port"].to_string(), port);
        emulator
    }

    fn answer(&self) -> Value {
        let mut line = String::new();
        self.process.lock().unwrap().2.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("the emulator ended"))
    }

    /// Makes a call, with everything AWS could do.
    pub(crate) fn call(&self, service: &str, call: &str, arguments: Value) -> Value {
        let request = json!({"service": service, "call": call, "arguments": arguments});
        writeln!(self.process.lock().unwrap().1, "{request}").unwrap();
        self.answer()
    }

    /// Makes a queue; its address and its ARN.
    pub(crate) fn queue(&self, name: &str) -> (String, String) {
        let url = self.call("sqs", "create_queue", json!({"QueueName": name}))["QueueUrl"].as_str().unwrap().to_owned();
        let asked = json!({"QueueUrl": url, "AttributeNames": ["QueueArn"]});
        let arn =
            self.call("sqs", "get_queue_attributes", asked)["Attributes"]["QueueArn"].as_str().unwrap().to_owned();
        (url, arn)
    }

    pub(crate) fn send(&self, url: &str, body: &str) {
        self.call("sqs", "send_message", json!({"QueueUrl": url, "MessageBody": body}));
    }

    /// How many messages a queue holds, hidden ones too.
    pub(crate) fn waiting(&self, url: &str) -> u64 {
        let names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
        let asked = json!({"QueueUrl": url, "AttributeNames": names});
        let answer = self.call("sqs", "get_queue_attributes", asked);
        names.iter().map(|name| answer["Attributes"][name].as_str().unwrap().parse::<u64>().unwrap()).sum()
    }

    pub(crate) fn put(&self, bucket: &str, key: &str, content: &[u8]) {
        let body = format!("base64:{}", base64(content));
        self.call("s3", "put_object", json!({"Bucket": bucket, "Key": key, "Body": body}));
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // A failed test must not leave it behind.
        let process = self.process.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        let _ = process.0.kill();
        let _ = process.0.wait();
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let number = chunk.iter().chain([&0, &0]).take(3).fold(0, |number, byte| number << 8 | usize::from(*byte));
        for place in 0..4 {
            let digit = DIGITS[number >> (18 - 6 * place) & 63];
            text.push(if place > chunk.len() { '=' } else { char::from(digit) });
        }
    }
    text
}
