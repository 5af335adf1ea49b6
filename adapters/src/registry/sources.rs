//! `[source.NAME]` and the object-safe twin of `Source`.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{SourceKind, check_mode, common, under};
use crate::class::{Class, ExerciseId};
use crate::ipaws::{IpawsSource, IpawsSourceSettings};
use crate::masas::entry::EntrySettings;
use crate::masas::{MasasSource, MasasSourceSettings};
use crate::passage::{Origin, SystemName};
use crate::settings::{Faults, Files};
use crate::source::{Source, SourceContext, SourceError};

/// What a signature of the source's documents must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignatureRule {
    /// Trusted, or quarantine.
    Required,
    /// Not invalid.
    Checked,
    /// Not looked at.
    Ignored,
}

/// Whether error-level findings keep a document out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strictness {
    /// They do.
    Strict,
    /// They are kept and shown; only what cannot be acted on safely stays out.
    Tolerant,
}

/// The table of a source.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceTable {
    /// The outside system that it reads.
    pub system: Option<String>,
    /// The highest class that its messages can have.
    pub mode: Option<Class>,
    /// The exercise that it belongs to; with `mode = "exercise"` only.
    pub exercise: Option<String>,
    /// Whether error-level findings keep a document out. Official feeds: `tolerant`.
    #[serde(default = "tolerant")]
    pub trust: Strictness,
    /// What a signature must be.
    #[serde(default = "checked")]
    pub signature: SignatureRule,
    /// Certificates of signers and authorities that are trusted, PEM files. Read by the configuration.
    #[serde(default)]
    pub trust_files: Vec<PathBuf>,
    /// Which signers of trusted authorities are meant, such as `subject CN=IPAWSOPEN*`; none: all. Read by the configuration.
    #[serde(default)]
    pub trust_signers: Vec<String>,
    /// Take SHA-1 signatures for signatures (NAADS).
    #[serde(default)]
    pub dangerous_allow_sha1: bool,
    /// Take signatures of certificates that had run out at `sent`.
    #[serde(default)]
    pub accept_expired_certificates: bool,
    /// The largest document that is read, bytes.
    #[serde(default = "six_mebibytes")]
    pub max_document_bytes: usize,
    ipaws: Option<IpawsSourceSettings>,
    masas: Option<MasasSourceSettings>,
}

fn tolerant() -> Strictness {
    Strictness::Tolerant
}

fn checked() -> SignatureRule {
    SignatureRule::Checked
}

fn six_mebibytes() -> usize {
    6 << 20
}

/// A source with valid settings, ready to run.
#[derive(Clone)]
pub struct ReadySource {
    /// The configured name.
    pub origin: Origin,
    /// Its kind.
    pub kind: SourceKind,
    /// The outside system that it reads.
    pub system: SystemName,
    /// The highest class that its messages can have.
    pub mode: Class,
    /// The exercise that it belongs to.
    pub exercise: Option<ExerciseId>,
    /// Whether error-level findings keep a document out.
    pub strictness: Strictness,
    /// What a signature must be.
    pub signature: SignatureRule,
    /// Whether SHA-1 signatures count.
    pub dangerous_allow_sha1: bool,
    /// Whether signatures of expired certificates count.
    pub accept_expired_certificates: bool,
    /// The largest document that is read, bytes.
    pub max_document_bytes: usize,
    /// How entries without CAP become CAP.
    pub entries: EntrySettings,
    /// What reads it.
    pub runner: Arc<dyn RunSource>,
}

impl SourceTable {
    /// Checks the table and everything in it, and reads the secret files that it names. Opens nothing.
    ///
    /// # Errors
    /// Every fault at once; keys are relative to `[source.NAME]`.
    pub fn validate(self, name: &str, files: &dyn Files) -> Result<ReadySource, Faults> {
        let mut faults = Faults::default();
        let mode = self.mode;
        let common = common(&mut faults, self.system, mode, self.exercise);
        if self.max_document_bytes == 0 {
            faults.push("max_document_bytes", "is 0: nothing would be read", "use 6291456");
        }
        let mut entries = EntrySettings::default();
        let mut runner: Option<(SourceKind, Arc<dyn RunSource>)> = None;
        let mut tables = 0;
        if let Some(settings) = self.ipaws {
            tables += 1;
            match IpawsSource::validate(settings, files) {
                Ok(source) => runner = Some((SourceKind::Ipaws, Arc::new(source))),
                Err(inner) => under("ipaws", inner, &mut faults),
            }
        }
        if let Some(settings) = self.masas {
            tables += 1;
            match MasasSource::validate(settings, files) {
                Ok(source) => {
                    check_mode(&mut faults, mode, source.highest());
                    entries = source.entries().clone();
                    runner = Some((SourceKind::Masas, Arc::new(source)));
                }
                Err(inner) => under("masas", inner, &mut faults),
            }
        }
        if tables != 1 {
            let kinds: Vec<String> =
                SourceKind::ALL.iter().map(|k| format!("[source.{name}.{}]", k.as_str())).collect();
            let problem =
                if tables == 0 { "names no kind of source" } else { "names more than one kind of source" };
            faults.push("", problem, format!("add one of {}", kinds.join(", ")));
        }
        match (common, runner, faults.is_empty()) {
            (Some(common), Some((kind, runner)), true) => Ok(ReadySource {
                origin: Origin(name.to_owned()),
                kind,
                system: common.system,
                mode: common.mode,
                exercise: common.exercise,
                strictness: self.trust,
                signature: self.signature,
                dangerous_allow_sha1: self.dangerous_allow_sha1,
                accept_expired_certificates: self.accept_expired_certificates,
                max_document_bytes: self.max_document_bytes,
                entries,
                runner,
            }),
            (Some(_) | None, Some(_) | None, _) => Err(faults),
        }
    }
}

/// The object-safe twin of `Source`: may be run again after it ended.
#[async_trait]
pub trait RunSource: Send + Sync + 'static {
    /// Runs it from its checkpoint.
    ///
    /// # Errors
    /// As `Source::run`.
    async fn run(&self, cx: SourceContext) -> Result<(), SourceError>;
}

#[async_trait]
impl<S: Source + Clone + Sync> RunSource for S {
    async fn run(&self, cx: SourceContext) -> Result<(), SourceError> {
        Source::run(self.clone(), cx).await
    }
}
