//! Compares two folders of golden files: the same files, the same names, types and shapes, and numbers that are equal
//! up to what another machine's rounding may change.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// Two numbers are the same when they differ by at most this much, or by this share of the kept one.
const TOLERANCE: f64 = 1e-6;

/// All differences between the files in `kept` and in `fresh`, one line each.
pub fn folders(kept: &Path, fresh: &Path) -> Result<Vec<String>> {
    let (kept_files, fresh_files) = (files(kept)?, files(fresh)?);
    let mut found = Vec::new();
    for file in kept_files.union(&fresh_files) {
        let name = file.display();
        if !fresh_files.contains(file) {
            found.push(format!("{name}: is kept, but no longer made"));
        } else if !kept_files.contains(file) {
            found.push(format!("{name}: is made, but not kept"));
        } else {
            let (old, new) = (read(&kept.join(file))?, read(&fresh.join(file))?);
            let lines = if file.extension().is_some_and(|extension| extension == "safetensors") {
                tensors(&old, &new)
            } else {
                json(&old, &new)
            };
            let lines = lines.with_context(|| format!("cannot read {name}"))?;
            found.extend(lines.into_iter().map(|line| format!("{name}: {line}")));
        }
    }
    Ok(found)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The files one level down, relative to `folder`: `<case>/<file>`.
fn files(folder: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    for case in entries(folder)?.iter().filter(|path| path.is_dir()) {
        for file in entries(case)? {
            found.insert(file.strip_prefix(folder).context("an entry lies in its folder")?.to_path_buf());
        }
    }
    Ok(found)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let listing = std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let paths: std::io::Result<Vec<PathBuf>> = listing.map(|entry| Ok(entry?.path())).collect();
    paths.with_context(|| format!("cannot list {}", folder.display()))
}

fn tensors(kept: &[u8], fresh: &[u8]) -> Result<Vec<String>> {
    let (kept, fresh) = (SafeTensors::deserialize(kept)?, SafeTensors::deserialize(fresh)?);
    let names: BTreeSet<&str> = kept.names().into_iter().chain(fresh.names()).collect();
    let compared = names.into_iter().filter_map(|name| {
        let difference = match (kept.tensor(name), fresh.tensor(name)) {
            (Ok(old), Ok(new)) => tensor_difference(&old, &new)?,
            (Ok(_), Err(_)) => "is kept, but no longer made".to_string(),
            _ => "is made, but not kept".to_string(),
        };
        Some(format!("`{name}` {difference}"))
    });
    Ok(compared.collect())
}

fn tensor_difference(kept: &TensorView, fresh: &TensorView) -> Option<String> {
    if kept.dtype() != fresh.dtype() || kept.shape() != fresh.shape() {
        let (old, new) = ((kept.dtype(), kept.shape()), (fresh.dtype(), fresh.shape()));
        return Some(format!("was {old:?} and is now {new:?}"));
    }
    let Some((old, new)) = numbers(kept).zip(numbers(fresh)) else {
        return (kept.data() != fresh.data()).then(|| "has other bytes".to_string());
    };
    let worst = old.iter().zip(&new).max_by(|a, b| excess(*a.0, *a.1).total_cmp(&excess(*b.0, *b.1)))?;
    (!is_same(*worst.0, *worst.1)).then(|| format!("was {} and is now {}", worst.0, worst.1))
}

/// The values of a tensor of floating-point numbers or of 64-bit integers.
fn numbers(tensor: &TensorView) -> Option<Vec<f64>> {
    let bytes = tensor.data();
    Some(match tensor.dtype() {
        Dtype::F32 => bytes.as_chunks().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect(),
        Dtype::F64 => bytes.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect(),
        Dtype::I64 => bytes.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes) as f64).collect(),
        _ => return None,
    })
}

/// How far two numbers lie apart, in units of what is allowed.
fn excess(kept: f64, fresh: f64) -> f64 {
    (kept - fresh).abs() / (TOLERANCE * kept.abs().max(1.0))
}

/// NaN is the same as nothing: it has no place in a golden file.
fn is_same(kept: f64, fresh: f64) -> bool {
    excess(kept, fresh) <= 1.0
}

fn json(kept: &[u8], fresh: &[u8]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    values("", &serde_json::from_slice(kept)?, &serde_json::from_slice(fresh)?, &mut found);
    Ok(found)
}

/// Walks both values and notes where they part, as a JSON pointer.
fn values(place: &str, kept: &Value, fresh: &Value, found: &mut Vec<String>) {
    match (kept, fresh) {
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                values(&format!("{place}/{index}"), old, new, found);
            }
        }
        (Value::Object(old), Value::Object(new)) if old.keys().eq(new.keys()) => {
            for ((key, old), new) in old.iter().zip(new.values()) {
                values(&format!("{place}/{key}"), old, new, found);
            }
        }
        (Value::Number(old), Value::Number(new)) => {
            let same = old.as_f64().zip(new.as_f64()).is_some_and(|(old, new)| is_same(old, new));
            if !same {
                found.push(format!("`{place}` was {old} and is now {new}"));
            }
        }
        _ if kept == fresh => {}
        _ => found.push(format!("`{place}` was {kept} and is now {fresh}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, values: &[f32]) -> Vec<u8> {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let view = TensorView::new(Dtype::F32, vec![values.len()], &bytes).unwrap();
        safetensors::serialize([(name, view)], None).unwrap()
    }

    #[test]
    fn rounding_is_no_difference_and_a_changed_number_is() {
        let kept = file("w", &[1.0, -2.0, 1000.0]);
        assert_eq!(tensors(&kept, &file("w", &[1.000_000_5, -2.0, 1000.0005])).unwrap(), Vec::<String>::new());
        assert_eq!(
            tensors(&kept, &file("w", &[1.0, -2.1, 1000.0])).unwrap(),
            ["`w` was -2 and is now -2.0999999046325684"]
        );
    }

    #[test]
    fn a_number_that_is_none_is_a_difference() {
        assert_eq!(tensors(&file("w", &[1.0]), &file("w", &[f32::NAN])).unwrap(), ["`w` was 1 and is now NaN"]);
    }

    #[test]
    fn other_names_and_shapes_are_differences() {
        assert_eq!(tensors(&file("w", &[1.0]), &file("w", &[1.0, 1.0])).unwrap().len(), 1);
        let found = tensors(&file("w", &[1.0]), &file("v", &[1.0])).unwrap();
        assert_eq!(found, ["`v` is made, but not kept", "`w` is kept, but no longer made"]);
    }

    #[test]
    fn json_is_compared_number_by_number() {
        let kept = br#"{"a": [1.0, {"b": "x"}], "c": null}"#;
        assert!(json(kept, br#"{"a": [1.0000001, {"b": "x"}], "c": null}"#).unwrap().is_empty());
        let found = json(kept, br#"{"a": [1.1, {"b": "y"}], "c": null}"#).unwrap();
        assert_eq!(found, ["`/a/0` was 1.0 and is now 1.1", r#"`/a/1/b` was "x" and is now "y""#]);
    }

    #[test]
    fn a_file_that_only_one_side_has_is_a_difference() {
        let (kept, fresh) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (folder, name) in [(&kept, "old.json"), (&fresh, "new.json")] {
            std::fs::create_dir(folder.path().join("case")).unwrap();
            std::fs::write(folder.path().join("case").join(name), "{}").unwrap();
        }
        let found = folders(kept.path(), fresh.path()).unwrap();
        assert_eq!(found, ["case/new.json: is made, but not kept", "case/old.json: is kept, but no longer made"]);
    }
}
