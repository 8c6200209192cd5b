//! `syslog`: RFC 5424 over UDP (RFC 5426) or TCP with octet counting (RFC 6587), with structured data or CEF.

use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::time::Duration;

use detect::Severity;
use pipeline::alert::Alert;
use pipeline::escape::single_line;
use pipeline::notify::{Notifier, Parcel, Verdict};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::build::{BuildError, Tools};
use crate::edge::Edge;
use crate::kinds::Kind;
use crate::markup;

/// What every receiver of datagrams takes (RFC 5426, section 3.2), in bytes.
const DATAGRAM_MAX: usize = 2048;
/// The most bytes of a message over TCP.
const MESSAGE_MAX: usize = 8192;
/// The most bytes of one value: with all of them escaped, structured data still is whole in a datagram.
const VALUE_MAX: usize = 80;
/// How long a receiver is waited for that does not close the connection. Syslog has no answer: what is not refused by
/// then has been taken.
const CLOSING: Duration = Duration::from_millis(500);
/// The enterprise number that IANA keeps for examples, which nobody else's structured data uses.
const STRUCTURED_DATA: &str = "trailhound@32473";

/// The keys of `kind = "syslog"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyslogConfig {
    /// The receiver and its port.
    ///
    /// Example: `address = "siem.example.com:514"`
    pub address: String,
    /// `"udp"` or `"tcp"`. Default: `"udp"`.
    #[serde(default)]
    pub transport: Transport,
    /// `"rfc5424"` with structured data, or `"cef"` (ArcSight's Common Event Format). Default: `"rfc5424"`.
    #[serde(default)]
    pub format: Layout,
    /// The facility's number, from 0 to 23. Default: `10`, security.
    #[serde(default = "authpriv")]
    pub facility: u8,
    /// The name of this machine in messages. Default: `"-"`, none.
    #[serde(default = "nobody")]
    pub hostname: String,
}

fn authpriv() -> u8 {
    10
}

fn nobody() -> String {
    "-".to_owned()
}

/// How messages go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// One datagram each.
    #[default]
    Udp,
    /// One connection for a few of them.
    Tcp,
}

/// What a message is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Structured data and a sentence.
    #[default]
    Rfc5424,
    /// A CEF event.
    Cef,
}

impl Kind for SyslogConfig {
    const FOR_PEOPLE: bool = false;

    fn build(&self, tools: &mut Tools<'_>) -> Result<Box<dyn Notifier>, BuildError> {
        let has_port =
            self.address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
        if !has_port {
            return Err(tools.wrong("address is no host with a port, such as \"siem.example.com:514\""));
        }
        if self.facility > 23 {
            return Err(tools.wrong("facility lies between 0 and 23"));
        }
        let is_name =
            |text: &str| (1..=255).contains(&text.len()) && text.bytes().all(|byte| (33..=126).contains(&byte));
        if !is_name(&self.hostname) {
            return Err(tools.wrong("hostname has printable ASCII without blanks"));
        }
        Ok(Box::new(Syslog { config: self.clone(), edge: Arc::clone(&tools.means.edge), limit: tools.limit }))
    }
}

struct Syslog {
    config: SyslogConfig,
    edge: Arc<Edge>,
    limit: Duration,
}

impl Syslog {
    fn messages(&self, parcel: &Parcel) -> Vec<String> {
        parcel.alerts().map(|alert| message(&self.config, alert)).collect()
    }
}

impl Notifier for Syslog {
    fn send(&self, parcel: &Parcel) -> Verdict {
        let (messages, address) = (self.messages(parcel), self.config.address.clone());
        let sent = match self.config.transport {
            Transport::Udp => self.edge.run(self.limit, datagrams(address, messages)),
            Transport::Tcp => self.edge.run(self.limit, stream(address, messages)),
        };
        match sent {
            Some(Ok(())) => Verdict::Delivered,
            Some(Err(error)) => Verdict::retry(format!("{}: {error}", self.config.address)),
            None => Verdict::retry(format!("{}: not taken within {} s", self.config.address, self.limit.as_secs())),
        }
    }

    fn preview(&self, parcel: &Parcel) -> String {
        let transport = match self.config.transport {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        };
        format!("{transport} {}\n\n{}\n", self.config.address, self.messages(parcel).join("\n"))
    }
}

async fn datagrams(address: String, messages: Vec<String>) -> std::io::Result<()> {
    // Resolving a name blocks a thread; there are some for it.
    let resolved = tokio::task::spawn_blocking(move || address.to_socket_addrs().map(|mut all| all.next())).await;
    let to =
        resolved.map_err(std::io::Error::other)??.ok_or_else(|| std::io::Error::other("the name has no address"))?;
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).await?;
    // Connected, so that a port nobody listens to is heard of where the system tells.
    socket.connect(to).await?;
    for message in messages {
        socket.send(message.as_bytes()).await?;
    }
    Ok(())
}

async fn stream(address: String, messages: Vec<String>) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    for message in messages {
        stream.write_all(format!("{} {message}", message.len()).as_bytes()).await?;
    }
    stream.shutdown().await?;
    // A receiver that has gone away resets the connection; one that is there closes it, or says nothing.
    let mut rest = [0; 64];
    match tokio::time::timeout(CLOSING, stream.read(&mut rest)).await {
        Ok(Err(error)) => Err(error),
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}

