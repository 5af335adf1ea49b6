//! Tests of the running program and of the repository.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "tests fail by panicking"
)]

/// Every test of a module on both stores.
macro_rules! on_both_stores {
    ($($name:ident)+) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(crate::stage::Stage::new(crate::stage::On::Embedded).await).await;
            })+
        }
        mod redis {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(crate::stage::Stage::new(crate::stage::On::Redis).await).await;
            })+
        }
    };
}

mod admin;
mod audit;
mod chains;
mod config;
mod conformance;
mod copy;
mod corrected;
mod crash;
mod demo;
mod documents;
mod drivers;
mod email;
mod feeds;
mod full_store;
mod hub;
mod in_force;
mod lists;
mod openapi;
mod opened;
mod places;
mod recheck;
mod registration;
mod relay;
mod slow;
mod stage;
mod stampings;
mod streams;
mod takeover;
mod tidy;
