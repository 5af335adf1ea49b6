//! Signatures on generated documents against xmlsec1: each believes what the other signs, and both judge alike what was
//! changed afterwards.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it cannot go on")]

use std::path::Path;
use std::process::Command;

use cap_schema::signature::{self, DigestMethod, Form, Policy, SigningKey, State, TrustStore};
use cap_schema::xml::c14n;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// A key with its certificate, known to us, to xmlsec1 and to nobody else.
struct Signer {
    name: &'static str,
    key: SigningKey,
    trust: TrustStore,
    folder: tempfile::TempDir,
}

fn signer(name: &'static str, algorithm: &'static rcgen::SignatureAlgorithm) -> Signer {
    let pair = rcgen::KeyPair::generate_for(algorithm).unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["signer.example".to_owned()])
        .unwrap()
        .self_signed(&pair)
        .unwrap()
        .pem();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cert.pem"), &certificate).unwrap();
    std::fs::write(folder.path().join("key.pem"), pair.serialize_pem()).unwrap();
    let key = match name {
        "rsa" => SigningKey::from_pkcs8_pem(&pair.serialize_pem(), &certificate),
        _ => SigningKey::from_curve_pem(&pair.serialize_pem(), &certificate),
    };
    let mut trust = TrustStore::default();
    trust.add_pem(&certificate).unwrap();
    Signer { name, key: key.unwrap(), trust, folder }
}

fn signers() -> [Signer; 4] {
    [
        signer("rsa", &rcgen::PKCS_RSA_SHA256),
        signer("p256", &rcgen::PKCS_ECDSA_P256_SHA256),
        signer("p384", &rcgen::PKCS_ECDSA_P384_SHA384),
        signer("p521", &rcgen::PKCS_ECDSA_P521_SHA512),
    ]
}

impl Signer {
    fn xmlsec1(&self, arguments: &[&str], input: &str) -> (bool, String) {
        let path = |name: &str| self.folder.path().join(name);
        std::fs::write(path("in.xml"), input).unwrap();
        let ran = Command::new("xmlsec1")
            .args(arguments)
            .arg("--output")
            .arg(path("out.xml"))
            .arg(path("in.xml"))
            .current_dir(self.folder.path())
            .output()
            .expect("xmlsec1 is installed by `make setup`");
        let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
        (ran.status.success(), read(&path("out.xml")))
    }

    fn they_believe(&self, signed: &str) -> bool {
        self.xmlsec1(&["--verify", "--enabled-key-data", "x509", "--trusted-pem", "cert.pem"], signed).0
    }

    fn we_believe(&self, signed: &str) -> bool {
        let found = signature::verify(signed.as_bytes(), &self.trust, &Policy::default());
        found.state == State::Trusted
    }

    /// What xmlsec1 makes of an empty signature of the same form.
    fn signed_by_them(&self, alert: &str, form: &Form) -> String {
        self.completed_by_them(signature::sign_as(alert, &self.key, form).unwrap())
    }

    fn completed_by_them(&self, ours: String) -> String {
        let emptied = ["DigestValue", "SignatureValue", "X509SubjectName", "X509Certificate"].iter().fold(
            ours,
            |text, name| {
                let (open, close) = (format!("<{name}>"), format!("</{name}>"));
                let (before, rest) = text.rsplit_once(&open).unwrap();
                let (_, after) = rest.split_once(&close).unwrap();
                format!("{before}{open}{close}{after}")
            },
        );
        let (made, signed) = self.xmlsec1(&["--sign", "--privkey-pem", "key.pem,cert.pem"], &emptied);
        assert!(made, "{emptied}");
        signed
    }
}

/// Alerts with all that canonical forms are about. `%` is where a change is made afterwards.
fn alert() -> impl Strategy<Value = String> {
    let around = prop::sample::select(vec!["", "<?x  y?>\n<!-- b -->", "<!-- -->\n\n"]);
    let root = prop::sample::select(vec![("", "xmlns"), ("c:", "xmlns:c")]);
    // No reference in the name of a namespace: libxml2 and xmlsec1 each write another form of it.
    let unused =
        prop::sample::select(vec!["", " xmlns:z='urn:z' xmlns:y='urn:y'", " xmlns:z=\"urn:z?a='b'\""]);
    let text = prop::sample::select(vec![
        "wind",
        "é &amp; &lt;b&gt; \"'",
        "<![CDATA[<&]]>&#13;\r\n",
        "a<!-- c -->b",
        "\u{1F300}\t ",
    ]);
    let foreign = prop::sample::select(vec![
        "",
        "<x:e xmlns:x='urn:x' x:b='2' a='1&#10;' xml:lang='fr'><x:f/></x:e>",
        "<e xmlns=''><f xmlns='urn:f' xmlns:q='urn:q' q:z='' a=''/></e>",
        "<q:e xmlns:q='urn:1'><q:e xmlns:q='urn:2'><q:e xmlns:q='urn:1'/></q:e></q:e>",
    ]);
    (around, root, unused, text, foreign).prop_map(|(around, (prefix, declaration), unused, text, foreign)| {
        let leaf = |name: &str, text: &str| format!("<{prefix}{name}>{text}</{prefix}{name}>");
        format!(
            "{around}<{prefix}alert {declaration}=\"urn:oasis:names:tc:emergency:cap:1.2\"{unused}>{}{}{}%{}{foreign}</{prefix}alert>{around}",
            leaf("identifier", "on-1"),
            leaf("sender", "desk@alerts.example"),
            leaf("sent", "2026-03-01T10:00:00-05:00"),
            leaf("note", text),
        )
    })
}