/// One message, header and all.
fn message(config: &SyslogConfig, alert: &Alert) -> String {
    let severity = match alert.severity {
        Severity::Critical => 2,
        Severity::High => 3,
        Severity::Medium => 4,
        Severity::Low => 5,
        Severity::Informational => 6,
    };
    let priority = u16::from(config.facility) * 8 + severity;
    let header = format!("<{priority}>1 {} {} trailhound - alert", alert.event_time, config.hostname);
    let max = match config.transport {
        Transport::Udp => DATAGRAM_MAX,
        Transport::Tcp => MESSAGE_MAX,
    };
    let head = match config.format {
        Layout::Rfc5424 => format!("{header} {} ", structured(alert)),
        Layout::Cef => format!("{header} - {}", cef(alert)),
    };
    let sentence = match config.format {
        Layout::Rfc5424 => format!("{}: {}", alert.title, alert.summary),
        Layout::Cef => return markup::bytes(&head, max),
    };
    let room = max.saturating_sub(head.len());
    format!("{head}{}", markup::bytes(&sentence, room))
}

/// What is known, by the name it has in the formats of machines.
fn values(alert: &Alert) -> impl Iterator<Item = (&'static str, String)> {
    let values = [
        ("detection", Some(&alert.detection)),
        ("event_id", Some(&alert.event_id)),
        ("event_name", alert.event_name.as_ref()),
        ("event_source", alert.event_source.as_ref()),
        ("account", alert.account.as_ref()),
        ("region", alert.region.as_ref()),
        ("user", alert.user.as_ref()),
        ("session", alert.session.as_ref()),
        ("source_ip", alert.source_ip.as_ref()),
    ];
    values.into_iter().filter_map(|(name, text)| Some((name, markup::bytes(text?, VALUE_MAX))))
}

fn structured(alert: &Alert) -> String {
    let mut data = format!("[{STRUCTURED_DATA} severity=\"{}\" alert=\"{}\"", alert.severity, alert.id);
    for (name, text) in values(alert) {
        data.push_str(&format!(" {name}=\"{}\"", markup::parameter(&text)));
    }
    data.push(']');
    data
}

/// A CEF event: `CEF:version|vendor|product|version|signature|name|severity|extension`.
fn cef(alert: &Alert) -> String {
    let severity = match alert.severity {
        Severity::Critical => 10,
        Severity::High => 8,
        Severity::Medium => 5,
        Severity::Low => 3,
        Severity::Informational => 1,
    };
    let header = |text: &str| markup::cef_header(&single_line(text, VALUE_MAX));
    let mut event = format!(
        "CEF:0|Trailhound|Trailhound|{}|{}|{}|{severity}|rt={} externalId={}",
        env!("CARGO_PKG_VERSION"),
        header(&alert.detection),
        header(&alert.title),
        alert.event_time.micros() / 1000,
        alert.id,
    );
    for (name, text) in values(alert) {
        let key = match name {
            "event_name" => "act",
            "event_source" => "destinationServiceName",
            "user" => "suser",
            "account" => "cs1Label=account cs1",
            "region" => "cs2Label=region cs2",
            "event_id" => "cs3Label=eventId cs3",
            "session" => "cs4Label=session cs4",
            // `src` is an address; a service's name is none.
            "source_ip" if text.parse::<std::net::Ipv4Addr>().is_ok() => "src",
            "source_ip" if text.parse::<std::net::Ipv6Addr>().is_ok() => "c6a2Label=source c6a2",
            "source_ip" => "shost",
            _ => continue,
        };
        event.push_str(&format!(" {key}={}", markup::cef_value(&text)));
    }
    event.push_str(&format!(" msg={}", markup::cef_value(&single_line(&alert.summary, 300))));
    event
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn config(transport: Transport, format: Layout) -> SyslogConfig {
        SyslogConfig { address: "localhost:514".to_owned(), transport, format, facility: 10, hostname: "-".to_owned() }
    }

    proptest! {
        /// Whatever stands in it: one line, whole structured data, within the size that every receiver takes.
        #[test]
        fn a_message_keeps_its_shape(text in any::<String>(), long in 0usize..4000) {
            let text = format!("]\"\\|= {text}{}", "\u{202e}".repeat(long));
            let field = || Some(text.clone());
            let alert = Alert {
                title: text.clone(), summary: text.clone(), event_id: text.clone(), user: field(), session: field(),
                source_ip: field(), account: field(), region: field(), event_name: field(), event_source: field(),
                ..crate::sample::sample(detect::all()[0], event::Timestamp::MIN)
            };
            for format in [Layout::Rfc5424, Layout::Cef] {
                for (transport, max) in [(Transport::Udp, DATAGRAM_MAX), (Transport::Tcp, MESSAGE_MAX)] {
                    let message = message(&config(transport, format), &alert);
                    prop_assert!(message.len() <= max, "{} bytes", message.len());
                    prop_assert!(!message.contains(char::is_control));
                }
            }
            let data = structured(&alert);
            prop_assert!(data.len() < DATAGRAM_MAX);
            // Only the last bracket is not escaped.
            let unescaped = data.replace("\\\\", "").replace("\\]", "").replace("\\\"", "");
            prop_assert_eq!(unescaped.matches(']').count(), 1);
            prop_assert_eq!(unescaped.matches('"').count(), 2 * (2 + values(&alert).count()));
            let event = cef(&alert).replace("\\\\", "").replace("\\|", "");
            prop_assert_eq!(event.split('|').take(7).count(), 7);
        }
    }
}
