//! Bytes that are partly new and partly those of sources, which are not copied until somebody asks for them.

/// Some bytes of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    pub source: usize,
    pub start: usize,
    pub length: usize,
}

#[derive(Clone, Copy)]
enum Span {
    Fresh { start: usize },
    Kept { source: usize, start: usize },
}

#[derive(Default)]
pub struct Rope {
    fresh: Vec<u8>,
    /// Each with the offset at which it ends.
    spans: Vec<(Span, usize)>,
    /// How many spans were there when a part was begun whose head comes when it is made.
    begun: usize,
}

impl Rope {
    pub fn len(&self) -> usize {
        self.spans.last().map_or(0, |(_, end)| *end)
    }

    /// Begins a part that will have something ahead of it.
    pub fn begin(&mut self) {
        self.begun = self.spans.len();
    }

    /// How long the part is that was begun.
    pub fn part_len(&self) -> usize {
        self.len() - self.part_start()
    }

    fn part_start(&self) -> usize {
        if self.begun == 0 { 0 } else { self.spans[self.begun - 1].1 }
    }

    /// Adds bytes ahead of the part that was begun, which is not moved for it.
    pub fn push_ahead(&mut self, bytes: &[u8]) {
        let (start, end) = (self.fresh.len(), self.part_start() + bytes.len());
        self.fresh.extend_from_slice(bytes);
        self.spans[self.begun..].iter_mut().for_each(|(_, end)| *end += bytes.len());
        self.spans.insert(self.begun, (Span::Fresh { start }, end));
        self.begin();
    }

    pub fn push(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let (start, end) = (self.fresh.len(), self.len() + bytes.len());
        self.fresh.extend_from_slice(bytes);
        match self.spans[self.begun..].last_mut() {
            Some((Span::Fresh { .. }, until)) => *until = end,
            _ => self.spans.push((Span::Fresh { start }, end)),
        }
    }

    pub fn keep(&mut self, kept: Kept) {
        if kept.length > 0 {
            self.spans.push((Span::Kept { source: kept.source, start: kept.start }, self.len() + kept.length));
        }
    }

    /// Fills `out` with the bytes from `start` on. None when there are not as many, or a source has not those that were kept of it.
    pub fn copy<'a>(&self, start: usize, out: &mut [u8], source: impl Fn(usize) -> Option<&'a [u8]>) -> Option<()> {
        let mut at = self.spans.partition_point(|(_, end)| *end <= start);
        let mut done = 0;
        while done < out.len() {
            let (span, end) = self.spans.get(at)?;
            let begin = if at == 0 { 0 } else { self.spans[at - 1].1 };
            let (skipped, length) = (start + done - begin, (end - start - done).min(out.len() - done));
            let bytes = match *span {
                Span::Fresh { start } => self.fresh.get(start + skipped..)?.get(..length)?,
                Span::Kept { source: number, start } => source(number)?.get(start + skipped..)?.get(..length)?,
            };
            out[done..done + length].copy_from_slice(bytes);
            done += length;
            at += 1;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_range_is_that_of_the_bytes_in_a_row() {
        let sources: [&[u8]; 2] = [b"abcdefgh", b"XYZ"];
        let mut rope = Rope::default();
        rope.push(b"0");
        rope.begin();
        rope.push(b"1");
        rope.push(b"2");
        rope.keep(Kept { source: 0, start: 2, length: 3 });
        rope.keep(Kept { source: 1, start: 1, length: 2 });
        rope.keep(Kept { source: 1, start: 0, length: 0 });
        rope.push(b"");
        rope.push(b"9");
        assert_eq!((rope.part_len(), rope.len()), (8, 9));
        rope.push_ahead(b"abc");
        rope.begin();
        rope.push(b"4");
        rope.push_ahead(b"3");
        rope.push(b"5");
        let all = b"0abc12cdeYZ9345";
        assert_eq!(rope.len(), all.len());
        for start in 0..=all.len() {
            for end in start..=all.len() {
                let mut out = vec![0; end - start];
                rope.copy(start, &mut out, |i| sources.get(i).copied()).expect("is there");
                assert_eq!(out, all[start..end]);
            }
        }
    }

    #[test]
    fn what_is_not_there_is_not_made_up() {
        let mut rope = Rope::default();
        rope.keep(Kept { source: 0, start: 2, length: 3 });
        let mut out = [0; 3];
        assert!(rope.copy(0, &mut out, |_| Some(&b"abcd"[..])).is_none());
        assert!(rope.copy(0, &mut out, |_| None).is_none());
        assert!(rope.copy(1, &mut out, |_| Some(&b"abcdef"[..])).is_none());
    }
}
