//! The configuration: parse → validate → build. This module does the first two and the only reading of files.
//!
//! Owns `Config`, the typed value that the rest uses. Every fault is reported at once, each with file, line and what to
//! do. Must not open sockets or stores.

mod access;
mod feeds;
mod file;
mod keeping;
mod network;
mod registration;
mod syntax;
mod translation;
mod values;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cap_schema::signature::{Policy, TrustStore};
use cap_schema::{Limits, Polygon};
use capbridge_adapters::class::Class;
use capbridge_adapters::http::HttpSettings;
use capbridge_adapters::passage::{EndpointName, Origin, Reach};
use capbridge_adapters::registry::{AnyEndpoint, EndpointTable, ReadySource, SignatureRule, SourceTable};
use capbridge_adapters::settings::{Files, Secret};

pub use access::RedisAccess;
pub use feeds::{Feeds, FeedsTable};
pub use file::{ConfigFiles, File, PlacedFault};
pub use translation::{PurposeTable, TranslationTable};

use crate::pipeline::SourceProfile;
use crate::pipeline::coverage::Coverage;
use crate::pipeline::rules::Rule;
use crate::pipeline::verify::SourceTrust;
use crate::settings::{
    AdminTable, Bounds, BridgeTable, ClockTable, IntakeTable, LogTable, NetworkTable, RegistrationTable,
    RelayTable, RetentionTable, RouteTable, StoreTable,
};
use crate::translate::minimise::Purpose;

/// The top-level tables.
const TABLES: [&str; 15] = [
    "bridge",
    "store",
    "admin",
    "registration",
    "log",
    "network",
    "clock",
    "intake",
    "relay",
    "feeds",
    "retention",
    "translation",
    "purpose",
    "source",
    "endpoint",
];

/// A validated configuration.
pub struct Config {
    /// `[bridge]`
    pub bridge: BridgeTable,
    /// `[store]`
    pub store: StoreTable,
    /// How Redis is logged in to.
    pub redis: RedisAccess,
    /// Where the admin socket listens.
    pub admin_listen: SocketAddr,
    /// The bearer token of the admin socket.
    pub admin_token: Option<Secret>,
    /// The names that the admin socket answers to.
    pub admin_hosts: Vec<String>,
    /// The bounds of the admin socket.
    pub admin_bounds: Bounds,
    /// `[registration]`
    pub registration: RegistrationTable,
    /// `[log]`
    pub log: LogTable,
    /// For the HTTP client.
    pub http: HttpSettings,
    /// `[clock]`
    pub clock: ClockTable,
    /// `[intake]`
    pub intake: IntakeTable,
    /// `[relay]`
    pub relay: RelayTable,
    /// `[feeds]`
    pub feeds: Feeds,
    /// `[retention]`
    pub retention: RetentionTable,
    /// `[translation]`
    pub translation: TranslationTable,
    /// The sources, ready to run.
    pub sources: Vec<ReadySource>,
    /// What the pipeline knows of them.
    pub profiles: BTreeMap<Origin, SourceProfile>,
    /// The endpoints.
    pub endpoints: BTreeMap<EndpointName, AnyEndpoint>,
    /// The rules, in the order of the file.
    pub rules: Vec<Rule>,
    /// The purposes.
    pub purposes: BTreeMap<String, Purpose>,
    /// Where endpoints and routes are declared: `endpoint.NAME` to `file capbridge.toml:12`.
    pub places: BTreeMap<String, String>,
    /// The operator's boundary file.
    pub geodata: Option<Vec<u8>>,
    /// Whether a file was given.
    pub from_file: Option<PathBuf>,
}

/// What went wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The file has faults.
    #[error("the configuration has {} fault(s)", faults.len())]
    Faulty {
        /// All of them.
        faults: Vec<PlacedFault>,
    },
}

