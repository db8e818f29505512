//! Masks and depths: grey pictures beside a frame or style that say where its regions are and how far each pixel is
//! away.

use crate::error::{Error, Result};
use crate::files::paths::in_place_of_images;
use crate::imageio::decode;
use crate::nst::settings::RegionKind;
use crate::nst::{Plane, Settings, Size};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The path of the mask `name` of an image: the last folder `images` becomes `masks/<name>`, the extension `png`.
/// Without a folder `images`, the folder `x` of the image becomes `x-masks/<name>`.
fn mask_path(image: &Path, name: &str) -> PathBuf {
    beside(image, "masks", Some(name))
}

/// The path of the depth of an image: `depth` in place of `images`, or `x-depth` in place of the folder `x`.
fn depth_path(image: &Path) -> PathBuf {
    beside(image, "depth", None)
}

/// The paths of the masks and the depth that the settings ask for, whether they exist or not.
pub struct Paths {
    /// In the order of the settings.
    pub masks: Vec<PathBuf>,
    pub depth: Option<PathBuf>,
}

impl Paths {
    /// The paths for the image at this path.
    pub fn of(image: &Path, settings: &Settings) -> Self {
        let masks = match &settings.regions {
            RegionKind::Masks(names) => names.iter().map(|name| mask_path(image, name)).collect(),
            _ => Vec::new(),
        };
        Self { masks, depth: settings.reads_surfaces().then(|| depth_path(image)) }
    }

    /// The masks and then the depth.
    pub fn all(self) -> impl Iterator<Item = PathBuf> {
        self.masks.into_iter().chain(self.depth)
    }
}

/// What to tell of each mask that the settings name and none of the images has.
pub fn missing_everywhere<'a>(images: impl Iterator<Item = &'a Path> + Clone, settings: &Settings) -> Vec<String> {
    let RegionKind::Masks(names) = &settings.regions else { return Vec::new() };
    let is_missing = |name: &&String| !images.clone().any(|image| mask_path(image, name).is_file());
    let told = |name: &String| {
        let expected = images.clone().next().map(|image| format!(", such as {}", mask_path(image, name).display()));
        format!(
            "no frame has a mask `{name}`{}; without it, that region is a part of the rest",
            expected.unwrap_or_default()
        )
    };
    names.iter().filter(is_missing).map(told).collect()
}

/// The path of `image` with the folder `<kind>/<name>` in place of `images`, or else beside the image's own folder.
fn beside(image: &Path, kind: &str, name: Option<&str>) -> PathBuf {
    let within = |folder: &OsStr| PathBuf::from(folder).join(name.unwrap_or_default());
    let path = in_place_of_images(image, &within(kind.as_ref())).unwrap_or_else(|| {
        let own = image.parent().unwrap_or(Path::new(""));
        let mut folder = own.file_name().unwrap_or_default().to_os_string();
        folder.push("-");
        folder.push(kind);
        own.with_file_name(within(&folder)).join(image.file_name().unwrap_or_default())
    });
    path.with_extension("png")
}

/// The content of the masks and the depth of one image. Each file is read once.
pub struct Maps {
    /// In the order of the settings.
    pub masks: Vec<MapFile>,
    pub depth: Option<MapFile>,
}

/// One mask or depth.
pub struct MapFile {
    pub path: PathBuf,
    /// `None` if there is no such file.
    pub content: Option<Vec<u8>>,
}

impl Maps {
    /// Reads the files that the settings ask for and that exist.
    ///
    /// # Errors
    /// See [`decode::read`].
    pub fn read(image: &Path, settings: &Settings) -> Result<Self> {
        let paths = Paths::of(image, settings);
        let masks = paths.masks.into_iter().map(MapFile::read).collect::<Result<_>>()?;
        Ok(Self { masks, depth: paths.depth.map(MapFile::read).transpose()? })
    }

    /// The masks and then the depth.
    pub fn all(&self) -> impl Iterator<Item = &MapFile> {
        self.masks.iter().chain(&self.depth)
    }
}

impl MapFile {
    fn read(path: PathBuf) -> Result<Self> {
        let content = path.exists().then(|| decode::read(&path)).transpose()?;
        Ok(Self { path, content })
    }

    /// The map, scaled to its picture's `size`, with values in 0..1; `None` if there is no such file.
    ///
    /// # Errors
    /// [`Error::BadFile`] if it cannot be decoded or its aspect ratio is not the picture's.
    pub fn decode(&self, size: Size) -> Result<Option<Plane>> {
        Ok(self.of_picture(size)?.map(|map| map.resized(size)))
    }

    /// The same for a depth, of which 0 is infinitely far.
    ///
    /// # Errors
    /// As [`MapFile::decode`].
    pub fn decode_depth(&self, size: Size) -> Result<Option<Plane>> {
        Ok(self.of_picture(size)?.map(|map| map.resized_distances(size)))
    }

    /// The map at its own size, with values in 0..1.
    fn of_picture(&self, size: Size) -> Result<Option<Plane>> {
        self.content.as_ref().map(|content| decode_map(&self.path, content, size)).transpose()
    }
}

/// `size` is that of the picture.
fn decode_map(path: &Path, bytes: &[u8], size: Size) -> Result<Plane> {
    let image = decode::decode_grey_bytes(path, bytes)?;
    let own = Size::of(&image);
    // Scaling a picture rounds each side by up to a pixel.
    let (wide, high) = (own.width as f64 / size.width as f64, own.height as f64 / size.height as f64);
    if (wide - high).abs() > 1.0 / size.width.min(size.height) as f64 + 0.01 * wide {
        let message = format!(
            "at {}x{} it has another aspect than its picture, which is {}x{}",
            own.width, own.height, size.width, size.height
        );
        return Err(Error::bad_file(path, message));
    }
    let data = image.into_raw().into_iter().map(|v| v as f32 / u16::MAX as f32).collect();
    Ok(Plane::new(own, data))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    #[test]
    fn masks_and_depths_lie_beside_the_folder_images_or_the_images_own_folder() {
        let path = |image: &str| (mask_path(image.as_ref(), "sky"), depth_path(image.as_ref()));
        let both = |mask: &str, depth: &str| (PathBuf::from(mask), PathBuf::from(depth));
        assert_eq!(path("/d/images/train/a.b.jpg"), both("/d/masks/sky/train/a.b.png", "/d/depth/train/a.b.png"));
        assert_eq!(path("/images/x/images/a.jpg"), both("/images/x/masks/sky/a.png", "/images/x/depth/a.png"));
        assert_eq!(path("/styles/fog/a.jpg"), both("/styles/fog-masks/sky/a.png", "/styles/fog-depth/a.png"));
    }

    #[test]
    fn a_mask_is_scaled_to_its_picture_and_must_have_its_aspect_ratio() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("a.png");
        let read = |path: &Path, size: Size| MapFile::read(path.to_path_buf()).unwrap().decode(size);
        assert!(read(&path, Size { height: 4, width: 4 }).unwrap().is_none());
        image::GrayImage::from_fn(8, 4, |x, _| image::Luma([if x < 4 { 0 } else { 255 }])).save(&path).unwrap();
        let mask = read(&path, Size { height: 8, width: 16 }).unwrap().unwrap();
        assert_eq!((mask.at(0, 0), mask.at(7, 15)), (0.0, 1.0));
        let error = read(&path, Size { height: 16, width: 16 }).unwrap_err().to_string();
        assert!(error.contains("a.png") && error.contains("aspect"), "{error}");
        std::fs::write(&path, "no picture").unwrap();
        assert!(read(&path, Size { height: 8, width: 16 }).is_err());
    }
}
