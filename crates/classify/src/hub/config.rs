//! Where the Hub is, where its cache is, and who asks.
//!
//! The variables are those of the Python library `huggingface_hub`, and mean what they mean there.

use std::path::{Path, PathBuf};

/// The settings of a download.
#[derive(Clone, PartialEq, Eq)]
pub struct HubConfig {
    /// The address of the Hub, without a slash at its end.
    pub endpoint: String,
    /// The folder that holds `models--owner--name`.
    pub cache: PathBuf,
    /// The token that is sent, if any.
    pub token: Option<String>,
    /// Whether the network must not be used.
    pub offline: bool,
    /// How often a download is tried before it is given up; each try goes on where the last one ended.
    pub attempts: u32,
}

/// The token is a secret and is never printed.
impl std::fmt::Debug for HubConfig {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("HubConfig")
            .field("endpoint", &self.endpoint)
            .field("cache", &self.cache)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("offline", &self.offline)
            .field("attempts", &self.attempts)
            .finish()
    }
}

impl HubConfig {
    /// The settings of the environment: `HF_ENDPOINT`, `HF_HOME`, `HF_HUB_CACHE`, `HF_TOKEN`, `HF_TOKEN_PATH`, `HF_HUB_OFFLINE`
    /// and `TRANSFORMERS_OFFLINE`.
    pub fn from_env() -> Self {
        Self::from_variables(|name| std::env::var(name).ok(), std::env::home_dir())
    }

    /// The settings that a set of variables and a home folder give. Only the token file is read.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>, home: Option<PathBuf>) -> Self {
        let home = home.unwrap_or_default();
        let text = |name: &str| variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let path = |name: &str| text(name).map(|value| expand(&value, &home));
        let on = |name: &str| {
            text(name).is_some_and(|value| matches!(value.to_uppercase().as_str(), "1" | "ON" | "YES" | "TRUE"))
        };
        let base = path("HF_HOME").unwrap_or_else(|| {
            let caches = path("XDG_CACHE_HOME").unwrap_or_else(|| home.join(".cache"));
            caches.join("huggingface")
        });
        let cache = path("HF_HUB_CACHE").or_else(|| path("HUGGINGFACE_HUB_CACHE")).unwrap_or_else(|| base.join("hub"));
        let token_file = path("HF_TOKEN_PATH").unwrap_or_else(|| base.join("token"));
        let endpoint = text("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned());
        Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            cache,
            token: text("HF_TOKEN").or_else(|| text("HUGGING_FACE_HUB_TOKEN")).or_else(|| read_token(&token_file)),
            offline: on("HF_HUB_OFFLINE") || on("TRANSFORMERS_OFFLINE"),
            attempts: 4,
        }
    }
}

/// A path in which `~/` stands for the home folder.
fn expand(path: &str, home: &Path) -> PathBuf {
    match path.strip_prefix("~/") {
        Some(rest) => home.join(rest),
        None => PathBuf::from(path),
    }
}

/// The token that `hf auth login` stored.
fn read_token(path: &Path) -> Option<String> {
    let token = std::fs::read_to_string(path).ok()?;
    let token = token.trim();
    (!token.is_empty()).then(|| token.to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn config(variables: &[(&str, &str)]) -> HubConfig {
        let variables: HashMap<&str, &str> = variables.iter().copied().collect();
        let variable = |name: &str| variables.get(name).map(|value| (*value).to_owned());
        HubConfig::from_variables(variable, Some(PathBuf::from("/home/me")))
    }

    #[test]
    fn without_variables_the_usual_places_are_used() {
        let config = config(&[("HF_TOKEN", "  ")]);
        assert_eq!(config.endpoint, "https://huggingface.co");
        assert_eq!(config.cache, Path::new("/home/me/.cache/huggingface/hub"));
        assert_eq!(config.token, None);
        assert!(!config.offline);
    }

    #[test]
    fn the_more_special_variable_wins() {
        let both = [("HF_HOME", "~/hf"), ("XDG_CACHE_HOME", "/caches")];
        assert_eq!(config(&both[1..]).cache, Path::new("/caches/huggingface/hub"));
        assert_eq!(config(&both).cache, Path::new("/home/me/hf/hub"));
        assert_eq!(config(&[both[0], ("HF_HUB_CACHE", "/models")]).cache, Path::new("/models"));
        assert_eq!(config(&[("HF_ENDPOINT", "http://mirror:8080/")]).endpoint, "http://mirror:8080");
        for (value, offline) in [("1", true), ("true", true), ("0", false), ("no", false)] {
            assert_eq!(config(&[("HF_HUB_OFFLINE", value)]).offline, offline);
        }
    }

    #[test]
    fn the_token_comes_from_the_variable_or_the_file_and_is_not_printed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "from-the-file\n").unwrap();
        let home = folder.path().to_str().unwrap();
        let from_file = config(&[("HF_HOME", home)]);
        assert_eq!(from_file.token.as_deref(), Some("from-the-file"));
        assert!(!format!("{from_file:?}").contains("from-the-file"));
        assert_eq!(config(&[("HF_HOME", home), ("HF_TOKEN", "given")]).token.as_deref(), Some("given"));
    }
}
