//! PyTorch's files: a pickle that describes tensors, and the storages that hold their values.

use crate::weights::import::archive::Archive;
use crate::weights::tensors::NamedTensor;
use candle_core::pickle::{Object, Stack};
use safetensors::Dtype;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use zip::ZipArchive;

/// The first bytes of a file of PyTorch before 1.6: the pickle of its magic number, `0x1950a86a20f9469cfc6c`.
pub const LEGACY: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

/// The longest pickle that is read, in bytes. One of names and shapes is far shorter.
const LONGEST_PICKLE: u64 = 64 << 20;

const BIG_ENDIAN: &str = "was written on a big-endian machine; such files are not read";

/// One tensor as the pickle describes it: a strided view of a storage.
#[derive(Clone, Debug, PartialEq)]
struct StridedView {
    name: String,
    shape: Vec<usize>,
    /// In elements, one for each dimension.
    strides: Vec<usize>,
    /// The first element.
    offset: usize,
    /// The key of the storage.
    storage: String,
    dtype: Dtype,
}

/// Where the bytes of the storages are.
enum Storages {
    /// In the file itself: the first byte and the length of each, by key.
    InFile { file: File, ranges: HashMap<String, (u64, u64)> },
    /// In an archive: each is an entry in the folder `data` of `folder`.
    InZip { zip: ZipArchive<BufReader<File>>, folder: String },
}

/// The tensors of a state dict, which other dicts may contain.
pub struct Pickled {
    views: Vec<StridedView>,
    storages: Storages,
}

impl Pickled {
    /// Reads a file of PyTorch 1.6 or later, which is a zip archive.
    ///
    /// # Errors
    /// When it is damaged, or has no pickle.
    pub fn of_zip(file: File) -> Result<Self, String> {
        let mut zip = ZipArchive::new(BufReader::new(file)).map_err(|e| format!("is a damaged archive: {e}"))?;
        let names: Vec<String> = zip.file_names().flatten().map(|name| name.into_owned()).collect();
        let Some(name) = names.iter().find(|name| name.ends_with("data.pkl")) else {
            let keras = names.iter().any(|name| name == "model.weights.h5");
            let hint = if keras { "; it is a file of Keras: unpack it and import its model.weights.h5" } else { "" };
            return Err(format!("is an archive without PyTorch's data.pkl{hint}"));
        };
        let folder = name.trim_end_matches("data.pkl").to_string();
        let byte_order = format!("{folder}byteorder");
        if names.contains(&byte_order) && entry(&mut zip, &byte_order, 16)? != b"little" {
            return Err(BIG_ENDIAN.into());
        }
        let pickle = entry(&mut zip, name, LONGEST_PICKLE)?;
        let views = views(unpickle(&mut &pickle[..])?);
        Ok(Self { views, storages: Storages::InZip { zip, folder } })
    }

    /// Reads a file of PyTorch before 1.6: five pickles (the magic number, the version of the protocol, facts about the
    /// machine, the state dict, and the keys of the storages), then each storage, with its length in front.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn of_legacy(mut file: File) -> Result<Self, String> {
        let length = file.metadata().map_err(cut_off)?.len();
        file.seek(SeekFrom::Start(LEGACY.len() as u64)).map_err(cut_off)?;
        let mut reader = BufReader::new(file);
        unpickle(&mut reader)?;
        if let Object::Dict(machine) = unpickle(&mut reader)? {
            let big = (Object::Unicode("little_endian".into()), Object::Bool(false));
            if machine.contains(&big) {
                return Err(BIG_ENDIAN.into());
            }
        }
        let views = views(unpickle(&mut reader)?);
        let Object::List(keys) = unpickle(&mut reader)? else {
            return Err("has no list of storages".into());
        };
        let mut at = reader.stream_position().map_err(cut_off)?;
        let mut file = reader.into_inner();
        let mut ranges = HashMap::new();
        for key in keys {
            let Object::Unicode(key) = key else { return Err("has a storage without a name".into()) };
            let width = views.iter().find(|view| view.storage == key).map_or(4, |view| view.dtype.bitsize() as u64 / 8);
            let mut count = [0; 8];
            file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(&mut count)).map_err(cut_off)?;
            let (start, bytes) = (at + 8, u64::from_le_bytes(count).checked_mul(width));
            let end = bytes.and_then(|bytes| start.checked_add(bytes)).filter(|&end| end <= length);
            let end = end.ok_or("is cut off or damaged: a storage ends after the file")?;
            ranges.insert(key, (start, end - start));
            at = end;
        }
        Ok(Self { views, storages: Storages::InFile { file, ranges } })
    }
}

