//! The files that a command reads: as named, folders by name order, standard input as `-`.

use std::io::Read;
use std::path::{Path, PathBuf};

use cap_schema::Limits;
use cap_schema::signature::TrustStore;

/// A document that a command is to read.
pub struct Input {
    /// Its name: the argument, or the folder joined with the member's name.
    pub name: String,
    /// Where it is, which need not be text; none for standard input.
    path: Option<PathBuf>,
    /// A member of a folder that is no file: reading it could wait for ever (a named pipe) or never end (a device).
    kind: Option<&'static str>,
}

impl Input {
    fn named(name: String) -> Self {
        let path = (name != "-").then(|| PathBuf::from(&name));
        Input { name, path, kind: None }
    }

    fn of(path: PathBuf, kind: Option<&'static str>) -> Self {
        Input { name: path.to_string_lossy().into_owned(), path: Some(path), kind }
    }

    /// The bytes of the document.
    ///
    /// # Errors
    /// It cannot be read, or it is found in a folder and is no file.
    pub fn read(&self) -> std::io::Result<Vec<u8>> {
        match self.kind {
            Some(kind) => Err(std::io::Error::other(format!("it is {kind}, not a file"))),
            None => read_from(self.path.as_deref()),
        }
    }
}

/// All documents, in the order of the arguments; the members of a folder sorted, folders inside it too. A folder that
/// cannot be read is named itself, so that reading it reports the fault. What is named as an argument is read whatever
/// it is: a shell hands over the output of a command as a pipe.
pub fn expand(inputs: &[String]) -> Vec<Input> {
    let mut found = Vec::new();
    for input in inputs {
        if input != "-" && Path::new(input).is_dir() {
            walk(Path::new(input), &mut Vec::new(), &mut found);
        } else {
            found.push(Input::named(input.clone()));
        }
    }
    found
}

fn walk(folder: &Path, above: &mut Vec<PathBuf>, found: &mut Vec<Input>) {
    let (Ok(entries), Ok(place)) = (std::fs::read_dir(folder), std::fs::canonicalize(folder)) else {
        found.push(Input::of(folder.to_owned(), None));
        return;
    };
    // A link to a folder above: its members are read already.
    if above.contains(&place) {
        return;
    }
    above.push(place);
    let mut members: Vec<_> = entries.flatten().map(|e| e.path()).collect();
    members.sort();
    for member in members {
        if member.is_dir() {
            walk(&member, above, found);
        } else {
            let kind = odd(&member);
            found.push(Input::of(member, kind));
        }
    }
    above.pop();
}

/// What a member of a folder is, if it is no file. Links are followed.
#[cfg(unix)]
fn odd(member: &Path) -> Option<&'static str> {
    use std::os::unix::fs::FileTypeExt;
    let kind = std::fs::metadata(member).ok()?.file_type();
    if kind.is_file() {
        return None;
    }
    Some(match () {
        () if kind.is_fifo() => "a named pipe",
        () if kind.is_socket() => "a socket",
        () if kind.is_char_device() || kind.is_block_device() => "a device",
        () => "something else",
    })
}

#[cfg(not(unix))]
fn odd(member: &Path) -> Option<&'static str> {
    std::fs::metadata(member).ok().filter(|m| !m.is_file()).map(|_| "something else")
}

/// The bytes of a document that is named as an argument: at most one more than any document or container may have, so
/// that what never ends is refused as too large.
///
/// # Errors
/// It cannot be read.
pub fn read(name: &str) -> std::io::Result<Vec<u8>> {
    read_from((name != "-").then(|| Path::new(name)))
}

fn read_from(path: Option<&Path>) -> std::io::Result<Vec<u8>> {
    let most = u64::try_from(Limits::default().container_bytes).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    match path {
        None => std::io::stdin().lock().take(most).read_to_end(&mut bytes)?,
        Some(path) => std::fs::File::open(path)?.take(most).read_to_end(&mut bytes)?,
    };
    Ok(bytes)
}

/// The file of a trust folder that says which signers of its authorities are meant.
const PINS: &str = "signers.txt";

/// The certificates of a trust folder: every file in it that ends in `.pem`, `.crt` or `.cer`, PEM or DER; and its pins.
///
/// # Errors
/// The folder or a certificate cannot be read, or there is none, in words.
pub fn trust(folder: Option<&Path>) -> Result<TrustStore, String> {
    let mut store = TrustStore::default();
    let Some(folder) = folder else { return Ok(store) };
    let told = |path: &Path, why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    for entry in std::fs::read_dir(folder).map_err(|e| told(folder, &e))? {
        let path = entry.map_err(|e| told(folder, &e))?.path();
        if path.extension().is_some_and(|e| e == "pem" || e == "crt" || e == "cer") {
            let bytes = std::fs::read(&path).map_err(|e| told(&path, &e))?;
            // A certificate in DER is a sequence; PEM is text.
            let added = match std::str::from_utf8(&bytes) {
                Ok(pem) if !bytes.starts_with(&[0x30]) => store.add_pem(pem),
                Ok(_) | Err(_) => store.add_der(&bytes),
            };
            added.map_err(|e| told(&path, &e))?;
        }
    }
    if store.is_empty() {
        let why = "it holds no certificate, so no signature could be trusted; put those of the signers or of their \
                   authorities into it, in files that end in .pem, .crt or .cer, or leave --trust out";
        return Err(told(folder, &why));
    }
    let pins = folder.join(PINS);
    match std::fs::read_to_string(&pins) {
        Ok(text) => store.add_pins(&text).map_err(|e| told(&pins, &e))?,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(told(&pins, &e)),
    }
    Ok(store)
}
