//! Every seed through every target once, so that what was found once stays mended.

use std::path::Path;

use cap_schema_fuzz::TARGETS;

#[test]
fn every_seed_holds_in_every_target() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    for (name, _) in TARGETS {
        let mut count = 0;
        for entry in std::fs::read_dir(seeds.join(name)).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            for (_, target) in TARGETS {
                target(&bytes);
            }
            count += 1;
        }
        assert!(count >= 5, "{name} has {count} seeds");
    }
}
