//! The mapping tables against facts that are stated a second time, and against their sources; and that a changed row is
//! found.
//!
//! Three layers: what the tables say of each other and of the facts in `facts.rs` (always there), what the sources in
//! the folder beside the corpus say (read in place), and a seal of each table, so that no row changes unnoticed.

mod facts;
mod mutation;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::OnceLock;

use crate::translate::codes::{Codes, rows};
use crate::translate::minimise::{Crossing, Minimisation};

/// The text of each table.
#[derive(Clone)]
pub(super) struct Texts {
    pub(super) cap_cp: String,
    pub(super) same: String,
    pub(super) radio: String,
    pub(super) minimisation: String,
    pub(super) pairs: String,
}

impl Texts {
    pub(super) fn shipped() -> Self {
        Texts {
            cap_cp: include_str!("../../../data/events_capcp.tsv").into(),
            same: include_str!("../../../data/events_same.tsv").into(),
            radio: include_str!("../../../data/events_same_radio.tsv").into(),
            minimisation: include_str!("../../../data/minimisation.tsv").into(),
            pairs: include_str!("../../../data/border_pairs.tsv").into(),
        }
    }
}

/// The folder that holds the corpus and the tables of sources.
fn shared() -> Option<PathBuf> {
    let corpus = std::env::var_os("CAP_CORPUS").map(PathBuf::from);
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    let folder = corpus.unwrap_or(beside).join("..");
    folder.join("tables/capcp-events.tsv").is_file().then_some(folder)
}

/// The rows of a table of a source, by the names of its columns.
fn columns(text: &str) -> Vec<BTreeMap<&str, &str>> {
    let mut lines = text.lines().filter(|l| !l.starts_with('#') && !l.is_empty());
    let head: Vec<&str> = lines.next().unwrap_or("").split('\t').collect();
    lines.map(|line| head.iter().copied().zip(line.split('\t')).collect()).collect()
}

/// What is wrong with the tables, by what they say of each other and by the facts.
pub(super) fn against_facts(texts: &Texts) -> Vec<String> {
    [codes(texts), minimisation(texts), pairs(texts)].concat()
}

/// The three tables of event codes.
pub(super) fn codes(texts: &Texts) -> Vec<String> {
    let codes = match Codes::read(&texts.cap_cp, &texts.same, &texts.radio) {
        Ok(codes) => codes,
        Err(error) => return vec![error.to_string()],
    };
    let mut wrong = both_ways(&codes);
    wrong.extend(as_stated(&codes));
    wrong
}

/// Each CAP-CP row leads to the SAME row that names it, and the reverse.
fn both_ways(codes: &Codes) -> Vec<String> {
    let mut wrong = Vec::new();
    for (code, row) in &codes.cap_cp {
        match codes.same(&row.same) {
            None => wrong.push(format!("{code} leads to {}, which is no row", row.same)),
            Some(same) if same.capcp != *code && !same.also.contains(code) => {
                wrong.push(format!("{code} leads to {}, which does not name it", row.same));
            }
            Some(_) => {}
        }
    }
    for (code, row) in &codes.same {
        let there: BTreeSet<&String> =
            codes.cap_cp.iter().filter(|(_, event)| event.same == *code).map(|(capcp, _)| capcp).collect();
        let mut named: BTreeSet<&String> = row.also.iter().collect();
        if named.contains(&row.capcp) {
            wrong.push(format!("{code} names {} twice", row.capcp));
        }
        match codes.cap_cp(&row.capcp) {
            Some(event) if event.same == *code => {
                named.insert(&row.capcp);
            }
            Some(_) if !facts::ONE_WAY.contains(&(code, &row.capcp)) => {
                wrong.push(format!("{code} leads to {}, which leads elsewhere", row.capcp));
            }
            Some(_) => {}
            None => wrong.push(format!("{code} leads to {}, which is no row", row.capcp)),
        }
        if named != there {
            wrong.push(format!("{code} names {named:?}, and {there:?} lead to it"));
        }
    }
    wrong
}

