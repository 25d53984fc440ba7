//! A column chunk, read along with the rows that its values belong to.

use crate::lanes::{Lanes, Rows, add_spread};

use super::codec::decompress;
use super::footer::Chunk;
use super::levels::{Numbers, unpack};
use super::nested::Nest;
use super::pages::{Kind, Page, next_page};
use super::schema::Leaf;
use super::shape::Shape;
use super::source::{Source, Window};
use super::values::{BLOCK, Values};
use super::{Result, refuse};

const PLAIN_DICTIONARY: i32 = 2;
const RLE: i32 = 3;
const RLE_DICTIONARY: i32 = 8;
const MOST_ENTRIES: usize = 16 << 20;

/// Room that columns are read in, one after the other.
pub struct Room {
    window: Window,
    page: Vec<u8>,
    dictionary: Vec<u8>,
    values: Values,
    pub definitions: Vec<u8>,
    pub repetitions: Vec<u8>,
    pub lanes: Lanes,
    pub nest: Nest,
}

impl Room {
    pub fn new() -> Self {
        let lanes = Lanes::zeros(BLOCK);
        Self {
            window: Window::default(),
            page: Vec::new(),
            dictionary: Vec::new(),
            values: Values::new(),
            definitions: Vec::new(),
            repetitions: Vec::new(),
            lanes,
            nest: Nest::default(),
        }
    }

    /// Memory that it holds.
    pub fn bytes(&self) -> usize {
        self.window.bytes()
            + self.page.capacity()
            + self.dictionary.capacity()
            + self.values.bytes()
            + self.definitions.capacity()
            + self.repetitions.capacity()
            + 16 * self.lanes.len()
    }
}

/// How far a column chunk was read.
pub struct Cursor<'a> {
    leaf: &'a Leaf,
    codec: i32,
    source: Source<'a>,
    /// Bytes of a lent chunk that were read.
    taken: usize,
    entries_left: usize,
    most_bytes: usize,
    body: Body,
    dictionary: Body,
    shapes: Vec<Shape>,
    /// Of the page at hand: entries, how many of them were taken, and their levels.
    pub entries: usize,
    pub at: usize,
    pub definitions: Numbers,
    pub repetitions: Numbers,
}

/// The values of a page, from a byte to another: of the chunk, which is lent, or of a room.
#[derive(Clone, Copy)]
enum Body {
    Lent(usize, usize),
    Kept(usize, usize),
}

impl Body {
    fn of<'a>(self, source: Source<'a>, room: &'a [u8]) -> &'a [u8] {
        match (self, source) {
            (Self::Lent(from, to), Source::Lent(data)) => &data[from..to],
            (Self::Lent(..), Source::Stored { .. }) => &[],
            (Self::Kept(from, to), _) => &room[from..to],
        }
    }
}

impl<'a> Cursor<'a> {
    /// `source`: the bytes of the chunk. Pages of more than `most_bytes` are refused.
    pub fn new(leaf: &'a Leaf, chunk: &Chunk, source: Source<'a>, most_bytes: usize, room: &mut Room) -> Result<Self> {
        if chunk.physical != leaf.physical {
            return refuse("a column chunk has another type than its column");
        }
        room.window.enter();
        room.values.clear();
        room.nest.begin(leaf);
        Ok(Self {
            leaf,
            codec: chunk.codec,
            source,
            taken: 0,
            entries_left: chunk.values,
            most_bytes,
            body: Body::Kept(0, 0),
            dictionary: Body::Kept(0, 0),
            shapes: leaf.groups.iter().map(|group| Shape::new(*group)).collect(),
            entries: 0,
            at: 0,
            definitions: Numbers::Same(0),
            repetitions: Numbers::Same(0),
        })
    }

    /// Adds the next values, or lists of them, one a row.
    pub fn add(&mut self, mut rows: Rows<'_>, room: &mut Room) -> Result<()> {
        if self.leaf.repetition > 0 {
            return super::nested::add(self, self.leaf, rows, room);
        }
        let mut done = 0;
        while done < rows.len() {
            if !self.ready(room)? {
                return refuse("a column has fewer rows than its row group");
            }
            let count = (self.entries - self.at).min(rows.len() - done).min(BLOCK);
            self.add_flat(rows.part(done, done + count), room)?;
            (done, self.at) = (done + count, self.at + count);
        }
        Ok(())
    }

    /// All has been added: nothing may be left. What the column tells of the groups above it.
    pub fn end(&mut self, room: &mut Room) -> Result<impl Iterator<Item = (usize, u64)>> {
        if self.ready(room)? || room.values.left() > 0 {
            return refuse("a column has more rows than its row group");
        }
        self.learn(room, false)?;
        Ok(self.shapes.iter().map(Shape::told))
    }

