//! A stranger's text in our sentences: bounded, and told apart from our own words.

/// The most characters of one foreign text that a sentence repeats. IAM names have at most 128, ARNs can be longer.
const MAX_CHARS: usize = 160;

/// The text, cut where it is too long for a sentence. Escaping is up to where it is shown.
pub(crate) fn clip(text: &str) -> String {
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Joins the first few texts with commas and says how many are left.
pub(crate) fn list<'t>(texts: impl IntoIterator<Item = &'t str>) -> String {
    const SHOWN: usize = 5;
    let mut texts = texts.into_iter();
    let shown: Vec<String> = texts.by_ref().take(SHOWN).map(clip).collect();
    match texts.count() {
        0 => shown.join(", "),
        left => format!("{} and {left} more", shown.join(", ")),
    }
}

/// The last part of a path or ARN.
pub(crate) fn last_part(path: &str) -> &str {
    path.rsplit_once(['/', ':']).map_or(path, |(_, last)| last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let long = "é".repeat(1000);
        assert_eq!(clip(&long).chars().count(), MAX_CHARS + 1);
        assert_eq!(clip("bob"), "bob");
    }

    #[test]
    fn a_list_shows_the_first_and_counts_the_rest() {
        assert_eq!(list(["a", "b"]), "a, b");
        assert_eq!(list(["a", "b", "c", "d", "e", "f", "g"]), "a, b, c, d, e and 2 more");
    }

    #[test]
    fn the_last_part_of_an_arn_is_the_name() {
        assert_eq!(last_part("arn:aws:iam::aws:policy/job-function/Billing"), "Billing");
        assert_eq!(last_part("arn:aws:iam::111122223333:root"), "root");
        assert_eq!(last_part("plain"), "plain");
    }
}
