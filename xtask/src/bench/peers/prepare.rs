//! What must be there before the first contender starts: binaries, Python, a classifier, files of texts.

use std::path::{Path, PathBuf, absolute};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::{Name, Options};
use crate::python::Environment;

/// Programs, files and sizes of the comparisons.
pub struct Prepared {
    /// Where everything is run and written.
    pub folder: PathBuf,
    /// The interpreter with the peers' packages.
    pub python: PathBuf,
    /// The folder with the peers' scripts.
    pub scripts: PathBuf,
    /// The folder with the scripts of this project.
    pub own_scripts: PathBuf,
    /// The pretrained model.
    pub minilm: PathBuf,
    /// The same with a head of two classes.
    pub classifier: PathBuf,
    /// Threads for everybody.
    pub threads: usize,
    /// Few steps and few rows.
    pub quick: bool,
    binaries: PathBuf,
}

/// Files for fine-tuning: columns `text` and `label`.
pub struct Texts {
    /// To learn from.
    pub train: PathBuf,
    /// To choose the best checkpoint by, where there is one.
    pub dev: Option<PathBuf>,
    /// To measure on.
    pub test: PathBuf,
}

/// Rows of a file that `--quick` leaves.
const QUICK_ROWS: usize = 96;

impl Prepared {
    /// Builds and installs what the comparisons that were asked for need.
    pub fn new(root: &Path, options: &Options) -> Result<Self> {
        let (target, scripts) = (target(root), scripts(root, &options.scripts)?);
        let folder = absolute(target.join("bench-peers")).context("no current folder")?;
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let names = options.names();
        build(root, &names)?;
        let python = python(root, &scripts)?;
        let prepared = Self {
            minilm: minilm(root)?,
            classifier: folder.join("minilm-classifier"),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            quick: options.quick,
            binaries: absolute(target.join("release")).context("no current folder")?,
            own_scripts: root.join("xtask/bench"),
            folder,
            python,
            scripts,
        };
        if names.iter().any(|name| matches!(name, Name::Infer | Name::Start)) {
            prepared.make_classifier()?;
        }
        prepared.make_texts(&names, &root.join(&options.data))?;
        Ok(prepared)
    }

    /// One of our executables.
    pub fn binary(&self, name: &str) -> PathBuf {
        self.binaries.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
    }

    /// One of our examples.
    pub fn example(&self, name: &str) -> PathBuf {
        self.binary(&format!("examples/{name}"))
    }

    /// Whole sentences of two classes.
    pub fn sst2(&self) -> Texts {
        let file = |name: &str| self.folder.join(format!("sst2-{name}.csv"));
        Texts { train: file("train"), dev: Some(file("dev")), test: file("test") }
    }

    /// Support conversations of three classes.
    pub fn conversations(&self) -> Texts {
        let file = |name: &str| self.folder.join(format!("conversations-{name}.csv"));
        Texts { train: file("train"), dev: None, test: file("test") }
    }

    fn make_classifier(&self) -> Result<()> {
        if self.classifier.join("config.json").is_file() {
            return Ok(());
        }
        let mut command = Command::new(&self.python);
        command.arg(self.own_scripts.join("classifier.py")).arg(&self.minilm).arg(&self.classifier);
        super::process::run(&mut command).context("cannot give MiniLM a head").map(drop)
    }

    /// Writes the files of texts into the bench's own folder, each with the columns that the peers' scripts expect.
    fn make_texts(&self, names: &[Name], data: &Path) -> Result<()> {
        let rows = if self.quick { QUICK_ROWS } else { usize::MAX };
        let write = |source: PathBuf, columns: [&str; 2], out: &Path| {
            let text = std::fs::read(&source)
                .with_context(|| format!("cannot read {}\nhint: `--data` says where the data lie", source.display()))?;
            let converted = convert(&text, columns, rows).with_context(|| format!("in {}", source.display()))?;
            std::fs::write(out, converted).with_context(|| format!("cannot write {}", out.display()))
        };
        if names.iter().any(|name| matches!(name, Name::Infer | Name::Sst2)) {
            for name in ["train", "dev", "test"] {
                let out = self.folder.join(format!("sst2-{name}.csv"));
                write(data.join(format!("sst2/{name}.csv")), ["text", "label"], &out)?;
            }
        }
        if names.contains(&Name::Conversations) {
            for name in ["train", "test"] {
                let out = self.folder.join(format!("conversations-{name}.csv"));
                let source = data.join(format!("customer_service/{name}.csv"));
                write(source, ["conversation", "customer_sentiment"], &out)?;
            }
        }
        Ok(())
    }
}

