//! Tells cargo to look at the built pages: they are embedded, and a file that is new there is known to no
//! source. Builds nothing.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // A path that is not there would count as changed for ever; the folder above it shows when it comes.
    let pages = if std::path::Path::new("ui/dist").is_dir() { "ui/dist" } else { "ui" };
    println!("cargo:rerun-if-changed={pages}");
}
