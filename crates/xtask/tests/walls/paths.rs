//! Files of the project say nothing about the machine they were written on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{assert_none, workspace_root};

/// Folders that are somebody's: the part behind the first slash, and whether a name must follow.
const PRIVATE_FOLDERS: &[(&str, bool)] = &[("root", false), ("work", false), ("home", true), ("Users", true)];

/// Names that documentation may use.
const EXAMPLE_NAMES: &[&str] = &["you", "user", "me"];

/// The files git tracks; without git (a source archive) every file but build output.
fn project_files() -> Vec<PathBuf> {
    let root = workspace_root();
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(&root).output();
    if let Ok(output) = listed
        && output.status.success()
    {
        let names = String::from_utf8(output.stdout).expect("file names of the project are UTF-8");
        return names.split('\0').filter(|name| !name.is_empty()).map(|name| root.join(name)).collect();
    }
    let mut files = Vec::new();
    walk(&root, &mut files);
    files
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the project is readable") {
        let path = entry.expect("a folder of the project is readable").path();
        let skipped = [".git", "target", ".venv"].iter().any(|name| path.ends_with(name));
        if path.is_dir() && !skipped {
            walk(&path, files);
        } else if path.is_file() {
            files.push(path);
        }
    }
}

/// Finds a path into one of those folders; what goes on from something else (`$HOME/…`, a URL, an ARN) is none.
fn private_path(line: &str) -> Option<&str> {
    let starts = line.char_indices().filter(|(_, letter)| *letter == '/').map(|(start, _)| start);
    starts.map(|start| line.split_at(start)).find_map(|(before, path)| {
        let continues = before.ends_with(|last: char| last.is_alphanumeric() || "._-~*}/)>".contains(last));
        let mut parts = path[1..].split('/');
        let folder = parts.next()?;
        let name = parts.next()?;
        let name: &str = name.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next()?;
        let somebody = !name.is_empty() && !EXAMPLE_NAMES.contains(&name);
        let private = PRIVATE_FOLDERS.iter().any(|(private, named)| folder == *private && (somebody || !named));
        (private && !continues).then_some(path)
    })
}

#[test]
fn no_file_names_a_developers_machine() {
    let files = project_files();
    assert!(files.iter().any(|file| file.ends_with("Cargo.toml")), "the project's files were listed");
    let mut violations = Vec::new();
    for file in files {
        // Deleted but not yet committed, or not text.
        let Ok(text) = fs::read_to_string(&file) else { continue };
        for (number, line) in text.lines().enumerate() {
            if private_path(line).is_some() {
                let file = file.strip_prefix(workspace_root()).unwrap_or(&file).display();
                violations.push(format!("{file}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert_none(&violations);
}

#[test]
fn private_paths_are_caught() {
    let line = |folder: &str, rest: &str| format!("data = \"/{folder}/{rest}\"");
    assert!(private_path(&line("home", "alice/logs")).is_some());
    assert!(private_path(&line("Users", "bob/src")).is_some());
    assert!(private_path(&line("root", ".cargo")).is_some());
    assert!(private_path(&format!("cd /{}/main", "work")).is_some());

    assert!(private_path("$HOME/root/x ~/work/x https://host/home/alice/x").is_none());
    assert!(private_path("arn:aws:iam::123456789012:role/work/builder").is_none());
    assert!(private_path("/home/you/logs /var/log /homework/x").is_none());
}
