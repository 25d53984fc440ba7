//! Thrift's compact protocol, as far as Parquet's structures need it. What is read is hostile: lengths are held against what is left,
//! depth is bounded, and nothing is allocated by a claim.

use super::Refusal;

type Result<T> = std::result::Result<T, Refusal>;

const MOST_DEPTH: u32 = 32;
/// Room for more elements of a list is made as they come: nothing large is allocated by a claim.
const MOST_EXPECTED: usize = 64;

/// Types of fields and elements.
pub mod kind {
    pub const TRUE: u8 = 1;
    pub const FALSE: u8 = 2;
    pub const BYTE: u8 = 3;
    pub const I16: u8 = 4;
    pub const I32: u8 = 5;
    pub const I64: u8 = 6;
    pub const DOUBLE: u8 = 7;
    pub const BINARY: u8 = 8;
    pub const LIST: u8 = 9;
    pub const SET: u8 = 10;
    pub const MAP: u8 = 11;
    pub const STRUCT: u8 = 12;
}

#[cold]
fn broken(what: &str) -> Refusal {
    Refusal::new(format!("Thrift: {what}"))
}

/// A field of a struct: its id and type. The value of a boolean is its type.
#[derive(Clone, Copy)]
pub struct Field {
    pub id: i16,
    pub kind: u8,
}

impl Field {
    /// The value of a boolean field.
    pub fn truth(self) -> Result<bool> {
        match self.kind {
            kind::TRUE => Ok(true),
            kind::FALSE => Ok(false),
            _ => Err(broken("a boolean of another type")),
        }
    }

    pub fn is_struct(self) -> Result<()> {
        if self.kind == kind::STRUCT { Ok(()) } else { Err(broken("a struct of another type")) }
    }
}

/// Reads from a slice; `at` is how far.
pub struct Reader<'a> {
    data: &'a [u8],
    pub at: usize,
    depth: u32,
}

