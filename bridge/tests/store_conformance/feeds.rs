//! What both engines promise of feeds.

use std::sync::Arc;

use bytes::Bytes;
use cap_schema::MsgType;
use capbridge::store::Store;
use capbridge::store::feeds::{Extent, Placed, Span};
use capbridge_adapters::feed::{Entry, Keeping};

use crate::samples::{at, endpoint};

/// An entry of the feed `f` by name; it ends after an hour.
pub fn keeping(name: &str) -> Keeping {
    Keeping {
        feed: endpoint("f"),
        entry: Entry {
            v: 1,
            id: format!("msg_{name}"),
            reference: format!("desk@agency.example,{name},2025-06-15T15:06:40-00:00"),
            msg_type: MsgType::Alert,
            status: "Actual".into(),
            scope: Some("Public".into()),
            sender: "desk@agency.example".into(),
            sent: "2025-06-15T15:06:40-00:00".into(),
            published_at: at(10),
            expires_at: Some(at(3_600)),
            replaces: Vec::new(),
            infos: Vec::new(),
            content_type: "application/cap+xml".into(),
            length_bytes: 3,
            digest: format!("digest of {name}"),
        },
        body: Bytes::from(format!("<{name} \u{e9}\0>")),
    }
}

/// One that takes the place of others.
pub fn replacing(name: &str, msg_type: MsgType, others: &[&str]) -> Keeping {
    let mut keeping = keeping(name);
    keeping.entry.msg_type = msg_type;
    keeping.entry.replaces = others.iter().map(|other| self::keeping(other).entry.reference).collect();
    keeping
}

fn names(entries: &[Placed]) -> Vec<(u64, &str)> {
    entries.iter().map(|p| (p.place, p.entry.id.trim_start_matches("msg_"))).collect()
}

pub async fn an_entry_has_one_place_and_is_kept_byte_for_byte(s: Arc<dyn Store>) {
    assert_eq!(s.extent(&endpoint("f")).await.unwrap(), Extent::default());
    assert_eq!(s.keep(keeping("a")).await.unwrap(), 1);
    assert_eq!(s.keep(keeping("b")).await.unwrap(), 2);
    assert_eq!(s.keep(keeping("a")).await.unwrap(), 1, "the same again changes nothing");
    let other = Keeping { feed: endpoint("other"), ..keeping("a") };
    assert_eq!(s.keep(other).await.unwrap(), 1, "each feed has its own order");
    let (placed, body) = s.entry(&endpoint("f"), "msg_b").await.unwrap().unwrap();
    assert_eq!(placed, Placed { place: 2, entry: keeping("b").entry });
    assert_eq!(body, keeping("b").body);
    assert_eq!(s.entry(&endpoint("f"), "msg_c").await.unwrap(), None);
    assert_eq!(s.entry(&endpoint("g"), "msg_b").await.unwrap(), None);
    assert_eq!(s.extent(&endpoint("f")).await.unwrap(), Extent { last: 2, swept: 0 });
    assert_eq!(s.feeds().await.unwrap(), [endpoint("f"), endpoint("other")]);
}

pub async fn entries_are_read_from_any_place_in_both_directions(s: Arc<dyn Store>) {
    for n in 1..=12 {
        assert_eq!(s.keep(keeping(&n.to_string())).await.unwrap(), n);
    }
    let read = async |span, limit| {
        let entries = s.entries(&endpoint("f"), span, limit).await.unwrap();
        entries.iter().map(|p| p.place).collect::<Vec<_>>()
    };
    assert_eq!(read(Span::After(0), 3).await, [1, 2, 3]);
    assert_eq!(read(Span::After(10), 9).await, [11, 12]);
    assert_eq!(read(Span::After(12), 9).await, [0_u64; 0]);
    assert_eq!(read(Span::Before(13), 2).await, [12, 11]);
    assert_eq!(read(Span::Before(3), 9).await, [2, 1]);
    assert_eq!(read(Span::Before(1), 9).await, [0_u64; 0]);
}

pub async fn many_at_once_have_places_without_a_gap(s: Arc<dyn Store>) {
    let all = (0..40).map(|n| s.keep(keeping(&n.to_string())));
    let mut places: Vec<u64> =
        futures_util::future::join_all(all).await.into_iter().map(Result::unwrap).collect();
    places.sort_unstable();
    assert_eq!(places, (1..=40).collect::<Vec<_>>());
}

pub async fn what_was_replaced_ended_or_expired_is_in_force_no_more(s: Arc<dyn Store>) {
    let in_force = async |secs, before, limit| {
        let found = s.in_force(&endpoint("f"), at(secs), before, limit).await.unwrap();
        names(&found).into_iter().map(|(_, name)| name.to_owned()).collect::<Vec<_>>()
    };
    let mut endless = keeping("endless");
    endless.entry.expires_at = None;
    for keeping in [keeping("a"), keeping("b"), keeping("c"), endless] {
        s.keep(keeping).await.unwrap();
    }
    assert_eq!(in_force(20, 99, 9).await, ["endless", "c", "b", "a"]);
    s.keep(replacing("update of a", MsgType::Update, &["a"])).await.unwrap();
    s.keep(replacing("cancel of b", MsgType::Cancel, &["b", "unknown"])).await.unwrap();
    assert_eq!(in_force(20, 99, 9).await, ["update of a", "endless", "c"]);
    assert_eq!(in_force(20, 99, 2).await, ["update of a", "endless"]);
    assert_eq!(in_force(20, 4, 9).await, ["c"]);
    assert_eq!(in_force(3_600, 99, 9).await, ["endless"], "it ends at its end");
    let elsewhere = Keeping { feed: endpoint("g"), ..replacing("all", MsgType::Cancel, &["c", "endless"]) };
    s.keep(elsewhere).await.unwrap();
    assert_eq!(in_force(20, 99, 9).await.len(), 3, "another feed is another feed");
}

pub async fn old_entries_are_swept_and_the_feed_says_so(s: Arc<dyn Store>) {
    let mut long = keeping("long");
    long.entry.expires_at = Some(at(9_000));
    for keeping in [keeping("a"), long, keeping("b")] {
        s.keep(keeping).await.unwrap();
    }
    assert_eq!(s.sweep_feed(&endpoint("f"), at(3_600), 9).await.unwrap(), 0);
    assert_eq!(s.sweep_feed(&endpoint("f"), at(3_601), 1).await.unwrap(), 1);
    assert_eq!(s.extent(&endpoint("f")).await.unwrap(), Extent { last: 3, swept: 1 });
    assert_eq!(s.sweep_feed(&endpoint("f"), at(3_601), 9).await.unwrap(), 1);
    assert_eq!(s.extent(&endpoint("f")).await.unwrap(), Extent { last: 3, swept: 3 });
    let left = s.entries(&endpoint("f"), Span::After(0), 9).await.unwrap();
    assert_eq!(names(&left), [(2, "long")]);
    assert_eq!(s.entry(&endpoint("f"), "msg_a").await.unwrap(), None);
    assert_eq!(names(&s.in_force(&endpoint("f"), at(20), 99, 9).await.unwrap()), [(2, "long")]);
    assert_eq!(s.keep(keeping("c")).await.unwrap(), 4, "a place is given once");
}
