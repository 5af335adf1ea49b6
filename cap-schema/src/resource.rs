//! `resource` (CAP 1.2 section 3.2.3): files that belong to an info.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::alert::own;

/// A file, by address or embedded.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resource<'a> {
    /// The file in words.
    pub resource_desc: Cow<'a, str>,
    /// RFC 2046 type; required in CAP 1.2 only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<Cow<'a, str>>,
    /// Approximate size in bytes, as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Cow<'a, str>>,
    /// Address, or the name of the embedded content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<Cow<'a, str>>,
    /// Base64 of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deref_uri: Option<Cow<'a, str>>,
    /// SHA-1 of the file (NAADS: of the base64 text).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Cow<'a, str>>,
    /// Elements that are not CAP's, as written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<Cow<'a, str>>,
}

impl Resource<'_> {
    /// The same without the input's lifetime.
    pub fn into_owned(self) -> Resource<'static> {
        Resource {
            resource_desc: own(self.resource_desc),
            mime_type: self.mime_type.map(own),
            size: self.size.map(own),
            uri: self.uri.map(own),
            deref_uri: self.deref_uri.map(own),
            digest: self.digest.map(own),
            extensions: self.extensions.into_iter().map(own).collect(),
        }
    }
}
