//! The hub over HTTP-shaped requests, without a socket.

use super::*;
use crate::clock::instant;
use crate::server::{Answer, Request, Site as _};

const ENTRY: &str = include_str!("../../data/samples/entry.xml");
const CAP: &str = include_str!("../../data/samples/masas-chemical.cap.xml");
const START: &str = "2026-03-01T17:02:11Z";

fn hub() -> (MasasHub, Clock) {
    let clock = Clock::fixed(instant(START).unwrap());
    let accounts = vec![
        Account::writer("one", "Lambton EM"),
        Account::writer("two", "Bridge"),
        Account::reader("eye", "Viewer"),
    ];
    let hub =
        MasasHub::new(Settings::new(Mode::Exercise, accounts), clock.clone(), "http://hub.test".to_owned());
    (hub, clock)
}

fn ask(hub: &MasasHub, method: &str, target: &str, secret: &str, content: (&str, &str)) -> Answer {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request::for_test(method, path);
    request.query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    if !secret.is_empty() {
        request.headers.insert("authorization", format!("MASAS-Secret {secret}").parse().unwrap());
    }
    request.headers.insert("content-type", content.0.parse().unwrap());
    hub.answer(&Request { body: Bytes::from(content.1.to_owned()), ..request })
}

fn feed(hub: &MasasHub, query: &str) -> Vec<String> {
    let answer = ask(hub, "GET", &format!("/hub/feed?secret=two&{query}"), "", ("text/plain", ""));
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert_eq!(answer.status, 200, "{query}: {text}");
    let parsed = document(&text).unwrap();
    let entries = crate::xml::children(parsed.root_element(), entry::ATOM, "entry");
    let ids = entries.into_iter().filter_map(|node| crate::xml::child_text(node, entry::ATOM, "id"));
    ids.map(|id| id.trim_start_matches("masas:entry:").to_owned()).collect()
}

#[test]
fn a_cap_alert_becomes_the_entry_that_the_real_hub_makes() {
    let (hub, _) = hub();
    let answer = ask(&hub, "POST", "/hub/feed", "one", (CAP_TYPE, CAP));
    assert_eq!(answer.status, 201);
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    for wanted in [
        r#"<div xml:lang="en">Chemical Hazard - Alert</div><div xml:lang="fr">Risque chimique - Alert</div>"#,
        "Fuite de chlore, gare de triage de Sarnia.",
        r#"scheme="masas:category:icon" term="ems/incident/hazardousMaterial/chemicalHazard""#,
        r#"scheme="masas:category:status" term="Exercise""#,
        "<georss:point>42.9745 -82.4066</georss:point>",
        "<age:expires>2026-03-01T23:00:00Z</age:expires>",
        "<name>Lambton EM</name>",
        r#"rel="enclosure" title="CAP" type="application/common-alerting-protocol+xml""#,
    ] {
        assert!(text.contains(wanted), "{wanted} is not in {text}");
    }
    assert!(!text.contains("app:edited") && !text.contains("rel=\"history\""), "{text}");
    let id = hub.entries()[0].id.clone();
    let file = ask(&hub, "GET", &format!("/hub/feed/{id}/content/0"), "two", ("text/plain", ""));
    assert_eq!(file.body, CAP.as_bytes());
    let older = CAP.replace("cap:1.2", "cap:1.1");
    assert_eq!(ask(&hub, "POST", "/hub/feed", "one", (CAP_TYPE, &older)).status, 201);
}

