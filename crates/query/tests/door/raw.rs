//! Bytes on a socket: what well-behaved clients never send, and what can only be seen from below them.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use query::door::{DoorOptions, Entrance};

use crate::support::{BATCH, Open, user_options, wait_until};

/// A connection, and the messages on it.
struct Client(TcpStream);

impl Client {
    fn connect(door: &Open) -> Client {
        let stream = TcpStream::connect(door.address).expect("connect");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("timeout");
        Client(stream)
    }

    /// Comes in where no password is asked for.
    fn come_in(door: &Open) -> Client {
        let mut client = Client::connect(door);
        client.startup(3, 0, &["user", "somebody"]);
        client.until(b'Z');
        client
    }

    fn startup(&mut self, major: u16, minor: u16, parameters: &[&str]) {
        let mut body = [major.to_be_bytes(), minor.to_be_bytes()].concat();
        for parameter in parameters {
            body.extend(parameter.as_bytes());
            body.push(0);
        }
        body.push(0);
        let length = u32::try_from(body.len() + 4).expect("length");
        self.bytes(&[&length.to_be_bytes()[..], &body].concat());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        // The door may have closed the connection already.
        let _ = self.0.write_all(bytes);
    }

    fn send(&mut self, kind: u8, body: &[u8]) {
        let length = u32::try_from(body.len() + 4).expect("length");
        self.bytes(&[&[kind][..], &length.to_be_bytes(), body].concat());
    }

    fn query(&mut self, sql: &str) {
        self.send(b'Q', format!("{sql}\0").as_bytes());
    }

    fn parse(&mut self, sql: &str) {
        self.send(b'P', format!("\0{sql}\0\0\0").as_bytes());
    }

    fn bind(&mut self, portal: &str) {
        self.send(b'B', format!("{portal}\0\0\0\0\0\0\0\0").as_bytes());
    }

    fn execute(&mut self, portal: &str, max_rows: i32) {
        self.send(b'E', &[portal.as_bytes(), &[0], &max_rows.to_be_bytes()].concat());
    }

    /// Reads a message; nothing where the connection has ended.
    fn message(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 5];
        match self.0.read_exact(&mut head) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => return None,
            Err(error) => panic!("read: {error}"),
        }
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let mut body = vec![0; length - 4];
        self.0.read_exact(&mut body).expect("a whole message");
        Some((head[0], body))
    }

    /// Reads to the first message of this kind; returns the kinds of all that came, and the last one's body.
    fn until(&mut self, last: u8) -> (String, Vec<u8>) {
        let mut kinds = String::new();
        loop {
            let (kind, body) = self.message().unwrap_or_else(|| panic!("the end of the connection after {kinds}"));
            kinds.push(char::from(kind));
            if kind == last {
                return (kinds, body);
            }
        }
    }

    /// Reads to the end of the connection; returns the kinds of all that came, and the text of the last error.
    fn rest(&mut self) -> (String, String) {
        let (mut kinds, mut error) = (String::new(), String::new());
        while let Some((kind, body)) = self.message() {
            kinds.push(char::from(kind));
            if kind == b'E' {
                error = String::from_utf8_lossy(&body).replace('\0', " ");
            }
        }
        (kinds, error)
    }
}

