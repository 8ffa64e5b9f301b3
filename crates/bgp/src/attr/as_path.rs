//! AS_PATH (RFC 4271 section 4.3, RFC 5065 confederation segments) in its four-octet wire form, and the way from and to
//! the two-octet one (RFC 6793).

use std::fmt;

use siskin_net::Asn;
use smallvec::SmallVec;

/// The kind of a path segment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum SegmentKind {
    /// AS_SET.
    Set = 1,
    /// AS_SEQUENCE.
    Sequence = 2,
    /// AS_CONFED_SEQUENCE (RFC 5065).
    ConfedSequence = 3,
    /// AS_CONFED_SET (RFC 5065).
    ConfedSet = 4,
}

/// A well-formed AS path: segments of (kind, count, four-octet numbers), exactly as sent to a four-octet speaker.
/// Every value of this type is well formed; no segment is empty.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct AsPath(SmallVec<[u8; 48]>);

/// Why octets are no AS path (RFC 7606 section 7.2, RFC 7607).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AsPathError {
    /// A segment of a kind that does not exist.
    #[error("unknown segment type")]
    Kind,
    /// A segment of no AS numbers.
    #[error("empty segment")]
    Empty,
    /// The octets end inside a segment.
    #[error("segment overruns the attribute")]
    Truncated,
    /// AS 0, which nobody has.
    #[error("AS 0 in the path")]
    Zero,
}

impl SegmentKind {
    /// The kind of a wire code.
    #[must_use]
    pub const fn from_wire(code: u8) -> Option<SegmentKind> {
        match code {
            1 => Some(SegmentKind::Set),
            2 => Some(SegmentKind::Sequence),
            3 => Some(SegmentKind::ConfedSequence),
            4 => Some(SegmentKind::ConfedSet),
            _ => None,
        }
    }

    /// Whether it stays within a confederation (RFC 5065).
    #[must_use]
    pub const fn is_confederation(self) -> bool {
        matches!(self, SegmentKind::ConfedSequence | SegmentKind::ConfedSet)
    }
}

impl AsPath {
    /// A path of one AS_SEQUENCE (split into segments of 255).
    pub fn from_sequence(asns: impl IntoIterator<Item = Asn>) -> AsPath {
        let mut path = AsPath::default();
        let asns: Vec<Asn> = asns.into_iter().collect();
        for chunk in asns.chunks(255) {
            path.push_segment(SegmentKind::Sequence, chunk);
        }
        path
    }

    /// Appends a segment of at most 255 numbers; an empty one adds nothing.
    pub fn push_segment(&mut self, kind: SegmentKind, asns: &[Asn]) {
        for chunk in asns.chunks(255) {
            self.0.push(kind as u8);
            self.0.push(u8::try_from(chunk.len()).unwrap_or(u8::MAX));
            for asn in chunk {
                self.0.extend_from_slice(&asn.0.to_be_bytes());
            }
        }
    }

    /// Reads the four-octet wire form.
    ///
    /// # Errors
    /// Octets that are no well-formed path.
    pub fn from_wire(octets: &[u8]) -> Result<AsPath, AsPathError> {
        let mut rest = octets;
        while let Some((_, numbers)) = next_segment::<4>(&mut rest)? {
            if numbers.contains(&[0; 4]) {
                return Err(AsPathError::Zero);
            }
        }
        Ok(AsPath(SmallVec::from_slice(octets)))
    }

    /// Reads the two-octet wire form of a speaker that does not know RFC 6793.
    ///
    /// # Errors
    /// Octets that are no well-formed path.
    pub fn from_two_octet_wire(octets: &[u8]) -> Result<AsPath, AsPathError> {
        let mut path = AsPath::default();
        let mut rest = octets;
        while let Some((kind, numbers)) = next_segment::<2>(&mut rest)? {
            if numbers.contains(&[0; 2]) {
                return Err(AsPathError::Zero);
            }
            let asns = numbers.iter().map(|n| Asn(u32::from(u16::from_be_bytes(*n))));
            path.push_segment(kind, &asns.collect::<SmallVec<[Asn; 16]>>());
        }
        Ok(path)
    }

