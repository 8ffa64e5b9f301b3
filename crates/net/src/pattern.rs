//! Patterns over names of one part: interface names, names of files.

use serde::Serialize;

/// A pattern over interface names: `swp*`, `eth?`, or a plain name. `*` stands for any run of characters, `?` for one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct NamePattern(String);

impl NamePattern {
    /// The pattern of this text; every text is one.
    #[must_use]
    pub fn new(text: impl Into<String>) -> NamePattern {
        NamePattern(text.into())
    }

    /// Whether a text has pattern characters at all.
    #[must_use]
    pub fn is_pattern(text: &str) -> bool {
        text.contains(['*', '?'])
    }

    /// Whether `name` matches, in time linear in the product of both lengths at worst.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let pattern: Vec<char> = self.0.chars().collect();
        let name: Vec<char> = name.chars().collect();
        let (mut p, mut n) = (0, 0);
        let mut retry: Option<(usize, usize)> = None;
        while n < name.len() {
            match (pattern.get(p), name.get(n)) {
                (Some('*'), _) => {
                    retry = Some((p + 1, n));
                    p += 1;
                }
                (Some(a), Some(b)) if *a == '?' || a == b => {
                    p += 1;
                    n += 1;
                }
                _ => match retry {
                    Some((after_star, from)) => {
                        retry = Some((after_star, from + 1));
                        p = after_star;
                        n = from + 1;
                    }
                    None => return false,
                },
            }
        }
        pattern.iter().skip(p).all(|c| *c == '*')
    }

    /// The pattern as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How many characters it fixes: of two patterns that match a name, the one with more says more about it.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.0.chars().filter(|c| !matches!(c, '*' | '?')).count()
    }
}
