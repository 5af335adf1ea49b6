//! IPAWS-OPEN over HTTP-shaped requests, without a socket; and its verifier on the real alerts.

use bytes::Bytes;

use super::*;
use crate::keys::{Authority, CogKey};
use crate::signature::{sign_alert, sign_envelope, verify_alert};

const HMW: &str = include_str!("../../data/samples/ipaws-hmw.cap.xml");
const START: &str = "2026-03-01T17:02:11Z";
const COG: u32 = 120_082;

struct Bench {
    ipaws: IpawsOpen,
    clock: Clock,
    authority: Authority,
    key: CogKey,
}

fn bench() -> Bench {
    let clock = Clock::fixed(instant(START).unwrap());
    let authority = Authority::new("Exercise Device CA 1", clock.now()).unwrap();
    let key = authority.cog(COG, clock.now(), 30).unwrap();
    let limited =
        Cog { event_codes: vec![("EAS".to_owned(), "HMW".to_owned())], ..Cog::new(120_075, "Other") };
    let trusted = Certificate::from_pem(&authority.certificate_pem).unwrap();
    let settings = Settings::new(vec![Cog::new(COG, "Exercise COG"), limited], vec![trusted]);
    let ipaws = IpawsOpen { settings, clock: clock.clone(), state: Mutex::default() };
    Bench { ipaws, clock, authority, key }
}

impl Bench {
    fn send(&self, operation: &str, envelope: String) -> (u16, String) {
        let mut request = Request::for_test("POST", SOAP_PATH);
        request.headers.insert("content-type", "text/xml; charset=utf-8".parse().unwrap());
        request.headers.insert("soapaction", format!("\"{SERVICE}{operation}\"").parse().unwrap());
        let answer = self.ipaws.answer(&Request { body: Bytes::from(envelope), ..request });
        (answer.status, String::from_utf8(answer.body.to_vec()).unwrap())
    }

    fn post_signed(&self, alert: &str, cog_id: u32, key: &CogKey) -> (u16, String) {
        let root = alert.split_once("?>").map_or(alert, |(_, rest)| rest).trim();
        let content = format!("<postCAPRequestTypeDef xmlns=\"{SERVICE}\">{root}</postCAPRequestTypeDef>");
        self.send("postCAP", sign_envelope(&content, "exercise", cog_id, key).unwrap())
    }

    /// The groups of the reply to an alert that is signed by the COG, as `CHANNEL code`.
    fn post(&self, alert: &str) -> Vec<String> {
        let (status, _) = self.post_signed(&sign_alert(alert, &self.key).unwrap(), COG, &self.key);
        assert_eq!(status, 200);
        let groups = self.ipaws.posts().pop().unwrap().groups;
        groups.iter().map(|group| format!("{} {}", group.channel, group.code)).collect()
    }

    fn feed(&self, path: &str) -> (u16, String) {
        let answer = self.ipaws.answer(&Request::for_test("GET", &format!("{FEED_PATH}/{path}")));
        (answer.status, String::from_utf8(answer.body.to_vec()).unwrap())
    }

    fn inquire(&self, operation: &str, value: &str) -> (u16, String) {
        let ns = "http://gov.fema.ipaws.services/caprequest";
        let content = format!(
            "<getRequestTypeDef xmlns=\"{SERVICE}\" xmlns:r=\"{ns}\"><r:requestAPI>REQUEST1</r:requestAPI>\
             <r:requestOperation>{operation}</r:requestOperation><r:parameters><r:parameterName>cogid\
             </r:parameterName><r:parameterValue>{value}</r:parameterValue></r:parameters></getRequestTypeDef>"
        );
        self.send("getRequest", sign_envelope(&content, "exercise", COG, &self.key).unwrap())
    }
}

