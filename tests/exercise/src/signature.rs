//! XML signatures as IPAWS uses them: the enveloped one of an alert and the WS-Security one of a
//! SOAP Body. The simulators' own code: one Reference to the whole document or to the Body, few
//! algorithms, the key only from the certificate.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use roxmltree::Node;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::c14n::{EXCLUSIVE, Method, canonical};
use crate::keys::{CogKey, KeysError};
use crate::xml::{child, children, document, is, text};

const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
const SHA256_NAME: &str = "http://www.w3.org/2001/04/xmlenc#sha256";
const WSSE: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
const WSU: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
/// SOAP 1.1 envelope namespace.
pub const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";

/// Why a signature does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is none.
    #[error("there is no signature")]
    Absent,
    /// A Signature where none may be, or more than one.
    #[error("the signature is not in its one place")]
    Misplaced,
    /// A required element is missing or unreadable.
    #[error("the signature lacks {0}")]
    Incomplete(&'static str),
    /// An algorithm that is not allowed.
    #[error("the algorithm of {0} is not allowed")]
    Algorithm(&'static str),
    /// The Body is not among the references, or two elements have its id.
    #[error("the body is not what is signed")]
    BodyNotSigned,
    /// The digest of a reference differs.
    #[error("a digest does not match")]
    Digest,
    /// The signature value does not fit the key.
    #[error("the signature value does not match")]
    Value,
    /// The certificate cannot be read.
    #[error("the certificate cannot be read")]
    Certificate,
    /// Elements are nested too deep.
    #[error("elements are nested too deep")]
    TooDeep,
}

/// What a simulator needs to know of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Common name of the subject.
    pub common_name: String,
    /// First second of validity.
    pub not_before: Timestamp,
    /// Last second of validity.
    pub not_after: Timestamp,
    signed_part: Vec<u8>,
    signature: Vec<u8>,
    public_key: Vec<u8>,
    issuer: Vec<u8>,
    subject: Vec<u8>,
}

impl Certificate {
    /// Reads a certificate.
    ///
    /// # Errors
    /// If it is none.
    pub fn from_der(der: &[u8]) -> Result<Self, SignatureError> {
        let (_, parsed) = X509Certificate::from_der(der).map_err(|_| SignatureError::Certificate)?;
        let second = |at| Timestamp::from_second(at).map_err(|_| SignatureError::Certificate);
        let name = parsed.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
        Ok(Self {
            common_name: name.unwrap_or_default().to_owned(),
            not_before: second(parsed.validity().not_before.timestamp())?,
            not_after: second(parsed.validity().not_after.timestamp())?,
            signed_part: parsed.tbs_certificate.as_ref().to_vec(),
            signature: parsed.signature_value.data.to_vec(),
            public_key: parsed.public_key().subject_public_key.data.to_vec(),
            issuer: parsed.issuer().as_raw().to_vec(),
            subject: parsed.subject().as_raw().to_vec(),
        })
    }

    /// Reads the first certificate of a PEM text.
    ///
    /// # Errors
    /// If there is none.
    pub fn from_pem(pem: &str) -> Result<Self, SignatureError> {
        Self::from_der(&crate::keys::pem_bytes(pem).ok_or(SignatureError::Certificate)?)
    }

    /// The number of `IPAWSOPEN200032` or `IPAWSOPEN_200032`.
    #[must_use]
    pub fn cog_id(&self) -> Option<u32> {
        let rest = self.common_name.strip_prefix("IPAWSOPEN")?;
        rest.strip_prefix('_').unwrap_or(rest).parse().ok()
    }

    /// Whether it is valid at a time.
    #[must_use]
    pub fn is_valid_at(&self, at: Timestamp) -> bool {
        self.not_before <= at && at <= self.not_after
    }

    /// Whether `authority` signed it.
    #[must_use]
    pub fn is_issued_by(&self, authority: &Self) -> bool {
        self.issuer == authority.subject
            && verifies(&authority.public_key, &self.signed_part, &self.signature)
    }
}

fn verifies(public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public_key).verify(message, signature).is_ok()
}

