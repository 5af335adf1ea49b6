//! Signatures: whatever is done to a signed alert, only what its signer signed is ever trusted.

use std::sync::OnceLock;

use cap_schema::signature::{Policy, State, TrustStore, verified, verify, verify_document};
use cap_schema::xml::c14n;
use cap_schema::{Alert, Document, Limits, Version};

/// The certificate of the signer of the seeds. Its key was thrown away.
const CERTIFICATE: &str = include_str!("../seeds/signature/signer.pem");
const SIGNED: [&[u8]; 3] = [
    include_bytes!("../seeds/signature/cap.xml"),
    include_bytes!("../seeds/signature/cap-cp.xml"),
    include_bytes!("../seeds/signature/prefixed.xml"),
];

fn trust() -> &'static TrustStore {
    static STORE: OnceLock<TrustStore> = OnceLock::new();
    STORE.get_or_init(|| {
        let mut store = TrustStore::default();
        store.add_pem(CERTIFICATE).unwrap();
        store
    })
}

fn content(mut alert: Alert<'_>) -> Alert<'static> {
    alert.signatures.clear();
    alert.into_owned()
}

/// What the signer signed.
fn signed() -> &'static [Alert<'static>] {
    static ALERTS: OnceLock<Vec<Alert<'static>>> = OnceLock::new();
    ALERTS.get_or_init(|| {
        let alert = |bytes: &&[u8]| {
            let document = Document::read(bytes, &Limits::default()).unwrap();
            content(verified(&document, trust(), &Policy::default()).unwrap().into_parsed().alert)
        };
        SIGNED.iter().map(alert).collect()
    })
}

/// Verifying, canonical forms, and what a verified alert says.
pub fn signature(data: &[u8]) {
    let policy = Policy::default();
    let found = verify(data, trust(), &policy);
    let Ok(document) = Document::read(data, &policy.limits) else {
        assert_eq!(found.state, State::Absent, "a document that is refused is verified");
        return;
    };
    assert_eq!(verify_document(&document, trust(), &policy), found);
    if let Ok(verified) = verified(&document, trust(), &policy) {
        assert_eq!(found.state, State::Trusted);
        let alert = content(verified.into_parsed().alert);
        assert!(signed().contains(&alert), "nobody signed {alert:?}");
    }
    for exclusive in [false, true] {
        let method = c14n::Method { exclusive, comments: true, inclusive_prefixes: Vec::new() };
        let Ok(form) = c14n::document(document.text(), &policy.limits, &method, &[]) else { continue };
        let wide = Limits {
            document_bytes: usize::MAX,
            text_bytes: usize::MAX,
            attribute_bytes: usize::MAX,
            elements: usize::MAX,
            ..Limits::default()
        };
        assert_eq!(c14n::document(&form, &wide, &method, &[]).as_ref(), Ok(&form), "not a fixed point");
    }
    assert_eq!(signed().iter().filter(|a| a.version == Version::V1_2).count(), SIGNED.len());
}
