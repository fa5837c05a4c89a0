//! The rules of `read`, case by case.

use proptest::prelude::*;

use super::*;
use crate::seen::{SeenFiles, SeenStanding};
use crate::spill::{ResultSpill, tests::MemorySpill};
use crate::tree::ToolTree;

struct ReadBench {
    folder: tempfile::TempDir,
    tree: ToolTree,
    seen: SeenFiles,
    spill: MemorySpill,
}

impl ReadBench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tree = ToolTree::open(folder.path(), &[]).unwrap();
        Self { folder, tree, seen: SeenFiles::default(), spill: MemorySpill::default() }
    }

    fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        let at = self.folder.path().join(name);
        std::fs::create_dir_all(at.parent().unwrap()).unwrap();
        std::fs::write(at, content).unwrap();
    }

    fn read(&mut self, path: &str, from: Option<u64>, cap: usize) -> Result<String, ToolFailure> {
        let arguments = ReadArguments { path: path.to_owned(), from, lines: None };
        let context =
            &mut FileContext { tree: &self.tree, seen: &mut self.seen, spill: &mut self.spill, cap };
        read(&arguments, context).map(|answer| answer.text)
    }
}

#[test]
fn lines_are_numbered_and_the_rest_is_named() {
    let mut bench = ReadBench::new();
    bench.put("a.txt", (1..=500).map(|number| format!("l{number}\n")).collect::<String>());
    let text = bench.read("a.txt", None, 24_000).unwrap();
    assert!(text.starts_with("     1\tl1\n     2\tl2\n"));
    assert!(text.ends_with("   400\tl400\n[lines 1-400 of 500; go on with from=401]\n"));
    assert!(bench.read("a.txt", Some(401), 24_000).unwrap().ends_with("[lines 401-500 of 500]\n"));
    let text = bench.read("a.txt", Some(7), 41).unwrap();
    assert_eq!(
        text,
        "     7\tl7\n     8\tl8\n     9\tl9\n    10\tl10\n[lines 7-10 of 500; go on with from=11]\n"
    );
    let failure = bench.read("a.txt", Some(501), 40).unwrap_err();
    assert!(failure.why.contains("500 lines"), "{failure}");
}

#[test]
fn the_form_of_a_file_is_said() {
    let mut bench = ReadBench::new();
    bench.put("crlf", "a\r\nb\r\n");
    bench.put("open", "a\nb");
    bench.put("mixed", "a\r\nb\n");
    bench.put("latin1", b"caf\xe9\n");
    bench.put("empty", "");
    assert_eq!(
        bench.read("crlf", None, 999).unwrap(),
        "     1\ta\n     2\tb\n[lines 1-2 of 2; lines end with CRLF]\n"
    );
    assert!(bench.read("open", None, 999).unwrap().ends_with("[lines 1-2 of 2; no line end at the end]\n"));
    assert!(bench.read("mixed", None, 999).unwrap().contains("CRLF and with LF"));
    assert!(bench.read("latin1", None, 999).unwrap().contains("not UTF-8"));
    assert_eq!(bench.read("empty", None, 999).unwrap(), "[empty file]\n");
}

#[test]
fn a_huge_line_is_cut_and_never_stops_the_reading() {
    let mut bench = ReadBench::new();
    bench.put("min.js", format!("{}\nsecond\n", "ä".repeat(3_000_000)));
    let text = bench.read("min.js", None, 24_000).unwrap();
    assert!(text.contains("[… 5,996,000 more bytes in this line]\n     2\tsecond"), "{}", &text[3990..]);
    let text = bench.read("min.js", None, 100).unwrap();
    assert!(text.ends_with("[lines 1-1 of 2; go on with from=2]\n") && text.len() < 200, "{text}");
}

#[test]
fn no_text_and_nothing_there_are_explained() {
    let mut bench = ReadBench::new();
    bench.put("logo.png", b"\x89PNG\r\n\0\0");
    bench.put("src/parser.rs", "");
    bench.put("src/printer.rs", "");
    bench.put("other", "");
    let failure = bench.read("logo.png", None, 999).unwrap_err();
    assert_eq!(failure.class, FailureClass::NotText);
    assert!(failure.why.contains("a PNG image, 8 bytes"), "{failure}");
    let failure = bench.read("parsr.rs", None, 999).unwrap_err();
    assert_eq!(failure.do_next, "nearest names: `src/parser.rs`, `src/printer.rs`.");
    assert_eq!(bench.read("src", None, 999).unwrap_err().class, FailureClass::NotAFile);
}

#[test]
fn a_kept_result_is_read_like_a_file() {
    let mut bench = ReadBench::new();
    let number = bench.spill.store(b"one\ntwo\0\n").unwrap();
    let text = bench.read(&format!("@out:{number}"), Some(2), 999).unwrap();
    assert_eq!(text, "     2\ttwo\0\n[lines 2-2 of 2]\n");
    for missing in ["@out:9", "@out:x", "@out:"] {
        assert_eq!(bench.read(missing, None, 999).unwrap_err().class, FailureClass::NoSuchOutput);
    }
}

#[test]
fn reading_makes_a_file_of_any_size_seen() {
    let mut bench = ReadBench::new();
    for size in [10, 300_000] {
        let content = vec![b'x'; size];
        bench.put("f", &content);
        bench.read("f", None, 999).unwrap();
        let path = bench.tree.path("f").unwrap();
        assert_eq!(bench.seen.standing(&path, &content), SeenStanding::Same);
    }
}

proptest! {
    #[test]
    fn chunks_make_no_difference(text in "([a-zä]{0,5}(\r\n|\n|\r)?){0,12}", cuts in prop::collection::vec(0_usize..40, 0..5)) {
        let bytes = text.as_bytes();
        let mut whole = LineWindow::new(1, 401, 9999);
        whole.feed(bytes);
        let mut pieces = LineWindow::new(1, 401, 9999);
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.sort_unstable();
        let mut start = 0;
        for cut in cuts.into_iter().chain([bytes.len()]) {
            pieces.feed(&bytes[start..cut]);
            start = cut;
        }
        prop_assert_eq!(whole.finish("x"), pieces.finish("x"));
    }
}
