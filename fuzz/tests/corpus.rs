//! Every kept case again, on stable Rust: what the fuzzer found once stays fixed.

use netconsole_fuzz::TARGETS;
use std::fs;
use std::path::Path;

#[test]
fn no_kept_case_breaks_an_invariant() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (name, check) in TARGETS {
        let folder = corpus.join(name);
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut cases = 0;
        for entry in entries {
            let path = entry.expect("a folder's entry").path();
            println!("{}", path.display());
            check(&fs::read(path).expect("a case"));
            cases += 1;
        }
        assert!(cases > 0, "{name} has no cases");
        check(&[]);
    }
}
