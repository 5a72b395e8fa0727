/** Completion scripts, made from the tree of commands itself, so that they know every command and option there is. */
import type { Command } from 'commander';

interface Place {
  /** The commands before it, such as `plans apply`. */
  readonly path: string;
  /** Commands and fixed words that may stand there, or options where nothing else may; where there are none, files are offered. */
  readonly words: readonly string[];
  readonly options: readonly string[];
}

export const SHELLS = ['bash', 'powershell'] as const;

export function completionScript(program: Command, shell: (typeof SHELLS)[number]): string {
  const places = placesOf(program, []);
  return shell === 'bash' ? bash(places) : powershell(places);
}

function placesOf(command: Command, path: readonly string[]): Place[] {
  const help = command.createHelp();
  const commands = help.visibleCommands(command).filter((child) => child.name() !== 'help');
  const options = help.visibleOptions(command).flatMap((option) => option.long ?? []);
  const fixed = command.registeredArguments.flatMap((argument) => argument.argChoices ?? []);
  const takesNothing = commands.length + command.registeredArguments.length === 0;
  const here = { path: path.join(' '), words: takesNothing ? options : [...commands.map((child) => child.name()), ...fixed], options };
  return [here, ...commands.flatMap((child) => placesOf(child, [...path, child.name()]))];
}

function bash(places: readonly Place[]): string {
  const cases = places.map(({ path, words, options }) => `    '${path}') words='${words.join(' ')}' options='${options.join(' ')}' ;;`);
  return `# bash completion for farshore; use it with: source <(farshore completion bash)
_farshore() {
  local current="\${COMP_WORDS[COMP_CWORD]}" path='' word words='' options='' index
  for ((index = 1; index < COMP_CWORD; index++)); do
    word="\${COMP_WORDS[index]}"
    [[ $word == -* ]] && break
    case " ${places
      .map(({ path }) => path.replaceAll(' ', '/'))
      .filter(Boolean)
      .join(' ')} " in
      *" \${path:+\${path// //}/}$word "*) path="\${path:+$path }$word" ;;
      *) break ;;
    esac
  done
  case "$path" in
${cases.join('\n')}
  esac
  [[ $current == -* ]] && words="$options"
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [[ \${#COMPREPLY[@]} -eq 0 ]] && COMPREPLY=($(compgen -f -- "$current"))
}
complete -o filenames -F _farshore farshore
`;
}

function powershell(places: readonly Place[]): string {
  const rows = places.map(
    ({ path, words, options }) => `    '${path}' = @(${[...words, ...options].map((word) => `'${word}'`).join(', ')})`,
  );
  return `# PowerShell completion for farshore; use it with: farshore completion powershell | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName farshore -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $tree = @{
${rows.join('\n')}
  }
  $path = ''
  foreach ($element in $commandAst.CommandElements | Select-Object -Skip 1) {
    $next = "$path $($element.ToString())".Trim()
    if ($element.Extent.EndOffset -ge $cursorPosition -and $wordToComplete) { break }
    if (-not $tree.ContainsKey($next)) { break }
    $path = $next
  }
  $tree[$path] | Where-Object { $_ -like "$wordToComplete*" } | ForEach-Object {
    [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
  }
}
`;
}