/// The two columns as `text` and `label`. Where fewer rows are asked for, they are taken evenly from the whole file, so
/// that every class is among them.
fn convert(csv: &[u8], columns: [&str; 2], most_rows: usize) -> Result<Vec<u8>> {
    let mut reader = csv::Reader::from_reader(csv);
    let head = reader.headers().context("no head")?.clone();
    let index = |name| head.iter().position(|column| column == name).with_context(|| format!("no column `{name}`"));
    let [text, label] = [index(columns[0])?, index(columns[1])?];
    let records = reader.records().collect::<Result<Vec<_>, _>>()?;
    let step = records.len().div_ceil(most_rows.max(1)).max(1);
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["text", "label"])?;
    for record in records.iter().step_by(step) {
        writer.write_record([&record[text], &record[label]])?;
    }
    writer.into_inner().map_err(|error| anyhow::anyhow!("{}", error.error()))
}

fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// The folder with the peers' scripts, given from the root or absolute.
fn scripts(root: &Path, folder: &Path) -> Result<PathBuf> {
    let folder = root.join(folder);
    ensure!(folder.is_dir(), "there is no folder {}\nhint: `--scripts DIR` says where it is", folder.display());
    folder.canonicalize().with_context(|| format!("cannot resolve {}", folder.display()))
}

/// Builds what the comparisons run, once.
fn build(root: &Path, names: &[Name]) -> Result<()> {
    let mut parts: Vec<[&str; 4]> = Vec::new();
    for name in names {
        parts.push(match name {
            Name::Step | Name::Busy => ["--package", "finetone-model", "--example", "step"],
            Name::Infer => ["--package", "finetone-classify", "--example", "infer"],
            Name::Gemm => ["--package", "finetone-backend-cpu", "--example", "gemm"],
            Name::Sst2 | Name::Conversations | Name::Start => ["--package", "finetone", "--bin", "finetone"],
        });
    }
    parts.sort_unstable();
    parts.dedup();
    for part in parts {
        let mut command = crate::check::cargo(root);
        command.args(["build", "--release"]).args(part);
        if crate::check::exit_code(&mut command)? != 0 {
            bail!("cannot build {}", part.join(" "));
        }
    }
    Ok(())
}

fn python(root: &Path, scripts: &Path) -> Result<PathBuf> {
    match std::env::var_os("FINETONE_PYTHON") {
        Some(python) => Ok(python.into()),
        None => Environment::under(root).prepare_for_peers(root, scripts),
    }
}

fn minilm(root: &Path) -> Result<PathBuf> {
    match std::env::var_os("FINETONE_MINILM") {
        Some(folder) => Ok(folder.into()),
        None => Environment::under(root).real_weights(root).context("no MiniLM; `FINETONE_MINILM` may name its folder"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_chosen_by_name_and_quoting_survives() {
        let csv = b"id,mood,said\n1,good,\"a, \"\"b\"\"\nc\"\n2,bad,d\n";
        let converted = convert(csv, ["said", "mood"], 10).expect("both columns are there");
        assert_eq!(String::from_utf8_lossy(&converted), "text,label\n\"a, \"\"b\"\"\nc\",good\nd,bad\n");
        let error = convert(csv, ["said", "label"], 10).expect_err("there is no such column");
        assert!(error.to_string().contains("`label`"), "{error}");
    }

    #[test]
    fn fewer_rows_come_from_the_whole_file() {
        let csv = b"text,label\na,0\nb,0\nc,0\nd,1\ne,1\n";
        let converted = convert(csv, ["text", "label"], 2).expect("both columns are there");
        assert_eq!(String::from_utf8_lossy(&converted), "text,label\na,0\nd,1\n");
    }
}
