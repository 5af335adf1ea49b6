//! Replies of our own, in the layouts that were seen.

use super::*;

/// `CHANNEL CODE ERROR STATUS` lines, a blank line between parameter lists; `-` leaves a part out.
fn reply(lists: &str) -> String {
    let mut out = String::from(
        "<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Body>\
         <n:postCAPResponseTypeDef xmlns:n=\"http://gov.fema.ipaws.services/IPAWS_CAPService/\" \
         xmlns:r=\"http://gov.fema.ipaws.services/capresponse\"><r:parameterListItem>\
         <r:parameterName>identifier</r:parameterName><r:parameterValue>i</r:parameterValue></r:parameterListItem>",
    );
    for list in lists.split("\n\n") {
        out.push_str("<r:parameterListItem>");
        for line in list.lines().map(str::trim).filter(|l| !l.is_empty()) {
            let names = ["CHANNELNAME", "STATUSITEMID", "ERROR", "STATUS"];
            for (name, value) in names.into_iter().zip(line.splitn(4, ' ')).filter(|(_, v)| *v != "-") {
                out.push_str(&format!(
                    "<r:subParaListItem><r:subParameterName>{name}</r:subParameterName>\
                     <r:subParameterValue>{value}</r:subParameterValue></r:subParaListItem>"
                ));
            }
        }
        out.push_str("</r:parameterListItem>");
    }
    out + "</n:postCAPResponseTypeDef></soap:Body></soap:Envelope>"
}

fn groups_of(text: &str) -> Vec<Group> {
    match read(text.as_bytes()).unwrap() {
        Reply::Groups(groups) => groups,
        other => panic!("{other:?}"),
    }
}

const TAKEN: &str = "CAPEXCH 200 N Ack\nCAPEXCH 202 N alert-signature-is-valid\nIPAWS 300 N Ack\n";

// the verdict is that of the groups, never that of HTTP; what is missing is a failure.
#[test]
fn a_18_the_groups_decide_and_what_is_missing_is_a_failure() {
    #[derive(Debug, PartialEq)]
    enum End {
        Accepted,
        Partial(usize),
        Rejected(Rejection),
        Unknown,
    }
    let all = format!(
        "{TAKEN}NWEM 401 N no\nEAS 500 N Ack\nCMAS 600 N Ack\nPUBLIC 801 N no\n\nsendinggatewayid 10 N Ack"
    );
    let feed = format!(
        "{TAKEN}NWEM 401 N no\nEAS 501 N no\nCMAS 600 N Ack\nPUBLIC 800 N Ack\n\nsendinggatewayid 10 N Ack"
    );
    let cases: Vec<(String, &[&str], End)> = vec![
        (all.clone(), &["EAS", "CMAS"], End::Accepted),
        (all.clone(), &["EAS", "CMAS", "PUBLIC"], End::Accepted),
        (all.clone(), &["NWEM", "EAS", "CMAS"], End::Partial(1)),
        (feed.clone(), &["CMAS", "PUBLIC"], End::Accepted),
        (feed.clone(), &["EAS", "PUBLIC"], End::Partial(1)),
        (TAKEN.into(), &[], End::Accepted),
        (TAKEN.into(), &["EAS"], End::Partial(1)),
        (format!("{TAKEN}CMAS 615 Y signer-not-authorized"), &["CMAS"], End::Partial(1)),
        (format!("{TAKEN}CMAS 615 Y signer-not-authorized"), &[], End::Partial(1)),
        (format!("{TAKEN}CMAS 600 N Ack\nCMAS 199 Y gateway unavailable"), &["CMAS"], End::Partial(1)),
        (format!("{TAKEN}CMAS 600 - Ack"), &["CMAS"], End::Partial(1)),
        (format!("{TAKEN}CMAS 699 N news"), &["CMAS"], End::Partial(1)),
        ("CAPEXCH 200 N Ack\nEAS 500 N Ack".into(), &["EAS"], End::Partial(2)),
        (
            "CAPEXCH 208 Y alert-signature-not-valid\nCAPEXCH 221 Y invalid".into(),
            &[],
            End::Rejected(Rejection::Message),
        ),
        ("IPAWS 307 Y reference-element-invalid".into(), &[], End::Rejected(Rejection::Reference)),
        ("CAPEXCH 209 Y expired".into(), &[], End::Rejected(Rejection::Expired)),
        ("IPAWS 307 Y reference\nIPAWS 310 Y profile".into(), &[], End::Rejected(Rejection::Message)),
        ("CAPEXCH 201 Y duplicate".into(), &[], End::Rejected(Rejection::Duplicate)),
        ("IPAWS 307 Y reference\nCAPEXCH 201 Y duplicate".into(), &[], End::Rejected(Rejection::Duplicate)),
        (format!("{TAKEN}CAPEXCH 201 Y duplicate"), &[], End::Rejected(Rejection::Duplicate)),
        ("CAPEXCH 200 N Ack\nIPAWS 303 Y too old".into(), &[], End::Rejected(Rejection::Stale)),
        ("CAPEXCH 201 Y duplicate\nIPAWS 303 Y too old".into(), &[], End::Rejected(Rejection::Duplicate)),
        ("CAPEXCH 200 Y Ack".into(), &[], End::Rejected(Rejection::Message)),
        ("CAPEXCH 200 y Ack".into(), &[], End::Rejected(Rejection::Message)),
        ("EAS 500 N Ack".into(), &["EAS"], End::Unknown),
        ("- - N Ack".into(), &[], End::Unknown),
    ];
    for (lists, wanted, expected) in cases {
        let end = match judge(&groups_of(&reply(&lists)), wanted) {
            Outcome::Accepted => End::Accepted,
            Outcome::Partial(missing) => End::Partial(missing.len()),
            Outcome::Rejected(why) => End::Rejected(why),
            Outcome::Unknown => End::Unknown,
        };
        assert_eq!(end, expected, "{lists} {wanted:?}");
    }
}

