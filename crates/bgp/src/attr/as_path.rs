//! AS_PATH (RFC 4271 section 4.3, RFC 5065 confederation segments) in its four-octet wire form.

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
            if times + asns.clone().count() <= 255 {
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
