//! A small reader of Thrift's compact protocol: fields one after the other, each read or passed over by whoever asked for it.

use super::{Result, refuse};

pub const TRUE: u8 = 1;
pub const FALSE: u8 = 2;
pub const BYTE: u8 = 3;
pub const I32: u8 = 5;
pub const I64: u8 = 6;
pub const BINARY: u8 = 8;
pub const LIST: u8 = 9;
pub const STRUCT: u8 = 12;

const DEEPEST: u8 = 24;

/// Bytes that are taken from the front.
pub struct Stream<'a> {
    rest: &'a [u8],
    depth: u8,
}

impl<'a> Stream<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Self { rest: data, depth: 0 }
    }

    /// What has not been taken.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        match self.rest.split_at_checked(count) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => refuse("it ends in the middle of a structure"),
        }
    }

    pub fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    /// A number of seven bits a byte.
    #[inline]
    pub fn unsigned(&mut self) -> Result<u64> {
        let mut number = 0u64;
        for (i, byte) in self.rest.iter().take(10).enumerate() {
            if i == 9 && *byte > 1 {
                break;
            }
            number |= u64::from(byte & 127) << (7 * i);
            if *byte < 128 {
                self.rest = &self.rest[i + 1..];
                return Ok(number);
            }
        }
        refuse("a number in a structure does not end")
    }

    /// A number whose sign is its last bit.
    pub fn signed(&mut self) -> Result<i64> {
        let number = self.unsigned()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    pub fn int(&mut self) -> Result<i32> {
        i32::try_from(self.signed()?).or_else(|_| refuse("a number in a structure is too large"))
    }

    /// A number that counts or measures.
    pub fn size(&mut self) -> Result<usize> {
        usize::try_from(self.signed()?).or_else(|_| refuse("a size in a structure is negative"))
    }

    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = self.unsigned()?;
        usize::try_from(length).or_else(|_| refuse("bytes in a structure are too long")).and_then(|length| self.take(length))
    }

    /// The next field of a struct, its id and type; None at its end. `last`: the id of the one before, 0 at first.
    #[inline]
    pub fn field(&mut self, last: &mut i16) -> Result<Option<(i16, u8)>> {
        let head = self.byte()?;
        if head == 0 {
            return Ok(None);
        }
        let step = i64::from(head >> 4);
        let id = if step == 0 { self.signed()? } else { i64::from(*last) + step };
        *last = i16::try_from(id).or_else(|_| refuse("a field's number is too large"))?;
        Ok(Some((*last, head & 15)))
    }

    /// The type of a list's elements and how many there are; each takes a byte at least.
    pub fn list(&mut self) -> Result<(u8, usize)> {
        let head = self.byte()?;
        let count = if head >> 4 == 15 { self.unsigned()? } else { u64::from(head >> 4) };
        if count > self.rest.len() as u64 {
            return refuse("a list in a structure is longer than its file");
        }
        Ok((head & 15, count as usize))
    }

    /// Pass over the value of a field.
    pub fn pass(&mut self, kind: u8) -> Result<()> {
        if kind == TRUE || kind == FALSE { Ok(()) } else { self.pass_element(kind) }
    }

    /// Pass over an element of a list, where booleans take a byte.
    pub fn pass_element(&mut self, kind: u8) -> Result<()> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return refuse("a structure is nested too deeply");
        }
        match kind {
            TRUE | FALSE | BYTE => self.take(1).map(drop)?,
            4 | I32 | I64 => self.unsigned().map(drop)?,
            7 => self.take(8).map(drop)?,
            BINARY => self.bytes().map(drop)?,
            LIST | 10 => {
                let (element, count) = self.list()?;
                for _ in 0..count {
                    self.pass_element(element)?;
                }
            }
            STRUCT => {
                let mut last = 0;
                while let Some((_, kind)) = self.field(&mut last)? {
                    self.pass(kind)?;
                }
            }
            _ => return refuse("a structure holds what no Parquet file holds"),
        }
        self.depth -= 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_to_their_ends_and_no_further() {
        for (bytes, number) in [(&[0u8][..], 0i64), (&[1], -1), (&[2], 1), (&[254, 255, 255, 255, 15], i64::from(i32::MAX))] {
            assert_eq!(Stream::new(bytes).signed(), Ok(number));
        }
        assert!(Stream::new(&[128; 3]).unsigned().is_err());
        assert!(Stream::new(&[255; 10]).unsigned().is_err());
    }

    #[test]
    fn what_is_nested_without_end_is_refused() {
        assert!(Stream::new(&[0x1c; 100]).pass(STRUCT).is_err());
        assert!(Stream::new(&[0xf9, 0xff, 0xff, 0x7f]).pass(LIST).is_err());
    }
}
