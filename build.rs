//! Builds again when a file of the shipped adapters comes or goes; their contents the compiler watches by itself.

fn main() {
    println!("cargo::rerun-if-changed=adapters");
}
