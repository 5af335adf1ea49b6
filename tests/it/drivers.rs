//! Independent clients against the simulators: zeep, xmlsec1, xmllint, plain Python. None of them shares
//! code with us, so what they and the simulators agree on is not our mistake alone.

mod second_opinion;
mod translations;

use std::path::{Path, PathBuf};
use std::process::Output;

use capbridge_exercise::c14n::{Method, canonical};
use capbridge_exercise::ipaws_open::{Cog, SOAP_PATH, Settings};
use capbridge_exercise::keys::CogKey;
use capbridge_exercise::masas_hub::{Account, Mode};
use capbridge_exercise::signature::{Certificate, sign_alert, sign_envelope};
use capbridge_exercise::xml::{document, utf8};
use capbridge_exercise::{Clock, IpawsOpen, MasasHub, Running, keys, masas_hub};
use tokio::process::Command;

const COG: u32 = 120_082;

/// A file of this folder.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("it/drivers").join(name)
}

/// The Python environment with zeep; made here if `make setup` has not made it.
pub(crate) async fn python() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("drivers");
    let made = Command::new("sh").arg(script("setup.sh")).arg(&folder).output().await.unwrap();
    assert!(made.status.success(), "setup.sh failed: {}", said(&made));
    folder.join("bin/python")
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

#[expect(clippy::print_stdout, reason = "what is skipped is said")]
fn has(program: &str) -> bool {
    let found = std::process::Command::new(program).arg("--version").output().is_ok();
    if !found {
        println!("skipped: {program} is not installed");
    }
    found
}

struct Ipaws {
    running: Running<IpawsOpen>,
    folder: tempfile::TempDir,
}

async fn ipaws() -> Ipaws {
    let (clock, folder) = (Clock::system(), tempfile::tempdir().unwrap());
    keys::write_folder(folder.path(), &[COG, 120_075], clock.now()).unwrap();
    let authority = std::fs::read_to_string(folder.path().join("ca.pem")).unwrap();
    let authorities = vec![Certificate::from_pem(&authority).unwrap()];
    let cogs = vec![Cog::new(COG, "Exercise COG"), Cog::new(120_075, "Other COG")];
    let running = IpawsOpen::start(Settings::new(cogs, authorities), clock).await.unwrap();
    Ipaws { running, folder }
}