    fn add_flat(&mut self, mut rows: Rows<'_>, room: &mut Room) -> Result<()> {
        let (count, leaf) = (rows.len(), self.leaf);
        let Numbers::Each = self.definitions else {
            let Numbers::Same(level) = self.definitions else { return Ok(()) };
            rows.add_everywhere(leaf.count(0, 0, level as u8));
            return if level == u32::from(leaf.definition) { self.add_values(rows, room) } else { Ok(()) };
        };
        let levels = std::mem::take(&mut room.definitions);
        let found = self.add_defined(rows.part(0, count), &levels[self.at..self.at + count], room);
        room.definitions = levels;
        found
    }

    fn add_defined(&mut self, mut rows: Rows<'_>, levels: &[u8], room: &mut Room) -> Result<()> {
        let (leaf, count) = (self.leaf, rows.len());
        let defined = count_of(levels, leaf.definition);
        if (0..=leaf.definition).any(|level| leaf.count(0, 0, level) != [0, 0]) {
            for (row, level) in levels.iter().enumerate() {
                rows.add_pair(row, leaf.count(0, 0, *level));
            }
        }
        if defined == count {
            return self.add_values(rows, room);
        }
        if defined == 0 || leaf.key.is_none() {
            return Ok(());
        }
        self.gather(defined, room)?;
        add_spread(rows, &room.lanes, levels, leaf.definition);
        Ok(())
    }

    /// What the next values are worth, into the room's lanes: at most a block of them.
    pub fn gather(&mut self, count: usize, room: &mut Room) -> Result<()> {
        let mut lanes = std::mem::replace(&mut room.lanes, Lanes::zeros(0));
        lanes.rows(0, count).clear();
        let found = self.add_values(lanes.rows(0, count), room);
        room.lanes = lanes;
        found
    }

    fn add_values(&mut self, rows: Rows<'_>, room: &mut Room) -> Result<()> {
        let Some(key) = &self.leaf.key else { return Ok(()) };
        let body =
            if room.values.counted() { self.dictionary.of(self.source, &room.dictionary) } else { self.body.of(self.source, &room.page) };
        room.values.add(self.leaf.form, key, body, rows)
    }

    /// Whether there is an entry more; turns the page where that is needed.
    pub fn ready(&mut self, room: &mut Room) -> Result<bool> {
        while self.at == self.entries {
            if self.entries_left == 0 {
                return Ok(false);
            }
            if room.values.left() > 0 {
                return refuse("a page has more values than its levels say");
            }
            match self.source {
                Source::Lent(data) => {
                    let (page, rest) = next_page(&data[self.taken..], self.most_bytes)?;
                    self.taken = data.len() - rest.len();
                    self.turn(&page, room)?;
                }
                Source::Stored { .. } => {
                    let mut window = std::mem::take(&mut room.window);
                    let turned = self.turn_stored(&mut window, room);
                    room.window = window;
                    turned?;
                }
            }
        }
        Ok(true)
    }

    fn turn_stored(&mut self, window: &mut Window, room: &mut Room) -> Result<()> {
        loop {
            let refusal = match next_page(window.here(), self.most_bytes) {
                Ok((page, rest)) => {
                    let used = window.here().len() - rest.len();
                    self.turn(&page, room)?;
                    window.take(used);
                    return Ok(());
                }
                Err(refusal) => refusal,
            };
            if !window.more(self.source)? {
                return Err(refusal);
            }
        }
    }

    fn turn(&mut self, page: &Page<'_>, room: &mut Room) -> Result<()> {
        match page.kind {
            Kind::Other => return Ok(()),
            Kind::Dictionary { encoding } => {
                self.learn(room, false)?;
                if self.leaf.key.is_none() {
                    return Ok(());
                }
                self.dictionary = self.open(page.body, page.size, &mut room.dictionary)?;
                let data = self.dictionary.of(self.source, &room.dictionary);
                return room.values.meet(self.leaf.form, data, (page.values, encoding));
            }
            Kind::Data { .. } | Kind::DataV2 { .. } => {}
        }
        if page.values > self.entries_left || page.values > MOST_ENTRIES {
            return refuse("a page has more values than its column");
        }
        (self.entries, self.at) = (page.values, 0);
        self.entries_left -= page.values;
        let encoding = match page.kind {
            Kind::Data { encoding, definitions, repetitions } => {
                self.open_v1(page, [repetitions, definitions], room)?;
                encoding
            }
            Kind::DataV2 { encoding, definition_bytes, repetition_bytes, compressed } => {
                self.open_v2(page, [repetition_bytes, definition_bytes], compressed, room)?;
                encoding
            }
            Kind::Dictionary { .. } | Kind::Other => return Ok(()),
        };
        for shape in &mut self.shapes {
            shape.add(self.repetitions, self.definitions, (&room.repetitions, &room.definitions), self.entries);
        }
        if self.leaf.key.is_none() {
            return Ok(());
        }
        let defined = match self.definitions {
            Numbers::Same(level) if level == u32::from(self.leaf.definition) => self.entries,
            Numbers::Same(_) => 0,
            Numbers::Each => count_of(&room.definitions, self.leaf.definition),
        };
        let body = self.body.of(self.source, &room.page);
        if matches!(encoding, PLAIN_DICTIONARY | RLE_DICTIONARY) {
            if room.values.goes_on(body, defined) {
                return Ok(());
            }
            self.learn(room, true)?;
        }
        let body = self.body.of(self.source, &room.page);
        room.values.turn(self.leaf.form, encoding, body, defined, self.most_bytes)
    }

