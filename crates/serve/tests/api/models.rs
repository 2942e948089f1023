//! Models: bases, aliases, fine-tuned ones.

use serde_json::json;

use super::client::{Server, chat};

#[test]
fn bases_and_aliases_are_listed_and_cannot_be_deleted() {
    let server = Server::start();
    let list = server.get("/models").json(200);
    let owner = |id: &str| {
        let found = list["data"].as_array().unwrap().iter().find(|model| model["id"] == id);
        found.unwrap_or_else(|| panic!("{id} is missing"))["owned_by"].clone()
    };
    assert_eq!(owner("small"), "system");
    assert_eq!(owner("gpt-3.5-turbo"), "alias of small");
    assert_eq!(owner("gpt-4o-mini"), "alias of other");
    assert_eq!(server.get("/models/small").json(200)["object"], "model");
    let missing = ("The model 'x' does not exist".to_owned(), json!("model"), json!("model_not_found"));
    assert_eq!(server.get("/models/x").error(404), missing);
    assert_eq!(server.delete("/models/x").error(404), missing);
    assert_eq!(server.delete("/models/small").error(400).1, "model");
}

#[test]
fn a_fine_tuned_model_is_found_under_its_name_however_it_is_written_until_it_is_deleted() {
    let server = Server::start();
    let file = server.uploaded(&chat(12));
    let job = server.job(&json!({"model": "gpt-3.5-turbo", "training_file": file, "suffix": "mood"}));
    let job = server.wait(&job, "succeeded");
    let name = job["fine_tuned_model"].as_str().unwrap();
    assert!(name.starts_with("ft:small:personal:mood:") && name.len() == 31, "{name}");
    for written in [name.to_owned(), name.replace(':', "%3A")] {
        let model = server.get(&format!("/models/{written}")).json(200);
        assert_eq!((&model["id"], &model["owned_by"]), (&json!(name), &json!("personal")));
    }
    // Training goes on from a fine-tuned model, under a name with the same base.
    let next = server.job(&json!({"model": name, "training_file": file}));
    let next = server.wait(&next, "succeeded");
    assert_eq!(next["model"], name);
    assert!(next["fine_tuned_model"].as_str().unwrap().starts_with("ft:small:personal::"));
    let configs = server.bench.configs.lock().unwrap();
    assert!(configs[1].model.ends_with("run/model"), "{}", configs[1].model);
    drop(configs);
    let folder = server.folder.path().join("data/jobs").join(job["id"].as_str().unwrap()).join("run/model");
    assert!(folder.is_dir());
    assert_eq!(
        server.delete(&format!("/models/{name}")).json(200),
        json!({"id": name, "object": "model", "deleted": true})
    );
    assert!(!folder.exists());
    server.get(&format!("/models/{name}")).error(404);
    let kept = server.get(&format!("/fine_tuning/jobs/{}", job["id"].as_str().unwrap())).json(200);
    assert_eq!(kept["fine_tuned_model"], name);
}
