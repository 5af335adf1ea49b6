//! One suite for every engine: each promise of the `Store` trait is a check that runs on all of them.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that cannot go on fails"
)]

mod alerts;
mod copy;
mod deliveries;
mod feeds;
mod random;
mod record;
mod registrations;
mod reopen;
mod retention;
mod samples;
mod server;
mod topology;

use std::sync::Arc;

use capbridge::store::Store;
use capbridge::store::embedded::EmbeddedStore;
use capbridge::store::redis::{RedisSettings, RedisStore};

/// An embedded store in a folder of its own.
pub struct Embedded {
    folder: tempfile::TempDir,
}

impl Embedded {
    const LEASES: reopen::Leases = reopen::Leases::Freed;

    async fn start() -> Self {
        Embedded { folder: tempfile::tempdir().unwrap() }
    }

    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(EmbeddedStore::open(self.folder.path()).unwrap())
    }
}

macro_rules! checks {
    ($kind:ty; $($group:ident: $name:ident)+) => {$(
        #[tokio::test]
        async fn $name() {
            let engine = <$kind>::start().await;
            crate::$group::$name(engine.open().await).await;
        }
    )+};
}
macro_rules! suite {
    ($($engine:ident: $kind:ty),+) => {$(
        mod $engine {
            checks! { $kind;
                alerts: a_new_alert_is_kept_byte_for_byte
                alerts: the_same_bytes_again_are_a_repeat_and_counted
                alerts: the_same_alert_through_another_source_is_linked_once_and_routed_for_it
                alerts: a_second_source_before_routing_changes_nothing_about_the_queue
                alerts: what_is_linked_while_it_is_routed_is_routed_again
                alerts: a_twin_is_linked_to_the_first
                alerts: the_same_key_with_other_content_is_a_conflict_and_changes_nothing
                alerts: two_at_the_same_time_are_one_new_and_one_repeat
                alerts: what_follows_a_known_message_joins_its_chain
                alerts: a_message_finds_the_chain_of_what_came_before_it
                alerts: chains_that_a_message_connects_become_one_with_their_lines
                alerts: what_waits_for_another_message_is_held_until_that_comes_or_its_time_is_over
                alerts: unrouted_alerts_are_handed_out_once_oldest_first_until_their_lease_ends
                alerts: a_later_message_of_a_chain_is_not_handed_out_before_an_earlier_one_is_routed
                alerts: urgent_alerts_are_handed_out_before_routine_ones_and_each_chain_keeps_its_order
                alerts: what_is_handed_out_is_whole
                alerts: routing_what_is_not_there_is_an_error
                alerts: alerts_are_found_by_identifier_and_by_key_prefix
                alerts: lists_of_alerts_are_newest_first_in_pages
                alerts: the_sweep_takes_what_is_over_and_keeps_what_is_not
                alerts: what_has_no_end_is_kept_for_a_year_and_a_cancel_without_one_is_not
                alerts: dedup_keys_and_our_references_outlive_the_sweep
                alerts: the_sweep_keeps_to_its_limit_and_takes_the_oldest
                deliveries: routing_twice_changes_nothing
                deliveries: a_claim_counts_the_attempt_and_is_not_handed_out_again
                deliveries: a_lease_that_ran_out_is_claimed_again_and_may_have_arrived
                deliveries: a_worker_whose_lease_ran_out_changes_nothing_once_another_has_the_delivery
                deliveries: a_worker_whose_lease_ran_out_still_ends_what_nobody_took_over
                deliveries: what_was_not_tried_counts_no_attempt
                deliveries: a_lease_that_is_prolonged_lasts_and_an_ended_delivery_stays_ended
                deliveries: lanes_are_apart
                deliveries: the_oldest_due_goes_first_and_the_limit_holds
                deliveries: one_of_a_chain_is_under_way_per_endpoint_and_a_cancel_never_overtakes
                deliveries: what_waits_ahead_is_tried_as_soon_as_what_comes_to_wait_behind_it
                deliveries: a_final_state_makes_the_next_due_at_once
                deliveries: each_end_is_stored_with_its_facts
                deliveries: an_end_of_what_is_not_there_is_an_error
                deliveries: what_was_rendered_comes_with_the_next_claim_and_is_ours
                deliveries: an_original_that_goes_out_as_received_is_not_ours
                deliveries: giving_back_undoes_the_claim
                deliveries: a_dead_or_expired_delivery_can_be_replayed
                deliveries: a_delivered_delivery_can_be_issued_again
                deliveries: a_replayed_delivery_waits_behind_what_is_under_way
                deliveries: what_was_issued_is_listed_per_endpoint_in_order
                deliveries: what_may_have_arrived_counts_as_issued_once_it_ended
                deliveries: followers_are_all_endpoints_of_a_chain_with_the_newest_rule
                deliveries: lists_of_deliveries_are_newest_first_in_pages
                deliveries: a_journey_holds_deliveries_with_their_reports
                feeds: an_entry_has_one_place_and_is_kept_byte_for_byte
                feeds: entries_are_read_from_any_place_in_both_directions
                feeds: many_at_once_have_places_without_a_gap
                feeds: what_was_replaced_ended_or_expired_is_in_force_no_more
                feeds: old_entries_are_swept_and_the_feed_says_so
                record: a_document_in_quarantine_is_kept_and_counted
                record: a_released_document_counts_no_more_and_says_who_released_it
                record: the_quarantine_is_listed_newest_first_in_pages
                record: the_record_is_a_chain_that_verifies
                record: the_record_is_read_in_pages_from_either_end
                record: many_at_once_append_to_one_chain
                record: events_about_an_alert_are_its_journey
                record: what_a_step_says_is_recorded_with_it_and_only_if_it_changed_something
                record: a_link_to_a_twin_is_in_the_journey_of_the_first
                record: a_checkpoint_is_what_was_written_last
                record: a_lease_has_one_holder_until_it_ends
                record: a_probe_changes_nothing
                retention: keys_are_forgotten_long_after_their_alert
                retention: what_comes_again_after_it_was_swept_stays_known
                retention: a_twin_and_a_name_that_nobody_carries_are_forgotten_too
                retention: a_name_that_a_message_came_to_carry_is_kept_as_long_as_that
                retention: old_documents_leave_the_quarantine
                retention: the_record_begins_anew_behind_an_anchor_and_still_verifies
                retention: the_size_is_told
                registrations: a_registration_is_written_whole_and_only_over_what_was_seen
                registrations: what_changed_is_listed_in_the_order_of_the_last_change
                registrations: of_two_that_saw_the_same_one_writes
            }

            #[tokio::test]
            async fn what_is_done_is_there_after_opening_again() {
                let engine = <$kind>::start().await;
                crate::reopen::fill(engine.open().await).await;
                crate::reopen::verify(engine.open().await, <$kind>::LEASES).await;
            }
        }
    )+};
}

suite! { embedded: crate::Embedded, redis: crate::Redis }

/// A Redis server of its own.
pub struct Redis {
    server: capbridge_harness::Redis,
}

impl Redis {
    const LEASES: reopen::Leases = reopen::Leases::Kept;

    async fn start() -> Self {
        Redis { server: capbridge_harness::Redis::start().await.unwrap() }
    }

    fn settings(&self) -> RedisSettings {
        RedisSettings { url: self.server.url(), ..RedisSettings::at("conformance") }
    }

    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(RedisStore::connect(self.settings()).await.unwrap())
    }
}

#[tokio::test]
async fn a_second_embedded_store_on_one_folder_is_refused() {
    let engine = Embedded::start().await;
    let open = engine.open().await;
    let refused = EmbeddedStore::open(engine.folder.path()).err().unwrap();
    let cause = std::error::Error::source(&refused).unwrap().to_string();
    assert!(cause.contains("in use by another process"), "{cause}");
    drop(open);
    EmbeddedStore::open(engine.folder.path()).unwrap();
}