#[test]
fn requests_that_the_hub_refuses_get_their_status() {
    let (hub, _) = hub();
    let actual = CAP.replace("<status>Exercise", "<status>Actual");
    let geocodes_only =
        CAP.replace("layer:CAPAN:eventLocation:point", "other").replace("circle>", "altitude>");
    let unlocated = ENTRY.replace("42.99 -82.48 1500", "");
    let cases = [
        ("POST", "/hub/feed", "", CAP_TYPE, CAP, 401),
        ("POST", "/hub/feed", "wrong", CAP_TYPE, CAP, 401),
        ("POST", "/hub/feed", "eye", CAP_TYPE, CAP, 403),
        ("POST", "/hub/feed", "one", "text/xml", CAP, 415),
        ("POST", "/hub/feed", "one", CAP_TYPE, "<alert/>", 400),
        ("POST", "/hub/feed", "one", CAP_TYPE, "<alert", 400),
        ("POST", "/hub/feed", "one", CAP_TYPE, "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", 400),
        ("POST", "/hub/feed", "one", CAP_TYPE, &actual, 400),
        ("POST", "/hub/feed", "one", CAP_TYPE, &geocodes_only, 400),
        ("POST", "/hub/feed", "one", ATOM_TYPE, &unlocated, 400),
        ("POST", "/hub/feed", "one", ATOM_TYPE, CAP, 400),
        ("PUT", "/hub/feed/none", "one", ATOM_TYPE, ENTRY, 404),
        ("GET", "/hub/feed?dtsince=yesterday", "one", "text/plain", "", 400),
        ("GET", "/hub/feed?lat=1", "one", "text/plain", "", 400),
        ("DELETE", "/hub/feed/none", "one", "text/plain", "", 404),
    ];
    for (method, path, secret, media_type, body, wanted) in cases {
        let answer = ask(&hub, method, path, secret, (media_type, body));
        assert_eq!(answer.status, wanted, "{method} {path} {media_type} {body}");
        assert_eq!(answer.expected, method != "DELETE", "{method} {path}");
    }
    assert_eq!(hub.entries(), []);
    let mut lenient = hub;
    lenient.settings.needs_position = false;
    assert_eq!(lenient.post_cap("one", geocodes_only.as_bytes()).unwrap().draft.shapes, []);
}

#[test]
fn only_the_author_or_those_it_allows_may_change_an_entry() {
    let (hub, clock) = hub();
    let closed = ENTRY.replace(">all<", "><");
    for (text, wanted) in [(closed.as_str(), 403), (ENTRY, 200)] {
        let id = hub.post_entry("one", text.as_bytes()).unwrap().id;
        clock.advance(60);
        let answer = ask(&hub, "PUT", &format!("/hub/feed/{id}"), "two", (ATOM_TYPE, text));
        assert_eq!(answer.status, wanted);
    }
    let entry = &hub.entries()[1];
    assert_eq!((entry.author_name.as_str(), entry.is_edited), ("Lambton EM", true));
    let own = entry.draft.categories.iter().filter(|one| one.scheme.starts_with("urn:x-bridge:"));
    assert_eq!(own.count(), 2, "categories of other schemes are kept");
    let uri = hub.account_uri("two").unwrap();
    assert_eq!(feed(&hub, &format!("update_allow={uri}")), std::slice::from_ref(&entry.id));
    let history = ask(&hub, "GET", &format!("/hub/feed/{}/history", entry.id), "two", ("text/plain", ""));
    assert!(String::from_utf8(history.body.to_vec()).unwrap().contains("<published>2026-03-01T17:03:11Z"));
}

#[test]
fn the_feed_selects_by_time_author_place_and_number() {
    let (hub, clock) = hub();
    let first = hub.post_cap("one", CAP.as_bytes()).unwrap().id;
    clock.advance(60);
    let second = hub.post_entry("two", ENTRY.as_bytes()).unwrap().id;
    let (one, two) = (hub.account_uri("one").unwrap(), hub.account_uri("two").unwrap());
    let both = [second.clone(), first.clone()];
    let (first, second) = (std::slice::from_ref(&first), std::slice::from_ref(&second));
    let cases: [(&str, &[String]); 10] = [
        ("", &both),
        (&format!("author={one}"), first),
        (&format!("not_author={two}/"), first),
        ("dtsince=2026-03-01T17:03:00Z", second),
        ("dtsince=2026-03-01T17:02:11Z", &both),
        ("bbox=-82.45,42.9,-82.40,43.0", first),
        ("bbox=-90.0,40.0,-80.0,45.0&limit=1", second),
        ("lat=42.9745&lon=-82.4066&radius=500", first),
        ("lat=42.9745&lon=-82.4066&radius=500000", &both),
        ("lat=10&lon=-82.4066&radius=500000", &[]),
    ];
    for (query, wanted) in cases {
        assert_eq!(feed(&hub, query), wanted, "{query}");
    }
}