#[test]
fn a_good_post_is_answered_and_published_as_recorded() {
    let bench = bench();
    let groups = bench.post(HMW);
    let recorded = [
        "CAPEXCH 200",
        "CAPEXCH 202",
        "IPAWS 300",
        "NWEM 401",
        "EAS 500",
        "CMAS 600",
        "PUBLIC 801",
        "sendinggatewayid 10",
    ];
    assert_eq!(groups, recorded);
    let own = bench.ipaws.posts()[0].alert.clone();
    for (feed, wanted) in
        [("eas", true), ("PublicWEA", true), ("nwem", false), ("public", true), ("public_non_eas", false)]
    {
        let (_, body) = bench.feed(&format!("{feed}/recent/2026-03-01T17:00:00Z"));
        assert!(body.starts_with("<ns1:alerts xmlns:ns1=\"http://gov.fema.ipaws.services/feed\">"));
        assert_eq!(body.contains(&own), wanted, "{feed}");
    }
    assert!(bench.feed("feed").1.contains("<category term=\"36\" label=\"statefips\"/>"));
    assert!(!bench.feed("update").1.contains("<entry>"));
    assert_eq!(bench.feed("eas/1000000"), (200, own));
    bench.clock.advance(31 * 60);
    assert_eq!(bench.feed("eas/1000000").0, 403);
    assert!(!bench.feed("public/recent/2026-03-01T17:00:00Z").1.contains("<alert"));
}

#[test]
fn channels_follow_blocking_parameters_status_and_profile() {
    let blocked = "<value>NWEM</value></parameter><parameter><valueName>BLOCKCHANNEL</valueName><value>EAS</value></parameter>";
    let to_wea = HMW.replace("<value>NWEM</value></parameter>", blocked);
    let exercise = HMW.replace(">Actual<", ">Exercise<").replace("<scope>Public", "<scope>Restricted");
    let cases = [
        (to_wea, "NWEM 401,EAS 501,CMAS 600,PUBLIC 800,sendinggatewayid 10"),
        (
            HMW.replace("WEAHandling", "other").replace("CMAMtext", "different"),
            "NWEM 401,EAS 500,CMAS 601,PUBLIC 801",
        ),
        (HMW.replace("Imminent Threat", "Loud"), "NWEM 401,EAS 500,CMAS 602,PUBLIC 801"),
        (HMW.replace("EAS-ORG", "EAS"), "NWEM 401,EAS 502,CMAS 600,PUBLIC 800,sendinggatewayid 10"),
        (exercise, "NWEM 401,EAS 501,CMAS 601,PUBLIC 801"),
    ];
    for (alert, wanted) in cases {
        let bench = bench();
        let groups = bench.post(&alert);
        assert_eq!(groups[..3], ["CAPEXCH 200", "CAPEXCH 202", "IPAWS 300"], "{alert}");
        assert_eq!(groups[3..].join(","), wanted, "{alert}");
    }
    let bench = bench();
    let other = bench.authority.cog(120_075, bench.clock.now(), 30).unwrap();
    let (_, reply) = bench.post_signed(&sign_alert(HMW, &other).unwrap(), 120_075, &other);
    assert!(reply.contains("signer-not-authorized-for-event-code-CMAS"), "{reply}");
}

#[test]
fn what_ipaws_refuses_gets_its_code_and_is_not_published() {
    let update = |reference: &str| {
        let head = HMW.replace("<msgType>Alert", "<msgType>Update").replace("-0001<", "-0002<");
        head.replace("</code>", &format!("</code><references>{reference}</references>"))
    };
    let own = "cbrne.bridge@example.test,EXERCISE-HMW-0001,2026-03-01T17:02:00-00:00";
    let cases = [
        (HMW.replace("<sent>2026-03-01T17:02:00-00:00", "<sent>2026-03-01T16:57:00-00:00"), "IPAWS 303"),
        (HMW.replace("<sent>2026-03-01T17:02:00-00:00", "<sent>2026-03-01T17:02:00Z"), "IPAWS 302"),
        (HMW.replace("IPAWSv1.0", "other"), "IPAWS 302"),
        (HMW.replace("HMW<", "CHW<"), "IPAWS 302"),
        (HMW.replace("43.11,-79.06 43.08,-79.06", "43.11,-79.06"), "IPAWS 302"),
        (HMW.replace(">Actual<", ">Exercise<"), "IPAWS 302"),
        (HMW.replace("</polygon>", "</polygon><circle>43.1</circle>"), "CAPEXCH 213"),
        (HMW.replace("<category>CBRNE", "<category>Bad"), "CAPEXCH 221"),
        (
            HMW.replace("<code>IPAWSv1.0</code>", "").replace("<info>", "<info><code>IPAWSv1.0</code>"),
            "IPAWS 302",
        ),
        (
            HMW.replace("<severity>Severe</severity>", "")
                .replace("<event>", "<severity>Severe</severity><event>"),
            "CAPEXCH 221",
        ),
        (update("").replace("<references></references>", ""), "CAPEXCH 207"),
        (update("a,b,2026-03-01T17:02:00-00:00"), "IPAWS 307"),
    ];
    for (alert, wanted) in cases {
        let bench = bench();
        assert_eq!(bench.post(&alert), [wanted], "{alert}");
        assert_eq!(bench.ipaws.published(), []);
    }
    let bench = bench();
    bench.post(HMW);
    assert_eq!(bench.post(HMW), ["CAPEXCH 201"]);
    assert_eq!(bench.post(&update(own)).len(), 8);
    let third = |references: &str| update(references).replace("-0002<", "-0003<");
    assert_eq!(bench.post(&third(own)), ["IPAWS 307"], "the Update is active and not named");
    let both = format!("{own} {}", own.replace("-0001", "-0002"));
    assert_eq!(bench.post(&third(&both)).len(), 8);
    let again =
        [HMW.to_owned(), update(own), third(&both), third(own), third("a,b,2026-03-01T17:02:00-00:00")];
    for twice in &again {
        assert_eq!(bench.post(twice), ["CAPEXCH 201"], "what it refers to no longer matters: {twice}");
    }
    bench.clock.advance(2 * 60 * 60);
    let late =
        update(own).replace("-0002<", "-0004<").replace("T18:02", "T20:02").replace("T17:02", "T19:02");
    assert_eq!(bench.post(&late.replace(",2026-03-01T19:02", ",2026-03-01T17:02")), ["CAPEXCH 209"]);
}

