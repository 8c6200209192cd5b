//! `email`: SMTP with TLS, STARTTLS or neither, as plain text and HTML.
//!
//! Headers hold our own words and a subject of printable ASCII: no text of an event can add a header or a recipient.

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use pipeline::escape::single_line;
use pipeline::message::Message;
use pipeline::notify::{Notifier, Parcel, Verdict};
use pipeline::store::Clock;
use serde::{Deserialize, Serialize};

use crate::build::{BuildError, Tools};
use crate::card::Card;
use crate::edge::Edge;
use crate::kinds::Kind;
use crate::markup::html;
use crate::secret::SecretSource;

/// The most characters of a server's words that are repeated.
const SHOWN_MAX: usize = 200;

/// The keys of `kind = "email"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmailConfig {
    /// The mail server.
    ///
    /// Example: `host = "smtp.example.com"`
    pub host: String,
    /// Its port. Default: 465 for `tls`, 587 for `starttls`, 25 for `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// `"tls"` from the first byte, `"starttls"` (never without), or `"none"`. Default: `"starttls"`.
    #[serde(default)]
    pub security: Security,
    /// A file with the certificate, in PEM, of the authority that a private server's certificate comes from. Default: the
    /// system's authorities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// The name to sign in with. Default: none, and no signing in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The password.
    ///
    /// Example: `password = { env = "SMTP_PASSWORD" }`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretSource>,
    /// The sender.
    ///
    /// Example: `from = "Trailhound <alerts@example.com>"`
    pub from: String,
    /// The recipients.
    ///
    /// Example: `to = ["security@example.com"]`
    pub to: Vec<String>,
}

/// How the way to the server is secured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// TLS from the first byte.
    Tls,
    /// TLS after `STARTTLS`; without it nothing is sent.
    #[default]
    StartTls,
    /// None: for a server on this machine.
    None,
}

impl Kind for EmailConfig {
    fn build(&self, tools: &mut Tools<'_>) -> Result<Box<dyn Notifier>, BuildError> {
        let mailbox = |text: &str| {
            text.parse::<Mailbox>().map_err(|_| tools.wrong(format!("{:?} is no address", single_line(text, 100))))
        };
        let from = mailbox(&self.from)?;
        let to = self.to.iter().map(|text| mailbox(text)).collect::<Result<Vec<_>, _>>()?;
        if to.is_empty() {
            return Err(tools.wrong("to has no address"));
        }
        let tls = self.tls().map_err(|reason| tools.wrong(reason))?;
        let default_port = match self.security {
            Security::Tls => 465,
            Security::StartTls => 587,
            Security::None => 25,
        };
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&self.host)
            .port(self.port.unwrap_or(default_port))
            .tls(tls)
            .timeout(Some(tools.limit));
        transport = match (&self.user, &self.password) {
            (Some(user), Some(password)) => {
                let is_near = matches!(&*self.host, "localhost" | "127.0.0.1" | "::1");
                if self.security == Security::None && !is_near {
                    return Err(tools.wrong("a password is not sent without TLS but to this machine"));
                }
                transport.credentials(Credentials::new(user.clone(), tools.secret(password)?.expose().to_owned()))
            }
            (None, None) => transport,
            _ => return Err(tools.wrong("user and password come together")),
        };
        Ok(Box::new(Email {
            from,
            to,
            transport: transport.build(),
            shown: format!("{}:{}", self.host, self.port.unwrap_or(default_port)),
            clock: Arc::clone(&tools.means.clock),
            edge: Arc::clone(&tools.means.edge),
            limit: tools.limit,
        }))
    }
}

impl EmailConfig {
    fn tls(&self) -> Result<Tls, String> {
        let mut parameters = TlsParameters::builder(self.host.clone());
        if let Some(path) = &self.authority {
            let pem = std::fs::read(path).map_err(|error| format!("authority {path} cannot be read: {error}"))?;
            let certificate =
                Certificate::from_pem(&pem).map_err(|_| format!("authority {path} is no certificate in PEM"))?;
            parameters = parameters.add_root_certificate(certificate);
        }
        let parameters = || parameters.build().map_err(|error| format!("failed to set up TLS: {error}"));
        Ok(match self.security {
            Security::None => Tls::None,
            Security::Tls => Tls::Wrapper(parameters()?),
            Security::StartTls => Tls::Required(parameters()?),
        })
    }
}

