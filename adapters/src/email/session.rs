//! A connection to a mail server, TLS from the first byte that matters.
//!
//! Owns the steps up to TLS. After STARTTLS nothing may be waiting that came before TLS: whoever sits between us and the
//! server could have put it there (CVE-2021-33515 and its kin), so such a connection is given up. What the server says in
//! all is bounded.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::extension::ClientId;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::settings::{Server, Tls};
use crate::http::{HttpClient, HttpError, shown_text};

/// The most that a server may say before TLS, bytes.
const BEFORE_TLS_BYTES: usize = 8 * 1024;
/// The most that a server may say in a session, bytes.
const SESSION_BYTES: usize = 64 * 1024;
/// How a session begins for a client that already heard the server's greeting.
const GREETING: &[u8] = b"220 TLS\r\n";

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    /// No connection, a refused address, or no TLS.
    #[error("no connection to the mail server")]
    Connect {
        /// Why.
        #[source]
        cause: HttpError,
    },
    /// The connection broke before TLS.
    #[error("the connection broke before TLS")]
    Broken {
        /// What the socket said.
        #[source]
        cause: io::Error,
    },
    /// The server refused before TLS.
    #[error("the server said before TLS: {said}")]
    Refused {
        /// Its last line.
        said: String,
    },
    /// The server offers no STARTTLS.
    #[error("the server offers no STARTTLS")]
    NoTls,
    /// Something came with the answer to STARTTLS.
    #[error("more came before TLS than the answer to STARTTLS")]
    Injected,
    /// The greeting or the answer to EHLO inside TLS.
    #[error("the server did not greet")]
    Greeting {
        /// What the library said.
        #[source]
        cause: lettre::transport::smtp::Error,
    },
}

/// Opens a session.
///
/// # Errors
/// Nothing of worth was sent.
pub(super) async fn open(http: &HttpClient, server: &Server) -> Result<AsyncSmtpConnection, SessionError> {
    let connect = |cause| SessionError::Connect { cause };
    let mut socket = http.dial(&server.host, server.port).await.map_err(connect)?;
    let peer = socket.peer_addr().map_err(|cause| SessionError::Broken { cause })?;
    let preface: &'static [u8] = match server.tls {
        Tls::Implicit => b"",
        Tls::Starttls => {
            starttls(&mut socket, &server.hello_name).await?;
            GREETING
        }
    };
    let tls = http.secure(&server.host, socket).await.map_err(connect)?;
    let stream = Bounded { preface, left: SESSION_BYTES, peer, tls };
    let hello = ClientId::Domain(server.hello_name.clone());
    AsyncSmtpConnection::connect_with_transport(Box::new(stream), &hello)
        .await
        .map_err(|cause| SessionError::Greeting { cause })
}

async fn starttls(socket: &mut TcpStream, hello_name: &str) -> Result<(), SessionError> {
    let mut heard = Heard::default();
    heard.reply(socket, "220").await?;
    say(socket, &format!("EHLO {hello_name}\r\n")).await?;
    let offered = heard.reply(socket, "250").await?;
    let starttls =
        |line: &String| line.get(4..).is_some_and(|word| word.trim().eq_ignore_ascii_case("STARTTLS"));
    if !offered.iter().any(starttls) {
        return Err(SessionError::NoTls);
    }
    say(socket, "STARTTLS\r\n").await?;
    heard.reply(socket, "220").await?;
    if heard.waiting.is_empty() { Ok(()) } else { Err(SessionError::Injected) }
}

async fn say(socket: &mut TcpStream, text: &str) -> Result<(), SessionError> {
    socket.write_all(text.as_bytes()).await.map_err(|cause| SessionError::Broken { cause })
}

/// What was read and not yet used.
#[derive(Default)]
struct Heard {
    waiting: Vec<u8>,
    read_bytes: usize,
}

impl Heard {
    /// The lines of one reply, which must have this code.
    async fn reply(&mut self, socket: &mut TcpStream, code: &str) -> Result<Vec<String>, SessionError> {
        let mut lines = Vec::new();
        loop {
            let line = self.line(socket).await?;
            let last = line.as_bytes().get(3) != Some(&b'-');
            if !line.starts_with(code) {
                return Err(SessionError::Refused { said: shown_text(line.as_bytes(), 200) });
            }
            lines.push(line);
            if last {
                return Ok(lines);
            }
        }
    }

    async fn line(&mut self, socket: &mut TcpStream) -> Result<String, SessionError> {
        let broken = |cause| SessionError::Broken { cause };
        loop {
            if let Some(end) = self.waiting.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.waiting.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            let mut piece = [0; 1024];
            let got = socket.read(&mut piece).await.map_err(broken)?;
            if got == 0 {
                return Err(broken(io::ErrorKind::UnexpectedEof.into()));
            }
            self.read_bytes += got;
            if self.read_bytes > BEFORE_TLS_BYTES {
                return Err(broken(io::Error::other("the server says too much")));
            }
            self.waiting.extend(piece.iter().take(got));
        }
    }
}

/// The TLS session as the SMTP library reads it.
#[derive(Debug)]
struct Bounded {
    preface: &'static [u8],
    left: usize,
    peer: SocketAddr,
    tls: TlsStream<TcpStream>,
}

impl AsyncTokioStream for Bounded {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl AsyncRead for Bounded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.preface.is_empty() {
            let (now, later) = self.preface.split_at(buffer.remaining().min(self.preface.len()));
            buffer.put_slice(now);
            self.preface = later;
            return Poll::Ready(Ok(()));
        }
        if self.left == 0 {
            return Poll::Ready(Err(io::Error::other("the server says too much")));
        }
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.tls).poll_read(cx, buffer);
        self.left = self.left.saturating_sub(buffer.filled().len() - before);
        result
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tls).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_shutdown(cx)
    }
}
