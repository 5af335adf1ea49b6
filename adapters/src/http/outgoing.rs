//! The body of a request, which notices when the connection asks for it.
//!
//! A body that nobody asked for has not been sent, whatever went wrong later: this is how "timed out before it was
//! sent" and "sent, answer lost" are told apart.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// Whether a body was asked for.
#[derive(Debug)]
pub(super) struct Begun {
    flag: Arc<AtomicBool>,
    empty: bool,
}

impl Begun {
    /// An empty body is never asked for, so a request without one counts as sent.
    pub(super) fn maybe_sent(&self) -> bool {
        self.empty || self.flag.load(Ordering::Acquire)
    }
}

/// A body of known length.
#[derive(Debug)]
pub(super) struct Outgoing {
    left: Option<Bytes>,
    flag: Arc<AtomicBool>,
}

impl Outgoing {
    pub(super) fn new(body: Bytes) -> (Self, Begun) {
        let flag = Arc::new(AtomicBool::new(false));
        let empty = body.is_empty();
        let left = if empty { None } else { Some(body) };
        (Outgoing { left, flag: Arc::clone(&flag) }, Begun { flag, empty })
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.flag.store(true, Ordering::Release);
        Poll::Ready(self.left.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.as_ref().map_or(0, |b| b.len() as u64))
    }
}
