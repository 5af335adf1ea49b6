//! `resource`: files.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::BuildError;
use super::text::{AbsoluteUri, FileName, MediaType, Text};
use crate::resource::Resource;
use crate::validate::sha1;

/// Where the file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum File {
    /// At an address.
    At(AbsoluteUri),
    /// In the message. Not for two-way networks (CAP 1.2 section 3.2.3).
    Embedded(EmbeddedFile),
}

/// A file that is not empty, under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddedFile {
    name: FileName,
    bytes: Vec<u8>,
}

impl EmbeddedFile {
    /// A file. The name becomes `uri`; size and digest are computed.
    ///
    /// # Errors
    /// There is no byte in it.
    pub fn new(name: FileName, bytes: Vec<u8>) -> Result<Self, BuildError> {
        if bytes.is_empty() { Err(BuildError::Nothing) } else { Ok(EmbeddedFile { name, bytes }) }
    }
}

/// A resource in the making.
///
/// ```
/// use cap_schema::build::{EmbeddedFile, File, FileName, MediaType, ResourceBuilder, Text};
/// let file = EmbeddedFile::new(FileName::new("map.txt")?, b"wind".to_vec())?;
/// let resource =
///     ResourceBuilder::new(Text::new("map")?, MediaType::new("text/plain")?, File::Embedded(file)).build();
/// assert_eq!((resource.size.as_deref(), resource.deref_uri.as_deref()), (Some("4"), Some("d2luZA==")));
/// assert_eq!(resource.digest.as_deref(), Some("e70091e7cdb71138071913757a2ec6983ba0db1d"));
/// # Ok::<(), cap_schema::build::BuildError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ResourceBuilder(Resource<'static>);

impl ResourceBuilder {
    /// With the file in words, its type, and where it is.
    pub fn new(description: Text, media_type: MediaType, file: File) -> Self {
        let mut resource = Resource {
            resource_desc: description.into_cow(),
            mime_type: Some(media_type.into_cow()),
            ..Resource::default()
        };
        match file {
            File::At(uri) => resource.uri = Some(uri.into_cow()),
            File::Embedded(EmbeddedFile { name, bytes }) => {
                resource.uri = Some(name.into_cow());
                resource.deref_uri = Some(STANDARD.encode(&bytes).into());
                resource.size = Some(bytes.len().to_string().into());
                resource.digest = Some(sha1(&bytes).into());
            }
        }
        ResourceBuilder(resource)
    }

    /// States the size of a file at an address, in bytes.
    #[must_use]
    pub fn size_bytes(mut self, bytes: u64) -> Self {
        if self.0.deref_uri.is_none() {
            self.0.size = Some(bytes.to_string().into());
        }
        self
    }

    /// The resource.
    pub fn build(self) -> Resource<'static> {
        self.0
    }
}