    /// Appends the two-octet wire form, AS_TRANS where a number does not fit; whether there was such a number, so that
    /// AS4_PATH has to go along.
    pub fn put_two_octet_wire(&self, out: &mut Vec<u8>) -> bool {
        let mut lossy = false;
        for (kind, asns) in self.segments() {
            out.push(kind as u8);
            out.push(u8::try_from(asns.clone().count()).unwrap_or(u8::MAX));
            for asn in asns {
                lossy |= asn.0 > u32::from(u16::MAX);
                out.extend_from_slice(&asn.to_two_octets().to_be_bytes());
            }
        }
        lossy
    }

    /// Whether it has a confederation segment.
    #[must_use]
    pub fn has_confederation(&self) -> bool {
        self.segments().any(|(kind, _)| kind.is_confederation())
    }

    /// The path without its confederation segments.
    #[must_use]
    pub fn without_confederation(&self) -> AsPath {
        let mut path = AsPath::default();
        for (kind, asns) in self.segments().filter(|(kind, _)| !kind.is_confederation()) {
            path.push_segment(kind, &asns.collect::<SmallVec<[Asn; 16]>>());
        }
        path
    }

    /// This path, of two-octet numbers, with the four-octet numbers of `as4` at its end: as many leading numbers of this
    /// one as it is longer by, then `as4` (RFC 6793 section 4.2.3). `None`: `as4` is longer, and so means nothing.
    #[must_use]
    pub(crate) fn merged_with(&self, as4: &AsPath) -> Option<AsPath> {
        let mut keep = self.decision_len().checked_sub(as4.decision_len())?;
        let mut front: SmallVec<[(SegmentKind, SmallVec<[Asn; 16]>); 4]> = SmallVec::new();
        for (kind, asns) in self.segments() {
            let taken: SmallVec<[Asn; 16]> = match kind {
                SegmentKind::ConfedSequence | SegmentKind::ConfedSet => asns.collect(),
                _ if keep == 0 => break,
                SegmentKind::Set => {
                    keep = keep.saturating_sub(1);
                    asns.collect()
                }
                SegmentKind::Sequence => {
                    let taken: SmallVec<[Asn; 16]> =
                        asns.take(usize::try_from(keep).unwrap_or(usize::MAX)).collect();
                    keep = keep.saturating_sub(u32::try_from(taken.len()).unwrap_or(u32::MAX));
                    taken
                }
            };
            front.push((kind, taken));
        }
        let mut path = AsPath::default();
        let mut tail =
            as4.segments().map(|(kind, asns)| (kind, asns.collect::<SmallVec<[Asn; 16]>>())).peekable();
        // A sequence cut in two becomes one again, so that the path reads as it was sent.
        if let (Some((SegmentKind::Sequence, last)), Some((SegmentKind::Sequence, first))) =
            (front.last_mut(), tail.peek())
            && last.len().saturating_add(first.len()) <= 255
        {
            last.extend_from_slice(first);
            tail.next();
        }
        for (kind, asns) in front.into_iter().chain(tail) {
            path.push_segment(kind, &asns);
        }
        Some(path)
    }

