//! WS-Security as IPAWS-OPEN wants it: one signature over the SOAP Body, no timestamp.
//!
//! Owns the COG's key and certificate. The signed parts are written in their canonical form, so what is digested stands
//! in the envelope byte for byte. Sources: WS-Security 1.0, X.509 token profile 1.0, conformant clients.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cap_schema::Limits;
use cap_schema::signature::{SignError, SigningKey};
use cap_schema::xml::c14n::{self, Method};
use jiff::Timestamp;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::settings::{Faults, Secret};

pub(super) const WSSE: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
pub(super) const WSU: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
const BASE64: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary";
const X509: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3";
const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
/// The `wsu:Id` of the Body.
pub(super) const BODY_ID: &str = "id-1";

/// The key and certificate of a COG.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Signs the alert and the Body.
    pub(super) key: Arc<SigningKey>,
    /// From when the certificate holds.
    pub(super) not_before: Timestamp,
    /// Until when it holds.
    pub(super) not_after: Timestamp,
}

/// Why a Body could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// It is not XML that can be canonicalised.
    #[error("the body cannot be canonicalised")]
    NotCanonical {
        /// Why.
        #[source]
        cause: crate::tree::Malformed,
    },
    /// The key does not sign.
    #[error("the key does not sign")]
    Key {
        /// Why.
        #[source]
        cause: SignError,
    },
}

impl Credentials {
    /// Reads key and certificate and checks that they belong together and to the COG.
    pub(super) fn read(key: &Secret, certificate: &str, cog_id: u32, faults: &mut Faults) -> Option<Self> {
        let remedy = "convert the JKS file of FEMA: keytool -importkeystore ..., openssl pkcs12 -nodes";
        let key = match SigningKey::from_pkcs8_pem(key.expose(), certificate) {
            Ok(key) => key,
            Err(error) => {
                let at = match error {
                    SignError::CertificatePem { .. } | SignError::Certificate => "certificate_file",
                    SignError::KeyPem { .. }
                    | SignError::Key
                    | SignError::CurveKey
                    | SignError::OtherKey
                    | SignError::Document { .. }
                    | SignError::NotAnAlert
                    | SignError::Signed
                    | SignError::Refused => "key_file",
                };
                faults.push(at, error.to_string(), remedy);
                return None;
            }
        };
        let Ok((_, parsed)) = X509Certificate::from_der(key.certificate_der()) else {
            faults.push("certificate_file", "is not an X.509 certificate", remedy);
            return None;
        };
        let owner = parsed.subject().iter_common_name().filter_map(|cn| cn.as_str().ok()).find_map(cog_of);
        match owner {
            Some(owner) if owner == cog_id => {}
            Some(owner) => {
                let problem = format!("belongs to COG {owner}, and cog_id is {cog_id}");
                faults.push(
                    "certificate_file",
                    problem,
                    "IPAWS refuses a post whose certificate is another COG's",
                );
            }
            None => {
                let problem = "names no COG: its CN is not IPAWSOPEN and a number";
                faults.push("certificate_file", problem, "use the certificate that FEMA gave to the COG");
            }
        }
        let validity = parsed.validity();
        let at = |secs: i64| Timestamp::from_second(secs).ok();
        let (Some(not_before), Some(not_after)) =
            (at(validity.not_before.timestamp()), at(validity.not_after.timestamp()))
        else {
            faults.push("certificate_file", "holds from or until a time that is none", remedy);
            return None;
        };
        if not_after <= not_before {
            faults.push("certificate_file", "never holds: it ends before it begins", remedy);
        }
        Some(Credentials { key: Arc::new(key), not_before, not_after })
    }

    /// The `wsse:Security` header for a Body. The Body must declare every namespace that it uses.
    ///
    /// # Errors
    /// The Body is not XML, or the key does not sign.
    pub(super) fn security(&self, body: &str) -> Result<String, SigningError> {
        let limits = Limits { document_bytes: body.len(), ..Limits::default() };
        let canonical = c14n::document(body, &limits, &Method::EXCLUSIVE, &[])
            .map_err(|cause| SigningError::NotCanonical { cause: cause.into() })?;
        let body_digest = STANDARD.encode(digest(&SHA256, canonical.as_bytes()));
        let exclusive = "http://www.w3.org/2001/10/xml-exc-c14n#";
        // In canonical form: what is signed is what stands in the envelope.
        let signed_info = format!(
            "<ds:SignedInfo xmlns:ds=\"{DSIG}\">\
             <ds:CanonicalizationMethod Algorithm=\"{exclusive}\"></ds:CanonicalizationMethod>\
             <ds:SignatureMethod Algorithm=\"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256\"></ds:SignatureMethod>\
             <ds:Reference URI=\"#{BODY_ID}\"><ds:Transforms>\
             <ds:Transform Algorithm=\"{exclusive}\"></ds:Transform></ds:Transforms>\
             <ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"></ds:DigestMethod>\
             <ds:DigestValue>{body_digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>"
        );
        let signature = self.key.sign_rsa_sha256(signed_info.as_bytes());
        let signature = STANDARD.encode(signature.map_err(|cause| SigningError::Key { cause })?);
        let token = STANDARD.encode(self.key.certificate_der());
        Ok(format!(
            "<wsse:Security xmlns:wsse=\"{WSSE}\" xmlns:wsu=\"{WSU}\" soapenv:mustUnderstand=\"1\">\
             <wsse:BinarySecurityToken EncodingType=\"{BASE64}\" ValueType=\"{X509}\" wsu:Id=\"X509-1\">{token}\
             </wsse:BinarySecurityToken>\
             <ds:Signature xmlns:ds=\"{DSIG}\" Id=\"SIG-1\">{signed_info}\
             <ds:SignatureValue>{signature}</ds:SignatureValue>\
             <ds:KeyInfo Id=\"KI-1\"><wsse:SecurityTokenReference wsu:Id=\"STR-1\">\
             <wsse:Reference URI=\"#X509-1\" ValueType=\"{X509}\"/></wsse:SecurityTokenReference></ds:KeyInfo>\
             </ds:Signature></wsse:Security>"
        ))
    }
}

/// The number in `IPAWSOPEN200032` or `IPAWSOPEN_200032`.
fn cog_of(common_name: &str) -> Option<u32> {
    let number = common_name.strip_prefix("IPAWSOPEN")?;
    let number = number.strip_prefix('_').unwrap_or(number);
    if number.bytes().all(|b| b.is_ascii_digit()) { number.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cog_is_read_from_the_common_name() {
        for (name, cog) in [
            ("IPAWSOPEN200032", Some(200_032)),
            ("IPAWSOPEN_200076", Some(200_076)),
            ("IPAWSOPEN", None),
            ("IPAWSOPEN_", None),
            ("IPAWSOPEN200032x", None),
            ("ipawsopen200032", None),
            ("CN=IPAWSOPEN200032", None),
            ("IPAWSOPEN+1", None),
        ] {
            assert_eq!(cog_of(name), cog, "{name}");
        }
    }
}
