//! Prints the header of the C client, made by cbindgen from the sources beside it.

use std::path::Path;

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let config = cbindgen::Config::from_file(folder.join("cbindgen.toml")).expect("a configuration");
    let sources = ["answer", "options", "abi"].map(|file| folder.join(format!("src/{file}.rs")));
    let builder = sources
        .into_iter()
        .fold(cbindgen::Builder::new().with_config(config), |builder, source| builder.with_src(source));
    builder.generate().expect("sources that cbindgen reads").write(std::io::stdout());
}