fn cut_off(error: std::io::Error) -> String {
    format!("is cut off or damaged: {error}")
}

/// The bytes of an entry of an archive, which must not be longer than `most` bytes.
fn entry(zip: &mut ZipArchive<BufReader<File>>, name: &str, most: u64) -> Result<Vec<u8>, String> {
    let entry = zip.by_name(name).map_err(|e| format!("{name}: {e}"))?;
    let mut bytes = Vec::new();
    entry.take(most + 1).read_to_end(&mut bytes).map_err(cut_off)?;
    if bytes.len() as u64 > most { Err(format!("{name} is longer than {most} bytes")) } else { Ok(bytes) }
}

impl Archive for Pickled {
    fn list(&self) -> Vec<(String, Vec<usize>)> {
        self.views.iter().map(|view| (view.name.clone(), view.shape.clone())).collect()
    }

    fn values(&mut self, name: &str) -> Result<Vec<f32>, String> {
        let view = self.views.iter().find(|view| view.name == name).ok_or("is missing")?;
        let width = view.dtype.bitsize() / 8;
        let span = view.span().ok_or("has an impossible shape")?;
        let (start, len) = ((view.offset * width) as u64, ((span - view.offset) * width) as u64);
        let mut bytes = Vec::new();
        match &mut self.storages {
            Storages::InFile { file, ranges } => {
                let &(at, length) = ranges.get(&view.storage).ok_or("has no storage")?;
                if start + len > length {
                    return Err("is larger than its storage".into());
                }
                file.seek(SeekFrom::Start(at + start)).map_err(cut_off)?;
                file.take(len).read_to_end(&mut bytes).map_err(cut_off)?;
            }
            Storages::InZip { zip, folder } => {
                let name = format!("{folder}data/{}", view.storage);
                let mut entry = zip.by_name(&name).map_err(|e| format!("{name}: {e}"))?;
                std::io::copy(&mut entry.by_ref().take(start), &mut std::io::sink()).map_err(cut_off)?;
                entry.take(len).read_to_end(&mut bytes).map_err(cut_off)?;
            }
        }
        if bytes.len() as u64 != len {
            return Err("is larger than its storage".into());
        }
        let shape = vec![span - view.offset];
        let stored = NamedTensor { name: name.into(), dtype: view.dtype, shape, bytes }.values()?;
        Ok(view.indices().map(|at| stored[at]).collect())
    }
}

impl StridedView {
    /// Where the elements end in the storage, in elements. `None` for a shape that no tensor of VGG19 has.
    fn span(&self) -> Option<usize> {
        let mut last = self.offset;
        for (&side, &stride) in self.shape.iter().zip(&self.strides) {
            last = last.checked_add(side.checked_sub(1)?.checked_mul(stride)?)?;
        }
        // The largest tensor of VGG19, the kernel of its first dense layer, has 103 million elements.
        last.checked_add(1).filter(|&span| span <= 1 << 28 && self.elements() <= 1 << 28)
    }

    fn elements(&self) -> usize {
        self.shape.iter().fold(1, |product: usize, &side| product.saturating_mul(side))
    }

    /// How far each element lies behind the first one in the storage; the last index varies fastest.
    fn indices(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.elements()).map(|n| {
            let mut rest = n;
            self.shape.iter().zip(&self.strides).rev().fold(0, |at, (&side, &stride)| {
                let index = rest % side;
                rest /= side;
                at + index * stride
            })
        })
    }
}