#[test]
fn groups_without_a_channel_name_are_told_apart() {
    let groups = groups_of(&reply("PUBLIC 800 N Ack\n- 801 N no\n- 801 N no"));
    assert_eq!(groups.len(), 3);
    assert_eq!((groups[1].channel.as_deref(), groups[1].code.as_deref()), (None, Some("801")));
    assert_eq!(groups[1].about(), Some("PUBLIC"));
}

#[test]
fn faults_and_the_reply_of_2014_are_read() {
    let body = |inside: &str| {
        format!(
            "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Body>{inside}</s:Body></s:Envelope>"
        )
    };
    let fault = body(
        "<s:Fault><faultcode xmlns:e='http://www.w3.org/2003/05/soap-envelope'>e:Receiver</faultcode>\
         <faultstring>signed with\ninvalid certificate</faultstring><detail><x:CAPServiceException xmlns:x='u'>\
         <x:errorCode>7</x:errorCode><x:message>no</x:message></x:CAPServiceException></detail></s:Fault>",
    );
    let expected = Fault { code: "Receiver".into(), text: "signed with invalid certificate: 7: no".into() };
    assert_eq!(read(fault.as_bytes()), Ok(Reply::Fault(expected)));
    let old = body(
        "<x:postCAPResponseTypeDef xmlns:x='u'><x:postCAPReturn>CAP POST OK</x:postCAPReturn></x:postCAPResponseTypeDef>",
    );
    assert_eq!(read(old.as_bytes()), Ok(Reply::Other("CAP POST OK".into())));
    let nested = reply("CAPEXCH 200 N Ack").replace('<', "&lt;");
    let nested = body(&format!("<postCAPReturn>{nested}</postCAPReturn>"));
    assert_eq!(groups_of(&nested).len(), 1);
    assert!(read(b"<html>").is_err());
}

#[test]
fn a_message_asks_for_the_channels_that_it_does_not_block() {
    let alert = |status: &str, scope: &str, blocked: &[&str]| {
        let blocked: String = blocked
            .iter()
            .map(|b| format!("<parameter><valueName>BLOCKCHANNEL</valueName><value>{b}</value></parameter>"))
            .collect();
        let xml =
            format!("<alert><status>{status}</status><scope>{scope}</scope><info>{blocked}</info></alert>");
        Element::read(xml.as_bytes()).unwrap()
    };
    let cases: [(Element, &[&str]); 5] = [
        (alert("Actual", "Public", &["EAS", "NWEM", "CMAS", "PUBLIC"]), &[]),
        (alert("Actual", "Public", &["EAS", "NWEM"]), &["CMAS", "PUBLIC"]),
        (alert("Actual", "Public", &["EAS NWEM"]), &["CMAS", "PUBLIC"]),
        (alert("Exercise", "Public", &[]), &[]),
        (alert("Actual", "Restricted", &[]), &[]),
    ];
    for (alert, expected) in cases {
        assert_eq!(wanted_channels(&alert), expected);
    }
    let cancel = Element::read(b"<alert><status>Actual</status><scope>Public</scope></alert>").unwrap();
    assert!(wanted_channels(&cancel).is_empty());
}

#[test]
fn every_row_of_the_table_is_whole() {
    let rows = TABLE.lines().filter(|l| !l.starts_with('#')).count();
    assert_eq!(MEANINGS.len(), rows);
}

#[test]
fn the_answer_to_a_ping_is_pong() {
    let body = "<e><b><g><p:parameterListItem xmlns:p='u'><p:parameterName>ACK</p:parameterName>\
                <p:parameterValue>PONG</p:parameterValue></p:parameterListItem></g></b></e>";
    assert_eq!(ack(body.as_bytes()), Ok(Some("PONG".into())));
    assert_eq!(ack(b"<e/>"), Ok(None));
}
