//! Opens connections: resolves once, checks every address, dials a checked one, puts TLS on top.
//!
//! Must not look at the environment for proxies, and must not dial anything that `Guard` did not see.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_service::Service;
use tracing::debug;

use super::guard::Guard;
use super::{HttpError, UrlProblem, millis};

/// Opens connections for the client.
#[derive(Clone)]
pub(super) struct Connector {
    guard: Arc<Guard>,
    tls: TlsConnector,
    limit: Duration,
}

impl Connector {
    pub(super) fn new(
        guard: Arc<Guard>,
        limit: Duration,
        extra_roots: Vec<CertificateDer<'static>>,
    ) -> Result<Self, HttpError> {
        let roots = roots(extra_roots)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|cause| HttpError::TlsSetUp { cause: Arc::new(cause) })?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Connector { guard, tls: TlsConnector::from(Arc::new(config)), limit })
    }
}

/// The certificates of a PEM file that can be roots.
pub(super) fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, HttpError> {
    let mut trial = RootCertStore::empty();
    let mut found = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|_| HttpError::BadRoots)?;
        trial.add(certificate.clone()).map_err(|_| HttpError::BadRoots)?;
        found.push(certificate);
    }
    if found.is_empty() { Err(HttpError::BadRoots) } else { Ok(found) }
}

fn roots(extra: Vec<CertificateDer<'static>>) -> Result<RootCertStore, HttpError> {
    let mut store = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    let (usable, ignored) = store.add_parsable_certificates(native.certs);
    if usable == 0 || ignored > 0 || !native.errors.is_empty() {
        debug!(usable, ignored, errors = native.errors.len(), "not all roots of the system are usable");
    }
    for certificate in extra {
        store.add(certificate).map_err(|_| HttpError::BadRoots)?;
    }
    Ok(store)
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, HttpError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), HttpError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.open(&uri).await.map(TokioIo::new) })
    }
}

impl Connector {
    async fn open(&self, uri: &Uri) -> Result<Stream, HttpError> {
        let host = uri.host().ok_or(HttpError::InvalidUrl { problem: UrlProblem::NoHost })?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let tls = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let socket = self.socket(host, port, tls).await?;
        if !tls {
            return Ok(Stream::Plain(socket));
        }
        self.session(host, socket).await.map(|session| Stream::Tls(Box::new(session)))
    }

    /// A connection to a checked address of a host. `tls` promises that nothing of worth is sent before TLS.
    pub(super) async fn socket(&self, host: &str, port: u16, tls: bool) -> Result<TcpStream, HttpError> {
        let dial = self.dial(host, port, tls);
        let socket = match tokio::time::timeout(self.limit, dial).await {
            Ok(result) => result?,
            Err(_) => {
                return Err(HttpError::ConnectTimeout {
                    host: host.to_owned(),
                    limit_ms: millis(self.limit),
                });
            }
        };
        // A small request goes out at once and is not held back for the acknowledgement of its head.
        let failed = |cause: io::Error| HttpError::Connect { host: host.to_owned(), cause: Arc::new(cause) };
        socket.set_nodelay(true).map_err(failed)?;
        Ok(socket)
    }

    /// A TLS session on a connection; the certificate must be good for `host`.
    pub(super) async fn session(
        &self,
        host: &str,
        socket: TcpStream,
    ) -> Result<TlsStream<TcpStream>, HttpError> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| HttpError::InvalidUrl { problem: UrlProblem::NoHost })?;
        self.tls
            .connect(name, socket)
            .await
            .map_err(|cause| HttpError::Tls { host: host.to_owned(), cause: Arc::new(cause) })
    }

    async fn dial(&self, host: &str, port: u16, tls: bool) -> Result<TcpStream, HttpError> {
        let deadline = Instant::now() + self.limit;
        let addresses = resolve(host).await?;
        self.guard.check(host, &addresses, tls)?;
        let mut last: Option<io::Error> = None;
        for (n, address) in addresses.iter().enumerate() {
            // Each address gets its share of what is left, so that a dead first one does not eat all the time.
            let shares = u32::try_from(addresses.len() - n).unwrap_or(u32::MAX);
            let share = deadline.saturating_duration_since(Instant::now()) / shares;
            match tokio::time::timeout(share, TcpStream::connect(SocketAddr::new(*address, port))).await {
                Ok(Ok(socket)) => return Ok(socket),
                Ok(Err(error)) => last = Some(error),
                Err(_) => last = Some(io::ErrorKind::TimedOut.into()),
            }
        }
        let host = host.to_owned();
        Err(match last {
            Some(cause) => HttpError::Connect { host, cause: Arc::new(cause) },
            None => HttpError::Unresolved { host, cause: None },
        })
    }
}

impl Connector {
    /// Resolves a host and checks its addresses as if it were to be dialled.
    pub(super) async fn look(&self, host: &str, tls: bool) -> Result<(), HttpError> {
        let addresses = match tokio::time::timeout(self.limit, resolve(host)).await {
            Ok(found) => found?,
            Err(_) => {
                return Err(HttpError::ConnectTimeout {
                    host: host.to_owned(),
                    limit_ms: millis(self.limit),
                });
            }
        };
        self.guard.check(host, &addresses, tls)
    }
}

async fn resolve(host: &str) -> Result<Vec<IpAddr>, HttpError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![address]);
    }
    let found = tokio::net::lookup_host((host, 0)).await;
    let found = found
        .map_err(|cause| HttpError::Unresolved { host: host.to_owned(), cause: Some(Arc::new(cause)) })?;
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in found {
        if !addresses.contains(&address.ip()) {
            addresses.push(address.ip());
        }
    }
    Ok(addresses)
}

/// A connection with or without TLS.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(s) => Pin::new(s).poll_read(cx, buffer),
            Stream::Tls(s) => Pin::new(s).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(s) => Pin::new(s).poll_write(cx, bytes),
            Stream::Tls(s) => Pin::new(s).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(s) => Pin::new(s).poll_flush(cx),
            Stream::Tls(s) => Pin::new(s).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(s) => Pin::new(s).poll_shutdown(cx),
            Stream::Tls(s) => Pin::new(s).poll_shutdown(cx),
        }
    }
}
