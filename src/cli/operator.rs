//! Who runs the command.

use std::os::unix::fs::MetadataExt;

/// The user of this process by the system's own list, else as the environment names it, else the number.
pub(super) fn name() -> String {
    let Ok(process) = std::fs::metadata("/proc/self") else {
        return "unknown".to_owned();
    };
    let number = process.uid();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    listed(&users, number)
        // Users of a directory service are not in the file.
        .or_else(|| std::env::var("USER").ok().filter(|name| !name.is_empty()))
        .unwrap_or_else(|| format!("user {number}"))
}

/// The name of a user in the form of `/etc/passwd`.
fn listed(users: &str, number: u32) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, id) = (fields.next()?, fields.next()?, fields.next()?);
        (id.parse() == Ok(number) && !name.is_empty()).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_is_found_by_number() {
        let users =
            "root:x:0:0:root:/root:/bin/bash\n\n:x:7:7::/:\nlin:x:1000:1000:Lin,,,:/home/lin:/bin/bash\n";
        assert_eq!(listed(users, 0).as_deref(), Some("root"));
        assert_eq!(listed(users, 1000).as_deref(), Some("lin"));
        assert_eq!(listed(users, 7), None);
        assert_eq!(listed(users, 100), None);
    }
}
