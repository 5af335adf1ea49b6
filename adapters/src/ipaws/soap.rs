//! SOAP 1.1 envelopes for the three operations of IPAWS-OPEN, document/literal.

use cap_schema::xml::escape_text;

use super::wss::{BODY_ID, Credentials, SigningError, WSU};

const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";
/// The service namespace, which the operation's action begins with.
pub const SERVICE: &str = "http://gov.fema.ipaws.services/IPAWS_CAPService/";
const REQUEST: &str = "http://gov.fema.ipaws.services/caprequest";

/// The operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Asks about the service.
    GetRequest,
    /// Posts an alert.
    PostCap,
}

impl Operation {
    /// The value of `SOAPAction`, in its quotes.
    pub fn action(self) -> String {
        let name = match self {
            Operation::GetRequest => "getRequest",
            Operation::PostCap => "postCAP",
        };
        format!("\"{SERVICE}{name}\"")
    }
}

/// The content of a Body that posts an alert. Its bytes are put in unchanged, less the XML declaration.
pub fn post_cap(alert: &str) -> String {
    format!(
        "<ipaw:postCAPRequestTypeDef xmlns:ipaw=\"{SERVICE}\">{}</ipaw:postCAPRequestTypeDef>",
        without_declaration(alert)
    )
}

/// The content of a Body that asks whether the service is well.
pub fn get_ack() -> String {
    format!(
        "<ipaw:getRequestTypeDef xmlns:ipaw=\"{SERVICE}\"><req:requestAPI xmlns:req=\"{REQUEST}\">REQUEST1\
         </req:requestAPI><req:requestOperation xmlns:req=\"{REQUEST}\">getAck</req:requestOperation>\
         </ipaw:getRequestTypeDef>"
    )
}

fn without_declaration(xml: &str) -> &str {
    let xml = xml.trim_start_matches('\u{feff}');
    match xml.strip_prefix("<?xml ").and_then(|rest| rest.split_once("?>")) {
        Some((_, rest)) => rest.trim_start_matches([' ', '\t', '\r', '\n']),
        None => xml,
    }
}

/// A whole signed envelope.
///
/// # Errors
/// The content is not XML, or the key does not sign.
pub fn envelope(
    credentials: &Credentials,
    cog_id: u32,
    user: &str,
    content: &str,
) -> Result<String, SigningError> {
    // Declares all that it uses, so that its canonical form does not depend on the envelope around it.
    let body = format!(
        "<soapenv:Body xmlns:soapenv=\"{SOAP}\" xmlns:wsu=\"{WSU}\" wsu:Id=\"{BODY_ID}\">{content}</soapenv:Body>"
    );
    let security = credentials.security(&body)?;
    let mut escaped = String::new();
    escape_text(user, &mut escaped);
    Ok(format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <soapenv:Envelope xmlns:soapenv=\"{SOAP}\"><soapenv:Header>{security}\
         <ipaw:CAPHeaderTypeDef xmlns:ipaw=\"{SERVICE}\"><ipaw:logonUser>{escaped}</ipaw:logonUser>\
         <ipaw:logonCogId>{cog_id}</ipaw:logonCogId></ipaw:CAPHeaderTypeDef></soapenv:Header>\
         {body}</soapenv:Envelope>"
    ))
}
