//! What the store promises of registration documents.

use std::sync::Arc;

use capbridge::store::Store;
use capbridge::store::registrations::{Draft, Kind};
use serde_json::json;

use crate::samples::event;

type Shared = Arc<dyn Store>;

fn draft(kind: Kind, name: &str, n: u32) -> Draft {
    Draft { kind, name: name.to_owned(), body: json!({"v": 1, "n": n, "text": "é/\u{1f30a}"}) }
}

async fn all(s: &Shared, after: u64) -> Vec<(String, String, u64, serde_json::Value)> {
    let found = s.registrations(after, 100).await.unwrap();
    found.into_iter().map(|r| (r.kind, r.name, r.revision, r.body["n"].clone())).collect()
}

pub async fn a_registration_is_written_whole_and_only_over_what_was_seen(s: Shared) {
    assert_eq!(all(&s, 0).await, []);
    assert_eq!(
        s.register(1, vec![draft(Kind::Token, "x", 1)], vec![event("x", None, 1)]).await.unwrap(),
        None
    );
    let two = vec![draft(Kind::Endpoint, "a/b", 1), draft(Kind::Standing, "a/b", 2)];
    assert_eq!(s.register(0, two.clone(), vec![event("registered", None, 1)]).await.unwrap(), Some(2));
    assert_eq!(s.register(0, two, vec![event("registered", None, 1)]).await.unwrap(), None);
    let kept = |kind: &str, revision, n: u32| (kind.to_owned(), "a/b".to_owned(), revision, json!(n));
    assert_eq!(all(&s, 0).await, [kept("endpoint", 1, 1), kept("standing", 2, 2)]);
    assert_eq!(s.registrations(0, 1).await.unwrap()[0].body["text"], "é/\u{1f30a}");
    assert_eq!(s.verify_record().await.unwrap(), Ok(1), "what changed nothing is not in the record");
}

pub async fn what_changed_is_listed_in_the_order_of_the_last_change(s: Shared) {
    for n in 0..5_u32 {
        let name = format!("e{n}");
        assert_eq!(
            s.register(n.into(), vec![draft(Kind::Endpoint, &name, n)], Vec::new()).await.unwrap(),
            Some(u64::from(n) + 1)
        );
    }
    s.register(5, vec![draft(Kind::Endpoint, "e1", 9)], Vec::new()).await.unwrap();
    let names = |found: Vec<(String, String, u64, serde_json::Value)>| {
        found.into_iter().map(|(_, name, revision, _)| (name, revision)).collect::<Vec<_>>()
    };
    assert_eq!(names(all(&s, 3).await), [("e3".into(), 4), ("e4".into(), 5), ("e1".into(), 6)]);
    assert_eq!(names(all(&s, 6).await), []);
    let page = s.registrations(0, 2).await.unwrap();
    assert_eq!(page.iter().map(|r| r.revision).collect::<Vec<_>>(), [1, 3]);
}

pub async fn of_two_that_saw_the_same_one_writes(s: Shared) {
    let writers = (0..20).map(|n| s.register(0, vec![draft(Kind::Token, &format!("t{n}"), n)], Vec::new()));
    let ends = futures_util::future::join_all(writers).await;
    assert_eq!(ends.into_iter().filter(|end| end.as_ref().unwrap().is_some()).count(), 1);
    assert_eq!(all(&s, 0).await.len(), 1);
}
