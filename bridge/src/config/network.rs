//! `[network]`: what the HTTP client may reach and trusts.

use capbridge_adapters::http::HttpSettings;
use capbridge_adapters::settings::Files;

use super::{ConfigFiles, File, NetworkTable};

pub(super) fn check(file: &mut File<'_>, files: &ConfigFiles, table: &NetworkTable) -> Option<HttpSettings> {
    let roots = match &table.extra_roots_file {
        Some(path) => match files.text("network.extra_roots_file", path) {
            Ok(pem) => Some(pem),
            Err(fault) => {
                file.fault(&fault.key, &fault.problem, &fault.remedy);
                None
            }
        },
        None => None,
    };
    match HttpSettings::new(&table.allow_private, roots.as_deref()) {
        Ok(settings) => Some(settings),
        Err(faults) => {
            file.add("network", faults);
            None
        }
    }
}
