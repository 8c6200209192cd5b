//! Messages on a socket. What comes in is decoded here, with its lengths checked before anything is kept.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use pgwire::messages::PgWireBackendMessage;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// The longest message of somebody who has not logged in yet.
const STRANGER: usize = 10_000;

/// The longest message of a client: a statement with its parameters.
const CLIENT: usize = 64 << 20;

/// How many bytes are kept back before they are sent.
const BUFFERED: usize = 64 << 10;

/// A buffer that a long message made grow is given back above this.
const KEPT: usize = 256 << 10;

const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
const CANCEL_REQUEST: u32 = 80_877_102;

/// The first message of a connection.
#[derive(Debug)]
pub(super) enum Arrival {
    /// Asks for encryption, and goes on without it where it is refused.
    Encryption,
    /// Asks to cancel another connection's statement.
    Cancel { pid: i32, secret: i32 },
    /// Says who comes, and in which version of the protocol.
    Startup { major: u16, minor: u16, parameters: Vec<(String, String)> },
}

/// A message after the first.
#[derive(Debug)]
pub(super) enum Request {
    Query(String),
    Parse {
        name: String,
        sql: String,
        types: Vec<u32>,
    },
    Bind(Bind),
    Describe {
        kind: u8,
        name: String,
    },
    Execute {
        portal: String,
        max_rows: i32,
    },
    Close {
        kind: u8,
        name: String,
    },
    Flush,
    Sync,
    Password(Bytes),
    /// Data of a `COPY` that was never agreed to: passed over, as PostgreSQL does.
    Copy,
    Terminate,
}

/// Values for a prepared statement.
#[derive(Debug)]
pub(super) struct Bind {
    pub(super) portal: String,
    pub(super) statement: String,
    pub(super) formats: Vec<i16>,
    pub(super) values: Vec<Option<Bytes>>,
    pub(super) results: Vec<i16>,
}

/// Why no message was read.
#[derive(Debug)]
pub(super) enum ReadError {
    /// The client went away.
    Gone,
    /// The client does not speak the protocol.
    Protocol(&'static str),
}

impl From<io::Error> for ReadError {
    fn from(_: io::Error) -> ReadError {
        ReadError::Gone
    }
}

/// A client's socket with what was read from it and what is to be sent.
pub(super) struct Wire {
    stream: Arc<TcpStream>,
    incoming: BytesMut,
    outgoing: BytesMut,
    longest: usize,
}

impl Wire {
    pub(super) fn new(stream: TcpStream) -> Wire {
        Wire { stream: Arc::new(stream), incoming: BytesMut::new(), outgoing: BytesMut::new(), longest: STRANGER }
    }

    /// Lets messages be as long as a client's.
    pub(super) fn trust(&mut self) {
        self.longest = CLIENT;
    }

    /// Returns what notices that the client went away while nobody reads.
    pub(super) fn presence(&self) -> Presence {
        Presence(Arc::clone(&self.stream))
    }

    /// Reads the first message, or the one after [`Arrival::Encryption`]. Can be dropped and called again.
    pub(super) async fn arrival(&mut self) -> Result<Arrival, ReadError> {
        let (_, mut body) = self.frame(0, STRANGER).await?;
        let code = unsigned(&mut body)?;
        match code {
            SSL_REQUEST | GSS_REQUEST => Ok(Arrival::Encryption),
            CANCEL_REQUEST => {
                let pid = signed(&mut body)?;
                // Only the version of the protocol that has four bytes is offered.
                Ok(Arrival::Cancel { pid, secret: signed(&mut body)? })
            }
            _ => {
                let mut parameters = Vec::new();
                loop {
                    let name = text(&mut body)?;
                    if name.is_empty() {
                        break;
                    }
                    parameters.push((name, text(&mut body)?));
                }
                let [major, minor] = [(code >> 16) as u16, (code & 0xffff) as u16];
                Ok(Arrival::Startup { major, minor, parameters })
            }
        }
    }

    /// Reads a message. Can be dropped and called again.
    pub(super) async fn request(&mut self) -> Result<Request, ReadError> {
        let (kind, body) = self.frame(1, self.longest).await?;
        decode(kind, body)
    }