#[tokio::test]
async fn zeep_posts_to_ipaws_and_reads_each_reply() {
    let Some(corpus) = capbridge_harness::corpus("zeep_posts_to_ipaws_and_reads_each_reply") else {
        return;
    };
    let wsdl = corpus.join("ipaws/soap/reconstructed-wsdl/IPAWS_CAPService.wsdl");
    let (python, ipaws) = (python().await, ipaws().await);
    let accepted = r#""codes": ["200", "202", "300", "401", "500", "600", "801", "10"]"#;
    let cases = [
        ("ack", r#""ACK": "PONG""#),
        ("good", accepted),
        ("duplicate", r#""codes": ["201"]"#),
        ("bad-signature", r#""codes": ["208", "221"]"#),
        ("old-sent", r#""codes": ["303"]"#),
        ("unsigned-body", r#""fault": "SOAPMessage is not signed."#),
        ("tampered-body", r#""fault": "SOAPMessage improperly signed."#),
        ("profile", r#""cogid": "120082""#),
        ("messages", r#"{"alerts": ["DRIVER-good", "DRIVER-SAME"]}"#),
        ("other-cog", r#""fault": "logonCogId does not match the certificate""#),
    ];
    for (case, wanted) in cases {
        let mut call = Command::new(&python);
        call.arg(script("ipaws_post.py")).arg(&wsdl).arg(format!("{}{SOAP_PATH}", ipaws.running.url()));
        let output = call.arg(ipaws.folder.path()).arg(COG.to_string()).arg(case).output().await.unwrap();
        assert!(output.status.success() && said(&output).contains(wanted), "{case}: {}", said(&output));
    }
    assert_eq!(ipaws.running.posts().iter().filter(|post| post.is_accepted).count(), 2);
    assert_eq!(ipaws.running.unexpected().len(), 0);
}

#[tokio::test]
async fn plain_python_finds_the_hub_as_its_clients_describe_it() {
    let accounts = vec![
        Account::writer("code-one", "Lambton EM"),
        Account::writer("code-two", "St. Clair EM"),
        Account::reader("code-eye", "Viewer"),
    ];
    let hub =
        MasasHub::start(masas_hub::Settings::new(Mode::Exercise, accounts), Clock::system()).await.unwrap();
    let mut call = Command::new("python3");
    call.arg(script("hub_requests.py")).arg(hub.hub_url()).args(["code-one", "code-two", "code-eye"]);
    let output = call.output().await.unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(hub.unexpected().len(), 0);
}

fn cog_key(folder: &Path) -> CogKey {
    let pem = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    CogKey::from_pem(COG, &pem("cog-120082.crt.pem"), &pem("cog-120082.key.pem")).unwrap()
}

/// Signs an alert with a key of the folder and writes it there.
fn signed_alert(folder: &Path) -> PathBuf {
    let key = cog_key(folder);
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("exercise/data/samples/ipaws-hmw.cap.xml");
    let path = folder.join("signed.xml");
    std::fs::write(&path, sign_alert(&std::fs::read_to_string(sample).unwrap(), &key).unwrap()).unwrap();
    path
}

#[tokio::test]
async fn xmlsec1_believes_what_the_exercise_keys_sign_and_nothing_else() {
    if !has("xmlsec1") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    keys::write_folder(folder.path(), &[COG], Clock::system().now()).unwrap();
    let path = signed_alert(folder.path());
    let other = tempfile::tempdir().unwrap();
    keys::write_folder(other.path(), &[], Clock::system().now()).unwrap();
    let changed = folder.path().join("changed.xml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&changed, text.replace("rail yard", "rail road")).unwrap();
    let cases =
        [(&path, folder.path(), true), (&changed, folder.path(), false), (&path, other.path(), false)];
    for (file, trusted, wanted) in cases {
        let mut call = Command::new("xmlsec1");
        call.arg("--verify").arg("--trusted-pem").arg(trusted.join("ca.pem")).arg(file);
        let output = call.output().await.unwrap();
        assert_eq!(output.status.success(), wanted, "{}: {}", file.display(), said(&output));
    }
}

#[tokio::test]
async fn xmllint_finds_the_signed_sample_valid_by_the_schema() {
    let name = "xmllint_finds_the_signed_sample_valid_by_the_schema";
    let Some(corpus) = capbridge_harness::corpus(name).filter(|_| has("xmllint")) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    keys::write_folder(folder.path(), &[COG], Clock::system().now()).unwrap();
    let path = signed_alert(folder.path());
    let schema = corpus.join("ipaws/data/CAP-v1.2.xsd");
    let output =
        Command::new("xmllint").args(["--noout", "--nonet", "--schema"]).arg(schema).arg(path).output().await;
    let output = output.unwrap();
    assert!(output.status.success(), "{}", said(&output));
}

/// Lets xmlsec1 and xmllint judge a postCAP request as it went over the wire: the signature of the Body with the
/// COG's certificate, the signature of the alert up to the authority, and the alert by the schema if it is at hand.
/// `folder` is that of `capbridge-exercise keys`. Gives what they said of the first that they refuse.
pub async fn judge_post(envelope: &str, folder: &Path) -> Result<(), String> {
    let place = tempfile::tempdir().unwrap();
    let (whole, own) = (place.path().join("envelope.xml"), place.path().join("alert.xml"));
    let (start, end) = (envelope.find("<alert"), envelope.find("</alert>"));
    let alert = envelope.get(start.unwrap()..end.unwrap() + "</alert>".len()).unwrap();
    std::fs::write(&whole, envelope).unwrap();
    std::fs::write(&own, alert).unwrap();
    let mut calls = Vec::new();
    if has("xmlsec1") {
        let mut body = Command::new("xmlsec1");
        body.args([
            "--verify",
            "--id-attr:Id",
            "http://schemas.xmlsoap.org/soap/envelope/:Body",
            "--node-xpath",
        ]);
        body.arg("//*[local-name()='Security']/*[local-name()='Signature']");
        body.arg("--pubkey-cert-pem").arg(folder.join(format!("cog-{COG}.crt.pem"))).arg(&whole);
        let mut enveloped = Command::new("xmlsec1");
        enveloped.args(["--verify", "--trusted-pem"]).arg(folder.join("ca.pem")).arg(&own);
        calls.extend([body, enveloped]);
    }
    if let Some(corpus) = capbridge_harness::corpus("judge_post").filter(|_| has("xmllint")) {
        let mut schema = Command::new("xmllint");
        schema.args(["--noout", "--nonet", "--schema"]).arg(corpus.join("ipaws/data/CAP-v1.2.xsd")).arg(&own);
        calls.push(schema);
    }
    for mut call in calls {
        let output = call.output().await.unwrap();
        if !output.status.success() {
            return Err(said(&output));
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_judges_believe_a_good_post_and_no_changed_one() {
    if !has("xmlsec1") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    keys::write_folder(folder.path(), &[COG], Clock::system().now()).unwrap();
    let alert = std::fs::read_to_string(signed_alert(folder.path())).unwrap();
    let (_, alert) = alert.split_once("?>").unwrap();
    let content =
        format!("<p:postCAPRequestTypeDef xmlns:p=\"urn:x\">{}</p:postCAPRequestTypeDef>", alert.trim());
    let envelope = sign_envelope(&content, "exercise", COG, &cog_key(folder.path())).unwrap();
    judge_post(&envelope, folder.path()).await.unwrap();
    for (part, other) in [("rail yard", "rail road"), ("urn:x", "urn:y")] {
        let changed = envelope.replace(part, other);
        assert!(judge_post(&changed, folder.path()).await.is_err(), "{part}");
    }
}

#[tokio::test]
async fn openssl_verifies_what_the_webhook_keys_sign() {
    if !has("openssl") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let made = keys::WebhookKeys::new().unwrap();
    let signature = made.sign("msg_1", "1772384531", b"{}").unwrap();
    let script = format!(
        "set -eu; printf '%s' '{key}' > key.pem; openssl pkey -in key.pem -pubout -out pub.pem; \
         printf '%s' '{signed}' | base64 -d > signature; printf '%s' 'msg_1.1772384531.{{}}' > message; \
         openssl pkeyutl -verify -pubin -inkey pub.pem -rawin -in message -sigfile signature; \
         openssl pkey -in key.pem -pubout -outform DER | tail -c 32 | base64",
        key = made.key_pem,
        signed = signature.strip_prefix("v1a,").unwrap(),
    );
    let output = Command::new("sh").arg("-c").arg(script).current_dir(&folder).output().await.unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains(made.public.strip_prefix("whpk_").unwrap()), "{}", said(&output));
}

/// Every XML file below a folder.
fn xml_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            xml_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "xml" || extension == "cap") {
            found.push(path);
        }
    }
}

#[tokio::test]
async fn xmllint_canonicalises_real_documents_as_the_simulators_do() {
    let name = "xmllint_canonicalises_real_documents_as_the_simulators_do";
    let Some(corpus) = capbridge_harness::corpus(name).filter(|_| has("xmllint")) else {
        return;
    };
    let mut files = Vec::new();
    for folder in ["ipaws", "masas"] {
        xml_files(&corpus.join(folder), &mut files);
    }
    let mut compared = 0;
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let Ok(parsed) = document(utf8(text.as_bytes()).unwrap()) else {
            continue;
        };
        for (option, exclusive) in [("--c14n", false), ("--exc-c14n", true)] {
            let output = Command::new("xmllint").args(["--nonet", option]).arg(&path).output().await.unwrap();
            let method = Method { exclusive, comments: true, ..Method::default() };
            let ours = canonical(parsed.root(), &method, &[]).unwrap();
            let theirs = String::from_utf8_lossy(&output.stdout);
            let same = theirs.bytes().zip(ours.bytes()).take_while(|(one, other)| one == other).count();
            let rest = |text: &str| text.get(same..).unwrap_or_default().chars().take(80).collect::<String>();
            let (expected, found) = (rest(&theirs), rest(&ours));
            assert_eq!(found, expected, "{option} of {} differs after {same} bytes", path.display());
            compared += 1;
        }
    }
    assert!(compared > 100, "only {compared} comparisons");
}
