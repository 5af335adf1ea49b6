//! How the store is logged in to: the files that `[store]` names.

use std::path::PathBuf;

use capbridge_adapters::settings::{Files, Secret};

use super::{ConfigFiles, File, StoreTable, secret};
use crate::store::redis::{RedisTls, url_fault};

/// How Redis is logged in to.
#[derive(Clone, Debug, Default)]
pub struct RedisAccess {
    /// The password of the user.
    pub password: Option<Secret>,
    /// The password of the Sentinels.
    pub sentinel_password: Option<Secret>,
    /// What TLS trusts and shows.
    pub tls: RedisTls,
}

/// Reads the files that `[store]` names.
pub(super) fn check(file: &mut File<'_>, files: &ConfigFiles, table: &StoreTable) -> RedisAccess {
    let mut read = |key: &str, path: &Option<PathBuf>| {
        path.as_ref().and_then(|path| secret(file, files, &format!("store.{key}"), path))
    };
    let password = read("redis_password_file", &table.redis_password_file);
    let sentinel_password = read("redis_sentinel_password_file", &table.redis_sentinel_password_file);
    let key_pem = read("redis_key_file", &table.redis_key_file);
    let mut text = |key: &str, path: &Option<PathBuf>| {
        let read = files.text(&format!("store.{key}"), path.as_ref()?);
        read.map_err(|fault| file.fault(&fault.key, &fault.problem, &fault.remedy)).ok()
    };
    let roots_pem = text("redis_roots_file", &table.redis_roots_file);
    let certificate_pem = text("redis_certificate_file", &table.redis_certificate_file);
    if let Some(error) = table.redis_url.as_deref().and_then(url_fault) {
        file.fault(
            "store.redis_url",
            &format!("is not the address of a Redis: {error}"),
            "write redis://HOST:6379, rediss:// for TLS, redis+sentinel://HOST:26379/PRIMARY, redis+cluster://HOST:6379 \
             or redis+unix:///PATH",
        );
    }
    if !(1..=3_600).contains(&table.check_secs) {
        file.fault("store.check_secs", "is not 1 to 3,600", "use 30");
    }
    if table.redis_certificate_file.is_some() != table.redis_key_file.is_some() {
        file.fault(
            "store.redis_certificate_file",
            "and redis_key_file belong together, and only one is set",
            "set both or neither",
        );
    }
    RedisAccess { password, sentinel_password, tls: RedisTls { roots_pem, certificate_pem, key_pem } }
}
