//! "Did you mean": the known word nearest to what was written.

/// Octets of what may be a slip; to compare longer ones takes long.
const MAX_WRITTEN: usize = 64;

/// The nearest of `known`, if it is near enough to be meant. Case and dashes do not count: knockd
/// writes `Seq_Timeout`.
pub(crate) fn nearest<'k>(written: &str, known: &[&'k str]) -> Option<&'k str> {
    if written.len() > MAX_WRITTEN {
        return None;
    }
    let written = written.to_lowercase().replace('-', "_");
    let allowed = (written.chars().count() / 3).max(1);
    known
        .iter()
        .inspect(|_| super::work::note())
        .map(|&word| (strsim::damerau_levenshtein(&written, &word.to_lowercase()), word))
        .filter(|&(distance, word)| distance <= allowed || (written.len() > 3 && word.contains(&written)))
        .min()
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_and_knockd_spellings_are_recognized() {
        let known = ["sequence", "seq_timeout", "cmd_timeout", "tcpflags"];
        assert_eq!(nearest("sequnce", &known), Some("sequence"));
        assert_eq!(nearest("Seq_Timeout", &known), Some("seq_timeout"));
        assert_eq!(nearest("cmd-timeout", &known), Some("cmd_timeout"));
        assert_eq!(nearest("flags", &known), Some("tcpflags"));
        assert_eq!(nearest("colour", &known), None);
        assert_eq!(nearest("", &known), None);
        assert_eq!(nearest(&"sequence".repeat(1000), &known), None);
    }
}
