"""`tropnet completion`: what a shell needs to complete commands, options and files."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from tropnet.cli.options import output_options
from tropnet.cli.printing import print_json

__all__ = ["completion"]

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", metavar="bash|zsh|fish", type=click.Choice(SHELLS))
@output_options
@click.pass_context
def completion(context: click.Context, shell: str, as_json: bool) -> None:
    """Print the script that completes tropnet's commands in a shell: their names, options and files.

    Write it once, and again after an update:

    \b
      bash  tropnet completion bash > ~/.local/share/bash-completion/completions/tropnet
      zsh   tropnet completion zsh > ~/.zfunc/_tropnet
            and in ~/.zshrc: fpath=(~/.zfunc $fpath); autoload -Uz compinit; compinit
      fish  tropnet completion fish > ~/.config/fish/completions/tropnet.fish

    Or, for one session of bash or zsh, `eval "$(tropnet completion bash)"`, of fish `tropnet completion fish | source`.

    \b
    Examples:
      tropnet completion bash
      tropnet completion zsh --json
    """
    made = get_completion_class(shell)
    if made is None:
        raise click.UsageError(f"this version of click has no completion for {shell}; update it.")
    script = made(context.find_root().command, {}, "tropnet", "_TROPNET_COMPLETE").source()
    if as_json:
        print_json({"shell": shell, "script": script})
        return
    click.echo(script)
