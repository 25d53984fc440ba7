//! Finds each leaf of the outputs' schema in a file's, and how its levels become those of the outputs.
//!
//! A column that the file lacks is all null, one that the outputs lack is left out; everything else must have the same physical type and
//! the same meaning. Never guesses: what differs is refused, with the column's name.

use super::Refusal;
use super::metadata::{Element, Meaning, Physical, Repetition};

type Result<T> = std::result::Result<T, Refusal>;

const MOST_DEPTH: usize = 32;

/// How columns of a file are found: by exact name, else by a name that only differs in case, or by field id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Match {
    Name,
    Id,
}

#[derive(Clone, Debug)]
pub struct Node {
    element: Element,
    leaf: usize,
    children: Vec<Node>,
}

/// A leaf of the outputs. `definition` and `repetition` are its largest levels.
#[derive(Clone, Debug)]
pub struct Leaf {
    pub path: Vec<Vec<u8>>,
    pub physical: Physical,
    pub meaning: Meaning,
    pub definition: u8,
    pub repetition: u8,
}

impl Leaf {
    pub fn name(&self) -> String {
        self.path.iter().map(|name| String::from_utf8_lossy(name)).collect::<Vec<_>>().join(".")
    }
}

/// Where a leaf of the outputs is in a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    Missing,
    /// Leaf `column` of the file. `levels`: for each definition level there, that of the outputs; `repeated`: from which definition level
    /// on each list or map above it has an element; `stored`: its physical type there.
    At {
        column: usize,
        levels: Vec<u8>,
        repeated: Vec<u8>,
        stored: Physical,
    },
}

impl Place {
    /// Whether definition levels are the same in both.
    pub fn same_levels(&self) -> bool {
        matches!(self, Self::At { levels, .. } if levels.iter().enumerate().all(|(i, level)| i == usize::from(*level)))
    }
}

/// The nodes below the root, and how many leaves there are.
pub fn tree(elements: &[Element]) -> Result<(Vec<Node>, usize)> {
    let mut leaves = 0;
    let root = elements.first().ok_or_else(|| Refusal::new("there is no schema"))?;
    let mut at = 1;
    let nodes = (0..root.children.min(elements.len())).map(|_| node(elements, &mut at, &mut leaves, 1)).collect::<Result<Vec<_>>>()?;
    if at != elements.len() || nodes.len() != root.children {
        return Err(Refusal::new("the schema is no tree"));
    }
    Ok((nodes, leaves))
}

fn node(elements: &[Element], at: &mut usize, leaves: &mut usize, depth: usize) -> Result<Node> {
    let element = elements.get(*at).ok_or_else(|| Refusal::new("the schema does not end"))?.clone();
    if depth > MOST_DEPTH {
        return Err(Refusal::new("the schema is nested too deeply"));
    }
    *at += 1;
    let leaf = *leaves;
    match (element.physical, element.children) {
        (Some(_), 0) => *leaves += 1,
        (None, n) if n > 0 => {}
        _ => return Err(Refusal::new("a column without a type")),
    }
    let children = (0..element.children).map(|_| node(elements, at, leaves, depth + 1)).collect::<Result<Vec<_>>>()?;
    Ok(Node { element, leaf, children })
}

/// The leaves of a schema, in order.
pub fn leaves(nodes: &[Node]) -> Vec<Leaf> {
    let mut found = Vec::new();
    let mut path = Vec::new();
    nodes.iter().for_each(|node| collect(node, &mut path, (0, 0), &mut found));
    found
}

fn deeper((definition, repetition): (u8, u8), of: Repetition) -> (u8, u8) {
    match of {
        Repetition::Required => (definition, repetition),
        Repetition::Optional => (definition + 1, repetition),
        Repetition::Repeated => (definition + 1, repetition + 1),
    }
}

fn collect(node: &Node, path: &mut Vec<Vec<u8>>, levels: (u8, u8), found: &mut Vec<Leaf>) {
    path.push(node.element.name.clone());
    let levels = deeper(levels, node.element.repetition);
    if let Some(physical) = node.element.physical {
        found.push(Leaf {
            path: path.clone(),
            physical,
            meaning: node.element.meaning.clone(),
            definition: levels.0,
            repetition: levels.1,
        });
    }
    node.children.iter().for_each(|child| collect(child, path, levels, found));
    path.pop();
}

/// Levels on the way down: for each definition level of the file, that of the outputs.
#[derive(Clone, Default)]
struct Down {
    levels: Vec<u8>,
    ours: u8,
    repeated: Vec<u8>,
}

/// The place of every leaf of the outputs (`ours`) in a file of schema `theirs`.
pub fn places(theirs: &[Node], ours: &[Node], by: Match) -> Result<Vec<Place>> {
    let mut found = Vec::new();
    if by == Match::Id && theirs.iter().any(|their| their.element.field_id.is_none_or(|id| id < 0)) {
        return Err(Refusal::new("some of its columns have no field ids, and the table finds columns by field id"));
    }
    for our in ours {
        match find(theirs, our, by, "")? {
            Some(their) => pair(their, our, by, Down::default(), "", &mut found)?,
            None if our.element.repetition == Repetition::Optional => missing(our, &mut found),
            None => return Err(Refusal::new(format!("it lacks column {}, which is never null", shown("", our)))),
        }
    }
    Ok(found)
}

