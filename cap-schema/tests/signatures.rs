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
use common::{corpus, disagreements, files, table};

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
    let mut known = disagreements("signature");
    let mut wrong = Vec::new();
    let mut seen = 0;
    for row in table(&corpus.join("cap/SIGNATURES.tsv")) {
        let Ok(bytes) = std::fs::read(corpus.join("cap").join(&row["file"])) else { continue };
        let ways = ["verify_in_place", "verify_with_other_sigs_removed"];
        let expected = ways.iter().any(|w| row.get(*w).is_some_and(|v| v == "ok"))
            || row.get("manual_all_signatures_removed").is_some_and(|v| v == "digest=ok,signedinfo=ok");
        let number: usize = row["sig_no"].parse().unwrap();
        let found = signature::verify(&bytes, &TrustStore::default(), &old());
        let report = found.signatures.get(number - 1);
        let verifies = report.is_some_and(|r| matches!(r.state, State::Untrusted | State::Trusted));
        seen += 1;
        if verifies != expected && known.remove(&format!("{}#{number}", row["file"])).is_none() {
            wrong.push(format!("{} #{number}: table {expected}, we {report:?}", row["file"]));
        }
    }
    assert!(seen > 20, "{seen}");
    assert!(wrong.is_empty(), "{} of {seen}\n{}", wrong.len(), wrong.join("\n"));
    assert!(known.is_empty(), "no longer differs: {known:?}");
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
    let limits = Limits { namespaces: 64, namespaces_in_scope: 128, ..Limits::default() };
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
    include_str!("../data/examples/cap.xml"),
    include_str!("../data/examples/cap-cp.xml"),
    include_str!("../data/examples/ipaws.xml"),
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
fn pins_say_which_signers_of_an_authority_are_meant() {
    let (issuer, authority) = chain("IGC Device CA 2");
    let signed = |name: &str| {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::OrganizationName, "CN=IPAWSOPEN200032, FEMA");
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let certificate = params.signed_by(&key, &issuer).unwrap().pem();
        let signing = SigningKey::from_pkcs8_pem(&key.serialize_pem(), &certificate).unwrap();
        (signature::sign(ALERTS[2], &signing).unwrap(), certificate)
    };
    let (cog, _) = signed("IPAWSOPEN200032");
    let (other, certificate) = signed("mail.example");
    for (pins, of_cog, of_other) in [
        ("", State::Trusted, State::Trusted),
        ("# the weather service\nsubject CN=IPAWSOPEN200032\n", State::Trusted, State::Untrusted),
        ("subject CN=IPAWSOPEN*", State::Trusted, State::Untrusted),
        ("subject cn=mail.example\nsubject CN=IPAWSOPEN200032", State::Trusted, State::Trusted),
        ("subject CN=IPAWSOPEN20003", State::Untrusted, State::Untrusted),
        ("issuer CN=IGC Device CA *", State::Trusted, State::Trusted),
        ("issuer CN=IGC Server CA 1", State::Untrusted, State::Untrusted),
        ("issuer CN=IGC Device CA 2\nsubject CN=IPAWSOPEN200032", State::Trusted, State::Untrusted),
    ] {
        let mut trust = TrustStore::default();
        trust.add_pem(&authority).unwrap();
        trust.add_pins(pins).unwrap();
        for (signed, state) in [(&cog, of_cog), (&other, of_other)] {
            let found = signature::verify(signed.as_bytes(), &trust, &Policy::default());
            assert_eq!(found.state, state, "{pins}: {found:?}");
            assert!(state == State::Trusted || found.signatures[0].reason.contains("pinned"), "{found:?}");
        }
    }
    // Who is in the store himself is meant.
    let mut trust = TrustStore::default();
    trust.add_pem(&certificate).unwrap();
    trust.add_pins("subject CN=IPAWSOPEN*").unwrap();
    assert_eq!(signature::verify(other.as_bytes(), &trust, &Policy::default()).state, State::Trusted);
    assert!(trust.add_pins("subject CN=x\nIPAWSOPEN200032").is_err());
}

#[test]
fn an_ipaws_alert_names_the_cog_whose_certificate_signed_it() {
    // The number in senderName is 000001.
    let findings = |alert: &str, name: &str| {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::OrganizationName, "CN=IPAWSOPEN000001");
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let certificate = params.self_signed(&key).unwrap().pem();
        let signing = SigningKey::from_pkcs8_pem(&key.serialize_pem(), &certificate).unwrap();
        let signed = signature::sign(alert, &signing).unwrap();
        let document = Document::read(signed.as_bytes(), &Limits::default()).unwrap();
        let found = signature::verify_document(&document, &TrustStore::default(), &Policy::default());
        let findings = found.findings(&document.parse().unwrap().alert);
        findings.into_iter().map(|f| (f.rule, f.path)).collect::<Vec<_>>()
    };
    let at = |path: &str| vec![("ipaws.signer", path.to_owned())];
    assert_eq!(findings(ALERTS[2], "IPAWSOPEN000001"), []);
    assert_eq!(findings(ALERTS[2], "IPAWSOPEN_000001"), []);
    assert_eq!(findings(ALERTS[2], "IPAWSOPEN000002"), at("/alert/info[1]/senderName"));
    assert_eq!(findings(ALERTS[2], "warning.example"), at("/alert/Signature"));
    let office = ALERTS[2].replace("000001,MI St. Clair,Desk", "NWS Detroit, MI");
    assert_eq!(findings(&office, "IPAWSOPEN200032"), []);
    assert_eq!(findings(ALERTS[0], "warning.example"), []);
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
