"""Find every patch: ``patches`` and ``patches.txt`` of each installed app."""

from __future__ import annotations

import heapq
import inspect
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from django.apps import AppConfig, apps
from django.core.checks import ERROR, CheckMessage

from ..checks.faults import fault
from ..exceptions import SpecError, UnknownLabel
from ..utils.wording import guess, suggest
from .attributes import check_attributes, check_phases, check_schema_names
from .definition import Definition
from .faulty import Faulty
from .modules import Named, at_path, has_execute, import_part, name_of, patches_of
from .patch import Patch
from .patches_txt import Line, read
from .statements import statement_patch

PATCHES: Final = "patches"
PATCHES_TXT: Final = "patches.txt"

#: Its modules called patches are those of this room.
_PACKAGE: Final = __package__.partition(".")[0]

#: What is recorded of a patch without a comment in patches.txt.
FIRST_REVISION: Final = "1"
#: As long as the column of the ledger.
_LONGEST_REVISION = 100
#: Of a revision in the name of a patch.
_LONGEST_WORD = 20


@dataclass(frozen=True, slots=True)
class Patches:
    """Patches in the order in which they run; each is found by its label."""

    definitions: tuple[Definition, ...] = ()
    _by_label: Mapping[str, Definition] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_label = {each.label: each for each in self.definitions}
        object.__setattr__(self, "_by_label", by_label)

    def __iter__(self) -> Iterator[Definition]:
        return iter(self.definitions)

    def __len__(self) -> int:
        return len(self.definitions)

    def __contains__(self, label: object) -> bool:
        return label in self._by_label

    def __getitem__(self, label: str) -> Definition:
        return self._by_label[label]

    def select(self, labels: Collection[str] = ()) -> Patches:
        """Return the named patches, or those of the named apps; all without a name.

        Raises :exc:`UnknownLabel` for a label that names nothing.
        """
        known = sorted({each.label for each in self} | {each.app_label for each in self})
        for label in labels:
            if label not in known:
                raise UnknownLabel(f"No app or patch is called {label!r}.{suggest(label, known)}")
        return Patches(
            tuple(
                each
                for each in self
                if not labels or each.label in labels or each.app_label in labels
            )
        )


@dataclass(frozen=True, slots=True)
class Found:
    """What there is, and what is wrong with it."""

    patches: Patches
    faults: tuple[CheckMessage, ...]


def discover() -> Patches:
    """Every patch of every installed app, in the order in which they run.

    Apps come as in ``INSTALLED_APPS``, the patches of one as its patches.txt has them, else by the
    names of its modules; then ``depends_on`` puts off what waits for others.

    Raises :exc:`SpecError` with every fault, each with its place.
    """
    found = find()
    errors = [each for each in found.faults if each.level >= ERROR and not each.is_silenced()]
    if errors:
        listed = "\n".join(f"  {each}" for each in errors)
        raise SpecError(f"The patches have faults, nothing was run:\n{listed}")
    return found.patches


def find() -> Found:
    """As :func:`discover`; what is wrong is told by the value and raises nothing."""
    faults: list[CheckMessage] = []
    definitions: list[Definition] = []
    for app in apps.get_app_configs():
        if app.module is not None and app.name != _PACKAGE:
            finder = _Finder(app)
            finder.find()
            definitions += finder.definitions
            faults += finder.faults
    once = list(_once(definitions, faults))
    faults += (message for each in once for message in check_attributes(each))
    faults += check_schema_names(once)
    faults += check_phases(once)
    return Found(Patches(tuple(_in_order(once, faults))), tuple(faults))


