//! Finds the test functions of a package by walking its modules from their roots, as the compiler does: a file that no `mod` names
//! is not compiled, and a test in it proves nothing.

use std::{
    fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::shell::Result;

/// The functions of a package by their module paths.
#[derive(Debug, Default)]
pub(crate) struct Tests(Vec<Function>);

#[derive(Debug)]
struct Function {
    modules: Vec<String>,
    name: String,
    is_test: bool,
    ignored: bool,
}

/// What became of the search for one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// It is there and runs.
    Test,
    /// It is there and is switched off.
    Ignored,
    /// It is there and is no test.
    NoTest,
    /// Tests of this name stand under other paths.
    Elsewhere(Vec<String>),
    /// There is none of this name.
    Nowhere,
}

impl Tests {
    /// All functions of the package in `folder`: `src/` under their module paths, `tests/` under `tests::<file>`.
    ///
    /// # Errors
    /// A file that cannot be read, or is not Rust.
    pub(crate) fn of(folder: &Path) -> Result<Self> {
        let mut tests = Self::default();
        let src = folder.join("src");
        for root in ["lib.rs", "main.rs"].map(|name| src.join(name)).into_iter().filter(|root| root.is_file()) {
            tests.file(&root, &src, &mut Vec::new())?;
        }
        let suites = folder.join("tests");
        if suites.is_dir() {
            let entries = fs::read_dir(&suites).map_err(|why| format!("{}: {why}", suites.display()))?;
            for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
                let (root, children) = if path.is_dir() { (path.join("main.rs"), path.clone()) } else { (path.clone(), suites.clone()) };
                let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
                if root.is_file() && root.extension().is_some_and(|end| end == "rs") {
                    tests.file(&root, &children, &mut vec!["tests".to_owned(), name])?;
                }
            }
        }
        Ok(tests)
    }

    /// Looks for one.
    pub(crate) fn find(&self, modules: &[String], name: &str) -> Finding {
        let mut named = self.0.iter().filter(|function| function.name == name);
        match named.clone().find(|function| function.modules == modules) {
            Some(Function { is_test: true, ignored: false, .. }) => Finding::Test,
            Some(Function { is_test: true, .. }) => Finding::Ignored,
            Some(_) => Finding::NoTest,
            None if named.clone().any(|function| function.is_test) => {
                Finding::Elsewhere(named.by_ref().filter(|it| it.is_test).map(|it| it.modules.join("::")).collect())
            }
            None => Finding::Nowhere,
        }
    }

    /// One file; `children` is where the files of its modules lie.
    fn file(&mut self, path: &Path, children: &Path, modules: &mut Vec<String>) -> Result {
        let text = fs::read_to_string(path).map_err(|why| format!("{}: {why}", path.display()))?;
        let tokens = TokenStream::from_str(&text).map_err(|why| format!("{} is not Rust: {why}", path.display()))?;
        self.items(tokens, path.parent().unwrap_or(children), children, modules)
    }

    /// The items of a file or of a module inside one. A `#[path]` counts from `here`: for a file the folder it lies in, whatever its
    /// name, and inside a module the same as `children`.
    fn items(&mut self, tokens: TokenStream, here: &Path, children: &Path, modules: &mut Vec<String>) -> Result {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut attributes = Attributes::default();
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at..] {
                [TokenTree::Punct(hash), TokenTree::Group(group), ..]
                    if hash.as_char() == '#' && group.delimiter() == Delimiter::Bracket =>
                {
                    attributes.add(&group.stream());
                    at += 2;
                    continue;
                }
                [TokenTree::Ident(word), TokenTree::Ident(name), rest @ ..] if *word == "mod" => {
                    self.module(&name.to_string(), rest.first(), &attributes, (here, children), modules)?;
                    at += 2;
                }
                [TokenTree::Ident(word), TokenTree::Ident(name), ..] if *word == "fn" => {
                    let (is_test, ignored) = (attributes.is_test, attributes.ignored);
                    self.0.push(Function { modules: modules.clone(), name: name.to_string(), is_test, ignored });
                    at += 2;
                }
                [TokenTree::Ident(name), TokenTree::Punct(bang), TokenTree::Group(body), ..]
                    if *name == "proptest" && bang.as_char() == '!' =>
                {
                    self.items(body.stream(), here, children, modules)?;
                    at += 3;
                }
                // Between attributes and the item they belong to stand words and groups like `pub(crate) async`; a body or `;` ends it.
                [TokenTree::Ident(_), ..] => {
                    at += 1;
                    continue;
                }
                [TokenTree::Group(group), ..] if group.delimiter() != Delimiter::Brace => {
                    at += 1;
                    continue;
                }
                _ => at += 1,
            }
            attributes = Attributes::default();
        }
        Ok(())
    }

    fn module(
        &mut self,
        name: &str,
        next: Option<&TokenTree>,
        attributes: &Attributes,
        (here, children): (&Path, &Path),
        modules: &mut Vec<String>,
    ) -> Result {
        modules.push(name.to_owned());
        let below = children.join(name);
        match next {
            Some(TokenTree::Group(body)) if body.delimiter() == Delimiter::Brace => self.items(body.stream(), &below, &below, modules)?,
            _ => {
                let usual = [(children.join(format!("{name}.rs")), below.clone()), (below.join("mod.rs"), below)];
                let own = attributes.path.as_ref().map(|path| here.join(path));
                let own = own.map(|path| (path.clone(), path.parent().unwrap_or(children).to_owned()));
                // A module that is missing is the compiler's to report.
                if let Some((path, below)) = own.into_iter().chain(usual).find(|(path, _)| path.is_file()) {
                    self.file(&path, &below, modules)?;
                }
            }
        }
        modules.pop();
        Ok(())
    }
}

