//! Two implementations that share no code must agree: the bridge's canonicaliser and verifier, and the
//! simulators'. On the real messages and on changed ones.

use std::path::Path;

use cap_schema::Limits;
use cap_schema::signature::{Policy, SigningKey, State, TrustStore, sign, verify};
use cap_schema::xml::c14n;
use capbridge_exercise::c14n::{Method, canonical};
use capbridge_exercise::keys::CogKey;
use capbridge_exercise::signature::{SignatureError, sign_alert, verify_alert};
use capbridge_exercise::xml::{document, utf8};
use capbridge_exercise::{Clock, keys};

use super::{COG, xml_files};

const METHODS: [&str; 4] = [
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments",
    "http://www.w3.org/2001/10/xml-exc-c14n#",
    "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
];

#[test]
fn both_canonicalisers_agree_on_every_real_document() {
    let Some(corpus) = capbridge_harness::corpus("both_canonicalisers_agree_on_every_real_document") else {
        return;
    };
    let (mut files, mut compared, limits) = (Vec::new(), 0, Limits::default());
    xml_files(&corpus, &mut files);
    for path in files {
        let bytes = std::fs::read(&path).unwrap();
        let Ok(text) = utf8(&bytes) else {
            continue;
        };
        let Ok(parsed) = document(text) else {
            continue;
        };
        for name in METHODS {
            let method = c14n::Method::of_uri(name).unwrap();
            let Ok(theirs) = c14n::document(text, &limits, &method, &[]) else {
                continue;
            };
            let ours = canonical(parsed.root(), &Method::named(name).unwrap(), &[]).unwrap();
            assert!(ours == theirs, "{name} of {} differs", path.display());
            compared += 1;
        }
    }
    assert!(compared > 1000, "only {compared} comparisons");
}

/// What the simulators' verifier says, in the words of the bridge's.
fn opinion(text: &str) -> Option<State> {
    let parsed = document(text).ok()?;
    match verify_alert(parsed.root_element()) {
        Ok(_) => Some(State::Untrusted),
        Err(SignatureError::Absent) => Some(State::Absent),
        Err(SignatureError::Digest | SignatureError::Value) => Some(State::Invalid),
        // More than one signature, other algorithms, unreadable keys: the bridge knows more of them.
        Err(_) => None,
    }
}

#[test]
fn both_verifiers_agree_on_every_signed_message_and_on_its_changes() {
    let name = "both_verifiers_agree_on_every_signed_message_and_on_its_changes";
    let Some(corpus) = capbridge_harness::corpus(name) else {
        return;
    };
    let policy = Policy { accept_expired: true, ..Policy::default() };
    let (mut files, mut good, mut bad) = (Vec::new(), 0, 0);
    xml_files(&corpus.join("ipaws"), &mut files);
    xml_files(&corpus.join("cap"), &mut files);
    for path in files {
        let Ok(text) = std::fs::read_to_string(&path) else {
            continue;
        };
        let changes = [
            text.clone(),
            text.replacen("<status>", "<status> ", 1),
            text.replacen("</alert>", "\n</alert>", 1),
        ];
        for text in changes {
            let Some(ours) = opinion(&text) else {
                continue;
            };
            let theirs = verify(text.as_bytes(), &TrustStore::default(), &policy).state;
            // Short keys, for example, are no match for one and not allowed for the other.
            if theirs == State::Unsupported {
                assert_ne!(ours, State::Untrusted, "{}", path.display());
                continue;
            }
            assert_eq!(ours, theirs, "{}", path.display());
            good += u32::from(ours == State::Untrusted);
            bad += u32::from(ours == State::Invalid);
        }
    }
    assert!(good > 40 && bad > 80, "only {good} good and {bad} bad signatures");
}

#[test]
fn each_believes_what_the_other_signs() {
    let folder = tempfile::tempdir().unwrap();
    keys::write_folder(folder.path(), &[COG], Clock::system().now()).unwrap();
    let pem = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let (certificate, key, authority) = (pem("cog-120082.crt.pem"), pem("cog-120082.key.pem"), pem("ca.pem"));
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("exercise/data/samples/ipaws-hmw.cap.xml");
    let sample = std::fs::read_to_string(sample).unwrap();
    let theirs = sign(&sample, &SigningKey::from_pkcs8_pem(&key, &certificate).unwrap()).unwrap();
    assert_eq!(opinion(&theirs), Some(State::Untrusted));
    let ours = sign_alert(&sample, &CogKey::from_pem(COG, &certificate, &key).unwrap()).unwrap();
    let mut trust = TrustStore::default();
    trust.add_pem(&authority).unwrap();
    // The sample was sent before the keys were made.
    let policy = Policy { accept_expired: true, ..Policy::default() };
    let report = verify(ours.as_bytes(), &trust, &policy);
    assert_eq!(report.state, State::Trusted, "{report:?}");
}
