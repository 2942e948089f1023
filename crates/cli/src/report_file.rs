//! The report that a command writes where it is asked to.

use std::io::Write;
use std::path::PathBuf;

use finetone_evaluate::Report;

use crate::failure::Failure;
use crate::output::write_whole;

/// Where the report goes.
#[derive(clap::Args)]
pub struct ReportArgs {
    /// Write a report: `.html` with charts, `.md` or `.json`
    #[arg(long, value_name = "FILE", value_parser = report_path)]
    report: Option<PathBuf>,
}

fn report_path(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("html" | "htm" | "md" | "json") => Ok(path),
        _ => Err("a report ends with `.html`, `.md` or `.json`".to_owned()),
    }
}

impl ReportArgs {
    /// Writes the report, if one was asked for.
    pub fn write(&self, report: &Report) -> Result<(), Failure> {
        let Some(path) = &self.report else { return Ok(()) };
        let text = match path.extension().and_then(|extension| extension.to_str()) {
            Some("md") => report.to_markdown(),
            Some("json") => report.to_json()?,
            _ => report.to_html()?,
        };
        write_whole(path, &text)
    }

    /// Says where it is.
    pub fn tell(&self) -> Result<(), Failure> {
        if let Some(path) = &self.report {
            writeln!(anstream::stdout(), "\nreport: {}", path.display())?;
        }
        Ok(())
    }
}
