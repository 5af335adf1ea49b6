//! Who this process is among those that share a store.
//!
//! Owns a name that outlives the process: an instance that comes back after a crash takes its own leases again at once,
//! while others wait until they run out. A lock keeps two processes from having the same name.

use std::fs::File;
use std::path::Path;

/// The name of an instance, held as long as this value lives.
pub struct Instance {
    /// The name.
    pub name: String,
    _lock: File,
}

impl Instance {
    /// The name kept in a folder, made at the first start.
    ///
    /// # Errors
    /// The folder cannot be written, or another process has the name.
    pub fn open(folder: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let lock = File::create(folder.join("instance.lock"))?;
        lock.try_lock().map_err(|_| {
            std::io::Error::new(std::io::ErrorKind::AddrInUse, "another process works in this folder")
        })?;
        let file = folder.join("instance");
        let name = match std::fs::read_to_string(&file) {
            Ok(name) if !name.trim().is_empty() => name.trim().to_owned(),
            Ok(_) | Err(_) => {
                let name = uuid::Uuid::new_v4().to_string();
                std::fs::write(&file, &name)?;
                name
            }
        };
        Ok(Instance { name, _lock: lock })
    }
}
