//! The SOAP 1.1 envelope: what is read of a request and how replies and faults are written.

use std::fmt::Write as _;

use roxmltree::Node;

use super::group::Group;
use crate::cap::CAP_1_2;
use crate::server::Answer;
use crate::signature::SOAP;
use crate::xml::{child, child_text, children, escape, is, text};

/// The service's namespace; SOAPAction is this and the operation.
pub const SERVICE: &str = "http://gov.fema.ipaws.services/IPAWS_CAPService/";
/// Namespace of the request parameters.
const REQUEST: &str = "http://gov.fema.ipaws.services/caprequest";
const RESPONSE: &str = "http://gov.fema.ipaws.services/capresponse";
const TYPE: &str = "text/xml;charset=UTF-8";

/// Who logs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logon {
    /// `logonUser`.
    pub user: String,
    /// `logonCogId`.
    pub cog_id: u32,
}

/// Reads the logon header.
#[must_use]
pub fn logon(envelope: Node<'_, '_>) -> Option<Logon> {
    let header = child(child(envelope, SOAP, "Header")?, SERVICE, "CAPHeaderTypeDef")?;
    let user = child_text(header, SERVICE, "logonUser")?;
    let cog_id = child_text(header, SERVICE, "logonCogId")?.parse().ok()?;
    Some(Logon { user, cog_id })
}

/// An operation.
#[derive(Debug)]
pub enum Operation<'a, 'input> {
    /// `getRequest`.
    GetRequest(Inquiry),
    /// `getMessage`.
    GetMessage(Inquiry),
    /// `postCAP` with the alert.
    PostCap(Node<'a, 'input>),
}

/// The parameters of `getRequest` and `getMessage`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inquiry {
    /// `requestAPI`.
    pub api: String,
    /// `requestOperation`.
    pub operation: String,
    /// Name, comparison, values of each parameter.
    pub parameters: Vec<(String, String, Vec<String>)>,
}

impl Inquiry {
    /// The first value of the first parameter.
    #[must_use]
    pub fn value(&self) -> &str {
        self.parameters.iter().flat_map(|(_, _, values)| values).next().map_or("", String::as_str)
    }

    fn read(node: Node<'_, '_>) -> Self {
        let of = |node, name| child_text(node, REQUEST, name).unwrap_or_default();
        let values = |node| children(node, REQUEST, "parameterValue").into_iter().map(text).collect();
        Self {
            api: of(node, "requestAPI"),
            operation: of(node, "requestOperation"),
            parameters: children(node, REQUEST, "parameters")
                .into_iter()
                .map(|node| (of(node, "parameterName"), of(node, "comparisonOp"), values(node)))
                .collect(),
        }
    }
}

/// Reads the operation in a Body.
#[must_use]
pub fn operation<'a, 'input>(envelope: Node<'a, 'input>) -> Option<Operation<'a, 'input>> {
    let content = child(envelope, SOAP, "Body")?.children().find(Node::is_element)?;
    if is(content, SERVICE, "getRequestTypeDef") {
        Some(Operation::GetRequest(Inquiry::read(content)))
    } else if is(content, SERVICE, "getMessageTypeDef") {
        Some(Operation::GetMessage(Inquiry::read(content)))
    } else if is(content, SERVICE, "postCAPRequestTypeDef") {
        child(content, CAP_1_2, "alert").map(Operation::PostCap)
    } else {
        None
    }
}

fn envelope(status: u16, body: &str) -> Answer {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<soap:Envelope xmlns:soap=\"{SOAP}\"><soap:Body>{body}</soap:Body>\
         </soap:Envelope>"
    );
    Answer::new(status, TYPE, text)
}

/// A fault as the recorded one: SOAP 1.1 element, SOAP 1.2 code. HTTP 500 is INFERRED from SOAP 1.1.
#[must_use]
pub fn fault(text: &str) -> Answer {
    envelope(500, &format!("<soap:Fault>{}</soap:Fault>", fault_head(text)))
}

