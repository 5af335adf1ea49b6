//! What the configuration says of registration: what the API may register, and where the file itself declares what it
//! declares.

use std::collections::BTreeMap;

use capbridge_adapters::registry::EndpointKind;

use super::{File, RegistrationTable};

/// Reads `[registration]`.
pub(super) fn read(file: &mut File<'_>) -> Option<RegistrationTable> {
    let table: RegistrationTable = file.table(&["registration"])?;
    let known: Vec<&str> = EndpointKind::ALL.iter().map(|kind| kind.as_str()).collect();
    for kind in table.kinds.iter().filter(|kind| !known.contains(&kind.as_str())) {
        let problem = format!("{kind:?} is no kind of endpoint");
        file.fault("registration.kinds", &problem, &format!("the kinds are {}", known.join(", ")));
    }
    let channels = ["EAS", "NWEM", "CMAS", "PUBLIC"];
    for channel in table.public_channels.iter().filter(|channel| !channels.contains(&channel.as_str())) {
        let problem = format!("{channel} is not a public channel");
        file.fault("registration.public_channels", &problem, "the channels are EAS, NWEM, CMAS, PUBLIC");
    }
    if table.proof_secs == 0 {
        file.fault("registration.proof_secs", "is 0: webhooks would be asked without end", "use 7776000");
    }
    Some(table)
}

/// Where endpoints and routes are declared.
pub(super) fn places(file: &File<'_>) -> BTreeMap<String, String> {
    let tables = ["endpoint", "route"].into_iter();
    let keys =
        tables.flat_map(|table| file.names(table).into_iter().map(move |name| format!("{table}.{name}")));
    keys.map(|key| (key.clone(), file.place_of(&key))).collect()
}
