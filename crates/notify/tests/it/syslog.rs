//! Syslog to a real listener.

use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::thread;
use std::time::Duration;

use pipeline::notify::{Parcel, Verdict};

use crate::{alerts, channel, hostile, one};

#[test]
fn datagrams_arrive_one_for_each_alert() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let keys = format!("kind = 'syslog'\naddress = '{}'\nhostname = 'trail-1'", socket.local_addr().unwrap());
    assert_eq!(channel(&keys).notifier.send(&Parcel::digest(alerts(3)).unwrap()), Verdict::Delivered);
    assert_eq!(channel(&keys).notifier.send(&Parcel::one(hostile())), Verdict::Delivered);
    let mut messages = Vec::new();
    for _ in 0..4 {
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).unwrap();
        assert!(length <= 2048);
        messages.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
    }
    assert!(messages.iter().all(|message| {
        message.starts_with("<82>1 2026-01-15T12:00:00Z trail-1 trailhound - alert [trailhound@32473 ")
    }));
    assert!(messages.iter().all(|message| !message.contains(char::is_control)));
}

#[test]
fn a_stream_counts_its_octets() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let keys = |format: &str| {
        format!(
            "kind = 'syslog'\ntransport = 'tcp'\nformat = '{format}'\naddress = '{}'",
            listener.local_addr().unwrap()
        )
    };
    for format in ["rfc5424", "cef"] {
        thread::scope(|scope| {
            let received = scope.spawn(|| {
                let mut text = String::new();
                listener.accept().unwrap().0.read_to_string(&mut text).unwrap();
                text
            });
            let mut all = alerts(2);
            all.push(hostile());
            assert_eq!(channel(&keys(format)).notifier.send(&Parcel::digest(all).unwrap()), Verdict::Delivered);
            let received = received.join().unwrap();
            let mut rest = received.as_str();
            let mut count = 0;
            while let Some((length, after)) = rest.split_once(' ') {
                let (message, after) = after.split_at(length.parse().unwrap());
                assert!(message.starts_with("<82>1 "), "{message}");
                rest = after;
                count += 1;
            }
            assert_eq!((count, rest), (3, ""));
        });
    }
}

#[test]
fn a_receiver_that_is_not_there_is_noticed() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let keys = format!("kind = 'syslog'\ntransport = 'tcp'\naddress = '{free}'");
    assert!(matches!(channel(&keys).notifier.send(&one()), Verdict::Retry { .. }));
}
