//! Bytes that are few nearly always, as bounds are, and are kept where they are told of unless they are many.

use std::fmt;
use std::ops::Deref;

const FEW: usize = 15;

#[derive(Clone)]
enum Memory {
    Here(u8, [u8; FEW]),
    Elsewhere(Box<[u8]>),
}

/// Some bytes that do not change.
#[derive(Clone)]
pub struct Short(Memory);

impl From<&[u8]> for Short {
    fn from(bytes: &[u8]) -> Self {
        let mut few = [0; FEW];
        match few.get_mut(..bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                Self(Memory::Here(bytes.len() as u8, few))
            }
            None => Self(Memory::Elsewhere(bytes.into())),
        }
    }
}

impl Deref for Short {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Memory::Here(length, few) => &few[..usize::from(*length)],
            Memory::Elsewhere(bytes) => bytes,
        }
    }
}

impl PartialEq for Short {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Short {}

impl fmt::Debug for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_any_length_are_what_they_were() {
        for length in [0, 1, FEW - 1, FEW, FEW + 1, 300] {
            let bytes: Vec<u8> = (0..length).map(|i| i as u8).collect();
            assert_eq!(Short::from(&bytes[..])[..], bytes);
        }
    }
}
