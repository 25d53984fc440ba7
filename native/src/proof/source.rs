//! Where the bytes of a column chunk come from: memory, or a file of this machine, of which a piece is here at a time. What was just read and is
//! used at once need not come from memory again, and no memory is asked for that is as large as the chunk.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use super::{Result, refuse};

const PIECE_BYTES: usize = 128 * 1024;

/// A chunk in memory, or where it lies in a file whose position nobody else counts on.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    Lent(&'a [u8]),
    Stored { file: &'a File, start: usize, length: usize },
}

/// The part of a stored chunk that is here.
#[derive(Default)]
pub struct Window {
    held: Vec<u8>,
    from: usize,
    to: usize,
    /// Bytes of the chunk that were brought.
    brought: usize,
}

impl Window {
    /// A new chunk, of which nothing is here.
    pub fn enter(&mut self) {
        (self.from, self.to, self.brought) = (0, 0, 0);
    }

    /// Memory that it takes.
    pub fn bytes(&self) -> usize {
        self.held.capacity()
    }

    pub fn here(&self) -> &[u8] {
        &self.held[self.from..self.to]
    }

    /// So many of the first bytes are not needed any more.
    pub fn take(&mut self, size: usize) {
        self.from = self.to.min(self.from + size);
    }

    /// Brings as much again as is here, and a piece at least; false where there is no more.
    pub fn more(&mut self, source: Source<'_>) -> Result<bool> {
        let Source::Stored { mut file, start, length } = source else { return Ok(false) };
        let size = length.saturating_sub(self.brought).min((self.to - self.from).max(PIECE_BYTES));
        if size == 0 {
            return Ok(false);
        }
        self.held.copy_within(self.from..self.to, 0);
        (self.from, self.to) = (0, self.to - self.from);
        if self.held.len() < self.to + size {
            self.held.resize(self.to + size, 0);
        }
        let place = SeekFrom::Start((start + self.brought) as u64);
        let read = file.seek(place).and_then(|_| file.read_exact(&mut self.held[self.to..self.to + size]));
        if read.is_err() {
            return refuse("its chunks are not there to be read");
        }
        self.to += size;
        self.brought += size;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_chunk_comes_piece_by_piece_and_ends_where_it_ends() {
        let path = std::env::temp_dir().join(format!("compactor-source-{}", std::process::id()));
        let data: Vec<u8> = (0..3 * PIECE_BYTES).map(|i| (i * 7 % 251) as u8).collect();
        std::fs::write(&path, &data).expect("written");
        let file = File::open(&path).expect("opened");
        std::fs::remove_file(&path).expect("removed");
        let (start, length) = (5, 2 * PIECE_BYTES + 100);
        let source = Source::Stored { file: &file, start, length };
        let (mut window, mut found) = (Window::default(), Vec::new());
        window.enter();
        while window.more(source).expect("it is there") {
            let taken = window.here().len().min(PIECE_BYTES - 1000);
            found.extend_from_slice(&window.here()[..taken]);
            window.take(taken);
        }
        found.extend_from_slice(window.here());
        assert!(found == data[start..start + length]);
        window.enter();
        let beyond = Source::Stored { file: &file, start: data.len() - 10, length: 11 };
        assert!(window.more(beyond).is_err());
    }
}
