//! Test keys: certificate authorities, COG certificates, webhook keys. For exercises only.
//! The shape of a COG certificate follows the real ones: RSA-2048, `CN=IPAWSOPENnnnnnn`.

use std::path::{Path, PathBuf};

use aws_lc_rs::encoding::AsBigEndian as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256,
};

/// Why keys could not be made or written.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The certificate library refused.
    #[error("making the certificate of {name} failed")]
    Certificate {
        /// Common name.
        name: String,
        /// Its reason.
        #[source]
        cause: rcgen::Error,
    },
    /// The key library refused.
    #[error("making or using a key failed")]
    Key {
        /// Its reason, which it does not tell.
        #[source]
        cause: aws_lc_rs::error::Unspecified,
    },
    /// The key is none that the library takes.
    #[error("a key was rejected")]
    Rejected {
        /// Its reason.
        #[source]
        cause: aws_lc_rs::error::KeyRejected,
    },
    /// A PEM file holds no key.
    #[error("the text holds no private key in PEM")]
    NoPem,
    /// The folder holds keys, which are not overwritten.
    #[error("{path} is there already; name another folder, or give --force for new keys in its place", path = path.display())]
    Held {
        /// The first of them.
        path: PathBuf,
    },
    /// A file could not be written.
    #[error("writing {path} failed", path = path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
}

/// A certificate authority of the exercise.
pub struct Authority {
    /// Its certificate in PEM.
    pub certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// The key and certificate of a COG.
#[derive(Clone)]
pub struct CogKey {
    /// The number in the certificate's common name.
    pub cog_id: u32,
    /// Certificate in PEM.
    pub certificate_pem: String,
    /// Certificate in DER.
    pub certificate_der: Vec<u8>,
    /// Private key, PKCS#8 in PEM.
    pub key_pem: String,
    key_der: Vec<u8>,
}

impl std::fmt::Debug for CogKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CogKey").field("cog_id", &self.cog_id).finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes an authority that is valid from a day before `now` for three years.
    ///
    /// # Errors
    /// If the libraries fail.
    pub fn new(name: &str, now: Timestamp) -> Result<Self, KeysError> {
        let failed = |cause| KeysError::Certificate { name: name.to_owned(), cause };
        let mut params = subject(name, "Certificate authority of an exercise");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        set_validity(&mut params, now, 3 * 365);
        let key = KeyPair::generate_for(&PKCS_RSA_SHA256).map_err(failed)?;
        let certificate = params.self_signed(&key).map_err(failed)?;
        Ok(Self { certificate_pem: certificate.pem(), issuer: Issuer::new(params, key) })
    }

    /// Issues the certificate of a COG, valid from a day before `from` for `days` days.
    ///
    /// # Errors
    /// If the libraries fail.
    pub fn cog(&self, cog_id: u32, from: Timestamp, days: i64) -> Result<CogKey, KeysError> {
        let name = format!("IPAWSOPEN{cog_id}");
        let failed = |cause| KeysError::Certificate { name: name.clone(), cause };
        let mut params = subject(&name, "Devices IPAWS");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        set_validity(&mut params, from, days);
        let key = KeyPair::generate_for(&PKCS_RSA_SHA256).map_err(failed)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?;
        Ok(CogKey {
            cog_id,
            certificate_pem: certificate.pem(),
            certificate_der: certificate.der().to_vec(),
            key_pem: key.serialize_pem(),
            key_der: key.serialize_der(),
        })
    }
}

impl CogKey {
    /// Reads a key and a certificate from PEM texts.
    ///
    /// # Errors
    /// If a text holds none.
    pub fn from_pem(cog_id: u32, certificate_pem: &str, key_pem: &str) -> Result<Self, KeysError> {
        let certificate_der = pem_bytes(certificate_pem).ok_or(KeysError::NoPem)?;
        let key_der = pem_bytes(key_pem).ok_or(KeysError::NoPem)?;
        let (certificate_pem, key_pem) = (certificate_pem.to_owned(), key_pem.to_owned());
        Ok(Self { cog_id, certificate_pem, certificate_der, key_pem, key_der })
    }

    /// An RSA-SHA256 signature of `message`.
    ///
    /// # Errors
    /// If the key is not usable.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeysError> {
        let key = RsaKeyPair::from_pkcs8(&self.key_der).map_err(|cause| KeysError::Rejected { cause })?;
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
            .map_err(|cause| KeysError::Key { cause })?;
        Ok(signature)
    }
}

/// The bytes of the first block of a PEM text.
#[must_use]
pub fn pem_bytes(pem: &str) -> Option<Vec<u8>> {
    let (_, rest) = pem.split_once("-----BEGIN ")?;
    let (_, rest) = rest.split_once("-----")?;
    let (body, _) = rest.split_once("-----END ")?;
    let compact: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    BASE64.decode(compact).ok()
}

fn subject(name: &str, unit: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CountryName, "US");
    subject.push(DnType::OrganizationName, "Exercise IPAWS");
    subject.push(DnType::OrganizationalUnitName, unit);
    subject.push(DnType::CommonName, name);
    params.distinguished_name = subject;
    params.use_authority_key_identifier_extension = true;
    params
}

/// Sets the days of validity: from the day before `from` to `days` days after it, at midnight UTC.
fn set_validity(params: &mut CertificateParams, from: Timestamp, days: i64) {
    let at = |days: i64| {
        let day = SignedDuration::from_hours(24 * days);
        let date = TimeZone::UTC.to_datetime(from.saturating_add(day).unwrap_or(from)).date();
        let (month, day) = (date.month().unsigned_abs(), date.day().unsigned_abs());
        rcgen::date_time_ymd(i32::from(date.year()), month, day)
    };
    (params.not_before, params.not_after) = (at(-1), at(days));
}