#[test]
fn what_ends_leaves_the_feed_and_stays_in_the_history() {
    let (hub, clock) = hub();
    let id = hub.post_cap("one", CAP.as_bytes()).unwrap().id;
    let plain = hub.post_entry("one", ENTRY.as_bytes()).unwrap().id;
    clock.advance(60);
    let reference = "em@lambton.example.test,LAMBTON-2026-0001,2026-03-01T12:02:05-05:00";
    let successor = |kind: &str| {
        let head = CAP.replace("<msgType>Alert", &format!("<msgType>{kind}")).replace("-0001<", "-0002<");
        head.replace("</code>", &format!("</code><references>{reference}</references>"))
    };
    let unrelated = CAP.replace("<msgType>Alert", "<msgType>Update");
    let content = format!("/hub/feed/{id}/content");
    for (body, wanted) in [
        (CAP.to_owned(), 400),
        (unrelated, 400),
        (successor("Update"), 200),
        (successor("Cancel").split("<info>").next().unwrap().to_owned() + "</alert>", 200),
        (successor("Update"), 400),
    ] {
        assert_eq!(ask(&hub, "PUT", &content, "one", (CAP_TYPE, &body)).status, wanted, "{body}");
    }
    assert_eq!(hub.entries()[0].title("fr"), "Risque chimique - Cancel");
    let now = ENTRY.replace("2026-03-01T23:00:00Z", "2026-03-01T17:03:11.000+00:00");
    assert_eq!(
        ask(&hub, "PUT", &format!("/hub/feed/{plain}"), "one", ("application/atom+xml;type=entry", &now))
            .status,
        200
    );
    assert!(feed(&hub, "").is_empty());
    assert_eq!(feed(&hub, "dtsince=2026-03-01T17:00:00Z").len(), 2);
    assert_eq!(hub.revisions(&id).len(), 3);
}

#[test]
fn an_attachment_travels_with_its_entry_and_can_be_replaced() {
    let (hub, _) = hub();
    let multipart = "multipart/related; boundary=b.1";
    let photo = "--b.1\r\nContent-Disposition: attachment; filename=\"photo.jpg\"\r\nContent-Type: image/jpeg\r\n\
                 Content-Transfer-Encoding: base64\r\n\r\n/9j/4AAQ\r\n--b.1--\r\n";
    let body = format!("--b.1\r\nContent-Type: application/atom+xml\r\n\r\n{ENTRY}\r\n{photo}");
    assert_eq!(ask(&hub, "POST", "/hub/feed", "one", (multipart, &body)).status, 201);
    let id = hub.entries()[0].id.clone();
    let file = ask(&hub, "GET", &format!("/hub/feed/{id}/content/0"), "two", ("text/plain", ""));
    assert_eq!((file.body.len(), file.headers[0].1.as_str()), (6, "image/jpeg"));
    let replaced = photo.replace("photo", "other");
    assert_eq!(
        ask(&hub, "PUT", &format!("/hub/feed/{id}/content"), "one", (multipart, &replaced)).status,
        200
    );
    assert_eq!(hub.entries()[0].enclosures[0].title, "other.jpg");
    assert_eq!(
        ask(&hub, "POST", "/hub/feed", "one", (multipart, &body.replace("image/jpeg", "text/html"))).status,
        415
    );
}