/// A fault with the service's exception in its detail.
#[must_use]
pub fn exception(code: &str, text: &str) -> Answer {
    let (head, code, text) = (fault_head(text), escape(code), escape(text));
    envelope(
        500,
        &format!(
            "<soap:Fault>{head}<detail><ns2:CAPServiceException xmlns:ns2=\"{SERVICE}\"><ns2:errorCode>{code}\
             </ns2:errorCode><ns2:message>{text}</ns2:message></ns2:CAPServiceException></detail></soap:Fault>"
        ),
    )
}

fn fault_head(text: &str) -> String {
    format!(
        "<faultcode xmlns:env=\"http://www.w3.org/2003/05/soap-envelope\">env:Receiver</faultcode>\
         <faultstring>{}</faultstring>",
        escape(text)
    )
}

/// A parameter of a reply: name, value, sub-parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameter {
    /// `parameterName`.
    pub name: String,
    /// `parameterValue`, absent if empty.
    pub value: String,
    /// `subParaListItem` pairs.
    pub sub: Vec<(String, String)>,
}

impl Parameter {
    /// A name and a value.
    #[must_use]
    pub fn new(name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), value: value.to_owned(), sub: Vec::new() }
    }

    fn write(&self, out: &mut String) {
        out.push_str("<ns4:parameterListItem>");
        for (name, text) in [("parameterName", &self.name), ("parameterValue", &self.value)] {
            if !text.is_empty() {
                // Writing to a String does not fail.
                let _always = write!(out, "<ns4:{name}>{}</ns4:{name}>", escape(text));
            }
        }
        for (name, value) in &self.sub {
            let _always = write!(
                out,
                "<ns4:subParaListItem><ns4:subParameterName>{}</ns4:subParameterName><ns4:subParameterValue>{}\
                 </ns4:subParameterValue></ns4:subParaListItem>",
                escape(name),
                escape(value)
            );
        }
        out.push_str("</ns4:parameterListItem>");
    }
}

/// The reply of `getRequest` (`getResponseTypeDef`) or `postCAP` (`postCAPResponseTypeDef`).
#[must_use]
pub fn parameters(element: &str, list: &[Parameter]) -> Answer {
    let mut body = format!(
        "<ns2:{element} xmlns=\"{REQUEST}\" xmlns:ns2=\"{SERVICE}\" xmlns:ns3=\"{CAP_1_2}\" xmlns:ns4=\"{RESPONSE}\">"
    );
    for parameter in list {
        parameter.write(&mut body);
    }
    let _always = write!(body, "</ns2:{element}>");
    envelope(200, &body)
}

/// The reply of `postCAP`: the identifier, one flat run of groups, and the gateway's in an element of its own.
#[must_use]
pub fn post_reply(identifier: &str, groups: &[Group]) -> Answer {
    let run = |groups: &[&Group]| {
        let mut parameter = Parameter::default();
        for group in groups {
            let error = if group.is_error { "Y" } else { "N" };
            for (name, value) in [
                ("CHANNELNAME", group.channel.as_str()),
                ("STATUSITEMID", &group.code),
                ("ERROR", error),
                ("STATUS", &group.status),
            ] {
                parameter.sub.push((name.to_owned(), value.to_owned()));
            }
        }
        parameter
    };
    let (gateway, channels): (Vec<_>, Vec<_>) =
        groups.iter().partition(|group| group.channel == "sendinggatewayid");
    let mut list = vec![Parameter::new("identifier", identifier), run(&channels)];
    if !gateway.is_empty() {
        list.push(run(&gateway));
    }
    parameters("postCAPResponseTypeDef", &list)
}

/// The reply of `getMessage`: the alerts' bytes, unchanged.
#[must_use]
pub fn messages<'a>(alerts: impl Iterator<Item = &'a str>) -> Answer {
    let alerts: String = alerts.collect();
    envelope(
        200,
        &format!("<ns1:messageResponseTypeDef xmlns:ns1=\"{SERVICE}\">{alerts}</ns1:messageResponseTypeDef>"),
    )
}