/// The tables say what `facts.rs` states in another arrangement.
fn as_stated(codes: &Codes) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut compare = |what: &str, found: BTreeSet<String>, stated: BTreeSet<String>| {
        let missing: Vec<_> = stated.difference(&found).collect();
        let more: Vec<_> = found.difference(&stated).collect();
        if !missing.is_empty() || !more.is_empty() {
            wrong.push(format!("{what}: {missing:?} missing, {more:?} not stated"));
        }
    };
    let names = codes.same.iter().map(|(code, row)| format!("{code} {}", row.name_en)).collect();
    compare("names of SAME codes", names, facts::lines(facts::SAME_NAMES));
    let leads =
        codes.same.iter().filter(|(code, row)| codes.cap_cp(&row.capcp).is_none_or(|r| r.same != **code));
    let leads = leads.map(|(code, row)| format!("{code} {}", row.capcp)).collect();
    let stated = facts::ONE_WAY.iter().map(|(same, capcp)| format!("{same} {capcp}")).collect();
    compare("SAME codes that lead one way", leads, stated);
    let both =
        codes.same.iter().filter(|(code, row)| codes.cap_cp(&row.capcp).is_some_and(|r| r.same == **code));
    let both = both.map(|(code, row)| format!("{code} {}", row.capcp)).collect();
    compare("SAME codes that lead there and back", both, facts::lines(facts::BOTH_WAYS));
    let radio = codes.radio.iter().map(|(code, capcp)| format!("{code} {capcp}")).collect();
    compare("codes of weather radio", radio, facts::lines(facts::RADIO));
    let cbrne = codes.cap_cp.iter().filter(|(_, row)| row.cbrne).map(|(code, _)| code.clone()).collect();
    compare("CBRNE", cbrne, facts::words(facts::CBRNE));
    let weather = codes.cap_cp.iter().filter(|(_, row)| row.category == "Met").map(|(code, _)| code.clone());
    compare("weather", weather.collect(), facts::words(facts::WEATHER));
    for (handling, stated) in facts::WEA {
        let found = codes.same.iter().filter(|(_, row)| row.wea.iter().any(|w| w == handling));
        compare(handling, found.map(|(code, _)| code.clone()).collect(), facts::words(stated));
    }
    for (code, row) in &codes.same {
        if row.wea.iter().any(|w| !facts::WEA.iter().any(|(known, _)| known == w)) {
            compare(code, row.wea.iter().cloned().collect(), BTreeSet::new());
        }
    }
    let pair = |list: &[(&str, &str)], same: &str| {
        list.iter().find(|(warning, _)| *warning == same).map(|(_, other)| (*other).to_owned())
    };
    for (code, row) in &codes.cap_cp {
        let watch = pair(&facts::WATCHES, &row.same).unwrap_or_default();
        let special = if row.category == "Met" && row.same != "SPS" { "SPS" } else { "" };
        let statement = pair(&facts::STATEMENTS, &row.same).unwrap_or_else(|| special.into());
        for (what, found, stated) in
            [("watch", &row.same_watch, watch), ("statement", &row.same_statement, statement)]
        {
            if *found != stated {
                compare(&format!("{what} of {code}"), [found.clone()].into(), [stated].into());
            }
        }
    }
    wrong
}

/// The list of what crosses the border.
pub(super) fn minimisation(texts: &Texts) -> Vec<String> {
    let text = &texts.minimisation;
    let list = match Minimisation::read(text) {
        Ok(list) => list,
        Err(error) => return vec![error.to_string()],
    };
    let mut wrong = Vec::new();
    for (crossing, elements, parameters) in facts::CROSSING {
        for name in facts::words(elements) {
            if list.element(&name) != crossing {
                wrong.push(format!("element {name} is {:?}", list.element(&name)));
            }
        }
        for name in facts::words(parameters) {
            if list.parameter(&name) != crossing {
                wrong.push(format!("parameter {name} is {:?}", list.parameter(&name)));
            }
        }
    }
    // A row that nobody states would let through, or keep, what no fact knows of.
    let stated: usize = facts::CROSSING
        .iter()
        .filter(|(crossing, ..)| *crossing != Crossing::Purpose)
        .map(|(_, elements, parameters)| facts::words(elements).len() + facts::words(parameters).len())
        .sum();
    let found = text.lines().filter(|l| !l.starts_with('#') && !l.is_empty()).skip(1);
    let found = found.filter(|l| !l.contains("\tpurpose\t")).count();
    if found != stated {
        wrong.push(format!("{found} rows, and {stated} are stated"));
    }
    wrong
}

