//! `augment report`

use crate::batch::provenance::backbone_text;
use crate::cli::{args, terminal};
use crate::error::{Error, Result};
use crate::files::paths;
use crate::output::manifest::{self, LastRows};
use crate::output::row;
use crate::view::page::{self, Page};
use std::collections::BTreeSet;
use std::path::Path;

/// Runs `augment report OUT…` and returns the exit code.
///
/// # Errors
/// When a folder is not an output, its rows cannot be read, or the page or its thumbnails cannot be written.
pub fn report(args: &args::ReportArgs) -> Result<u8> {
    let path = args.output.clone().unwrap_or_else(|| args.outputs[0].join("report.html"));
    let beside = path.parent().map(Path::to_path_buf).unwrap_or_default();
    let (mut cards, mut made_by) = (Vec::new(), BTreeSet::new());
    for folder in &args.outputs {
        let LastRows { rows, unreadable } = manifest::last_rows(folder)?;
        terminal::warn_of_unreadable(unreadable);
        made_by.extend(rows.iter().map(|row| {
            let row::Producer { device, backbone, engine, .. } = &row.producer;
            // Where nothing was optimized, both are `none`.
            let backbone = match backbone.name == backbone.digest {
                true => String::new(),
                false => format!(", {}", backbone_text(&backbone.name, &backbone.digest)),
            };
            format!("augment {engine}, {device}{backbone}")
        }));
        cards.append(&mut page::cards(rows, folder, &beside, page::PagePictures::Files)?);
    }
    let names: Vec<String> = args.outputs.iter().map(|folder| name_of(folder)).collect();
    let page = Page {
        kind: page::PageKind::Report,
        title: match names.len() {
            0..=3 => names.join(", "),
            many => format!("{} and {} more", names[..3].join(", "), many - 3),
        },
        facts: made_by.into_iter().map(|maker| ("made by".into(), maker)).collect(),
        rows: cards,
    };
    show(&page, &path, args.open)?;
    Ok(0)
}

/// Writes `page` to `path` and prints the path. With `open`, also opens the page in a browser.
///
/// # Errors
/// [`Error::Io`] if the page cannot be written or no browser can be started.
pub fn show(page: &Page, path: &Path, open: bool) -> Result<()> {
    page.write(path)?;
    terminal::print_err(&path.display().to_string());
    if open { open::that_detached(path).map_err(Error::io(path, "open it in a browser")) } else { Ok(()) }
}

/// The name of a folder, also for a path such as `.`; the path itself if the folder has no name, as `/`.
pub fn name_of(folder: &Path) -> String {
    paths::resolve_links(folder)
        .file_name()
        .map_or_else(|| folder.display().to_string(), |name| name.to_string_lossy().into_owned())
}
