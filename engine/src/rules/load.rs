//! Loading: all files of a set at once, all or nothing.

use super::check::{self, Checked};
use super::compile::Program;
use super::diagnostic::{Code, Diagnostic};
use super::evaluate::Gates;
use super::example::{Example, Stage};
use super::expression::{self, Expr};
use super::file::{self, Draft, RuleFile};
use super::index::contradicts;
use super::ir::Test;
use super::lists::{Library, Lists};
use super::reasons::{self, ReasonTable};
use super::set::{Location, Mode, Rule, RuleSet, set_cost};
use super::settings::Settings;
use super::sources::{Position, Sources, Span};
use super::{digest, lint, yaml};
use crate::limits::{READINGS_MAX, RULES_MAX, SET_COST_MAX};
use crate::velocity::spec::Plan;
use sparr_protocol::response::ReasonCode;
use sparr_protocol::text::nearest;
use std::collections::{BTreeSet, HashMap};

/// What became of loading.
#[derive(Debug)]
pub struct Loaded {
    /// The set; none where any finding is an error.
    pub set: Option<RuleSet>,
    /// Every finding: all errors of all files, or the warnings about a set that loads. By file and place.
    pub diagnostics: Vec<Diagnostic>,
}

/// Every error of every file at once, or the rule set together with its warnings.
pub fn load(sources: &Sources) -> Loaded {
    load_without(sources, &BTreeSet::new())
}

/// Stands for every rule among those that are switched off. No rule can be called so.
pub const EVERY_RULE: &str = "*";

/// The same, with some rules switched off whatever their files say. A name that no rule has switches nothing off.
pub fn load_without(sources: &Sources, killed: &BTreeSet<String>) -> Loaded {
    loaded(sources, killed, Contradictions::Refused)
}

/// The same for conditions made at random, of which some contradict themselves.
#[cfg(test)]
pub(super) fn load_whatever(sources: &Sources) -> Loaded {
    loaded(sources, &BTreeSet::new(), Contradictions::Loaded)
}

/// What becomes of conditions that contradict themselves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Contradictions {
    Refused,
    #[cfg(test)]
    Loaded,
}

fn loaded(sources: &Sources, killed: &BTreeSet<String>, contradictions: Contradictions) -> Loaded {
    let mut report = Vec::new();
    let set = attempt(sources, killed, contradictions, &mut report);
    report.sort_by_key(|diagnostic| diagnostic.primary.at);
    Loaded { set, diagnostics: report }
}

/// A rule on its way: its draft, and as much as was understood of it.
struct Candidate<'a> {
    draft: &'a Draft<'a>,
    reason: Option<ReasonCode>,
    expr: Option<Expr>,
    checked: Option<Checked>,
    /// Number of the condition in its group's program.
    compiled: Option<usize>,
}

/// Rules that are evaluated together: those in use, or those that are off, which must not cost the others anything.
#[derive(Default)]
struct Group {
    plan: Plan,
    program: Program,
}

/// What candidates are checked against, and what they ask of it.
struct Workshop {
    reasons: ReasonTable,
    library: Library,
    settings: Settings,
    live: Group,
    parked: Group,
}

fn attempt(
    sources: &Sources,
    killed: &BTreeSet<String>,
    contradictions: Contradictions,
    report: &mut Vec<Diagnostic>,
) -> Option<RuleSet> {
    let all: Vec<_> = sources.files().collect();
    let (rule_files, others) = all.split_at(sources.rules.len());
    let ((reasons_id, reasons_file), list_files) = others.split_last()?;

    let trees: Vec<_> = rule_files
        .iter()
        .filter_map(|(id, file)| Some((*id, file, yaml::parse(*id, &file.text, report)?)))
        .collect();
    let mut files: Vec<RuleFile<'_>> =
        trees.iter().map(|(id, file, tree)| file::read(*id, &file.text, tree, report)).collect();
    for draft in files.iter_mut().flat_map(|file| &mut file.rules) {
        if killed.contains(draft.id) || killed.contains(EVERY_RULE) {
            draft.mode = Mode::Off;
        }
    }
    let mut workshop = Workshop {
        reasons: reasons::read(*reasons_id, &reasons_file.text, report),
        library: Library::read(list_files.iter().copied(), report),
        settings: settings(&files, report),
        live: Group::default(),
        parked: Group::default(),
    };
    let drafts: Vec<&Draft<'_>> = files.iter().flat_map(|file| &file.rules).collect();
    check_names(&drafts, report);
    let candidates: Vec<_> =
        drafts.into_iter().map(|draft| candidate(draft, &mut workshop, report)).collect();

    let before = errors(report);
    let lists = workshop.library.build(&workshop.settings.zone, report);
    if errors(report) == before {
        try_examples(&candidates, &workshop, &lists, report);
    }
    if contradictions == Contradictions::Refused {
        check_contradictions(&candidates, &workshop, report);
    }
    check_bounds(&candidates, &workshop.live, report);
    if candidates.is_empty() && errors(report) == 0 {
        // Nothing would ever be objected to but what people's flags ask for. Where no file says so in words, a folder
        // that was mounted empty is likelier than a decision.
        let (first, _) = all[0];
        let (code, at) = match files.iter().find_map(|file| file.says_none) {
            Some(said) => (Code::NoRules, said),
            None => (Code::MissingKey, Span::new(first, 0..0)),
        };
        report.push(Diagnostic::new(code, at, "the set holds no rules"));
    }
    if errors(report) > 0 { None } else { assemble(sources, candidates, workshop, lists, report) }
}