impl Config {
    /// Reads and validates a file; without one, the defaults: embedded store, no sources, nothing relayed.
    ///
    /// # Errors
    /// The file cannot be read, or all its faults.
    pub fn load(path: Option<&Path>) -> Result<Config, ConfigError> {
        let Some(path) = path else { return Config::parse("(defaults)", "", Path::new("."), None) };
        let text = std::fs::read_to_string(path)
            .map_err(|cause| ConfigError::Unreadable { path: path.to_owned(), cause })?;
        let folder = path.parent().unwrap_or(Path::new("."));
        Config::parse(&path.display().to_string(), &text, folder, Some(path.to_owned()))
    }

    /// Validates the text of a file.
    ///
    /// # Errors
    /// All faults.
    pub fn parse(
        name: &str,
        text: &str,
        folder: &Path,
        from_file: Option<PathBuf>,
    ) -> Result<Config, ConfigError> {
        let (read, files) = (syntax::Text::read(text), ConfigFiles { folder: folder.to_owned() });
        let mut file = File::parse(name, text, &read);
        file.only(&[&TABLES[..], &["route"]].concat());

        let bridge: Option<BridgeTable> = file.table(&["bridge"]);
        let (store, admin): (Option<StoreTable>, _) = (file.table(&["store"]), file.table(&["admin"]));
        let registration = registration::read(&mut file).unwrap_or_default();
        let (log, network): (_, Option<NetworkTable>) = (file.table(&["log"]), file.table(&["network"]));
        let (clock, intake) = (file.table(&["clock"]), file.table(&["intake"]));
        let (relay, retention) = keeping::read(&mut file);
        let feeds = file.table::<FeedsTable>(&["feeds"]).and_then(|table| table.check(&mut file));
        let translation: Option<TranslationTable> = file.table(&["translation"]);
        bridge.iter().for_each(|bridge| check_bridge(&mut file, bridge));
        translation.iter().for_each(|translation| translation.check(&mut file));
        let geodata = bridge.as_ref().and_then(|bridge| read_geodata(&mut file, bridge, folder));
        let (admin_hosts, admin_bounds, admin) = admin_of(&mut file, &files, admin);
        let redis = store.as_ref().map(|table| access::check(&mut file, &files, table)).unwrap_or_default();
        let http = network.as_ref().and_then(|table| network::check(&mut file, &files, table));
        let (sources, profiles) = read_sources(&mut file, &files);
        let endpoints = read_endpoints(&mut file, &files);
        let purposes = translation::read_purposes(&mut file);
        let rules = read_rules(&mut file, &profiles, &endpoints, &purposes);
        values::check(&mut file, http.as_ref());

        if let (
            true,
            Some(bridge),
            Some(store),
            Some((Some(admin_listen), admin_token)),
            Some(log),
            Some(http),
            Some(clock),
            Some(intake),
            Some(relay),
            Some(feeds),
            Some(retention),
            Some(translation),
        ) = (
            file.is_sound(),
            bridge,
            store,
            admin,
            log,
            http,
            clock,
            intake,
            relay,
            feeds,
            retention,
            translation,
        ) {
            let bridge = BridgeTable { data_dir: folder.join(&bridge.data_dir), ..bridge };
            return Ok(Config {
                bridge,
                store,
                redis,
                admin_listen,
                admin_token,
                admin_hosts,
                admin_bounds,
                registration,
                log,
                http,
                clock,
                intake,
                relay,
                feeds,
                retention,
                translation,
                sources,
                profiles,
                endpoints,
                rules,
                purposes,
                places: registration::places(&file),
                geodata,
                from_file,
            });
        }
        Err(ConfigError::Faulty { faults: file.into_faults() })
    }
}

fn secret(file: &mut File<'_>, files: &ConfigFiles, key: &str, path: &Path) -> Option<Secret> {
    match files.secret(key, path) {
        Ok(secret) => Some(secret),
        Err(fault) => {
            file.fault(key, &fault.problem, &fault.remedy);
            None
        }
    }
}

fn read_geodata(file: &mut File<'_>, bridge: &BridgeTable, folder: &Path) -> Option<Vec<u8>> {
    let path = bridge.geodata_file.as_ref()?;
    let read = std::fs::read(folder.join(path));
    let told = read.map_err(|error| {
        let problem = format!("{} cannot be read: {error}", path.display());
        file.fault("bridge.geodata_file", &problem, "make it with `capbridge geodata build`");
    });
    told.ok()
}