#[test]
fn nobody_is_served_before_the_login() {
    let door = Open::with_password();
    let before_startup: [&[u8]; 7] = [
        b"Q\0\0\0\x0dselect 1\0",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
        b"\0\0\0\0",
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\0\0\0\x07\0\x03\0",
        b"\0\0\0\x09\0\x02\0\0\0",
    ];
    for bytes in before_startup {
        let mut client = Client::connect(&door);
        client.bytes(bytes);
        let (kinds, error) = client.rest();
        assert!(matches!(kinds.as_str(), "" | "E"), "{bytes:?}: {kinds} {error}");
        assert!(kinds.is_empty() || error.contains("FATAL"), "{bytes:?}: {error}");
    }
    let after_startup: [(u8, &[u8]); 8] = [
        (b'Q', b"select 1\0"),
        (b'P', b"\0select 1\0\0\0"),
        (b'S', b""),
        (b'p', b""),
        (b'p', b"correct horse battery staple\0"),
        (b'p', b"PLAIN\0\0\0\0\x01x"),
        (b'p', b"SCRAM-SHA-256\0\xff\xff\xff\xff"),
        (b'p', b"SCRAM-SHA-256\0\0\0\0\x03n,,"),
    ];
    for (kind, body) in after_startup {
        let mut client = Client::connect(&door);
        client.startup(3, 0, &["user", "reader"]);
        assert_eq!(client.until(b'R').1[..4], [0, 0, 0, 10]);
        // What follows a failure is never looked at.
        client.send(kind, body);
        client.query("select 1");
        let (kinds, error) = client.rest();
        assert_eq!(kinds, "E", "{body:?}: {error}");
        assert!(error.contains("FATAL"), "{body:?}: {error}");
    }
}

#[test]
fn a_proof_that_is_none_is_refused_and_ends_the_connection() {
    let door = Open::with_password();
    for user in ["reader", "ghost"] {
        let mut client = Client::connect(&door);
        client.startup(3, 0, &["user", user]);
        client.until(b'R');
        client.send(b'p', b"SCRAM-SHA-256\0\0\0\0\x14n,,n=,r=abcdefghijkl");
        let (_, challenge) = client.until(b'R');
        let challenge = String::from_utf8(challenge[4..].to_vec()).expect("text");
        assert!(challenge.starts_with("r=abcdefghijkl") && challenge.ends_with(",i=4096"), "{challenge}");
        let nonce = challenge.split(',').next().expect("nonce");
        client.send(b'p', format!("c=biws,{nonce},p={}=", "A".repeat(43)).as_bytes());
        client.query("select 1");
        let (kinds, error) = client.rest();
        assert_eq!(kinds, "E");
        assert!(error.contains(&format!("28P01 Mpassword authentication failed for user \"{user}\"")), "{error}");
    }
}

