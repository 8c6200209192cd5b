//! A service that answers as a test says: for calls of services that no emulator plays.

use std::io::BufReader;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use super::wire::{self, Answer, Request};

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Method and path with its query, such as `PUT /invitation`.
    pub call: String,
    /// The operation, where the service tells them apart by a header.
    pub target: String,
    /// The body.
    pub body: String,
}

/// Answers every request by a function: the status and the body.
#[derive(Debug, Clone)]
pub struct Script {
    /// Where it listens.
    pub endpoint: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Script {
    /// Listens until the program ends.
    ///
    /// # Panics
    /// No port is free.
    #[must_use]
    pub fn open(answer: impl Fn(&Asked) -> (u16, String) + Send + Sync + 'static) -> Script {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let endpoint = format!("http://{}", listener.local_addr().expect("it has an address"));
        let (asked, answer) = (Arc::<Mutex<Vec<Asked>>>::default(), Arc::new(answer));
        let script = Script { endpoint, asked: Arc::clone(&asked) };
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (asked, answer) = (Arc::clone(&asked), Arc::clone(&answer));
                std::thread::spawn(move || converse(&connection, &asked, &*answer));
            }
        });
        script
    }

    /// What was asked so far, in its order.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn converse(connection: &TcpStream, asked: &Mutex<Vec<Asked>>, answer: &dyn Fn(&Asked) -> (u16, String)) {
    let mut reader = BufReader::new(connection);
    while let Ok(Some(request)) = wire::read(&mut reader) {
        let target = request.header("x-amz-target").unwrap_or_default().to_owned();
        let Request { method, path, body, .. } = request;
        let one = Asked { call: format!("{method} {path}"), target, body: String::from_utf8_lossy(&body).into_owned() };
        let (status, body) = answer(&one);
        asked.lock().unwrap_or_else(PoisonError::into_inner).push(one);
        // S3 gives one to every object, and its clients want it.
        let headers = vec![("ETag", "\"0\"".to_owned())];
        if wire::write(connection, &Answer { status, headers, ..Answer::json(body) }, super::now(), false).is_err() {
            return;
        }
    }
}