#[test]
fn a_cancel_without_blocks_goes_where_its_alert_went() {
    let bench = bench();
    bench.post(HMW);
    let own = "cbrne.bridge@example.test,EXERCISE-HMW-0001,2026-03-01T17:02:00-00:00";
    let head = HMW
        .split("<info>")
        .next()
        .unwrap()
        .replace("<msgType>Alert", "<msgType>Cancel")
        .replace("-0001<", "-0002<");
    let cancel = format!("{head}<references>{own}</references></alert>");
    assert_eq!(
        bench.post(&cancel)[3..],
        ["NWEM 401", "EAS 500", "CMAS 600", "PUBLIC 801", "sendinggatewayid 10"]
    );
    assert_eq!(bench.post(&cancel), ["CAPEXCH 201"], "it is not a related message of its own");
    assert_eq!(bench.feed("eas/recent/2026-03-01T17:00:00Z").1.matches("<alert").count(), 2);
}

#[test]
fn a_bad_alert_signature_is_told_in_the_reply_and_a_bad_envelope_is_a_fault() {
    let bench = bench();
    let signed = sign_alert(HMW, &bench.key).unwrap();
    let stranger = Authority::new("Exercise Device CA 1", bench.clock.now())
        .unwrap()
        .cog(COG, bench.clock.now(), 30)
        .unwrap();
    let now = bench.clock.now();
    let long_ago = now.saturating_sub(jiff::SignedDuration::from_hours(24 * 90)).unwrap();
    let expired = bench.authority.cog(COG, long_ago, 30).unwrap();
    let other = bench.authority.cog(120_075, now, 30).unwrap();
    for alert in
        [HMW.to_owned(), signed.replace("rail yard", "rail road"), sign_alert(HMW, &stranger).unwrap()]
    {
        let (status, _) = bench.post_signed(&alert, COG, &bench.key);
        let codes: Vec<_> =
            bench.ipaws.posts().pop().unwrap().groups.into_iter().map(|group| group.code).collect();
        assert_eq!((status, codes.join(",").as_str()), (200, "208,221"));
    }
    let unsigned = format!(
        "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><postCAPRequestTypeDef \
         xmlns=\"{SERVICE}\"/></s:Body></s:Envelope>"
    );
    let good = sign_envelope("<a/>", "exercise", COG, &bench.key).unwrap();
    let cases = [
        (bench.post_signed(&signed, COG, &expired), "Check validity date range of certificate."),
        (bench.post_signed(&signed, COG, &stranger), "The issuer is not known."),
        (bench.post_signed(&signed, COG, &other), "does not match the certificate"),
        (bench.send("postCAP", unsigned), "is not signed"),
        (bench.send("postCAP", good.replace("<a/>", "<b/>")), "improperly signed"),
        (bench.send("postCAP", good.replace("wsu:Id=\"id-1\"", "wsu:Id=\"id-2\"")), "improperly signed"),
        (bench.send("postCAP", good), "no operation"),
        (bench.send("postCAP", "<a".to_owned()), "not well-formed"),
    ];
    for ((status, reply), wanted) in cases {
        assert_eq!(status, 500, "{wanted}");
        assert!(reply.contains(wanted) && reply.contains("env:Receiver"), "{reply}");
    }
    assert_eq!(bench.ipaws.published(), []);
}