class _Finder:
    """Finds the patches of one app."""

    def __init__(self, app: AppConfig) -> None:
        self._app = app
        self._folder = Path(app.path)
        self._package = f"{app.name}.{PATCHES}"
        self.definitions: list[Definition] = []
        self.faults: list[CheckMessage] = []

    def find(self) -> None:
        """Read patches.txt, or else whatever the modules define.

        Other packages have a module of that name, too, which is imported at its own time: so there
        has to be a sign that it is for us.
        """
        txt = self._folder / PATCHES_TXT
        files = _module_files(self._package, self._folder)
        if txt.is_file():
            self._read(txt, files)
        elif any(
            _OURS.search(text) or _DECLARES.search(text) for text in map(_text, files.values())
        ):
            self._import(files)
        else:
            self._tell_executes(name for name, file in files.items() if _is_frappes(file))

    def _import(self, files: Mapping[str, Path]) -> None:
        executes = []
        for name in files:
            try:
                module = import_part(name)
            except Faulty as faulty:
                self.faults.append(faulty.message(name))
                continue
            for variable, patch in patches_of(module).items():
                named = Named(name_of(patch, variable), patch)
                self._add(named, str(patch.revision), place_of(patch))
            if has_execute(module):
                executes.append(name)
        self._tell_executes(executes)

    def _read(self, txt: Path, files: Mapping[str, Path]) -> None:
        """Each line in turn; what is wrong with one hides no other."""
        try:
            content = read(txt.read_bytes())
        except OSError as error:
            problem = f"{txt} cannot be read: {error.strerror}."
            self.faults.append(fault("E080", self._app.label, problem=problem))
            return
        for number, faulty in content.faults:
            self.faults.append(faulty.message(f"{txt}, line {number}"))
        for line in content.lines:
            place = f"{txt}, line {line.number}"
            try:
                for named in _patches_of(line, txt):
                    self._add(named, _revision(named, line), place, line.phase)
            except Faulty as faulty:
                self.faults.append(faulty.message(place))
        self._tell_unlisted(files, {line.text for line in content.lines})

    def _add(self, named: Named, revision: str, place: str, phase: str | None = None) -> None:
        patch, label = named.patch, self._app.label
        if phase and patch.phase not in (None, phase):
            self.faults.append(fault("W087", place, phase=patch.phase, section=phase))
        self.definitions.append(
            Definition(
                app_label=label,
                name=named.name.removeprefix(f"{self._package}."),
                revision=revision,
                title=" ".join(inspect.cleandoc(patch.__doc__ or "").partition("\n\n")[0].split()),
                patch=patch,
                folder=self._folder,
                place=place,
                replaces=_labels(patch.replaces, label),
                depends_on=_labels(patch.depends_on, label),
                phase=patch.phase or phase,
            )
        )

    def _tell_executes(self, modules: Iterable[str]) -> None:
        if listed := ", ".join(modules):
            self.faults.append(fault("W080", self._app.label, modules=listed, file=PATCHES_TXT))

    def _tell_unlisted(self, files: Mapping[str, Path], lines: Collection[str]) -> None:
        """What no line names; a module that nothing imported is only read."""
        used = {each.patch for each in self.definitions}
        executes = []
        for name, file in files.items():
            if name in lines:
                continue
            module = sys.modules.get(name)
            if module is None:
                unlisted = [name] if _DECLARES.search(_text(file)) else []
            else:
                patches = patches_of(module).items()
                unlisted = [f"{name}.{each}" for each, patch in patches if patch not in used]
            self.faults += [fault("W081", path, file=PATCHES_TXT) for path in unlisted]
            if _is_frappes(file) and f"{name}.execute" not in lines:
                executes.append(name)
        self._tell_executes(executes)


_OURS = re.compile(r"^\s*(?:from|import) data_migration\b", re.M)
_FRAPPES = re.compile(r"^def execute\(", re.M)
_DECLARES = re.compile(r"^class \w+\([^)]*Patch\b|^@patch\b|\b(?:LoadFixture|RunSQL)\(", re.M)


def _text(file: Path) -> str:
    return file.read_text("utf-8", errors="replace")


def _is_frappes(file: Path) -> bool:
    """Whether it looks like a module of Frappe's kind, without a look into it by Python."""
    text = _text(file)
    return bool(_FRAPPES.search(text)) and not re.search(r"^@patch\b.*\ndef execute\(", text, re.M)


def _module_files(package: str, folder: Path) -> dict[str, Path]:
    """The modules of ``patches``, by name: in the order of their names, 2 before 10."""
    root = folder / PATCHES
    single = folder / f"{PATCHES}.py"
    if single.is_file() and not (root / "__init__.py").is_file():
        return {package: single}
    found: dict[str, Path] = {}
    for file in root.rglob("*.py"):
        parts = file.relative_to(root).with_suffix("").parts
        if "tests" not in parts:
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            found[".".join([package, *parts])] = file
    return dict(sorted(found.items(), key=lambda item: _natural(item[0])))


def _natural(name: str) -> list[list[tuple[bool, int, str]]]:
    return [
        [(bool(word), int(digits or 0), word) for digits, word in _PARTS.findall(part)]
        for part in name.split(".")
    ]


_PARTS = re.compile(r"(\d+)|(\D+)")


def _patches_of(line: Line, txt: Path) -> list[Named]:
    """Raises :exc:`Faulty`."""
    if not line.is_statement:
        return at_path(line.text)
    patch = statement_patch(
        line.text, written=line.written, file=txt, line=line.number, column=line.column
    )
    return [Named(f"execute_{_short_digest(line.text)}", patch, is_ours=False)]


def _revision(named: Named, line: Line) -> str:
    """The comment of the line; behind its own revision, where a patch has one.

    So a comment "1" is another revision than none.
    """
    revision = line.comment or FIRST_REVISION
    if line.comment and (named.is_ours or set(line.comment.split()) == {FIRST_REVISION}):
        revision = f"{named.patch.revision} {line.comment}"
    elif named.is_ours:
        revision = str(named.patch.revision)
    if len(revision) <= _LONGEST_REVISION:
        return revision
    return f"{revision[: _LONGEST_REVISION - 9]}~{_short_digest(revision)}"


