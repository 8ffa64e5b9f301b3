//! Files: includes, limits, secrets.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::{Severity, SourceFile, load, parse};

fn write(directory: &Path, name: &str, text: &str) {
    let path = directory.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn includes_are_sorted_and_read_once() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    write(
        at,
        "siskin.toml",
        "include = ['conf.d/*.toml', 'conf.d/b.toml', '*.toml']\n[router]\nasn = 64500\n",
    );
    write(
        at,
        "conf.d/b.toml",
        "[peer.b]\naddress = '192.0.2.2'\nasn = 65002\n[[originate]]\nprefix = '192.0.2.0/24'\n",
    );
    write(
        at,
        "conf.d/a.toml",
        "[peer.a]\naddress = '192.0.2.1'\nasn = 65001\n[[originate]]\nprefix = '198.51.100.0/24'\n",
    );
    write(at, "conf.d/.hidden.toml", "not toml");
    write(at, "conf.d/c.toml~", "not toml");
    let config = load(&at.join("siskin.toml")).unwrap().config;
    assert_eq!(config.peers.keys().collect::<Vec<_>>(), ["a", "b"]);
    let prefixes: Vec<String> = config.originate.iter().map(|o| o.prefix.to_string()).collect();
    assert_eq!(prefixes, ["198.51.100.0/24", "192.0.2.0/24"], "a before b");
}

#[test]
fn a_pattern_without_files_is_fine_and_a_missing_file_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let main = directory.path().join("siskin.toml");
    for (include, right) in [("conf.d/*.toml", true), ("peers.toml", false), ("*/peers.toml", false)] {
        write(directory.path(), "siskin.toml", &format!("include = ['{include}']\n[router]\nasn = 64500\n"));
        let result = load(&main);
        assert_eq!(result.is_ok(), right, "{include}");
        if let Err(diagnostics) = result {
            assert_eq!(diagnostics.iter().next().unwrap().line, 1);
        }
    }
}

#[test]
fn an_error_names_the_file_it_is_in() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    write(
        at,
        "siskin.toml",
        "include = ['conf.d/*.toml']\n[router]\nasn = 64500\n[peer.a]\naddress = '192.0.2.1'\nasn = 65001\n",
    );
    write(
        at,
        "conf.d/x.toml",
        "include = []\n[peer.a]\naddress = '192.0.2.1'\nasn = 65001\n[router]\nasn = 1\n",
    );
    let diagnostics = load(&at.join("siskin.toml")).unwrap_err();
    let found: Vec<(String, u32)> = diagnostics.iter().map(|d| (d.message.clone(), d.line)).collect();
    assert_eq!(
        found,
        [
            ("an included file cannot include others".to_owned(), 1),
            ("[peer.a] stands twice".to_owned(), 2),
            ("[router] stands twice".to_owned(), 5),
        ]
    );
    assert!(diagnostics.iter().all(|d| d.file.ends_with("conf.d/x.toml")));
    assert!(diagnostics.render(false).contains("siskin.toml:4"), "and where the first is:\n{diagnostics}");
}

#[test]
fn what_is_no_text_or_too_large_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let main = directory.path().join("siskin.toml");
    let message = || load(&main).unwrap_err().iter().next().unwrap().message.clone();
    assert!(message().contains("No such file"), "{}", message());
    fs::write(&main, b"[router]\nasn = 1 # \xff\n").unwrap();
    assert!(message().contains("line 2 is not UTF-8"), "{}", message());
    let text = format!("# {}", "x".repeat(16 << 20));
    fs::write(&main, &text).unwrap();
    assert!(message().contains("larger than 16 MiB"), "{}", message());
    assert!(parse(vec![SourceFile { name: "x".to_owned(), text }]).is_err());
}

#[test]
fn passwords_come_from_files_beside_the_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let main = at.join("siskin.toml");
    write(
        at,
        "siskin.toml",
        "[router]\nasn = 64500\n[peer.a]\naddress = '192.0.2.1'\nasn = 65001\npassword-file = 'keys/a'\n",
    );
    assert!(load(&main).unwrap_err().render(false).contains("the password cannot be read"));

    write(at, "keys/a", "hunter2\n");
    fs::set_permissions(at.join("keys/a"), fs::Permissions::from_mode(0o640)).unwrap();
    let loaded = load(&main).unwrap();
    assert_eq!(loaded.config.peers["a"].session.password.as_ref().unwrap().expose(), "hunter2");
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);

    fs::set_permissions(at.join("keys/a"), fs::Permissions::from_mode(0o644)).unwrap();
    let warnings = load(&main).unwrap().warnings;
    assert_eq!(warnings.iter().map(|w| w.severity).collect::<Vec<_>>(), [Severity::Warning]);

    for bad in ["", "\n", "two\nlines", &"x".repeat(81)] {
        write(at, "keys/a", bad);
        assert!(load(&main).is_err(), "{bad:?}");
    }
}
