//! What the reader of the proof adds up of files. It shares no code with the kernel: of what was merged it must find the sum of the parts.

use std::sync::Arc;

use compactor_native::lanes::{KEY_WORDS, Key};
use compactor_native::proof::{Target, Type, Wanted, sum_of_each};

use crate::chance::Chance;
use crate::thrift::Value;

const MOST_BYTES: usize = 1 << 26;

/// The columns of a footer, each with a key of its own; None where one is of a type that tables do not have.
pub fn target(footer: &Value) -> Option<Target> {
    let mut elements = footer.list(2).iter();
    let mut chance = Chance::new(7);
    let columns = (0..elements.next()?.int(5)?).map(|_| column(&mut elements, &mut chance)).collect::<Option<Vec<_>>>()?;
    Some(Target { columns, by_id: false, finish: [chance.draw(), chance.draw()] })
}

/// The sum of the rows of each file and how many there are, or why it is not read.
pub fn sums(target: &Target, files: &[&[u8]]) -> Vec<Result<(u128, usize), String>> {
    sum_of_each(target, files, MOST_BYTES, 1).into_iter().map(|found| found.map_err(|refusal| refusal.to_string())).collect()
}

fn key(chance: &mut Chance) -> Arc<Key> {
    let mut words = [0; KEY_WORDS];
    words.fill_with(|| chance.draw());
    Arc::new(Key::new(&words))
}

fn column<'a>(elements: &mut impl Iterator<Item = &'a Value>, chance: &mut Chance) -> Option<Wanted> {
    let element = elements.next()?;
    let Some(Value::Binary(name)) = element.field(4) else { return None };
    let inside =
        |elements: &mut _, chance: &mut _| (0..element.int(5).unwrap_or(0)).map(|_| column(elements, chance)).collect::<Option<Vec<_>>>();
    let of = match (element.int(6), element.int(5)) {
        (_, None | Some(0)) => flat(element)?,
        (Some(converted @ (1 | 3)), _) => {
            let repeated = elements.next()?;
            let mut parts = (0..repeated.int(5)?).map(|_| column(elements, chance)).collect::<Option<Vec<_>>>()?.into_iter();
            match converted {
                3 => Type::List(Box::new(parts.next()?)),
                _ => Type::Map(key(chance), Box::new([parts.next()?, parts.next()?])),
            }
        }
        _ => Type::Struct(inside(elements, chance)?),
    };
    Some(Wanted { name: String::from_utf8(name.clone()).ok()?, id: None, key: key(chance), of })
}

/// By physical and converted type.
fn flat(element: &Value) -> Option<Type> {
    Some(match (element.int(1)?, element.int(6)) {
        (1 | 2 | 7, Some(5)) => Type::Decimal { precision: element.int(8)? as i32, scale: element.int(7)? as i32 },
        (0, _) => Type::Boolean,
        (1, Some(6)) => Type::Date,
        (1, Some(15)) => Type::Integer(8),
        (1, Some(16)) => Type::Integer(16),
        (1, None | Some(17)) => Type::Integer(32),
        (2, Some(10)) => Type::Microseconds,
        (2, None | Some(18)) => Type::Integer(64),
        (4, _) => Type::Float,
        (5, _) => Type::Double,
        (6, Some(0)) => Type::Text,
        (6, None) => Type::Bytes,
        _ => return None,
    })
}
