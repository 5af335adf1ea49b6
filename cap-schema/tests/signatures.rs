//! Signatures against the corpus, and against xmlsec1.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a test ends where it cannot go on"
)]

mod common;

use std::path::Path;
use std::process::Command;

use cap_schema::signature::{self, Policy, SigningKey, State, TrustStore};
use cap_schema::xml::c14n;
use cap_schema::{Document, Limits};
use common::{corpus, files, table};

fn old() -> Policy {
    Policy { allow_sha1: true, accept_expired: true, ..Policy::default() }
}

#[test]
fn every_ipaws_alert_with_a_signature_verifies() {
    let Some(corpus) = corpus() else { return };
    let mut verified = 0;
    for folder in ["ipaws/cap-ipaws-openfema", "ipaws/cap-ipaws-other"] {
        for file in files(&corpus.join(folder)) {
            let bytes = std::fs::read(&file).unwrap();
            let found = signature::verify(&bytes, &TrustStore::default(), &Policy::default());
            if found.state == State::Absent {
                continue;
            }
            assert_eq!(found.state, State::Untrusted, "{}: {:?}", file.display(), found.signatures);
            verified += 1;
        }
    }
    assert!(verified >= 40, "{verified}");
}

#[test]
fn signatures_verify_where_the_table_says_so_and_nowhere_else() {
    let Some(corpus) = corpus() else { return };
    let mut wrong = Vec::new();
    let mut seen = 0;
    for row in table(&corpus.join("cap/SIGNATURES.tsv")) {
        let Ok(bytes) = std::fs::read(corpus.join("cap").join(&row["file"])) else { continue };
        let ways = ["verify_in_place", "verify_with_other_sigs_removed"];
        let expected = ways.iter().any(|w| row.get(*w).is_some_and(|v| v == "ok"))
            || row.get("manual_all_signatures_removed").is_some_and(|v| v == "digest=ok,signedinfo=ok");
        // Both signatures carry the same digest, of the document without any signature (cap page 4.6), and xmlsec1 verifies
        // the second one in that form. The table's own computation kept the comment before the root, which the canonical
        // form without comments leaves out: without it the digest is the signed one.
        let expected =
            expected || (row["file"].ends_with("PelmorexNAADS_WindWarning.xml") && row["sig_no"] == "1");
        let number: usize = row["sig_no"].parse().unwrap();
        let found = signature::verify(&bytes, &TrustStore::default(), &old());
        let report = found.signatures.get(number - 1);
        let verifies = report.is_some_and(|r| matches!(r.state, State::Untrusted | State::Trusted));
        seen += 1;
        if verifies != expected {
            wrong.push(format!("{} #{number}: table {expected}, we {report:?}", row["file"]));
        }
    }
    assert!(seen > 20, "{seen}");
    assert!(wrong.is_empty(), "{} of {seen}\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn attacks_on_signatures_never_end_as_verified() {
    let Some(corpus) = corpus() else { return };
    for row in table(&corpus.join("hostile/cap-made/CASES.tsv")) {
        if row["class"] != "signature" || row["file"].starts_with("k24") {
            continue;
        }
        let bytes = std::fs::read(corpus.join("hostile/cap-made").join(&row["file"])).unwrap();
        let found = signature::verify(&bytes, &TrustStore::default(), &Policy::default());
        // k25 verifies under a key that nobody trusts.
        let expected: &[State] = if row["file"].starts_with("k25") {
            &[State::Untrusted]
        } else if row["file"].starts_with("k34") {
            &[State::Untrusted, State::Invalid, State::Unsupported]
        } else if row["file"].starts_with("k28") {
            &[State::Untrusted, State::Invalid]
        } else {
            &[State::Invalid, State::Unsupported, State::Absent]
        };
        assert!(expected.contains(&found.state), "{}: {found:?}", row["file"]);
    }
}

#[test]
fn canonical_forms_are_those_of_libxml2() {
    let Some(corpus) = corpus() else { return };
    let comments = || c14n::Method { comments: true, ..c14n::Method::INCLUSIVE };
    // The vectors of whole documents and of whole elements. The others have a DTD, which is never processed, or choose
    // single attributes and namespaces by XPath, which no signature of an alert can do.
    let vectors = [
        ("with-comments/example-2", comments(), None),
        ("with-comments/example-6", comments(), None),
        ("1-1-without-comments/example-2", c14n::Method::INCLUSIVE, None),
        ("1-1-without-comments/example-6", c14n::Method::INCLUSIVE, None),
        ("without-comments/test-2", c14n::Method::INCLUSIVE, Some("<n1:elem2")),
        ("exc-without-comments/test-2", c14n::Method::EXCLUSIVE, Some("<SignedInfo")),
    ];
    let limits = Limits { namespaces: 64, ..Limits::default() };
    let folder = corpus.join("hostile/libxml2");
    for (name, method, part) in vectors {
        let bytes = std::fs::read(folder.join("c14n-in").join(format!("{name}.xml"))).unwrap();
        let expected = std::fs::read_to_string(folder.join("c14n-out").join(name)).unwrap();
        let document = Document::read(&bytes, &limits).unwrap();
        let text = document.text();
        let form = match part {
            None => c14n::document(text, &limits, &method, &[]),
            Some(tag) => c14n::element(text, &limits, &method, text.find(tag).unwrap(), &[]),
        };
        assert_eq!(form.ok(), Some(expected), "{name}");
    }
}

struct Keys {
    folder: tempfile::TempDir,
    key: SigningKey,
    certificate: String,
}

fn keys() -> Keys {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["signer.example".to_owned()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, "COG, 000001");
    params.distinguished_name.push(rcgen::DnType::OrganizationName, "Desk & Sons");
    let certificate = params.self_signed(&pair).unwrap().pem();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cert.pem"), &certificate).unwrap();
    let key = SigningKey::from_pkcs8_pem(&pair.serialize_pem(), &certificate).unwrap();
    Keys { folder, key, certificate }
}

fn xmlsec1(folder: &Path, signed: &str) {
    let file = folder.join("signed.xml");
    std::fs::write(&file, signed).unwrap();
    let ran = Command::new("xmlsec1")
        .args(["--verify", "--enabled-key-data", "x509", "--trusted-pem"])
        .arg(folder.join("cert.pem"))
        .arg(&file)
        .output()
        .expect("xmlsec1 is installed by `make setup`");
    assert!(ran.status.success(), "{}\n{signed}", String::from_utf8_lossy(&ran.stderr));
}

const ALERTS: [&str; 4] = [
    include_str!("corpus/rules/cap.xml"),
    include_str!("corpus/rules/cap-cp.xml"),
    include_str!("corpus/rules/ipaws.xml"),
    "<?x y?><!-- c --><c:alert xmlns:c=\"urn:oasis:names:tc:emergency:cap:1.2\" xmlns:z=\"urn:z\"><c:identifier>é &amp; \
     &lt;![CDATA[x]]&gt;<![CDATA[<&]]>&#13;</c:identifier><c:sender>s</c:sender><c:sent>2026-03-01T10:00:00-05:00</c:sent>\
     </c:alert><!-- d -->\n",
];

#[test]
fn what_we_sign_verifies_with_xmlsec1_and_with_us() {
    let keys = keys();
    let mut trust = TrustStore::default();
    trust.add_pem(&keys.certificate).unwrap();
    for alert in ALERTS {
        let alert = alert.replace("]]&gt;<![CDATA[", "&gt;<![CDATA[");
        let signed = signature::sign(&alert, &keys.key).unwrap();
        xmlsec1(keys.folder.path(), &signed);
        let found = signature::verify(signed.as_bytes(), &trust, &Policy::default());
        assert_eq!(found.state, State::Trusted, "{found:?}");
        assert!(found.signatures[0].subject.contains("CN=COG\\, 000001"), "{found:?}");
        let without = signature::verify(signed.as_bytes(), &TrustStore::default(), &Policy::default());
        assert_eq!(without.state, State::Untrusted);
        for (from, to) in
            [("2026-03-01T10", "2026-03-01T11"), ("</", " </"), ("<DigestValue>", "<DigestValue><!-- -->")]
        {
            let changed = signed.replacen(from, to, 1);
            assert_ne!(changed, signed);
            let found = signature::verify(changed.as_bytes(), &trust, &Policy::default());
            assert_eq!(found.state, State::Invalid, "{from}: {found:?}");
        }
    }
}

/// A chain of two: an authority and a signer that is valid from 2025 to 2027.
fn chain(authority: &str) -> (rcgen::Issuer<'static, rcgen::KeyPair>, String) {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, authority);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let pem = params.self_signed(&key).unwrap().pem();
    (rcgen::Issuer::new(params, key), pem)
}

fn signer(issuer: &rcgen::Issuer<'static, rcgen::KeyPair>) -> (rcgen::KeyPair, String) {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["signer.example".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2025, 1, 1);
    params.not_after = rcgen::date_time_ymd(2027, 1, 1);
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::EmailProtection];
    let pem = params.signed_by(&key, issuer).unwrap().pem();
    (key, pem)
}