fn form() -> impl Strategy<Value = Form> {
    let method = || {
        let prefixes =
            prop::sample::select(vec![vec![], vec![String::new(), "z".to_owned()], vec!["c".to_owned()]]);
        (any::<bool>(), any::<bool>(), prefixes).prop_map(|(exclusive, comments, prefixes)| c14n::Method {
            exclusive,
            comments,
            inclusive_prefixes: if exclusive { prefixes } else { Vec::new() },
        })
    };
    let digest = prop::sample::select(vec![DigestMethod::Sha256, DigestMethod::Sha384, DigestMethod::Sha512]);
    (method(), prop::option::of(method()), digest).prop_map(|(signed_info, document, digest)| Form {
        signed_info,
        document,
        digest,
    })
}

/// What may be done to a signed document: some of it is in no canonical form.
const CHANGES: [(&str, &str); 12] = [
    ("%", ""),
    ("%", " "),
    ("%", "<!-- d -->"),
    ("%", "<?p i?>"),
    ("%", "<!-- d -->\n"),
    ("on-1", "on-2"),
    ("on-1", "&#111;n-1"),
    ("on-1", "<![CDATA[on-1]]>"),
    ("</", " </"),
    ("x:b='2' a='1&#10;'", "a='1&#10;'   x:b=\"2\""),
    ("<SignedInfo>", "<SignedInfo> "),
    ("urn:z", "urn:w"),
];

#[test]
fn each_verifies_what_the_other_signed_and_judges_changes_alike() {
    let signers = signers();
    let mut runner = TestRunner::deterministic();
    let (mut good, mut bad) = (0, 0);
    for round in 0..24 {
        let signer = signers.get(round % signers.len()).unwrap();
        let alert = alert().new_tree(&mut runner).unwrap().current();
        let form = form().new_tree(&mut runner).unwrap().current();
        let clean = alert.replace('%', "");
        let ours = signature::sign_as(&clean, &signer.key, &form).unwrap();
        assert!(signer.they_believe(&ours), "{} {form:?}\n{ours}", signer.name);
        assert!(signer.we_believe(&ours), "{} {form:?}\n{ours}", signer.name);
        let theirs = signer.signed_by_them(&clean, &form);
        assert!(signer.they_believe(&theirs), "{} {form:?}\n{theirs}", signer.name);
        assert!(signer.we_believe(&theirs), "{} {form:?}\n{theirs}", signer.name);
        let marked = signature::sign_as(&alert, &signer.key, &form).unwrap();
        for (from, to) in CHANGES {
            // The signature is one of the document without the mark.
            let changed = if from == "%" {
                let (head, tail) = ours.split_once("<SignedInfo>").unwrap();
                let (body, _) = marked.split_once("<SignedInfo>").unwrap();
                assert_eq!(body.replace('%', ""), head);
                format!("{}<SignedInfo>{tail}", body.replacen('%', to, 1))
            } else {
                ours.replacen(from, to, 1)
            };
            let (we, they) = (signer.we_believe(&changed), signer.they_believe(&changed));
            assert_eq!(we, they, "{} {form:?} {from} {to}\n{changed}", signer.name);
            *if we { &mut good } else { &mut bad } += 1;
        }
    }
    assert!(good > 50 && bad > 50, "{good} {bad}");
}

#[test]
fn every_digest_goes_with_every_curve() {
    let alert = "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><identifier>on-1</identifier><sender>desk@alerts.example\
        </sender><sent>2026-03-01T10:00:00-05:00</sent></alert>";
    for signer in signers().iter().filter(|s| s.name != "rsa") {
        let ours = signature::sign(alert, &signer.key).unwrap();
        let (before, rest) = ours.split_once("#ecdsa-").unwrap();
        let (_, after) = rest.split_once('"').unwrap();
        for digest in ["sha256", "sha384", "sha512"] {
            let theirs = signer.completed_by_them(format!("{before}#ecdsa-{digest}\"{after}"));
            assert!(signer.they_believe(&theirs), "{} {digest}\n{theirs}", signer.name);
            assert!(signer.we_believe(&theirs), "{} {digest}\n{theirs}", signer.name);
            let changed = theirs.replacen("on-1", "on-2", 1);
            assert!(
                !signer.they_believe(&changed) && !signer.we_believe(&changed),
                "{} {digest}",
                signer.name
            );
        }
    }
}