    /// What the dictionary's values are worth, all of which are looked at once at least. `again`: also where all were taken.
    fn learn(&self, room: &mut Room, again: bool) -> Result<()> {
        let Some(key) = &self.leaf.key else { return Ok(()) };
        room.values.learn(self.leaf.form, key, self.dictionary.of(self.source, &room.dictionary), &mut room.lanes, again)
    }

    /// The end of a page, decompressed into the room where it is compressed; where it stays it is lent.
    fn open(&self, body: &[u8], size: usize, room: &mut Vec<u8>) -> Result<Body> {
        if self.codec == 0 {
            return if body.len() == size { Ok(self.keep(body, room)) } else { refuse("a page has another size than its header says") };
        }
        decompress(self.codec, body, size, room)?;
        Ok(Body::Kept(0, size))
    }

    /// The end of a page as it is, copied only where the chunk does not stay.
    fn keep(&self, body: &[u8], room: &mut Vec<u8>) -> Body {
        if let Source::Lent(_) = self.source {
            return Body::Lent(self.taken - body.len(), self.taken);
        }
        if room.len() < body.len() {
            room.resize(body.len(), 0);
        }
        room[..body.len()].copy_from_slice(body);
        Body::Kept(0, body.len())
    }

    /// Levels stand before the values, each kind behind its length, and are compressed with them.
    fn open_v1(&mut self, page: &Page<'_>, encodings: [i32; 2], room: &mut Room) -> Result<()> {
        let opened = self.open(page.body, page.size, &mut room.page)?;
        let mut rest = opened.of(self.source, &room.page);
        let most = [self.leaf.repetition, self.leaf.definition];
        let mut found = [Numbers::Same(0); 2];
        for (i, levels) in [&mut room.repetitions, &mut room.definitions].into_iter().enumerate() {
            if most[i] == 0 {
                continue;
            }
            if encodings[i] != RLE {
                return refuse("levels in an encoding of old");
            }
            let Some((head, behind)) = rest.split_at_checked(4) else { return refuse("levels go beyond their page") };
            let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
            let Some((stored, behind)) = behind.split_at_checked(length) else { return refuse("levels go beyond their page") };
            found[i] = unpack(stored, bits_of(most[i]), page.values, u32::from(most[i]), levels)?;
            rest = behind;
        }
        self.body = match opened {
            Body::Lent(_, to) => Body::Lent(to - rest.len(), to),
            Body::Kept(_, to) => Body::Kept(to - rest.len(), to),
        };
        [self.repetitions, self.definitions] = found;
        Ok(())
    }

    /// Levels stand before the values, as they are.
    fn open_v2(&mut self, page: &Page<'_>, sizes: [usize; 2], compressed: bool, room: &mut Room) -> Result<()> {
        let Some((repetitions, behind)) = page.body.split_at_checked(sizes[0]) else { return refuse("levels go beyond their page") };
        let Some((definitions, body)) = behind.split_at_checked(sizes[1]) else { return refuse("levels go beyond their page") };
        let most = [self.leaf.repetition, self.leaf.definition];
        self.repetitions = levels_of(repetitions, most[0], page.values, &mut room.repetitions)?;
        self.definitions = levels_of(definitions, most[1], page.values, &mut room.definitions)?;
        let Some(size) = page.size.checked_sub(sizes[0] + sizes[1]) else { return refuse("levels go beyond their page") };
        self.body = if compressed && size > 0 { self.open(body, size, &mut room.page)? } else { self.keep(body, &mut room.page) };
        Ok(())
    }
}

fn levels_of(stored: &[u8], most: u8, count: usize, out: &mut Vec<u8>) -> Result<Numbers> {
    if most == 0 { Ok(Numbers::Same(0)) } else { unpack(stored, bits_of(most), count, u32::from(most), out) }
}

fn bits_of(most: u8) -> usize {
    (8 - most.leading_zeros()) as usize
}

/// How many of these levels are the wanted one.
pub fn count_of(levels: &[u8], wanted: u8) -> usize {
    levels.chunks(255).map(|some| usize::from(some.iter().map(|level| u8::from(*level == wanted)).sum::<u8>())).sum()
}