/// Checks the signature of an alert that is a document of its own, and gives the signer's certificate.
///
/// # Errors
/// If there is no signature or it does not hold.
pub fn verify_alert(alert: Node<'_, '_>) -> Result<Certificate, SignatureError> {
    let everywhere = alert.descendants().filter(|node| is(*node, DSIG, "Signature")).count();
    let signature = child(alert, DSIG, "Signature").ok_or(match everywhere {
        0 => SignatureError::Absent,
        _ => SignatureError::Misplaced,
    })?;
    if everywhere != 1 {
        return Err(SignatureError::Misplaced);
    }
    let key_info = child(signature, DSIG, "KeyInfo").ok_or(SignatureError::Incomplete("KeyInfo"))?;
    let held = key_info.descendants().find(|node| is(*node, DSIG, "X509Certificate"));
    let held = held.ok_or(SignatureError::Incomplete("X509Certificate"))?;
    let certificate = Certificate::from_der(&base64(held, "X509Certificate")?)?;
    let references = verify_signed_info(signature, &certificate)?;
    let [reference] = references.as_slice() else {
        return Err(SignatureError::Misplaced);
    };
    if reference.attribute("URI") != Some("") {
        return Err(SignatureError::Misplaced);
    }
    let left_out = [signature.id()];
    verify_reference(*reference, alert.document().root(), &left_out)?;
    Ok(certificate)
}

/// Checks the WS-Security signature of a SOAP envelope: the Body must be signed, by its `wsu:Id`, with
/// the key of the `BinarySecurityToken`.
///
/// # Errors
/// If there is no signature, it does not hold, or it does not cover the Body.
pub fn verify_envelope(envelope: Node<'_, '_>) -> Result<Certificate, SignatureError> {
    let header = child(envelope, SOAP, "Header").ok_or(SignatureError::Absent)?;
    let security = match children(header, WSSE, "Security").as_slice() {
        [] => return Err(SignatureError::Absent),
        [one] => *one,
        _ => return Err(SignatureError::Misplaced),
    };
    let signature = child(security, DSIG, "Signature").ok_or(SignatureError::Absent)?;
    let certificate = token(security, signature)?;
    let [body] = children(envelope, SOAP, "Body")[..] else {
        return Err(SignatureError::BodyNotSigned);
    };
    let mut covers_body = false;
    for reference in verify_signed_info(signature, &certificate)? {
        let id = reference.attribute("URI").and_then(|uri| uri.strip_prefix('#'));
        let id = id.ok_or(SignatureError::Misplaced)?;
        let named: Vec<_> =
            envelope.descendants().filter(|node| node.attribute((WSU, "Id")) == Some(id)).collect();
        let [target] = named.as_slice() else {
            return Err(SignatureError::BodyNotSigned);
        };
        verify_reference(reference, *target, &[])?;
        covers_body |= *target == body;
    }
    if covers_body { Ok(certificate) } else { Err(SignatureError::BodyNotSigned) }
}

fn token(security: Node<'_, '_>, signature: Node<'_, '_>) -> Result<Certificate, SignatureError> {
    let reference = child(signature, DSIG, "KeyInfo")
        .and_then(|info| child(info, WSSE, "SecurityTokenReference"))
        .and_then(|token| child(token, WSSE, "Reference"))
        .and_then(|reference| reference.attribute("URI")?.strip_prefix('#'))
        .ok_or(SignatureError::Incomplete("SecurityTokenReference"))?;
    let token = children(security, WSSE, "BinarySecurityToken")
        .into_iter()
        .find(|token| token.attribute((WSU, "Id")) == Some(reference))
        .ok_or(SignatureError::Incomplete("BinarySecurityToken"))?;
    let says = |name, end: &str| token.attribute(name).is_some_and(|value: &str| value.ends_with(end));
    if !says("ValueType", "#X509v3") || !says("EncodingType", "#Base64Binary") {
        return Err(SignatureError::Incomplete("the token's types"));
    }
    Certificate::from_der(&base64(token, "BinarySecurityToken")?)
}

