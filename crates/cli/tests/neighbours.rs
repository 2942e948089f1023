//! Training texts that a model keeps: their share in its answers, and how they are shown.

mod workbench;

use std::fs;
use std::path::Path;

use serde_json::Value;
use workbench::{done, failed, reviews, run, stderr, trained};

const SETTINGS: &str = "--model tiny --set max_steps=12 --learning-rate 1e-3 --threads 1 --quiet \
                        --set validation_fraction=0.3 --set precision=f32";

fn place() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("reviews.csv"), reviews(90)).unwrap();
    folder
}

fn table(path: &Path) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn neighbours_are_shown_beside_the_answers_with_texts_where_these_are_kept() {
    let place = place();
    let folder = place.path();
    done(folder, &format!("train reviews.csv --out run --set neighbours=on --set neighbours_texts=true {SETTINGS}"));
    done(folder, "predict run reviews.csv -o out.jsonl --neighbours 2 --precision f32 --quiet");
    let file = fs::read_to_string(folder.join("reviews.csv")).unwrap();
    let lines: Vec<&str> = file.lines().collect();
    for (row, answer) in table(&folder.join("out.jsonl")).iter().enumerate() {
        for number in [1, 2] {
            let part = |name: &str| &answer[format!("neighbour_{number}_{name}")];
            let line = lines[part("line").as_f64().unwrap() as usize - 1];
            assert!(line.contains(part("text").as_str().unwrap()), "{line}: {answer}");
            assert!(line.ends_with(part("label").as_str().unwrap()), "{line}: {answer}");
        }
        let own = answer["neighbour_1_line"].as_f64() == Some(row as f64 + 2.0);
        let similarities = [1, 2].map(|number| answer[format!("neighbour_{number}_similarity")].as_f64().unwrap());
        assert!(similarities[0] >= similarities[1] && (!own || similarities[0] > 0.999), "{answer}");
    }
    let page = done(folder, "predict run --text lovely --text awful --neighbours 3");
    assert!(
        page.matches("nearest to: ").count() == 2 && page.contains("similarity") && page.contains("the "),
        "{page}"
    );
    let explained: Value = serde_json::from_str(&done(folder, "explain run lovely --json")).unwrap();
    let near = explained[0]["neighbours"].as_array().unwrap();
    assert!(near.len() == 3 && near[0]["text"].is_string() && near[0]["labels"][0].is_string(), "{explained}");
    assert!(done(folder, "explain run lovely").contains("nearest of the training texts:"));
    let shown = done(folder, "model show run");
    assert!(shown.contains("training texts, with their words"), "{shown}");
    done(folder, "model export run -o given");
    assert!(folder.join("given/neighbours.safetensors").is_file());
    assert!(fs::read_to_string(folder.join("given/README.md")).unwrap().contains("## What it keeps"));
    fs::remove_file(folder.join("given/neighbours.safetensors")).unwrap();
    done(folder, "predict given reviews.csv -o alone.csv --quiet");
    assert!(failed(folder, "predict given reviews.csv -o more.csv --neighbours 1").contains("neighbours=on"));
    assert!(!folder.join("more.csv").exists());
}

#[test]
fn texts_are_not_kept_unasked_and_what_cannot_be_is_refused() {
    let place = place();
    let folder = place.path();
    done(folder, &format!("train reviews.csv --out run --set neighbours=on {SETTINGS}"));
    done(folder, "predict run reviews.csv -o out.jsonl --neighbours 1 --quiet");
    let answer = &table(&folder.join("out.jsonl"))[0];
    assert!(answer["neighbour_1_line"].is_number() && answer.get("neighbour_1_text").is_none(), "{answer}");
    let kept = fs::read(folder.join("run/model/neighbours.safetensors")).unwrap();
    assert!(!kept.windows(6).any(|part| part == b"lovely" || part == b"kettle"));
    let model = folder.join("run/model/neighbours.safetensors");
    fs::write(&model, &kept[..kept.len() - 3]).unwrap();
    assert!(failed(folder, "predict run reviews.csv -o more.csv").contains("neighbours.safetensors"));
    assert!(
        failed(trained(), "predict runs/reviews-1 --text lovely --neighbours 1").contains("keeps no labelled texts")
    );
    assert_eq!(run(folder, "predict run --text a --neighbours 0").status.code(), Some(2));
    let line = "train reviews.csv --out other --model tiny --set validation_fraction=0 --set neighbours=on";
    assert!(failed(folder, line).contains("`neighbours=on` needs validation texts"));
    assert!(!folder.join("other").exists());
    let texts_alone = run(folder, "train reviews.csv --out other --set neighbours_texts=true");
    assert!(stderr(&texts_alone).contains("left out unless `neighbours` is `on`"), "{}", stderr(&texts_alone));
}