/// What the attributes before an item say.
#[derive(Debug, Default)]
struct Attributes {
    is_test: bool,
    ignored: bool,
    path: Option<PathBuf>,
}

impl Attributes {
    fn add(&mut self, attribute: &TokenStream) {
        let tokens: Vec<TokenTree> = attribute.clone().into_iter().collect();
        // `test`, `tokio::test`, `tokio::test(…)`: the last word of the path, before any arguments.
        let words: Vec<String> = tokens
            .iter()
            .take_while(|token| matches!(token, TokenTree::Ident(_)) || matches!(token, TokenTree::Punct(p) if p.as_char() == ':'))
            .filter_map(|token| if let TokenTree::Ident(word) = token { Some(word.to_string()) } else { None })
            .collect();
        match words.last().map(String::as_str) {
            Some("test") => self.is_test = true,
            Some("ignore") if words.len() == 1 => self.ignored = true,
            Some("path") if words.len() == 1 => {
                self.path = tokens.last().map(|token| PathBuf::from(token.to_string().trim_matches('"')));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(text: &str) -> Tests {
        let mut tests = Tests::default();
        let tokens = TokenStream::from_str(text).expect("the sample is Rust");
        tests.items(tokens, Path::new("/nowhere"), Path::new("/nowhere"), &mut Vec::new()).expect("no file is needed");
        tests
    }

    fn find(tests: &Tests, path: &str) -> Finding {
        let mut modules: Vec<String> = path.split("::").map(str::to_owned).collect();
        let name = modules.pop().expect("a path has a last part");
        tests.find(&modules, &name)
    }

    #[test]
    fn a_test_is_a_function_with_a_test_attribute_under_its_own_path() {
        let tests = scan(
            r##"
            fn helper() {}
            /* #[test] fn in_a_comment() {} */
            const TEXT: &str = "#[test] fn in_a_text() {}";
            #[cfg(test)]
            mod tests {
                #[test]
                fn plain() { fn inner() {} }
                #[tokio::test(start_paused = true)]
                #[should_panic(expected = "x")]
                pub(crate) async fn with_runtime() {}
                #[test]
                #[ignore = "slow"]
                fn switched_off() {}
                fn not_one() {}
                #[test]
                const X: u8 = 1;
                fn after_something_else() {}
                mod deeper {
                    proptest! {
                        #![proptest_config(ProptestConfig::with_cases(256))]
                        #[test]
                        fn property(x in 0..9u8) {}
                        fn no_property(x in 0..9u8) {}
                    }
                }
            }
            "##,
        );
        for (path, finding) in [
            ("tests::plain", Finding::Test),
            ("tests::with_runtime", Finding::Test),
            ("tests::deeper::property", Finding::Test),
            ("tests::deeper::no_property", Finding::NoTest),
            ("tests::switched_off", Finding::Ignored),
            ("tests::not_one", Finding::NoTest),
            ("tests::after_something_else", Finding::NoTest),
            ("helper", Finding::NoTest),
            ("in_a_comment", Finding::Nowhere),
            ("in_a_text", Finding::Nowhere),
            ("plain", Finding::Elsewhere(vec!["tests".to_owned()])),
            ("tests::property", Finding::Elsewhere(vec!["tests::deeper".to_owned()])),
        ] {
            assert_eq!(find(&tests, path), finding, "{path}");
        }
    }

    #[test]
    fn modules_are_followed_into_their_files_and_no_others_are_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/rows");
        let tests = Tests::of(&folder).expect("the sample package can be read");
        for (path, finding) in [
            ("tests::at_the_root", Finding::Test),
            ("inner::tests::in_a_file", Finding::Test),
            ("inner::leaf::in_a_folder", Finding::Test),
            ("moved::by_a_path_attribute", Finding::Test),
            ("inner::leaf::tests::beside_its_file_by_a_path_attribute", Finding::Test),
            ("tests::suite::in_a_suite", Finding::Test),
            ("tests::suite::part::in_a_part_of_a_suite", Finding::Test),
            ("tests::folder::in_a_suite_of_its_own_folder", Finding::Test),
            ("orphan::in_no_module", Finding::Nowhere),
        ] {
            assert_eq!(find(&tests, path), finding, "{path}");
        }
    }
}
