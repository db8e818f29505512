//! Names of outputs that do not collide and are not too long.

use crate::dataset::Frame;
use crate::error::{Error, Result};
use crate::files::digest::short_digest;
use std::collections::HashMap;

/// A relative path in parts.
pub struct NameParts<'a> {
    /// With its closing `/`, or empty.
    folder: &'a str,
    stem: &'a str,
    /// Without its dot.
    pub extension: &'a str,
}

impl<'a> NameParts<'a> {
    /// The parts of a path with `/`.
    pub fn of(relative: &'a str) -> Self {
        let (folder, name) = relative.split_at(relative.rfind('/').map_or(0, |slash| slash + 1));
        let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
        Self { folder, stem, extension }
    }
}

/// The start of the output's path for every frame. They differ also where letter case does not count.
///
/// File names have at most `room` bytes. A longer one is cut and ends with a digest.
///
/// # Errors
/// [`Error::Run`] if two frames cannot be told apart.
pub fn distinct_names(frames: &[Frame], room: usize) -> Result<Vec<String>> {
    let name_at = |level, relative: &str| fitted(name_at(level, relative), relative, room);
    let mut names: Vec<String> = frames.iter().map(|frame| name_at(0, &frame.relative)).collect();
    for level in 1..=2 {
        let mut groups: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, name) in names.iter().enumerate() {
            groups.entry(name.to_lowercase()).or_default().push(index);
        }
        for index in groups.into_values().filter(|group| group.len() > 1).flatten() {
            names[index] = name_at(level, &frames[index].relative);
        }
    }
    let mut seen: HashMap<String, &Frame> = HashMap::new();
    for (name, frame) in names.iter().zip(frames) {
        if let Some(other) = seen.insert(name.to_lowercase(), frame) {
            let (a, b) = (other.path.display(), frame.path.display());
            return Err(Error::Run(format!("{a} and {b} would write the same output; rename one of them")));
        }
    }
    Ok(names)
}

/// The name with as much added as the level says: nothing, the extension, or a digest too.
fn name_at(level: usize, relative: &str) -> String {
    let NameParts { folder, stem, extension } = NameParts::of(relative);
    match level {
        0 => format!("{folder}{stem}"),
        1 => format!("{folder}{stem}_{extension}"),
        _ => format!("{folder}{stem}_{extension}_{}", &short_digest(relative.as_bytes())[..8]),
    }
}

/// `name`, cut so that its part after the last `/` has at most `room` bytes.
fn fitted(name: String, relative: &str, room: usize) -> String {
    let start = name.rfind('/').map_or(0, |slash| slash + 1);
    if name.len() - start <= room {
        return name;
    }
    let end = (start..=start + room.saturating_sub(9)).rev().find(|&end| name.is_char_boundary(end)).unwrap_or(start);
    format!("{}_{}", &name[..end], &short_digest(relative.as_bytes())[..8])
}

#[cfg(test)]
mod tests {
    use crate::config::values::Config;
    use crate::plan::testing::{config, frames, styles};
    use crate::plan::{Job, Plan};
    use std::collections::HashSet;

    #[test]
    fn frames_that_would_write_the_same_output_are_told_apart() {
        let frames = frames(&["x/a.jpg", "x/a.png", "x/b.jpg", "x/C.jpg", "x/c.jpg"]);
        let (config, styles) = (config(), styles(&[1.0]));
        let plan = Plan::new(&config, &frames, &styles).unwrap();
        let names: Vec<_> = plan.jobs.iter().map(|job| job.output.as_str()).collect();
        assert_eq!(&names[..3], ["x/a_jpg__fog-1.jpg", "x/a_png__fog-1.png", "x/b__fog-1.jpg"]);
        assert!(names[3].starts_with("x/C_jpg_") && names[4].starts_with("x/c_jpg_"), "{names:?}");
        for pick in
            [|job: &Job| job.output.to_lowercase(), |job: &Job| job.label_output.clone().unwrap().to_lowercase()]
        {
            assert_eq!(plan.jobs.iter().map(pick).collect::<HashSet<_>>().len(), 5);
        }
        let mut limited = [Plan::new(&config, &frames, &styles).unwrap()];
        Plan::limit(&mut limited, 1);
        assert_eq!(limited[0].jobs, plan.jobs[..1], "a limit changes no name");
    }

    #[test]
    fn frames_that_cannot_be_told_apart_are_refused_with_both_names() {
        let mut twice = frames(&["a.jpg", "a.jpg"]);
        twice[1].path = "/elsewhere/a.jpg".into();
        let (config, styles) = (config(), styles(&[1.0]));
        let error = Plan::new(&config, &twice, &styles).unwrap_err().to_string();
        assert!(error.contains("/ds/a.jpg") && error.contains("/elsewhere/a.jpg"), "{error}");
    }

    #[test]
    fn names_too_long_for_a_file_system_are_cut_and_stay_distinct() {
        let long = "ü".repeat(125);
        let frames = frames(&[format!("x/{long}.jpg"), format!("x/{long}.png"), format!("x/{}.jpg", "a".repeat(200))]);
        let (config, styles) = (Config { variants: 10, ..config() }, styles(&[1.0]));
        let plan = Plan::new(&config, &frames, &styles).unwrap();
        let names: HashSet<&str> = plan.jobs.iter().map(|job| &*job.output).collect();
        assert_eq!(names.len(), 30);
        for job in &plan.jobs {
            let files = [&job.output, job.label_output.as_ref().unwrap()];
            assert!(files.iter().all(|file| file.strip_prefix("x/").unwrap().len() <= 255), "{files:?}");
            assert!(job.output.contains("__fog-"), "{files:?}");
        }
        assert_eq!(plan.jobs[20].output, format!("x/{}__fog-1.jpg", "a".repeat(200)), "what fits stays");
    }
}