impl<'a> Reader<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0, depth: 0 }
    }

    fn byte(&mut self) -> Result<u8> {
        let byte = *self.data.get(self.at).ok_or_else(|| broken("it ends early"))?;
        self.at += 1;
        Ok(byte)
    }

    #[inline]
    pub fn varint(&mut self) -> Result<u64> {
        match self.data.get(self.at) {
            Some(byte) if *byte < 0x80 => {
                self.at += 1;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64> {
        if let [low, high @ 0..0x80, ..] = self.data[self.at..] {
            self.at += 2;
            return Ok(u64::from(low & 0x7f) | u64::from(high) << 7);
        }
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(broken("a number is too long"))
    }

    fn zigzag(&mut self) -> Result<i64> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    fn integer(&mut self, field: Field, of: u8) -> Result<i64> {
        if field.kind == of { self.zigzag() } else { Err(broken("an integer of another type")) }
    }

    pub fn int8(&mut self, field: Field) -> Result<i32> {
        if field.kind == kind::BYTE { Ok(i32::from(self.byte()? as i8)) } else { Err(broken("an integer of another type")) }
    }

    pub fn int32(&mut self, field: Field) -> Result<i32> {
        i32::try_from(self.integer(field, kind::I32)?).map_err(|_| broken("a number is too large"))
    }

    /// A 32-bit integer that counts or measures something.
    pub fn size32(&mut self, field: Field) -> Result<usize> {
        usize::try_from(self.int32(field)?).map_err(|_| broken("a negative size"))
    }

    /// A 64-bit integer that counts or measures something.
    pub fn size64(&mut self, field: Field) -> Result<usize> {
        usize::try_from(self.integer(field, kind::I64)?).map_err(|_| broken("a negative size"))
    }

    pub fn binary(&mut self, field: Field) -> Result<&'a [u8]> {
        if field.kind != kind::BINARY {
            return Err(broken("bytes of another type"));
        }
        self.bytes()
    }

    fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = usize::try_from(self.varint()?).map_err(|_| broken("bytes are too long"))?;
        if length > self.data.len() - self.at {
            return Err(broken("bytes go beyond the end"));
        }
        let found = &self.data[self.at..self.at + length];
        self.at += length;
        Ok(found)
    }

    /// Calls `each` for every field of a struct; it reads the value and answers true, or false to have it passed over.
    pub fn fields(&mut self, each: impl FnMut(&mut Self, Field) -> Result<bool>) -> Result<()> {
        self.fields_behind(0, each)
    }

    /// `fields` of a struct that was read as far as behind the field with this id; 0: not at all.
    pub fn fields_behind(&mut self, mut id: i16, mut each: impl FnMut(&mut Self, Field) -> Result<bool>) -> Result<()> {
        self.enter()?;
        loop {
            let head = self.byte()?;
            if head == 0 {
                break;
            }
            let delta = i16::from(head >> 4);
            id = if delta == 0 {
                i16::try_from(self.zigzag()?).map_err(|_| broken("a field's number is too large"))?
            } else {
                id.checked_add(delta).ok_or_else(|| broken("a field's number is too large"))?
            };
            let field = Field { id, kind: head & 0x0f };
            if !each(self, field)? {
                self.pass_over(field.kind, false)?;
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// `fields` of a field that is a struct.
    pub fn nested(&mut self, field: Field, each: impl FnMut(&mut Self, Field) -> Result<bool>) -> Result<()> {
        field.is_struct()?;
        self.fields(each)
    }

    /// The type and number of elements of a list; each takes at least a byte.
    pub fn list(&mut self, field: Field) -> Result<(u8, usize)> {
        if field.kind != kind::LIST {
            return Err(broken("a list of another type"));
        }
        self.list_head()
    }

    fn list_head(&mut self) -> Result<(u8, usize)> {
        let head = self.byte()?;
        let count = match head >> 4 {
            15 => usize::try_from(self.varint()?).map_err(|_| broken("a list is too long"))?,
            few => usize::from(few),
        };
        if count > self.data.len() - self.at {
            return Err(broken("a list goes beyond the end"));
        }
        Ok((head & 0x0f, count))
    }

    /// Whether what is left begins with these bytes, which then are passed over; with none it does not.
    pub fn pass(&mut self, known: &[u8]) -> bool {
        let same = !known.is_empty() && self.data[self.at..].starts_with(known);
        self.at += if same { known.len() } else { 0 };
        same
    }

    /// What was read since it was at `start`.
    pub fn since(&self, start: usize) -> &'a [u8] {
        &self.data[start..self.at]
    }

    /// The elements of a list of structs, each read by `each`.
    pub fn structs<T>(&mut self, field: Field, mut each: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let (element, count) = self.list(field)?;
        if element != kind::STRUCT {
            return Err(broken("a list of other things than structs"));
        }
        let mut found = Vec::with_capacity(count.min(MOST_EXPECTED));
        for _ in 0..count {
            found.push(each(self)?);
        }
        Ok(found)
    }

    fn enter(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > MOST_DEPTH { Err(broken("it is nested too deeply")) } else { Ok(()) }
    }

    /// `skip`, which is not called for integers: most of what is passed over are these.
    #[inline]
    fn pass_over(&mut self, of: u8, in_list: bool) -> Result<()> {
        if matches!(of, kind::I16 | kind::I32 | kind::I64) { self.varint().map(drop) } else { self.skip(of, in_list) }
    }

    /// `in_list`: booleans of lists take a byte each.
    pub fn skip(&mut self, of: u8, in_list: bool) -> Result<()> {
        match of {
            kind::TRUE | kind::FALSE if !in_list => {}
            kind::TRUE | kind::FALSE | kind::BYTE => {
                self.byte()?;
            }
            kind::I16 | kind::I32 | kind::I64 => return self.varint().map(drop),
            kind::DOUBLE => {
                for _ in 0..8 {
                    self.byte()?;
                }
            }
            kind::BINARY => return self.bytes().map(|_| ()),
            kind::LIST | kind::SET => {
                self.enter()?;
                let (element, count) = self.list_head()?;
                for _ in 0..count {
                    self.pass_over(element, true)?;
                }
                self.depth -= 1;
            }
            kind::MAP => {
                self.enter()?;
                let count = self.varint()?;
                if count > 0 {
                    let kinds = self.byte()?;
                    for _ in 0..count {
                        self.skip(kinds >> 4, true)?;
                        self.skip(kinds & 0x0f, true)?;
                    }
                }
                self.depth -= 1;
            }
            kind::STRUCT => self.fields(|_, _| Ok(false))?,
            _ => return Err(broken("a type that there is not")),
        }
        Ok(())
    }
}

pub fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Writes structs; fields must come in the order of their numbers.
#[derive(Default)]
pub struct Writer {
    pub out: Vec<u8>,
    last: Vec<i16>,
}

impl Writer {
    fn varint(&mut self, value: u64) {
        write_varint(value, &mut self.out);
    }

    fn zigzag(&mut self, value: i64) {
        self.varint(((value << 1) ^ (value >> 63)) as u64);
    }

    fn head(&mut self, id: i16, of: u8) {
        let last = self.last.last_mut().expect("a field belongs to a struct");
        let delta = id - *last;
        *last = id;
        if (1..=15).contains(&delta) {
            self.out.push((delta as u8) << 4 | of);
        } else {
            self.out.push(of);
            self.zigzag(i64::from(id));
        }
    }

    pub fn begin(&mut self) {
        self.last.push(0);
    }

    pub fn end(&mut self) {
        self.last.pop();
        self.out.push(0);
    }

    pub fn int32(&mut self, id: i16, value: i32) {
        self.head(id, kind::I32);
        self.zigzag(i64::from(value));
    }

    pub fn int64(&mut self, id: i16, value: i64) {
        self.head(id, kind::I64);
        self.zigzag(value);
    }

    pub fn boolean(&mut self, id: i16, value: bool) {
        self.head(id, if value { kind::TRUE } else { kind::FALSE });
    }

    pub fn binary(&mut self, id: i16, value: &[u8]) {
        self.head(id, kind::BINARY);
        self.bytes(value);
    }

    fn bytes(&mut self, value: &[u8]) {
        self.varint(value.len() as u64);
        self.out.extend_from_slice(value);
    }

    /// A field whose value is encoded already.
    pub fn raw(&mut self, id: i16, of: u8, value: &[u8]) {
        self.head(id, of);
        self.out.extend_from_slice(value);
    }

    /// A field that is a struct; `end` ends it.
    pub fn begin_struct(&mut self, id: i16) {
        self.head(id, kind::STRUCT);
        self.begin();
    }

    fn list(&mut self, id: i16, element: u8, count: usize) {
        self.head(id, kind::LIST);
        if count < 15 {
            self.out.push((count as u8) << 4 | element);
        } else {
            self.out.push(0xf0 | element);
            self.varint(count as u64);
        }
    }

    pub fn int32s(&mut self, id: i16, values: &[i32]) {
        self.list(id, kind::I32, values.len());
        values.iter().for_each(|value| self.zigzag(i64::from(*value)));
    }

    pub fn int64s(&mut self, id: i16, values: &[i64]) {
        self.list(id, kind::I64, values.len());
        values.iter().for_each(|value| self.zigzag(*value));
    }

    pub fn booleans(&mut self, id: i16, values: &[bool]) {
        self.list(id, kind::TRUE, values.len());
        self.out.extend(values.iter().map(|value| if *value { kind::TRUE } else { kind::FALSE }));
    }

    pub fn binaries<T: AsRef<[u8]>>(&mut self, id: i16, values: &[T]) {
        self.list(id, kind::BINARY, values.len());
        values.iter().for_each(|value| self.bytes(value.as_ref()));
    }

    /// A list of structs, each written by `each` between begin and end.
    pub fn structs<T>(&mut self, id: i16, values: &[T], mut each: impl FnMut(&mut Self, &T)) {
        self.list(id, kind::STRUCT, values.len());
        for value in values {
            self.begin();
            each(self, value);
            self.end();
        }
    }
}
