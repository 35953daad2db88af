//! Secrets: `${NAME}` in place of a text stands for what the environment says.

/// The name in `${NAME}`; `None` for text that is no secret.
///
/// # Errors
/// Text that has `${` in it but is not wholly one name of capital letters, digits and `_`.
pub(crate) fn name(text: &str) -> Result<Option<&str>, ()> {
    if !text.contains("${") {
        return Ok(None);
    }
    let name = text
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'))
        .ok_or(())?;
    let good = name.starts_with(|c: char| c.is_ascii_uppercase())
        && name
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    if good { Ok(Some(name)) } else { Err(()) }
}

/// The secret of this name: what the variable `NAME` holds, else the content of the file that `NAME_FILE` names, without
/// its last line break; `None` if it is not set.
pub(crate) fn look_up(name: &str, lookup: impl Fn(&str) -> Option<String>) -> Option<String> {
    lookup(name).or_else(|| {
        let file = lookup(&format!("{name}_FILE"))?;
        let secret = std::fs::read_to_string(file).ok()?;
        Some(secret.trim_end_matches(['\r', '\n']).to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_is_read_from_the_variable_else_from_the_named_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "from the file\n").unwrap();
        let lookup = |name: &str| match name {
            "USER" => Some("plain".to_owned()),
            "PASSWORD_FILE" => Some(file.to_str().unwrap().to_owned()),
            _ => None,
        };
        assert_eq!(look_up("USER", lookup).as_deref(), Some("plain"));
        assert_eq!(look_up("PASSWORD", lookup).as_deref(), Some("from the file"));
        assert_eq!(look_up("OTHER", lookup), None);
    }

    #[test]
    fn a_secret_is_a_whole_value() {
        assert_eq!(name("plain"), Ok(None));
        assert_eq!(name("${USER_2}"), Ok(Some("USER_2")));
        for bad in ["x${USER}", "${USER}x", "${user}", "${}", "${"] {
            assert_eq!(name(bad), Err(()), "{bad}");
        }
    }
}
