//! Tests of the absences, each on a source of a few lines.

use super::*;

fn lines(path: &str, text: &str) -> Vec<usize> {
    let source = RustSource::parse(path, text).expect("valid");
    check(&source).into_iter().map(|violation| violation.line).collect()
}

#[test]
fn unsafe_is_for_backends_and_explained_there() {
    let bare = "fn f() {\n    unsafe { g() }\n}\n";
    let explained = "fn f() {\n    // SAFETY: g has no conditions.\n    unsafe { g() }\n}\n";
    assert_eq!(lines("crates/data/src/a.rs", explained), [2 + 1]);
    assert_eq!(lines("crates/backend-cpu/src/a.rs", bare), [2]);
    assert!(lines("crates/backend-cpu/src/a.rs", explained).is_empty());
}

#[test]
fn the_inside_of_a_macro_is_seen_and_text_is_not() {
    let in_macro = "macro_rules! m {\n    () => { unsafe { g() } };\n}\n";
    assert_eq!(lines("crates/data/src/a.rs", in_macro), [2]);
    let in_text = "// unsafe { todo!() }\nconst A: &str = \"unsafe { dbg!(1) }\";\n";
    assert!(lines("crates/data/src/a.rs", in_text).is_empty());
}

#[test]
fn a_safety_comment_covers_the_statement_below_it_and_no_more() {
    let over_assignment = "fn f() {\n// SAFETY: fine.\n// Really.\nlet x =\nunsafe { g() };\n}\n";
    let over_attribute = "// SAFETY: fine.\n#[cfg(unix)]\nunsafe impl Send for A {}\n";
    let beside_attribute = "#[cfg(unix)] // SAFETY: fine.\nunsafe impl Send for A {}\n";
    let of_another = "fn f() {\n// SAFETY: fine.\nlet x = 1;\nunsafe { g() }\n}\n";
    let of_another_arm = "fn f() {\nmatch a {\n// SAFETY: fine.\nA => unsafe { g() },\nB => unsafe { h() },\n}\n}\n";
    let far_above = "// SAFETY: fine.\n\nunsafe impl Send for A {}\n";
    let stated = "/// # Safety\n/// Never.\nunsafe fn f() {}\n";
    let path = "crates/backend-cpu/src/a.rs";
    assert!(lines(path, over_assignment).is_empty());
    assert!(lines(path, over_attribute).is_empty());
    assert!(lines(path, beside_attribute).is_empty());
    assert_eq!(lines(path, of_another), [4]);
    assert_eq!(lines(path, of_another_arm), [5]);
    assert_eq!(lines(path, far_above), [3]);
    assert!(lines(path, stated).is_empty());
}

#[test]
fn the_checkpoint_may_map_one_file() {
    let map =
        "#[expect(unsafe_code, reason = \"a map\")]\nfn f() {\n    // SAFETY: read only.\n    unsafe { g() }\n}\n";
    assert!(lines("crates/model/src/checkpoint.rs", map).is_empty());
    assert!(lines("crates/model/src/checkpoint/map.rs", map).is_empty());
    assert_eq!(lines("crates/model/src/config.rs", map), [4]);
    let twice = format!("{map}fn h() {{\n    // SAFETY: again.\n    unsafe {{ g() }}\n}}\n");
    assert_eq!(lines("crates/model/src/checkpoint.rs", &twice), [8]);
    let unexpected = map.replace("expect(", "allow(");
    assert_eq!(lines("crates/model/src/checkpoint.rs", &unexpected), [4]);
}

#[test]
fn unfinished_code_and_skipped_tests_are_found() {
    assert_eq!(lines("crates/data/src/a.rs", "fn f() {\n    todo!()\n}\n"), [2]);
    assert_eq!(lines("crates/data/src/a.rs", "fn f() {\n    dbg!(1);\n    unimplemented!();\n}\n"), [2, 3]);
    assert!(lines("crates/data/src/a.rs", "fn f(todo: u8) -> bool { todo != 1 }\n").is_empty());
    assert_eq!(lines("crates/data/src/a.rs", "#[test]\n#[ignore = \"slow\"]\nfn f() {}\n"), [2]);
    assert_eq!(lines("crates/data/src/a.rs", "#[cfg_attr(miri, ignore)]\nfn f() {}\n"), [1]);
    assert!(lines("crates/data/src/a.rs", "#[cfg_attr(miri, inline)]\nfn ignore() {}\n").is_empty());
}

#[test]
fn assembly_has_one_home() {
    let text = "// SAFETY: nothing happens.\nfn f() { g(); asm!(\"nop\"); }\n";
    assert!(lines(ASSEMBLY, text).is_empty());
    assert_eq!(lines("crates/backend-cpu/src/gemm/avx2.rs", text), [2]);
}

#[test]
fn vague_module_names_are_found_in_paths_and_declarations() {
    assert_eq!(lines("crates/data/src/utils.rs", ""), [1]);
    assert_eq!(lines("crates/data/tests/common/mod.rs", ""), [1]);
    assert_eq!(lines("crates/data/src/lib.rs", "mod reader;\nmod helper {}\n"), [2]);
    assert!(lines("crates/data/src/commonality.rs", "fn utils() {}\n").is_empty());
}

#[test]
fn the_model_knows_neither_threads_nor_files() {
    let path = "crates/model/src/step.rs";
    assert_eq!(lines(path, "use std::thread;\n"), [1]);
    assert_eq!(lines(path, "use std::{collections::{BTreeMap}, fs, thread};\n"), [1, 1]);
    assert_eq!(lines(path, "fn f() { rayon::join(a, b); }\n"), [1]);
    assert!(lines(path, "use std::{collections::{fs}, io};\n").is_empty());
    assert!(lines(path, "#[cfg(test)]\nmod tests { use std::fs; }\n").is_empty());
    assert!(lines("crates/model/src/checkpoint/write.rs", "use std::fs;\n").is_empty());
    assert_eq!(lines("crates/model/src/checkpoint/write.rs", "use std::thread;\n"), [1]);
}

#[test]
fn training_and_serving_know_no_instruction_set() {
    let text = "fn f() -> bool { is_x86_feature_detected!(\"avx2\") }\n";
    assert_eq!(lines("crates/train/src/a.rs", text), [1]);
    assert_eq!(lines("crates/serve/src/a.rs", "#[cfg(target_feature = \"avx\")]\nfn f() {}\n"), [1]);
    assert!(lines("crates/backend-cpu/src/isa.rs", text).is_empty());
}