fn check_bridge(file: &mut File<'_>, bridge: &BridgeTable) {
    check_names(file, bridge);
    let bad =
        |text: &str| text.is_empty() || text.chars().any(|c| c.is_whitespace() || ",&<>{}\"'".contains(c));
    if bad(&bridge.name) || bridge.name.len() > 40 {
        file.fault(
            "bridge.name",
            "is not a name of 1 to 40 characters without spaces",
            "choose a short name",
        );
    }
    if let Some(problem) = values::sender_fault(&bridge.sender) {
        file.fault("bridge.sender", problem, "use name@domain of your agency (CAP 1.2 section 3.2.1)");
    }
    if bridge.source.chars().count() > 30 {
        file.fault("bridge.source", "is longer than 30 characters", "shorten it (IPAWS profile)");
    }
}

/// A bridge that sends must have names of its own: two bridges with the same would take each other's messages for their
/// own coming back, and drop them.
fn check_names(file: &mut File<'_>, bridge: &BridgeTable) {
    let Some(endpoint) = file.names("endpoint").into_iter().next() else { return };
    let place = if file.has("bridge") { "bridge".to_owned() } else { format!("endpoint.{endpoint}") };
    let defaults = BridgeTable::default();
    for (key, given, default, remedy) in [
        ("bridge.name", &bridge.name, &defaults.name, "name the bridge, such as \"windsor-eoc\""),
        ("bridge.sender", &bridge.sender, &defaults.sender, "use name@domain of your agency"),
    ] {
        if given == default {
            let place = if file.has(key) { key } else { &place };
            let problem = "is not set, and there are endpoints: other bridges have the same default, and each \
                           would drop the other's messages as its own";
            file.fault_near(place, key, problem, &format!("in [bridge], {remedy}"));
        }
    }
}

/// The names that the admin socket answers to, its bounds, and what was checked.
fn admin_of(
    file: &mut File<'_>,
    files: &ConfigFiles,
    table: Option<AdminTable>,
) -> (Vec<String>, Bounds, Option<Admin>) {
    let told = table.is_some();
    let table = table.unwrap_or_default();
    for (key, is_good, range, remedy) in [
        ("max_clients", (1..=10_000).contains(&table.max_clients), "1 to 10000", "use 256"),
        ("patience_secs", (1..=60).contains(&table.patience_secs), "1 to 60", "use 5"),
    ] {
        if !is_good {
            file.fault(&format!("admin.{key}"), &format!("is not {range}"), remedy);
        }
    }
    let head = Duration::from_secs(table.patience_secs);
    let bounds = Bounds { max_clients: table.max_clients, head, stalled: Duration::from_secs(10) };
    let checked = told.then(|| check_admin(file, files, &table));
    (table.hosts, bounds, checked)
}

/// Where the admin socket listens, and its token.
type Admin = (Option<SocketAddr>, Option<Secret>);

fn check_admin(
    file: &mut File<'_>,
    files: &ConfigFiles,
    table: &AdminTable,
) -> (Option<SocketAddr>, Option<Secret>) {
    let token = table.token_file.as_ref().and_then(|path| secret(file, files, "admin.token_file", path));
    for host in &table.hosts {
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
        let port =
            host.rsplit_once(':').is_some_and(|(_, p)| p.parse::<u16>().is_ok()) && !host.contains("::");
        if host.is_empty() || port || !host.chars().all(is_name) {
            let problem = format!("{host:?} is not a name or an address");
            file.fault("admin.hosts", &problem, "write it as bridge.example.org, without scheme and port");
        }
    }
    let Ok(listen) = table.listen.parse::<SocketAddr>() else {
        file.fault("admin.listen", "is not an address with a port", "write it as 127.0.0.1:8650");
        return (None, token);
    };
    if !listen.ip().is_loopback() && table.token_file.is_none() && !file.is_told("admin.token_file") {
        file.fault(
            "admin.listen",
            "is not on loopback, and there is no token",
            "listen on 127.0.0.1, or set admin.token_file",
        );
    }
    (Some(listen), token)
}

