//! What is deleted when its time is over.

use async_trait::async_trait;
use jiff::Timestamp;
use redis::Value;

use super::fault::{Fault, engine};
use super::keys::suffix;
use super::link::Effect;
use super::records::{self, Parts};
use super::{RedisStore, journal, ms};
use crate::store::StoreError;
use crate::store::retention::{Retention, Size};

#[async_trait]
impl Retention for RedisStore {
    async fn sweep(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let mut call = self.scripts.sweep.call();
        call.arg(ms(before)).arg(limit);
        self.run("delete what is over its retention", &self.scripts.sweep, &call, Effect::Repeatable).await
    }

    async fn forget(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let mut call = self.scripts.forget.call();
        call.arg(ms(before)).arg(limit);
        self.run("forget old keys", &self.scripts.forget, &call, Effect::Repeatable).await
    }

    async fn sweep_quarantine(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        const STEP: &str = "delete old documents from quarantine";
        let mut oldest = self.scripts.oldest_quarantined.call();
        oldest.arg(limit);
        let answer: Value = self.run(STEP, &self.scripts.oldest_quarantined, &oldest, Effect::Read).await?;
        let oldest = Parts::each(answer, |mut parts| records::quarantined(&mut parts));
        let mut call = self.scripts.sweep_quarantine.call();
        let mut swept = 0;
        for entry in oldest.map_err(|fault| engine(STEP, fault))? {
            if entry.received_at >= before {
                break;
            }
            call.arg(entry.id);
            swept += 1;
        }
        if swept > 0 {
            self.run::<Value>(STEP, &self.scripts.sweep_quarantine, &call, Effect::Repeatable).await?;
        }
        Ok(swept)
    }

    async fn trim_record(&self, before: Timestamp, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let times = (before, now);
        let trimmed = journal::trim(&self.link, &self.keys, &self.scripts, times, (limit, self.call_name()));
        trimmed.await.map_err(|fault| engine("delete the beginning of the record", fault))
    }

    async fn size(&self) -> Result<Size, StoreError> {
        const STEP: &str = "measure";
        let mut info = redis::cmd("INFO");
        info.arg("memory");
        let text: String = self.send(STEP, &info, Effect::Read).await?;
        let bytes = text.lines().find_map(|line| line.strip_prefix("used_memory:")?.trim().parse().ok());
        let mut length = redis::cmd("XLEN");
        length.arg(self.keys.one(suffix::AUDIT));
        let mut documents = redis::cmd("ZCARD");
        documents.arg(self.keys.one(suffix::QUARANTINED));
        Ok(Size {
            bytes: bytes.ok_or_else(|| engine(STEP, Fault::Shape("used_memory")))?,
            record_entries: self.send(STEP, &length, Effect::Read).await?,
            quarantined: self.send(STEP, &documents, Effect::Read).await?,
        })
    }
}