#[test]
fn the_registry_and_the_exchange_answer() {
    let bench = bench();
    let (_, pong) = bench.inquire("getAck", "");
    assert!(
        pong.contains(
            "<ns4:parameterName>ACK</ns4:parameterName><ns4:parameterValue>PONG</ns4:parameterValue>"
        ),
        "{pong}"
    );
    assert!(
        bench
            .inquire("getCOGProfile", "120075")
            .1
            .contains("<ns4:subParameterValue>HMW</ns4:subParameterValue>")
    );
    assert_eq!(bench.inquire("getCOGProfile", "1").0, 500);
    assert_eq!(bench.inquire("getNonsense", "").0, 500);
    bench.post(HMW);
    assert!(bench.inquire("getMessageStatus", "EXERCISE-HMW-0001").1.contains("alert-signature-is-valid"));
    let ns = "http://gov.fema.ipaws.services/caprequest";
    let content = format!(
        "<getMessageTypeDef xmlns=\"{SERVICE}\" xmlns:r=\"{ns}\"><r:requestAPI>REQUEST1</r:requestAPI>\
         <r:requestOperation>getMessageAll</r:requestOperation><r:parameters><r:parameterName>sent</r:parameterName>\
         <r:comparisonOp>greaterthan</r:comparisonOp><r:parameterValue>2026-03-01T17:00:00-00:00</r:parameterValue>\
         </r:parameters></getMessageTypeDef>"
    );
    let (_, messages) =
        bench.send("getMessage", sign_envelope(&content, "exercise", COG, &bench.key).unwrap());
    let own = bench.ipaws.posts()[0].alert.clone();
    assert!(messages.contains(&own));
}

#[test]
fn feeds_may_ask_for_a_pin_and_refuse_what_is_no_time() {
    let mut bench = bench();
    assert_eq!(bench.feed("eas/recent/yesterday").0, 400);
    bench.ipaws.settings.pin = Some("1234".to_owned());
    assert_eq!(bench.feed("eas/recent/2026-03-01T17:00:00Z").0, 403);
    let mut request = Request::for_test("GET", &format!("{FEED_PATH}/update"));
    request.query.push(("pin".to_owned(), "1234".to_owned()));
    assert_eq!(bench.ipaws.answer(&request).status, 200);
}

#[test]
fn real_alerts_verify_and_replay_byte_for_byte() {
    let corpus = std::env::var_os("CAP_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus"), Into::into);
    let folder = corpus.join("ipaws/cap-ipaws-openfema");
    if !folder.is_dir() {
        println!("skipped: no corpus (set CAP_CORPUS)");
        return;
    }
    let bench = bench();
    let files = std::fs::read_dir(&folder).unwrap().count();
    assert_eq!(bench.ipaws.replay_folder(&folder).unwrap(), files);
    let mut seen = 0;
    for published in bench.ipaws.published() {
        let parsed = document(&published.alert).unwrap();
        let signer = verify_alert(parsed.root_element()).unwrap();
        assert!(signer.cog_id().is_some(), "{}", signer.common_name);
        let changed = published.alert.replacen("<status>", "<status> ", 1);
        let error = verify_alert(document(&changed).unwrap().root_element()).unwrap_err();
        assert_eq!(error, SignatureError::Digest);
        bench.clock.set(published.posted_at);
        let (_, body) = bench.feed("public/recent/2026-01-01T00:00:00Z");
        seen += usize::from(body.contains(&published.alert));
    }
    assert!(seen * 4 > files * 3, "only {seen} of {files} were in the public feed when they were posted");
    let request = std::fs::read_to_string(corpus.join("ipaws/generated/postCAP-request-signed.xml")).unwrap();
    let parsed = document(&request).unwrap();
    assert_eq!(verify_envelope(parsed.root_element()).unwrap().cog_id(), Some(999_999));
}
