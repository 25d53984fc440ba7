//! Any structure of Thrift's compact protocol as a tree that can be changed and written again.

#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    Bool(bool),
    Byte(u8),
    Int(u8, i64),
    Double([u8; 8]),
    Binary(Vec<u8>),
    List(u8, Vec<Value>),
    Struct(Vec<(i16, Value)>),
}

const I16: u8 = 4;
pub const I32: u8 = 5;
const I64: u8 = 6;
const BINARY: u8 = 8;
const STRUCT: u8 = 12;

impl Value {
    fn kind(&self) -> u8 {
        match self {
            Self::Bool(true) => 1,
            Self::Bool(false) => 2,
            Self::Byte(_) => 3,
            Self::Int(kind, _) => *kind,
            Self::Double(_) => 7,
            Self::Binary(_) => BINARY,
            Self::List(..) => 9,
            Self::Struct(_) => STRUCT,
        }
    }

    pub fn field(&self, id: i16) -> Option<&Self> {
        let Self::Struct(fields) = self else { return None };
        fields.iter().find(|(other, _)| *other == id).map(|(_, value)| value)
    }

    pub fn field_mut(&mut self, id: i16) -> Option<&mut Self> {
        let Self::Struct(fields) = self else { return None };
        fields.iter_mut().find(|(other, _)| *other == id).map(|(_, value)| value)
    }

    pub fn int(&self, id: i16) -> Option<i64> {
        match self.field(id) {
            Some(Self::Int(_, value)) => Some(*value),
            _ => None,
        }
    }

    /// Puts a whole number in place of the one that is there.
    pub fn put(&mut self, id: i16, value: i64) {
        if let Some(Self::Int(_, there)) = self.field_mut(id) {
            *there = value;
        }
    }

    pub fn drop_field(&mut self, id: i16) {
        if let Self::Struct(fields) = self {
            fields.retain(|(other, _)| *other != id);
        }
    }

    pub fn list(&self, id: i16) -> &[Self] {
        match self.field(id) {
            Some(Self::List(_, values)) => values,
            _ => &[],
        }
    }

    pub fn list_mut(&mut self, id: i16) -> Option<&mut Vec<Self>> {
        match self.field_mut(id) {
            Some(Self::List(_, values)) => Some(values),
            _ => None,
        }
    }

    pub fn count(&self) -> usize {
        1 + match self {
            Self::List(_, values) => values.iter().map(Self::count).sum(),
            Self::Struct(fields) => fields.iter().map(|(_, value)| value.count()).sum(),
            _ => 0,
        }
    }

    /// The value of this number in the order of `count`.
    pub fn at(&mut self, mut n: usize) -> &mut Self {
        if n == 0 {
            return self;
        }
        n -= 1;
        let children: Vec<&mut Self> = match self {
            Self::List(_, values) => values.iter_mut().collect(),
            Self::Struct(fields) => fields.iter_mut().map(|(_, value)| value).collect(),
            _ => Vec::new(),
        };
        for child in children {
            let size = child.count();
            if n < size {
                return child.at(n);
            }
            n -= size;
        }
        unreachable!("the number is below the count")
    }

    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        write(self, &mut out);
        out
    }
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Bool(_) => {}
        Value::Byte(byte) => out.push(*byte),
        Value::Int(_, value) => varint(zigzag(*value), out),
        Value::Double(bytes) => out.extend_from_slice(bytes),
        Value::Binary(bytes) => {
            varint(bytes.len() as u64, out);
            out.extend_from_slice(bytes);
        }
        Value::List(kind, values) => {
            if values.len() < 15 {
                out.push((values.len() as u8) << 4 | kind);
            } else {
                out.push(0xF0 | kind);
                varint(values.len() as u64, out);
            }
            for value in values {
                if let Value::Bool(truth) = value {
                    out.push(if *truth { 1 } else { 2 });
                } else {
                    write(value, out);
                }
            }
        }
        Value::Struct(fields) => {
            let mut last = 0i16;
            for (id, value) in fields {
                let step = i32::from(*id) - i32::from(last);
                if (1..=15).contains(&step) {
                    out.push((step as u8) << 4 | value.kind());
                } else {
                    out.push(value.kind());
                    varint(zigzag(i64::from(*id)), out);
                }
                write(value, out);
                last = *id;
            }
            out.push(0);
        }
    }
}

/// A struct and how many bytes it takes; None when it is no such thing.
pub fn read(data: &[u8]) -> Option<(Value, usize)> {
    let mut at = 0;
    let value = structure(data, &mut at, 0)?;
    Some((value, at))
}

fn byte(data: &[u8], at: &mut usize) -> Option<u8> {
    let found = *data.get(*at)?;
    *at += 1;
    Some(found)
}

fn number(data: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let next = byte(data, at)?;
        value |= u64::from(next & 0x7F) << shift;
        if next < 0x80 {
            return Some(value);
        }
    }
    None
}

fn whole(data: &[u8], at: &mut usize) -> Option<i64> {
    let found = number(data, at)?;
    Some((found >> 1) as i64 ^ -((found & 1) as i64))
}

fn structure(data: &[u8], at: &mut usize, depth: usize) -> Option<Value> {
    let (mut fields, mut last) = (Vec::new(), 0i16);
    loop {
        let head = byte(data, at)?;
        if head == 0 {
            return Some(Value::Struct(fields));
        }
        let id = if head >> 4 > 0 { last.checked_add(i16::from(head >> 4))? } else { whole(data, at)? as i16 };
        let value = match head & 15 {
            1 => Value::Bool(true),
            2 => Value::Bool(false),
            kind => one(data, at, kind, depth)?,
        };
        fields.push((id, value));
        last = id;
    }
}

fn one(data: &[u8], at: &mut usize, kind: u8, depth: usize) -> Option<Value> {
    Some(match kind {
        1 | 2 => Value::Bool(byte(data, at)? == 1),
        3 => Value::Byte(byte(data, at)?),
        I16..=I64 => Value::Int(kind, whole(data, at)?),
        7 => {
            let bytes = data.get(*at..*at + 8)?.try_into().ok()?;
            *at += 8;
            Value::Double(bytes)
        }
        BINARY => {
            let length = usize::try_from(number(data, at)?).ok()?;
            let bytes = data.get(*at..at.checked_add(length)?)?.to_vec();
            *at += length;
            Value::Binary(bytes)
        }
        9 | 10 if depth < 20 => {
            let head = byte(data, at)?;
            let length = if head >> 4 == 15 { usize::try_from(number(data, at)?).ok()? } else { usize::from(head >> 4) };
            let values = (0..length.min(data.len())).map(|_| one(data, at, head & 15, depth + 1)).collect::<Option<Vec<_>>>()?;
            Value::List(head & 15, values)
        }
        STRUCT if depth < 20 => structure(data, at, depth + 1)?,
        _ => return None,
    })
}