fn read_sources(
    file: &mut File<'_>,
    files: &ConfigFiles,
) -> (Vec<ReadySource>, BTreeMap<Origin, SourceProfile>) {
    let (mut sources, mut profiles) = (Vec::new(), BTreeMap::new());
    for name in file.names("source") {
        let Some(table) = file.table::<SourceTable>(&["source", &name]) else { continue };
        let at = format!("source.{name}");
        let (trust_files, trust_signers) = (table.trust_files.clone(), table.trust_signers.clone());
        match table.validate(&name, files) {
            Ok(source) => {
                let mut store = TrustStore::default();
                for path in &trust_files {
                    match files.text("trust_files", path) {
                        Ok(pem) => {
                            if let Err(error) = store.add_pem(&pem) {
                                let problem = format!("{}: {error}", path.display());
                                file.fault(&format!("{at}.trust_files"), &problem, "give PEM certificates");
                            }
                        }
                        Err(fault) => file.fault(&format!("{at}.trust_files"), &fault.problem, &fault.remedy),
                    }
                }
                for pin in &trust_signers {
                    if store.add_pins(pin).is_err() {
                        file.fault(
                            &format!("{at}.trust_signers"),
                            &format!("'{}' is no part of a name", pin.escape_debug()),
                            "write subject CN=IPAWSOPEN200032 or issuer CN=..., with * for any ending",
                        );
                    }
                }
                let no_trust = trust_files.is_empty() && !file.is_told(&format!("{at}.trust_files"));
                if source.signature == SignatureRule::Required && no_trust {
                    file.fault(
                        &format!("{at}.signature"),
                        "requires a trusted signature, and no certificate is trusted",
                        "name the signers' certificates in trust_files",
                    );
                }
                profiles.insert(source.origin.clone(), profile(&source, store));
                sources.push(source);
            }
            Err(faults) => file.add(&at, faults),
        }
    }
    (sources, profiles)
}

fn profile(source: &ReadySource, store: TrustStore) -> SourceProfile {
    SourceProfile {
        system: source.system.clone(),
        mode: source.mode,
        exercise: source.exercise.clone(),
        trust: SourceTrust {
            signature: source.signature,
            strictness: source.strictness,
            store,
            policy: Policy {
                allow_sha1: source.dangerous_allow_sha1,
                accept_expired: source.accept_expired_certificates,
                ..Policy::default()
            },
        },
        limits: Limits { document_bytes: source.max_document_bytes, ..Limits::default() },
        entries: source.entries.clone(),
    }
}

fn read_endpoints(file: &mut File<'_>, files: &ConfigFiles) -> BTreeMap<EndpointName, AnyEndpoint> {
    let mut endpoints = BTreeMap::new();
    for name in file.names("endpoint") {
        let Some(table) = file.table::<EndpointTable>(&["endpoint", &name]) else { continue };
        match table.validate(&name, files) {
            Ok(endpoint) => {
                endpoints.insert(EndpointName(name), endpoint);
            }
            Err(faults) => file.add(&format!("endpoint.{name}"), faults),
        }
    }
    endpoints
}