def _labels(names: Any, app_label: str) -> tuple[str, ...]:
    """Names without an app are of this one. What is no name is for a check to speak of."""
    listed = names if isinstance(names, (list, tuple, set, frozenset)) else ()
    return tuple(
        name if "." in name else f"{app_label}.{name}" for name in listed if isinstance(name, str)
    )


def place_of(patch: type[Patch]) -> str:
    """File and line, as far as they are known."""
    function = vars(patch).get("function")
    try:
        if isinstance(function, staticmethod):
            code = inspect.unwrap(function.__func__).__code__
            return f"{code.co_filename}, line {code.co_firstlineno}"
        file = inspect.getsourcefile(sys.modules[patch.__module__])
        return f"{file}, line {inspect.findsource(patch)[1] + 1}"
    except (OSError, TypeError):  # made at run time
        return patch.__module__


def _once(definitions: Iterable[Definition], faults: list[CheckMessage]) -> Iterator[Definition]:
    """Each patch once, under a name of its own.

    A line that was written again with another comment is the same patch in another revision. The
    last of them bears the name; those before it are called by their revisions as well, and count
    as done if they were when they stood alone.
    """
    targets: dict[tuple[Any, str], Definition] = {}
    named: dict[str, list[Definition]] = {}
    for each in definitions:
        target = (_target(each.patch), each.revision)
        same = named.setdefault(each.label.casefold(), [])
        if target in targets:
            other = targets[target]
            faults.append(fault("W083", each.place, label=other.label, place=other.place))
        elif any(_target(one.patch) != target[0] or one.label != each.label for one in same):
            other = same[0]
            faults.append(fault("E091", each.place, label=other.label, place=other.place))
        else:
            targets[target] = each
            same.append(each)
    for each in targets.values():
        for label in each.replaces:
            for other in named.get(label.casefold(), ())[:1]:
                faults.append(fault("E091", each.place, label=other.label, place=other.place))
        revisions = named[each.label.casefold()]
        index = revisions.index(each)
        earlier = [_repeated(one).label for one in revisions[:index]][-1:]
        if each is not revisions[-1]:
            each = _repeated(each)
        yield replace(each, depends_on=(*each.depends_on, *earlier))


def _repeated(definition: Definition) -> Definition:
    """``fill@2020-01-31`` for the patch ``fill`` in that revision; ``fill@again-1a2b3c4d`` where a
    revision is not fit for a name as it is.
    """
    revision = definition.revision
    word = re.sub(r"[^\w.-]+", "_", revision)[:_LONGEST_WORD].strip("_")
    if word != revision:
        word = f"{word}-{_short_digest(revision)}"
    return replace(definition, name=f"{definition.name}@{word}", replaces=(definition.label,))


def _short_digest(text: str) -> str:
    return blake2b(text.encode(errors="replace"), digest_size=4).hexdigest()


def _target(patch: type[Patch]) -> Any:
    """What it runs, whichever line names it."""
    said = vars(patch)
    function, module = said.get("function"), said.get("module")
    plain = function.__func__ if isinstance(function, staticmethod) else None
    if module is not None and plain.__module__ != module.__name__:
        return module  # it imports the function, as others may
    return said.get("statement") or plain or patch


def _in_order(definitions: list[Definition], faults: list[CheckMessage]) -> Iterator[Definition]:
    """Each as early as it was found, and after what it depends on."""
    place = {each.label: number for number, each in enumerate(definitions)}
    waits: dict[str, set[str]] = {}
    for each in definitions:
        waits[each.label] = {label for label in each.depends_on if label in place}
        for label in each.depends_on:
            if label not in place:
                suggestion = guess(label, place)
                faults.append(fault("E092", each.label, needed=label, suggestion=suggestion))
    ready = [place[label] for label, needed in waits.items() if not needed]
    heapq.heapify(ready)
    done: set[str] = set()
    while ready:
        definition = definitions[heapq.heappop(ready)]
        done.add(first := definition.label)
        yield definition
        for label, needed in waits.items():
            if first in needed:
                needed.discard(first)
                if not needed:
                    heapq.heappush(ready, place[label])
    if left := [label for label in waits if label not in done]:
        yield from (definitions[place[label]] for label in left)
        faults.append(fault("E093", left[0], loop=" -> ".join(_loop(left[0], waits))))


def _loop(start: str, waits: Mapping[str, set[str]]) -> list[str]:
    """From a patch that waits to itself again, or to where those that wait go in a circle."""
    path = [start]
    while (label := min(waits[path[-1]])) not in path:
        path.append(label)
    return [*path[path.index(label) :], label]
