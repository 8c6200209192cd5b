//! Where an object ends that no parser accepts, or that is too large to be held.

/// Follows an object by its brackets and strings alone, in as many pieces as it comes.
pub(super) struct Scan {
    depth: usize,
    in_string: bool,
    escaped: bool,
    line: Line,
    /// The object is known to be no JSON.
    is_broken: bool,
    /// The last byte that is no white space.
    before: u8,
}

/// Whether a line break can end the object before its brackets do: in JSON lines, where a line is cut off, the rest of
/// the object must not be looked for in other lines.
enum Line {
    /// It stands inside others, or its first line break has passed: it is written over several lines.
    Cannot,
    /// No line break so far.
    First,
    /// Behind its first line break: an object ends it, anything else goes on with it.
    Break,
}

impl Scan {
    pub(super) fn new(at_top: bool, is_broken: bool) -> Scan {
        let line = if at_top { Line::First } else { Line::Cannot };
        Scan { depth: 0, in_string: false, escaped: false, line, is_broken, before: b'{' }
    }

    /// Takes the next bytes; gives the place in them behind the object, if it ends in them. `last`: no more will come.
    pub(super) fn feed(&mut self, bytes: &[u8], last: bool) -> Option<usize> {
        for (place, &byte) in bytes.iter().enumerate() {
            let is_space = matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
            match self.line {
                Line::Break if is_space => continue,
                Line::Break if matches!(byte, b'{' | b'[') => return Some(place),
                Line::Break => self.line = Line::Cannot,
                Line::First if byte == b'\n' => {
                    // In sound JSON an object stands behind a line break only if one of these stands before it.
                    let may_go_on = !self.is_broken && matches!(self.before, b':' | b',' | b'[' | b'{');
                    self.line = if may_go_on { Line::Cannot } else { Line::Break };
                    continue;
                }
                Line::First | Line::Cannot => {}
            }
            if !is_space {
                self.before = byte;
            }
            if self.in_string {
                self.in_string = self.escaped || byte != b'"';
                self.escaped = !self.escaped && byte == b'\\';
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(place + 1);
                    }
                }
                _ => {}
            }
        }
        (last && matches!(self.line, Line::Break)).then_some(bytes.len())
    }
}

/// Whether the text nests deeper than `depth`; a count of the brackets settles it for almost every record.
pub(super) fn nesting_exceeds(bytes: &[u8], depth: usize) -> bool {
    // In pieces whose sum fits a byte, which is what the compiler can count sixteen at a time.
    let opening = |byte: &u8| u8::from(byte | 0x20 == b'{');
    let brackets = |piece: &[u8]| usize::from(piece.iter().map(opening).sum::<u8>());
    if bytes.chunks(128).map(brackets).sum::<usize>() <= depth {
        return false;
    }
    let (mut level, mut in_string, mut escaped) = (0usize, false, false);
    for &byte in bytes {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                level += 1;
                if level > depth {
                    return true;
                }
            }
            b'}' | b']' => level = level.saturating_sub(1),
            _ => {}
        }
    }
    false
}
