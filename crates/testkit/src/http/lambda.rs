//! Lambda's runtime interface on this machine: a function's binary asks it for invocations and tells it the answers.

use std::collections::VecDeque;
use std::io::BufReader;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::now;
use super::wire::{self, Answer};

/// How long a function may take to ask for work at all.
const STARTED_IN: Duration = Duration::from_secs(30);

/// Invokes one function, one invocation after the other.
#[derive(Debug, Clone)]
pub struct Runtime {
    /// What a function finds as `AWS_LAMBDA_RUNTIME_API`.
    pub address: String,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// What is to be invoked: the event, and how long it may take.
    waiting: VecDeque<(Value, Duration)>,
    answers: VecDeque<Result<Value, Value>>,
    number: u64,
    /// When the function first asked for work.
    first: Option<Instant>,
}

impl Runtime {
    /// Listens for a function, until the program ends.
    ///
    /// # Panics
    /// No port is free.
    #[must_use]
    pub fn open() -> Runtime {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it has an address").to_string();
        let shared = Arc::new(Shared::default());
        let runtime = Runtime { address, shared: Arc::clone(&shared) };
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || converse(&connection, &shared));
            }
        });
        runtime
    }

    /// Invokes the function and waits for its answer; `None` where there is none in twice the time it may take.
    #[must_use]
    pub fn invoke(&self, event: &Value, limit: Duration) -> Option<Result<Value, Value>> {
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.answers.clear();
        state.waiting.push_back((event.clone(), limit));
        self.shared.changed.notify_all();
        let until = Instant::now() + limit * 2;
        loop {
            if let Some(answer) = state.answers.pop_front() {
                return Some(answer);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.waiting.clear();
                return None;
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// When the function first asked for work: waits for that, but not for ever.
    #[must_use]
    pub fn first_request(&self) -> Option<Instant> {
        let state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.shared.changed.wait_timeout_while(state, STARTED_IN, |state| state.first.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.first
    }
}

fn converse(connection: &TcpStream, shared: &Shared) {
    let mut reader = BufReader::new(connection);
    while let Ok(Some(request)) = wire::read(&mut reader) {
        let answer = match request.path.rsplit('/').next() {
            Some("next") => next(shared),
            outcome => {
                let body = serde_json::from_slice(&request.body).unwrap_or_default();
                let answer = if outcome == Some("response") { Ok(body) } else { Err(body) };
                shared.state.lock().unwrap_or_else(PoisonError::into_inner).answers.push_back(answer);
                shared.changed.notify_all();
                Answer { status: 202, ..Answer::json(String::new()) }
            }
        };
        if wire::write(connection, &answer, super::now(), false).is_err() {
            return;
        }
    }
}

/// Waits for something to invoke.
fn next(shared: &Shared) -> Answer {
    let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
    state.first.get_or_insert_with(Instant::now);
    shared.changed.notify_all();
    loop {
        if let Some((event, limit)) = state.waiting.pop_front() {
            state.number += 1;
            let deadline = now() / 1000 + i64::try_from(limit.as_millis()).unwrap_or(i64::MAX / 2);
            let headers = [
                ("Lambda-Runtime-Aws-Request-Id", format!("00000000-0000-4000-8000-{:012}", state.number)),
                ("Lambda-Runtime-Deadline-Ms", deadline.to_string()),
                ("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:111122223333:function:f".to_owned()),
            ];
            return Answer { headers: headers.to_vec(), ..Answer::json(event.to_string()) };
        }
        state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
}
