//! 'Did you mean': the nearest of the words that would have been right.

/// The candidate that `word` begins, or else the closest one if it is close enough to be a slip of the finger.
pub(crate) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    if word.len() > 64 {
        return None;
    }
    let plain = |text: &str| text.to_ascii_lowercase().replace('_', "-");
    let word = plain(word);
    let allowed = (word.chars().count() / 3).clamp(1, 4);
    let candidates: Vec<&str> = candidates.into_iter().collect();
    let mut longer = candidates.iter().filter(|candidate| word.len() >= 3 && candidate.starts_with(&word));
    if let (Some(only), None) = (longer.next(), longer.next()) {
        return Some(only);
    }
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `did you mean …?`, or else the words there are, or nothing if there are none.
pub(crate) fn help<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str> + Clone,
    nouns: &str,
) -> Option<String> {
    if let Some(nearest) = nearest(word, candidates.clone()) {
        return Some(format!("did you mean `{nearest}`?"));
    }
    let all: Vec<&str> = candidates.into_iter().collect();
    match all.as_slice() {
        [] => None,
        [..] if all.len() <= 50 => Some(format!("{nouns}: {}", all.join(", "))),
        [..] => None,
    }
}
