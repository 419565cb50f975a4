//! Which of several names was probably meant.

/// The name with the same letters and digits, or the nearest by edits if at most a third of it differs.
pub(super) fn likely_of<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let wanted = bare(name);
    let (distance, nearest) =
        names.map(|known| (strsim::osa_distance(&wanted, &bare(known)), known)).min_by_key(|(distance, _)| *distance)?;
    (distance * 3 <= wanted.chars().count()).then_some(nearest)
}

/// Letters and digits, in lower case.
pub(super) fn bare(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}