fn shown(above: &str, node: &Node) -> String {
    format!("\"{above}{}\"", String::from_utf8_lossy(&node.element.name))
}

fn missing(our: &Node, found: &mut Vec<Place>) {
    if our.children.is_empty() {
        found.push(Place::Missing);
    }
    our.children.iter().for_each(|child| missing(child, found));
}

fn find<'a>(theirs: &'a [Node], our: &Node, by: Match, above: &str) -> Result<Option<&'a Node>> {
    let only = |candidates: Vec<&'a Node>| match candidates[..] {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        _ => Err(Refusal::new(format!("column {} could be any of several of the file", shown(above, our)))),
    };
    if by == Match::Id {
        let id = our.element.field_id.filter(|id| *id >= 0).ok_or_else(|| Refusal::new("a column of the table has no field id"))?;
        return only(theirs.iter().filter(|their| their.element.field_id == Some(id)).collect());
    }
    let exact: Vec<_> = theirs.iter().filter(|their| their.element.name == our.element.name).collect();
    if !exact.is_empty() {
        return only(exact);
    }
    let folded = |node: &Node| String::from_utf8_lossy(&node.element.name).to_lowercase();
    only(theirs.iter().filter(|their| folded(their) == folded(our)).collect())
}

/// Whether values are decimals that the file keeps in another form: as whole numbers of another width, or in another number of bytes.
fn converts(theirs: &Element, ours: &Element) -> bool {
    let number = |physical| matches!(physical, Some(Physical::Int32 | Physical::Int64 | Physical::Fixed(1..=16)));
    number(theirs.physical) && number(ours.physical) && matches!(ours.meaning, Meaning::Decimal { .. })
}

/// Whether values are timestamps that the file keeps in 96 bits, which only means points in time.
fn is_moment(theirs: &Element, ours: &Element) -> bool {
    theirs.physical == Some(Physical::Int96)
        && ours.physical == Some(Physical::Int64)
        && ours.meaning == Meaning::Timestamp { unit: 2, utc: true }
}

fn pair(their: &Node, our: &Node, by: Match, mut down: Down, above: &str, found: &mut Vec<Place>) -> Result<()> {
    let name = shown(above, our);
    let differs = |what: &str| Err(Refusal::new(format!("column {name} {what}")));
    match (their.element.repetition, our.element.repetition) {
        (Repetition::Required, Repetition::Required) => {}
        (Repetition::Required, Repetition::Optional) => down.ours += 1,
        (theirs, ours) if theirs == ours => {
            down.levels.push(down.ours);
            down.ours += 1;
            if ours == Repetition::Repeated {
                down.repeated.push(down.levels.len() as u8);
            }
        }
        _ => return differs("may be null or repeat in it, but not in outputs, or the other way round"),
    }
    let moment = is_moment(&their.element, &our.element);
    if their.element.physical == Some(Physical::Int96) && !moment {
        return differs("holds INT96 timestamps");
    }
    if their.element.physical != our.element.physical && !moment && !converts(&their.element, &our.element) {
        return differs("has another physical type in it");
    }
    if their.element.meaning != our.element.meaning && !moment {
        return differs("has another type in it");
    }
    if let Some(stored) = their.element.physical {
        down.levels.push(down.ours);
        found.push(Place::At { column: their.leaf, levels: down.levels, repeated: down.repeated, stored });
        return Ok(());
    }
    let inside = format!("{above}{}.", String::from_utf8_lossy(&our.element.name));
    match our.element.meaning {
        Meaning::List | Meaning::Map => {
            let ([theirs], [ours]) = (&their.children[..], &our.children[..]) else { return differs("is built in another way") };
            let is_list = our.element.meaning == Meaning::List;
            let two_levels = is_list && (theirs.element.name == b"array" || theirs.element.name.ends_with(b"_tuple"));
            let repeated = [theirs, ours]
                .iter()
                .all(|group| group.element.repetition == Repetition::Repeated && group.children.len() == if is_list { 1 } else { 2 });
            if !repeated || two_levels {
                return differs("is built in another way");
            }
            down.levels.push(down.ours);
            down.ours += 1;
            down.repeated.push(down.levels.len() as u8);
            theirs.children.iter().zip(&ours.children).try_for_each(|(their, our)| pair(their, our, by, down.clone(), &inside, found))
        }
        Meaning::Plain => {
            for child in &our.children {
                match find(&their.children, child, by, &inside)? {
                    Some(their) => pair(their, child, by, down.clone(), &inside, found)?,
                    None => return differs("lacks fields in it"),
                }
            }
            Ok(())
        }
        _ => differs("is of a type that is not known"),
    }
}