fn errors(report: &[Diagnostic]) -> usize {
    report.iter().filter(|diagnostic| diagnostic.is_error()).count()
}

/// The `set:` group of the one file that has it.
fn settings(files: &[RuleFile<'_>], report: &mut Vec<Diagnostic>) -> Settings {
    let mut groups = files.iter().filter_map(|file| file.settings.as_ref());
    let Some((settings, first)) = groups.next() else { return Settings::default() };
    for (_, at) in groups {
        let (here, there) = (Span { end: at.start, ..*at }, Span { end: first.start, ..*first });
        report.push(
            Diagnostic::new(Code::Settings, here, "one file of a set has the group `set`")
                .also(there, "it is here already"),
        );
    }
    settings.clone()
}

/// Every rule has a name of its own.
fn check_names(drafts: &[&Draft<'_>], report: &mut Vec<Diagnostic>) {
    let mut known: HashMap<&str, Span> = HashMap::new();
    for draft in drafts.iter().filter(|draft| !draft.id.is_empty()) {
        match known.get(draft.id) {
            Some(first) => report.push(
                Diagnostic::new(
                    Code::DuplicateId,
                    draft.at,
                    format!("a second rule is called `{}`", draft.id),
                )
                .also(*first, "the first one"),
            ),
            None => drop(known.insert(draft.id, draft.at)),
        }
    }
}

fn candidate<'a>(
    draft: &'a Draft<'a>,
    workshop: &mut Workshop,
    report: &mut Vec<Diagnostic>,
) -> Candidate<'a> {
    let reason = draft.reason.and_then(|(name, at)| reason(name, at, &workshop.reasons, report));
    let mut candidate = Candidate { draft, reason, expr: None, checked: None, compiled: None };
    let Some(source) = &draft.when else { return candidate };
    candidate.expr = expression::parse(source, report);
    let Some(expr) = &candidate.expr else { return candidate };
    let Workshop { library, live, parked, .. } = workshop;
    let group = if draft.mode == Mode::Off { parked } else { live };
    candidate.checked = check::check(source, expr, library, &mut group.plan, report);
    let Some(Checked { condition, .. }) = &candidate.checked else { return candidate };
    if let Some(action) = draft.action {
        check::check_separation(source, condition, action, report);
    }
    candidate.compiled = Some(group.program.add(condition));
    candidate
}

/// The number of a rule's reason.
fn reason(name: &str, at: Span, reasons: &ReasonTable, report: &mut Vec<Diagnostic>) -> Option<ReasonCode> {
    if reasons::is_built_in(name) {
        report.push(
            Diagnostic::new(Code::Reason, at, format!("the engine itself gives the reason `{name}`"))
                .help("a rule gives a reason of its own, so that the two can be told apart"),
        );
        return None;
    }
    let reason = reasons.named(name);
    if reason.is_none() {
        let names = reasons.iter().map(|reason| reason.name.as_str());
        let near = nearest(name, names.filter(|name| !reasons::is_built_in(name)));
        let diagnostic = Diagnostic::new(Code::Reason, at, format!("no reason is called `{name}`"));
        report.push(match near {
            Some(_) => diagnostic.did_you_mean(near),
            None => diagnostic.help("reasons are named in reasons.toml; a new one takes a new number"),
        });
    }
    reason.map(|reason| reason.code)
}

