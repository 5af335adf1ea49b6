//! The files that a command reads: as named, folders by name order, standard input as `-`.

use std::io::Read;
use std::path::Path;

use cap_schema::signature::TrustStore;

/// The names of all documents, in the order of the arguments; the members of a folder sorted, folders inside it too.
/// A folder that cannot be read is named itself, so that reading it reports the fault.
pub fn expand(inputs: &[String]) -> Vec<String> {
    let mut names = Vec::new();
    for input in inputs {
        if input != "-" && Path::new(input).is_dir() {
            walk(input, &mut names);
        } else {
            names.push(input.clone());
        }
    }
    names
}

fn walk(folder: &str, names: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        names.push(folder.to_owned());
        return;
    };
    let mut members: Vec<_> = entries.flatten().map(|e| e.path()).collect();
    members.sort();
    for member in members {
        let name = member.to_string_lossy().into_owned();
        if member.is_dir() { walk(&name, names) } else { names.push(name) }
    }
}

/// The bytes of a document.
///
/// # Errors
/// It cannot be read.
pub fn read(name: &str) -> std::io::Result<Vec<u8>> {
    if name == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes)?;
        return Ok(bytes);
    }
    std::fs::read(name)
}

/// The certificates of a trust folder: every file in it that ends in `.pem`, `.crt` or `.cer`.
///
/// # Errors
/// The folder or a certificate cannot be read, in words.
pub fn trust(folder: Option<&Path>) -> Result<TrustStore, String> {
    let mut store = TrustStore::default();
    let Some(folder) = folder else { return Ok(store) };
    let entries = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    for path in entries.flatten().map(|e| e.path()) {
        let known = path.extension().is_some_and(|e| e == "pem" || e == "crt" || e == "cer");
        if known {
            let pem = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            store.add_pem(&pem).map_err(|e| format!("{}: {e}", path.display()))?;
        }
    }
    Ok(store)
}
