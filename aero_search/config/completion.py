"""Shell completion: what may stand next on a command line, and the scripts by which a shell asks.

Hydra's own completes the words of one application without commands, and composes the configuration at each key.
Here conf/ is read as files, so that an answer takes a moment: `eval "$(aero-search --completion bash)"`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from aero_search.config.flags import FLAGS
from aero_search.config.help_screen import read_entries
from aero_search.config.paths import conf_dir, search_spaces_dir, user_conf_dir
from aero_search.errors import RequestError, nearest
from aero_search.invocation import NAME
from aero_search.user_path import user_path

_BASH = """_aero_search() {
  local line="${COMP_LINE:0:COMP_POINT}" word IFS=$'\\n'
  word="${line##*[[:space:]]}"
  COMPREPLY=($("${COMP_WORDS[0]/#\\~/$HOME}" --complete "$line" 2>/dev/null))
  # readline has cut the word behind its last =.
  [[ $word == *=* && $COMP_WORDBREAKS == *=* ]] && COMPREPLY=("${COMPREPLY[@]#"${word%"${word##*=}"}"}")
}
complete -o nospace -o default -F _aero_search NAME
"""
_ZSH = """autoload -Uz compinit && compinit
_aero_search() {
  local -a found
  found=("${(@f)$("${words[1]/#\\~/$HOME}" --complete "${(j: :)words[1,CURRENT]}" 2>/dev/null)}")
  found=("${(@)found% }")
  [[ -n ${found[1]} ]] && compadd -S '' -- "${found[@]}" || _files
}
compdef _aero_search NAME
"""
SCRIPTS = {"bash": _BASH.replace("NAME", NAME), "zsh": _ZSH.replace("NAME", NAME)}
# Of a configuration's entries, those that are no settings.
_HYDRAS = ("defaults", "hydra", "override", "_self_")
# What the commands that look at a study take.
_PICKS = ("best", "cheapest", "knee", "trial:")


def script(shell: str) -> str:
    """What a shell evaluates once to complete this program's command lines.

    Raises:
        RequestError: there is none for this shell.
    """
    if shell not in SCRIPTS:
        raise RequestError(f"--completion={shell[:60]} is not a shell: {nearest(shell[:60], SCRIPTS)}")
    return SCRIPTS[shell]


def completions(line: str, commands: Mapping[str, str]) -> list[str]:
    """The words that may stand where a command line ends, in their order.

    Those that are whole end in a space; those that go on end in `=`, `.` or `:`.

    Args:
        line: from its first word, the program, to where it is completed.
        commands: the names of the commands.
    """
    _, *words = line.split() or [""]
    if not words or line[-1].isspace():
        words.append("")
    *before, word = words
    if not before:
        found = [f"{name} " for name in (*commands, "--help", "--version", "--completion")]
    elif before[0] not in commands:
        found = []
    elif word.startswith("-"):
        found = [f"{flag} " for flag in FLAGS]
    elif "=" in word:
        found = list(_values(before, word.partition("=")[0]))
    else:
        found = list(_names(before[0], word.lstrip("+~"), _folders(before)))
    lead = word[: len(word) - len(word.lstrip("+~"))]
    return sorted({lead + one for one in found if (lead + one).startswith(word)})


def _folders(before: list[str]) -> list[Path]:
    """The folders of groups: the shipped one, the user's own, and that of --config-dir."""
    told = [word.partition("=")[2] or after for word, after in zip(before, [*before[1:], ""], strict=True)
            if word.partition("=")[0] in ("--config-dir", "-cd")]  # fmt: skip
    return [path for path in (conf_dir(), user_conf_dir(), *map(Path, told)) if path.is_dir()]


def _names(command: str, word: str, folders: list[Path]) -> Iterator[str]:
    """Groups, and settings as far as their next dot: the command's own, and the fields of a group's options."""
    *parents, _ = word.split(".")
    if not parents:
        yield "study="  # which is short for study.name
    entries = {name for file in (command, "config") for name, _ in read_entries(conf_dir() / f"{file}.yaml")}
    for folder in folders:
        for path in folder.glob("*/**/*.yaml"):
            group = path.parent.relative_to(folder).as_posix()
            if not parents:
                yield from (f"{group}=", *(() if "/" in group else (f"{group}.",)))
            elif group == parents[0]:
                entries |= {f"{group}.{name}" for name, _ in read_entries(path)}
    for name in entries:
        *above, last = name.split(".")[: len(parents) + 1]
        if above == parents and name.split(".")[0] not in _HYDRAS:
            nested = any(other.startswith(f"{name}.") for other in entries)
            whole = ".".join([*above, last]) == name and not nested
            yield ".".join([*above, last]) + ("=" if whole else ".")


def _values(before: list[str], name: str) -> Iterator[str]:
    """The options of a group, or what else is known of a setting."""
    plain = name.lstrip("+~")
    options = {path.stem for folder in _folders(before) for path in (folder / plain).glob("*.yaml")}
    if plain == "space":
        options = {path.stem for path in search_spaces_dir().glob("*.yaml")}
    elif plain in ("study", "study.name"):
        output = next(
            (word.partition("=")[2] for word in before if word.startswith("output_dir=")), "outputs"
        )
        options = {path.name for path in user_path(output).glob("studies/*") if path.is_dir()}
    elif plain == "pick":
        options = set(_PICKS)
    elif plain == "format":
        options = {"json", "text"}
    elif plain == "objective.target":
        options = {path.stem for path in (conf_dir() / "model").glob("*.yaml")}
    return (f"{name}={option}" + ("" if option.endswith(":") else " ") for option in options)
