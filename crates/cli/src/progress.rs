//! How far reading and downloading are, on a terminal.

use std::time::Duration;

use finetone_classify::hub::HubProgress;
use indicatif::{ProgressBar, ProgressStyle};

/// Counts rows whose number is not known beforehand.
pub struct Rows(ProgressBar);

impl Rows {
    /// A counter on standard error; nothing where that is no terminal, or if `quiet`.
    pub fn new(quiet: bool) -> Self {
        if quiet {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new_spinner();
        bar.set_style(style("{spinner} {human_pos} rows  {per_sec}  {elapsed}"));
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    /// So many more rows are done.
    pub fn advance(&self, rows: usize) {
        self.0.inc(rows as u64);
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A bar for each file that is downloaded.
#[derive(Default)]
pub struct Download(Option<ProgressBar>);

impl HubProgress for Download {
    fn start(&mut self, file: &str, bytes: u64) {
        let bar = ProgressBar::new(bytes);
        bar.set_style(style("{msg:32} {bar:24} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left"));
        bar.set_message(file.to_owned());
        if bar.is_hidden() {
            anstream::eprintln!("downloading {file} ({})", indicatif::HumanBytes(bytes));
        }
        self.0 = Some(bar);
    }

    fn advance(&mut self, bytes: u64) {
        if let Some(bar) = &self.0 {
            bar.inc(bytes);
        }
    }

    fn finish(&mut self) {
        if let Some(bar) = self.0.take() {
            bar.finish();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates are written above").progress_chars("━╸─")
}