/// All tensors in a dict and in the dicts that it contains. Their names are joined by dots.
fn views(object: Object) -> Vec<StridedView> {
    fn collect(object: &Object, prefix: &str, depth: usize, found: &mut Vec<StridedView>) {
        let Object::Dict(entries) = object else { return };
        for (key, value) in entries {
            let Object::Unicode(key) = key else { continue };
            let name = format!("{prefix}{key}");
            match view(&name, value) {
                Some(view) => found.push(view),
                None if depth < 8 => collect(value, &format!("{name}."), depth + 1, found),
                None => {}
            }
        }
    }
    let mut found = Vec::new();
    collect(&object, "", 0, &mut found);
    found
}

/// A tensor, or the tensor in a parameter.
fn view(name: &str, object: &Object) -> Option<StridedView> {
    let object = if let Object::Build { callable, .. } = object { callable } else { object };
    let Object::Reduce { callable, args } = object else { return None };
    let (Object::Class { class_name, .. }, Object::Tuple(args)) = (&**callable, &**args) else { return None };
    match class_name.as_str() {
        "_rebuild_tensor" | "_rebuild_tensor_v2" => {}
        // A parameter is built from its tensor. In the first releases it was a variable.
        "_rebuild_parameter" | "_rebuild_parameter_with_state" | "Parameter" | "Variable" => {
            return view(name, args.first()?);
        }
        _ => return None,
    }
    let [Object::PersistentLoad(storage), offset, shape, strides, ..] = &args[..] else { return None };
    let Object::Tuple(storage) = &**storage else { return None };
    let [_, Object::Class { class_name, .. }, Object::Unicode(key), ..] = &storage[..] else { return None };
    let dtype = match class_name.as_str() {
        "FloatStorage" => Dtype::F32,
        "DoubleStorage" => Dtype::F64,
        "HalfStorage" => Dtype::F16,
        "BFloat16Storage" => Dtype::BF16,
        "LongStorage" => Dtype::I64,
        _ => return None,
    };
    let (shape, strides, offset) = (numbers(shape)?, numbers(strides)?, number(offset)?);
    if shape.len() != strides.len() {
        return None;
    }
    Some(StridedView { name: name.into(), shape, strides, offset, storage: key.clone(), dtype })
}

fn number(object: &Object) -> Option<usize> {
    match object {
        Object::Int(n) => usize::try_from(*n).ok(),
        Object::Long(n) => usize::try_from(*n).ok(),
        _ => None,
    }
}

fn numbers(object: &Object) -> Option<Vec<usize>> {
    let Object::Tuple(items) = object else { return None };
    items.iter().map(number).collect()
}

/// The object of the next pickle in `reader`.
fn unpickle(reader: &mut impl BufRead) -> Result<Object, String> {
    let bad = |e: candle_core::Error| format!("has a pickle that is not understood: {e}");
    let plain = plain_pickle(reader)?;
    let mut stack = Stack::empty();
    stack.read_loop(&mut &plain[..]).map_err(bad)?;
    stack.finalize().map_err(bad)
}

/// One pickle up to its end, in the opcodes that [`Stack`] knows: strings of Python 2 become strings of Python 3.
///
/// Also checks the lengths in the pickle, so that no more memory is allocated than the file has bytes.
fn plain_pickle(reader: &mut impl BufRead) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    loop {
        if out.len() as u64 > LONGEST_PICKLE {
            return Err("has a pickle that is too long for the names and shapes of tensors".into());
        }
        let op = take(reader, 1)?[0];
        let (length_bytes, fixed) = argument_size(op);
        let mut length = take(reader, length_bytes)?;
        length.resize(4, 0);
        let count = u64::from(u32::from_le_bytes([length[0], length[1], length[2], length[3]]));
        if length_bytes > 0 && (count > LONGEST_PICKLE || op == 0x8a && count > 8) {
            return Err("has a pickle with a string or number that is too long".into());
        }
        let argument = match op {
            b'c' => line(reader)?.into_iter().chain(line(reader)?).collect(),
            _ => take(reader, count + fixed)?,
        };
        match op {
            b'T' | b'U' | 0x8c => {
                out.push(b'X');
                out.extend(&length);
            }
            _ => {
                out.push(op);
                out.extend(&length[..length_bytes as usize]);
            }
        }
        out.extend(argument);
        if op == b'.' {
            return Ok(out);
        }
    }
}

