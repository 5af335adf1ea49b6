//! Names of CAP elements in schema order, and where in a document the reader is.

/// An element of the content model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) text: &'static str,
    /// May stand more than once; its path has a number.
    pub(super) many: bool,
}

impl Name {
    pub(super) const fn one(text: &'static str) -> Self {
        Name { text, many: false }
    }

    pub(super) const fn many(text: &'static str) -> Self {
        Name { text, many: true }
    }
}

/// Children of `alert`, in the order of the schema.
pub(super) static ALERT: [Name; 14] = [
    Name::one("identifier"),
    Name::one("sender"),
    Name::one("sent"),
    Name::one("status"),
    Name::one("msgType"),
    Name::one("source"),
    Name::one("scope"),
    Name::one("restriction"),
    Name::one("addresses"),
    Name::many("code"),
    Name::one("note"),
    Name::one("references"),
    Name::one("incidents"),
    Name::many("info"),
];
/// Children of `info`.
pub(super) static INFO: [Name; 21] = [
    Name::one("language"),
    Name::many("category"),
    Name::one("event"),
    Name::many("responseType"),
    Name::one("urgency"),
    Name::one("severity"),
    Name::one("certainty"),
    Name::one("audience"),
    Name::many("eventCode"),
    Name::one("effective"),
    Name::one("onset"),
    Name::one("expires"),
    Name::one("senderName"),
    Name::one("headline"),
    Name::one("description"),
    Name::one("instruction"),
    Name::one("web"),
    Name::one("contact"),
    Name::many("parameter"),
    Name::many("resource"),
    Name::many("area"),
];
/// Children of `resource`.
pub(super) static RESOURCE: [Name; 6] = [
    Name::one("resourceDesc"),
    Name::one("mimeType"),
    Name::one("size"),
    Name::one("uri"),
    Name::one("derefUri"),
    Name::one("digest"),
];
/// Children of `area`.
pub(super) static AREA: [Name; 6] = [
    Name::one("areaDesc"),
    Name::many("polygon"),
    Name::many("circle"),
    Name::many("geocode"),
    Name::one("altitude"),
    Name::one("ceiling"),
];
/// Children of `eventCode`, `parameter` and `geocode`.
pub(super) static PAIR: [Name; 2] = [Name::one("valueName"), Name::one("value")];

/// Whether a name may stand more than once somewhere in CAP.
pub(super) fn is_many(name: &str) -> bool {
    let tables: [&[Name]; 5] = [&ALERT, &INFO, &RESOURCE, &AREA, &PAIR];
    tables.iter().any(|table| table.iter().any(|n| n.many && n.text == name))
}

/// The open elements below `alert`, at most five deep.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    steps: [(Name, u16); 5],
    depth: usize,
}

impl Default for Place {
    fn default() -> Self {
        Place { steps: [(Name::one(""), 0); 5], depth: 0 }
    }
}

impl Place {
    pub(super) fn enter(&mut self, name: Name, number: u16) {
        if let Some(step) = self.steps.get_mut(self.depth) {
            *step = (name, number);
        }
        self.depth += 1;
    }

    pub(super) fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// Such as `/alert/info[2]/area[1]`.
    pub(super) fn path(&self) -> String {
        let mut path = "/alert".to_owned();
        for (name, number) in self.steps.iter().take(self.depth) {
            path.push_str(&step(name.text, name.many, *number));
        }
        path
    }
}

/// One step of a path: a number only where there can be several, or are.
pub(super) fn step(name: &str, many: bool, number: u16) -> String {
    if many || number > 1 { format!("/{name}[{number}]") } else { format!("/{name}") }
}