/// Keys of a webhook sender, as Standard Webhooks writes them.
#[derive(Clone)]
pub struct WebhookKeys {
    /// `whpk_` and the ed25519 public key: what receivers get.
    pub public: String,
    /// `whsk_` and the ed25519 secret (seed, then public key).
    pub secret: String,
    /// The same ed25519 key, PKCS#8 in PEM.
    pub key_pem: String,
    /// `whsec_` and 32 random bytes, for `v1` HMAC.
    pub shared: String,
    key_der: Vec<u8>,
}

impl WebhookKeys {
    /// Makes new keys.
    ///
    /// # Errors
    /// If the library fails.
    pub fn new() -> Result<Self, KeysError> {
        let unspecified = |cause| KeysError::Key { cause };
        let pair = Ed25519KeyPair::generate().map_err(unspecified)?;
        let key_der = pair.to_pkcs8v1().map_err(unspecified)?.as_ref().to_vec();
        let seed = pair.seed().map_err(unspecified)?;
        let seed: aws_lc_rs::encoding::Curve25519SeedBin<'_> = seed.as_be_bytes().map_err(unspecified)?;
        let seed = seed.as_ref().to_vec();
        let public = pair.public_key().as_ref().to_vec();
        let mut shared = [0_u8; 32];
        aws_lc_rs::rand::fill(&mut shared).map_err(unspecified)?;
        let body = BASE64.encode(&key_der);
        Ok(Self {
            public: format!("whpk_{}", BASE64.encode(&public)),
            secret: format!("whsk_{}", BASE64.encode([seed, public].concat())),
            key_pem: format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n"),
            shared: format!("whsec_{}", BASE64.encode(shared)),
            key_der,
        })
    }

    /// The `v1a` signature of a message, with its prefix.
    ///
    /// # Errors
    /// If the key is not usable.
    pub fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> Result<String, KeysError> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&self.key_der)
            .map_err(|cause| KeysError::Rejected { cause })?;
        let message = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
        Ok(format!("v1a,{}", BASE64.encode(pair.sign(&message))))
    }
}

/// Writes everything that an exercise needs into `folder`:
/// `ca.pem`, `cog-ID.crt.pem`, `cog-ID.key.pem`, `webhook.key.pem`, `webhook.whsk`, `webhook.whpk`,
/// `webhook.whsec`. Returns the paths.
///
/// # Errors
/// If a key cannot be made or a file cannot be written, or if the folder holds keys already.
pub fn write_folder(folder: &Path, cogs: &[u32], now: Timestamp) -> Result<Vec<PathBuf>, KeysError> {
    if let Some(path) = held(folder).into_iter().next() {
        return Err(KeysError::Held { path });
    }
    write(folder, cogs, now)
}

/// The same in the place of the keys that the folder holds.
///
/// # Errors
/// If a key cannot be made or a file cannot be written.
pub fn replace_folder(folder: &Path, cogs: &[u32], now: Timestamp) -> Result<Vec<PathBuf>, KeysError> {
    let held = held(folder);
    let written = write(folder, cogs, now)?;
    // The certificates of the old authority: nobody believes them any more.
    for path in held.into_iter().filter(|path| !written.contains(path)) {
        std::fs::remove_file(&path).map_err(|cause| KeysError::Write { path, cause })?;
    }
    Ok(written)
}

/// The keys and certificates of an exercise in a folder.
fn held(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let is_cog = name.starts_with("cog-") && (name.ends_with(".crt.pem") || name.ends_with(".key.pem"));
        is_cog || name == "ca.pem" || name.starts_with("webhook.")
    };
    let mut held: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_ours).collect();
    held.sort();
    held
}

fn write(folder: &Path, cogs: &[u32], now: Timestamp) -> Result<Vec<PathBuf>, KeysError> {
    std::fs::create_dir_all(folder).map_err(|cause| KeysError::Write { path: folder.to_owned(), cause })?;
    let authority = Authority::new("Exercise Device CA 1", now)?;
    let webhook = WebhookKeys::new()?;
    let mut files = vec![("ca.pem".to_owned(), authority.certificate_pem.clone())];
    for cog_id in cogs {
        let key = authority.cog(*cog_id, now, 3 * 365)?;
        files.push((format!("cog-{cog_id}.crt.pem"), key.certificate_pem));
        files.push((format!("cog-{cog_id}.key.pem"), key.key_pem));
    }
    files.push(("webhook.key.pem".to_owned(), webhook.key_pem));
    files.push(("webhook.whsk".to_owned(), webhook.secret));
    files.push(("webhook.whpk".to_owned(), webhook.public));
    files.push(("webhook.whsec".to_owned(), webhook.shared));
    let mut written = Vec::new();
    for (name, text) in files {
        let path = folder.join(name);
        write_private(&path, &text).map_err(|cause| KeysError::Write { path: path.clone(), cause })?;
        written.push(path);
    }
    Ok(written)
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_not_overwritten_unless_that_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let now = "2026-03-01T12:00:00Z".parse().unwrap();
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        let written = write_folder(folder.path(), &[120_082, 120_075], now).unwrap();
        let first = read("cog-120082.key.pem");
        let refused = write_folder(folder.path(), &[120_082], now).unwrap_err();
        assert!(matches!(&refused, KeysError::Held { path } if written.contains(path)), "{refused}");
        assert_eq!(read("cog-120082.key.pem"), first);
        replace_folder(folder.path(), &[120_082], now).unwrap();
        assert_ne!(read("cog-120082.key.pem"), first);
        assert!(!folder.path().join("cog-120075.crt.pem").exists(), "of an authority that is gone");
    }
}
