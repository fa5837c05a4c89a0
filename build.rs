//! Makes cargo watch the built pages: they are embedded, and no source names a file that is new there. Builds
//! nothing.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // A missing path would count as changed for ever; watching the parent folder shows when `dist` appears.
    let pages = if std::path::Path::new("ui/dist").is_dir() { "ui/dist" } else { "ui" };
    println!("cargo:rerun-if-changed={pages}");
}
