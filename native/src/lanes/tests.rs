use super::*;

fn key() -> Key {
    Key::new(&std::array::from_fn(|i| (i as u64 + 1).wrapping_mul(A)))
}

#[test]
fn factors_are_odd_and_do_not_depend_on_where_they_are_kept() {
    let key = key();
    for position in [0, NEAR - 1, NEAR, FAR - 1, FAR, 1 << 40] {
        let found = key.factors_at(position);
        assert_eq!(found, factors_of(key.bases, position));
        assert!(found.iter().all(|factor| factor & 1 == 1));
    }
}

fn of(pairs: &[Pair]) -> Lanes {
    Lanes { first: pairs.iter().map(|pair| pair[0]).collect(), second: pairs.iter().map(|pair| pair[1]).collect() }
}

#[test]
fn each_lane_reaches_the_result() {
    let keys = key().finish;
    let all = [[0, 0], [1, 0], [0, 1], [1, 1]].map(|pair| finished(of(&[pair]).rows(0, 1), keys));
    for (i, one) in all.iter().enumerate() {
        assert!(all[..i].iter().all(|other| other != one));
    }
}

#[test]
fn rows_add_up_modulo_two_to_the_128() {
    let pairs: Vec<Pair> = (0..1000u64).map(|i| [i.wrapping_mul(A), i.wrapping_mul(B)]).collect();
    let apart = pairs.iter().fold(0u128, |sum, pair| sum.wrapping_add(finished(of(&[*pair]).rows(0, 1), key().finish)));
    assert_eq!(finished(of(&pairs).rows(0, 1000), key().finish), apart);
}

#[test]
fn many_rows_at_once_are_each_alone() {
    let words: Vec<u64> = (0..77u64).map(|i| i.wrapping_mul(C)).collect();
    let masks: Vec<u64> = (0..77u64).map(|i| ((i % 3) & 1).wrapping_neg()).collect();
    let key = key();
    let (mut many, mut single) = (Lanes::zeros(77), Lanes::zeros(77));
    add_words(many.rows(0, 77), &words, key.starts[0], key.factors[0]);
    add_masked_words(many.rows(0, 77), &words, &masks, key.starts[1], key.factors[1]);
    add_products(many.rows(0, 77), &words, &masks, key.count);
    for row in 0..77 {
        let mut lanes = single.rows(0, 77);
        let mut pair = [words[row].wrapping_mul(key.count[0]), masks[row].wrapping_mul(key.count[1])];
        add(&mut pair, scrambled(words[row].wrapping_add(key.starts[0])), key.factors[0]);
        add(&mut pair, scrambled(words[row].wrapping_add(key.starts[1])) & masks[row], key.factors[1]);
        lanes.add_pair(row, pair);
        assert_eq!(many.pair(row), single.pair(row));
    }
}

#[test]
fn entries_of_a_list_count_by_their_kind_and_place_near_and_far() {
    let key = key();
    let mut weights = Weights::default();
    for kind in 0..MOST_LEVELS {
        weights.outside[kind % 2][kind] = A.wrapping_mul(kind as u64);
        weights.inside[kind % 2][kind] = B.wrapping_mul(kind as u64);
    }
    for most in [NEAR, FAR + 2] {
        let kinds: Vec<u8> = (0..77u8).map(|i| i.wrapping_mul(5) % MOST_LEVELS as u8).collect();
        let places: Vec<u32> = (0..77).map(|i| i * 31 % most as u32).collect();
        let pairs: Vec<Pair> = (0..77u64).map(|i| [i.wrapping_mul(C), i.wrapping_mul(B)]).collect();
        let mut entries = of(&pairs);
        weigh(entries.rows(0, 77), &kinds, &places, &weights, &key);
        for i in 0..77 {
            let (kind, factors) = (usize::from(kinds[i]), key.factors_at(places[i] as usize));
            let counted = |lane: usize| weights.inside[lane][kind].wrapping_add(pairs[i][lane]).wrapping_mul(factors[lane]);
            assert_eq!(entries.pair(i), [0, 1].map(|lane| weights.outside[lane][kind].wrapping_add(counted(lane))));
        }
    }
}

#[test]
fn rows_get_what_sums_grow_by() {
    let mut rows = of(&[[1, 1]; 4]);
    rows.rows(0, 4).add_steps(0, &[[5, 6], [5, 7], [9, 1]]);
    rows.rows(0, 4).add_steps(usize::MAX, &[[0, 0], [10, 20]]);
    assert_eq!((0..4).map(|i| rows.pair(i)).collect::<Vec<_>>(), [[16, 27], [1, 2], [5, 1u64.wrapping_sub(6)], [1, 1]]);
}