    /// Reads the bytes of one message: its type where `kind` is one byte (else zero), and its body without its length.
    async fn frame(&mut self, kind: usize, longest: usize) -> Result<(u8, Bytes), ReadError> {
        loop {
            if let Some(mut length) = self.incoming.get(kind..kind + 4) {
                let length = length.get_u32() as usize;
                if length < 4 || length > longest {
                    return Err(ReadError::Protocol("invalid length of a message"));
                }
                if self.incoming.len() >= kind + length {
                    let mut frame = self.incoming.split_to(kind + length);
                    if self.incoming.is_empty() && self.incoming.capacity() > KEPT {
                        self.incoming = BytesMut::new();
                    }
                    let first = if kind == 0 { 0 } else { frame[0] };
                    frame.advance(kind + 4);
                    return Ok((first, frame.freeze()));
                }
            }
            self.stream.readable().await?;
            match self.stream.try_read_buf(&mut self.incoming) {
                Ok(0) => return Err(ReadError::Gone),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Keeps a message to be sent.
    pub(super) fn put(&mut self, message: PgWireBackendMessage) -> io::Result<()> {
        message.encode(&mut self.outgoing).map_err(io::Error::other)
    }

    /// Keeps the one byte that refuses encryption.
    pub(super) fn refuse_encryption(&mut self) {
        self.outgoing.extend_from_slice(b"N");
    }

    /// Returns whether enough is kept to be worth sending.
    pub(super) fn is_full(&self) -> bool {
        self.outgoing.len() >= BUFFERED
    }

    /// Sends what is kept. Can be dropped and called again.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        while !self.outgoing.is_empty() {
            self.stream.writable().await?;
            match self.stream.try_write(&self.outgoing) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(sent) => self.outgoing.advance(sent),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        if self.outgoing.capacity() > KEPT {
            self.outgoing = BytesMut::new();
        }
        Ok(())
    }
}

/// Whether a client is still there.
#[derive(Clone)]
pub(super) struct Presence(Arc<TcpStream>);

impl Presence {
    /// Resolves when the client has closed its side.
    pub(super) async fn gone(&self) {
        loop {
            match self.0.ready(Interest::READABLE).await {
                Ok(ready) if !ready.is_read_closed() => {}
                _ => return,
            }
            // The client has sent its next message already: only time tells.
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }
}

fn decode(kind: u8, mut body: Bytes) -> Result<Request, ReadError> {
    let request = match kind {
        b'Q' => Request::Query(text(&mut body)?),
        b'P' => {
            let [name, sql] = [text(&mut body)?, text(&mut body)?];
            let types = list(&mut body, unsigned)?;
            Request::Parse { name, sql, types }
        }
        b'B' => Request::Bind(Bind {
            portal: text(&mut body)?,
            statement: text(&mut body)?,
            formats: list(&mut body, short)?,
            values: list(&mut body, value)?,
            results: list(&mut body, short)?,
        }),
        b'D' => Request::Describe { kind: byte(&mut body)?, name: text(&mut body)? },
        b'E' => Request::Execute { portal: text(&mut body)?, max_rows: signed(&mut body)? },
        b'C' => Request::Close { kind: byte(&mut body)?, name: text(&mut body)? },
        b'H' => Request::Flush,
        b'S' => Request::Sync,
        b'p' => Request::Password(body),
        b'd' | b'c' | b'f' => Request::Copy,
        b'X' => Request::Terminate,
        _ => return Err(ReadError::Protocol("invalid type of a message")),
    };
    Ok(request)
}

const SHORT: ReadError = ReadError::Protocol("a message that is cut off");

fn byte(body: &mut Bytes) -> Result<u8, ReadError> {
    body.try_get_u8().map_err(|_| SHORT)
}

fn short(body: &mut Bytes) -> Result<i16, ReadError> {
    body.try_get_i16().map_err(|_| SHORT)
}

fn signed(body: &mut Bytes) -> Result<i32, ReadError> {
    body.try_get_i32().map_err(|_| SHORT)
}

fn unsigned(body: &mut Bytes) -> Result<u32, ReadError> {
    body.try_get_u32().map_err(|_| SHORT)
}

fn text(body: &mut Bytes) -> Result<String, ReadError> {
    let length = body.iter().position(|byte| *byte == 0).ok_or(SHORT)?;
    let text = body.split_to(length);
    body.advance(1);
    match std::str::from_utf8(&text) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(ReadError::Protocol("text that is not UTF-8")),
    }
}

fn value(body: &mut Bytes) -> Result<Option<Bytes>, ReadError> {
    let length = signed(body)?;
    let Ok(length) = usize::try_from(length) else { return Ok(None) };
    if length > body.len() {
        return Err(SHORT);
    }
    Ok(Some(body.split_to(length)))
}

fn list<T>(body: &mut Bytes, element: impl Fn(&mut Bytes) -> Result<T, ReadError>) -> Result<Vec<T>, ReadError> {
    let count = body.try_get_u16().map_err(|_| SHORT)?;
    (0..count).map(|_| element(body)).collect()
}

#[cfg(test)]
mod tests {
    use super::{Bytes, ReadError, Request, decode};

    #[test]
    fn messages_that_are_cut_off_are_refused() {
        let whole = b"p\0s\0\x00\x01\x00\x01\x00\x02\x00\x00\x00\x01a\xff\xff\xff\xff\x00\x00";
        assert!(matches!(decode(b'B', Bytes::from_static(whole)), Ok(Request::Bind(bind)) if bind.values.len() == 2));
        for length in 0..whole.len() {
            let cut = Bytes::copy_from_slice(&whole[..length]);
            assert!(matches!(decode(b'B', cut), Err(ReadError::Protocol(_))), "{length}");
        }
        for kind in 0..=u8::MAX {
            let _ = decode(kind, Bytes::new());
        }
    }

    #[test]
    fn a_count_that_lies_allocates_nothing() {
        assert!(decode(b'P', Bytes::from_static(b"a\0select\0\xff\xff")).is_err());
    }
}