#[test]
fn those_who_never_log_in_are_shown_out() {
    let mut options = user_options();
    options.login_timeout = Duration::from_millis(300);
    let door = Open::with(options);
    let begun = Instant::now();
    // More than may arrive at one time: the rest waits in line, and comes in.
    let mut silent: Vec<Client> = (0..100).map(|_| Client::connect(&door)).collect();
    for client in &mut silent {
        let (kinds, error) = client.rest();
        assert!(kinds == "E" && error.contains("57P05"), "{kinds} {error}");
    }
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn there_are_so_many_seats_and_no_more() {
    let mut options = DoorOptions::new(Entrance::Open);
    options.max_connections = 2;
    let door = Open::with(options);
    let _first = Client::come_in(&door);
    let second = Client::come_in(&door);
    let mut third = Client::connect(&door);
    third.startup(3, 0, &["user", "somebody"]);
    let (kinds, error) = third.rest();
    assert!(kinds.ends_with('E') && error.contains("53300"), "{kinds} {error}");
    drop(second);
    wait_until("the seat is free", || {
        let mut next = Client::connect(&door);
        next.startup(3, 0, &["user", "somebody"]);
        next.first_of(b"ZE") == b'Z'
    });
}

impl Client {
    fn first_of(&mut self, kinds: &[u8]) -> u8 {
        loop {
            let (kind, _) = self.message().expect("a message");
            if kinds.contains(&kind) {
                return kind;
            }
        }
    }
}

#[test]
fn encryption_is_refused_and_newer_protocols_are_talked_down() {
    let door = Open::to_all();
    let mut client = Client::connect(&door);
    for code in [80_877_104_u32, 80_877_103] {
        client.bytes(&[8_u32.to_be_bytes(), code.to_be_bytes()].concat());
        let mut answer = [0];
        client.0.read_exact(&mut answer).expect("answer");
        assert_eq!(&answer, b"N");
    }
    client.startup(3, 2, &["user", "somebody", "_pq_.new", "1"]);
    let (kinds, _) = client.until(b'Z');
    assert!(kinds.starts_with("vR"), "{kinds}");
    client.query("select 1");
    assert_eq!(client.until(b'Z').0, "TDCZ");
}

#[test]
fn a_portal_is_run_as_far_as_the_client_wants() {
    let door = Open::to_all();
    let mut client = Client::come_in(&door);
    client.query("begin");
    client.until(b'Z');
    client.parse("select n from endless");
    client.bind("p");
    client.send(b'D', b"Pp\0");
    for max_rows in [1, 2, 2000] {
        client.execute("p", max_rows);
    }
    client.send(b'S', b"");
    let (kinds, status) = client.until(b'Z');
    assert_eq!(kinds, format!("12TDsDDs{}sZ", "D".repeat(2000)));
    assert_eq!(status, b"T");
    // As many rows as the client wants, and a few that were on their way.
    assert!(door.endless.rows() < 2003 + 64 * BATCH, "{}", door.endless.rows());
    client.query("commit");
    client.until(b'Z');
    wait_until("the portal is closed", || door.endless.readers() == 0);
}

#[test]
fn a_limit_that_is_too_large_to_keep_is_no_harm() {
    let door = Open::to_all();
    let mut client = Client::come_in(&door);
    for max_rows in [i32::MAX, -1, 0] {
        client.parse("select event_id from events");
        client.bind("");
        client.execute("", max_rows);
        client.execute("", max_rows);
        client.send(b'S', b"");
        assert_eq!(client.until(b'Z').0, "12DDDDCCZ", "{max_rows}");
    }
}

#[test]
fn what_does_not_fit_is_refused_and_the_session_goes_on() {
    let door = Open::to_all();
    let mut client = Client::come_in(&door);
    let bodies: [(u8, &[u8], &str); 9] = [
        (b'B', b"\0\0\0\0\0\0\0\x03\0\0\0\0\0\x01", "08P01"), // three formats for two columns
        (b'B', b"\0\0\0\0\0\x01\0\0\0\x01x\0\0", "08P01"),    // a value for no parameter
        (b'B', b"\0nothing\0\0\0\0\0\0\0", "26000"),
        (b'D', b"Snothing\0", "26000"),
        (b'D', b"Pnothing\0", "34000"),
        (b'E', b"nothing\0\0\0\0\0", "34000"),
        (b'P', b"\0select 1; select 2\0\0\0", "42601"),
        (b'P', b"\0insert into events values (1)\0\0\0", "42501"),
        (b'P', b"\0copy events from stdin\0\0\0", "42501"),
    ];
    for (kind, body, state) in bodies {
        client.parse("select event_id, count64 from events");
        client.send(kind, body);
        // Passed over until the client synchronises.
        client.execute("", 0);
        client.query("select 1");
        client.send(b'S', b"");
        let (kinds, _) = client.until(b'E');
        assert_eq!(kinds, "1E", "{body:?}");
        assert_eq!(client.until(b'Z').0, "Z", "{body:?}");
        client.send(kind, body);
        let (_, error) = client.until(b'E');
        assert!(String::from_utf8_lossy(&error).contains(state), "{body:?}: {}", String::from_utf8_lossy(&error));
        client.send(b'S', b"");
        client.until(b'Z');
    }
    client.query("select 1");
    assert_eq!(client.until(b'Z').0, "TDCZ");
}

#[test]
fn a_message_that_breaks_the_protocol_ends_only_its_own_connection() {
    let door = Open::to_all();
    let mut other = Client::come_in(&door);
    let messages: [&[u8]; 8] = [
        b"?\0\0\0\x04",
        b"Q\0\0\0\0",
        b"Q\0\0\0\x04",
        b"Q\x7f\xff\xff\xff",
        b"Q\0\0\0\x07ab\xff",
        b"Q\0\0\0\x08ab\xff\0",
        b"B\0\0\0\x08\0\0\xff\xff",
        b"E\0\0\0\x06x\0",
    ];
    for bytes in messages {
        let mut client = Client::come_in(&door);
        client.bytes(bytes);
        let (kinds, error) = client.rest();
        assert!(kinds == "E" && error.contains("08P01"), "{bytes:?}: {kinds} {error}");
    }
    other.query("select 1");
    assert_eq!(other.until(b'Z').0, "TDCZ");
}

#[test]
fn no_more_rows_are_made_than_the_client_takes() {
    let door = Open::to_all();
    let mut slow = Client::come_in(&door);
    slow.query("select * from endless");
    wait_until("rows are made", || door.endless.rows() > 0);
    // Until the buffers between the two are full.
    wait_until("no more rows are made", || {
        let before = door.endless.rows();
        std::thread::sleep(Duration::from_millis(300));
        before == door.endless.rows()
    });
    let made = door.endless.rows();
    // Buffers of the two sockets, a batch on each side: far from all that could be made in that time.
    assert!(made < 300_000, "{made}");
    let mut other = Client::come_in(&door);
    other.query("select 1");
    assert_eq!(other.until(b'Z').0, "TDCZ");
    // Gone without a word: what it asked for is dropped.
    drop(slow);
    wait_until("nothing is read any more", || door.endless.readers() == 0);
}

#[test]
fn what_a_client_asked_for_ends_when_it_goes_away() {
    let door = Open::to_all();
    for sql in ["select max(n) from endless", "select n from endless where n < 0"] {
        let mut client = Client::come_in(&door);
        client.query(sql);
        wait_until("it runs", || door.endless.readers() > 0);
        drop(client);
        wait_until("it ends", || door.endless.readers() == 0);
    }
}

#[test]
fn closing_the_door_ends_what_is_open() {
    let mut door = Open::to_all();
    let mut idle = Client::come_in(&door);
    let mut busy = Client::come_in(&door);
    busy.query("select max(n) from endless");
    let mut stuck = Client::come_in(&door);
    stuck.query("select * from endless");
    let _arriving = Client::connect(&door);
    wait_until("both run", || door.endless.readers() >= 2);
    assert!(door.close() < Duration::from_secs(8));
    for client in [&mut idle, &mut busy] {
        let (kinds, error) = client.rest();
        assert!(kinds.ends_with('E') && error.contains("57P01"), "{kinds} {error}");
    }
    assert!(TcpStream::connect(door.address).is_err());
    wait_until("nothing is read any more", || door.endless.readers() == 0);
}

#[test]
fn a_statement_is_cancelled_with_its_secret_only() {
    let door = Open::to_all();
    let mut client = Client::connect(&door);
    client.startup(3, 0, &["user", "somebody"]);
    let (_, key) = client.until(b'K');
    client.until(b'Z');
    client.query("select max(n) from endless");
    wait_until("it runs", || door.endless.readers() > 0);
    let cancel = |key: &[u8]| {
        let mut canceller = Client::connect(&door);
        canceller.bytes(&[&16_u32.to_be_bytes()[..], &80_877_102_u32.to_be_bytes(), key].concat());
        assert_eq!(canceller.rest().0, "");
    };
    let mut wrong = key.clone();
    wrong[7] ^= 1;
    cancel(&wrong);
    std::thread::sleep(Duration::from_millis(300));
    assert!(door.endless.readers() > 0);
    cancel(&key);
    let (_, error) = client.until(b'E');
    assert!(String::from_utf8_lossy(&error).contains("57014"));
    client.until(b'Z');
    wait_until("it ends", || door.endless.readers() == 0);
}
