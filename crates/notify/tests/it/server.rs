//! A small HTTP server that answers as a test wants.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Heard {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(each, _)| each.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// How a request is answered.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// With a status, headers and a body.
    Say(u16, &'static str, String),
    /// Not at all, for a long time.
    Hang,
    /// A byte now and then, for ever.
    Drip,
    /// The connection is cut after the request.
    Cut,
}

pub(crate) fn say(status: u16, body: &str) -> Reply {
    Reply::Say(status, "", body.to_owned())
}

/// A server that gives one reply after the other, and the last one for ever.
pub(crate) struct Server {
    pub(crate) address: String,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Server {
    pub(crate) fn new(replies: Vec<Reply>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let heard: Arc<Mutex<Vec<Heard>>> = Arc::default();
        let log = Arc::clone(&heard);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, replies) = (Arc::clone(&log), replies.clone());
                thread::spawn(move || answer(stream.unwrap(), &log, &replies));
            }
        });
        Server { address, heard }
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }
}

/// Answers the requests of one connection. One that breaks off ends it.
fn answer(stream: TcpStream, log: &Mutex<Vec<Heard>>, replies: &[Reply]) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    loop {
        let heard = read(&mut reader)?;
        let place = {
            let mut log = log.lock().unwrap();
            log.push(heard);
            log.len() - 1
        };
        match replies.get(place).or(replies.last())?.clone() {
            Reply::Say(status, headers, body) => {
                let length = body.len();
                write!(stream, "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n{headers}\r\n{body}").ok()?;
            }
            Reply::Hang => thread::sleep(Duration::from_secs(60)),
            Reply::Drip => {
                write!(stream, "HTTP/1.1 200 OK\r\n").ok()?;
                loop {
                    thread::sleep(Duration::from_millis(100));
                    stream.write_all(b"x-drip: 1\r\n").ok()?;
                    stream.flush().ok()?;
                }
            }
            Reply::Cut => return None,
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Heard> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let headers: Vec<(String, String)> = lines[1..]
        .iter()
        .filter_map(|line| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned())))
        .collect();
    let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let mut body = vec![0; length.map_or(0, |(_, length)| length.parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    Some(Heard { line: lines[0].clone(), headers, body: String::from_utf8(body).unwrap() })
}