/// Checks the signature value over `SignedInfo` and gives its references.
fn verify_signed_info<'a, 'input>(
    signature: Node<'a, 'input>,
    certificate: &Certificate,
) -> Result<Vec<Node<'a, 'input>>, SignatureError> {
    let info = child(signature, DSIG, "SignedInfo").ok_or(SignatureError::Incomplete("SignedInfo"))?;
    if algorithm(info, "SignatureMethod")? != RSA_SHA256 {
        return Err(SignatureError::Algorithm("SignatureMethod"));
    }
    let method = child(info, DSIG, "CanonicalizationMethod").and_then(method_of);
    let method = method.ok_or(SignatureError::Algorithm("CanonicalizationMethod"))?;
    let signed = canonical(info, &method, &[]).map_err(|_| SignatureError::TooDeep)?;
    let value =
        child(signature, DSIG, "SignatureValue").ok_or(SignatureError::Incomplete("SignatureValue"))?;
    if !verifies(&certificate.public_key, signed.as_bytes(), &base64(value, "SignatureValue")?) {
        return Err(SignatureError::Value);
    }
    Ok(children(info, DSIG, "Reference"))
}

fn verify_reference(
    reference: Node<'_, '_>,
    target: Node<'_, '_>,
    left_out: &[roxmltree::NodeId],
) -> Result<(), SignatureError> {
    let mut method = Method::default();
    let transforms = child(reference, DSIG, "Transforms");
    for transform in transforms.map(|list| children(list, DSIG, "Transform")).unwrap_or_default() {
        if transform.attribute("Algorithm") == Some(ENVELOPED) && !left_out.is_empty() {
            continue;
        }
        method = method_of(transform).ok_or(SignatureError::Algorithm("Transform"))?;
    }
    if algorithm(reference, "DigestMethod")? != SHA256_NAME {
        return Err(SignatureError::Algorithm("DigestMethod"));
    }
    let wanted = child(reference, DSIG, "DigestValue").ok_or(SignatureError::Incomplete("DigestValue"))?;
    let octets = canonical(target, &method, left_out).map_err(|_| SignatureError::TooDeep)?;
    if digest(&SHA256, octets.as_bytes()).as_ref() == base64(wanted, "DigestValue")? {
        Ok(())
    } else {
        Err(SignatureError::Digest)
    }
}

fn method_of(node: Node<'_, '_>) -> Option<Method> {
    let mut method = Method::named(node.attribute("Algorithm")?)?;
    if let Some(list) = child(node, EXCLUSIVE, "InclusiveNamespaces").and_then(|n| n.attribute("PrefixList"))
    {
        method.inclusive_prefixes = list.split_ascii_whitespace().map(str::to_owned).collect();
    }
    Some(method)
}

fn algorithm<'a>(parent: Node<'a, '_>, name: &'static str) -> Result<&'a str, SignatureError> {
    child(parent, DSIG, name)
        .and_then(|node| node.attribute("Algorithm"))
        .ok_or(SignatureError::Incomplete(name))
}

fn base64(node: Node<'_, '_>, name: &'static str) -> Result<Vec<u8>, SignatureError> {
    let compact: String = text(node).chars().filter(|c| !c.is_whitespace()).collect();
    BASE64.decode(compact).map_err(|_| SignatureError::Incomplete(name))
}

/// Why an alert could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// It is not well-formed.
    #[error("the alert to sign cannot be read")]
    Unreadable {
        /// Why.
        #[source]
        cause: crate::xml::XmlError,
    },
    /// It does not end in an end tag.
    #[error("the alert to sign has no end tag")]
    NoEnd,
    /// It is nested too deep.
    #[error("the alert to sign cannot be canonicalised")]
    TooDeep {
        /// Why.
        #[source]
        cause: crate::c14n::TooDeep,
    },
    /// The key refused.
    #[error("the key refused to sign")]
    Key {
        /// Why.
        #[source]
        cause: KeysError,
    },
}

