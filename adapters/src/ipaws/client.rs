//! The calls to IPAWS-OPEN.

use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderName};
use url::Url;

use super::reply::{self, Fault, Reply};
use super::soap::{self, Operation};
use super::wss::{Credentials, SigningError};
use crate::http::{self as client, HttpClient, HttpError, Request};

const SOAP_ACTION: HeaderName = HeaderName::from_static("soapaction");
/// A reply has a few groups a channel.
const REPLY_BYTES: usize = 1 << 20;

/// An account (COG) at one IPAWS-OPEN environment.
#[derive(Clone, Debug)]
pub struct Cog {
    pub(super) url: Url,
    pub(super) cog_id: u32,
    pub(super) user: String,
    pub(super) credentials: Credentials,
    pub(super) limit: Duration,
}

/// Why a call could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The envelope could not be made.
    #[error("the request could not be signed")]
    Signing {
        /// Why.
        #[source]
        cause: SigningError,
    },
    /// The request failed on the way.
    #[error("the request failed")]
    Http {
        /// Why.
        #[source]
        cause: HttpError,
    },
}

/// Why a ping did not come back.
#[derive(Debug, thiserror::Error)]
pub enum PingError {
    /// The call could not be made.
    #[error(transparent)]
    Call(#[from] CallError),
    /// A fault.
    #[error("IPAWS-OPEN answered with a fault: {}", fault.text)]
    Fault {
        /// What it says.
        fault: Fault,
    },
    /// Anything but `PONG`.
    #[error("IPAWS-OPEN did not answer PONG (status {status_code})")]
    NoPong {
        /// The HTTP status code.
        status_code: u16,
    },
}

impl Cog {
    pub(super) async fn call(
        &self,
        http: &HttpClient,
        operation: Operation,
        content: &str,
    ) -> Result<client::Reply, CallError> {
        let envelope = soap::envelope(&self.credentials, self.cog_id, &self.user, content)
            .map_err(|cause| CallError::Signing { cause })?;
        let request = Request::post(self.url.clone(), envelope.into())
            .header(CONTENT_TYPE, "text/xml; charset=utf-8")
            .and_then(|r| r.header(SOAP_ACTION, &operation.action()))
            .map_err(|cause| CallError::Http { cause })?;
        let request = request.limit(self.limit).max_reply_bytes(REPLY_BYTES);
        http.send(request).await.map_err(|cause| CallError::Http { cause })
    }

    /// Asks whether the service is well and takes our signature (`getAck`).
    ///
    /// # Errors
    /// No `PONG`.
    pub async fn ping(&self, http: &HttpClient) -> Result<(), PingError> {
        let answer = self.call(http, Operation::GetRequest, &soap::get_ack()).await?;
        if let Ok(Reply::Fault(fault)) = reply::read(&answer.body) {
            return Err(PingError::Fault { fault });
        }
        match reply::ack(&answer.body) {
            Ok(Some(text)) if text == "PONG" => Ok(()),
            Ok(_) | Err(_) => Err(PingError::NoPong { status_code: answer.status_code }),
        }
    }
}
