//! Holds the schema of a file against what is wanted: which leaves are read, how, and what their levels count for.
//!
//! A struct or list counts for something by being there. Since everything that is added to a row is a sum, that is added by the levels of
//! one of the leaves below it, whichever is read.

use std::sync::Arc;

use crate::lanes::{Key, Pair};

use super::footer::{Meaning, Node, nodes};
use super::shape::Group;
use super::wanted::{Target, Type, Wanted};
use super::{Result, refuse};

const DEEPEST: usize = 60;

/// How the values of a leaf are stored and what they are worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    Boolean,
    /// Four bytes, of which numbers have so many bits.
    Int32(i32),
    Int64,
    Float,
    Double,
    /// A decimal in four or eight bytes.
    Narrow(usize),
    /// A decimal in so many bytes, the highest first.
    Fixed(usize),
    /// A decimal in any number of bytes.
    Varying,
    Bytes,
}

/// Of a leaf: where it lies, what its values mean, and its levels. `key`: None where only its levels count.
pub struct Leaf {
    pub column: usize,
    pub physical: i32,
    pub form: Form,
    pub key: Option<Arc<Key>>,
    pub definition: u8,
    pub repetition: u8,
    /// Keys of the lists above it, from the top, and the definition level from which on each has an element.
    pub lists: Vec<(Arc<Key>, u8)>,
    /// The groups above it that other leaves are below, too.
    pub groups: Vec<Group>,
    /// What an entry counts for, by depth of lists (whose factors it is multiplied by), repetition and definition level.
    counts: Vec<Pair>,
}

impl Leaf {
    /// What an entry of these levels counts for at this depth of lists.
    #[inline(always)]
    pub fn count(&self, depth: usize, repetition: u8, definition: u8) -> Pair {
        let levels = usize::from(self.repetition) + 1;
        self.counts[(depth * levels + usize::from(repetition)) * (usize::from(self.definition) + 1) + usize::from(definition)]
    }
}

/// How files of one schema are read.
pub struct Plan {
    pub leaves: Vec<Leaf>,
    /// How many leaves files have, those that are not read included.
    pub columns: usize,
    groups: usize,
}

impl Plan {
    pub fn new(schema: &[u8], target: &Target) -> Result<Self> {
        let nodes = nodes(schema)?;
        let Some(root) = nodes.first() else { return refuse("it has no schema") };
        let mut columns = 0;
        let mut at = 1;
        let mut tops = Vec::new();
        for _ in 0..root.children {
            tops.push(tree(&nodes, &mut at, &mut columns, 0)?);
        }
        if at != nodes.len() {
            return refuse("its schema goes on after its end");
        }
        let mut plan = Self { leaves: Vec::new(), columns, groups: 0 };
        plan.fields(&tops, &target.columns, &Place::default(), target.by_id, &mut Vec::new())?;
        plan.keep_shared_groups();
        if plan.leaves.is_empty() { refuse("it has none of the columns") } else { Ok(plan) }
    }

    fn keep_shared_groups(&mut self) {
        let mut leaves = vec![0; self.groups];
        self.leaves.iter().flat_map(|leaf| &leaf.groups).for_each(|group| leaves[group.number] += 1);
        self.leaves.iter_mut().for_each(|leaf| leaf.groups.retain(|group| leaves[group.number] > 1));
    }

    /// A group that leaves are below.
    fn enter(&mut self, place: &mut Place) {
        let (repetition, definition) = (place.lists.len() as u8, place.definition);
        place.groups.push(Group { number: self.groups, repetition, definition });
        self.groups += 1;
    }

