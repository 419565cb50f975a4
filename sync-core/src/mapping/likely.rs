//! Which of several names was probably meant.

/// Letters and digits up to which edits are counted; that takes time by the square.
const LONG: usize = 256;

/// The name with the same letters and digits, or the nearest by edits if at most a third of it differs.
pub(super) fn likely_of<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let wanted = bare(name);
    let length = wanted.chars().count();
    // Names of very different lengths are at least as far apart; whole paragraphs are alike only when they are the same.
    let near = |known: &str| known.chars().count().abs_diff(length) * 3 <= length && (length <= LONG || *known == *wanted);
    let known = names.map(|known| (bare(known), known)).filter(|(bare, _)| near(bare));
    let (distance, nearest) =
        known.map(|(bare, known)| (strsim::osa_distance(&wanted, &bare), known)).min_by_key(|(distance, _)| *distance)?;
    (distance * 3 <= length).then_some(nearest)
}

/// Letters and digits, in lower case.
pub(super) fn bare(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}