#[test]
fn texts_in_one_language_or_with_markup_survive() {
    let (hub, _) = hub();
    let french = ENTRY
        .replace("xml:lang=\"en\"", "xml:lang=\"fr\"")
        .replace("St. Clair County MI", "l'&amp; É <b>x</b>");
    let entry = hub.post_entry("one", french.as_bytes()).unwrap();
    assert!(entry.xml("u", None, true).contains("l'&amp; É <b>x</b>"));
    assert!(document(&entry.xml("u", Some("en"), true)).is_ok());
    let plain = ENTRY.replace("type=\"xhtml\"", "type=\"text\"");
    assert_eq!(hub.post_entry("one", plain.as_bytes()).unwrap().draft.title.kind, "text");
}

#[test]
fn check_access_names_the_account_and_a_bad_secret_may_redirect() {
    let (mut hub, _) = hub();
    let answer = ask(&hub, "GET", "/api/check_access/?query_secret=one", "two", ("text/plain", ""));
    let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(json["uri"].as_str(), hub.account_uri("one").as_deref());
    hub.settings.redirects_bad_secret = true;
    assert_eq!(ask(&hub, "GET", "/hub/feed", "wrong", ("text/plain", "")).status, 302);
}

#[test]
fn a_replayed_feed_is_served_byte_for_byte() {
    let (mut hub, _) = hub();
    hub.settings.replay = vec![Bytes::from_static(b"<feed>1</feed>"), Bytes::from_static(b"<feed>2</feed>")];
    for wanted in ["<feed>1</feed>", "<feed>2</feed>", "<feed>2</feed>"] {
        assert_eq!(ask(&hub, "GET", "/hub/feed", "eye", ("text/plain", "")).body, wanted);
    }
    hub.show(Bytes::from_static(b"<feed>3</feed>"));
    assert_eq!(ask(&hub, "GET", "/hub/feed", "eye", ("text/plain", "")).body, "<feed>3</feed>");
}

#[test]
fn real_entries_are_written_again_byte_for_byte() {
    let corpus = std::env::var_os("CAP_CORPUS").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus"),
        Into::into,
    );
    let mut written = 0;
    for name in
        ["masas_hub_feed_sandbox2_1entry_image.xml", "masas_hub_feed_sandbox2_2entries_cap_bilingual.xml"]
    {
        let Ok(text) = std::fs::read_to_string(corpus.join("masas").join(name)) else {
            println!("skipped: no corpus (set CAP_CORPUS)");
            return;
        };
        let parsed = document(&text).unwrap();
        for node in crate::xml::children(parsed.root_element(), entry::ATOM, "entry") {
            let entry = known(node);
            let wanted = text.get(node.range()).unwrap();
            assert_eq!(entry.xml("https://sandbox2.masas-sics.ca/hub/feed", None, false), wanted);
            written += 1;
        }
    }
    assert_eq!(written, 3);
}

/// The entry that a hub must have held to write this element; the files are empty but as long.
fn known(node: roxmltree::Node<'_, '_>) -> Entry {
    use crate::xml::{child, child_text, children};
    let of = |name| child_text(node, entry::ATOM, name).unwrap();
    let author = child(node, entry::ATOM, "author").unwrap();
    let draft = Draft::read(node).unwrap();
    let links = children(node, entry::ATOM, "link");
    let enclosures = links.iter().filter(|link| link.attribute("rel") == Some("enclosure"));
    Entry {
        id: of("id").trim_start_matches("masas:entry:").to_owned(),
        author_uri: child_text(author, entry::ATOM, "uri").unwrap(),
        author_name: child_text(author, entry::ATOM, "name").unwrap(),
        author_email: child_text(author, entry::ATOM, "email"),
        published_at: instant(&of("published")).unwrap(),
        updated_at: instant(&of("updated")).unwrap(),
        is_edited: child(node, "http://www.w3.org/2007/app", "edited").is_some(),
        expires_at: draft.expires_at.unwrap(),
        draft,
        enclosures: enclosures
            .map(|link| Enclosure {
                media_type: link.attribute("type").unwrap().to_owned(),
                title: link.attribute("title").unwrap().to_owned(),
                content: Bytes::from(vec![0; link.attribute("length").unwrap().parse().unwrap()]),
            })
            .collect(),
    }
}