fn read_rules(
    file: &mut File<'_>,
    profiles: &BTreeMap<Origin, SourceProfile>,
    endpoints: &BTreeMap<EndpointName, AnyEndpoint>,
    purposes: &BTreeMap<String, Purpose>,
) -> Vec<Rule> {
    let (sources, targets) = (file.declared("source"), file.declared("endpoint"));
    let known_purposes = file.declared("purpose");
    let mut rules = Vec::new();
    for name in file.names("route") {
        let Some(table) = file.table::<RouteTable>(&["route", &name]) else { continue };
        let at = format!("route.{name}");
        let places = [("from", "source", &table.from, &sources), ("to", "endpoint", &table.to, &targets)];
        for (key, kind, named, known) in places {
            let Some(known) = known else { continue };
            for unknown in named.iter().filter(|n| !known.contains(n)) {
                let problem = format!("names no {kind}: {unknown}");
                file.fault(&format!("{at}.{key}"), &problem, &listed(known));
            }
        }
        let Some(class) = table.class else {
            file.fault_near(
                &at,
                &format!("{at}.class"),
                "is not set: there is no wildcard",
                "add class = \"live\", \"exercise\" or \"test\"",
            );
            continue;
        };
        check_classes(file, &at, class, &table, profiles, endpoints);
        let purpose = table.purpose.as_ref().and_then(|named| {
            let found = purposes.get(named).cloned();
            if let Some(known) = known_purposes.as_ref().filter(|known| !known.contains(named)) {
                file.fault(&format!("{at}.purpose"), &format!("names no purpose: {named}"), &listed(known));
            }
            found
        });
        if let Some(rule) = build_rule(file, &at, name, class, table) {
            rules.push(Rule { purpose, ..rule });
        }
    }
    rules
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "there are none".into() } else { format!("there are: {}", names.join(", ")) }
}

/// A rule that can never deliver anything is a mistake that somebody would find out in an emergency.
fn check_classes(
    file: &mut File<'_>,
    at: &str,
    class: Class,
    table: &RouteTable,
    profiles: &BTreeMap<Origin, SourceProfile>,
    endpoints: &BTreeMap<EndpointName, AnyEndpoint>,
) {
    if class == Class::Internal {
        file.fault(
            &format!("{at}.class"),
            "internal messages are never relayed",
            "use live, exercise or test",
        );
    }
    for endpoint in &table.to {
        let Some(found) = endpoints.get(&EndpointName(endpoint.clone())) else { continue };
        if found.class() != class {
            let problem =
                format!("endpoint {endpoint} takes {} only, the rule is for {class}", found.class());
            file.fault(&format!("{at}.to"), &problem, "send each class to endpoints of its own");
        }
        if !table.open_channels.is_empty() && found.reach() != Reach::Public {
            let problem = format!("opens public channels of {endpoint}, which reaches responders only");
            file.fault(
                &format!("{at}.open_channels"),
                &problem,
                "set reach = \"public\" on the endpoint, if it is meant",
            );
        }
    }
    for origin in &table.from {
        let Some(found) = profiles.get(&Origin(origin.clone())) else { continue };
        if found.mode < class {
            let problem = format!("source {origin} is at most {}, the rule is for {class}", found.mode);
            file.fault(
                &format!("{at}.from"),
                &problem,
                "a message is never raised above the mode of its source",
            );
        }
    }
}

fn build_rule(file: &mut File<'_>, at: &str, name: String, class: Class, table: RouteTable) -> Option<Rule> {
    let area = match table.area.as_deref() {
        None => None,
        Some(text) => match Polygon::new(text).points() {
            Ok(points) => Some(Coverage::polygon(points, None)),
            Err(error) => {
                file.fault(
                    &format!("{at}.area"),
                    &error.to_string(),
                    "write it as in CAP: lat,lon lat,lon ... closed",
                );
                return None;
            }
        },
    };
    values::check_filters(file, at, &table);
    for channel in &table.open_channels {
        if !["EAS", "NWEM", "CMAS", "PUBLIC"].contains(&channel.as_str()) {
            let problem = format!("{channel} is not a public channel");
            file.fault(&format!("{at}.open_channels"), &problem, "the channels are EAS, NWEM, CMAS, PUBLIC");
        }
    }
    Some(Rule {
        name,
        from: table.from.into_iter().map(Origin).collect(),
        to: table.to.into_iter().map(EndpointName).collect(),
        class,
        categories: table.categories,
        events: table.events,
        severities: table.severities,
        urgencies: table.urgencies,
        certainties: table.certainties,
        languages: table.languages,
        scopes: table.scopes,
        cbrne: table.cbrne,
        area,
        open_channels: table.open_channels,
        untouched: table.untouched,
        notify_neighbours: table.notify_neighbours,
        purpose: None,
        incidents: Vec::new(),
        paused: false,
    })
}
