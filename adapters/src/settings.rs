//! Faults of settings and the files that settings name.
//!
//! Owns `Fault`, `Secret` and the only way for an adapter to see a file's content. Must not read files: the
//! configuration of the bridge does.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

/// One thing wrong with the settings. The configuration adds file and line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The key inside the adapter's table, dots for nesting; empty for the table itself.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

impl Fault {
    /// A fault at a key.
    pub fn new(key: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Fault { key: key.into(), problem: problem.into(), remedy: remedy.into() }
    }
}

/// All faults of one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    /// Adds a fault.
    pub fn push(&mut self, key: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) {
        self.0.push(Fault::new(key, problem, remedy));
    }

    /// Takes the value of a result, or notes its fault.
    pub fn take<T>(&mut self, result: Result<T, Fault>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(fault) => {
                self.0.push(fault);
                None
            }
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A value that does not print.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Wraps a value.
    pub fn new(value: String) -> Self {
        Secret(value.into())
    }

    /// The value, for the one place that puts it on the wire.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// Reads the files that settings name. Implemented by the configuration, which resolves relative paths against
/// the folder of the configuration file.
pub trait Files {
    /// The whole file as text.
    ///
    /// # Errors
    /// A fault at `key` that says why it cannot be read.
    fn text(&self, key: &str, path: &Path) -> Result<String, Fault>;

    /// The file as a secret: surrounding white space removed, empty is a fault, and so is a file that other users
    /// of the machine can read.
    ///
    /// # Errors
    /// A fault at `key`.
    fn secret(&self, key: &str, path: &Path) -> Result<Secret, Fault>;
}

/// Reads a secret file that must be set.
///
/// # Errors
/// A fault if it is not set or cannot be read.
pub fn required_secret(files: &dyn Files, key: &str, path: Option<&PathBuf>) -> Result<Secret, Fault> {
    match path {
        Some(path) => files.secret(key, path),
        None => Err(Fault::new(key, "is not set", "name a file that holds the secret and nothing else")),
    }
}