struct Email {
    from: Mailbox,
    to: Vec<Mailbox>,
    transport: AsyncSmtpTransport<Tokio1Executor>,
    shown: String,
    clock: Arc<dyn Clock>,
    edge: Arc<Edge>,
    limit: Duration,
}

impl Email {
    fn mail(&self, parcel: &Parcel) -> Result<lettre::Message, lettre::error::Error> {
        let Message { subject, body } = Message::of_parcel(parcel);
        let since_epoch = u64::try_from(self.clock.now().micros()).unwrap_or_default();
        // Repetitions have the same id, so that mail programs show them once.
        let id = format!("<{}@trailhound.invalid>", parcel.key());
        let mut mail = lettre::Message::builder()
            .from(self.from.clone())
            .subject(subject)
            .date(UNIX_EPOCH + Duration::from_micros(since_epoch))
            .message_id(Some(id));
        for to in &self.to {
            mail = mail.to(to.clone());
        }
        mail.multipart(MultiPart::alternative_plain_html(body, page(parcel)))
    }
}

impl Notifier for Email {
    fn send(&self, parcel: &Parcel) -> Verdict {
        let mail = match self.mail(parcel) {
            Ok(mail) => mail,
            Err(error) => return Verdict::refused(format!("no mail could be made of it: {error}")),
        };
        let transport = self.transport.clone();
        match self.edge.run(self.limit, async move { transport.send(mail).await }) {
            Some(Ok(_)) => Verdict::Delivered,
            Some(Err(error)) => judge(&error),
            None => Verdict::retry(format!("no answer within {} s", self.limit.as_secs())),
        }
    }

    fn preview(&self, parcel: &Parcel) -> String {
        let Message { subject, body } = Message::of_parcel(parcel);
        let to: Vec<String> = self.to.iter().map(Mailbox::to_string).collect();
        format!("SMTP {}\nFrom: {}\nTo: {}\nSubject: {subject}\n\n{body}", self.shown, self.from, to.join(", "))
    }
}

/// What a mail server's error means. A mailbox that does not exist, or a password that is wrong, can be mended.
fn judge(error: &lettre::transport::smtp::Error) -> Verdict {
    let words = match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    let reason = single_line(words.trim(), SHOWN_MAX).into_owned();
    let code = error.status().map(u16::from);
    // 552 and 554: this message is too large, or is taken for spam.
    if matches!(code, Some(552 | 554)) { Verdict::refused(reason) } else { Verdict::retry(reason) }
}

/// The message as HTML.
fn page(parcel: &Parcel) -> String {
    let card = Card::of(parcel);
    let mut page = String::with_capacity(4096);
    let _ = write_page(&mut page, &card);
    page
}

fn write_page(page: &mut String, card: &Card) -> std::fmt::Result {
    let color = match card.severity {
        detect::Severity::Critical | detect::Severity::High => "#b3261e",
        detect::Severity::Medium => "#8a5a00",
        detect::Severity::Low | detect::Severity::Informational => "#444444",
    };
    write!(page, "<!doctype html><html><head><meta charset=\"utf-8\"></head><body style=\"font-family:sans-serif\">")?;
    write!(page, "<h2><span style=\"color:{color}\">[{}]</span> {}</h2>", card.label(), html(&card.title))?;
    if let Some(summary) = &card.summary {
        write!(page, "<p>{}</p>", html(summary))?;
    }
    if !card.facts.is_empty() {
        write!(page, "<table cellpadding=\"3\">")?;
        for (label, text) in &card.facts {
            write!(page, "<tr><th align=\"left\">{}</th><td>{}</td></tr>", html(label), html(text))?;
        }
        write!(page, "</table>")?;
    }
    if !card.list.is_empty() {
        write!(page, "<ul>")?;
        for line in card.lines() {
            write!(page, "<li>{}</li>", html(&line))?;
        }
        write!(page, "</ul>")?;
    }
    if let Some(action) = &card.action {
        write!(page, "<p><b>Action required:</b> {}</p>", html(action))?;
    }
    write!(page, "<p style=\"color:#666666\"><small>{}</small></p></body></html>", html(&card.footer))
}
