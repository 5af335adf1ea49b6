//! The demo is a test: its expectations are the scenes (D-11 among them).

#[tokio::test(flavor = "multi_thread")]
async fn every_expectation_of_the_demo_is_met() {
    let corpus = capbridge_harness::corpus("replay of real messages in the demo");
    let met = capbridge_exercise::demo::run(corpus).await.unwrap_or_else(|error| panic!("{error:#}"));
    assert!(met, "an expectation of the demo was not met");
}
