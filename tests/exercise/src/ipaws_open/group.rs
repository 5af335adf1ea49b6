//! The groups of a postCAP reply: one for each channel and check, from `data/ipaws-status-codes.tsv`.

const TABLE: &str = include_str!("../../data/ipaws-status-codes.tsv");

/// A run of CHANNELNAME, STATUSITEMID, ERROR, STATUS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// CHANNELNAME.
    pub channel: String,
    /// STATUSITEMID.
    pub code: String,
    /// ERROR: `Y` or `N`.
    pub is_error: bool,
    /// STATUS.
    pub status: String,
}

impl Group {
    /// The group of that name in the table; `detail` is added to its status.
    #[must_use]
    pub fn named(name: &str, detail: &str) -> Self {
        let row = TABLE
            .lines()
            .filter(|line| !line.starts_with('#'))
            .find(|line| line.split('\t').next() == Some(name));
        let mut cells = row.unwrap_or_default().split('\t').skip(1);
        let mut cell = || cells.next().unwrap_or_default().to_owned();
        let (channel, code, error, status) = (cell(), cell(), cell(), cell());
        let separator = if detail.is_empty() { "" } else { ": " };
        Self { channel, code, is_error: error == "Y", status: format!("{status}{separator}{detail}") }
    }

    /// The group of that name with the table's status alone.
    #[must_use]
    pub fn plain(name: &str) -> Self {
        Self::named(name, "")
    }
}