    fn fields(&mut self, trees: &[Tree<'_>], wanted: &[Wanted], place: &Place, by_id: bool, marks: &mut Vec<Mark>) -> Result<()> {
        for one in wanted {
            if let Some(tree) = found(trees, one, by_id)? {
                self.visit(tree, one, place.clone(), by_id, marks)?;
            }
        }
        Ok(())
    }

    /// Marks wait for the first leaf below where they were made.
    fn visit(&mut self, tree: &Tree<'_>, wanted: &Wanted, place: Place, by_id: bool, marks: &mut Vec<Mark>) -> Result<()> {
        let mut place = place.into(tree.node.repetition)?;
        match &wanted.of {
            Type::Struct(fields) => {
                if tree.children.is_empty() || tree.node.meaning != Meaning::Plain {
                    return refuse("a struct of it is something else");
                }
                marks.push(place.mark(place.lists.len(), wanted.key.count));
                self.enter(&mut place);
                self.fields(&tree.children, fields, &place, by_id, marks)?;
                if !marks.is_empty() {
                    self.carry(&tree.children[0], place, marks)?;
                }
                Ok(())
            }
            Type::List(element) => {
                let group = repeated(tree, Meaning::List, 1)?;
                if group.node.name == "array" || group.node.name.strip_suffix("_tuple").is_some_and(|name| name == tree.node.name) {
                    return refuse("a list of it has two levels");
                }
                let inside = place.list(&wanted.key, marks)?;
                self.visit(&group.children[0], element, inside, by_id, marks)
            }
            Type::Map(entry, fields) => {
                let group = repeated(tree, Meaning::Map, 2)?;
                let mut inside = place.list(&wanted.key, marks)?;
                self.enter(&mut inside);
                marks.push(inside.mark(inside.lists.len(), entry.count));
                if group.children[0].node.repetition != 0 {
                    return refuse("keys of a map may be missing in it");
                }
                for (child, field) in group.children.iter().zip(fields.iter()) {
                    self.visit(child, field, inside.clone(), by_id, marks)?;
                }
                Ok(())
            }
            of => {
                let form = form(of, tree.node)?;
                self.leaf(tree, form, Some(&wanted.key), &place, marks);
                Ok(())
            }
        }
    }

    /// A leaf that is not wanted for its values, so that marks have levels to be counted by.
    fn carry(&mut self, tree: &Tree<'_>, place: Place, marks: &mut Vec<Mark>) -> Result<()> {
        let mut place = place.into(tree.node.repetition)?;
        let mut tree = tree;
        while let Some(child) = tree.children.first() {
            place = place.into(child.node.repetition)?;
            tree = child;
        }
        self.leaf(tree, Form::Bytes, None, &place, marks);
        Ok(())
    }

    fn leaf(&mut self, tree: &Tree<'_>, form: Form, key: Option<&Arc<Key>>, place: &Place, marks: &mut Vec<Mark>) {
        let (repetition, definition) = (place.lists.len() as u8, place.definition);
        let mut counts = Vec::new();
        for depth in 0..=place.lists.len() {
            for level in 0..=repetition {
                for defined in 0..=definition {
                    let counted = marks.iter().filter(|mark| mark.depth == depth && level <= mark.begins && defined >= mark.definition);
                    counts.push(counted.fold([0u64; 2], |sum, mark| [0, 1].map(|i| sum[i].wrapping_add(mark.count[i]))));
                }
            }
        }
        marks.clear();
        let physical = tree.node.physical.unwrap_or(-1);
        let (column, key, lists, groups) = (tree.column, key.cloned(), place.lists.clone(), place.groups.clone());
        self.leaves.push(Leaf { column, physical, form, key, definition, repetition, lists, groups, counts });
    }
}

/// Something counts where an entry has this definition level and begins anew: has a repetition level of at most `begins`.
struct Mark {
    depth: usize,
    begins: u8,
    definition: u8,
    count: Pair,
}

/// Where in the schema: levels so far, and the lists above.
#[derive(Clone, Default)]
struct Place {
    definition: u8,
    lists: Vec<(Arc<Key>, u8)>,
    groups: Vec<Group>,
}

impl Place {
    fn into(mut self, repetition: i32) -> Result<Self> {
        match repetition {
            0 => {}
            1 => self.definition += 1,
            _ => return refuse("a column of it repeats without being a list"),
        }
        Ok(self)
    }

    fn mark(&self, depth: usize, count: Pair) -> Mark {
        Mark { depth, begins: self.lists.len() as u8, definition: self.definition, count }
    }

