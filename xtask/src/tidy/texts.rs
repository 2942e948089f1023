//! Rules for every file, whatever its language: no large files, no paths of one machine, no hosts of registries.

use super::Violation;

const RULE: &str = "text";
const LARGEST: u64 = 1024 * 1024;

/// Folders whose files may be large.
const LARGE_FOLDERS: &[&str] = &["examples/", "tests/"];
/// Roots that exist on one machine and not on the next.
const MACHINE_ROOTS: &[&str] = &["/tmp/", "/work/", "/root/", "/home/"];
/// Whose homes tests and examples may name, because no machine is meant.
const INVENTED_USERS: &[&str] = &["me", "someone", "user"];
/// Hosts that serve packages: which one is asked is the choice of each machine's own configuration.
const REGISTRY_HOSTS: &[&str] = &[
    "//crates.io",
    "index.crates.io",
    "static.crates.io",
    "pypi.org",
    "pythonhosted.org",
    "registry.npmjs.org",
    "proxy.golang.org",
    "conda.anaconda.org",
];

/// Files that may name what is searched for here: prefix of the path, why.
const ALLOWED: &[(&str, &str)] = &[("xtask/src/tidy/texts.rs", "the rule itself and its tests")];

/// Checks the size of a file, text or not.
pub fn check_size(path: &str, bytes: u64) -> Option<Violation> {
    let may_be_large =
        LARGE_FOLDERS.iter().any(|folder| path.starts_with(folder) || path.contains(&format!("/{folder}")))
            || path.split('/').any(|part| part == "golden");
    (bytes > LARGEST && !may_be_large).then(|| {
        let advice = format!(
            "the file has {bytes} bytes, at most {LARGEST} outside tests and examples; make it smaller or generate it"
        );
        Violation::new(path, 1, RULE, advice)
    })
}

/// Checks every line of a text file.
pub fn check(path: &str, text: &str) -> Vec<Violation> {
    if ALLOWED.iter().any(|(prefix, _)| path.starts_with(prefix)) {
        return Vec::new();
    }
    let mut violations = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if let Some(root) = MACHINE_ROOTS.iter().find(|root| names_root(line, root)) {
            let advice = format!(
                "`{root}` is a path of one machine; make it relative, an argument or a temporary folder of the system"
            );
            violations.push(Violation::new(path, index + 1, RULE, advice));
        }
        if let Some(host) = REGISTRY_HOSTS.iter().find(|host| line.contains(*host)) {
            let advice = format!("`{host}` names a package registry; leave the choice to the machine's configuration");
            violations.push(Violation::new(path, index + 1, RULE, advice));
        }
    }
    violations
}

/// Whether the line names a path that begins at `root`, as opposed to a longer path, an address that contains it, or the
/// home of somebody invented.
fn names_root(line: &str, root: &str) -> bool {
    line.match_indices(root).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let is_longer = before.is_some_and(|before| before.is_alphanumeric() || "_-.~})]>/".contains(before));
        let next = line[start + root.len()..].split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        let is_invented = root == "/home/" && INVENTED_USERS.contains(&next);
        !is_longer && !is_invented
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_one_machine_are_found() {
        assert_eq!(check("a.md", "fine\nsee `/tmp/x`\n")[0].line, 2);
        assert_eq!(check("a.sh", "cd /home/builder/project\n").len(), 1);
        assert_eq!(check("a.rs", "const A: &str = \"/work/main\";").len(), 1);
    }

    #[test]
    fn longer_paths_and_addresses_are_not() {
        for line in
            ["target/tmp/x", "https://example.org/home/x", "{dir}/tmp/x", "$HOME/work/x", "./tmp/x", "`/home/me/hub`"]
        {
            assert!(check("a.md", line).is_empty(), "{line}");
        }
    }

    #[test]
    fn hosts_of_registries_are_found_but_not_the_names_of_their_indexes() {
        assert_eq!(check("a.toml", "index = \"https://index.crates.io/\"").len(), 1);
        assert_eq!(check("a.sh", "pip install --index-url https://pypi.org/simple x").len(), 1);
        assert!(check("Cargo.lock", "source = \"registry+https://github.com/rust-lang/crates.io-index\"").is_empty());
    }

    #[test]
    fn large_files_live_with_tests_and_examples() {
        assert!(check_size("docs/film.bin", LARGEST + 1).is_some());
        assert!(check_size("docs/film.bin", LARGEST).is_none());
        for path in ["examples/a.csv", "tests/golden/a.bin", "crates/model/tests/a.bin", "crates/model/golden/a.bin"] {
            assert!(check_size(path, LARGEST + 1).is_none(), "{path}");
        }
    }
}
