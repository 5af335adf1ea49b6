//! The readers of foreign documents on real ones, read in place.

use std::path::Path;

use capbridge_adapters::atom::{self, Entry};
use capbridge_adapters::ipaws::reply::{self, Outcome, Rejection, Reply};
use capbridge_adapters::masas::entry::{EntrySettings, to_cap};

fn bytes(corpus: &Path, name: &str) -> Vec<u8> {
    std::fs::read(corpus.join(name)).unwrap()
}

#[test]
fn real_masas_feeds_are_read_whole() {
    let Some(corpus) = capbridge_harness::corpus("real_masas_feeds_are_read_whole") else { return };
    let cases = [
        ("masas/masas_hub_feed_sandbox2_1entry_image.xml", 1),
        ("masas/masas_hub_feed_sandbox2_2entries_cap_bilingual.xml", 2),
        ("masas/masas_hub_feed_sandbox2_2entries_polygon_modified.xml", 2),
    ];
    for (name, entries) in cases {
        let feed = atom::cut(&bytes(&corpus, name)).unwrap();
        assert_eq!((feed.entries.len(), feed.complete), (entries, true), "{name}");
        for document in &feed.entries {
            let entry = Entry::read(document).unwrap();
            assert!(
                entry.id.is_some() && entry.updated.is_some() && entry.bad_times.is_empty(),
                "{name}: {entry:?}"
            );
            let made = to_cap(document, &EntrySettings::default()).unwrap();
            let parsed = cap_schema::parse_owned(&made.cap, &cap_schema::Limits::default()).unwrap();
            assert!(parsed.accepted() && parsed.findings.is_empty(), "{name}: {:?}", parsed.findings);
        }
    }
}

#[test]
fn every_known_reply_of_ipaws_open_is_judged() {
    let Some(corpus) = capbridge_harness::corpus("every_known_reply_of_ipaws_open_is_judged") else { return };
    let judged = |name: &str, wanted: &[&str]| match reply::read(&bytes(&corpus, name)).unwrap() {
        Reply::Groups(groups) => reply::judge(&groups, wanted),
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(judged("ipaws/soap/reconstructed-postcap-accepted.xml", &["EAS", "CMAS"]), Outcome::Accepted);
    assert!(matches!(
        judged("ipaws/soap/reconstructed-postcap-accepted.xml", &["NWEM"]),
        Outcome::Partial(_)
    ));
    assert!(matches!(judged("ipaws/soap/eoc-postcap-cmas-rejected.xml", &["CMAS"]), Outcome::Partial(_)));
    let refused = Outcome::Rejected(Rejection::Message);
    assert_eq!(judged("ipaws/soap/eoc-postcap-signature-invalid.xml", &[]), refused);
    let fault = reply::read(&bytes(&corpus, "ipaws/soap/eoc-postcap-expired-certificate.xml")).unwrap();
    assert!(
        matches!(fault, Reply::Fault(fault) if fault.code == "Receiver" && fault.text.contains("certificate"))
    );
    let pong = reply::ack(&bytes(&corpus, "ipaws/soap/reconstructed-getack-response.xml")).unwrap();
    assert_eq!(pong.as_deref(), Some("PONG"));
}

/// The whole corpus of attacks: every reader answers, and nothing that needs a DTD is read.
#[test]
fn no_hostile_document_is_taken_for_a_feed_or_a_reply() {
    let Some(corpus) = capbridge_harness::corpus("no_hostile_document_is_taken_for_a_feed_or_a_reply") else {
        return;
    };
    let mut folders = vec![corpus.join("hostile")];
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
                continue;
            }
            let bytes = std::fs::read(entry.path()).unwrap();
            let dtd = bytes.windows(9).any(|w| w.eq_ignore_ascii_case(b"<!doctype"));
            let taken = Entry::read(&bytes).is_ok() || matches!(reply::read(&bytes), Ok(Reply::Groups(_)));
            assert!(!taken, "{}", entry.path().display());
            if let (Ok(feed), true) = (atom::cut(&bytes), dtd) {
                assert!(feed.entries.is_empty(), "{}", entry.path().display());
            }
            read += 1;
        }
    }
    assert!(read > 1_000, "{read}");
}