    /// Into a list, which counts for something and each of its elements too.
    fn list(&self, key: &Arc<Key>, marks: &mut Vec<Mark>) -> Result<Self> {
        let mut inside = self.clone();
        inside.definition += 1;
        inside.lists.push((Arc::clone(key), inside.definition));
        marks.push(self.mark(self.lists.len(), key.count));
        marks.push(inside.mark(self.lists.len(), key.count));
        Ok(inside)
    }
}

/// A node with those below it. `column`: which leaf it is, or the first below it.
struct Tree<'a> {
    node: &'a Node,
    column: usize,
    children: Vec<Tree<'a>>,
}

fn tree<'a>(nodes: &'a [Node], at: &mut usize, columns: &mut usize, depth: usize) -> Result<Tree<'a>> {
    let Some(node) = nodes.get(*at).filter(|_| depth < DEEPEST) else { return refuse("its schema does not end") };
    *at += 1;
    let column = *columns;
    match (node.physical, node.children) {
        (Some(_), 0) => *columns += 1,
        (None, 1..) => {}
        _ => return refuse("a column of it is neither a value nor a group"),
    }
    let mut children = Vec::new();
    for _ in 0..node.children {
        children.push(tree(nodes, at, columns, depth + 1)?);
    }
    Ok(Tree { node, column, children })
}

/// The column of a file that is meant, if it has one.
fn found<'t, 'a>(trees: &'t [Tree<'a>], wanted: &Wanted, by_id: bool) -> Result<Option<&'t Tree<'a>>> {
    let mut matching: Vec<_> = if by_id {
        if trees.iter().all(|tree| tree.node.id.is_none()) {
            return refuse("its columns have no ids");
        }
        trees.iter().filter(|tree| wanted.id.is_some() && tree.node.id == wanted.id).collect()
    } else {
        let folded = wanted.name.to_lowercase();
        trees.iter().filter(|tree| tree.node.name.to_lowercase() == folded).collect()
    };
    match (matching.pop(), matching.len()) {
        (None, _) => Ok(None),
        (Some(tree), 0) if by_id || tree.node.name == wanted.name => Ok(Some(tree)),
        _ => refuse("a column of it could be meant by another name, or by several"),
    }
}

/// The group of a list or map that repeats.
fn repeated<'t, 'a>(tree: &'t Tree<'a>, meaning: Meaning, fields: usize) -> Result<&'t Tree<'a>> {
    match tree.children.as_slice() {
        [group] if tree.node.meaning == meaning && group.node.repetition == 2 && group.children.len() == fields => Ok(group),
        _ => refuse("a list or map of it is built in another way"),
    }
}

fn form(of: &Type, node: &Node) -> Result<Form> {
    let Some(physical) = node.physical else { return refuse("a column of it is a group") };
    Ok(match (of, physical, node.meaning) {
        (Type::Boolean, 0, Meaning::Plain) => Form::Boolean,
        (Type::Integer(32), 1, Meaning::Plain | Meaning::Signed(32)) | (Type::Date, 1, Meaning::Date) => Form::Int32(32),
        (Type::Integer(bits), 1, Meaning::Signed(same)) if *bits == same && same < 32 => Form::Int32(same),
        (Type::Integer(64), 2, Meaning::Plain | Meaning::Signed(64)) | (Type::Microseconds, 2, Meaning::Microseconds) => Form::Int64,
        (Type::Float, 4, Meaning::Plain) => Form::Float,
        (Type::Double, 5, Meaning::Plain) => Form::Double,
        (Type::Text, 6, Meaning::Text) | (Type::Bytes, 6, Meaning::Plain) => Form::Bytes,
        (Type::Decimal { precision, scale }, _, Meaning::Decimal { precision: digits, scale: behind })
            if *precision == digits && *scale == behind =>
        {
            match physical {
                1 => Form::Narrow(4),
                2 => Form::Narrow(8),
                6 => Form::Varying,
                7 if (1..=16).contains(&node.length) => Form::Fixed(node.length),
                _ => return refuse("its decimals are stored in a way that is not read here"),
            }
        }
        _ => return refuse("a column of it has another type, or one that is converted when it is read"),
    })
}
