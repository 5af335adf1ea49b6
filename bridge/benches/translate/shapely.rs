//! The baseline of `locate`: Python's shapely with an STRtree, on the same boundaries and the same polygons, in a process
//! that is told when to run.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use cap_schema::Point;
use capbridge::translate::geography::Boundaries;

/// The running baseline.
pub struct Shapely {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Shapely {
    /// Starts it; `None` where shapely is not installed (`make bench` does that).
    pub fn start(target: &Path, boundaries: &Boundaries, polygons: &[Vec<Point>]) -> Option<Self> {
        let python = target.join("shapely/bin/python");
        if !python.exists() {
            println!("  shapely: left out, it is not installed in {}", target.join("shapely").display());
            return None;
        }
        let folder = target.join("bench");
        std::fs::create_dir_all(&folder).unwrap();
        let mut text = String::new();
        for (code, rings) in boundaries.outlines() {
            let rings: Vec<String> = rings.iter().map(|ring| ring_text(ring)).collect();
            let _ = writeln!(text, "{code}\t{}", rings.join(";"));
        }
        std::fs::write(folder.join("boundaries.txt"), &text).unwrap();
        let lines: Vec<String> = polygons.iter().map(|polygon| ring_text(polygon)).collect();
        std::fs::write(folder.join("polygons.txt"), lines.join("\n") + "\n").unwrap();
        let mut child = Command::new(python)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/translate/locate.py"))
            .args([folder.join("boundaries.txt"), folder.join("polygons.txt")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut started = Shapely { child, to, from };
        println!("  shapely: {}", started.line());
        Some(started)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// Polygons a second over that time.
    pub fn measure(&mut self, each: Duration) -> f64 {
        writeln!(self.to, "{}", each.as_secs_f64()).unwrap();
        self.line().parse().unwrap()
    }
}

impl Drop for Shapely {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ring_text(ring: &[Point]) -> String {
    ring.iter().map(|p| format!("{} {}", p.lon, p.lat)).collect::<Vec<_>>().join(",")
}
