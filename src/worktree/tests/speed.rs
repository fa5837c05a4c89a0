//! Times of making and keeping, printed on demand: `cargo test -- --ignored --nocapture speed`.

use std::time::{Duration, Instant};

use super::super::testing::*;
use super::super::*;

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let outcome = work();
    (outcome, start.elapsed())
}

#[test]
#[ignore = "a measurement"]
fn making_and_keeping() {
    for (folders, files) in [(10, 100), (200, 100)] {
        let person = TestPerson::with(&[]);
        for folder in 0..folders {
            for file in 0..files {
                person.write(&format!("d{folder}/f{file}.rs"), &format!("// {folder} {file}\n").repeat(40));
            }
        }
        person.commit("many");
        person.git(&["repack", "-adq"]);
        let (source, look) = timed(|| person.source());
        let (tree, made) = timed(|| WorkTree::create(&person.root(), &name("r", "m"), &source).unwrap());
        let (_, racy) = timed(|| tree.snapshot("x").unwrap());
        let changed = |round: usize| {
            write(&tree.path().join("d1/f1.rs"), format!("fn changed_{round}() {{}}\n"));
            timed(|| assert!(tree.snapshot("x").unwrap().fresh)).1
        };
        let first = changed(1000);
        std::thread::sleep(Duration::from_millis(1100));
        let settle = changed(1001);
        let mut same: Vec<_> = (0..15).map(|_| timed(|| tree.snapshot("x").unwrap()).1).collect();
        let mut one: Vec<_> = (0..15).map(changed).collect();
        same.sort_unstable();
        one.sort_unstable();
        let (_, back) = timed(|| tree.restore(&tree.snapshots()[0].1).unwrap());
        println!(
            "{} files: inspect {look:?}, create {made:?}, at once {racy:?}/{first:?}, settling {settle:?}; unchanged p50 \
             {:?} best {:?}, one change p50 {:?} best {:?}; restore {back:?}",
            folders * files,
            same[7],
            same[0],
            one[7],
            one[0],
        );
    }
}