    /// The four-octet wire form.
    #[must_use]
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// The segments in order.
    pub fn segments(
        &self,
    ) -> impl Iterator<Item = (SegmentKind, impl DoubleEndedIterator<Item = Asn> + Clone + '_)> {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || {
            let (&[kind, count], tail) = rest.split_first_chunk::<2>()?;
            let (numbers, tail) = tail.split_at_checked(usize::from(count) * 4)?;
            rest = tail;
            let asns = numbers.as_chunks::<4>().0.iter().map(|n| Asn(u32::from_be_bytes(*n)));
            Some((SegmentKind::from_wire(kind)?, asns))
        })
    }

    /// Every AS number, in order, sets included.
    pub fn asns(&self) -> impl Iterator<Item = Asn> + '_ {
        self.segments().flat_map(|(_, asns)| asns)
    }

    /// The length for the decision: a set counts one, confederation segments nothing (RFC 4271 9.1.2.2, RFC 5065).
    #[must_use]
    pub fn decision_len(&self) -> u32 {
        self.segments()
            .map(|(kind, asns)| match kind {
                SegmentKind::Sequence => u32::try_from(asns.count()).unwrap_or(u32::MAX),
                SegmentKind::Set => 1,
                SegmentKind::ConfedSequence | SegmentKind::ConfedSet => 0,
            })
            .fold(0, u32::saturating_add)
    }

    /// The neighbouring AS: the first number of a leading AS_SEQUENCE (after confederation segments).
    #[must_use]
    pub fn neighbor_as(&self) -> Option<Asn> {
        let (kind, mut asns) =
            self.segments().find(|(k, _)| matches!(k, SegmentKind::Sequence | SegmentKind::Set))?;
        if kind == SegmentKind::Sequence { asns.next() } else { None }
    }

    /// The origin AS (RFC 6811 section 2): the last number of a final AS_SEQUENCE; `None` after a set, or if empty.
    #[must_use]
    pub fn origin_as(&self) -> Option<Asn> {
        let (kind, mut asns) = self.segments().last()?;
        if kind == SegmentKind::Sequence { asns.next_back() } else { None }
    }

    /// Whether the number stands anywhere in the path.
    #[must_use]
    pub fn contains(&self, asn: Asn) -> bool {
        self.asns().any(|a| a == asn)
    }

    /// How often the number stands in the path.
    #[must_use]
    pub fn count(&self, asn: Asn) -> usize {
        self.asns().filter(|a| *a == asn).count()
    }

    /// Whether the path has no segment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The path with `asn` put before it `times` times, joining a leading AS_SEQUENCE while it has room.
    #[must_use]
    pub fn prepended(&self, asn: Asn, times: usize) -> AsPath {
        let mut front: Vec<Asn> = std::iter::repeat_n(asn, times).collect();
        let mut rest = self.segments().peekable();
        if let Some((SegmentKind::Sequence, asns)) = rest.peek() {
            let asns = asns.clone();
            if times.saturating_add(asns.clone().count()) <= 255 {
                front.extend(asns);
                rest.next();
            }
        }
        let mut path = AsPath::from_sequence(front);
        for (kind, asns) in rest {
            path.push_segment(kind, &asns.collect::<SmallVec<[Asn; 16]>>());
        }
        path
    }
}

/// A segment on the wire: its kind and its `N`-octet numbers.
type Segment<'a, const N: usize> = (SegmentKind, &'a [[u8; N]]);

/// Takes the first segment off `rest`; `None` at its end.
fn next_segment<'a, const N: usize>(rest: &mut &'a [u8]) -> Result<Option<Segment<'a, N>>, AsPathError> {
    if rest.is_empty() {
        return Ok(None);
    }
    let (&[kind, count], tail) = rest.split_first_chunk::<2>().ok_or(AsPathError::Truncated)?;
    let kind = SegmentKind::from_wire(kind).ok_or(AsPathError::Kind)?;
    if count == 0 {
        return Err(AsPathError::Empty);
    }
    let length = usize::from(count).saturating_mul(N);
    let (numbers, tail) = tail.split_at_checked(length).ok_or(AsPathError::Truncated)?;
    *rest = tail;
    Ok(Some((kind, numbers.as_chunks::<N>().0)))
}

impl fmt::Display for AsPath {
    /// `64500 64501 {64502 64503}`; confederation segments in `()` and `[]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (kind, asns)) in self.segments().enumerate() {
            let (open, close) = match kind {
                SegmentKind::Sequence => ("", ""),
                SegmentKind::Set => ("{", "}"),
                SegmentKind::ConfedSequence => ("(", ")"),
                SegmentKind::ConfedSet => ("[", "]"),
            };
            if i > 0 {
                f.write_str(" ")?;
            }
            f.write_str(open)?;
            for (j, asn) in asns.enumerate() {
                if j > 0 {
                    f.write_str(" ")?;
                }
                write!(f, "{asn}")?;
            }
            f.write_str(close)?;
        }
        Ok(())
    }
}

impl fmt::Debug for AsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