/// Signs an alert in the shape of real IPAWS alerts: enveloped, inclusive C14N for the content,
/// exclusive C14N for `SignedInfo`, RSA-SHA256, the certificate in `X509Data`.
///
/// # Errors
/// If the text is no XML document or the key refuses.
pub fn sign_alert(alert: &str, key: &CogKey) -> Result<String, SigningError> {
    let parsed = document(alert).map_err(|cause| SigningError::Unreadable { cause })?;
    let deep = |cause| SigningError::TooDeep { cause };
    let content = canonical(parsed.root(), &Method::default(), &[]).map_err(deep)?;
    let end = parsed.root_element().range().end;
    let start = alert.get(..end).and_then(|text| text.rfind("</")).ok_or(SigningError::NoEnd)?;
    let (before, after) = (alert.get(..start).unwrap_or_default(), alert.get(start..).unwrap_or_default());
    let digest_value = BASE64.encode(digest(&SHA256, content.as_bytes()));
    let transform = format!(r#"<Transform Algorithm="{ENVELOPED}"></Transform>"#);
    let info = signed_info("", &transform, &digest_value);
    let value = key.sign(info.as_bytes()).map_err(|cause| SigningError::Key { cause })?;
    let (value, certificate) = (BASE64.encode(value), BASE64.encode(&key.certificate_der));
    Ok(format!(
        "{before}<Signature xmlns=\"{DSIG}\">{info}<SignatureValue>{value}</SignatureValue><KeyInfo><X509Data>\
         <X509Certificate>{certificate}</X509Certificate></X509Data></KeyInfo></Signature>{after}",
        info = info.replacen(&format!(" xmlns=\"{DSIG}\""), "", 1)
    ))
}

/// `SignedInfo` in its own canonical form, for the default namespace prefix.
fn signed_info(uri: &str, transform: &str, digest_value: &str) -> String {
    format!(
        "<SignedInfo xmlns=\"{DSIG}\"><CanonicalizationMethod Algorithm=\"{EXCLUSIVE}\"></CanonicalizationMethod>\
         <SignatureMethod Algorithm=\"{RSA_SHA256}\"></SignatureMethod><Reference URI=\"{uri}\"><Transforms>\
         {transform}</Transforms><DigestMethod Algorithm=\"{SHA256_NAME}\"></DigestMethod>\
         <DigestValue>{digest_value}</DigestValue></Reference></SignedInfo>"
    )
}

/// Puts a SOAP Body content into an envelope that `key` signs, as the tests and the scenario player post it.
///
/// # Errors
/// If the content is no XML or the key refuses.
pub fn sign_envelope(content: &str, user: &str, cog_id: u32, key: &CogKey) -> Result<String, SigningError> {
    let service = "http://gov.fema.ipaws.services/IPAWS_CAPService/";
    let body = format!(
        "<soapenv:Body xmlns:soapenv=\"{SOAP}\" xmlns:wsu=\"{WSU}\" wsu:Id=\"id-1\">{content}</soapenv:Body>"
    );
    let parsed = document(&body).map_err(|cause| SigningError::Unreadable { cause })?;
    let method = Method { exclusive: true, ..Method::default() };
    let octets =
        canonical(parsed.root_element(), &method, &[]).map_err(|cause| SigningError::TooDeep { cause })?;
    let digest_value = BASE64.encode(digest(&SHA256, octets.as_bytes()));
    let transform = format!("<Transform Algorithm=\"{EXCLUSIVE}\"></Transform>");
    let info = signed_info("#id-1", &transform, &digest_value);
    let value = BASE64.encode(key.sign(info.as_bytes()).map_err(|cause| SigningError::Key { cause })?);
    let (user, certificate) = (crate::xml::escape(user), BASE64.encode(&key.certificate_der));
    Ok(format!(
        "<soapenv:Envelope xmlns:soapenv=\"{SOAP}\"><soapenv:Header><wsse:Security xmlns:wsse=\"{WSSE}\" \
         xmlns:wsu=\"{WSU}\" soapenv:mustUnderstand=\"1\"><wsse:BinarySecurityToken EncodingType=\"\
         http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary\" \
         ValueType=\"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3\" \
         wsu:Id=\"X509-1\">{certificate}</wsse:BinarySecurityToken><Signature xmlns=\"{DSIG}\">{info}\
         <SignatureValue>{value}</SignatureValue><KeyInfo><wsse:SecurityTokenReference><wsse:Reference \
         URI=\"#X509-1\"/></wsse:SecurityTokenReference></KeyInfo></Signature></wsse:Security>\
         <CAPHeaderTypeDef xmlns=\"{service}\"><logonUser>{user}</logonUser><logonCogId>{cog_id}</logonCogId>\
         </CAPHeaderTypeDef></soapenv:Header>{body}</soapenv:Envelope>"
    ))
}