/// The set as a whole fits what an engine evaluates in time.
fn check_bounds(candidates: &[Candidate<'_>], live: &Group, report: &mut Vec<Diagnostic>) {
    let Some(last) = candidates.last() else { return };
    let mut bound = |count: usize, most: usize, what: &str| {
        if count > most {
            let message = format!("the set has {count} {what}; at most {most}");
            report.push(Diagnostic::new(Code::SetBounds, last.draft.at, message));
        }
    };
    bound(candidates.len(), RULES_MAX, "rules");
    bound(live.plan.readings(), READINGS_MAX, "different velocity readings");
    let evaluated = candidates.iter().filter(|candidate| candidate.draft.mode != Mode::Off).count();
    bound(set_cost(&live.program, evaluated) as usize, SET_COST_MAX as usize, "distinct questions and rules");
}

/// No condition can be false whatever the request is.
fn check_contradictions(candidates: &[Candidate<'_>], workshop: &Workshop, report: &mut Vec<Diagnostic>) {
    for Candidate { draft, checked, .. } in candidates {
        let (Some(source), Some(Checked { condition, .. })) = (&draft.when, checked) else { continue };
        let group = if draft.mode == Mode::Off { &workshop.parked } else { &workshop.live };
        if !matches!(condition.is, Test::Constant(_)) && contradicts(condition, &group.program) {
            let message = format!("the condition of `{}` contradicts itself: it can never hold", draft.id);
            report.push(Diagnostic::new(Code::Unsatisfiable, source.whole(), message).help(
                "what is joined by `&&` must be able to hold at the same time; \"or\" is written `||`",
            ));
        }
    }
}

/// Every example against its own rule, by the closures that will decide.
fn try_examples(
    candidates: &[Candidate<'_>],
    workshop: &Workshop,
    lists: &Lists,
    report: &mut Vec<Diagnostic>,
) {
    let rates = workshop.settings.rates();
    for Candidate { draft, checked, compiled, .. } in candidates {
        let group = if draft.mode == Mode::Off { &workshop.parked } else { &workshop.live };
        if let (Some(source), Some(checked), Some(compiled)) = (&draft.when, checked, compiled) {
            let stage = Stage {
                source,
                condition: &checked.condition,
                compiled: *compiled,
                kinds: draft.kinds,
                plan: &group.plan,
                program: &group.program,
                lists,
                rates: &rates,
                zone: &workshop.settings.zone,
            };
            Example::run_all(&draft.examples, &stage, report);
        }
    }
}

/// Where the rules stand. Those of a file stand together, in its order.
fn locations(sources: &Sources, candidates: &[Candidate<'_>]) -> Vec<(Location, usize)> {
    let files = candidates.chunk_by(|one, other| one.draft.at.file == other.draft.at.file);
    files
        .flat_map(|rules| {
            let file = sources.file(rules[0].draft.at.file);
            let positions = file.positions(rules.iter().map(|rule| rule.draft.at.start));
            let location =
                |at: Position| Location { file: file.name.clone(), line: at.line, column: at.column };
            let when = |rule: &Candidate<'_>| {
                let first = rule.draft.when.as_ref().map(|source| source.whole().start);
                first.unwrap_or(rule.draft.at.start)
            };
            // Keys of a rule may stand in any order, but its condition is never above the rule before it.
            let mut starts: Vec<_> = rules.iter().map(when).collect();
            starts.sort_unstable();
            let lines = file.positions(starts.into_iter()).into_iter().map(|at| at.line);
            positions.into_iter().map(location).zip(lines).collect::<Vec<_>>()
        })
        .collect()
}

/// Puts the set together, and says what loads but was probably not meant.
fn assemble(
    sources: &Sources,
    candidates: Vec<Candidate<'_>>,
    workshop: Workshop,
    lists: Lists,
    report: &mut Vec<Diagnostic>,
) -> Option<RuleSet> {
    let Workshop { reasons, library, settings, live, .. } = workshop;
    let mut rules = Vec::with_capacity(candidates.len());
    let mut exprs = Vec::with_capacity(candidates.len());
    let mut places = Vec::with_capacity(candidates.len());
    let mut gates = Gates::default();
    let mut locations = locations(sources, &candidates).into_iter();
    for (at, Candidate { draft, reason, expr, checked, compiled }) in candidates.into_iter().enumerate() {
        let Checked { condition, cost } = checked?;
        let source = draft.when.as_ref()?;
        let (location, when_line) = locations.next()?;
        let rule = Rule {
            id: draft.id.into(),
            description: draft.description.into(),
            owner: draft.owner.map(Into::into),
            mode: draft.mode,
            rollout: draft.rollout,
            action: draft.action?,
            reason: reason?,
            kinds: draft.kinds,
            expires: draft.expires.map(|(day, _)| day),
            when: source.text.clone(),
            when_line,
            cost,
            reads_indicators: check::reads_indicators(&condition),
            location,
            expires_at: draft.expires.map(|(_, at)| at),
            condition,
        };
        gates.add(at, &rule, compiled?, &settings.zone);
        lint::rule(draft, source, &rule, report);
        rules.push(rule);
        exprs.push(expr?);
        places.push(draft.at);
    }
    gates.build(&live.program);
    lint::duplicates(&rules, &places, report);
    lint::covered(&rules, &places, report);
    lint::unused(&library, report);
    let mut forms: Vec<_> = rules.iter().zip(&exprs).collect();
    let mut used: Vec<_> = library.used().collect();
    let digest = digest::digest(&mut forms, &mut used, &reasons, &settings);
    Some(RuleSet {
        ids: rules.iter().map(|rule| rule.id.clone()).collect(),
        rules,
        reasons,
        lists,
        program: live.program,
        gates,
        plan: live.plan,
        thresholds: settings.thresholds,
        rates: settings.rates(),
        rates_date: settings.rates_date,
        zone: settings.zone,
        digest,
    })
}