/// Each pair once, and as many divisions beside each county as are stated, with a digest of which.
pub(super) fn pairs(texts: &Texts) -> Vec<String> {
    let text = &texts.pairs;
    let mut wrong = Vec::new();
    let mut by_class = BTreeMap::<&str, Vec<String>>::new();
    for line in text.lines().filter(|l| !l.starts_with('#') && !l.is_empty()).skip(1) {
        match line.split('\t').collect::<Vec<_>>().as_slice() {
            [same, sgc, class] => by_class.entry(class).or_default().push(format!("{same}-{sgc}")),
            _ => wrong.push(format!("{line} has not three columns")),
        }
    }
    for (class, count) in facts::PAIRS {
        let found = by_class.remove(class).unwrap_or_default();
        let once: BTreeSet<&String> = found.iter().collect();
        if once.len() != found.len() || found.len() != count {
            wrong.push(format!(
                "{class}: {} pairs, {} of them once; {count} are stated",
                found.len(),
                once.len()
            ));
        }
        // What every pair adds to this sum is a second statement of it that no single change keeps, nor an exchange.
        let product = |pair: &String| -> Option<u64> {
            let (same, sgc) = pair.split_once('-')?;
            Some(same.parse::<u64>().ok()? * sgc.parse::<u64>().ok()?)
        };
        let sum: u64 = found.iter().filter_map(product).sum();
        if !facts::PAIR_SUMS.contains(&(class, sum)) {
            wrong.push(format!("{class}: SAME times SGC codes add up to {sum}"));
        }
    }
    if !by_class.is_empty() {
        wrong.push(format!("classes that are not stated: {:?}", by_class.keys()));
    }
    wrong
}

/// What is wrong with the tables by the sources, where they are there.
pub(super) fn against_sources(texts: &Texts) -> Option<Vec<String>> {
    let folder = shared()?;
    static TEXTS: OnceLock<[String; 2]> = OnceLock::new();
    static SOURCES: OnceLock<[Vec<BTreeMap<&'static str, &'static str>>; 2]> = OnceLock::new();
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
    let texts_of = ["tables/capcp-events.tsv", "corpus/masas/derived_capcp_event_to_masas_icon.tsv"];
    let sources = TEXTS.get_or_init(|| texts_of.map(read));
    let [events, masas] = SOURCES.get_or_init(|| [columns(&sources[0]), columns(&sources[1])]);
    let mut wrong = Vec::new();
    let Ok(ours) = rows::<11>("events_capcp.tsv", &texts.cap_cp) else { return Some(vec!["unread".into()]) };
    for row in masas {
        let (Some(code), Some(name), Some(icon)) =
            (row.get("capcp_event"), row.get("name_en"), row.get("masas_icon"))
        else {
            continue;
        };
        let Some([_, _, name_en, name_fr, _, ours_icon, ..]) = ours.get(*code) else {
            wrong.push(format!("{code} of MASAS is not there"));
            continue;
        };
        let french = row.get("name_fr").copied().unwrap_or("");
        if name_en != name || ours_icon != icon || name_fr != french {
            wrong.push(format!("{code}: {name_en}, {name_fr}, {ours_icon}; MASAS: {name}, {french}, {icon}"));
        }
    }
    for row in events {
        let Some(code) = row.get("code").filter(|code| ours.contains_key(**code)) else {
            wrong.push(format!("{:?} of the event references is not there", row.get("code")));
            continue;
        };
        let Some([_, category, name_en, .., same, _, _, _, source]) = ours.get(*code) else { continue };
        let of_masas = masas.iter().find(|m| m.get("capcp_event") == Some(code));
        let categories = [row.get("cap_category"), of_masas.and_then(|m| m.get("cap_category"))];
        if !categories.contains(&Some(&category.as_str())) {
            wrong.push(format!("{code} is of category {category}; sources: {categories:?}"));
        }
        if of_masas.is_none() && row.get("name_en") != Some(&name_en.as_str()) {
            wrong.push(format!("{code} is called {name_en}; source: {:?}", row.get("name_en")));
        }
        let community =
            ["same_el", "same_qe", "same_hz"].map(|column| row.get(column).copied().unwrap_or(""));
        let by_community = source == "community tables (cap page 2.3, unofficial)";
        if by_community && !community.contains(&same.as_str()) {
            wrong.push(format!("{code} leads to {same}; community tables: {community:?}"));
        }
    }
    Some(wrong)
}

fn pairs_of_source(source: &str, ours: &str) -> Vec<String> {
    let of = |text: &str, sgc: &str| -> BTreeSet<String> {
        let rows = columns(text);
        rows.iter().map(|r| [r["same"], r[sgc], r["class"]].join(" ")).collect()
    };
    let (source, ours) = (of(source, "sgc_cd"), of(ours, "sgc"));
    source.symmetric_difference(&ours).map(|pair| format!("pair {pair} is in one table only")).collect()
}

#[test]
fn the_tables_say_what_is_stated_elsewhere_and_what_their_sources_say() {
    assert_eq!(against_facts(&Texts::shipped()), Vec::<String>::new());
    let (Some(folder), Some(wrong)) = (shared(), against_sources(&Texts::shipped())) else {
        println!("skipped: no ../shared/tables");
        return;
    };
    assert_eq!(wrong, Vec::<String>::new());
    let source = std::fs::read_to_string(folder.join("geo/border_pairs.tsv")).unwrap();
    assert_eq!(pairs_of_source(&source, &Texts::shipped().pairs), Vec::<String>::new());
}
