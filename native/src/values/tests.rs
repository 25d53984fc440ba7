use super::*;
use crate::lanes::KEY_WORDS;
use crate::layout::{BACKWARDS, SHORT};

fn room() -> Room {
    Room { words: [0; BLOCK], others: [0; BLOCK], masks: [0; BLOCK], ends: [0; BLOCK + 1] }
}

fn array(kind: Kind<Vec<u8>>, length: usize, offset: usize, validity: Option<Vec<u8>>) -> Values<Vec<u8>> {
    let key = Key::new(&std::array::from_fn::<u64, KEY_WORDS, _>(|i| 0x1234_5678_9ABC_DEF1u64.wrapping_mul(i as u64 + 1)));
    Values { kind, key: Arc::new(key), length, offset, validity }
}

fn integers(values: &[i64]) -> Values<Vec<u8>> {
    array(Kind::Integers(Integer::I64, values.iter().flat_map(|value| value.to_le_bytes()).collect()), values.len(), 0, None)
}

fn ends(values: &[i32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn texts(offsets: &[i32], data: &[u8]) -> Values<Vec<u8>> {
    let kind = Kind::Bytes { offsets: Offsets::Narrow, ends: ends(offsets), data: data.to_vec() };
    array(kind, offsets.len() - 1, 0, None)
}

fn lists(offsets: &[i32], elements: Values<Vec<u8>>) -> Values<Vec<u8>> {
    let kind = Kind::List { offsets: Offsets::Narrow, ends: ends(offsets), elements: Box::new(elements) };
    array(kind, offsets.len() - 1, 0, None)
}

fn dictionary(indices: &[i64], distinct: i64) -> Values<Vec<u8>> {
    let Kind::Integers(kind, indices) = integers(indices).kind else { unreachable!() };
    let length = indices.len() / 8;
    let values = Box::new(integers(&(0..distinct).collect::<Vec<_>>()));
    array(Kind::Dictionary { kind, indices, values, table: Vec::new() }, length, 0, None)
}

fn sum(column: Values<Vec<u8>>) -> Result<u128, Fault> {
    row_sum(column.length, [1, 2], &mut [vec![column]])
}

#[test]
fn sums_of_parts_add_up_beyond_a_block() {
    let all: Vec<i64> = (0..3 * BLOCK as i64 + 5).collect();
    let parts = [&all[..7], &all[7..BLOCK + 9], &all[BLOCK + 9..]];
    let apart = parts.iter().map(|part| sum(integers(part)).unwrap()).fold(0u128, u128::wrapping_add);
    assert_eq!(sum(integers(&all)), Ok(apart));
    let mut chunks = vec![parts.map(integers).into_iter().collect::<Vec<_>>()];
    assert_eq!(row_sum(all.len(), [1, 2], &mut chunks), Ok(apart));
}

#[test]
fn nulls_add_nothing_whatever_lies_under_them() {
    let one = |value| sum(Values { validity: Some(vec![0b101]), ..integers(&[1, value, 3]) });
    assert_eq!(one(2), one(99));
    assert_ne!(one(2), sum(integers(&[1, 2, 3])));
}

#[test]
fn a_dictionary_is_its_values() {
    assert_eq!(sum(dictionary(&[2, 0, 2, 1], 3)), sum(integers(&[2, 0, 2, 1])));
}

#[test]
fn texts_at_the_end_of_a_buffer_are_read_to_their_end() {
    for length in 0..40 {
        let text = vec![b'x'; length as usize];
        let longer = [text.clone(), vec![b'y'; 20]].concat();
        assert_eq!(sum(texts(&[0, length], &text)), sum(texts(&[0, length], &longer)));
    }
}

#[test]
fn what_points_elsewhere_is_a_fault() {
    assert_eq!(sum(dictionary(&[0, 3], 3)), Err(Fault::Index));
    assert_eq!(sum(dictionary(&[0, -1], 3)), Err(Fault::Index));
    for offsets in [[0, 4, 4], [0, 3, 1], [-1, 0, 1], [0, 0, i32::MAX], [0, 0, i32::MIN]] {
        assert_eq!(sum(texts(&offsets, b"abc")), Err(BACKWARDS), "{offsets:?}");
        assert_eq!(sum(lists(&offsets, integers(&[1, 2, 3]))), Err(BACKWARDS), "{offsets:?}");
    }
}

#[test]
fn what_is_shorter_than_it_says_is_a_fault() {
    for (length, offset) in [(4, 0), (3, 1), (usize::MAX, 1), (1, usize::MAX), (usize::MAX / 8, 0)] {
        assert_eq!(Values { length, offset, ..integers(&[1, 2, 3]) }.prepare(0, &mut room()), Err(SHORT));
        assert_eq!(Values { length, offset, ..texts(&[0, 1, 2, 3], b"abc") }.prepare(0, &mut room()), Err(SHORT));
    }
    assert_eq!(Values { validity: Some(vec![]), ..integers(&[1]) }.prepare(0, &mut room()), Err(SHORT));
    assert!(matches!(array(Kind::Struct(vec![integers(&[1])]), 2, 0, None).prepare(0, &mut room()), Err(Fault::Layout(_))));
    assert!(matches!(row_sum(2, [1, 2], &mut [vec![integers(&[1])]]), Err(Fault::Layout(_))));
}
