//! What `capbridge translate` makes is taken by the system that it is for: events of both countries near the
//! border, posted to the simulators, which judge by their own reading of each profile.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use bytes::Bytes;
use capbridge_exercise::clock::instant;
use capbridge_exercise::ipaws_open::{Cog, SOAP_PATH, Settings};
use capbridge_exercise::keys::{Authority, CogKey};
use capbridge_exercise::masas_hub::{Account, Mode};
use capbridge_exercise::signature::{Certificate, sign_alert, sign_envelope};
use capbridge_exercise::{Clock, IpawsOpen, MasasHub, Request, Running, Site as _, masas_hub, program};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::COG;

const NOW: &str = "2026-03-01T17:02:11-00:00";
const SERVICE: &str = "http://gov.fema.ipaws.services/IPAWS_CAPService/";

fn data(name: &str) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("exercise/data").join(name);
    std::fs::read_to_string(path).unwrap()
}

/// The new message, or why there is none.
async fn translate(to: &str, alert: &str) -> Result<String, String> {
    let mut call = Command::new(program::binary().unwrap());
    call.args(["translate", "--to", to, "--at", NOW, "-"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = call.stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(alert.as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// Signs and posts; gives the groups that are errors.
fn post(ipaws: &Running<IpawsOpen>, key: &CogKey, alert: &str) -> Vec<String> {
    let signed = sign_alert(alert, key).unwrap();
    let root = signed.split_once("?>").map_or(signed.as_str(), |(_, rest)| rest).trim();
    let content = format!("<postCAPRequestTypeDef xmlns=\"{SERVICE}\">{root}</postCAPRequestTypeDef>");
    let mut headers = http::HeaderMap::new();
    headers.insert("content-type", "text/xml; charset=utf-8".parse().unwrap());
    headers.insert("soapaction", format!("\"{SERVICE}postCAP\"").parse().unwrap());
    let envelope = sign_envelope(&content, "exercise", COG, key).unwrap();
    let (at, body) = (instant(NOW).unwrap(), Bytes::from(envelope));
    let (method, path) = ("POST".to_owned(), SOAP_PATH.to_owned());
    let answer = ipaws.site.answer(&Request { at, method, path, query: Vec::new(), headers, body });
    assert_eq!(answer.status, 200);
    let groups = ipaws.posts().pop().unwrap().groups;
    groups
        .iter()
        .filter(|group| group.is_error)
        .map(|group| format!("{} {}", group.code, group.status))
        .collect()
}

#[tokio::test]
async fn ipaws_takes_what_canadian_events_become() {
    let clock = Clock::fixed(instant(NOW).unwrap());
    let authority = Authority::new("Exercise Device CA 1", clock.now()).unwrap();
    let key = authority.cog(COG, clock.now(), 30).unwrap();
    let trusted = vec![Certificate::from_pem(&authority.certificate_pem).unwrap()];
    let ipaws =
        IpawsOpen::start(Settings::new(vec![Cog::new(COG, "Exercise COG")], trusted), clock).await.unwrap();
    let sample = data("samples/masas-chemical.cap.xml");
    let events = data("masas-events.tsv");
    let mut taken = 0;
    for (number, row) in events.lines().filter(|row| !row.starts_with('#')).step_by(4).enumerate() {
        let cells: Vec<_> = row.split('\t').collect();
        let [code, category, _, english, french] = cells.as_slice() else {
            panic!("{row}");
        };
        let alert = sample
            .replace("-0001<", &format!("-{number:04}<"))
            .replace(">chemical<", &format!(">{code}<"))
            .replace("profile:CAP-CP:Event:0.4", "profile:CAP-CP:Event:0.3")
            .replace(">CBRNE<", &format!(">{category}<"))
            .replace("Chemical Hazard", english)
            .replace("Risque chimique", french)
            .replace("<status>Exercise", if number % 2 == 0 { "<status>Actual" } else { "<status>Exercise" });
        match translate("ipaws", &alert).await {
            Ok(translated) => {
                assert_eq!(post(&ipaws, &key, &translated), [""; 0], "{code}: {translated}");
                taken += 1;
            }
            // Saying nothing, with the reason, is allowed: a code that has no counterpart, a test.
            Err(reason) => assert!(reason.contains("nothing to send"), "{code}: {reason}"),
        }
    }
    assert!(taken > 20, "only {taken} events were translated");
}

#[tokio::test]
async fn a_hub_takes_what_us_events_become() {
    let clock = Clock::fixed(instant(NOW).unwrap());
    let settings = masas_hub::Settings::new(Mode::Operations, vec![Account::writer("code", "Bridge")]);
    let hub = MasasHub::start(settings, clock).await.unwrap();
    // Text that says EXERCISE is a test, whatever its status.
    let sample = ["EXERCISE: ", "EXERCISE. ", "EXERCISE "]
        .iter()
        .fold(data("samples/ipaws-hmw.cap.xml"), |text, mark| text.replace(mark, ""));
    let codes = data("same-event-codes.tsv");
    let mut taken = 0;
    for (number, code) in codes.lines().filter(|row| !row.starts_with('#')).step_by(3).enumerate() {
        let alert = sample
            .replace("-0001<", &format!("-{number:04}<"))
            .replace("<value>HMW", &format!("<value>{code}"))
            .replace(
                "43.08,-79.06 43.08,-79.03 43.11,-79.03 43.11,-79.06 43.08,-79.06",
                "42.95,-82.45 42.95,-82.38 43.0,-82.38 43.0,-82.45 42.95,-82.45",
            )
            .replace("036063", "026147");
        match translate("cap-cp", &alert).await {
            Ok(translated) => {
                let entry = hub.post_cap("code", translated.as_bytes());
                let entry = entry.unwrap_or_else(|refusal| panic!("{code}: {refusal:?}: {translated}"));
                assert!(!entry.draft.shapes.is_empty(), "{code}");
                taken += 1;
            }
            Err(reason) => assert!(reason.contains("nothing to send"), "{code}: {reason}"),
        }
    }
    assert!(taken > 12, "only {taken} events were translated");
}