#[test]
fn trust_comes_from_the_chain_at_the_time_of_sending() {
    let (issuer, authority) = chain("authority");
    let (_, stranger) = chain("stranger");
    let (key, certificate) = signer(&issuer);
    let signing = SigningKey::from_pkcs8_pem(&key.serialize_pem(), &certificate).unwrap();
    let store = |pem: &str| {
        let mut store = TrustStore::default();
        store.add_pem(pem).unwrap();
        store
    };
    let expired = || Policy { accept_expired: true, ..Policy::default() };
    let now = ALERTS[2].to_owned();
    let later = now.replace("2026-03-01", "2028-03-01");
    let cases = [
        (&now, store(&authority), Policy::default(), State::Trusted),
        (&now, store(&certificate), Policy::default(), State::Trusted),
        (&now, store(&stranger), Policy::default(), State::Untrusted),
        (&later, store(&authority), Policy::default(), State::Untrusted),
        (&later, store(&authority), expired(), State::Trusted),
        (&later, store(&certificate), expired(), State::Trusted),
        (&later, store(&stranger), expired(), State::Untrusted),
    ];
    for (number, (alert, trust, policy, state)) in cases.into_iter().enumerate() {
        let signed = signature::sign(alert, &signing).unwrap();
        let found = signature::verify(signed.as_bytes(), &trust, &policy);
        assert_eq!(found.state, state, "{number}: {found:?}");
    }
    // A signer is no authority.
    let no_authority = rcgen::Issuer::new(rcgen::CertificateParams::default(), key);
    let (other_key, other) = signer(&no_authority);
    let signing = SigningKey::from_pkcs8_pem(&other_key.serialize_pem(), &other).unwrap();
    let signed = signature::sign(&now, &signing).unwrap();
    let found = signature::verify(signed.as_bytes(), &store(&certificate), &Policy::default());
    assert_eq!(found.state, State::Untrusted, "{found:?}");
}

#[test]
fn a_signed_alert_is_not_signed_again_and_other_documents_are_not_signed() {
    let keys = keys();
    let signed = signature::sign(ALERTS[0], &keys.key).unwrap();
    for document in [
        signed.as_str(),
        "<alert/>",
        "<a></a>",
        "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"/>",
        "no",
    ] {
        assert!(signature::sign(document, &keys.key).is_err(), "{document}");
    }
}

#[test]
fn a_verified_alert_comes_only_from_a_trusted_signature() {
    let keys = keys();
    let mut trust = TrustStore::default();
    trust.add_pem(&keys.certificate).unwrap();
    let signed = signature::sign(ALERTS[2], &keys.key).unwrap();
    let document = Document::read(signed.as_bytes(), &Limits::default()).unwrap();
    let verified = signature::verified(&document, &trust, &Policy::default()).unwrap();
    assert_eq!(verified.alert().identifier, "MI-0001");
    assert!(signature::verified(&document, &TrustStore::default(), &Policy::default()).is_err());
    let unsigned = Document::read(ALERTS[2].as_bytes(), &Limits::default()).unwrap();
    assert!(signature::verified(&unsigned, &trust, &Policy::default()).is_err());
}