/// What follows an opcode: how many bytes hold the length of a string or number, and how many bytes follow besides.
fn argument_size(op: u8) -> (u64, u64) {
    match op {
        b'X' | b'T' => (4, 0),
        b'U' | 0x8c | 0x8a => (1, 0),
        b'K' | b'q' | b'h' | 0x80 => (0, 1),
        b'M' => (0, 2),
        b'J' | b'r' | b'j' => (0, 4),
        b'G' => (0, 8),
        _ => (0, 0),
    }
}

fn take(reader: &mut impl BufRead, count: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    reader.take(count).read_to_end(&mut bytes).map_err(cut_off)?;
    if bytes.len() as u64 == count { Ok(bytes) } else { Err("is cut off within a pickle".into()) }
}

fn line(reader: &mut impl BufRead) -> Result<Vec<u8>, String> {
    let mut line = Vec::new();
    reader.take(1000).read_until(b'\n', &mut line).map_err(cut_off)?;
    if line.ends_with(b"\n") { Ok(line) } else { Err("is cut off within a pickle".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// A state dict with one tensor, `features.0.bias`, as Python 2 and the first PyTorch pickled it: strings of bytes,
    /// parameters that are built from a tensor, and tensors without hooks.
    fn first_release(values: &[f32]) -> Vec<u8> {
        let mut file = LEGACY.to_vec();
        file.extend(b"\x80\x02M\xe9\x03.");
        file.extend(b"\x80\x02}q\x00(U\x10protocol_versionq\x01M\xe9\x03U\x0dlittle_endianq\x02\x88u.");
        file.extend(b"\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01U\x0ffeatures.0.biasq\x02");
        file.extend(b"ctorch.nn.parameter\nParameter\nq\x03ctorch._utils\n_rebuild_tensor\nq\x04");
        file.extend(b"((U\x07storageq\x05ctorch\nFloatStorage\nq\x06U\x0a1234567890q\x07U\x03cpuq\x08K\x06NtQ");
        file.extend(b"K\x01K\x02\x85K\x02\x85tR\x85R(\x88\x89Ntbs.");
        file.extend(b"\x80\x02]q\x00U\x0a1234567890q\x01a.");
        file.extend((values.len() as u64).to_le_bytes());
        file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        file
    }

    fn legacy(bytes: &[u8]) -> Result<Pickled, String> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Pickled::of_legacy(file)
    }

    #[test]
    fn files_of_the_first_pytorch_are_read() {
        let mut pickled = legacy(&first_release(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0])).unwrap();
        assert_eq!(pickled.list(), [("features.0.bias".to_string(), vec![2])]);
        assert_eq!(
            pickled.values("features.0.bias").unwrap(),
            [1.0, 3.0],
            "every second value, from the second one on"
        );
    }

    #[test]
    fn damaged_files_are_errors() {
        let whole = first_release(&[0.0; 6]);
        for end in [LEGACY.len() + 2, 60, 150, whole.len() - 30, whole.len() - 1] {
            assert!(legacy(&whole[..end]).is_err(), "{end}");
        }
        let mut endless = whole.clone();
        let count = whole.len() - 6 * 4 - 8;
        endless[count..count + 8].copy_from_slice(&(u64::MAX / 4).to_le_bytes());
        assert!(legacy(&endless).err().unwrap().contains("ends after the file"));
        let mut small = legacy(&first_release(&[0.0; 3])).unwrap();
        assert!(small.values("features.0.bias").unwrap_err().contains("larger than its storage"));
        assert!(plain_pickle(&mut &b"\x80\x02X\xff\xff\xff\xffabc."[..]).is_err());
        assert!(plain_pickle(&mut &b"\x8a\x0a0123456789."[..]).is_err());
        assert!(unpickle(&mut &b"\x80\x02\x99."[..]).is_err());
    }
}
